"""Strategies "btopt", "btultra" and "btultra2": the cheapest way through each series of overlapping matches.

Prices follow from what has been decided so far in the block. They begin with the counts of all the block's bytes, and
for "btultra2" with the decisions of a first pass. So one more byte may change any decision. It seldom does: as long as
the prices are those of an earlier parse, so is the parse. Earlier parses leave *marks*, from which later ones go on.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gencomp.bitstreams.zstd.finder import LONGEST_SERIES, NEXT, OPEN, OTHERWISE, Finder, all_matches
from gencomp.bitstreams.zstd.layout import (
    ANCHOR,
    CODES,
    MIN_MATCH,
    POSITION,
    REGISTERS,
    REP1,
    REP2,
    REP3,
    REPEATS,
    SEEN,
    SEQUENCES,
    STRATEGY,
    TARGET_LENGTH,
    ULTRA,
    State,
)
from gencomp.bitstreams.zstd.memory import Tables, copy_to, store
from gencomp.bitstreams.zstd.prices import (
    BIT,
    STATISTICS,
    Weights,
    count_sequence,
    far_price,
    length_price,
    literal_price,
    match_price,
    set_bases,
)
from gencomp.compiled import Integer, fragment, part, step
from gencomp.protocols import IntArray

_HIGHEST_PRICE = 1 << 30
# columns of a way: its price, the offset and length of its last match, the literals after that, the latest offsets
PRICE, OFFSET_OF, LENGTH_OF, LITERALS_OF, REP1_OF = range(5)
WAY = 8
WAYS = LONGEST_SERIES + 8

# a mark: registers, statistics, literals, codes
_STATISTICS = REGISTERS
_LITERALS = _STATISTICS + STATISTICS
_CODES = _LITERALS + 256
MARK = _CODES + 3 * CODES
MARKS, PARSES = 64, 4
# registers of parses: the next one to be replaced, the number given last, then the marks and the number of each
TO_REPLACE, NUMBER, OF_PARSES = 0, 1, 2


class Parses(NamedTuple):
    """Earlier parses of a block."""

    begins: IntArray  # (PARSES, STATISTICS), the statistics that prices began with
    marks: IntArray  # (PARSES, MARKS, MARK)
    sequences: npt.NDArray[np.int32]  # (PARSES, n, 6), up to the last mark
    registers: IntArray  # (OF_PARSES + 2 * PARSES,)


def begin_parses(rows: int) -> Parses:
    """Return room for parses of up to ``rows`` sequences, with none in it."""
    return Parses(
        np.zeros((PARSES, STATISTICS), np.int64),
        np.zeros((PARSES, MARKS, MARK), np.int64),
        np.zeros((PARSES, rows, 6), np.int32),
        np.zeros(OF_PARSES + 2 * PARSES, np.int64),
    )


@part
def best_mark(parses: Parses, row: IntArray, firsts: IntArray) -> tuple[Integer, Integer, Integer]:
    """Return the best earlier parse, its last mark that a parse from ``row`` passes, too, and if any is of its kind.

    ``firsts`` (256,) tells where each literal first occurs. -1 stands for no parse or mark. Parses of one kind begin
    with statistics that differ only in the frequencies of literals.
    """
    best_parse, best, place, alike = -1, -1, -1, False
    for parse in range(PARSES):
        marks = parses.registers[OF_PARSES + 2 * parse]
        if marks == 0:
            continue
        begin = parses.begins[parse]
        same = np.int64(0)
        for i in range(256, STATISTICS):
            same |= begin[i] ^ row[i]
        if same != 0:
            continue
        alike = True
        reach = np.int64(1 << 60)
        for literal in range(256):
            if begin[literal] != row[literal]:
                reach = min(reach, firsts[literal])
        mark = marks - 1
        while mark >= 0 and parses.marks[parse, mark, SEEN] > reach:
            mark -= 1
        if mark >= 0 and parses.marks[parse, mark, POSITION] > place:
            best_parse, best, place = parse, mark, parses.marks[parse, mark, POSITION]
    return best_parse, best, alike


@part
def set_mark(
    parses: Parses, parse: Integer, state: State, now: IntArray, row: IntArray, next_: Integer, keep: Integer
) -> None:
    """Leave a mark where a parse stands."""
    count = parses.registers[OF_PARSES + 2 * parse]
    if count == MARKS:  # every second one is dropped
        count //= 2
        for i in range(count):
            copy_to(parses.marks[parse, i], parses.marks[parse, 2 * i + 1])
    mark = parses.marks[parse, count]
    copy_to(mark[:REGISTERS], now)
    mark[NEXT] = next_
    copy_to(mark[_STATISTICS:_LITERALS], row)
    if keep:
        copy_to(mark[_LITERALS:_CODES], state.literals)
        for kind in range(3):
            copy_to(mark[_CODES + kind * CODES : _CODES + (kind + 1) * CODES], state.codes[kind])
        begin = parses.marks[parse, count - 1, SEQUENCES] if count > 0 else 0
        for sequence in range(begin, now[SEQUENCES]):
            copy_to(parses.sequences[parse, sequence], state.sequences[sequence])
    parses.registers[OF_PARSES + 2 * parse] = count + 1


@part
def go_on_from(
    parses: Parses,
    parse: Integer,
    count: Integer,
    state: State,
    now: IntArray,
    row: IntArray,
    keep: Integer,
    rows: Integer,
) -> Integer:
    """Go to a mark of a parse, whose first ``rows`` sequences the state already has; return NEXT as it was there."""
    mark = parses.marks[parse, count]
    copy_to(now, mark[:REGISTERS])
    begin = parses.begins[parse]
    for i in range(256):  # beginnings may differ, but both have counted the same since
        row[i] += mark[_STATISTICS + i] - begin[i]
    for i in range(256, STATISTICS):
        row[i] = mark[_STATISTICS + i]
    if keep:
        copy_to(state.literals, mark[_LITERALS:_CODES])
        for kind in range(3):
            copy_to(state.codes[kind], mark[_CODES + kind * CODES : _CODES + (kind + 1) * CODES])
        for sequence in range(rows, now[SEQUENCES]):
            copy_to(state.sequences[sequence], parses.sequences[parse, sequence])
    return mark[NEXT]


@fragment
def _copy_way(opt: Tables, target: Integer, source: Integer) -> None:
    for i in range(WAY):
        opt[target, i] = opt[source, i]


@step
def _new_offsets(opt: Tables, target: Integer, before: Integer, offset: Integer) -> None:
    """Set the latest offsets of a way to those after a match that follows another way [ZSTD_newRep]."""
    one, two, three = opt[before, REP1_OF], opt[before, REP1_OF + 1], opt[before, REP1_OF + 2]
    if offset > REPEATS:
        one, two, three = np.int32(offset - REPEATS), one, two
    else:
        code = offset - 1 + (opt[before, LITERALS_OF] == 0)
        if code > 0:
            new = np.int32(one - 1) if code == REPEATS else two if code == 1 else three
            three = two if code >= 2 else three
            one, two = new, one
    opt[target, REP1_OF], opt[target, REP1_OF + 1], opt[target, REP1_OF + 2] = one, two, three


@step
def parse_series(
    state: State,
    finder: Finder,
    now: IntArray,
    row: IntArray,
    weight: Weights,
    opt: Tables,
    matches: IntArray,
    end: Integer,
    known: Integer,
    keep: Integer,
) -> None:
    """Parse one series of matches, or pass one byte if none begins there [ZSTD_compressBlock_opt_generic].

    Unless ``keep``, sequences are counted, but not stored.
    """
    # In one piece: it follows one function of zstd's; the prices of a series stand side by side.
    buffer, parameters, registers = state.buffer, state.parameters, finder.registers
    accurate = parameters[STRATEGY] >= ULTRA
    enough = min(parameters[TARGET_LENGTH], LONGEST_SERIES - 1)
    shortest = 3 if parameters[MIN_MATCH] == 3 else 4
    begin, limit = now[POSITION], end - 8
    literals = begin - now[ANCHOR]
    number = all_matches(
        buffer, finder, parameters, begin, end, known, now[REP1], now[REP2], now[REP3], literals == 0, matches
    )
    if number == 0:
        now[POSITION] = begin + 1
        return
    opt[0, LENGTH_OF], opt[0, LITERALS_OF] = 0, literals
    opt[0, PRICE] = length_price(row, weight, literals)
    opt[0, REP1_OF], opt[0, REP1_OF + 1], opt[0, REP1_OF + 2] = now[REP1], now[REP2], now[REP3]
    last = WAYS - 1  # the last stretch stands there
    decided = False
    here: Integer = 0
    reach: Integer = 0
    no_literals = length_price(row, weight, 0)
    if matches[number - 1, 0] > enough:
        opt[last, LITERALS_OF] = 0
        opt[last, LENGTH_OF], opt[last, OFFSET_OF] = matches[number - 1, 0], matches[number - 1, 1]
        reach, decided = matches[number - 1, 0], True
    else:
        for at in range(1, shortest):
            opt[at, PRICE], opt[at, LENGTH_OF], opt[at, LITERALS_OF] = _HIGHEST_PRICE, 0, literals + at
        at = shortest
        for i in range(number):
            offset = matches[i, 1]
            base = np.int64(opt[0, PRICE]) + far_price(row, weight, offset, accurate) + no_literals
            while at <= matches[i, 0]:
                opt[at, LENGTH_OF], opt[at, OFFSET_OF], opt[at, LITERALS_OF] = at, offset, 0
                opt[at, PRICE] = base + match_price(row, weight, at)
                at += 1
        reach = at - 1
        opt[at, PRICE] = _HIGHEST_PRICE
        one_literal = length_price(row, weight, 1) - no_literals
        here = 1
        while here <= reach:
            position = begin + here
            if position + 8 > known:
                registers[OPEN] = 1
            run = np.int64(opt[here - 1, LITERALS_OF]) + 1
            price = np.int64(opt[here - 1, PRICE]) + literal_price(row, weight, np.int64(buffer[position - 1]))
            price += length_price(row, weight, run) - length_price(row, weight, run - 1)
            if price <= opt[here, PRICE]:
                was_price, was_literals = np.int64(opt[here, PRICE]), opt[here, LITERALS_OF]
                was_offset, was_length = np.int64(opt[here, OFFSET_OF]), np.int64(opt[here, LENGTH_OF])
                _copy_way(opt, here, here - 1)
                opt[here, LITERALS_OF], opt[here, PRICE] = run, price
                if accurate and was_literals == 0 and one_literal < 0 and position < end:
                    literal = literal_price(row, weight, np.int64(buffer[position]))
                    with_one = was_price + literal + one_literal
                    with_more = price + literal
                    with_more += length_price(row, weight, run + 1) - length_price(row, weight, run)
                    if with_one < with_more and with_one < opt[here + 1, PRICE]:
                        _new_offsets(opt, here + 1, here - was_length, was_offset)
                        opt[here + 1, OFFSET_OF], opt[here + 1, LENGTH_OF] = was_offset, was_length
                        opt[here + 1, LITERALS_OF], opt[here + 1, PRICE] = 1, with_one
                        reach = max(reach, here + 1)
            if opt[here, LITERALS_OF] == 0:
                _new_offsets(opt, here, here - np.int64(opt[here, LENGTH_OF]), np.int64(opt[here, OFFSET_OF]))
            if position > limit:
                here += 1
                continue
            if here == reach:
                break
            if not accurate and opt[here + 1, PRICE] <= opt[here, PRICE] + BIT // 2:
                here += 1
                continue
            number = all_matches(
                buffer,
                finder,
                parameters,
                position,
                end,
                known,
                np.int64(opt[here, REP1_OF]),
                np.int64(opt[here, REP1_OF + 1]),
                np.int64(opt[here, REP1_OF + 2]),
                opt[here, LITERALS_OF] == 0,
                matches,
            )
            if registers[OTHERWISE]:
                return
            if number == 0:
                here += 1
                continue
            longest = matches[number - 1, 0]
            if longest > enough or here + longest >= LONGEST_SERIES or position + longest >= end:
                opt[last, LENGTH_OF], opt[last, OFFSET_OF], opt[last, LITERALS_OF] = longest, matches[number - 1, 1], 0
                reach, decided = here + longest, True
                break
            before = np.int64(opt[here, PRICE]) + no_literals
            for i in range(number):
                offset = matches[i, 1]
                base = before + far_price(row, weight, offset, accurate)
                start = matches[i - 1, 0] + 1 if i > 0 else shortest
                for length in range(matches[i, 0], start - 1, -1):
                    at = here + length
                    price = base + match_price(row, weight, length)
                    if at > reach or price < opt[at, PRICE]:
                        while reach < at:
                            reach += 1
                            opt[reach, PRICE], opt[reach, LITERALS_OF] = _HIGHEST_PRICE, 1
                        opt[at, LENGTH_OF], opt[at, OFFSET_OF], opt[at, LITERALS_OF] = length, offset, 0
                        opt[at, PRICE] = price
                    elif not accurate:
                        break
            opt[reach + 1, PRICE] = _HIGHEST_PRICE
            here += 1
        now[SEEN] = max(now[SEEN], begin + min(here, reach) + 1)
        if not decided:
            _copy_way(opt, last, reach)
            here = reach - np.int64(opt[last, LENGTH_OF])
    if opt[last, LENGTH_OF] == 0:
        now[POSITION] = begin + reach
        return
    if opt[last, LITERALS_OF] == 0:
        _new_offsets(opt, last, here, np.int64(opt[last, OFFSET_OF]))
    else:
        here -= np.int64(opt[last, LITERALS_OF])
    now[REP1], now[REP2], now[REP3] = opt[last, REP1_OF], opt[last, REP1_OF + 1], opt[last, REP1_OF + 2]
    # the way is made of stretches, each a match and the literals after it. They become sequences, each literals and the
    # match after them, and are written from the last to the first, from here + 2 down, over ways no longer needed
    top = here + 2
    bottom = top
    _copy_way(opt, top, last)
    stretch: Integer = here
    while True:
        opt[bottom, LITERALS_OF] = opt[stretch, LITERALS_OF]
        if opt[stretch, LENGTH_OF] == 0:
            break
        size = np.int64(opt[stretch, LENGTH_OF]) + opt[stretch, LITERALS_OF]
        bottom -= 1
        _copy_way(opt, bottom, stretch)
        stretch -= size
    for way in range(bottom, top + 1):
        after, size = np.int64(opt[way, LITERALS_OF]), np.int64(opt[way, LENGTH_OF])
        far, anchor = np.int64(opt[way, OFFSET_OF]), now[ANCHOR]
        count_sequence(row, buffer, anchor, after, far, size)
        if keep:
            store(buffer, state.sequences, state.literals, state.codes, now, anchor + after, far, size)
        else:
            now[ANCHOR] = anchor + after + size
    now[POSITION] = now[ANCHOR]  # literals after the last match are parsed again
    set_bases(row, weight)


@part
def parse_optimal(
    state: State,
    finder: Finder,
    parses: Parses,
    recording: Integer,
    now: IntArray,
    row: IntArray,
    weight: Weights,
    opt: Tables,
    matches: IntArray,
    end: Integer,
    known: Integer,
    keep: Integer,
) -> None:
    """Parse on to the block's end, and leave marks in the parse ``recording``, unless it is -1."""
    registers = finder.registers
    due = now[POSITION]
    while now[POSITION] < end - 8 and not registers[OTHERWISE]:
        if recording >= 0 and now[POSITION] >= due and not registers[OPEN]:
            set_mark(parses, recording, state, now, row, registers[NEXT], keep)
            due = now[POSITION] + max((known - now[POSITION]) >> 3, 1)  # close together near the end
        parse_series(state, finder, now, row, weight, opt, matches, end, known, keep)
