"""Direction 2: a compressor's code lengths, read as the probabilities of a predictor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from gencomp.arguments import as_context, as_symbol
from gencomp.budget import StateCost
from gencomp.coding.quantize import cdf_from_weights, weights_of_code_lengths
from gencomp.equivalence.capabilities import begin_scoring, environment_of, state_cost
from gencomp.protocols import Compressor, FloatArray, IntArray, ScorerState

CANDIDATES = tuple(bytes([symbol]) for symbol in range(256))


def normalized(code_lengths: FloatArray) -> FloatArray:
    """Return code lengths (n,) in bits, shifted so that their Kraft sum is 1: -log2 of 2^-l / sum of 2^-l."""
    relative = code_lengths - code_lengths.min()
    return np.asarray(relative + np.log2(np.exp2(-relative).sum()))


@dataclass(frozen=True)
class CodeLengthPredictor:
    """A compressor as a predictor (Delétang et al. 2024, section 2):

        p(byte | prefix) = 2^(L(prefix) - L(prefix + byte)) / Kraft sum

    L is the compressor's code length. The Kraft sum of a real format's 256 differences is not 1; dividing by it makes
    them a distribution. :meth:`CodeLengthState.kraft_sum` returns it.
    """

    compressor: Compressor

    @property
    def alphabet_size(self) -> int:
        return 256

    def begin(self, context: Sequence[int] = ()) -> "CodeLengthState":
        return CodeLengthState(begin_scoring(self.compressor, bytes(as_context(context))))

    def environment(self) -> Mapping[str, Any]:
        return environment_of(self.compressor)

    def state_cost(self, size: int) -> StateCost:
        return state_cost(self.compressor, size)


class CodeLengthState:
    """A compressor after a prefix, asked for all 256 bytes at once; the answer is kept until the next update."""

    def __init__(self, scorer: ScorerState, candidate_lengths: FloatArray | None = None) -> None:
        self._scorer = scorer
        self._candidate_lengths = candidate_lengths

    def candidate_code_lengths(self) -> FloatArray:
        """Return L(prefix + byte) in bits for each byte, float64 (256,), as the compressor charges them."""
        if self._candidate_lengths is None:
            self._candidate_lengths = self._scorer.code_lengths(CANDIDATES)
        return self._candidate_lengths

    def prefix_code_length(self) -> float:
        """Return L(prefix) in bits."""
        return float(self._scorer.code_lengths([b""])[0])

    def growths(self) -> FloatArray:
        """Return L(prefix + byte) - L(prefix) in bits for each byte, float64 (256,)."""
        return np.asarray(self.candidate_code_lengths() - self.prefix_code_length())

    def kraft_sum(self) -> float:
        """Return the sum over the bytes of 2^-(L(prefix + byte) - L(prefix)); 1 for a true code."""
        return float(np.exp2(-self.growths()).sum())

    def code_lengths(self) -> FloatArray:
        return normalized(self.candidate_code_lengths())

    def cdf(self) -> IntArray:
        """Return the integer cdf: whole-bit lengths reach the coder without any floating-point rounding."""
        lengths = self.candidate_code_lengths()
        return cdf_from_weights(weights_of_code_lengths(lengths - lengths.min()))

    def update(self, symbol: int) -> None:
        self._scorer.feed(CANDIDATES[as_symbol(symbol)])
        self._candidate_lengths = None

    def copy(self) -> Self:
        return type(self)(self._scorer.copy(), self._candidate_lengths)
