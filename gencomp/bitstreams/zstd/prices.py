"""The optimal parser's prices of symbols, by how often they have occurred, in 1/256 bit [zstd_opt.c]."""

import numpy as np
import numpy.typing as npt

from gencomp.bitstreams.zstd.layout import (
    LITERAL_EXTRA,
    MATCH_EXTRA,
    SHORTEST,
)
from gencomp.bitstreams.zstd.memory import Bytes, highest_bit, literal_code, match_code
from gencomp.compiled import Integer, fragment, part, step
from gencomp.protocols import IntArray

BIT = 256
_LITERAL_STEP = 2  # added to a literal's frequency each time [ZSTD_LITFREQ_ADD]
_FEW_BYTES = 8  # up to so many bytes, prices are fixed [ZSTD_PREDEF_THRESHOLD]

# a row of statistics: frequencies, their sums, the logarithms of the sums, and whether prices are fixed
LITERAL, LENGTH, MATCH, FAR = 0, 256, 320, 384
SUMS, BASES = 448, 452
FIXED = 456
STATISTICS = 457

Weights = npt.NDArray[np.int32]


def _first() -> IntArray:
    """Return the statistics before any literals."""
    row = np.zeros(STATISTICS, np.int64)
    row[LENGTH : LENGTH + 36] = [4, 2] + [1] * 34
    row[MATCH : MATCH + 53] = 1
    row[FAR : FAR + 32] = [6, 2, 1, 1, 2, 3, 4, 4, 4, 3, 2] + [1] * 21
    row[SUMS + 1 : SUMS + 4] = row[LENGTH:MATCH].sum(), row[MATCH:FAR].sum(), row[FAR:SUMS].sum()
    return row


FIRST_STATISTICS = _first()


def weights(accurate: bool, limit: int = 1 << 18) -> Weights:
    """Return the logarithm of 1 + each frequency, int32 (limit,), in 1/256 bit [ZSTD_fracWeight, ZSTD_bitWeight]."""
    stat = np.arange(1, limit + 1, dtype=np.int64)
    bits = np.array([int(value).bit_length() - 1 for value in (1 << np.arange(19))])[
        np.searchsorted(1 << np.arange(19), stat, side="right") - 1
    ]
    return np.asarray(bits * BIT + ((stat << 8) >> bits if accurate else 0), dtype=np.int32)


@step
def set_bases(row: IntArray, weight: Weights) -> None:
    """Set the logarithms of the sums [ZSTD_setBasePrices]."""
    for i in range(4):
        row[BASES + i] = weight[row[SUMS + i]]


@part
def begin_statistics(row: IntArray, counts: IntArray, size: Integer) -> None:
    """Set a row to what a first block of ``size`` bytes begins with; ``counts`` (256,) are those of its bytes."""
    for i in range(STATISTICS):
        row[i] = FIRST_STATISTICS[i]
    total = 0
    for symbol in range(256):
        row[symbol] = (counts[symbol] > 0) + (counts[symbol] >> 8)
        total += row[symbol]
    row[SUMS] = total
    row[FIXED] = size <= _FEW_BYTES


@step
def _scale(row: IntArray, begin: Integer, end: Integer, log: Integer, which: Integer) -> None:
    total = 0
    for i in range(begin, end):
        total += row[i]
    factor = total >> log
    if factor > 1:
        shift = highest_bit(factor)
        total = 0
        for i in range(begin, end):
            row[i] = 1 + (row[i] >> shift)
            total += row[i]
    row[SUMS + which] = total


@part
def scale_statistics(row: IntArray) -> None:
    """Scale a row down to what the next pass begins with [ZSTD_scaleStats]."""
    _scale(row, LITERAL, 256, 12, 0)
    _scale(row, LENGTH, LENGTH + 36, 11, 1)
    _scale(row, MATCH, MATCH + 53, 11, 2)
    _scale(row, FAR, FAR + 32, 11, 3)
    row[FIXED] = row[BASES] = row[BASES + 1] = row[BASES + 2] = row[BASES + 3] = 0


@part
def count_sequence(
    row: IntArray, buffer: Bytes, anchor: Integer, literals: Integer, offset: Integer, length: Integer
) -> None:
    """Count a sequence that is decided [ZSTD_updateStats]."""
    for at in range(anchor, anchor + literals):
        row[LITERAL + np.int64(buffer[at])] += _LITERAL_STEP
    row[SUMS] += _LITERAL_STEP * literals
    row[LENGTH + literal_code(literals)] += 1
    row[FAR + highest_bit(offset)] += 1
    row[MATCH + match_code(length - SHORTEST)] += 1
    for i in range(1, 4):
        row[SUMS + i] += 1


@fragment
def literal_price(row: IntArray, weight: Weights, literal: Integer) -> Integer:
    """Return the price of one literal [ZSTD_rawLiteralsCost]."""
    if row[FIXED]:
        return 6 * BIT
    base = row[BASES]
    return base - min(weight[row[LITERAL + literal]], base - BIT)


@fragment
def length_price(row: IntArray, weight: Weights, literals: Integer) -> Integer:
    """Return the price of the length of a run of literals [ZSTD_litLengthPrice]."""
    if row[FIXED]:
        return np.int64(weight[literals])
    code = literal_code(literals)
    return LITERAL_EXTRA[code] * BIT + row[BASES + 1] - weight[row[LENGTH + code]]


@fragment
def far_price(row: IntArray, weight: Weights, offset: Integer, accurate: Integer) -> Integer:
    """Return the offset's part of a match's price, with what any match costs in addition [ZSTD_getMatchPrice]."""
    code = highest_bit(offset)
    if row[FIXED]:
        return (16 + code) * BIT
    price = code * BIT + row[BASES + 3] - weight[row[FAR + code]] + BIT // 5
    if not accurate and code >= 20:
        price += (code - 19) * 2 * BIT
    return price


@fragment
def match_price(row: IntArray, weight: Weights, length: Integer) -> Integer:
    """Return the length's part of a match's price."""
    if row[FIXED]:
        return np.int64(weight[length - SHORTEST])
    code = match_code(length - SHORTEST)
    return MATCH_EXTRA[code] * BIT + row[BASES + 2] - weight[row[MATCH + code]]
