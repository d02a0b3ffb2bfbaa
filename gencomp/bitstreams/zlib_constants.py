"""The constants that zlib 1.x decides by, named as in its deflate.h and deflate.c, for memLevel 8, its default."""

import numpy as np

W_SIZE = 1 << 15  # bytes of the window
W_MASK = W_SIZE - 1
MIN_MATCH, MAX_MATCH = 3, 258
MIN_LOOKAHEAD = MAX_MATCH + MIN_MATCH + 1  # bytes that it wants to see before it decides anything
MAX_DIST = W_SIZE - MIN_LOOKAHEAD  # the farthest match
TOO_FAR = 4096  # a match of three bytes is not worth a distance above this
SYMBOLS_PER_BLOCK = (1 << 14) - 1  # literals and matches, after which it closes a block (lit_bufsize - 1)
HASH_BITS, HASH_SHIFT = 15, 5  # of the hash of three bytes, which each byte shifts by a third of its bits
HASH_SIZE = 1 << HASH_BITS
HASH_MASK = HASH_SIZE - 1

# columns of the configuration table
GOOD_LENGTH = 0  # a match held back of this length leaves a quarter of the candidates to try
MAX_LAZY = 1  # one of this length leaves none; levels 1 to 3 do not enter the inside of longer ones (max_insert_length)
NICE_LENGTH = 2  # a match of this length ends the search
MAX_CHAIN = 3  # candidates that are tried
CONFIGURATION_TABLE = np.array(  # a row a level
    [
        [0, 0, 0, 0],
        [4, 4, 8, 4],
        [4, 5, 16, 8],
        [4, 6, 32, 32],
        [4, 4, 16, 16],
        [8, 16, 32, 32],
        [8, 16, 128, 128],
        [8, 32, 128, 256],
        [32, 128, 258, 1024],
        [32, 258, 258, 4096],
    ],
    dtype=np.int64,
)
LAST_FAST_LEVEL = 3  # of those parsed by deflate_fast; deflate_slow follows
