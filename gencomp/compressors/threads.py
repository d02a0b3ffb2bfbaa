"""The process's pool of threads for candidates: every codec here releases the GIL while it works."""

import functools
import os
from concurrent.futures import Executor, ThreadPoolExecutor

# more would wait for one another's memory
MOST_THREADS = 16


def thread_count() -> int:
    """Return how many candidates are worked on at a time."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(cores or 1, MOST_THREADS)


@functools.cache
def threads() -> Executor:
    """Return the pool, made on first use."""
    return ThreadPoolExecutor(thread_count(), thread_name_prefix="gencomp-score")
