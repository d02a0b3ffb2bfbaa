"""Upper bounds on what coding takes, computed from a spec before anything is built, and limits on it.

**Memory** is in bytes, beyond what the process takes anyway. Tables count in full, though their pages are only taken
when touched. **Work** is in seconds of one core, estimated on the slow side: a machine of the 2020s takes a half to a
tenth of it. Neither counts what is done once per process: compiling kernels, and loading a model that the user names.
"""

import math
from dataclasses import dataclass

from gencomp.errors import BudgetError

DEFAULT_MEMORY = 4 << 30
# by default an archive may take DEFAULT_WORK seconds and WORK_PER_BYTE for each of its bytes; honest ones take 10^-4 to
# 10^-3 a byte
DEFAULT_WORK = 400.0
WORK_PER_BYTE = 0.005
# and may hold so many bytes, or as many for each of its own
DEFAULT_OUTPUT = 8 << 30
OUTPUT_PER_BYTE = 256


@dataclass(frozen=True)
class Cost:
    """What one job takes: ``memory`` at its peak, of which ``kept`` is never given back, and ``work``."""

    memory: int = 0
    work: float = 0.0
    kept: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        """Return the cost of doing both, one after the other."""
        return Cost(max(self.memory, self.kept + other.memory), self.work + other.work, self.kept + other.kept)

    def beside(self, memory: int) -> "Cost":
        """Return the cost where ``memory`` more bytes are held all the while."""
        return Cost(self.memory + memory, self.work, self.kept)


@dataclass(frozen=True)
class StateCost:
    """What a state that has read a context takes: ``held`` bytes in each copy, ``scratch`` bytes while it works.

    ``begin`` is the work of reading the context, ``step`` that of one distribution and one more byte; ``kept`` is how
    many bytes of each step a library does not give back.
    """

    held: int = 0
    scratch: int = 0
    begin: float = 0.0
    step: float = 0.0
    kept: int = 0

    def block(self, empty: "StateCost", size: int) -> Cost:
        """Return the cost of ``size`` steps from an empty context; ``self`` is the state after all of them."""
        kept = self.kept * size
        return Cost(self.held + self.scratch + kept, empty.begin + self.step * size, kept)


@dataclass(frozen=True)
class Budget:
    """What a caller allows: ``memory`` in bytes, ``work`` in seconds; None sets no limit."""

    memory: int = DEFAULT_MEMORY
    work: float | None = None

    def __post_init__(self) -> None:
        if self.memory < 0 or not (self.work is None or self.work >= 0.0):
            raise ValueError(f"limits must be at least 0, got memory={self.memory}, work={self.work}")

    def check(self, cost: Cost, what: str) -> None:
        """Raise :class:`BudgetError` where ``what`` takes more than is allowed."""
        self.check_memory(cost.memory, what)
        if self.work is not None and cost.work > self.work:
            raise too_much_work(what, cost.work, self.work)

    def check_memory(self, memory: int, what: str) -> None:
        """Check as :meth:`check` does, but memory alone."""
        if memory > self.memory:
            raise BudgetError(
                f"{what} may take {in_bytes(memory)} of memory, the limit is {in_bytes(self.memory)}; "
                f"allow it with max_memory={-(-memory // 10**6) * 10**6}"
            )

    def threads(self, memory: int, threads: int) -> int:
        """Return how many jobs that take ``memory`` each may run side by side, at least 1 and at most ``threads``."""
        return max(1, min(threads, self.memory // max(1, memory)))


class Meter:
    """Adds up what the parts of one archive take. Where the budget's work is None, it grows with the bytes read."""

    def __init__(self, budget: Budget, *, unbounded: bool = False) -> None:
        self._budget = budget
        self._unbounded = unbounded and budget.work is None
        self._spent = Cost()

    def add(self, cost: Cost, what: str, archive_bytes: int) -> None:
        """Charge ``cost``; raise :class:`BudgetError` where it is too much. ``archive_bytes`` have been read so far."""
        self._budget.check_memory(self._spent.kept + cost.memory, what)
        total = self._spent + cost
        allowed = self._budget.work
        if allowed is None:
            allowed = DEFAULT_WORK + WORK_PER_BYTE * archive_bytes
        if total.work > allowed and not self._unbounded:
            raise too_much_work(what, total.work, allowed)
        self._spent = total

    @property
    def work(self) -> float:
        """What has been charged so far, in seconds."""
        return self._spent.work


def is_slow(work: float, archive_bytes: int) -> bool:
    """Return whether an archive takes more work than one may ask for by default."""
    return work > DEFAULT_WORK + WORK_PER_BYTE * archive_bytes


def too_much_work(what: str, work: float, allowed: float) -> BudgetError:
    """Return the error for ``what`` that takes more than ``allowed`` seconds."""
    return BudgetError(
        f"{what} may take {in_time(work)} of one core, the limit is {in_time(allowed)}; "
        f"allow it with max_work={math.ceil(work)} or more seconds"
    )


def in_bytes(size: int) -> str:
    """Return a size for a message, rounded up: ``512 bytes``, ``1,234 KB``, ``5,700 MB``, ``12,000 GB``."""
    for unit, name in ((1, "bytes"), (10**3, "KB"), (10**6, "MB"), (10**9, "GB")):
        if size < 10**4 * unit or unit == 10**9:
            return f"{-(-size // unit):,} {name}"
    raise AssertionError


def in_time(seconds: float) -> str:
    """Return a time for a message."""
    for unit, name in ((1.0, "seconds"), (60.0, "minutes"), (3600.0, "hours"), (86400.0, "days")):
        if seconds < 100 * unit or unit == 86400.0:
            return f"{seconds / unit:,.3g} {name}"
    raise AssertionError
