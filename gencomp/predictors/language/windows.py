"""Whole texts at once, to measure: the windows that the lockstep would see, many positions a call.

Its floats differ from the lockstep's in their last bits, so nothing is ever encoded with them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
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


def _batched(items: Iterable[_Window], size: int) -> Iterator[tuple[_Window, ...]]:
    iterator = iter(items)
    while batch := tuple(islice(iterator, size)):
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
    windows.sort(key=lambda window: window.positions)
    for positions, alike in groupby(windows, key=lambda window: window.positions):
        for batch in _batched(alike, max(1, _CALL_POSITIONS // positions)):
            _measure(model, texts, batch, start, costs)
    return costs


def _measure(
    model: "PreTrainedModel", texts: Sequence[Symbols], windows: Sequence[_Window], start: int, out: list[Costs]
) -> None:
    """Write what the symbols of windows with equally many positions cost into ``out``."""
    symbols = np.stack([texts[window.text][window.begin : window.last] for window in windows])
    inputs = np.hstack([np.full((len(symbols), 1), start, dtype=np.int64), symbols[:, :-1]])
    logits = whole_logits(model, torch.from_numpy(inputs).to(model.device)).float()
    targets = torch.from_numpy(symbols).to(model.device)
    nats = torch.nn.functional.cross_entropy(logits.transpose(1, 2), targets, reduction="none")
    bits = nats.double().cpu().numpy() / np.log(2)
    likeliest = (logits.argmax(-1) == targets).cpu().numpy()
    for window, row, likely in zip(windows, bits, likeliest, strict=True):
        own = slice(window.first - window.begin, None)
        out[window.text].code_lengths[window.first : window.last] = row[own]
        out[window.text].likeliest[window.first : window.last] = likely[own]
