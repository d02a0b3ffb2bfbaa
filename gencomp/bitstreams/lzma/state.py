"""The state of an LZMA encoder: registers, probabilities and prices, matches found, nodes of the parse.

Each is an array; the modules :mod:`registers`, :mod:`layout` and :mod:`fields` name what is where in it.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gencomp.bitstreams.lzma import constants as lzma
from gencomp.bitstreams.lzma import fields as field
from gencomp.bitstreams.lzma import layout
from gencomp.bitstreams.lzma import registers as reg
from gencomp.compiled import Integer, fragment
from gencomp.protocols import IntArray

Words = npt.NDArray[np.int32]

LITERAL = np.int64(-1)  # in place of a distance, a single byte (back of UINT32_MAX)
# of one type, since numba compiles a function anew for each Python number that it is called with
ZERO, ONE = np.int64(0), np.int64(1)

MATCH_ROWS = 288  # of each bank: more than there are lengths of a match
PRESET_FAST = 3  # the last preset of the fast mode


class State(NamedTuple):
    """What has been parsed and coded of a prefix; no byte that follows can change it."""

    live: Words  # (n,), the model of the coder
    frozen: Words  # (n,), the model that the open segment's prices are of, if it is SPLIT
    nodes: Words  # (OPTS, FIELDS)
    matches: Words  # (2 * MATCH_ROWS, 2), length and distance - 1, the longer the farther
    registers: IntArray  # (REGISTERS,)


class Parse(NamedTuple):
    """A state, the data with the match finder's table, and the scratch of a parse."""

    data: npt.NDArray[np.uint8]
    table: Words  # hashes, then chains or trees: positions + CYCLIC_SIZE, 0 for none
    live: Words
    frozen: Words
    nodes: Words
    matches: Words
    registers: IntArray
    log: Words  # (n, 3), entries in the table: place, what it held, what it holds
    changes: Words  # (n, 2), of the model, if the parse is FINAL: place, what it held
    path: Words  # (OPTS, 2), symbols to code, the last first: distance as in BACK_PREV, length
    unlike: Words  # (257,), 1 for each last byte that is parsed unlike others; see alike.NONE_ALIKE for the last place


class Effort(NamedTuple):
    """How hard liblzma searches (lzma_lzma_preset, lz_encoder_prepare)."""

    fast: bool
    finder: int
    nice: int
    depth: int


def effort_of(preset: int, extreme: bool) -> Effort:
    """Return what a preset, 0 to 9, stands for. If it leaves the depth to the match finder, that is 16 + nice / 2."""
    if preset <= PRESET_FAST and not extreme:
        finder = lzma.MF_HC3 if preset == 0 else lzma.MF_HC4
        return Effort(True, finder, 128 if preset <= 1 else lzma.MATCH_LEN_MAX, (4, 8, 24, 48)[preset])
    if extreme and preset not in (3, 5):
        return Effort(False, lzma.MF_BT4, lzma.MATCH_LEN_MAX, 512)
    nice = 192 if extreme else {4: 16, 5: 32}.get(preset, 64)
    return Effort(False, lzma.MF_BT4, nice, 16 + nice // 2)


def hash_mask(dictionary_size: int) -> int:
    """Return the mask of the hash of three or four bytes: 16 to 24 bits, by the dictionary (lz_encoder_prepare)."""
    mask = (((1 << (dictionary_size - 1).bit_length()) - 1) >> 1) | 0xFFFF
    return mask >> 1 if mask > 1 << 24 else mask


def table_shape(finder: int, dictionary_size: int) -> tuple[int, int]:
    """Return how many places of a table are for hashes, and how many for chains or trees."""
    fixed = lzma.FIX_3_HASH_SIZE if finder == lzma.MF_HC3 else lzma.FIX_4_HASH_SIZE
    return fixed + hash_mask(dictionary_size) + 1, (dictionary_size + 1) * (2 if finder & lzma.MF_TREE else 1)


def begin_state(effort: Effort, dictionary_size: int, lc: int, lp: int, pb: int) -> State:
    """Return the state after no data; :func:`prices.begin_prices` has to be called next."""
    registers = np.zeros(reg.REGISTERS, np.int64)
    registers[reg.FAST], registers[reg.FINDER], registers[reg.NICE_LEN], registers[reg.DEPTH] = effort
    registers[reg.CYCLIC_SIZE], registers[reg.HASH_MASK] = dictionary_size + 1, hash_mask(dictionary_size)
    registers[reg.SON] = table_shape(effort.finder, dictionary_size)[0]
    registers[reg.LC], registers[reg.LP_MASK], registers[reg.PB_MASK] = lc, (1 << lp) - 1, (1 << pb) - 1
    registers[reg.LENGTHS] = layout.LITERAL + (lzma.LITERAL_CODER_SIZE << (lc + lp))
    registers[reg.RANGE] = (1 << 32) - 1
    live = np.zeros(registers[reg.LENGTHS] + (0 if effort.fast else (2 * lzma.LEN_SYMBOLS) << pb), np.int32)
    live[layout.PROBABILITIES : registers[reg.LENGTHS]] = lzma.PROB_INIT
    # above any count at which prices are due, so that they are made before they are used
    live[[layout.MATCH_PRICE_COUNT, layout.ALIGN_PRICE_COUNT]] = 1 << 20
    shapes = [(0 if effort.fast else lzma.OPTS, field.FIELDS), (2 * MATCH_ROWS, 2)]
    nodes, matches = (np.zeros(shape, np.int32) for shape in shapes)
    return State(live, np.zeros(0 if effort.fast else len(live), np.int32), nodes, matches, registers)


@fragment
def dist_state(length: Integer) -> Integer:
    """Return which of the DIST_STATES a match of this length belongs to (get_dist_state)."""
    return min(length - lzma.MATCH_LEN_MIN, lzma.DIST_STATES - 1)


@fragment
def after_literal(state: Integer) -> Integer:
    """Return the state after a literal (update_literal)."""
    if state <= lzma.STATE_SHORTREP_LIT_LIT:
        return lzma.STATE_LIT_LIT
    return state - 3 if state <= lzma.STATE_LIT_SHORTREP else state - 6


@fragment
def after_match(state: Integer) -> Integer:
    """Return the state after a match (update_match)."""
    return lzma.STATE_LIT_MATCH if state < lzma.LIT_STATES else lzma.STATE_NONLIT_MATCH


@fragment
def after_rep(state: Integer) -> Integer:
    """Return the state after a match at one of the last distances (update_long_rep)."""
    return lzma.STATE_LIT_LONGREP if state < lzma.LIT_STATES else lzma.STATE_NONLIT_REP


@fragment
def after_short_rep(state: Integer) -> Integer:
    """Return the state after one byte at the last distance (update_short_rep)."""
    return lzma.STATE_LIT_SHORTREP if state < lzma.LIT_STATES else lzma.STATE_NONLIT_REP


@fragment
def common_length(
    data: npt.NDArray[np.uint8], here: Integer, there: Integer, length: Integer, limit: Integer
) -> Integer:
    """Return how many bytes agree at two positions, up to ``limit``, given that ``length`` do."""
    while length < limit and data[here + length] == data[there + length]:
        length += 1
    return length
