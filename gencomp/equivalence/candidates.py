"""What a model says of every possible next symbol: charges, probabilities, ties, entropy."""

from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np

from gencomp import markup
from gencomp.arguments import as_bytes
from gencomp.equivalence.adapt import Model, as_predictor
from gencomp.equivalence.predictor import CodeLengthState
from gencomp.labels import byte_label
from gencomp.protocols import Compressor, FloatArray, Predictor, PredictorState

_SHOWN = 16  # candidates in a notebook


def entropy(code_lengths: FloatArray) -> float:
    """Return the entropy in bits of the distribution 2^-code_lengths, (n,) with a Kraft sum of 1; inf means never."""
    likely = code_lengths[np.isfinite(code_lengths)]
    return float((np.exp2(-likely) * likely).sum())


@dataclass(frozen=True)
class Candidates:
    """The candidates for the next symbol. All lengths are in bits.

    ``charged``, float64 (n,), is what each candidate adds to a codec's code, and -log2 p for a predictor.
    ``code_lengths``, float64 (n,), are the same, normalised to a Kraft sum of 1.
    """

    charged: FloatArray
    code_lengths: FloatArray

    @cached_property
    def kraft_sum(self) -> float:
        """The sum of 2^-charged; 1 for a true code."""
        return float(np.exp2(-self.charged).sum())

    @cached_property
    def probabilities(self) -> FloatArray:
        """2^-code_length of each candidate, float64 (n,); they sum to 1."""
        return np.exp2(-self.code_lengths)

    def top(self, k: int) -> list[int]:
        """Return the ``k`` likeliest symbols, the likeliest first, equals in ascending order.

        Raises ``ValueError`` on k below 1.
        """
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        return [int(symbol) for symbol in np.argsort(self.code_lengths, kind="stable")[:k]]

    @cached_property
    def entropy(self) -> float:
        """The mean code length under the distribution itself, in bits."""
        return entropy(self.code_lengths)

    @cached_property
    def distinct_lengths(self) -> int:
        """How many different lengths there are; 1 where all candidates tie."""
        return len(set(self.charged.tolist()))  # np.unique would import numpy.ma

    def cheaper(self, symbol: int) -> int:
        """Return the number of candidates that are charged less than ``symbol``."""
        return int((self.charged < self.charged[symbol]).sum())

    def ties(self, symbol: int) -> int:
        """Return the number of candidates that are charged the same as ``symbol``, itself among them."""
        return int((self.charged == self.charged[symbol]).sum())

    def _repr_html_(self) -> str:
        """Return the likeliest candidates as a table with bars, for a notebook."""
        likeliest = self.top(_SHOWN)
        most = float(self.probabilities[likeliest[0]])
        rows: list[list[str | int | float]] = []
        for symbol in likeliest:
            probability = float(self.probabilities[symbol])
            name = byte_label(symbol) if len(self.charged) <= 256 else str(symbol)
            bars = markup.Raw(markup.bar(probability / most))
            rows.append([name, float(self.charged[symbol]), probability, bars])
        heads = ("next", "bits charged", "probability", "")
        caption = (
            f"The likeliest {len(likeliest)} of {len(self.charged):,}; Kraft sum {self.kraft_sum:.4g}, "
            f"entropy {self.entropy:.3f} bits"
        )
        return markup.piece(markup.table(caption, heads, rows))


def candidates(model: Model | PredictorState, given: bytes = b"") -> Candidates:
    """Return what ``model``, a spec or an object of either kind, says of the byte after ``given``.

    ``model`` may also be a state, as a predictor's ``begin`` returns it. It stays where it is: a copy reads ``given``.

        >>> candidates("gzip", b"abcabcab").top(1)
        [99]
    """
    given = as_bytes(given, "what is given")
    if isinstance(model, str | Predictor | Compressor) or not hasattr(model, "code_lengths"):
        return candidates_of(as_predictor(cast(Model, model)).begin(given))
    state = model.copy() if given else model
    for symbol in given:
        state.update(symbol)
    return candidates_of(state)


def candidates_of(state: PredictorState) -> Candidates:
    """Return the candidates after the context of ``state``."""
    if isinstance(state, CodeLengthState):
        return Candidates(state.growths(), state.code_lengths())
    code_lengths = state.code_lengths()
    return Candidates(code_lengths, code_lengths)
