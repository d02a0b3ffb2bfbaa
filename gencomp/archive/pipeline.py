"""Blocks through threads, in order, with a bounded number under way."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ordered_map(function: Callable[[T], R], items: Iterable[T], threads: int) -> Iterator[R]:
    """Yield function(item) in the items' order; at most 2 * ``threads`` items are held at a time.

    An exception of a call, or of the iterable, is raised where its result would stand: what came before has been
    yielded.
    """
    executor = ThreadPoolExecutor(threads, thread_name_prefix="gencomp-block")
    under_way: deque[Future[R]] = deque()
    try:
        iterator = iter(items)
        failure: BaseException | None = None
        more = True
        while more or under_way:
            while more and len(under_way) < 2 * threads:
                try:
                    under_way.append(executor.submit(function, next(iterator)))
                except StopIteration:
                    more = False
                except Exception as error:
                    failure, more = error, False
            if under_way:
                yield under_way.popleft().result()
        if failure is not None:
            raise failure
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
