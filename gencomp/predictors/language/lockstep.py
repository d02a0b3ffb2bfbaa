"""Lanes in lockstep: one call of the model predicts the next symbol of every lane.

Encoder and decoder make exactly these calls, with the same shapes in the same order, so both see the same
floating-point numbers (the twin rule). A call's shape depends only on the number of lanes and the position.
"""

import copy

import numpy as np
import numpy.typing as npt
import torch

from gencomp.predictors.language.forward import Forward

FloatRows = npt.NDArray[np.float32]


class Lockstep:
    """A causal language model over ``lanes`` independent texts, each symbol predicted from those before it.

    A text begins with the symbol ``start``. Whenever ``context`` positions are full, every ``stride`` symbols, the
    model reads ``start`` and the last ``context - stride`` symbols anew: a prediction sees at least these. The caller
    must be inside :meth:`~gencomp.predictors.language.settings.Settings.applied`.
    """

    def __init__(self, forward: Forward, lanes: int, *, start: int, context: int, stride: int) -> None:
        self._forward = forward
        self._start = start
        self._context = context
        self._stride = stride
        self._history = np.full((lanes, context), start, dtype=np.int64)  # the symbols in the model's memory
        self._length = 0
        self._read(self._history[:, :1])

    def _read(self, symbols: npt.NDArray[np.int64]) -> None:
        """Begin anew with ``symbols`` (lanes, n), in one call."""
        self._memory = self._forward.begin(self._context)
        self._history[:, : symbols.shape[1]] = symbols
        self._length = symbols.shape[1]
        self._call(symbols)

    def _call(self, symbols: npt.NDArray[np.int64]) -> None:
        logits = self._memory.read(torch.from_numpy(np.ascontiguousarray(symbols)))
        self._probabilities: FloatRows = torch.softmax(logits.float(), -1).cpu().numpy()

    def probabilities(self) -> FloatRows:
        """Return p(symbol | lane so far), float32 (lanes, vocabulary_size)."""
        return self._probabilities

    def feed(self, symbols: npt.NDArray[np.int64]) -> None:
        """Append one symbol to each lane, int64 (lanes,)."""
        if self._length < self._context:
            self._history[:, self._length] = symbols
            self._length += 1
            self._call(symbols[:, None])
        else:
            self._begin_with(np.hstack([self._history[:, 1:], symbols[:, None]]), self._context - self._stride)

    def feed_text(self, symbols: npt.NDArray[np.int64]) -> None:
        """Append ``symbols`` (lanes, n) in one call, which sees what the last of n single steps would see."""
        text = np.hstack([self._history[:, 1 : self._length], symbols])
        beyond = text.shape[1] - self._context  # symbols after the first one that did not fit, or below 0
        length = text.shape[1] if beyond < 0 else self._context - self._stride + beyond % self._stride
        self._begin_with(text, length)

    def _begin_with(self, text: npt.NDArray[np.int64], length: int) -> None:
        """Read the start symbol and the last ``length`` symbols of ``text``."""
        start = np.full((len(text), 1), self._start, dtype=np.int64)
        self._read(np.hstack([start, text[:, text.shape[1] - length :]]))

    def copy(self) -> "Lockstep":
        """Return an independent copy."""
        twin = copy.copy(self)
        twin._history = self._history.copy()
        twin._memory = self._memory.copy()
        return twin
