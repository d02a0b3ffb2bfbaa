"""Verbatim copying: how much of a continuation occurs in its context already, and how to limit that."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MIN_COPY = 8  # bytes that a common string has at least to count as copied, by default

Allowed = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Limits:
    """Which bytes may come next.

    Only those of ``alphabet``, and none that would extend a copy from ``context`` beyond ``max_copy`` bytes: the last
    ``max_copy`` drawn bytes followed by that byte must not occur in the context. If no byte would be left, the limit on
    copies is lifted for this one.
    """

    context: bytes = b""
    alphabet: tuple[int, ...] | None = None
    max_copy: int | None = None

    def __post_init__(self) -> None:
        if self.max_copy is not None and self.max_copy < 1:
            raise ValueError(f"max_copy must be at least 1 byte, got {self.max_copy}")

    def allowed(self, drawn: bytes) -> Allowed:
        """Return for each byte whether it may follow ``drawn``, which followed the context; bool (256,)."""
        inside = np.ones(256, dtype=np.bool_)
        if self.alphabet is not None:
            inside[:] = False
            inside[list(self.alphabet)] = True
        if self.max_copy is None or len(drawn) < self.max_copy:
            return inside
        free = inside.copy()
        free[followers(self.context, drawn[-self.max_copy :])] = False
        return free if free.any() else inside


def followers(context: bytes, piece: bytes) -> list[int]:
    """Return the bytes that follow ``piece`` wherever it occurs in ``context``."""
    found = set()
    at = context.find(piece)
    while 0 <= at < len(context) - len(piece):
        found.add(context[at + len(piece)])
        at = context.find(piece, at + 1)
    return sorted(found)


@dataclass(frozen=True)
class Copies:
    """How many of ``drawn`` bytes lie in strings of ``at_least`` bytes or more that also occur in the context."""

    at_least: int
    drawn: int
    copied: int
    longest: int

    @property
    def rate(self) -> float:
        """The share of the drawn bytes that is copied; 0 for none drawn."""
        return self.copied / self.drawn if self.drawn else 0.0


@dataclass(frozen=True)
class Copied:
    """Bytes ``start`` to ``stop`` of what was drawn occur in the context from ``source`` on."""

    start: int
    stop: int
    source: int


def find_copies(context: bytes, drawn: bytes, at_least: int = MIN_COPY) -> list[Copied]:
    """Return, in order, the maximal strings of ``at_least`` bytes or more that ``drawn`` shares with ``context``.

    None lies inside another, but neighbours may overlap. The source is a string's last occurrence in the context.
    Raises ``ValueError`` on ``at_least`` below 1.
    """
    if at_least < 1:
        raise ValueError(f"a copy must have at least 1 byte, got {at_least}")
    found: list[Copied] = []
    start = 0
    for end in range(1, len(drawn) + 1):  # drawn[start:end] is the longest suffix so far that is in the context
        before = start
        while drawn[start:end] not in context:
            start += 1
        if start > before and end - 1 - before >= at_least:
            found.append(_copied(context, drawn, before, end - 1))
    if len(drawn) - start >= at_least:
        found.append(_copied(context, drawn, start, len(drawn)))
    return found


def _copied(context: bytes, drawn: bytes, start: int, stop: int) -> Copied:
    return Copied(start, stop, context.rfind(drawn[start:stop]))


def measure_copies(context: bytes, drawn: bytes, at_least: int = MIN_COPY) -> Copies:
    """Return how much of ``drawn`` was copied from ``context``. Raises ``ValueError`` on ``at_least`` below 1."""
    if at_least < 1:
        raise ValueError(f"a copy must have at least 1 byte, got {at_least}")
    copied, longest = np.zeros(len(drawn), dtype=np.bool_), 0
    for copy in find_copies(context, drawn, 1):
        size = copy.stop - copy.start
        longest = max(longest, size)
        if size >= at_least:
            copied[copy.start : copy.stop] = True
    return Copies(at_least, len(drawn), int(copied.sum()), longest)
