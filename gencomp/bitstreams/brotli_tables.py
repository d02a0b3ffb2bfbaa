"""The tables of Brotli's format (RFC 7932) that the length of its code depends on."""

import numpy as np

from gencomp.protocols import IntArray

# extra bits of the codes for lengths (section 5) and for counts of symbols in a block (section 6)
INSERT_BITS = np.array([0] * 6 + [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 7, 8, 9, 10, 12, 14, 24], np.int64)
COPY_BITS = np.array([0] * 8 + [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 7, 8, 9, 10, 24], np.int64)
COUNT_BITS = np.array([2] * 4 + [3] * 4 + [4] * 4 + [5] * 4 + [6, 6, 7, 8, 9, 10, 11, 12, 13, 24], np.int64)


def _bases(first: int, extra_bits: IntArray) -> IntArray:
    """Return the first value of each code, the next after those of the code before it."""
    sizes = 1 << extra_bits
    return np.asarray(first + np.cumsum(sizes) - sizes, dtype=np.int64)


INSERT_BASE = _bases(0, INSERT_BITS)
COPY_BASE = _bases(2, COPY_BITS)
COUNT_BASE = _bases(1, COUNT_BITS)

# for each 64 of the insert-and-copy codes, an eighth of their first insert code and first copy code (section 5)
INSERT_EIGHT = np.array([0, 0, 0, 0, 1, 1, 0, 2, 1, 2, 2], np.int64)
COPY_EIGHT = np.array([0, 1, 0, 1, 0, 1, 2, 0, 2, 1, 2], np.int64)

# the order of the lengths of the code for code lengths, and their fixed code, by the next four bits (section 3.5)
LENGTH_ORDER = np.array([1, 2, 3, 4, 0, 5, 17, 6, 16, 7, 8, 9, 10, 11, 12, 13, 14, 15], np.int64)
LENGTH_VALUE = np.array([0, 4, 3, 2, 0, 4, 3, 1, 0, 4, 3, 2, 0, 4, 3, 5], np.int64)
LENGTH_WIDTH = np.array([2, 2, 2, 3, 2, 2, 2, 4, 2, 2, 2, 3, 2, 2, 2, 4], np.int64)

# which of the last distances a short code refers to, and what it adds (section 4)
RECENT = np.array([0, 1, 2, 3, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1], np.int64)
ADDED = np.array([0, 0, 0, 0, -1, 1, -2, 2, -3, 3, -1, 1, -2, 2, -3, 3], np.int64)

# log2 of the number of words of each length in the dictionary (section 8), and what each of its 121 transforms adds
# to a word's length: prefix and suffix less what is left out (appendix B)
WORD_BITS = np.array([0, 0, 0, 0, 10, 10, 11, 11, 10, 10, 10, 10, 10, 9, 9, 8, 7, 7, 8, 7, 7, 6, 6, 5, 5], np.int64)
# fmt: off
TRANSFORM_GROWTH = np.array([
    0, 1, 2, -1, 1, 5, 1, 3, 4, 0, 5, -2, -1, 3, 2, 2, 4, 4, 3, 1, 1, 2, 1, -3, 1, 5, -3, -2, 3, 6, 1, 2, 1, 3, -4, 6,
    1, 6, 4, -5, -6, 5, -4, 6, 0, 4, 4, 4, -7, 3, 2, 1, 3, 3, -9, -7, -6, 1, 2, -8, 4, 3, 9, -5, -9, 3, 1, 2, 1, 2,
    2, 2, 5, 13, 1, 7, 1, 2, 1, 1, 5, 3, 3, 2, 3, 1, 2, 1, 2, 2, 4, 3, 4, 5, 1, 4, 2, 2, 3, 1, 4, 1, 2, 2, 2, 2, 4,
    2, 2, 2, 3, 3, 1, 1, 2, 2, 2, 3, 3, 3, 3,
], np.int64)
# fmt: on


# fmt: off
_UTF8_LAST = [
    *[0] * 9, 4, 4, 0, 0, 4, *[0] * 18,
    8, 12, 16, 12, 12, 20, 12, 16, 24, 28, 12, 12, 32, 12, 36, 12, *[44] * 10, 32, 32, 24, 40, 28, 12,
    12, 48, *[52] * 3, 48, *[52] * 3, 48, *[52] * 5, 48, *[52] * 5, 48, *[52] * 5, 24, 12, 28, 12, 12,
    12, 56, *[60] * 3, 56, *[60] * 3, 56, *[60] * 5, 56, *[60] * 5, 56, *[60] * 5, 24, 12, 28, 12, 0,
    *[0, 1] * 32, *[2, 3] * 32,
]
_UTF8_BEFORE = [
    *[0] * 33, *[1] * 15, *[2] * 10, *[1] * 7, *[2] * 26, *[1] * 6, *[3] * 26, *[1] * 4, 0, *[0] * 96, *[2] * 32,
]
_SIGNED = [0, *[1] * 15, *[2] * 48, *[3] * 64, *[4] * 64, *[5] * 48, *[6] * 15, 7]
# fmt: on

# by context mode, the contexts of the byte before a literal and of the byte before that; their OR is the literal's:
# uint8 (4, 2, 256) (section 7.1)
CONTEXTS = np.array(
    [
        [[byte & 63 for byte in range(256)], [0] * 256],
        [[byte >> 2 for byte in range(256)], [0] * 256],
        [_UTF8_LAST, _UTF8_BEFORE],
        [[8 * kind for kind in _SIGNED], _SIGNED],
    ],
    np.uint8,
)
