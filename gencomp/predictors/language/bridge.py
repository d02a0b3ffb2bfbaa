"""From tokens to bytes: the distribution of the next byte under a model of tokens.

A text has many tokenisations; p(bytes) is a sum over all that cover it (Vieira et al. 2024, "From Language Models over
Tokens to Characters"). A **hypothesis** is a sequence of whole tokens and the first bytes of one more; its mass is the
probability of all token sequences that begin so. A byte splits a hypothesis: the token ends with it, or goes on. The
``BEAM`` heaviest hypotheses are kept, and their masses normalised, so that the distribution sums to 1 whatever was
dropped.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from gencomp.arguments import as_symbol
from gencomp.coding.quantize import cdf_from_pmf
from gencomp.predictors.language.causal import CausalModel
from gencomp.predictors.language.tokens import TokenCode
from gencomp.protocols import FloatArray, IntArray

if TYPE_CHECKING:
    from gencomp.predictors.language.exact import ExactModel
    from gencomp.predictors.language.exact_lanes import Lockstep as ExactLockstep
    from gencomp.predictors.language.lockstep import Lockstep

BEAM = 4
# of the heaviest hypothesis: lighter ones are dropped, since each costs a call of the model when its token ends
_LEAST_SHARE = 1e-3
# of a uniform distribution, so that bytes that begin no token remain possible; it costs 0.0004 bits a byte
_UNIFORM_SHARE = 2.0**-12
# a context's last tokens, which are read byte by byte: with what follows, the text may be cut elsewhere
_OPEN_TOKENS = 2


class TokenTable:
    """The tokens sorted by their bytes, so that those with a common prefix are neighbours."""

    def __init__(self, code: TokenCode) -> None:
        pairs = sorted((token, id_) for id_, token in enumerate(code.token_bytes) if token)
        self._tokens = [token for token, _ in pairs]
        self.order = np.array([id_ for _, id_ in pairs], dtype=np.int64)
        self._bounds: dict[bytes, npt.NDArray[np.int64]] = {}

    def bounds(self, prefix: bytes) -> npt.NDArray[np.int64]:
        """Return bounds, int64 (257,): the tokens at [bounds[b], bounds[b + 1]) begin with ``prefix`` and byte b."""
        if prefix not in self._bounds:
            edges = [bisect_left(self._tokens, prefix + bytes([byte])) for byte in range(256)]
            ahead = prefix.rstrip(b"\xff")  # this, with its last byte raised, is the least string beyond the prefix
            end = bisect_left(self._tokens, ahead[:-1] + bytes([ahead[-1] + 1])) if ahead else len(self._tokens)
            self._bounds[prefix] = np.array([*edges, end], dtype=np.int64)
        return self._bounds[prefix]


@dataclass
class Hypothesis:
    """Whole tokens, and ``pending``, the first bytes of one more; ``weight`` is the probability of the whole tokens."""

    weight: float
    before: "Lockstep | ExactLockstep"
    token: int | None  # the last whole token if ``before`` has not read it, else None
    pending: bytes
    table: TokenTable

    @cached_property
    def lockstep(self) -> "Lockstep | ExactLockstep":
        """The model after the whole tokens."""
        if self.token is None:
            return self.before
        after = self.before.copy()
        after.feed(np.array([self.token], dtype=np.int64))
        return after

    @cached_property
    def cumulative(self) -> FloatArray:
        """Sums of the next token's probabilities over the table's first 0, 1, ... tokens, (n + 1,), ending at 1."""
        probabilities = self.lockstep.probabilities()[0].astype(np.float64)[self.table.order]
        return np.concatenate([[0.0], np.cumsum(probabilities / probabilities.sum())])

    def next_byte(self) -> FloatArray:
        """Return the weight of each next byte, float64 (256,)."""
        return np.asarray(self.weight * np.diff(self.cumulative[self.table.bounds(self.pending)]))

    def after(self, byte: int) -> "Iterator[tuple[float, Hypothesis]]":
        """Yield (mass, hypothesis) for each way to continue with ``byte``: a token ends with it, or goes on."""
        longer = self.pending + bytes([byte])
        first = int(self.table.bounds(self.pending)[byte])
        extended = self.table.bounds(longer)
        for place in range(first, int(extended[0])):
            weight = self.weight * float(self.cumulative[place + 1] - self.cumulative[place])
            token = int(self.table.order[place])
            yield weight, Hypothesis(weight, self.lockstep, token, b"", self.table)
        mass = self.weight * float(self.cumulative[extended[256]] - self.cumulative[extended[0]])
        if mass > 0.0:
            going_on = Hypothesis(self.weight, self.lockstep, None, longer, self.table)
            going_on.__dict__["cumulative"] = self.cumulative
            yield mass, going_on


class ByteState:
    """A text under a model of tokens, as a predictor's state."""

    def __init__(self, causal: "CausalModel | ExactModel", table: TokenTable, hypotheses: list[Hypothesis]) -> None:
        self._causal = causal
        self._table = table
        self._hypotheses = hypotheses
        self._probabilities: FloatArray | None = None

    @classmethod
    def begin(cls, causal: "CausalModel | ExactModel", code: TokenCode, context: bytes, table: TokenTable) -> Self:
        """Return the state after ``context``; all but its last two tokens are those of the tokenizer."""
        symbols = code.encode(context)
        settled = max(0, len(symbols) - _OPEN_TOKENS)
        tail = context[len(code.decode(symbols[:settled])) :]
        with causal.settings.applied():
            lockstep = causal.begin(1)
            read = np.where(symbols[:settled] < code.vocabulary_size, symbols[:settled], causal.start)
            lockstep.feed_text(read[None])
        state = cls(causal, table, [Hypothesis(1.0, lockstep, None, b"", table)])
        for byte in tail:
            state.update(byte)
        return state

    def _distribution(self) -> FloatArray:
        """Return p of the next byte, float64 (256,)."""
        if self._probabilities is None:
            with self._causal.settings.applied():
                weights = np.sum([hypothesis.next_byte() for hypothesis in self._hypotheses], axis=0)
            total = self._sum(weights)
            share = _UNIFORM_SHARE if total > 0.0 else 1.0
            known = weights / total if total > 0.0 else weights
            self._probabilities = known * (1.0 - share) + share / 256
        return self._probabilities

    @staticmethod
    def _sum(weights: FloatArray) -> float:
        return float(weights.sum())

    def code_lengths(self) -> FloatArray:
        probabilities = self._distribution()
        return np.asarray(np.maximum(-np.log2(probabilities / probabilities.sum()), 0.0))

    def update(self, symbol: int) -> None:
        symbol = as_symbol(symbol)
        with self._causal.settings.applied():
            found = [pair for hypothesis in self._hypotheses for pair in hypothesis.after(symbol)]
            found.sort(key=lambda pair: -pair[0])
            kept = [pair for pair in found[:BEAM] if pair[0] >= _LEAST_SHARE * found[0][0]]
            if kept:
                total = sum(mass for mass, _ in kept)
                for _, hypothesis in kept:
                    hypothesis.weight /= total
                self._hypotheses = [hypothesis for _, hypothesis in kept]
            else:  # no token continues so: the model reads its start symbol in place of the byte
                before = self._hypotheses[0].lockstep
                self._hypotheses = [Hypothesis(1.0, before, self._causal.start, b"", self._table)]
        self._probabilities = None

    def copy(self) -> Self:
        # shared: hypotheses do not change once they are weighed, and a lockstep is copied before it reads on
        twin = type(self)(self._causal, self._table, self._hypotheses)
        twin._probabilities = self._probabilities
        return twin


class ExactByteState(ByteState):
    """A text under an integer model: the same cdf on every machine.

    Tokens' probabilities are multiples of 2^-30. What follows are single additions, multiplications and divisions in a
    fixed order, and sums that are exact before they are rounded.
    """

    @staticmethod
    def _sum(weights: FloatArray) -> float:
        return math.fsum(weights)

    def cdf(self) -> IntArray:
        """Return the integer cdf of the next byte."""
        return cdf_from_pmf(self._distribution())
