"""The state of a zstd frame after a prefix, as far as no byte to come can change it.

Positions in tables count from FIRST, so that 0 means none. Names in brackets are those of zstd's source, where they
differ.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gencomp.protocols import IntArray

FIRST = 2  # the table entry of position 0 [ZSTD_WINDOW_START_INDEX]
LARGEST_BLOCK = 1 << 17
LARGEST_FRAME = 1 << 22  # bytes: rows keep a position and a tag in one entry
SPARE = 64  # bytes after the data that may be read, whatever they are

FAST, DOUBLE_FAST, GREEDY, LAZY, LAZY2, TREE_LAZY2, OPTIMAL, ULTRA, ULTRA2 = range(1, 10)

# the parameters of a level for data of some size
WINDOW_LOG, CHAIN_LOG, HASH_LOG, SEARCH_LOG, MIN_MATCH, TARGET_LENGTH, STRATEGY, ROWS = range(8)
PARAMETERS = 8

# registers
SIZE = 0  # bytes of data in all
BLOCK = 1  # position of the open block's first byte
POSITION = 2  # where the parse stands [ip]
ANCHOR = 3  # position of the first byte that is in no sequence yet
STAGE = 4  # where in its loop the parse stands
REP1, REP2, REP3 = 5, 6, 7  # the latest offsets; 0 where one reaches before the data
SAVED1, SAVED2 = 8, 9  # offsets that reached before the data when the block began
NEXT = 10  # first position that is not in the tables [nextToUpdate]
STEP, NEXT_STEP = 11, 12  # how far the parse steps, and where its steps will grow
SECOND = 13  # fast: position of the second pair [ip2]
SKIPPING = 14  # lazy: whether only what is searched is entered [lazySkipping]
LOW = 15  # entry of the first position that matches may begin at [dictLimit]
SEQUENCES = 16  # sequences of the open block
LOGGED = 17  # entries of the log
OVERFULL = 18  # 1 if the log was too short
BITS = 19  # bits of the closed blocks
SAVINGS = 20  # bytes that the closed blocks have saved
BLOCKS = 21  # closed blocks
LITERALS = 22  # literals of the open block's sequences
EXTRA = 23  # extra bits of the open block's sequences
TOUCHED = 24  # whether a search has compared to the end of what is known, so that more bytes could change it
BEGIN_REP1, BEGIN_REP2, BEGIN_REP3 = 25, 26, 27  # the latest offsets where the open block began
SEEN = 28  # optimal parsers: positions before this one have had their literals priced, whatever was decided
REGISTERS = 29

START, BEGIN, WALK, MATCHED = range(4)  # stages: before the block, before a walk, during a walk, after a match

# columns of a sequence
LITERAL_LENGTH, OFFSET, MATCH_LENGTH, LITERAL_CODE, OFFSET_CODE, MATCH_CODE = range(6)  # [litLength, offBase, ...]
CODES = 64  # room for the codes of one kind
SHORTEST = 3  # match lengths count from this [MINMATCH]
REPEATS = 3  # the first values of an offset stand for the latest offsets [ZSTD_REP_NUM]


def _literal_codes() -> IntArray:
    """Return the codes of literal lengths below 64 (RFC 8878, section 3.1.1.3.2.1.1)."""
    bases = [*range(16), 16, 18, 20, 22, 24, 28, 32, 40, 48]
    return np.array([sum(base <= length for base in bases) - 1 for length in range(64)], dtype=np.int64)


def _match_codes() -> IntArray:
    """Return the codes of match lengths below 131, less SHORTEST."""
    bases = [*range(32), 32, 34, 36, 38, 40, 44, 48, 56, 64, 80, 96]
    return np.array([sum(base <= length for base in bases) - 1 for length in range(128)], dtype=np.int64)


def _extra(zeros: int, ones: list[int]) -> IntArray:
    bits = [0] * zeros + ones
    return np.array(bits + [0] * (CODES - len(bits)), dtype=np.int64)


LITERAL_CODES = _literal_codes()
MATCH_CODES = _match_codes()
LITERAL_EXTRA = _extra(16, [1, 1, 1, 1, 2, 2, 3, 3, 4, *range(6, 17)])
MATCH_EXTRA = _extra(32, [1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, *range(7, 17)])


class State(NamedTuple):
    """What has been parsed of a prefix; no byte that follows can change it."""

    buffer: npt.NDArray[np.uint8]  # (capacity + SPARE,), the data; it never fills the last SPARE bytes
    tables: npt.NDArray[np.int32]  # (n,), what the match finder remembers: its hash table, then its chains or trees
    sequences: npt.NDArray[np.int32]  # (n, 6), of the open block
    literals: IntArray  # (256,), how often each occurs in them
    codes: IntArray  # (3, CODES), how often each code of literal lengths, offsets, match lengths does
    registers: IntArray  # (REGISTERS,)
    parameters: IntArray  # (PARAMETERS,)
    huffman: IntArray  # (HUFFMAN_ROW,), the literals' code of the block before
    tables_before: IntArray  # (3, TABLE_ROW), the codes' tables of the block before
