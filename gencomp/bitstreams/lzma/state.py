"""What an LZMA encoder keeps, and where: registers, probabilities and prices, positions found, nodes of the parse.

liblzma's names for what is kept stand behind ours.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gencomp.bitstreams import lzma_walk as layout
from gencomp.compiled import Integer, fragment
from gencomp.protocols import IntArray

Words = npt.NDArray[np.int32]

# registers: options
FAST = 0  # 1 for the parse that takes what it finds, 0 for the optimal one (mode)
FINDER = 1  # HC3, HC4 or BT4, as the presets have them (mf)
NICE = 2  # a match this long is taken at once (nice_len)
DEPTH = 3  # candidates looked at (depth)
CYCLE = 4  # bytes of the dictionary, and one more (cyclic_size)
MASK = 5  # of the hash of all bytes (hash_mask)
SONS = 6  # where in the table the chains or trees begin, after the hashes
LC = 7
LP_MASK = 8
PB_MASK = 9
LENGTHS = 10  # where in the model the prices of lengths begin
# the data and the match finder
SIZE = 11  # bytes of data in all
FINAL = 12  # 1 if that is all there is
READ = 13  # the next position to be entered in the table (read_pos)
BANK = 14  # which half of the matches holds those found at READ - 1,
COUNT = 15  # their number,
LONGEST = 16  # and the length of the longest, which may go on beyond NICE (longest_match_length)
ENTRIES = 17  # in the log of the table
# the coder
POSITION = 18  # bytes coded
RANGE = 19
SHIFTS = 20  # bytes that the range coder has moved on
STATE = 21  # what the last symbols were, 0 to 11
REP = 22  # the four last distances, less one (reps)
CHANGES = 26  # in the log of the model
# the optimal parse
OPEN = 27  # 1 while a segment is being parsed, which begins
BASE = 28  # here;
NODE = 29  # the node that is next (cur),
LAST = 30  # and the last that is reached (len_end)
SPLIT = 31  # 1 if some of the open segment is coded: its prices are those of the model before that
SHARED = 32  # 1 if the log has to hold all entries since the first copy
STOP = 33  # the parse goes no further: the data's size, or one byte less where any last byte may follow
TAIL = 34  # READ when it began
WATCHED = 35  # 1 if bytes are to be marked as unlike (alike.py)
REGISTERS = 36

HC3, HC4, BT4 = 0x03, 0x04, 0x14
TREE = 0x10  # in FINDER: trees, not chains
HASH_BYTES = 0x0F  # in FINDER

SHORTEST = 2  # bytes that a match has at least (MATCH_LEN_MIN)
LONGEST_MATCH = 273
REPS = 4
LITERAL_STATES = 7
NODES = 4096  # of a segment (OPTS)
LITERAL = np.int64(-1)  # in place of a distance: a byte alone
# of one type: numba compiles a function anew for each Python number that it is called with
ZERO, ONE = np.int64(0), np.int64(1)

# the model: price tables of distances, probabilities (as lzma_walk has them), price tables of lengths
MATCHES_CODED = 0  # since the prices of distances are from (match_price_count)
ALIGNED_CODED = 1  # and those of their low bits (align_price_count)
ALIGN_PRICES = 2
DISTANCE_PRICES = ALIGN_PRICES + 16  # 128 for each of four kinds of length
SLOT_PRICES = DISTANCE_PRICES + 4 * 128  # 64 for each
COUNTERS = SLOT_PRICES + 4 * 64  # 16 for matches, 16 for repeated ones: lengths to come before their prices are renewed
PROBABILITIES = COUNTERS + 32
IS_MATCH = PROBABILITIES + layout.IS_MATCH
IS_REP = PROBABILITIES + layout.IS_REP
IS_REP_G0 = PROBABILITIES + layout.IS_REP_G0
IS_REP_G1 = PROBABILITIES + layout.IS_REP_G1
IS_REP_G2 = PROBABILITIES + layout.IS_REP_G2
IS_REP0_LONG = PROBABILITIES + layout.IS_REP0_LONG
SLOT = PROBABILITIES + layout.SLOT
SPECIAL = PROBABILITIES + layout.SPECIAL
ALIGN = PROBABILITIES + layout.ALIGN
MATCH_LENGTH = PROBABILITIES + layout.MATCH_LENGTH
REP_LENGTH = PROBABILITIES + layout.REP_LENGTH
LITERALS = PROBABILITIES + layout.LITERAL
LENGTH_SYMBOLS = 272

# a node of the optimal parse: the cheapest way found to what comes after so many bytes
PRICE = 0
FROM = 1  # the node before (pos_prev)
BACK = 2  # distance + REPS, or which of the four last, or LITERAL (back_prev)
AFTER_LITERAL = 3  # 1 if FROM is reached by a literal (prev_1_is_literal),
AFTER_MATCH = 4  # and 1 if that follows a match (prev_2)
MATCH_FROM = 5  # from here (pos_prev_2)
MATCH_BACK = 6  # (back_prev_2)
NODE_STATE = 7
NODE_REP = 8
FIELDS = 12
INFINITE = 1 << 30

MATCH_ROWS = 288  # of each bank
_HASH_2, _HASH_3 = 1 << 10, 1 << 16
HASH_3_AT = _HASH_2
HASH_4_AT = _HASH_2 + _HASH_3


class State(NamedTuple):
    """What has been parsed and coded of a prefix; no byte that follows can change it."""

    live: Words  # (n,), the model of the coder
    frozen: Words  # (n,), the model that the open segment's prices are from, if it is SPLIT
    nodes: Words  # (NODES, FIELDS)
    matches: Words  # (2 * MATCH_ROWS, 2), length and distance - 1, the longer the farther
    registers: IntArray  # (REGISTERS,)


class Parse(NamedTuple):
    """A state, the data with the match finder's table, and what a parse needs for a while."""

    data: npt.NDArray[np.uint8]
    table: Words  # hashes, then chains or trees: positions + CYCLE, 0 for none
    live: Words
    frozen: Words
    nodes: Words
    matches: Words
    registers: IntArray
    log: Words  # (n, 3), entries in the table: place, what it held, what it holds
    changes: Words  # (n, 2), of the model if the parse is FINAL: place, what it held
    path: Words  # (NODES, 2), symbols to code, the last first: distance as in BACK, length
    unlike: Words  # (257,), for each last byte, and for all together, 1 if it is parsed unlike others


class Effort(NamedTuple):
    """How hard liblzma looks (lzma_lzma_preset, lz_encoder_prepare)."""

    fast: bool
    finder: int
    nice: int
    depth: int


def effort_of(preset: int, extreme: bool) -> Effort:
    """Return what a preset of 0 to 9 stands for."""
    if extreme:
        return Effort(False, BT4, 192, 16 + 192 // 2) if preset in (3, 5) else Effort(False, BT4, 273, 512)
    if preset <= 3:
        return Effort(True, HC3 if preset == 0 else HC4, 128 if preset <= 1 else 273, (4, 8, 24, 48)[preset])
    nice = {4: 16, 5: 32}.get(preset, 64)
    return Effort(False, BT4, nice, 16 + nice // 2)


def hash_mask(dictionary_size: int) -> int:
    """Return the mask of the hash of three or four bytes (lz_encoder_prepare)."""
    mask = (((1 << (dictionary_size - 1).bit_length()) - 1) >> 1) | 0xFFFF
    return mask >> 1 if mask > 1 << 24 else mask


def table_shape(finder: int, dictionary_size: int) -> tuple[int, int]:
    """Return the number of hashes and of chains' or trees' places."""
    hashes = hash_mask(dictionary_size) + 1 + (HASH_4_AT if (finder & HASH_BYTES) > 3 else HASH_3_AT)
    return hashes, (dictionary_size + 1) * (2 if finder & TREE else 1)


def begin_state(effort: Effort, dictionary_size: int, lc: int, lp: int, pb: int) -> State:
    """Return the state after no data; :func:`prices.begin_prices` has to follow."""
    registers = np.zeros(REGISTERS, np.int64)
    registers[FAST], registers[FINDER], registers[NICE], registers[DEPTH] = effort
    registers[CYCLE], registers[MASK] = dictionary_size + 1, hash_mask(dictionary_size)
    registers[SONS] = table_shape(effort.finder, dictionary_size)[0]
    registers[LC], registers[LP_MASK], registers[PB_MASK] = lc, (1 << lp) - 1, (1 << pb) - 1
    registers[LENGTHS] = LITERALS + (768 << (lc + lp))
    registers[RANGE] = (1 << 32) - 1
    live = np.zeros(registers[LENGTHS] + (0 if effort.fast else (2 * LENGTH_SYMBOLS) << pb), np.int32)
    live[PROBABILITIES : registers[LENGTHS]] = 1024
    live[[MATCHES_CODED, ALIGNED_CODED]] = 1 << 20  # so that prices are made before they are used
    shapes = [(0 if effort.fast else NODES, FIELDS), (2 * MATCH_ROWS, 2)]
    nodes, matches = (np.zeros(shape, np.int32) for shape in shapes)
    return State(live, np.zeros(0 if effort.fast else len(live), np.int32), nodes, matches, registers)


@fragment
def after_literal(state: Integer) -> Integer:
    """Return the state after a literal."""
    return 0 if state < 4 else state - 3 if state < 10 else state - 6


@fragment
def after_match(state: Integer) -> Integer:
    """Return the state after a match."""
    return 7 if state < LITERAL_STATES else 10


@fragment
def after_rep(state: Integer) -> Integer:
    """Return the state after a match at one of the last distances."""
    return 8 if state < LITERAL_STATES else 11


@fragment
def after_short_rep(state: Integer) -> Integer:
    """Return the state after one byte at the last distance."""
    return 9 if state < LITERAL_STATES else 11


@fragment
def common_length(
    data: npt.NDArray[np.uint8], here: Integer, there: Integer, length: Integer, limit: Integer
) -> Integer:
    """Return how far two places agree, at least ``length`` and at most ``limit``."""
    while length < limit and data[here + length] == data[there + length]:
        length += 1
    return length
