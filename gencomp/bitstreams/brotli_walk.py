"""Where a Brotli stream ends, to the bit (RFC 7932): a decoder's walk, with the data at hand.

Nothing marks the end, and up to seven zeros fill the last byte. So the whole stream has to be walked. Since the data
that it holds are known, a literal's context is at hand, and only the lengths of the static dictionary's words are
needed.
"""

from typing import NamedTuple

import numpy as np

from gencomp.bitstreams.brotli_codes import (
    BAD,
    BIT,
    LAST,
    MAX_BITS,
    REGISTERS,
    SIZE,
    SPARE,
    WINDOW_BITS,
    Bytes,
    Codes,
    read_code,
    read_codes,
    read_context_map,
    read_symbol,
    take,
)
from gencomp.bitstreams.brotli_tables import (
    ADDED,
    CONTEXTS,
    COPY_BASE,
    COPY_BITS,
    COPY_EIGHT,
    COUNT_BASE,
    COUNT_BITS,
    INSERT_BASE,
    INSERT_BITS,
    INSERT_EIGHT,
    RECENT,
    TRANSFORM_GROWTH,
    WORD_BITS,
)
from gencomp.compiled import Integer, kernel
from gencomp.protocols import IntArray

NO_BLOCKS = 1 << 24  # symbols in the only block of a category: more than a meta-block can have
# alphabets (sections 4 to 6)
LITERAL_SYMBOLS, COMMAND_SYMBOLS, COUNT_SYMBOLS = 256, 704, 26
RECENT_SYMBOLS = 16  # of distances that refer to the last four
DISTANCE_BITS = 48  # symbols of distances with extra bits: two for each of 24 numbers of bits
IMPLICIT = 128  # commands below this repeat the last distance
LITERAL_CONTEXTS, DISTANCE_CONTEXTS = 64, 4  # for each type of blocks (section 7)
SHORTEST_WORD, LONGEST_WORD = 4, 24  # of the dictionary (section 8)
WINDOW_MARGIN = 16  # bytes of the window that no distance reaches (section 9.1)
METADATA = 3  # in place of the number of nibbles that a meta-block's size has, less 4 (section 9.2)
FIRST_DISTANCES = 4, 11, 15, 16  # what the last four are before there are any (section 4)
# columns of Blocks.now
_TYPES, _TYPE, _TYPE_BEFORE, _LEFT = range(4)


class Blocks(NamedTuple):
    """The types of blocks of one category: codes of types and counts, and registers."""

    types: Codes
    counts: Codes
    now: IntArray  # number of types, type, type before, symbols left in the block


@kernel
def _up_to_256(stream: Bytes, registers: IntArray) -> Integer:
    """Read a number from 1 to 256 (section 9.2)."""
    if not take(stream, registers, 1):
        return 1
    width = take(stream, registers, 3)
    return (1 << width) + 1 + take(stream, registers, width)


@kernel
def _block_count(stream: Bytes, registers: IntArray, blocks: Blocks) -> None:
    symbol = read_symbol(stream, registers, blocks.counts.counts[0], blocks.counts.symbols[0])
    blocks.now[_LEFT] = COUNT_BASE[symbol] + take(stream, registers, COUNT_BITS[symbol])


@kernel
def _blocks(stream: Bytes, registers: IntArray) -> Blocks:
    """Read the types of blocks of one category, and how long the first block is."""
    number = _up_to_256(stream, registers)
    blocks = Blocks(
        Codes(np.zeros((1, MAX_BITS + 1), np.int64), np.zeros((1, number + 2), np.int64)),
        Codes(np.zeros((1, MAX_BITS + 1), np.int64), np.zeros((1, COUNT_SYMBOLS), np.int64)),
        np.array([number, 0, 1, NO_BLOCKS], np.int64),
    )
    if number > 1:
        read_code(stream, registers, blocks.types.counts[0], blocks.types.symbols[0])
        read_code(stream, registers, blocks.counts.counts[0], blocks.counts.symbols[0])
        _block_count(stream, registers, blocks)
    return blocks


@kernel
def _next_in_block(stream: Bytes, registers: IntArray, blocks: Blocks) -> Integer:
    """Count one symbol of a category, after the switch to the next block where one ends; return the block's type."""
    now = blocks.now
    if now[_LEFT] == 0:
        symbol = read_symbol(stream, registers, blocks.types.counts[0], blocks.types.symbols[0])
        if symbol == 0:
            kind = now[_TYPE_BEFORE]
        elif symbol == 1:
            kind = (now[_TYPE] + 1) % now[_TYPES]
        else:
            kind = symbol - 2
        now[_TYPE_BEFORE], now[_TYPE] = now[_TYPE], kind
        _block_count(stream, registers, blocks)
    now[_LEFT] -= 1
    return now[_TYPE]


@kernel
def _literals(
    stream: Bytes,
    registers: IntArray,
    data: Bytes,
    number: Integer,
    blocks: Blocks,
    modes: IntArray,
    contexts: IntArray,
    codes: Codes,
) -> None:
    """Read ``number`` literals, each of which must be the data's byte."""
    size = registers[SIZE]
    for at in range(size, size + number):
        kind = _next_in_block(stream, registers, blocks)
        last = data[at - 1] if at > 0 else 0
        before = data[at - 2] if at > 1 else 0
        context = np.int64(CONTEXTS[modes[kind], 0, last]) | np.int64(CONTEXTS[modes[kind], 1, before])
        code = contexts[LITERAL_CONTEXTS * kind + context]
        if read_symbol(stream, registers, codes.counts[code], codes.symbols[code]) != data[at]:
            registers[BAD] = 1
            return
    registers[SIZE] = size + number


@kernel
def _distance(stream: Bytes, registers: IntArray, symbol: Integer, postfix: Integer, direct: Integer) -> Integer:
    """Return the distance that ``symbol`` and its extra bits mean (section 4)."""
    if symbol < RECENT_SYMBOLS:
        return registers[LAST + RECENT[symbol]] + ADDED[symbol]
    if symbol < RECENT_SYMBOLS + direct:
        return symbol - RECENT_SYMBOLS + 1
    rest = symbol - direct - RECENT_SYMBOLS
    width = 1 + (rest >> (postfix + 1))
    high = rest >> postfix
    offset = ((2 + (high & 1)) << width) - 4 + take(stream, registers, width)
    return (offset << postfix) + (rest & ((1 << postfix) - 1)) + direct + 1


@kernel
def _copy(registers: IntArray, data: Bytes, length: Integer, distance: Integer, recent: Integer) -> None:
    """Go over a copy, or over a word of the dictionary if the distance is farther than the data reaches back."""
    size = registers[SIZE]
    farthest = min((1 << registers[WINDOW_BITS]) - WINDOW_MARGIN, size)
    if distance > farthest:
        if not SHORTEST_WORD <= length <= LONGEST_WORD:
            registers[BAD] = 1
            return
        transform = (distance - farthest - 1) >> WORD_BITS[length]
        if transform >= len(TRANSFORM_GROWTH):
            registers[BAD] = 1
            return
        registers[SIZE] = size + max(length + TRANSFORM_GROWTH[transform], 0)
        return
    if distance <= 0 or size + length > len(data):
        registers[BAD] = 1
        return
    for at in range(size, size + length):
        if data[at] != data[at - distance]:
            registers[BAD] = 1
            return
    registers[SIZE] = size + length
    if not recent:
        for i in range(LAST + 3, LAST, -1):
            registers[i] = registers[i - 1]
        registers[LAST] = distance


@kernel
def _compressed(stream: Bytes, registers: IntArray, data: Bytes, end: Integer) -> None:
    """Walk over the content of a compressed meta-block, up to ``end`` bytes of data (section 9.2)."""
    literals, commands = _blocks(stream, registers), _blocks(stream, registers)
    distances = _blocks(stream, registers)
    postfix = take(stream, registers, 2)
    direct = take(stream, registers, 4) << postfix
    modes = np.zeros(literals.now[_TYPES], np.int64)
    for i in range(len(modes)):
        modes[i] = take(stream, registers, 2)
    literal_trees = _up_to_256(stream, registers)
    literal_contexts = read_context_map(stream, registers, literal_trees, LITERAL_CONTEXTS * literals.now[_TYPES])
    distance_trees = _up_to_256(stream, registers)
    distance_contexts = read_context_map(stream, registers, distance_trees, DISTANCE_CONTEXTS * distances.now[_TYPES])
    literal_codes = read_codes(stream, registers, np.empty((literal_trees, LITERAL_SYMBOLS), np.int64))
    command_codes = read_codes(stream, registers, np.empty((commands.now[_TYPES], COMMAND_SYMBOLS), np.int64))
    distance_symbols = RECENT_SYMBOLS + direct + (DISTANCE_BITS << postfix)
    distance_codes = read_codes(stream, registers, np.empty((distance_trees, distance_symbols), np.int64))
    while registers[SIZE] < end and not registers[BAD]:
        kind = _next_in_block(stream, registers, commands)
        command = read_symbol(stream, registers, command_codes.counts[kind], command_codes.symbols[kind])
        insert = 8 * INSERT_EIGHT[command >> 6] + ((command >> 3) & 7)
        copy = 8 * COPY_EIGHT[command >> 6] + (command & 7)
        number = INSERT_BASE[insert] + take(stream, registers, INSERT_BITS[insert])
        length = COPY_BASE[copy] + take(stream, registers, COPY_BITS[copy])
        if registers[SIZE] + number > end:
            registers[BAD] = 1
            return
        _literals(stream, registers, data, number, literals, modes, literal_contexts, literal_codes)
        if registers[SIZE] == end or registers[BAD]:
            return
        symbol = 0
        if command >= IMPLICIT:
            contexts = DISTANCE_CONTEXTS * _next_in_block(stream, registers, distances)
            code = distance_contexts[contexts + min(length - 2, DISTANCE_CONTEXTS - 1)]
            symbol = read_symbol(stream, registers, distance_codes.counts[code], distance_codes.symbols[code])
        distance = _distance(stream, registers, symbol, postfix, direct)
        _copy(registers, data, length, distance, symbol == 0)
    registers[BAD] |= registers[SIZE] != end


@kernel
def _align(registers: IntArray) -> None:
    registers[BIT] = (registers[BIT] + 7) & ~7


@kernel
def _window_bits(stream: Bytes, registers: IntArray) -> Integer:
    """Read log2 of the window's size (section 9.1)."""
    if not take(stream, registers, 1):
        return 16
    more = take(stream, registers, 3)
    if more > 0:
        return 17 + more
    more = take(stream, registers, 3)
    return 17 if more == 0 else 8 + more


@kernel
def _walk(stream: Bytes, registers: IntArray, data: Bytes) -> None:
    """Walk over the whole stream; it has SPARE bytes after its end."""
    registers[WINDOW_BITS] = _window_bits(stream, registers)
    last = 0
    while not last and not registers[BAD]:
        last = take(stream, registers, 1)
        if last and take(stream, registers, 1):
            break
        nibbles = take(stream, registers, 2)
        if nibbles == METADATA:
            registers[BAD] |= take(stream, registers, 1)
            width = 8 * take(stream, registers, 2)
            skipped = take(stream, registers, width) + 1 if width > 0 else 0
            _align(registers)
            registers[BIT] += 8 * skipped
            continue
        end = registers[SIZE] + take(stream, registers, 4 * (4 + nibbles)) + 1
        if end > len(data):
            registers[BAD] = 1
        elif not last and take(stream, registers, 1):
            _align(registers)
            registers[BIT] += 8 * (end - registers[SIZE])
            registers[SIZE] = end
        else:
            _compressed(stream, registers, data, end)


def used_bits(stream: bytes, data: bytes) -> int:
    """Return the bits of the Brotli stream that holds ``data``.

    Raises ``ValueError`` where it does not hold them, or has more after its end than zeros that fill the last byte.
    """
    registers = np.zeros(REGISTERS, np.int64)
    registers[LAST:] = FIRST_DISTANCES
    padded = np.frombuffer(stream + bytes(SPARE), np.uint8)
    _walk(padded, registers, np.frombuffer(data, np.uint8))
    bits = int(registers[BIT])
    whole = registers[SIZE] == len(data) and -(-bits // 8) == len(stream)
    if registers[BAD] or not whole or (bits % 8 and stream[-1] >> (bits % 8)):
        raise ValueError(f"expected a Brotli stream of {len(data)} bytes, found {registers[SIZE]} in {len(stream)}")
    return bits
