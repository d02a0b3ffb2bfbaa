"""The number of cores to use, and the process's thread pools for kernels and codecs, which release the GIL."""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar

# candidates scored at a time: more would wait for memory
MOST_THREADS = 16

_lock = threading.Lock()
_pools: dict[str, Executor] = {}
_busy = 0  # threads inside ``helpers``, and their helpers
_limit: ContextVar[int | None] = ContextVar("limit", default=None)
_limit_of_process: int | None = None


def usable_cores() -> int:
    """Return the number of cores that this process may use, which a container or ``taskset`` may limit."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def candidate_threads() -> int:
    """Return how many candidates are scored at a time."""
    return min(usable_cores(), MOST_THREADS)


def candidate_pool() -> Executor:
    """Return the pool for candidates, made on first use in this process."""
    return _pool("gencomp-score", candidate_threads())


def pair_pool() -> Executor:
    """Return the pool for whole pairs of texts: a separate one, since a pair's scorer waits for its candidates."""
    return _pool("gencomp-pairs", usable_cores())


def helper_pool() -> Executor:
    """Return the pool for the threads that :func:`helpers` grants."""
    return _pool("gencomp-help", max(1, usable_cores() - 1))


@contextmanager
def at_most(threads: int) -> Iterator[None]:
    """Limit this thread, inside the block, to ``threads`` cores, counting its helpers and other threads like it."""
    token = _limit.set(threads)
    try:
        yield
    finally:
        _limit.reset(token)


def limit_process(threads: int) -> None:
    """Limit this process, one of several that share the machine, to ``threads`` cores, helpers included."""
    global _limit_of_process
    _limit_of_process = threads


@contextmanager
def helpers(most: int) -> Iterator[int]:
    """Yield how many threads, up to ``most``, may help this one inside the block: cores that others leave free."""
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
    """Make new pools at the next calls. A child of ``os.fork`` inherits its parent's pools, but not their threads."""
    global _lock, _pools, _busy
    _lock, _pools, _busy = threading.Lock(), {}, 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_pool)
