"""How zlib cuts data into literals and matches, which RFC 1951, section 4, leaves to the encoder.

Positions are absolute. zlib works in a buffer of 64 KB that it slides by 32 KB, which shows in two ways: no match
starts at the buffer's first byte, and a block that began before the buffer cannot be stored.
"""

import numpy as np

from gencomp.bitstreams import deflate_registers as reg
from gencomp.bitstreams import rfc1951
from gencomp.bitstreams import zlib_constants as zlib
from gencomp.bitstreams.deflate_state import Parse
from gencomp.bitstreams.huffman import end_of_block
from gencomp.bitstreams.match_search import hash_at, longest_match, one_byte_match
from gencomp.bitstreams.rfc1951 import distance_symbol, length_symbol
from gencomp.bitstreams.similar_blocks import CHECKS, KEYS
from gencomp.bitstreams.zlib_constants import CONFIGURATION_TABLE
from gencomp.compiled import Integer, lean_kernel


@lean_kernel
def _enter(parse: Parse, position: Integer) -> None:
    """Put ``position`` first in the chain of its three bytes (INSERT_STRING)."""
    registers = parse.registers
    index = hash_at(parse.buffer, position - registers[reg.ORIGIN])
    slot, after_root = position & zlib.W_MASK, position - registers[reg.ROOT]
    if registers[reg.FINAL]:
        entry, undo = registers[reg.ENTERED], parse.undo
        undo[entry, 0], undo[entry, 1], undo[entry, 2] = index, position, parse.chain[slot]
        registers[reg.ENTERED] = entry + 1
    elif after_root >= 0:
        entry = registers[reg.LOGGED]
        parse.log[entry, 0], parse.log[entry, 1] = index, position
        registers[reg.LOGGED] = entry + 1
    if after_root >= 0:
        parse.tail[after_root] = parse.head[index]
    else:
        parse.chain[slot] = parse.head[index]
    parse.head[index] = position


@lean_kernel
def undo_entries(parse: Parse) -> None:
    """Take out of the chains what a parse that is FINAL has entered, the last entry first."""
    undo, root = parse.undo, parse.registers[reg.ROOT]
    for entry in range(parse.registers[reg.ENTERED] - 1, -1, -1):
        index, position = undo[entry, 0], undo[entry, 1]
        if position >= root:
            parse.head[index] = parse.tail[position - root]
        else:
            slot = position & zlib.W_MASK
            parse.head[index] = parse.chain[slot]
            parse.chain[slot] = undo[entry, 2]


@lean_kernel
def _slide(parse: Parse) -> Integer:
    """Slide zlib's buffer when it is full (fill_window); return False where bytes to come decide whether it is.

    zlib fills its buffer when fewer than MIN_LOOKAHEAD bytes are ahead, because the data or the buffer ends.
    """
    registers = parse.registers
    used = registers[reg.POSITION] - registers[reg.BASE]
    full = used > zlib.W_SIZE + zlib.MAX_DIST
    if used == zlib.W_SIZE + zlib.MAX_DIST and registers[reg.SIZE] - registers[reg.POSITION] < zlib.MIN_LOOKAHEAD:
        if not registers[reg.FINAL]:
            return False
        full = True
    if full:
        registers[reg.BASE] += zlib.W_SIZE
    return True


@lean_kernel
def _close_if_full(parse: Parse, position: Integer) -> None:
    """Close the block before ``position`` if it is full."""
    registers = parse.registers
    if registers[reg.SYMBOLS] == zlib.SYMBOLS_PER_BLOCK:
        storable = registers[reg.BLOCK] >= registers[reg.BASE]
        size = position - registers[reg.BLOCK]
        registers[reg.BITS] = end_of_block(parse.counts, registers[reg.BITS], size, storable, parse.work)
        registers[reg.BLOCK] = position
        registers[reg.SYMBOLS] = registers[reg.KEY] = registers[reg.CHECK] = 0
        registers[reg.LITERAL] = -1
        registers[reg.CLOSED] += 1
        parse.counts[:] = 0


@lean_kernel
def _add_literal(parse: Parse, position: Integer) -> None:
    literal = np.int64(parse.buffer[position - parse.registers[reg.ORIGIN]])
    parse.counts[literal] += 1
    parse.registers[reg.SYMBOLS] += 1
    parse.registers[reg.KEY] += KEYS[literal]
    parse.registers[reg.CHECK] += CHECKS[literal]
    parse.registers[reg.LITERAL] = literal


@lean_kernel
def _add_match(parse: Parse, length: Integer, distance: Integer) -> None:
    how_long, how_far = length_symbol(length), rfc1951.L_CODES + distance_symbol(distance)
    parse.counts[how_long] += 1
    parse.counts[how_far] += 1
    parse.registers[reg.SYMBOLS] += 1
    parse.registers[reg.KEY] += KEYS[how_long] + KEYS[how_far]
    parse.registers[reg.CHECK] += CHECKS[how_long] + CHECKS[how_far]
    parse.registers[reg.LITERAL] = -1


@lean_kernel
def parse_on(parse: Parse) -> None:
    """Parse on: to the end of the data if it is FINAL, else as far as no byte to come can matter."""
    if parse.registers[reg.LEVEL] <= zlib.LAST_FAST_LEVEL:
        _parse_fast(parse)
    else:
        _parse_slow(parse)


@lean_kernel
def _parse_fast(parse: Parse) -> None:
    """Take every match, as levels 1 to 3 do (deflate_fast); the inside of a long one is not entered in the chains."""
    registers = parse.registers
    size, final = registers[reg.SIZE], registers[reg.FINAL]
    max_lazy = CONFIGURATION_TABLE[registers[reg.LEVEL], zlib.MAX_LAZY]
    while registers[reg.POSITION] < size:
        position = registers[reg.POSITION]
        ahead = size - position
        if not _slide(parse) or (ahead < zlib.MIN_MATCH and not final):
            return
        length, start = zlib.MIN_MATCH - 1, 0
        if ahead >= zlib.MIN_MATCH:
            first = parse.head[hash_at(parse.buffer, position - registers[reg.ORIGIN])]
            if first > registers[reg.BASE] and position - first <= zlib.MAX_DIST:
                length, start = longest_match(parse, position, first, zlib.MIN_MATCH - 1)
            after = ahead - length
            # a byte more may lengthen the match, or have its inside entered
            if (
                not final
                and ahead < zlib.MIN_LOOKAHEAD
                and (after == 0 or (zlib.MIN_MATCH <= length <= max_lazy and after < zlib.MIN_MATCH))
            ):
                return
            if ahead > zlib.MIN_MATCH or not final:
                _enter(parse, position)
        if length < zlib.MIN_MATCH:
            _add_literal(parse, position)
            registers[reg.POSITION] = position + 1
        else:
            _add_match(parse, length, position - start)
            # if fewer bytes follow, no search does
            if length <= max_lazy and ahead - length >= zlib.MIN_MATCH:
                for inside in range(position + 1, position + length):
                    _enter(parse, inside)
            registers[reg.POSITION] = position + length
        _close_if_full(parse, registers[reg.POSITION])


@lean_kernel
def _parse_slow(parse: Parse) -> None:
    """Hold a match back for one byte, in case a longer one starts there, as levels 4 to 9 do (deflate_slow)."""
    registers = parse.registers
    size, final = registers[reg.SIZE], registers[reg.FINAL]
    max_lazy = CONFIGURATION_TABLE[registers[reg.LEVEL], zlib.MAX_LAZY]
    while registers[reg.POSITION] < size:
        position = registers[reg.POSITION]
        ahead = size - position
        if not _slide(parse) or (ahead < zlib.MIN_MATCH and not final):
            return
        prev_length, prev_match = registers[reg.PREV_LENGTH], registers[reg.PREV_MATCH]
        length, start = zlib.MIN_MATCH - 1, 0
        if ahead >= zlib.MIN_MATCH:
            if prev_length < max_lazy:
                first = parse.head[hash_at(parse.buffer, position - registers[reg.ORIGIN])]
                registers[reg.LOOKED_UP] = ahead == zlib.MIN_MATCH
                if first > registers[reg.BASE] and position - first <= zlib.MAX_DIST:
                    if registers[reg.KNOWN] > 0:
                        length, start = one_byte_match(parse, position, first, prev_length)
                    else:
                        length, start = longest_match(parse, position, first, prev_length)
                    if not final and length == ahead and ahead < zlib.MAX_MATCH:  # a byte more may lengthen it
                        return
                    if length == zlib.MIN_MATCH and position - start > zlib.TOO_FAR:
                        length = zlib.MIN_MATCH - 1
            if not final and prev_length >= zlib.MIN_MATCH and length <= prev_length and ahead <= prev_length:
                return
            if ahead > zlib.MIN_MATCH or not final:
                _enter(parse, position)
        if prev_length >= zlib.MIN_MATCH and length <= prev_length:
            _add_match(parse, prev_length, position - 1 - prev_match)
            end = position - 1 + prev_length
            # if fewer bytes follow, no search does
            if end <= size - zlib.MIN_MATCH or not final:
                for inside in range(position + 1, end):
                    _enter(parse, inside)
            registers[reg.POSITION] = end
            registers[reg.PREV_LENGTH], registers[reg.MATCH_AVAILABLE] = zlib.MIN_MATCH - 1, 0
            _close_if_full(parse, end)
        else:
            registers[reg.PREV_LENGTH], registers[reg.PREV_MATCH] = length, start
            if registers[reg.MATCH_AVAILABLE]:
                _add_literal(parse, position - 1)
                _close_if_full(parse, position)
            registers[reg.MATCH_AVAILABLE] = 1
            registers[reg.POSITION] = position + 1
    if final and registers[reg.MATCH_AVAILABLE]:
        _add_literal(parse, size - 1)
