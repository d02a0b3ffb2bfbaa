"""Whole texts at once, to measure: the windows that the lockstep would see, many positions a call.

Its floats differ from the lockstep's in their last bits, so nothing is ever encoded with them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from gencomp.predictors.language.forward import whole_logits
from gencomp.protocols import FloatArray

if TYPE_CHECKING:
    from transformers import PreTrainedModel

BoolArray = npt.NDArray[np.bool_]

# positions of one call: enough to fill the matrix products, little enough that logits fit
_CALL_POSITIONS = 1 << 14
_MOST_PADDED = 1.25  # times the shortest window of a call, its longest

Symbols = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Window:
    """Symbols [first, last) of a text, predicted from the start symbol and the symbols from ``begin`` on."""

    text: int
    begin: int
    first: int
    last: int

    @property
    def positions(self) -> int:
        return self.last - self.begin


def _batches(windows: Sequence[_Window]) -> Iterator[list[_Window]]:
    """Yield windows of much the same length, as many as one call takes."""
    batch: list[_Window] = []
    for window in sorted(windows, key=lambda window: window.positions):
        full = (len(batch) + 1) * window.positions > _CALL_POSITIONS
        if batch and (full or window.positions > _MOST_PADDED * batch[0].positions):
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch


def _windows(text: int, length: int, context: int, stride: int) -> Iterator[_Window]:
    yield _Window(text, 0, 0, min(length, context))
    for first in range(context, length, stride):
        yield _Window(text, first - (context - stride), first, min(length, first + stride))


@dataclass(frozen=True)
class Costs:
    """A text under a model: -log2 p of each symbol in bits, float64 (n,), and whether it is the likeliest one, (n,)."""

    code_lengths: FloatArray
    likeliest: BoolArray


def sequence_costs(
    model: "PreTrainedModel", texts: Sequence[Symbols], *, start: int, context: int, stride: int
) -> list[Costs]:
    """Return what every symbol of every text, (n,), costs. The caller holds the settings."""
    costs = [Costs(np.empty(len(text), dtype=np.float64), np.empty(len(text), dtype=np.bool_)) for text in texts]
    windows = [
        window
        for index, text in enumerate(texts)
        if len(text)
        for window in _windows(index, len(text), context, stride)
    ]
    for batch in _batches(windows):
        _measure(model, texts, batch, start, costs)
    return costs


def _measure(
    model: "PreTrainedModel", texts: Sequence[Symbols], windows: Sequence[_Window], start: int, out: list[Costs]
) -> None:
    """Write what the symbols of windows cost into ``out``. Shorter ones are filled up at their ends, which no
    earlier position sees.
    """
    symbols = np.full((len(windows), max(window.positions for window in windows)), start, dtype=np.int64)
    for row, window in zip(symbols, windows, strict=True):
        row[: window.positions] = texts[window.text][window.begin : window.last]
    inputs = np.hstack([np.full((len(symbols), 1), start, dtype=np.int64), symbols[:, :-1]])
    logits = whole_logits(model, torch.from_numpy(inputs).to(model.device)).float()
    targets = torch.from_numpy(symbols).to(model.device)
    nats = torch.nn.functional.cross_entropy(logits.transpose(1, 2), targets, reduction="none")
    bits = nats.double().cpu().numpy() / np.log(2)
    likeliest = (logits.argmax(-1) == targets).cpu().numpy()
    for window, row, likely in zip(windows, bits, likeliest, strict=True):
        own = slice(window.first - window.begin, window.positions)
        out[window.text].code_lengths[window.first : window.last] = row[own]
        out[window.text].likeliest[window.first : window.last] = likely[own]
