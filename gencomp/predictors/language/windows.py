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


def sequence_code_lengths(
    model: "PreTrainedModel", texts: Sequence[Symbols], *, start: int, context: int, stride: int
) -> list[FloatArray]:
    """Return -log2 p of every symbol of every text, float64 (n,) each, in bits. The caller holds the settings."""
    code_lengths = [np.empty(len(text), dtype=np.float64) for text in texts]
    windows = [
        window
        for index, text in enumerate(texts)
        if len(text)
        for window in _windows(index, len(text), context, stride)
    ]
    windows.sort(key=lambda window: window.positions)
    for positions, alike in groupby(windows, key=lambda window: window.positions):
        for batch in _batched(alike, max(1, _CALL_POSITIONS // positions)):
            _measure(model, texts, batch, start, code_lengths)
    return code_lengths


def _measure(
    model: "PreTrainedModel", texts: Sequence[Symbols], windows: Sequence[_Window], start: int, out: list[FloatArray]
) -> None:
    """Write the code lengths of windows with equally many positions into ``out``."""
    symbols = np.stack([texts[window.text][window.begin : window.last] for window in windows])
    inputs = np.hstack([np.full((len(symbols), 1), start, dtype=np.int64), symbols[:, :-1]])
    logits = whole_logits(model, torch.from_numpy(inputs).to(model.device))
    targets = torch.from_numpy(symbols).to(model.device)
    nats = torch.nn.functional.cross_entropy(logits.float().transpose(1, 2), targets, reduction="none")
    bits = nats.double().cpu().numpy() / np.log(2)
    for window, row in zip(windows, bits, strict=True):
        out[window.text][window.first : window.last] = row[window.first - window.begin :]
