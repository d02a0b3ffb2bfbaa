"""What workers do: the code lengths of a batch of chunks under one model."""

import functools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gencomp.equivalence.adapt import as_predictor, native
from gencomp.equivalence.capabilities import chunk_code_lengths
from gencomp.protocols import Compressor, FloatArray, Predictor

# chunks scored side by side; fixed, since the make-up of a batch may change a float's last bits
GROUP = 16


@dataclass(frozen=True)
class Batch:
    """A cell's chunks from ``start`` on, in whole groups except at the cell's end, and the model's spec."""

    cell: str
    start: int
    model: str
    chunks: tuple[bytes, ...]


@dataclass(frozen=True)
class Measured:
    """Code lengths in bits, one for each chunk of a batch, and the seconds that they took."""

    lengths: tuple[float, ...]
    seconds: float


@functools.lru_cache(maxsize=4)
def _loaded(model: str) -> Predictor | Compressor:
    """Return the model, compiled and warm; a worker loads it once."""
    loaded = native(as_predictor(model))
    code_lengths(loaded, [b"\0"])
    return loaded


def code_lengths(model: Predictor | Compressor, chunks: Sequence[bytes]) -> FloatArray:
    """Return each chunk's code length in bits, float64 (n,): whole bytes for a codec, as its files have them.

    A predictor's is that of its arithmetic code, or -log2 p if it scores sequences at once; both without framing.
    """
    if isinstance(model, Predictor):
        return chunk_code_lengths(model, chunks)
    lengths = [8 * math.ceil(model.code_length(chunk) / 8) for chunk in chunks]
    return np.array(lengths, dtype=np.float64)


def measure(batch: Batch) -> Measured:
    """Return the code lengths of a batch."""
    model = _loaded(batch.model)
    lengths: list[float] = []
    start = time.perf_counter()
    for first in range(0, len(batch.chunks), GROUP):
        lengths += code_lengths(model, batch.chunks[first : first + GROUP]).tolist()
    return Measured(tuple(lengths), round(time.perf_counter() - start, 6))
