"""Measuring whole texts: the windows that the lockstep would see, many positions in a call.

The floats differ from the lockstep's in their last bits, so nothing is ever encoded with them.
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

_CALL_POSITIONS = 1 << 14  # of one call: enough for efficient matrix products, few enough for the logits to fit memory
_MOST_PADDED = 1.25  # the most that a call's longest window is, in lengths of its shortest

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
    """Yield windows of similar lengths, as many as one call takes."""
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
    """What a model says of a text: each symbol's -log2 p in bits, float64 (n,); whether it was the likeliest, (n,)."""

    code_lengths: FloatArray
    likeliest: BoolArray


def sequence_costs(
    model: "PreTrainedModel", texts: Sequence[Symbols], *, start: int, context: int, stride: int
) -> list[Costs]:
    """Return the costs of every text (n,). The caller must be inside the settings' ``applied()``."""
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
    """Write the costs of the windows' symbols into ``out``.

    Shorter windows are padded at the end, which earlier positions do not see.
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
