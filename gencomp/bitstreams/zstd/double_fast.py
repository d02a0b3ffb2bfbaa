"""Strategy "dfast": two hash tables, of eight bytes and of four to seven, looked up at each position.

For ``final``, see :mod:`~gencomp.bitstreams.zstd.fast`.
"""

from gencomp.bitstreams.zstd.fast import finish, lowest_start, start
from gencomp.bitstreams.zstd.layout import (
    ANCHOR,
    BEGIN,
    CHAIN_LOG,
    FIRST,
    HASH_LOG,
    LOGGED,
    MATCHED,
    MIN_MATCH,
    NEXT_STEP,
    POSITION,
    REP1,
    REP2,
    REPEATS,
    STAGE,
    STEP,
    WALK,
    State,
)
from gencomp.bitstreams.zstd.memory import common, four_equal, hash_at, put, store, undo
from gencomp.compiled import Integer, part, word
from gencomp.protocols import IntArray

_WALK = 1 << 8  # positions without a match after which the step grows [kStepIncr]


@part
def parse_double_fast(state: State, log: IntArray, end: Integer, final: Integer) -> None:
    """Parse on through the open block [ZSTD_compressBlock_doubleFast_noDict_generic]."""
    # In one piece: it follows one function of zstd's, in its order; its position and repeats stay in registers.
    buffer, tables, sequences, literals, codes, registers, parameters, _, _ = state
    long_bits, bits, width = parameters[HASH_LOG], parameters[CHAIN_LOG], parameters[MIN_MATCH]
    short = 1 << long_bits  # where the table of few bytes begins
    lowest = lowest_start(parameters, registers, end)
    limit = end - 8
    start(registers, parameters, lowest)
    here, step, next_step = registers[POSITION], registers[STEP], registers[NEXT_STEP]
    rep1, rep2, stage = registers[REP1], registers[REP2], registers[STAGE]
    while True:
        if not final:
            registers[POSITION], registers[STEP], registers[NEXT_STEP] = here, step, next_step
            registers[REP1], registers[REP2], registers[STAGE] = rep1, rep2, stage
            registers[LOGGED] = 0
        if stage == MATCHED:
            if here > limit:
                if final:
                    stage = BEGIN
                    continue
                return
            if rep2 > 0 and four_equal(buffer, here, here - rep2):
                length = common(buffer, here + 4, here + 4 - rep2, end) + 4
                if not final and here + length == end:
                    return
                rep1, rep2 = rep2, rep1
                put(tables, log, registers, short + hash_at(buffer, here, width, bits), here + FIRST)
                put(tables, log, registers, hash_at(buffer, here, 8, long_bits), here + FIRST)
                store(buffer, sequences, literals, codes, registers, here, 1, length)
                here += length
                continue
            stage = BEGIN
        if stage == BEGIN:
            step, next_step = 1, here + _WALK
            stage = WALK
        if here + step > limit:
            break
        where, where_short = hash_at(buffer, here, 8, long_bits), short + hash_at(buffer, here, width, bits)
        found, found_short = tables[where], tables[where_short]
        put(tables, log, registers, where, here + FIRST)
        put(tables, log, registers, where_short, here + FIRST)
        current, ahead = here, here + step
        offset = 0
        if rep1 > 0 and four_equal(buffer, here + 1, here + 1 - rep1):
            begin = here + 1
            length = common(buffer, begin + 4, begin + 4 - rep1, end) + 4
            if not final and begin + length == end:
                break
        else:
            where = hash_at(buffer, ahead, 8, long_bits)
            if found >= lowest and word(buffer, here) == word(buffer, found - FIRST):
                begin, match = here, found - FIRST
                length = common(buffer, begin + 8, match + 8, end) + 8
                if not final and begin + length == end:
                    break
            elif found_short >= lowest and four_equal(buffer, here, found_short - FIRST):
                begin, match = here, found_short - FIRST
                length = common(buffer, begin + 4, match + 4, end) + 4
                if not final and begin + length == end:
                    break
                found = tables[where]
                if found > lowest and word(buffer, ahead) == word(buffer, found - FIRST):
                    longer = common(buffer, ahead + 8, found - FIRST + 8, end) + 8
                    if not final and ahead + longer == end:
                        break
                    if longer > length:
                        begin, match, length = ahead, found - FIRST, longer
            else:
                if ahead >= next_step:
                    step += 1
                    next_step += _WALK
                here = ahead
                continue
            offset = begin - match
            anchor = registers[ANCHOR]
            while begin > anchor and match > lowest - FIRST and buffer[begin - 1] == buffer[match - 1]:
                begin -= 1
                match -= 1
                length += 1
        if not final and begin + length > limit:
            break
        if offset > 0:
            rep1, rep2 = offset, rep1
            if step < 4:
                put(tables, log, registers, where, ahead + FIRST)
        store(buffer, sequences, literals, codes, registers, begin, offset + REPEATS if offset > 0 else 1, length)
        here = begin + length
        if here <= limit:
            put(tables, log, registers, hash_at(buffer, current + 2, 8, long_bits), current + 2 + FIRST)
            put(tables, log, registers, hash_at(buffer, here - 2, 8, long_bits), here - 2 + FIRST)
            put(tables, log, registers, short + hash_at(buffer, current + 2, width, bits), current + 2 + FIRST)
            put(tables, log, registers, short + hash_at(buffer, here - 1, width, bits), here - 1 + FIRST)
        stage = MATCHED
    if final:
        registers[REP1], registers[REP2] = rep1, rep2
        finish(registers)
    else:
        undo(tables, log, registers)
