"""How many cores there are to use, and the process's pools of threads for kernels and codecs, which release the GIL."""

import os
import threading
from concurrent.futures import Executor, ThreadPoolExecutor

# candidates at a time: more would wait for one another's memory
MOST_THREADS = 16

_lock = threading.Lock()
_pools: dict[str, Executor] = {}


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


def _pool(name: str, threads: int) -> Executor:
    with _lock:
        if name not in _pools:
            _pools[name] = ThreadPoolExecutor(threads, thread_name_prefix=name)
        return _pools[name]


def forget_pool() -> None:
    """Let the next calls make other pools. A child of ``os.fork`` has its parent's, but none of their threads."""
    global _lock, _pools
    _lock, _pools = threading.Lock(), {}


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_pool)
