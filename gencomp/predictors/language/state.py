"""A text under a model of bytes, as a predictor's state."""

from typing import TYPE_CHECKING, Self

import numpy as np

from gencomp.arguments import as_symbol
from gencomp.coding.quantize import cdf_from_pmf
from gencomp.predictors.language.settings import Settings
from gencomp.protocols import FloatArray, IntArray

if TYPE_CHECKING:
    from gencomp.predictors.language.lockstep import Lockstep


class LanguageState:
    """A lockstep of one lane."""

    def __init__(self, lockstep: "Lockstep", settings: Settings) -> None:
        self._lockstep = lockstep
        self._settings = settings

    def code_lengths(self) -> FloatArray:
        probabilities = np.maximum(self._lockstep.probabilities()[0].astype(np.float64), np.finfo(np.float64).tiny)
        return np.asarray(np.maximum(-np.log2(probabilities / probabilities.sum()), 0.0))

    def cdf(self) -> IntArray:
        """Return the integer cdf of the model's own float32 probabilities."""
        return cdf_from_pmf(self._lockstep.probabilities()[0])

    def update(self, symbol: int) -> None:
        with self._settings.applied():
            self._lockstep.feed(np.array([as_symbol(symbol)], dtype=np.int64))

    def copy(self) -> Self:
        return type(self)(self._lockstep.copy(), self._settings)
