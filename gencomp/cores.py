"""How many cores there are to use, and the process's pools of threads for kernels and codecs, which release the GIL."""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar

# candidates at a time: more would wait for one another's memory
MOST_THREADS = 16

_lock = threading.Lock()
_pools: dict[str, Executor] = {}
_busy = 0  # threads inside ``helpers``, and their helpers
_limit: ContextVar[int | None] = ContextVar("limit", default=None)
_limit_of_process: int | None = None


def usable_cores() -> int:
    """Return the number of cores that this process may use: a container or ``taskset`` may leave it a few of many."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def candidate_threads() -> int:
    """Return how many candidates are worked on at a time."""
    return min(usable_cores(), MOST_THREADS)


def candidate_pool() -> Executor:
    """Return the pool for candidates, made on first use in this process."""
    return _pool("gencomp-score", candidate_threads())


def pair_pool() -> Executor:
    """Return the pool for whole pairs of texts: another one, since a pair's scorer waits for its candidates."""
    return _pool("gencomp-pairs", usable_cores())


def helper_pool() -> Executor:
    """Return the pool of those that :func:`helpers` counts."""
    return _pool("gencomp-help", max(1, usable_cores() - 1))


@contextmanager
def at_most(threads: int) -> Iterator[None]:
    """Let what this thread does inside take ``threads`` cores at most, its helpers and others like it included."""
    token = _limit.set(threads)
    try:
        yield
    finally:
        _limit.reset(token)


def limit_process(threads: int) -> None:
    """Let this process take ``threads`` cores at most for helpers: it is one of several that share the machine."""
    global _limit_of_process
    _limit_of_process = threads


@contextmanager
def helpers(most: int) -> Iterator[int]:
    """Say how many threads, up to ``most``, may help this one inside: so many cores are free of others like it."""
    global _busy
    if most <= 0:
        yield 0
        return
    limits = [limit for limit in (_limit.get(), _limit_of_process) if limit is not None]
    cores = min([usable_cores(), *limits])
    with _lock:
        count = max(0, min(most, cores - _busy - 1))
        _busy += 1 + count
    try:
        yield count
    finally:
        with _lock:
            _busy -= 1 + count


def _pool(name: str, threads: int) -> Executor:
    with _lock:
        if name not in _pools:
            _pools[name] = ThreadPoolExecutor(threads, thread_name_prefix=name)
        return _pools[name]


def forget_pool() -> None:
    """Let the next calls make other pools. A child of ``os.fork`` has its parent's, but none of their threads."""
    global _lock, _pools, _busy
    _lock, _pools, _busy = threading.Lock(), {}, 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_pool)
