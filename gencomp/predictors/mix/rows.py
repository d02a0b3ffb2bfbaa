"""Rows that repeat at one distance, as of records and bitmaps, which an encoder looks for before it codes.

The model's own survey looks at its last 512 bytes and at distances up to 512. Rows that are sparse, or long, escape it.
An encoder sees all of a block at once, and the header can name what it finds.
"""

import numpy as np

from gencomp.predictors.mix.contexts import ByteArray
from gencomp.protocols import FloatArray, IntArray

SEEN = 1 << 20  # bytes, from the first, that are looked at
PLACES = 4096  # that are compared with those before them
SHORTEST, LONGEST = 64, 8192  # distances that can be found; the survey does well with shorter ones
LEAST_SIZE = 1 << 18  # bytes that are worth the search
TEXTUAL = 7 / 8  # of the bytes, from which on it is text, whose lines are no rows
GAIN = 0.1  # of the bits of a byte, by its frequency, that a distance must tell more than chance and others do
AT_ONCE = 256  # places that are compared at a time

_IS_TEXT = np.array([32 <= byte < 127 or byte in b"\t\n\r" for byte in range(256)])


def row_width(data: bytes) -> int | None:
    """Return the distance, in bytes, at which ``data`` repeats most; None where no distance from SHORTEST stands out.

    A byte that equals the one so far before it counts as much as it would cost by its frequency, in bits, so that
    fields of zeros count for little.
    """
    if len(data) < LEAST_SIZE:
        return None
    seen = np.frombuffer(data, dtype=np.uint8)[:SEEN]
    counts = np.bincount(seen, minlength=256)
    if counts[_IS_TEXT].sum() > TEXTUAL * len(seen):
        return None
    shares = counts / len(seen)
    costs = -np.log2(np.maximum(counts, 1) / len(seen))
    # places that are spread without a period of their own: multiples of the golden ratio
    spread = np.arange(1, PLACES + 1, dtype=np.int64) * 0x9E3779B1 % (1 << 32)
    places = LONGEST + spread * (len(seen) - LONGEST) // (1 << 32)
    gains = _gains(seen, places, costs) - float((costs * shares)[seen[places]].mean())
    width = int(np.argmax(gains))
    least = GAIN * float(costs[seen].mean()) + max(0.0, float(np.median(gains[1:])))
    return width if width >= SHORTEST and gains[width] > least else None


def _gains(seen: ByteArray, places: IntArray, costs: FloatArray) -> FloatArray:
    """Return what the byte at each distance before tells of one, on average, in bits, float64 (LONGEST + 1,)."""
    before = np.lib.stride_tricks.sliding_window_view(seen, LONGEST)  # row k ends where the byte k + LONGEST begins
    sums = np.zeros(LONGEST)
    for start in range(0, len(places), AT_ONCE):
        some = places[start : start + AT_ONCE]
        here = seen[some]
        sums += costs[here] @ (before[some - LONGEST] == here[:, None])
    return np.concatenate([[-np.inf], sums[::-1] / len(places)])
