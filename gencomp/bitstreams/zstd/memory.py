"""What all match finders share: hashes, comparisons, and a log by which entries are undone."""

from typing import Any

import numpy as np
import numpy.typing as npt

from gencomp.bitstreams.zstd.layout import (
    ANCHOR,
    EXTRA,
    LITERAL_CODE,
    LITERAL_CODES,
    LITERAL_EXTRA,
    LITERAL_LENGTH,
    LITERALS,
    LOGGED,
    MATCH_CODE,
    MATCH_CODES,
    MATCH_EXTRA,
    MATCH_LENGTH,
    OFFSET,
    OFFSET_CODE,
    OVERFULL,
    SEQUENCES,
    SHORTEST,
)
from gencomp.compiled import Integer, fragment, product, step, word
from gencomp.protocols import IntArray

Bytes = npt.NDArray[np.uint8]
Tables = npt.NDArray[np.int32]

_PRIMES = {  # by the number of bytes [prime3bytes, ...]; the last is above 2^63
    3: 506832829,
    4: 2654435761,
    5: 889523592379,
    6: 227718039650203,
    7: 58295818150454627,
    8: 0xCF1BBCDCB7A56463 - (1 << 64),
}
PRIMES = np.array([_PRIMES.get(width, 0) for width in range(9)], dtype=np.int64)


@fragment
def hash_at(buffer: Bytes, at: Integer, width: Integer, bits: Integer) -> Integer:
    """Return the hash of ``width`` bytes, 3 to 8: the highest ``bits`` bits of a product modulo 2^64.

    The bytes are first shifted to the top, so that the highest bits are also those of the library's 32-bit hashes.
    """
    hashed = product(word(buffer, at) << (64 - 8 * width), PRIMES[width])
    return (hashed >> (64 - bits)) & ((1 << bits) - 1)


@fragment
def four_equal(buffer: Bytes, left: Integer, right: Integer) -> Integer:
    """Tell whether four bytes agree."""
    return ((word(buffer, left) ^ word(buffer, right)) & 0xFFFFFFFF) == 0


@step
def common(buffer: Bytes, later: Integer, earlier: Integer, end: Integer) -> Integer:
    """Return how many bytes agree from two positions on, the later before ``end`` [ZSTD_count]."""
    at, back = later, later - earlier
    while at + 8 <= end and word(buffer, at) == word(buffer, at - back):
        at += 8
    while at < end and buffer[at] == buffer[at - back]:
        at += 1
    return at - later


@fragment
def put(tables: Tables, log: IntArray, registers: IntArray, where: Integer, entry: Integer) -> None:
    """Set an entry of the tables, and log what it was."""
    logged = registers[LOGGED]
    if logged == len(log):
        registers[OVERFULL] = 1
    else:
        log[logged, 0], log[logged, 1] = where, tables[where]
        registers[LOGGED] = logged + 1
    tables[where] = entry


@step
def undo(tables: Tables, log: IntArray, registers: IntArray) -> None:
    """Undo what has been put since the log was empty."""
    for entry in range(registers[LOGGED] - 1, -1, -1):
        tables[log[entry, 0]] = log[entry, 1]
    registers[LOGGED] = 0


@fragment
def copy_to(target: npt.NDArray[Any], source: npt.NDArray[Any]) -> None:
    """Copy between rows that do not overlap; assigning a slice would allocate a copy in between."""
    for i in range(len(target)):
        target[i] = source[i]


@fragment
def highest_bit(value: Integer) -> Integer:
    """Return the position of the highest bit of a positive number below 2^32."""
    bit = 0
    if value >= 1 << 16:
        value >>= 16
        bit = 16
    if value >= 1 << 8:
        value >>= 8
        bit += 8
    if value >= 1 << 4:
        value >>= 4
        bit += 4
    if value >= 1 << 2:
        value >>= 2
        bit += 2
    return bit + (value >> 1)


@fragment
def literal_code(length: Integer) -> Integer:
    """Return the code of a literal length [ZSTD_LLcode]."""
    return LITERAL_CODES[length] if length < 64 else highest_bit(length) + 19


@fragment
def match_code(length: Integer) -> Integer:
    """Return the code of a match length, less SHORTEST [ZSTD_MLcode]."""
    return MATCH_CODES[length] if length < 128 else highest_bit(length) + 36


@step
def store(
    buffer: Bytes,
    sequences: Tables,
    literals: IntArray,
    codes: IntArray,
    registers: IntArray,
    start: Integer,
    offset: Integer,
    length: Integer,
) -> None:
    """Add the sequence of the literals before ``start`` and a match [ZSTD_storeSeq]."""
    anchor, row = registers[ANCHOR], registers[SEQUENCES]
    for at in range(anchor, start):
        literals[buffer[at]] += 1
    lengths = literal_code(start - anchor), match_code(length - SHORTEST)
    sequences[row, LITERAL_LENGTH], sequences[row, OFFSET] = start - anchor, offset
    sequences[row, MATCH_LENGTH] = length
    sequences[row, LITERAL_CODE], sequences[row, MATCH_CODE] = lengths
    far = highest_bit(offset)
    sequences[row, OFFSET_CODE] = far
    codes[0, lengths[0]] += 1
    codes[1, far] += 1
    codes[2, lengths[1]] += 1
    registers[EXTRA] += LITERAL_EXTRA[lengths[0]] + far + MATCH_EXTRA[lengths[1]]
    registers[LITERALS] += start - anchor
    registers[SEQUENCES] = row + 1
    registers[ANCHOR] = start + length


@step
def unstore(
    buffer: Bytes, sequences: Tables, literals: IntArray, codes: IntArray, before: IntArray, after: IntArray
) -> None:
    """Take the sequences stored between two sets of registers out of the counts."""
    at = before[ANCHOR]
    for row in range(before[SEQUENCES], after[SEQUENCES]):
        for literal in range(at, at + sequences[row, LITERAL_LENGTH]):
            literals[buffer[literal]] -= 1
        at += sequences[row, LITERAL_LENGTH] + sequences[row, MATCH_LENGTH]
        codes[0, sequences[row, LITERAL_CODE]] -= 1
        codes[1, sequences[row, OFFSET_CODE]] -= 1
        codes[2, sequences[row, MATCH_CODE]] -= 1
