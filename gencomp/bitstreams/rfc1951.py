"""The alphabets of deflate (RFC 1951), under the names that zlib's trees.c and deflate.h give them."""

import numpy as np

from gencomp.compiled import Integer, lean_kernel
from gencomp.protocols import IntArray

# section 3.2.5: symbols of literals and lengths, and of distances, as far as they are in use
END_BLOCK = 256
FIRST_LENGTH = END_BLOCK + 1  # the symbol of the shortest match
L_CODES, D_CODES = 286, 30
MIN_MATCH, MAX_MATCH = 3, 258  # bytes; the longest has the last symbol to itself
LAST_LENGTH = L_CODES - 1
MAX_BITS = 15  # of a code word
# section 3.2.7: the code for code lengths, whose last three symbols are runs
BL_CODES, MAX_BL_BITS = 19, 7
REP_3_6, REPZ_3_10, REPZ_11_138 = 16, 17, 18  # the length before, 3 to 6 times; zeros, 3 to 10 and 11 to 138 times
REP_BITS, REPZ_SHORT_BITS, REPZ_LONG_BITS = 2, 3, 7  # extra bits of these three, which tell how many
SHORTEST_RUN = 3  # of all but the last
LONGEST_REP, LONGEST_REPZ_SHORT, LONGEST_REPZ = 6, 10, 138
# the order in which their lengths are told
BL_ORDER = np.array([16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15], dtype=np.int64)
# a dynamic block's header before these lengths, 3 bits each: how many symbols have a length told, less 257, 1 and 4
HLIT_BITS, HDIST_BITS, HCLEN_BITS, BL_BITS = 5, 5, 4, 3
BLOCK_TYPE_BITS = 3  # whether it is the last one, and its type
# section 3.2.6: the code of a fixed block; its two last lengths are those of symbols that are not in use
FIXED_LITERAL_LENGTHS = [8] * 144 + [9] * 112 + [7] * 24 + [8] * 8
FIXED_DISTANCE_LENGTH = 5


def length_extra_bits(code: int) -> int:
    """Return the extra bits of the length symbol FIRST_LENGTH + ``code``, which keeps the three leading bits."""
    return 0 if FIRST_LENGTH + code == LAST_LENGTH else max(0, code // 4 - 1)


def distance_extra_bits(symbol: int) -> int:
    """Return the extra bits of a distance symbol, which keeps the two leading bits."""
    return max(0, symbol // 2 - 1)


def _extra_bits() -> IntArray:
    """Return the extra bits of each symbol of a block, int64 (316,): literals and lengths, then distances."""
    lengths = [length_extra_bits(code) for code in range(L_CODES - FIRST_LENGTH)]
    distances = [distance_extra_bits(symbol) for symbol in range(D_CODES)]
    return np.array([0] * FIRST_LENGTH + lengths + distances, dtype=np.int64)


def _fixed_bits() -> IntArray:
    """Return what each symbol costs in a block with fixed codes, extra bits too, int64 (316,)."""
    codes = FIXED_LITERAL_LENGTHS[:L_CODES] + [FIXED_DISTANCE_LENGTH] * D_CODES
    return np.array(codes, dtype=np.int64) + EXTRA_BITS


EXTRA_BITS = _extra_bits()
FIXED_BITS = _fixed_bits()


@lean_kernel
def distance_symbol(distance: Integer) -> Integer:
    """Return the symbol of a match distance, 0 to 29: the number of bits dropped, and the two that lead."""
    value, extra = distance - 1, 0
    while value >> extra > 3:
        extra += 1
    return 2 * extra + (value >> extra)


@lean_kernel
def length_symbol(length: Integer) -> Integer:
    """Return the symbol of a match length, 257 to 285: the number of bits dropped, and the three that lead."""
    if length == MAX_MATCH:
        return LAST_LENGTH
    value, extra = length - MIN_MATCH, 0
    while value >> extra > 7:
        extra += 1
    return FIRST_LENGTH + 4 * extra + (value >> extra)
