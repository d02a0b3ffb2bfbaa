"""Looking further than one byte: the best continuation by beam search, a random one by particles.

Both grow several continuations of one state side by side, byte by byte, and ask for all 256 candidates of each at once.
For a codec, a continuation's code length is what prefix and continuation take beyond the prefix, not normalised at each
byte; for a predictor, it is the sum of -log2 p.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from gencomp.coding.quantize import weights_of_code_lengths
from gencomp.equivalence.predictor import CodeLengthState
from gencomp.protocols import FloatArray, IntArray, PredictorState
from gencomp.sampling.copies import Limits
from gencomp.sampling.draw import draw_weighted

OnStep = Callable[[], None]


@dataclass(frozen=True)
class Finding:
    """What a search found: the continuation, and the likeliest others.

    ``code_length`` is in bits. ``ranked`` holds up to ``width`` pairs (continuation, code length), shortest code first.
    Particles also give ``effective_sizes`` (steps,), the effective sample sizes before resampling, and
    ``log_normalizer``, an estimate of log2 of the sum of 2^-(code length / temperature) over all continuations.
    """

    continuation: bytes
    code_length: float
    ranked: tuple[tuple[bytes, float], ...]
    effective_sizes: tuple[float, ...] = ()
    log_normalizer: float | None = None


class SearchInterruptedError(KeyboardInterrupt):
    """Ctrl-C in the middle of a search; ``continuation`` is its best so far."""

    def __init__(self, continuation: bytes) -> None:
        super().__init__()
        self.continuation = continuation


@dataclass
class _Node:
    """An unfinished continuation: the state after it, its bytes, and its code length in bits.

    ``ahead`` caches the code lengths with each next byte, which particles at the same node share.
    """

    state: PredictorState
    continuation: bytes
    code_length: float
    limits: Limits
    drawn: bytes
    start: float
    ahead: FloatArray = field(default_factory=lambda: np.empty(0))

    def look(self) -> FloatArray:
        """Return the code length with each next byte, float64 (256,), infinite for bytes that are not allowed."""
        if not len(self.ahead):
            if isinstance(self.state, CodeLengthState):
                lengths = self.state.candidate_code_lengths() - self.start
            else:
                lengths = self.code_length + self.state.code_lengths()
            allowed = self.limits.allowed(self.drawn + self.continuation)
            self.ahead = np.where(allowed, lengths, np.inf)
        return self.ahead

    def grown(self, symbols: Sequence[int]) -> "list[_Node]":
        """Return a node for each of these different bytes; the last one takes over this node's state."""
        lengths = self.look()
        nodes = []
        for index, symbol in enumerate(symbols):
            state = self.state if index == len(symbols) - 1 else self.state.copy()
            state.update(symbol)
            continuation = self.continuation + bytes([symbol])
            node = _Node(state, continuation, float(lengths[symbol]), self.limits, self.drawn, self.start)
            nodes.append(node)
        return nodes


def _root(state: PredictorState, limits: Limits, drawn: bytes) -> _Node:
    """Return the empty continuation of a copy of ``state``."""
    start = state.prefix_code_length() if isinstance(state, CodeLengthState) else 0.0
    return _Node(state.copy(), b"", 0.0, limits, drawn, start)


def _check(horizon: int, width: int) -> None:
    if horizon < 1:
        raise ValueError(f"horizon must be at least 1 byte, got {horizon}")
    if width < 1:
        raise ValueError(f"width must be at least 1, got {width}")


def beam_search(
    state: PredictorState,
    horizon: int,
    width: int,
    limits: Limits | None = None,
    drawn: bytes = b"",
    on_step: OnStep = lambda: None,
) -> Finding:
    """Return the continuation of ``horizon`` bytes with the least code length that ``width`` beams find.

    Ties go to the earlier beam, then to the lower byte. ``state`` is left as it is; ``drawn`` is what has followed the
    limits' context so far. ``on_step`` is called after each byte. Raises ``ValueError`` on a horizon or width below 1,
    :class:`SearchInterruptedError` on Ctrl-C.
    """
    _check(horizon, width)
    beams = [_root(state, limits or Limits(), drawn)]
    try:
        for _ in range(horizon):
            beams = _widened(beams, width)
            on_step()
    except KeyboardInterrupt:
        raise SearchInterruptedError(beams[0].continuation) from None
    ranked = tuple((beam.continuation, beam.code_length) for beam in beams)
    return Finding(*ranked[0], ranked)


def _widened(beams: list[_Node], width: int) -> list[_Node]:
    """Return the best ``width`` continuations that are one byte longer, best first."""
    lengths = np.concatenate([beam.look() for beam in beams])
    order = np.argsort(lengths, kind="stable")[:width]
    order = order[np.isfinite(lengths[order])]
    grown: dict[tuple[int, int], _Node] = {}
    for index, beam in enumerate(beams):
        symbols = [int(place) % 256 for place in order if place // 256 == index]
        for symbol, node in zip(symbols, beam.grown(symbols), strict=True):
            grown[index, symbol] = node
    return [grown[int(place) // 256, int(place) % 256] for place in order]


def particles(
    state: PredictorState,
    horizon: int,
    width: int,
    rng: np.random.Generator,
    limits: Limits | None = None,
    drawn: bytes = b"",
    temperature: float = 1.0,
    on_step: OnStep = lambda: None,
) -> Finding:
    """Return a continuation c of ``horizon`` bytes drawn from p(c), proportional to 2^-(L(c) / temperature).

    Sequential Monte Carlo (Doucet and Johansen 2009, section 3): each of ``width`` particles draws its next byte from
    the local distribution and is weighted by its local Kraft sum; when the effective sample size falls below half the
    width, they are resampled systematically. At the end one particle is drawn by its weight. As the width grows, the
    draw's distribution tends to p; 2^log_normalizer is an unbiased estimate of p's normaliser at any width. A limit on
    copies that leaves no byte is lifted; see :class:`~gencomp.sampling.copies.Limits`.

    The other arguments and the errors are those of :func:`beam_search`.
    """
    _check(horizon, width)
    nodes = [_root(state, limits or Limits(), drawn)] * width
    log_weights = np.zeros(width)
    log_normalizer = 0.0
    sizes = []
    try:
        for step in range(horizon):
            nodes, kraft_sums = _moved(nodes, temperature, rng)
            log_weights = log_weights + np.log2(kraft_sums)
            sizes.append(effective_size(log_weights))
            if sizes[-1] < width / 2 and step < horizon - 1:
                log_normalizer += _log_mean(log_weights)
                kept = systematic(_shares(log_weights), rng)
                nodes = [nodes[index] for index in kept]
                log_weights = np.zeros(width)
            on_step()
    except KeyboardInterrupt:
        raise SearchInterruptedError(nodes[0].continuation) from None
    chosen = nodes[draw_weighted(weights_of_code_lengths(log_weights.max() - log_weights), rng)]
    unique = {node.continuation: node.code_length for node in nodes}
    ranked = tuple(sorted(unique.items(), key=lambda item: (item[1], item[0])))
    log_normalizer += _log_mean(log_weights)
    return Finding(chosen.continuation, chosen.code_length, ranked, tuple(sizes), log_normalizer)


def _moved(nodes: list[_Node], temperature: float, rng: np.random.Generator) -> tuple[list[_Node], FloatArray]:
    """Draw a byte for each particle; return the nodes they reach and the local Kraft sums, float64 (width,).

    Particles at the same node that draw the same byte stay together.
    """
    symbols, kraft_sums = [], np.empty(len(nodes))
    for index, node in enumerate(nodes):
        growth = (node.look() - node.code_length) / temperature
        kraft_sums[index] = np.exp2(-growth).sum()
        symbols.append(draw_weighted(weights_of_code_lengths(growth - growth.min()), rng))
    wanted: dict[int, tuple[_Node, list[int]]] = {}
    for node, symbol in zip(nodes, symbols, strict=True):
        drawn = wanted.setdefault(id(node), (node, []))[1]
        if symbol not in drawn:
            drawn.append(symbol)
    grown = {
        (key, symbol): child
        for key, (node, drawn) in wanted.items()
        for symbol, child in zip(drawn, node.grown(drawn), strict=True)
    }
    return [grown[id(node), symbol] for node, symbol in zip(nodes, symbols, strict=True)], kraft_sums


def _shares(log_weights: FloatArray) -> FloatArray:
    weights = np.exp2(log_weights - log_weights.max())
    return np.asarray(weights / weights.sum())


def _log_mean(log_weights: FloatArray) -> float:
    highest = log_weights.max()
    return float(highest + np.log2(np.exp2(log_weights - highest).mean()))


def effective_size(log_weights: FloatArray) -> float:
    """Return (sum of w)^2 / (sum of w^2) for log2 weights (n,): from 1, where one particle has it all, to n."""
    shares = _shares(log_weights)
    return float(1.0 / (shares**2).sum())


def systematic(shares: FloatArray, rng: np.random.Generator) -> IntArray:
    """Return indices (n,) in which i occurs n * shares[i] times, rounded down or up (Kitagawa 1996)."""
    size = len(shares)
    points = (rng.random() + np.arange(size)) / size
    return np.minimum(np.searchsorted(np.cumsum(shares), points, side="right"), size - 1)
