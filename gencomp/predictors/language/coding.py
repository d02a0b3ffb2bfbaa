"""Coding a block in lanes: contiguous parts of the block, coded side by side as one batch of the model."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from gencomp.coding.lanes import LaneDecoder, LaneEncoder
from gencomp.progress import advance

Symbols = npt.NDArray[np.int64]

# the least length of a lane: each starts from an empty context, which costs short lanes too much
MIN_LANE_SYMBOLS = 4096


class BatchModel(Protocol):
    """The distribution of the next symbol in each of several texts."""

    def probabilities(self) -> npt.NDArray[np.float32]:
        """Return p(symbol | lane so far), float32 (lanes, alphabet_size)."""

    def feed(self, symbols: Symbols) -> None:
        """Append one symbol to each lane, int64 (lanes,)."""


BeginBatch = Callable[[int], BatchModel]
"""From a number of lanes to the model of as many empty lanes."""


def lanes_for(count: int, batch: int, shortest: int | None = None) -> int:
    """Return how many lanes a block of ``count`` symbols has: at most ``batch``, of at least ``shortest`` symbols.

    A single lane may be shorter. ``shortest`` is 4,096 by default.
    """
    return max(1, min(batch, count // (MIN_LANE_SYMBOLS if shortest is None else shortest)))


def lane_lengths(count: int, lanes: int) -> Symbols:
    """Return the lanes' lengths, int64 (lanes,), longer ones first; they differ by at most one."""
    shortest, longer = divmod(count, lanes)
    return shortest + (np.arange(lanes) < longer).astype(np.int64)


def encode_symbols(begin: BeginBatch, symbols: Symbols, batch: int, shortest: int | None = None) -> bytes:
    """Return the payload that codes ``symbols`` (n,) in as many lanes as :func:`lanes_for` says."""
    lanes = lanes_for(len(symbols), batch, shortest)
    lengths = lane_lengths(len(symbols), lanes)
    starts = np.cumsum(lengths) - lengths
    model = begin(lanes)
    encoder = LaneEncoder(lanes)
    for step in range(int(lengths[0])):
        active = int((lengths > step).sum())
        row = np.zeros(lanes, dtype=np.int64)  # lanes that have ended read zeros
        row[:active] = symbols[starts[:active] + step]
        encoder.encode(row[:active], model.probabilities()[:active])
        if step + 1 < lengths[0]:
            model.feed(row)
        advance(active / len(symbols))
    return encoder.finish()


def decode_symbols(begin: BeginBatch, payload: bytes, count: int, batch: int, shortest: int | None = None) -> Symbols:
    """Return the ``count`` symbols of a payload; the model is called just as the encoder called it.

    Raises :class:`~gencomp.errors.CorruptDataError` on a payload that no encoder wrote with this model.
    """
    lanes = lanes_for(count, batch, shortest)
    lengths = lane_lengths(count, lanes)
    starts = np.cumsum(lengths) - lengths
    decoder = LaneDecoder(payload, lanes)
    symbols = np.empty(count, dtype=np.int64)
    model = begin(lanes)
    for step in range(int(lengths[0])):
        active = int((lengths > step).sum())
        row = np.zeros(lanes, dtype=np.int64)
        row[:active] = decoder.decode(model.probabilities()[:active])
        symbols[starts[:active] + step] = row[:active]
        if step + 1 < lengths[0]:
            model.feed(row)
        advance(active / count)
    decoder.finish()
    return symbols
