"""A codec as a predictor that looks further than one byte: the marginal of its code lengths over continuations.

An LZ codec charges the first bytes of a match as literals until the match is long enough, so the cost of one byte says
little about what it begins. Here a byte is as likely as the continuations that begin with it:

    p(b | prefix)  in proportion to  M(b),     M(s) = sum of 2^-L(prefix s c) over all continuations s c of H bytes

Of the 256^H continuations, only those in a tree are priced, as exactly as the codec does:

- At each node that is *followed*, all 256 next bytes are priced, so the sum over one more byte is complete there.
- Followed are the ``width`` likeliest single bytes, and every beginning of the *spans*: what came after earlier
  occurrences of the prefix's end, the longest common ends first, then the latest.

What is not followed to the horizon is extrapolated. Its 2^-L is multiplied, for each missing byte, by the factor by
which the sum grows from one byte to two: the mean over the followed bytes, weighted by their likelihood. For the first
missing byte of a single byte that is not followed, it is their median. With ``horizon=2`` and ``width=256`` the sum is
complete and nothing is estimated.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from gencomp.arguments import as_context, as_symbol
from gencomp.budget import StateCost
from gencomp.coding.logarithm import UNIT, code_length_of_sum, fixed_point
from gencomp.coding.quantize import cdf_from_weights, code_lengths_of_cdf, weights_of_code_lengths
from gencomp.equivalence.adapt import as_compressor
from gencomp.equivalence.capabilities import begin_scoring, environment_of, resolution_of, state_cost, window_of
from gencomp.equivalence.compressor import ArithmeticCompressor
from gencomp.equivalence.nested import joined, separated
from gencomp.equivalence.predictor import CANDIDATES
from gencomp.protocols import Compressor, FloatArray, IntArray, ScorerState
from gencomp.registry import spec_of

MAX_HORIZON = 64
_NODE_BYTES, _NODE_SECONDS = 1 << 13, 3e-3  # for a node's code lengths, and their sum
_COPY_SECONDS, _FIND_SECONDS = 2e-10, 3e-8  # for each byte of a state that is copied, and of a prefix that is searched
LONGEST_CONTEXT = 32  # bytes at the prefix's end whose earlier occurrences are sought


def spans_after(prefix: bytes, horizon: int, limit: int) -> list[bytes]:
    """Return up to ``limit`` spans of at most ``horizon`` bytes that followed where the end of ``prefix`` occurred.

    The longest common ends come first, and among equals the latest. A span that reaches the prefix's end repeats
    itself, as an overlapping match of LZ77 does (Ziv and Lempel 1977).
    """
    spans: dict[int, bytes] = {}
    size = len(prefix)
    for length in range(min(LONGEST_CONTEXT, size - 1), 0, -1):
        end = prefix[size - length :]
        found = prefix.rfind(end, 0, size - 1)
        while found >= 0 and len(spans) < limit:
            start = found + length
            if start not in spans:
                piece = prefix[start : start + horizon]
                spans[start] = (piece * horizon)[:horizon]
            found = prefix.rfind(end, 0, start - 1)
        if len(spans) == limit:
            break
    return list(dict.fromkeys(spans.values()))


@dataclass(frozen=True)
class Lookahead:
    """A codec as a predictor that sums over continuations of ``horizon`` bytes, 1 to 64.

    ``model`` is a spec or an object. ``width``, 1 to 256, is the number of single bytes that are followed, and
    ``spans``, 0 to 256, that of earlier continuations. Each followed byte takes 256 code lengths. Raises ``ValueError``
    on values outside these, and on a predictor as ``model``.
    """

    model: str | Compressor = "gzip+level=9"
    horizon: int = 8
    width: int = 32
    spans: int = 8

    spec_argument: ClassVar[str] = "model"

    def __post_init__(self) -> None:
        for name, low, high in (("horizon", 1, MAX_HORIZON), ("width", 1, 256), ("spans", 0, 256)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} must be from {low} to {high}, got {value}")
        compressor = self.compressor
        if isinstance(compressor, ArithmeticCompressor):
            raise ValueError(
                f"{self.model} is a predictor, whose probabilities a longer sum would not change; expected a codec"
            )
        with suppress(ValueError):  # an object that no spec names stays what it is
            object.__setattr__(self, "model", joined([spec_of(compressor, full=True)]))

    @property
    def alphabet_size(self) -> int:
        return 256

    @cached_property
    def compressor(self) -> Compressor:
        if not isinstance(self.model, str):
            return as_compressor(self.model)
        specs = separated(self.model)
        if len(specs) != 1:
            raise ValueError(f"expected one codec, got {', '.join(specs)}; ensemble: takes several")
        return as_compressor(specs[0])

    @property
    def window(self) -> int | None:
        return window_of(self.compressor)

    @property
    def resolution(self) -> str:
        return resolution_of(self.compressor)

    def begin(self, context: Sequence[int] = ()) -> "LookaheadState":
        context = bytes(as_context(context))
        return LookaheadState(self, begin_scoring(self.compressor, context), context)

    def environment(self) -> Mapping[str, Any]:
        return environment_of(self.compressor)

    def state_cost(self, size: int) -> StateCost:
        """Return what a state takes: a step asks the codec at each node of the tree, and looks for spans."""
        codec = state_cost(self.compressor, size + self.horizon)
        nodes = 1 + (self.width + self.spans * (self.horizon - 1) if self.horizon > 1 else 0)
        scratch = codec.scratch + self.horizon * codec.held + nodes * _NODE_BYTES
        search = (LONGEST_CONTEXT * size) * _FIND_SECONDS if self.spans and self.horizon > 1 else 0.0
        copying = codec.held * _COPY_SECONDS
        step = nodes * (codec.step + copying + _NODE_SECONDS) + search
        return StateCost(codec.held + size, scratch, codec.begin, step, nodes * codec.kept)


class LookaheadState:
    """A codec after a prefix; the marginal is computed on demand, and kept until the next update."""

    def __init__(self, lookahead: Lookahead, scorer: ScorerState, prefix: bytes) -> None:
        self._lookahead = lookahead
        self._scorer = scorer
        self._prefix = prefix
        self._cdf: IntArray | None = None

    def cdf(self) -> IntArray:
        """Return the integer cdf; but for rounding code lengths to 2^-16 bit, all is integer arithmetic."""
        if self._cdf is None:
            lengths = self.marginal()
            self._cdf = cdf_from_weights(weights_of_code_lengths((lengths - lengths.min()) / UNIT))
        return self._cdf

    def code_lengths(self) -> FloatArray:
        return code_lengths_of_cdf(self.cdf())

    def marginal(self) -> IntArray:
        """Return -log2 of M(byte), not normalised: int64 (256,) in 2^-16 bit."""
        options = self._lookahead
        alone = _priced(self._scorer)
        if options.horizon == 1:
            return alone
        likeliest = np.argsort(alone, kind="stable")[: options.width]
        spans = spans_after(self._prefix, options.horizon, options.spans)
        tree = _Tree()
        for symbol in likeliest:
            tree.child(int(symbol))
        for span in spans:
            tree.add(span[: options.horizon - 1])
        tree.price(self._scorer, alone)
        followed = np.array(sorted(tree.children), dtype=np.int64)
        gains = np.array([alone[symbol] - code_length_of_sum(tree.children[symbol].priced) for symbol in followed])
        likelihoods = weights_of_code_lengths((alone[followed] - alone.min()) / UNIT)
        total = sum(int(likelihood) * int(gain) for likelihood, gain in zip(likelihoods, gains, strict=True))
        growth = total // int(likelihoods.sum())
        sums = tree.sums(options.horizon - 1, growth)
        unfollowed = np.setdiff1d(np.arange(256), followed)
        sums[unfollowed] -= int(np.sort(gains)[len(gains) // 2]) - growth
        return sums

    def update(self, symbol: int) -> None:
        piece = CANDIDATES[as_symbol(symbol)]
        self._scorer.feed(piece)
        self._prefix += piece
        self._cdf = None

    def copy(self) -> Self:
        twin = type(self)(self._lookahead, self._scorer.copy(), self._prefix)
        twin._cdf = self._cdf
        return twin


class _Tree:
    """A followed continuation: the code lengths of its 256 extensions, and the extensions that are followed in turn."""

    def __init__(self) -> None:
        self.children: dict[int, _Tree] = {}
        self.priced: IntArray = np.empty(0, dtype=np.int64)

    def child(self, symbol: int) -> "_Tree":
        return self.children.setdefault(symbol, _Tree())

    def add(self, continuation: bytes) -> None:
        """Follow a continuation and all its beginnings."""
        node = self
        for symbol in continuation:
            node = node.child(symbol)

    def price(self, scorer: ScorerState, priced: IntArray | None = None) -> None:
        """Ask ``scorer``, which has read this node's continuation, for the code lengths here and below."""
        self.priced = _priced(scorer) if priced is None else priced
        for symbol, child in self.children.items():
            branch = scorer.copy()
            branch.feed(CANDIDATES[symbol])
            child.price(branch)

    def sums(self, missing: int, growth: int) -> IntArray:
        """Return -log2 of M for each extension, ``missing`` bytes short of the horizon: int64 (256,) in 2^-16 bit."""
        sums = self.priced - growth * missing
        for symbol, child in self.children.items():
            sums[symbol] = code_length_of_sum(child.sums(missing - 1, growth))
        return sums


def _priced(scorer: ScorerState) -> IntArray:
    return fixed_point(scorer.code_lengths(CANDIDATES))
