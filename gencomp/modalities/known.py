"""Sources of known entropy rate, which no code can beat on average: a bound to measure models against.

A source is named as ``kind:key=value&key=value``, such as ``markov:order=2&seed=1``. Its parameters and its independent
samples are drawn with ``seed``. Letters are the bytes from ``a`` on.
"""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar, Protocol

import numpy as np

from gencomp.errors import SpecError
from gencomp.protocols import FloatArray, IntArray

FIRST_LETTER = ord("a")
MAX_CONTEXTS = 1 << 16
# a hidden Markov source's entropy rate is estimated from _PATHS samples of _STEPS bytes, less the first _WARM_UP
_PATHS, _STEPS, _WARM_UP = 4096, 320, 64


class Source(Protocol):
    """Random bytes of a known distribution."""

    @property
    def entropy_rate(self) -> float:
        """Return the source's entropy rate in bits per byte."""

    def sample(self, size: int, number: int = 0) -> bytes:
        """Return ``size`` bytes of the source's sample ``number``; a longer one begins with the shorter."""


def parse_source(text: str) -> Source:
    """Return the source that ``text`` names. Raises :class:`SpecError` on an unknown kind, option or value."""
    kind, _, options = text.partition(":")
    if kind not in SOURCES:
        raise SpecError(f"unknown source {kind!r}; there are {', '.join(SOURCES)}")
    factory = SOURCES[kind]
    known = {field.name: field.type for field in fields(factory)}
    values: dict[str, Any] = {}
    for item in options.split("&") if options else ():
        key, equals, value = item.partition("=")
        if not equals or key not in known or key in values:
            raise SpecError(f"{kind} takes key=value with {', '.join(known)}, each once; got {item!r} in {text!r}")
        try:
            values[key] = int(value) if known[key] is int else float(value)
        except ValueError:
            raise SpecError(f"{kind}: {key} must be a number, got {value!r}") from None
    try:
        source: Source = factory(**values)
    except ValueError as error:
        raise SpecError(f"{kind}: {error}") from error
    return source


def _entropy(rows: FloatArray) -> FloatArray:
    """Return the entropy in bits of each row of probabilities, (..., symbols): float64 (...)."""
    logarithms = np.log2(rows, where=rows > 0, out=np.zeros_like(rows))
    return np.asarray(-(rows * logarithms).sum(axis=-1))


def _in(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} must be from {low:g} to {high:g}, got {value:g}")


def _letters(symbols: IntArray) -> bytes:
    return (symbols + FIRST_LETTER).astype(np.uint8).tobytes()


@dataclass(frozen=True)
class Bernoulli:
    """Independent bytes: ``b`` with probability ``p``, else ``a``."""

    p: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        _in("p", self.p, 0.0, 1.0)
        _in("seed", self.seed, 0, 2**31)

    @property
    def entropy_rate(self) -> float:
        return float(_entropy(np.array([self.p, 1.0 - self.p])))

    def sample(self, size: int, number: int = 0) -> bytes:
        rng = np.random.default_rng([self.seed, 1, number])
        return _letters((rng.random(size) < self.p).astype(np.int64))


@dataclass(frozen=True)
class Markov:
    """Each byte depends on the ``order`` bytes before it, by rows drawn from a symmetric Dirichlet distribution.

    ``concentration`` is its parameter; there are ``symbols`` letters. The entropy rate is the mean entropy of the rows
    under the stationary distribution of the contexts.
    """

    order: int = 1
    symbols: int = 4
    concentration: float = 0.3
    seed: int = 0

    def __post_init__(self) -> None:
        _in("order", self.order, 0, 16)
        _in("symbols", self.symbols, 2, 26)
        _in("concentration", self.concentration, 0.01, 100.0)
        _in("seed", self.seed, 0, 2**31)
        if self.symbols**self.order > MAX_CONTEXTS:
            raise ValueError(f"{self.symbols}^{self.order} contexts are too many; at most {MAX_CONTEXTS}")

    @cached_property
    def _rows(self) -> FloatArray:
        """P(symbol | context), float64 (contexts, symbols); a context's number ends with its last symbol as a digit."""
        rng = np.random.default_rng([self.seed, 0])
        drawn = rng.dirichlet(np.full(self.symbols, self.concentration), self.symbols**self.order)
        rows = 0.999 * drawn + 0.001 / self.symbols  # every context can be reached
        return np.asarray(rows / rows.sum(axis=1, keepdims=True))

    @cached_property
    def _stationary(self) -> FloatArray:
        """The stationary distribution of the contexts, float64 (contexts,), by power iteration."""
        contexts, symbols = self._rows.shape
        law = np.full(contexts, 1.0 / contexts)
        for _ in range(100_000):
            moved = (law[:, None] * self._rows).reshape(symbols, -1, symbols).sum(axis=0).ravel() if self.order else law
            if np.abs(moved - law).sum() < 1e-13:
                break
            law = (moved + law) / 2  # half a step, which converges even if the chain is periodic
        return np.asarray(law / law.sum())

    @property
    def entropy_rate(self) -> float:
        return float((self._stationary * _entropy(self._rows)).sum())

    def sample(self, size: int, number: int = 0) -> bytes:
        rng = np.random.default_rng([self.seed, 1, number])
        contexts, symbols = self._rows.shape
        context = int(np.searchsorted(np.cumsum(self._stationary), rng.random(), side="right"))
        context = min(context, contexts - 1)
        bounds = [row.tolist() for row in np.cumsum(self._rows, axis=1)[:, :-1]]
        drawn = np.empty(size, dtype=np.int64)
        for place, uniform in enumerate(rng.random(size).tolist()):
            symbol = sum(uniform >= bound for bound in bounds[context])
            drawn[place] = symbol
            context = (context * symbols + symbol) % contexts
        return _letters(drawn)


@dataclass(frozen=True)
class Hidden:
    """A hidden Markov source: each of ``states`` hidden states emits one of ``symbols`` letters.

    A state stays with probability ``stay`` or more. The entropy rate has no closed form. It is estimated, to some 0.002
    bits, as the code length that the forward recursion gives 10^6 bytes of samples with a seed of their own, by the
    theorem of Shannon, McMillan and Breiman.
    """

    states: int = 4
    symbols: int = 4
    concentration: float = 0.3
    stay: float = 0.8
    seed: int = 0

    def __post_init__(self) -> None:
        _in("states", self.states, 1, 64)
        _in("symbols", self.symbols, 2, 26)
        _in("concentration", self.concentration, 0.01, 100.0)
        _in("stay", self.stay, 0.0, 0.999)
        _in("seed", self.seed, 0, 2**31)

    @cached_property
    def _laws(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Transitions (states, states), emissions (states, symbols) and the stationary distribution (states,)."""
        rng = np.random.default_rng([self.seed, 0])
        moves = (1 - self.stay) * rng.dirichlet(np.ones(self.states), self.states) + self.stay * np.eye(self.states)
        emissions = rng.dirichlet(np.full(self.symbols, self.concentration), self.states)
        law = np.full(self.states, 1.0 / self.states)
        for _ in range(100_000):
            law, before = law @ moves, law
            if np.abs(law - before).sum() < 1e-14:
                break
        return moves, emissions, law / law.sum()

    def _paths(self, size: int, rng: np.random.Generator, paths: int) -> IntArray:
        """Return independent samples, int64 (paths, size)."""
        moves, emissions, law = self._laws
        move_bounds, emission_bounds = np.cumsum(moves, axis=1)[:, :-1], np.cumsum(emissions, axis=1)[:, :-1]
        uniforms = rng.random((size, 2, paths))
        states = (rng.random(paths)[:, None] >= np.cumsum(law)[:-1]).sum(axis=1)
        drawn = np.empty((paths, size), dtype=np.int64)
        for step in range(size):
            drawn[:, step] = (uniforms[step, 0][:, None] >= emission_bounds[states]).sum(axis=1)
            states = (uniforms[step, 1][:, None] >= move_bounds[states]).sum(axis=1)
        return drawn

    @cached_property
    def entropy_rate(self) -> float:
        """The forward recursion's mean code length in bits per byte, after a warm-up, over many samples."""
        moves, emissions, law = self._laws
        drawn = self._paths(_STEPS, np.random.default_rng([self.seed, 2]), _PATHS)
        believed = np.tile(law, (_PATHS, 1))  # P(state | symbols so far)
        bits = 0.0
        for step in range(_STEPS):
            joint = believed * emissions[:, drawn[:, step]].T
            chances = joint.sum(axis=1)
            if step >= _WARM_UP:
                bits -= float(np.log2(chances).sum())
            believed = (joint / chances[:, None]) @ moves
        return bits / (_PATHS * (_STEPS - _WARM_UP))

    def sample(self, size: int, number: int = 0) -> bytes:
        return _letters(self._paths(size, np.random.default_rng([self.seed, 1, number]), 1)[0])


@dataclass(frozen=True)
class Grammar:
    """Sums of numbers and brackets, one a line, by an unambiguous grammar whose nesting no finite-state model follows.

        line -> sum end-of-line      sum -> term | term + sum
        term -> number | ( sum )     number -> digit | digit number

    ``more``, ``nest`` and ``longer`` are the probabilities of the second alternative of sum, term and number. A line's
    entropy is that of its decisions, so the entropy rate is their mean entropy a line, divided by the mean length.
    """

    more: float = 0.35
    nest: float = 0.3
    longer: float = 0.4
    seed: int = 0
    _DIGITS: ClassVar[int] = 10

    def __post_init__(self) -> None:
        for name in ("more", "nest", "longer"):
            _in(name, getattr(self, name), 0.0, 0.95)
        _in("seed", self.seed, 0, 2**31)
        if self.nest / (1 - self.more) >= 0.999:  # the mean number of sums inside a sum
            raise ValueError("lines would not end: nest / (1 - more) must be below 1")

    def _means(self) -> tuple[float, float]:
        """Return the mean (bits, bytes) of a line."""
        # a line has one sum and one more for each pair of brackets; terms = sums / (1 - more); brackets = nest * terms
        terms_of_a_sum = 1 / (1 - self.more)
        sums = 1 / (1 - self.nest * terms_of_a_sum)
        terms = sums * terms_of_a_sum
        numbers = terms * (1 - self.nest)
        digits = numbers / (1 - self.longer)
        plus, brackets = terms - sums, terms * self.nest
        more, nest, longer = (float(_entropy(np.array([p, 1 - p]))) for p in (self.more, self.nest, self.longer))
        bits = terms * (more + nest) + digits * (longer + np.log2(self._DIGITS))
        return float(bits), plus + 2 * brackets + digits + 1

    @property
    def entropy_rate(self) -> float:
        bits, size = self._means()
        return bits / size

    def sample(self, size: int, number: int = 0) -> bytes:
        rng = np.random.default_rng([self.seed, 1, number])
        written = bytearray()
        while len(written) < size:
            pending = ["sum", "\n"]
            while pending:
                part = pending.pop(0)
                if part == "sum":
                    pending[:0] = ["term", "+", "sum"] if rng.random() < self.more else ["term"]
                elif part == "term":
                    pending[:0] = ["(", "sum", ")"] if rng.random() < self.nest else ["number"]
                elif part == "number":
                    digit = str(rng.integers(self._DIGITS))
                    pending[:0] = [digit, "number"] if rng.random() < self.longer else [digit]
                else:
                    written += part.encode("ascii")
        return bytes(written[:size])


SOURCES: dict[str, type[Any]] = {"bernoulli": Bernoulli, "markov": Markov, "hidden": Hidden, "grammar": Grammar}
