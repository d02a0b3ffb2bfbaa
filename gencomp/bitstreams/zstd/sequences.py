"""What the sequences of a block cost (RFC 8878, section 3.1.1.3.2): three tables, and the bitstream coded by them."""

import numpy as np

from gencomp.bitstreams.zstd.fse import (
    A_TABLE,
    CODER_SHAPE,
    HIGHEST,
    LOG,
    MODE,
    NO_TABLE,
    PROBABILITIES,
    TABLE_ROW,
    accuracy,
    bits_of,
    build_coder,
    first_state,
    next_state,
    normalize,
    table_bits,
    table_cost,
)
from gencomp.bitstreams.zstd.layout import LAZY, LITERAL_CODE, MATCH_CODE, OFFSET_CODE
from gencomp.bitstreams.zstd.memory import Tables, copy_to
from gencomp.compiled import Integer, part, step
from gencomp.protocols import IntArray

PREDEFINED, ONE_SYMBOL, OWN_TABLE, SAME_TABLE = range(4)  # section 3.1.1.3.2.1
_KINDS = (LITERAL_CODE, OFFSET_CODE, MATCH_CODE)
_LARGEST_LOGS = (9, 8, 9)  # [LLFSELog, OffFSELog, MLFSELog]
_HIGHEST_CODES = (35, 31, 52)
_LONGEST_PREDEFINED_OFFSET = 28  # [DefaultMaxOff]
_FEW, _MANY = 128, 0x7F00  # sequences that are counted in one byte, and in two

# what a section costs: bits, bytes, and the bytes of its last own table and the bitstream, 0 without such a table
COSTS = 3


def _predefined() -> IntArray:
    """Return the predefined tables, int64 (3, TABLE_ROW) (section 3.1.1.3.2.2)."""
    tables = np.zeros((3, TABLE_ROW), np.int64)
    literal = [4, 3] + [2] * 6 + [2] * 5 + [1] * 3 + [2] * 9 + [3, 2] + [1] * 5 + [-1] * 4
    offset = [1] * 6 + [2] * 3 + [1] * 15 + [-1] * 5
    match = [1, 4, 3] + [2] * 6 + [1] * 37 + [-1] * 7
    for table, log, units in zip(tables, (6, 5, 6), (literal, offset, match), strict=True):
        table[MODE], table[LOG], table[HIGHEST] = A_TABLE, log, len(units) - 1
        table[PROBABILITIES : PROBABILITIES + len(units)] = units
    return tables


def _costs_of_shares() -> IntArray:
    """Return -log2(x / 256) in 1/256 bit for x below 256, rounded down; 0 for 0 [kInverseProbabilityLog256]."""
    return np.array([0] + [(256**256 // x**256).bit_length() - 1 for x in range(1, 256)], dtype=np.int64)


_PREDEFINED = _predefined()
_COSTS_OF_SHARES = _costs_of_shares()


@part
def _predefined_cost(kind: Integer, counts: IntArray, highest: Integer) -> Integer:
    """Return what codes cost by a predefined table, in bits rounded down [ZSTD_crossEntropyCost]."""
    cost, shift = 0, 8 - _PREDEFINED[kind, LOG]
    for code in range(highest + 1):
        cost += counts[code] * _COSTS_OF_SHARES[abs(_PREDEFINED[kind, PROBABILITIES + code]) << shift]
    return cost >> 8


@part
def _entropy(counts: IntArray, highest: Integer, total: Integer) -> Integer:
    """Return what codes cost by their own frequencies, in bits rounded down [ZSTD_entropyCost]."""
    cost = 0
    for code in range(highest + 1):
        if counts[code] > 0:
            cost += counts[code] * _COSTS_OF_SHARES[max(256 * counts[code] // total, 1)]
    return cost >> 8


@part
def choose_table(
    kind: Integer,
    counts: IntArray,
    total: Integer,
    last: Integer,
    strategy: Integer,
    before: IntArray,
    after: IntArray,
) -> tuple[Integer, Integer]:
    """Set ``after`` (TABLE_ROW,) to the table that a block takes for one kind of codes; return its mode and its bits.

    ``before`` is the table of the block before, ``last`` the code of the last sequence [ZSTD_selectEncodingType,
    ZSTD_buildCTable].
    """
    highest = _HIGHEST_CODES[kind]
    while counts[highest] == 0:
        highest -= 1
    most = 0
    for code in range(highest + 1):
        most = max(most, counts[code])
    allowed = kind != 1 or highest <= _LONGEST_PREDEFINED_OFFSET
    mode = OWN_TABLE
    if most == total:
        mode = PREDEFINED if allowed and total <= 2 else ONE_SYMBOL
    elif strategy < LAZY:
        log = _PREDEFINED[kind, LOG]
        if allowed and (total < ((1 << log) * (10 - strategy)) >> 3 or most < total >> (log - 1)):
            mode = PREDEFINED
    else:
        none = 1 << 60
        basic = _predefined_cost(kind, counts, highest) if allowed else none
        same = table_cost(before, counts, highest) if before[MODE] == A_TABLE else -1
        same = none if same < 0 else same
        log = accuracy(_LARGEST_LOGS[kind], total, highest, 2)
        normalize(after, log, counts, total, highest, -1 if total >= 2048 else 1)
        own = (((table_bits(after) + 7) >> 3) << 3) + _entropy(counts, highest, total)
        if basic <= same and basic <= own:
            mode = PREDEFINED
        elif same <= own:
            mode = SAME_TABLE
    bits = 0
    if mode == PREDEFINED:
        copy_to(after, _PREDEFINED[kind])
    elif mode == SAME_TABLE:
        copy_to(after, before)
    elif mode == ONE_SYMBOL:
        bits = 8
        after[LOG], after[HIGHEST] = 0, highest
    else:
        log = accuracy(_LARGEST_LOGS[kind], total, highest, 2)
        less = counts[last] > 1  # the last code costs a state, not bits
        counts[last] -= less
        normalize(after, log, counts, total - less, highest, -1 if total - less >= 2048 else 1)
        counts[last] += less
        bits = table_bits(after)
    after[MODE] = A_TABLE if mode in (OWN_TABLE, SAME_TABLE) else NO_TABLE
    return mode, bits


@part
def _coder_of(mode: Integer, table: IntArray, coder: IntArray) -> None:
    if mode == ONE_SYMBOL:  # a table of one state, which no code leaves or pays for
        coder[:, : CODER_SHAPE[1] // 8] = 0
    else:
        build_coder(table, coder)


@step
def sequences_cost(
    sequences: Tables,
    begin: Integer,
    end: Integer,
    codes: IntArray,
    extra: Integer,
    strategy: Integer,
    before: IntArray,
    after: IntArray,
    coders: IntArray,
    costs: IntArray,
) -> None:
    """Set ``costs`` (COSTS,) to those of the section for rows ``begin`` to ``end``.

    ``codes`` counts the rows' codes, ``extra`` is their extra bits; ``before`` and ``after`` are the tables of the
    block before and of this one, (3, TABLE_ROW); ``coders`` is scratch, (3, CODER_SHAPE).
    """
    total = end - begin
    header = 1 if total < _FEW else 2 if total < _MANY else 3
    costs[2] = 0
    if total == 0:
        for kind in range(3):
            copy_to(after[kind], before[kind])
        costs[0], costs[1] = 8 * header, header
        return
    bits = size = 0
    flush = 0
    for kind in range(3):
        last = np.int64(sequences[end - 1, _KINDS[kind]])
        mode, told = choose_table(kind, codes[kind], total, last, strategy, before[kind], after[kind])
        _coder_of(mode, after[kind], coders[kind])
        bits += told
        size += (told + 7) >> 3
        flush += after[kind, LOG] if mode != ONE_SYMBOL else 0
        if mode == OWN_TABLE:
            costs[2] = (told + 7) >> 3
    stream = flush + extra + 1 + _walk(sequences, begin, end, coders)
    costs[0] = 8 * (header + 1) + bits + stream
    costs[1] = header + 1 + size + ((stream + 7) >> 3)
    if costs[2] > 0:
        costs[2] += (stream + 7) >> 3


@part
def _walk(sequences: Tables, begin: Integer, end: Integer, coders: IntArray) -> Integer:
    """Return the bits by which the coders go from state to state, from the last sequence to the first."""
    one, two, three = coders[0], coders[1], coders[2]
    a = first_state(one, np.int64(sequences[end - 1, LITERAL_CODE]))
    b = first_state(two, np.int64(sequences[end - 1, OFFSET_CODE]))
    c = first_state(three, np.int64(sequences[end - 1, MATCH_CODE]))
    bits = 0
    for row in range(end - 2, begin - 1, -1):
        literal, offset = np.int64(sequences[row, LITERAL_CODE]), np.int64(sequences[row, OFFSET_CODE])
        match = np.int64(sequences[row, MATCH_CODE])
        width = bits_of(one, a, literal)
        a = next_state(one, a, literal, width)
        bits += width
        width = bits_of(two, b, offset)
        b = next_state(two, b, offset, width)
        bits += width
        width = bits_of(three, c, match)
        c = next_state(three, c, match, width)
        bits += width
    return bits
