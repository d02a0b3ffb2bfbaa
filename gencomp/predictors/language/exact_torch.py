"""Integer models in torch, with the same bits: windows of many texts at once, and lanes in lockstep."""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gencomp.errors import GencompError
from gencomp.inference.products import Int32Array
from gencomp.inference.tiles import padded
from gencomp.inference.transformer_torch import (
    TorchCache,
    TorchNetwork,
    exponentials,
    intervals,
    token_weights,
)
from gencomp.predictors.language.exact_lanes import Costs, Keyed, LaneModel, Lockstep, Symbols, loaded, text_windows
from gencomp.predictors.language.settings import DeviceError

if TYPE_CHECKING:
    from gencomp.protocols import IntArray

P = ParamSpec("P")
R = TypeVar("R")

_MOST_NUMBERS = 1 << 25  # of a tensor in a step, int64; about ten such tensors are held at a time


class DeviceMemoryError(GencompError):
    """A device has too little memory for a model or its lanes; one line."""

    exit_code = 4


def told(function: Callable[P, R]) -> Callable[P, R]:
    """Run ``function`` without gradients; if the device's memory is exhausted, raise :class:`DeviceMemoryError`."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            with torch.inference_mode():
                return function(*args, **kwargs)
        except torch.OutOfMemoryError as error:
            raise DeviceMemoryError(
                "the device has too little memory for this model, context and number of lanes; "
                f"lower context or batch, or use device=cpu: {str(error).splitlines()[0][:200]}"
            ) from None

    return run


@functools.lru_cache(maxsize=2)
@told
def network_on(device: str, keyed: Keyed) -> TorchNetwork:
    """Return a model's network on a device, of which the last two are kept."""
    found = loaded(keyed)
    return TorchNetwork(found.network._replace(embedding=found.embedding.table()), found_device(device))


def found_device(device: str) -> str:
    """Return ``device``; raise :class:`~gencomp.predictors.language.settings.DeviceError` if it is not available."""
    if device == "cuda" and not torch.cuda.is_available():
        raise DeviceError("device cuda is not available here; use cpu, or a torch and a machine with CUDA")
    return device


@dataclass(frozen=True)
class _Window:
    """Symbols [first, last) of text ``number`` are predicted from the start symbol and those from ``begin`` on."""

    number: int
    begin: int
    first: int
    last: int

    @property
    def length(self) -> int:
        return self.last - self.begin


def _read(
    model: LaneModel, texts: Sequence[Symbols]
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Tensor]]:
    """Yield (numbers, places, logits) for all symbols of all texts, some at a time.

    ``numbers`` and ``places`` (n,) are the symbols' texts and their places there; ``logits`` (n, V), on the device, are
    those before the symbols. Windows are read in batches, the longest first, and padded to the longest of a batch: a
    position does not depend on what follows it.
    """
    network = model.torch_network
    rows = max(1, _MOST_NUMBERS // int(model.network.matrices[:-1, 2].max()))
    predicted = max(1, _MOST_NUMBERS // model.vocabulary_size)
    windows = [
        _Window(number, *window)
        for number, text in enumerate(texts)
        if len(text)
        for window in text_windows(len(text), model.context, model.stride)
    ]
    windows.sort(key=lambda window: -window.length)
    at = 0
    while at < len(windows):
        longest = windows[at].length
        batch = windows[at : at + max(1, rows // longest)]
        at += len(batch)
        tokens = np.full((len(batch), longest), model.start, dtype=np.int64)
        for row, window in zip(tokens, batch, strict=True):
            row[1 : window.length] = texts[window.number][window.begin : window.last - 1]
        cache = network.new_cache(len(batch), longest)
        moved = torch.from_numpy(tokens).to(network.device)
        step = max(1, rows // len(batch))
        streams = [network.read(cache, moved[:, first : first + step], first) for first in range(0, longest, step)]
        stream = torch.cat(streams, 1)
        wanted = [stream[row, window.first - window.begin : window.length] for row, window in enumerate(batch)]
        numbers = np.concatenate([np.full(window.last - window.first, window.number) for window in batch])
        places = np.concatenate([np.arange(window.first, window.last) for window in batch])
        flat = torch.cat(wanted)
        for first in range(0, len(flat), predicted):
            piece = slice(first, first + predicted)
            yield numbers[piece], places[piece], network.logits(flat[piece])


def _chosen(texts: Sequence[Symbols], numbers: Symbols, places: Symbols) -> Symbols:
    """Return the symbols at ``places`` of texts ``numbers``."""
    return np.array([texts[number][place] for number, place in zip(numbers, places, strict=True)], dtype=np.int64)


@told
def sequence_costs(model: LaneModel, texts: Sequence[Symbols]) -> list[Costs]:
    """Return the costs of every text (n,), the same as on a CPU."""
    found = [Costs(np.empty(len(text)), np.empty(len(text), dtype=np.bool_)) for text in texts]
    for numbers, places, logits in _read(model, texts):
        symbols = torch.from_numpy(_chosen(texts, numbers, places)).to(logits.device)[:, None]
        totals = exponentials(logits).sum(-1).cpu().numpy()
        below = (logits.amax(-1) - logits.gather(1, symbols)[:, 0]).cpu().numpy()
        likeliest = (logits.argmax(-1) == symbols[:, 0]).cpu().numpy()
        bits = below / 65536 + np.log2(totals) - 30  # logits are Q16, their powers Q30
        for number in np.unique(numbers):
            own = numbers == number
            found[number].code_lengths[places[own]] = bits[own]
            found[number].likeliest[places[own]] = likeliest[own]
    return found


@told
def token_intervals(
    model: LaneModel,
    lanes: Sequence[Symbols],
    escapes: tuple[int, int],
    kinds: int,
    precision: int,
    advance: Callable[[int], None],
) -> "list[IntArray]":
    """Return the interval of each symbol in its cdf: int64 (n, 2) for each of ``lanes`` (n,).

    Symbols from V on are ``kinds`` escapes. Together they weigh ``escapes``, without and with an escape before them, in
    units of 2^-30. ``advance`` is told how many symbols were read.
    """
    size = model.vocabulary_size
    texts = [np.where(lane >= size, model.start, lane) for lane in lanes]
    follows = [np.append(False, lane >= size)[: len(lane)].astype(np.int64) for lane in lanes]
    found = [np.empty((len(lane), 2), dtype=np.int64) for lane in lanes]
    for numbers, places, logits in _read(model, texts):
        symbols, escaped = (
            torch.from_numpy(_chosen(which, numbers, places)).to(logits.device) for which in (lanes, follows)
        )
        weights = token_weights(logits, escaped > 0, escapes, kinds)
        pairs = intervals(weights, symbols, precision).cpu().numpy()
        for number in np.unique(numbers):
            own = numbers == number
            found[number][places[own]] = pairs[own]
        advance(len(numbers))
    return found


class TorchLockstep(Lockstep):
    """A model over independent texts, computed by torch; keys and values lie on its device."""

    _kept: TorchCache

    @told
    def _open(self, positions: int) -> None:
        self._kept = self._model.torch_network.new_cache(self._lanes, positions)

    @told
    def _grow(self, positions: int) -> None:
        old = self._kept
        self._kept = self._model.torch_network.new_cache(self._lanes, padded(positions, 64))
        for part, more in zip(old, self._kept, strict=True):
            kept = min(part.shape[3], more.shape[3])
            more[:, :, :, :kept] = part[:, :, :, :kept]

    @told
    def _read_rows(self, begin: int, end: int) -> None:
        model, network = self._model, self._model.torch_network
        widest = int(model.network.matrices[:-1, 2].max())
        step = max(1, _MOST_NUMBERS // (widest * self._lanes))
        for first in range(begin, end, step):
            tokens = torch.from_numpy(self._history[:, first : min(end, first + step)].copy()).to(network.device)
            stream = network.read(self._kept, tokens, first)
        predicted = max(1, _MOST_NUMBERS // model.vocabulary_size)
        for lane in range(0, self._lanes, predicted):
            found: Int32Array = network.logits(stream[lane : lane + predicted, -1]).int().cpu().numpy()
            self.logits[lane : lane + predicted] = found

    def _fork(self, twin: Self) -> None:
        twin._kept = TorchCache(*(part.clone() for part in self._kept))
