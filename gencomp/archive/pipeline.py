"""Blocks through threads, in order, with a bounded number under way."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Latest(Generic[T, R]):
    """The last item and its result, so that repeated blocks, such as a sparse file's holes, are worked on once."""

    def __init__(self) -> None:
        self._pair: tuple[T, R] | None = None

    def find(self, item: T) -> R | None:
        """Return the result if the last item equals this one."""
        pair = self._pair  # read once: threads replace it whole
        return pair[1] if pair is not None and pair[0] == item else None

    def keep(self, item: T, result: R) -> None:
        self._pair = (item, result)


def ordered_map(function: Callable[[T], R], items: Iterable[T], threads: int) -> Iterator[R]:
    """Yield function(item) in the items' order; at most 2 * ``threads`` items are held at a time.

    An exception from a call or the iterable is raised in its place: all results before it have been yielded.
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
