"""The loop: ask what comes next, draw, append; byte by byte, or several bytes at a time."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from gencomp.arguments import as_bytes
from gencomp.budget import DEFAULT_MEMORY, Budget, Cost
from gencomp.equivalence.adapt import Model, as_predictor, label_of, native
from gencomp.equivalence.capabilities import state_cost
from gencomp.equivalence.lookahead import Lookahead
from gencomp.protocols import IntArray, Predictor, PredictorState
from gencomp.sampling.copies import Limits
from gencomp.sampling.draw import Draw, draw_weighted
from gencomp.sampling.search import Finding, SearchInterruptedError, beam_search, particles

StrategyName = Literal["bytes", "lookahead", "beam", "particles"]

# how many bytes each strategy looks ahead, and how many continuations it follows side by side
HORIZONS: dict[StrategyName, int] = {"bytes": 1, "lookahead": 8, "beam": 24, "particles": 32}
WIDTHS: dict[StrategyName, int] = {"bytes": 1, "lookahead": 32, "beam": 32, "particles": 32}
# memory of an unfinished continuation besides its state, and the time to copy a byte of it and to compare two beams
_NODE_BYTES, _COPY_SECONDS, _PAIR_SECONDS = 1 << 14, 1e-9, 4e-7


class Watcher:
    """Is told of the bytes as they are drawn; this one ignores it all."""

    def choosing(self, state: PredictorState, symbol: int, weights: IntArray) -> None:
        """``symbol`` was drawn with integer ``weights`` (alphabet_size,); ``state`` has not seen it yet."""

    def found(self, finding: Finding) -> None:
        """A search has ended."""

    def stepped(self) -> None:
        """One more byte has been drawn, or all continuations of a search are one byte longer."""


@dataclass(frozen=True)
class Search:
    """How a continuation is found.

    ``bytes`` draws each byte from the model's distribution, ``lookahead`` from a codec's sum over continuations of
    ``horizon`` bytes (:class:`~gencomp.equivalence.lookahead.Lookahead`), which follows ``width`` bytes. ``beam`` takes
    the shortest code of ``horizon`` bytes that ``width`` beams find; ``particles`` draws ``horizon`` bytes from their
    joint distribution with ``width`` particles. Both then go on from there.

    ``draw`` says how single bytes are drawn; beams use only its alphabet, particles its alphabet and temperature.
    ``max_copy`` excludes bytes that would extend a copy from the context beyond that many bytes. With ``own_window``,
    the model sees, besides the context, only that many of the last bytes drawn (counted where ``horizon`` bytes begin).
    """

    strategy: StrategyName = "bytes"
    horizon: int | None = None
    width: int | None = None
    draw: Draw = field(default_factory=Draw)
    max_copy: int | None = None
    own_window: int | None = None

    def __post_init__(self) -> None:
        if self.strategy not in HORIZONS:
            raise ValueError(f"the strategy must be one of {', '.join(HORIZONS)}, got {self.strategy!r}")
        for name in ("horizon", "width"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
            if value is not None and self.strategy == "bytes":
                raise ValueError(f"{name} needs a strategy that looks ahead: lookahead, beam or particles")
        if self.own_window is not None and self.own_window < 0:
            raise ValueError(f"own_window must be at least 0 bytes, got {self.own_window}")
        if self.strategy in ("beam", "particles") and (self.draw.top_k, self.draw.top_p) != (None, None):
            raise ValueError(f"top_k and top_p filter single bytes; the strategy {self.strategy} draws none")
        if self.strategy == "beam" and self.draw.temperature != 1.0:
            raise ValueError("temperature has no meaning for a beam search, which takes the shortest code")
        Limits(max_copy=self.max_copy)  # raises if it is below 1

    def predictor(self, model: Model) -> Predictor:
        """Return the predictor to ask: ``model``'s, or its lookahead. Raises ``ValueError`` if it has none."""
        predictor = as_predictor(model)
        if predictor.alphabet_size != 256:
            raise ValueError(f"bytes need a model of 256 symbols, this one has {predictor.alphabet_size}")
        if self.strategy != "lookahead":
            return predictor
        horizon, width = self.sizes()
        inner = native(predictor)
        if isinstance(inner, Predictor):
            raise ValueError(
                f"{label_of(inner)} is a predictor, whose probabilities a longer sum would not change; expected a codec"
            )
        return Lookahead(inner, horizon, width)

    def sizes(self) -> tuple[int, int]:
        """Return the horizon and the width, by default the strategy's own."""
        return self.horizon or HORIZONS[self.strategy], self.width or WIDTHS[self.strategy]

    def cost(self, predictor: Predictor, context: int, length: int) -> Cost:
        """Return what it takes at most to continue a context of ``context`` bytes by ``length`` bytes."""
        state = state_cost(predictor, context + length)
        begin = state_cost(predictor, context).begin
        if self.strategy in ("bytes", "lookahead"):
            again = 0 if self.own_window is None else min(self.own_window, length)
            memory = (2 + (self.own_window is not None)) * (state.held + _NODE_BYTES) + state.scratch
            return Cost(memory + length * state.kept, begin + length * (1 + again) * state.step, length * state.kept)
        _, width = self.sizes()
        kept = length * width * state.kept
        # continuations of one length and of the next exist at the same time
        memory = (2 * width + 2) * (state.held + _NODE_BYTES) + state.scratch + kept
        pairs = width * width * _PAIR_SECONDS if self.strategy == "beam" else 0.0
        step = width * (state.step + (state.held + _NODE_BYTES) * _COPY_SECONDS) + pairs
        return Cost(memory, begin + length * step, kept)

    def check(self, predictor: Predictor, context: int, length: int, budget: Budget) -> None:
        """Raise :class:`~gencomp.errors.BudgetError` if continuing a context may take more than is allowed."""
        what = "" if self.strategy == "bytes" else f" by {self.strategy} of width {self.sizes()[1]:,}"
        budget.check(self.cost(predictor, context, length), f"drawing {length:,} bytes after {context:,}{what}")

    def generate(
        self,
        predictor: Predictor,
        context: bytes,
        length: int,
        rng: np.random.Generator,
        watcher: Watcher | None = None,
        budget: Budget | None = None,
    ) -> Iterator[int]:
        """Yield ``length`` bytes that continue ``context``, each as soon as it is drawn.

        On Ctrl-C in the middle of a search, its best continuation so far is yielded before the exception is raised
        again. Raises :class:`~gencomp.errors.BudgetError` at the start if it may take more than ``budget`` allows.
        """
        self.check(predictor, len(context), length, budget or Budget())
        moving = _Moving(predictor.begin(context), self.own_window)
        limits = Limits(context, self.draw.alphabet, self.max_copy)
        watcher = watcher or Watcher()
        if self.strategy in ("bytes", "lookahead"):
            yield from _byte_by_byte(moving, length, self.draw, limits, rng, watcher)
            return
        horizon, width = self.sizes()
        while len(moving.drawn) < length:
            size = min(horizon, length - len(moving.drawn))
            where = (limits, bytes(moving.drawn))
            try:
                if self.strategy == "beam":
                    finding = beam_search(moving.state, size, width, *where, watcher.stepped)
                else:
                    temperature = self.draw.temperature
                    finding = particles(moving.state, size, width, rng, *where, temperature, watcher.stepped)
            except SearchInterruptedError as stopped:
                yield from stopped.continuation
                raise
            watcher.found(finding)
            moving.append(finding.continuation)
            yield from finding.continuation


class _Moving:
    """A state that advances with what is drawn, and sees all of it or only the last ``own_window`` bytes."""

    def __init__(self, state: PredictorState, own_window: int | None) -> None:
        self.state = state
        self.drawn = bytearray()
        self._own_window = own_window
        self._start = None if own_window is None else state.copy()

    def append(self, piece: bytes) -> None:
        self.drawn += piece
        if self._start is not None and self._own_window is not None and len(self.drawn) > self._own_window:
            self.state = self._start.copy()
            piece = bytes(self.drawn[len(self.drawn) - self._own_window :])
        for symbol in piece:
            self.state.update(symbol)


def _byte_by_byte(
    moving: _Moving, length: int, draw: Draw, limits: Limits, rng: np.random.Generator, watcher: Watcher
) -> Iterator[int]:
    for _ in range(length):
        lengths = moving.state.code_lengths()
        if limits.max_copy is not None:
            lengths = np.where(limits.allowed(bytes(moving.drawn)), lengths, np.inf)
        weights = draw.weights(lengths)
        symbol = draw_weighted(weights, rng)
        watcher.choosing(moving.state, symbol, weights)
        moving.append(bytes([symbol]))
        watcher.stepped()
        yield symbol


def generate(state: PredictorState, length: int, draw: Draw, rng: np.random.Generator) -> Iterator[int]:
    """Yield ``length`` symbols, each as soon as it is drawn; ``state`` advances with them."""
    yield from _byte_by_byte(_Moving(state, None), length, draw, Limits(), rng, Watcher())


def seen_alphabet(context: bytes) -> tuple[int, ...]:
    """Return the bytes that occur in ``context``, ascending."""
    return tuple(sorted(set(as_bytes(context, "the context"))))


def sample(
    model: Model,
    *,
    length: int,
    prompt: bytes = b"",
    prime: bytes = b"",
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    alphabet: tuple[int, ...] | None = None,
    strategy: StrategyName = "bytes",
    horizon: int | None = None,
    width: int | None = None,
    max_copy: int | None = None,
    own_window: int | None = None,
    max_memory: int | None = None,
    max_work: float | None = None,
    seed: int = 0,
) -> bytes:
    """Return ``length`` bytes that continue ``prompt`` under ``model``, a spec or an object of either kind.

    ``prime`` is a corpus that the model reads before the prompt. The same seed gives the same bytes, whatever the
    number of threads. ``max_memory`` is in bytes, 4 GiB by default; ``max_work`` is in seconds of one core, without
    limit by default. Both are compared with estimates (:mod:`gencomp.budget`) at the start. See
    :class:`~gencomp.sampling.draw.Draw` and :class:`Search` for the other arguments and what they raise.
    """
    if length < 0:
        raise ValueError(f"length must be at least 0, got {length}")
    draw = Draw(temperature, top_k, top_p, alphabet)
    search = Search(strategy, horizon, width, draw, max_copy, own_window)
    context = as_bytes(prime, "prime") + as_bytes(prompt, "prompt")
    budget = Budget(DEFAULT_MEMORY if max_memory is None else max_memory, max_work)
    rng = np.random.default_rng(seed)
    return bytes(search.generate(search.predictor(model), context, length, rng, budget=budget))
