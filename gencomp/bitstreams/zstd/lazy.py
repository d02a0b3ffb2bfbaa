"""Strategies "greedy", "lazy", "lazy2" and "btlazy2": the best match, unless a better one begins a byte or two later.

For ``final``, see :mod:`~gencomp.bitstreams.zstd.fast`.
"""

from gencomp.bitstreams.zstd.fast import finish, start
from gencomp.bitstreams.zstd.layout import (
    ANCHOR,
    FIRST,
    GREEDY,
    LAZY,
    LOGGED,
    LOW,
    MATCHED,
    NEXT,
    POSITION,
    REP1,
    REP2,
    REPEATS,
    ROWS,
    SKIPPING,
    STAGE,
    STRATEGY,
    TOUCHED,
    WALK,
    State,
)
from gencomp.bitstreams.zstd.memory import common, four_equal, highest_bit, store, undo
from gencomp.bitstreams.zstd.searches import search
from gencomp.compiled import Integer, part
from gencomp.protocols import IntArray

_ROWS_AHEAD = 8  # positions whose hashes the library computes ahead [ZSTD_ROW_HASH_CACHE_SIZE]
_WALK = 8  # log2 of the bytes without a match after which the step grows by one [kSearchStrength]
_SKIP = 8  # with longer steps, only searched positions are entered [kLazySkippingStep]


@part
def parse_lazy(state: State, log: IntArray, end: Integer, final: Integer) -> None:
    """Parse on through the open block [ZSTD_compressBlock_lazy_generic]."""
    # In one piece: it follows one function of zstd's, in its order; the match held back stays in registers.
    buffer, tables, sequences, literals, codes, registers, parameters, _, _ = state
    strategy = parameters[STRATEGY]
    depth = 0 if strategy == GREEDY else 1 if strategy == LAZY else 2
    start(registers, parameters, registers[LOW])
    limit = end - 8 - (_ROWS_AHEAD if parameters[ROWS] else 0)
    here, rep1, rep2, stage = registers[POSITION], registers[REP1], registers[REP2], registers[STAGE]
    entered, skipping = registers[NEXT], registers[SKIPPING]
    while True:
        if final:
            pass
        elif registers[TOUCHED]:
            break
        else:
            registers[POSITION], registers[REP1], registers[REP2], registers[STAGE] = here, rep1, rep2, stage
            registers[LOGGED] = 0
            entered, skipping = registers[NEXT], registers[SKIPPING]
        if stage == MATCHED:
            if here > limit and not final:
                break
            if here <= limit and rep2 > 0 and four_equal(buffer, here, here - rep2):
                length = common(buffer, here + 4, here + 4 - rep2, end) + 4
                if not final and here + length == end:
                    break
                rep1, rep2 = rep2, rep1
                store(buffer, sequences, literals, codes, registers, here, 1, length)
                here += length
                continue
            stage = WALK
        if here >= limit:
            break
        best, begin, offset = 0, here + 1, 1
        if rep1 > 0 and four_equal(buffer, here + 1, here + 1 - rep1):
            best = common(buffer, here + 5, here + 5 - rep1, end) + 4
            if here + 1 + best == end:
                registers[TOUCHED] = 1
        if depth > 0 or best == 0:
            length, found = search(buffer, tables, registers, parameters, log, here, end)
            if length > best:
                best, begin, offset = length, here, found
            if best < 4:
                step = ((here - registers[ANCHOR]) >> _WALK) + 1
                here += step
                registers[SKIPPING] = step > _SKIP
                continue
        at = here
        while depth > 0:
            if at >= limit:
                registers[TOUCHED] = 1
                break
            at += 1
            if rep1 > 0 and four_equal(buffer, at, at - rep1):
                length = common(buffer, at + 4, at + 4 - rep1, end) + 4
                if at + length == end:
                    registers[TOUCHED] = 1
                if length * 3 > best * 3 - highest_bit(offset) + 1:
                    best, begin, offset = length, at, 1
            length, found = search(buffer, tables, registers, parameters, log, at, end)
            if length >= 4 and length * 4 - highest_bit(found) > best * 4 - highest_bit(offset) + 4:
                best, begin, offset = length, at, found
                continue
            if depth == 1:
                break
            if at >= limit:
                registers[TOUCHED] = 1
                break
            at += 1
            if rep1 > 0 and four_equal(buffer, at, at - rep1):
                length = common(buffer, at + 4, at + 4 - rep1, end) + 4
                if at + length == end:
                    registers[TOUCHED] = 1
                if length * 4 > best * 4 - highest_bit(offset) + 1:
                    best, begin, offset = length, at, 1
            length, found = search(buffer, tables, registers, parameters, log, at, end)
            if length >= 4 and length * 4 - highest_bit(found) > best * 4 - highest_bit(offset) + 7:
                best, begin, offset = length, at, found
                continue
            break
        if registers[TOUCHED] and not final:
            break
        if offset > REPEATS:
            back = offset - REPEATS
            first, anchor = registers[LOW] - FIRST, registers[ANCHOR]
            while begin > anchor and begin - back > first and buffer[begin - 1] == buffer[begin - back - 1]:
                begin -= 1
                best += 1
            rep1, rep2 = back, rep1
        store(buffer, sequences, literals, codes, registers, begin, offset, best)
        here = begin + best
        registers[SKIPPING] = 0
        stage = MATCHED
    registers[TOUCHED] = 0
    if final:
        registers[REP1], registers[REP2] = rep1, rep2
        finish(registers)
    else:
        undo(tables, log, registers)
        registers[NEXT], registers[SKIPPING] = entered, skipping
