"""How zlib cuts data into literals and matches (RFC 1951, section 4 leaves this to the encoder).

Positions are absolute. zlib works in a buffer of 64 KB that it slides by 32 KB; all that shows of this outside is that
it never looks at the first byte of the buffer, and cannot store a block that began before it.
"""

import numpy as np

from gencomp.bitstreams.deflate_state import (
    AHEAD,
    BASE,
    BITS,
    BLOCK,
    CHECK,
    CLOSED,
    ENTERED,
    FAR,
    FINAL,
    HELD,
    HELD_START,
    KEY,
    KNOWN,
    LEVEL,
    LITERAL,
    LOGGED,
    LONGEST,
    LOOKED_UP,
    ORIGIN,
    POSITION,
    REACH,
    ROOT,
    SHORTEST,
    SIZE,
    SYMBOLS,
    SYMBOLS_PER_BLOCK,
    WAITING,
    WINDOW,
    Parse,
)
from gencomp.bitstreams.huffman import LITERALS, distance_symbol, end_of_block, length_symbol
from gencomp.bitstreams.match_search import (
    EFFORT,
    LAST_GREEDY_LEVEL,
    LAZY,
    hash_at,
    longest_match,
    one_byte_match,
)
from gencomp.bitstreams.similar_blocks import CHECKS, KEYS
from gencomp.compiled import Integer, lean_kernel


@lean_kernel
def _enter(parse: Parse, position: Integer) -> None:
    """Put ``position`` first in the chain of its three bytes."""
    registers = parse.registers
    index = hash_at(parse.buffer, position - registers[ORIGIN])
    slot, after_root = position & WINDOW - 1, position - registers[ROOT]
    if registers[FINAL]:
        entry, undo = registers[ENTERED], parse.undo
        undo[entry, 0], undo[entry, 1], undo[entry, 2] = index, position, parse.chain[slot]
        registers[ENTERED] = entry + 1
    elif after_root >= 0:
        entry = registers[LOGGED]
        parse.log[entry, 0], parse.log[entry, 1] = index, position
        registers[LOGGED] = entry + 1
    if after_root >= 0:
        parse.tail[after_root] = parse.head[index]
    else:
        parse.chain[slot] = parse.head[index]
    parse.head[index] = position


@lean_kernel
def undo_entries(parse: Parse) -> None:
    """Take what a parse that is FINAL has entered out of the chains again, the last one first."""
    undo, root = parse.undo, parse.registers[ROOT]
    for entry in range(parse.registers[ENTERED] - 1, -1, -1):
        index, position = undo[entry, 0], undo[entry, 1]
        if position >= root:
            parse.head[index] = parse.tail[position - root]
        else:
            slot = position & WINDOW - 1
            parse.head[index] = parse.chain[slot]
            parse.chain[slot] = undo[entry, 2]


@lean_kernel
def _slide(parse: Parse) -> Integer:
    """Slide zlib's buffer when it is full; return False where bytes to come decide that.

    zlib asks when it has less than AHEAD bytes, be it that the data or that the buffer ends.
    """
    registers = parse.registers
    used = registers[POSITION] - registers[BASE]
    full = used > WINDOW + REACH
    if used == WINDOW + REACH and registers[SIZE] - registers[POSITION] < AHEAD:
        if not registers[FINAL]:
            return False
        full = True
    if full:
        registers[BASE] += WINDOW
    return True


@lean_kernel
def _close_if_full(parse: Parse, position: Integer) -> None:
    """Close the block before ``position`` if it has all its symbols."""
    registers = parse.registers
    if registers[SYMBOLS] == SYMBOLS_PER_BLOCK:
        storable = registers[BLOCK] >= registers[BASE]
        size = position - registers[BLOCK]
        registers[BITS] = end_of_block(parse.counts, registers[BITS], size, storable, parse.work)
        registers[BLOCK] = position
        registers[SYMBOLS] = registers[KEY] = registers[CHECK] = 0
        registers[LITERAL] = -1
        registers[CLOSED] += 1
        parse.counts[:] = 0


@lean_kernel
def _add_literal(parse: Parse, position: Integer) -> None:
    literal = np.int64(parse.buffer[position - parse.registers[ORIGIN]])
    parse.counts[literal] += 1
    parse.registers[SYMBOLS] += 1
    parse.registers[KEY] += KEYS[literal]
    parse.registers[CHECK] += CHECKS[literal]
    parse.registers[LITERAL] = literal


@lean_kernel
def _add_match(parse: Parse, length: Integer, distance: Integer) -> None:
    how_long, how_far = length_symbol(length), LITERALS + distance_symbol(distance)
    parse.counts[how_long] += 1
    parse.counts[how_far] += 1
    parse.registers[SYMBOLS] += 1
    parse.registers[KEY] += KEYS[how_long] + KEYS[how_far]
    parse.registers[CHECK] += CHECKS[how_long] + CHECKS[how_far]
    parse.registers[LITERAL] = -1


@lean_kernel
def parse_on(parse: Parse) -> None:
    """Go on through the data: to its end if that is FINAL, else as far as no byte to come can matter."""
    if parse.registers[LEVEL] <= LAST_GREEDY_LEVEL:
        _parse_greedy(parse)
    else:
        _parse_lazy(parse)


@lean_kernel
def _parse_greedy(parse: Parse) -> None:
    """Levels 1 to 3: take every match; skip over the inside of long ones without entering it."""
    registers = parse.registers
    size, final = registers[SIZE], registers[FINAL]
    lazy = EFFORT[registers[LEVEL], LAZY]
    while registers[POSITION] < size:
        position = registers[POSITION]
        ahead = size - position
        if not _slide(parse) or (ahead < SHORTEST and not final):
            return
        length, start = SHORTEST - 1, 0
        if ahead >= SHORTEST:
            first = parse.head[hash_at(parse.buffer, position - registers[ORIGIN])]
            if first > registers[BASE] and position - first <= REACH:
                length, start = longest_match(parse, position, first, SHORTEST - 1)
            after = ahead - length
            if not final and ahead < AHEAD and (after == 0 or (SHORTEST <= length <= lazy and after < SHORTEST)):
                return
            if ahead > SHORTEST or not final:
                _enter(parse, position)
        if length < SHORTEST:
            _add_literal(parse, position)
            registers[POSITION] = position + 1
        else:
            _add_match(parse, length, position - start)
            if length <= lazy and ahead - length >= SHORTEST:  # else no search follows
                for inside in range(position + 1, position + length):
                    _enter(parse, inside)
            registers[POSITION] = position + length
        _close_if_full(parse, registers[POSITION])


@lean_kernel
def _parse_lazy(parse: Parse) -> None:
    """Levels 4 to 9: hold a match back for one byte, in case a longer one starts there."""
    registers = parse.registers
    size, final = registers[SIZE], registers[FINAL]
    lazy = EFFORT[registers[LEVEL], LAZY]
    while registers[POSITION] < size:
        position = registers[POSITION]
        ahead = size - position
        if not _slide(parse) or (ahead < SHORTEST and not final):
            return
        held, held_start = registers[HELD], registers[HELD_START]
        length, start = SHORTEST - 1, 0
        if ahead >= SHORTEST:
            if held < lazy:
                first = parse.head[hash_at(parse.buffer, position - registers[ORIGIN])]
                registers[LOOKED_UP] = ahead == SHORTEST
                if first > registers[BASE] and position - first <= REACH:
                    if registers[KNOWN] > 0:
                        length, start = one_byte_match(parse, position, first, held)
                    else:
                        length, start = longest_match(parse, position, first, held)
                    if not final and length == ahead and ahead < LONGEST:
                        return
                    if length == SHORTEST and position - start > FAR:
                        length = SHORTEST - 1
            if not final and held >= SHORTEST and length <= held and ahead <= held:
                return
            if ahead > SHORTEST or not final:
                _enter(parse, position)
        if held >= SHORTEST and length <= held:
            _add_match(parse, held, position - 1 - held_start)
            end = position - 1 + held
            if end <= size - SHORTEST or not final:  # else no search follows
                for inside in range(position + 1, end):
                    _enter(parse, inside)
            registers[POSITION] = end
            registers[HELD], registers[WAITING] = SHORTEST - 1, 0
            _close_if_full(parse, end)
        else:
            registers[HELD], registers[HELD_START] = length, start
            if registers[WAITING]:
                _add_literal(parse, position - 1)
                _close_if_full(parse, position)
            registers[WAITING] = 1
            registers[POSITION] = position + 1
    if final and registers[WAITING]:
        _add_literal(parse, size - 1)
