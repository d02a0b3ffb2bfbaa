"""Progress inside a block: a model that takes minutes for a block reports here, and a command that listens shows it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[float], None]

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Inside the block, call ``listener`` with the share of the work, 0 to 1, that each step in this thread does."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def advance(share: float) -> None:
    """Report that another ``share``, 0 to 1, of the current work is done."""
    listener = _listener.get()
    if listener is not None:
        listener(share)


class ByteProgress:
    """Turns shares of pieces of work into whole bytes of a block, each reported once."""

    def __init__(self, size: int, pieces: int, report: Callable[[int], object] | None) -> None:
        self._size = size
        self._pieces = pieces
        self._report = report
        self._share = 0.0
        self._told = 0

    def step(self, share: float) -> None:
        """Add a share of one piece."""
        self._share += share / self._pieces
        self._tell(min(self._size, int(self._share * self._size)))

    def finish(self) -> None:
        """Report what is left of the block."""
        self._tell(self._size)

    def _tell(self, reached: int) -> None:
        if self._report is not None and reached > self._told:
            self._report(reached - self._told)
        self._told = max(self._told, reached)
