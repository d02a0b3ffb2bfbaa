"""Strategy "fast": one table of the last position of each hash, looked up at pairs of positions.

Unless ``final``, a parse goes as far as no byte to come can change it, and leaves the registers there; what it has put
into the tables since is undone. A final parse goes to ``end``, the end of the block, and logs all that it puts.
"""

from gencomp.bitstreams.zstd.layout import (
    ANCHOR,
    BEGIN,
    FIRST,
    HASH_LOG,
    LOGGED,
    LOW,
    MATCHED,
    MIN_MATCH,
    NEXT_STEP,
    POSITION,
    REP1,
    REP2,
    REPEATS,
    SAVED1,
    SAVED2,
    SECOND,
    STAGE,
    START,
    STEP,
    TARGET_LENGTH,
    WALK,
    WINDOW_LOG,
    State,
)
from gencomp.bitstreams.zstd.memory import common, four_equal, hash_at, put, store, undo
from gencomp.compiled import Integer, part, step
from gencomp.protocols import IntArray

_WALK = 1 << 7  # positions without a match after which the step grows [kStepIncr]


@step
def lowest_start(parameters: IntArray, registers: IntArray, end: Integer) -> Integer:
    """Return the table entry of the first position that a match may begin at [ZSTD_getLowestPrefixIndex]."""
    window = 1 << parameters[WINDOW_LOG]
    low = registers[LOW]
    return end + FIRST - window if end + FIRST - low > window else low


@part
def start(registers: IntArray, parameters: IntArray, lowest: Integer) -> None:
    """Begin the open block's parse; a first byte at ``lowest`` is passed, and offsets beyond are put aside."""
    if registers[STAGE] != START:
        return
    registers[POSITION] += registers[POSITION] + FIRST == lowest
    registers[STAGE] = BEGIN
    reach = registers[POSITION] + FIRST - lowest_start(parameters, registers, registers[POSITION])
    registers[SAVED1] = registers[SAVED2] = 0
    if registers[REP2] > reach:
        registers[SAVED2], registers[REP2] = registers[REP2], 0
    if registers[REP1] > reach:
        registers[SAVED1], registers[REP1] = registers[REP1], 0


@part
def finish(registers: IntArray) -> None:
    """Take back the offsets that were put aside, where no others have taken their places."""
    if registers[SAVED1] != 0 and registers[REP1] != 0:
        registers[SAVED2] = registers[SAVED1]
    if registers[REP1] == 0:
        registers[REP1] = registers[SAVED1]
    if registers[REP2] == 0:
        registers[REP2] = registers[SAVED2]


@part
def parse_fast(state: State, log: IntArray, end: Integer, final: Integer) -> None:
    """Parse on through the open block [ZSTD_compressBlock_fast_noDict_generic]."""
    # In one piece: it follows one function of zstd's, in its order; its position and repeats stay in registers.
    buffer, tables, sequences, literals, codes, registers, parameters, _, _ = state
    bits, width = parameters[HASH_LOG], parameters[MIN_MATCH]
    stride = max(parameters[TARGET_LENGTH], 1) + 1
    lowest = lowest_start(parameters, registers, end)
    limit = end - 8
    start(registers, parameters, lowest)
    here, second, step, next_step = registers[POSITION], registers[SECOND], registers[STEP], registers[NEXT_STEP]
    rep1, rep2, stage = registers[REP1], registers[REP2], registers[STAGE]
    while True:
        if not final:
            registers[POSITION], registers[SECOND] = here, second
            registers[STEP], registers[NEXT_STEP] = step, next_step
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
                put(tables, log, registers, hash_at(buffer, here, width, bits), here + FIRST)
                store(buffer, sequences, literals, codes, registers, here, 1, length)
                here += length
                continue
            stage = BEGIN
        if stage == BEGIN:
            step, next_step = stride, here + _WALK
            second = here + step
            if second + 1 >= limit:
                break
            stage = WALK
            continue
        if second + 1 >= limit:
            break
        # a pair: first its positions, then the match that one of them begins, if any
        where, after = hash_at(buffer, here, width, bits), hash_at(buffer, here + 1, width, bits)
        found = tables[where]
        put(tables, log, registers, where, here + FIRST)
        current = here
        offset = 0
        if rep1 > 0 and four_equal(buffer, second, second - rep1):
            begin = second - (buffer[second - 1] == buffer[second - 1 - rep1])
            put(tables, log, registers, after, here + 1 + FIRST)
            match = begin - rep1
        elif found >= lowest and four_equal(buffer, here, found - FIRST):
            put(tables, log, registers, after, here + 1 + FIRST)
            begin, match = here, found - FIRST
            offset = begin - match
        else:
            found = tables[after]
            current = here + 1
            put(tables, log, registers, after, current + FIRST)
            if found >= lowest and four_equal(buffer, current, found - FIRST):
                if step <= 4:
                    put(tables, log, registers, hash_at(buffer, second, width, bits), second + FIRST)
                begin, match = current, found - FIRST
                offset = begin - match
            else:
                here = second
                second = here + step
                if second >= next_step:
                    step += 1
                    next_step += _WALK
                continue
        length = 4
        if offset == 0:
            length += second - begin
        else:
            rep1, rep2 = offset, rep1
            anchor = registers[ANCHOR]
            while begin > anchor and match > lowest - FIRST and buffer[begin - 1] == buffer[match - 1]:
                begin -= 1
                match -= 1
                length += 1
        length += common(buffer, begin + length, match + length, end)
        if not final and (begin + length == end or begin + length > limit):
            break
        store(buffer, sequences, literals, codes, registers, begin, offset + REPEATS if offset > 0 else 1, length)
        here = begin + length
        if here <= limit:
            put(tables, log, registers, hash_at(buffer, current + 2, width, bits), current + 2 + FIRST)
            put(tables, log, registers, hash_at(buffer, here - 2, width, bits), here - 2 + FIRST)
        stage = MATCHED
    if final:
        registers[REP1], registers[REP2] = rep1, rep2
        finish(registers)
    else:
        undo(tables, log, registers)
