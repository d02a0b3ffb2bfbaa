"""Parallel work through ``concurrent.futures``: local processes, or a Dask cluster. A lost worker's tasks are redone.

A pool is an executor that knows how many workers it has and can be renewed. All three pools give the same results.
"""

import multiprocessing
import os
import signal
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import contextmanager
from itertools import islice
from typing import Any, Protocol, TypeVar

from gencomp.cores import limit_process, usable_cores
from gencomp.errors import GencompWarning, WorkersLostError
from gencomp.extras import require

T = TypeVar("T")
R = TypeVar("R")

MAX_LOSSES = 5  # in one run: more than these are no accident
TASKS_PER_WORKER = 2  # submitted at a time, so that the next is there when one ends
CONNECT_SECONDS = 10.0
WITHOUT_WORKERS_SECONDS = 60.0
CHECK_SECONDS = 5.0


class Pool(Protocol):
    """Workers. A future whose worker died raises one of ``losses``; ``renew`` makes the pool usable again."""

    losses: tuple[type[BaseException], ...]

    @property
    def workers(self) -> int: ...

    def submit(self, function: Callable[[T], R], task: T) -> "Future[R]": ...

    def renew(self) -> None: ...

    def check(self) -> None:
        """Raise :class:`WorkersLostError` if nothing will ever finish."""


class SerialPool:
    """One worker: this process."""

    losses: tuple[type[BaseException], ...] = ()
    workers = 1

    def submit(self, function: Callable[[T], R], task: T) -> "Future[R]":
        future: Future[R] = Future()
        try:
            future.set_result(function(task))
        except Exception as error:
            future.set_exception(error)
        return future

    def renew(self) -> None:
        pass

    def check(self) -> None:
        pass


class LocalPool:
    """Processes of this machine, started afresh ("spawn"): no state of this process reaches them."""

    losses: tuple[type[BaseException], ...] = (BrokenExecutor,)

    def __init__(self, jobs: int) -> None:
        self.workers = jobs
        self._executor = self._start()

    def _start(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        threads = max(1, usable_cores() // self.workers)
        return ProcessPoolExecutor(self.workers, context, initializer=_prepare_worker, initargs=(threads,))

    def submit(self, function: Callable[[T], R], task: T) -> "Future[R]":
        with _without_interrupts():  # workers that start now inherit the mask
            return self._executor.submit(function, task)

    def renew(self) -> None:
        self.close()
        self._executor = self._start()

    def check(self) -> None:
        pass

    def close(self) -> None:
        """Let the workers finish what they are doing, and start nothing new."""
        self._executor.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Hold Ctrl-C back: a worker that it interrupts during imports would print a traceback."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare_worker(threads: int) -> None:
    """Share the cores, leave Ctrl-C and warnings to the parent, and end with it, however it ends."""
    warnings.simplefilter("ignore", GencompWarning)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(name, str(threads))
    limit_process(threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()


def end_with_parent() -> None:
    """End this process as soon as the one that started it has ended, however that ends; return at once."""
    threading.Thread(target=_await_parent, daemon=True).start()


def _await_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class ClusterPool:
    """The workers of a Dask cluster, which must have the same version of gencomp installed."""

    def __init__(self, address: str) -> None:
        require("cluster", "distributed")
        import distributed

        connect: Any = distributed.Client
        try:
            self._client = connect(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:  # a TimeoutError is an OSError
            raise WorkersLostError(
                f"no Dask scheduler answers at {address}: {error}; start one with `dask scheduler`, "
                "then `dask worker` with its address"
            ) from error
        # a client that loses its scheduler cancels what it waits for
        self.losses: tuple[type[BaseException], ...] = (distributed.KilledWorker, CancelledError, BrokenExecutor)
        self._executor: Executor = self._client.get_executor(pure=False)
        self._empty_since: float | None = None

    @property
    def workers(self) -> int:
        """The threads of all workers that are there now, at least 1."""
        return max(1, int(sum(self._client.nthreads().values())))

    def submit(self, function: Callable[[T], R], task: T) -> "Future[R]":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about the size of tasks, which is intended
            return self._executor.submit(function, task)

    def renew(self) -> None:
        """Do nothing: the scheduler has given the work to another worker, if there is a scheduler."""
        if self._client.status != "running":
            raise WorkersLostError("the Dask scheduler is gone; restart it and run this command again: it will go on")

    def check(self) -> None:
        self.renew()
        if self._client.nthreads():
            self._empty_since = None
        elif self._empty_since is None:
            self._empty_since = time.monotonic()
        elif time.monotonic() - self._empty_since > WITHOUT_WORKERS_SECONDS:
            raise WorkersLostError(f"the cluster has had no worker for {WITHOUT_WORKERS_SECONDS:.0f} s; start some")

    def close(self) -> None:
        """Take back what has not begun, and leave the cluster running."""
        self._executor.shutdown(wait=False)
        self._client.close()


@contextmanager
def open_pool(jobs: int, cluster: str | None = None) -> Iterator[Pool]:
    """Yield a pool: the Dask cluster at the address ``cluster``, else ``jobs`` processes; one job runs in this process.

    Raises :class:`WorkersLostError` if the cluster does not answer.
    """
    if cluster is None and jobs == 1:
        yield SerialPool()
        return
    pool = LocalPool(jobs) if cluster is None else ClusterPool(cluster)
    try:
        yield pool
    finally:
        pool.close()


def finished(pool: Pool, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[tuple[T, R]]:
    """Yield (task, function(task)) as they finish, in any order. Tasks are taken only as workers become free.

    A task whose worker is lost is done again. Raises :class:`WorkersLostError` after more than 5 losses, and what
    ``function`` raises.
    """
    waiting: deque[T] = deque()  # lost with their worker
    under_way: dict[Future[R], tuple[T, int]] = {}  # the task, and how many losses there were when it began
    source = iter(tasks)
    losses = 0
    while True:
        while len(under_way) < TASKS_PER_WORKER * pool.workers:
            if not waiting:
                waiting.extend(islice(source, 1))
            if not waiting:
                break
            try:
                future = pool.submit(function, waiting[0])
            except pool.losses:
                losses = _renewed(pool, losses)
            else:
                under_way[future] = (waiting.popleft(), losses)
        if not under_way:
            return
        done, _ = wait(under_way, timeout=CHECK_SECONDS, return_when=FIRST_COMPLETED)
        if not done:
            pool.check()
        for future in done:
            task, losses_before = under_way.pop(future)
            try:
                result = future.result()
            except pool.losses:
                waiting.append(task)
                if losses_before == losses:  # else it is another victim of a loss already counted
                    losses = _renewed(pool, losses)
            else:
                yield task, result


def _renewed(pool: Pool, losses: int) -> int:
    """Make the pool usable after one more loss; return the number of losses."""
    if losses == MAX_LOSSES:
        raise WorkersLostError(
            f"workers died {losses + 1} times; the usual reason is too little memory: use fewer jobs"
        )
    pool.renew()
    return losses + 1
