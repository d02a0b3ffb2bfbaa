"""The alphabets of deflate (RFC 1951), under the names that zlib's trees.c and deflate.h give them."""

import numpy as np

from gencomp.compiled import Integer, lean_kernel
from gencomp.protocols import IntArray

# section 3.2.5: the symbols in use, of literals and lengths, and of distances
END_BLOCK = 256
FIRST_LENGTH = END_BLOCK + 1  # the symbol of the shortest match
L_CODES, D_CODES = 286, 30
MIN_MATCH, MAX_MATCH = 3, 258  # bytes; the longest has the last symbol to itself
LAST_LENGTH = L_CODES - 1
MAX_BITS = 15  # of a code word
# section 3.2.7: the code for code lengths, whose last three symbols stand for runs
BL_CODES, MAX_BL_BITS = 19, 7
REP_3_6, REPZ_3_10, REPZ_11_138 = 16, 17, 18  # the length before, 3 to 6 times; a zero, 3 to 10 or 11 to 138 times
REP_BITS, REPZ_SHORT_BITS, REPZ_LONG_BITS = 2, 3, 7  # extra bits of these three: how many times
SHORTEST_RUN = 3  # of the first two
LONGEST_REP, LONGEST_REPZ_SHORT, LONGEST_REPZ = 6, 10, 138
# the order in which a header has their code lengths
BL_ORDER = np.array([16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15], dtype=np.int64)
# a dynamic block's header: the numbers of literal/length, distance and code length codes, less 257, 1 and 4; then the
# lengths of the code length codes, BL_BITS each
HLIT_BITS, HDIST_BITS, HCLEN_BITS, BL_BITS = 5, 5, 4, 3
BLOCK_TYPE_BITS = 3  # whether it is the last one, and its type
# section 3.2.6: the code of a fixed block; the last two symbols are not in use
FIXED_LITERAL_LENGTHS = [8] * 144 + [9] * 112 + [7] * 24 + [8] * 8
FIXED_DISTANCE_LENGTH = 5


def length_extra_bits(code: int) -> int:
    """Return the number of extra bits after the length symbol FIRST_LENGTH + ``code``."""
    return 0 if FIRST_LENGTH + code == LAST_LENGTH else max(0, code // 4 - 1)


def distance_extra_bits(symbol: int) -> int:
    """Return the number of extra bits after a distance symbol."""
    return max(0, symbol // 2 - 1)


def _extra_bits() -> IntArray:
    """Return the number of extra bits of each symbol, int64 (316,): literals and lengths, then distances."""
    lengths = [length_extra_bits(code) for code in range(L_CODES - FIRST_LENGTH)]
    distances = [distance_extra_bits(symbol) for symbol in range(D_CODES)]
    return np.array([0] * FIRST_LENGTH + lengths + distances, dtype=np.int64)


def _fixed_bits() -> IntArray:
    """Return what each symbol costs in a block with fixed codes, extra bits included, int64 (316,)."""
    codes = FIXED_LITERAL_LENGTHS[:L_CODES] + [FIXED_DISTANCE_LENGTH] * D_CODES
    return np.array(codes, dtype=np.int64) + EXTRA_BITS


EXTRA_BITS = _extra_bits()
FIXED_BITS = _fixed_bits()


@lean_kernel
def distance_symbol(distance: Integer) -> Integer:
    """Return the symbol of a match distance, 0 to 29: the number of extra bits, and the two leading bits."""
    value, extra = distance - 1, 0
    while value >> extra > 3:
        extra += 1
    return 2 * extra + (value >> extra)


@lean_kernel
def length_symbol(length: Integer) -> Integer:
    """Return the symbol of a match length, 257 to 285: the number of extra bits, and the three leading bits."""
    if length == MAX_MATCH:
        return LAST_LENGTH
    value, extra = length - MIN_MATCH, 0
    while value >> extra > 7:
        extra += 1
    return FIRST_LENGTH + 4 * extra + (value >> extra)
