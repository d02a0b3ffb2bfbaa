"""Where a Brotli stream ends, to the bit (RFC 7932): a decoder's walk, with the data at hand.

Nothing marks the end; up to seven zeros fill the last byte. So the whole stream has to be walked, but since what it
holds is known, no word of the static dictionary is needed, only how long each is, and a literal's context is at hand.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

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
    LENGTH_ORDER,
    LENGTH_VALUE,
    LENGTH_WIDTH,
    RECENT,
    TRANSFORM_GROWTH,
    WORD_BITS,
)
from gencomp.compiled import Integer, kernel
from gencomp.protocols import IntArray

Bytes = npt.NDArray[np.uint8]

# registers of a walk: the next bit; bytes of data so far; 1 where stream and data do not fit; log2 of the window
BIT, SIZE, BAD, WINDOW_BITS = range(4)
LAST = 4  # the last four distances, the latest first
REGISTERS = 8

MOST_BITS = 15
NO_BLOCKS = 1 << 24
SPARE = 8  # bytes that may be read past the end


class Codes(NamedTuple):
    """Prefix codes for one alphabet: how many codewords of each length, int64 (n, 16); the symbols in order of their
    codewords, int64 (n, alphabet size). A code of one symbol has it at length 0.
    """

    counts: IntArray
    symbols: IntArray


class Blocks(NamedTuple):
    """The types of blocks of one category: codes of types and counts, and registers."""

    types: Codes
    counts: Codes
    now: IntArray  # number of types, type, type before, symbols left in the block


@kernel
def _peek(stream: Bytes, registers: IntArray, width: Integer) -> Integer:
    """Return the next ``width`` <= 25 bits, the first as the lowest."""
    at, shift = registers[BIT] >> 3, registers[BIT] & 7
    if at + SPARE > len(stream):
        registers[BAD] = 1
        return 0
    word = np.int64(stream[at]) | np.int64(stream[at + 1]) << 8 | np.int64(stream[at + 2]) << 16
    return (word | np.int64(stream[at + 3]) << 24) >> shift & ((1 << width) - 1)


@kernel
def _take(stream: Bytes, registers: IntArray, width: Integer) -> Integer:
    value = _peek(stream, registers, width)
    registers[BIT] += width
    return value


@kernel
def _symbol(stream: Bytes, registers: IntArray, counts: IntArray, symbols: IntArray) -> Integer:
    """Read one symbol by the canonical prefix code ``counts`` (16,), ``symbols``."""
    if counts[0] == 1:
        return symbols[0]
    bits = _peek(stream, registers, MOST_BITS)
    code, first, index = 0, 0, 0
    for width in range(1, MOST_BITS + 1):
        code = code << 1 | bits & 1
        bits >>= 1
        if code - first < counts[width]:
            registers[BIT] += width
            return symbols[index + code - first]
        index += counts[width]
        first = (first + counts[width]) << 1
    registers[BAD] = 1
    return 0


@kernel
def _set_code(lengths: IntArray, counts: IntArray, symbols: IntArray) -> None:
    """Make the canonical code of symbols from the lengths of their codewords, 0 for those without."""
    counts[:] = 0
    used, only = 0, 0
    for symbol in range(len(lengths)):
        if lengths[symbol] > 0:
            counts[lengths[symbol]] += 1
            used += 1
            only = symbol
    if used <= 1:
        counts[:] = 0
        counts[0], symbols[0] = 1, only
        return
    place = np.zeros(MOST_BITS + 2, np.int64)
    for width in range(1, MOST_BITS + 1):
        place[width + 1] = place[width] + counts[width]
    for symbol in range(len(lengths)):
        if lengths[symbol] > 0:
            symbols[place[lengths[symbol]]] = symbol
            place[lengths[symbol]] += 1


@kernel
def _simple_code(stream: Bytes, registers: IntArray, counts: IntArray, symbols: IntArray) -> None:
    """Read a code of one to four symbols (section 3.4)."""
    width, size = 0, len(symbols)
    while 1 << width < size:
        width += 1
    number = 1 + _take(stream, registers, 2)
    lengths = np.zeros(size, np.int64)
    chosen = np.zeros(4, np.int64)
    for i in range(number):
        chosen[i] = _take(stream, registers, width)
        if chosen[i] >= size:
            registers[BAD] = 1
            return
    if number == 1:
        counts[:] = 0
        counts[0], symbols[0] = 1, chosen[0]
        return
    uneven = number == 3 or (number == 4 and _take(stream, registers, 1) == 1)
    for i in range(number):
        lengths[chosen[i]] = min(i + 1, number - 1) if uneven else number // 2
    _set_code(lengths, counts, symbols)


@kernel
def _code(stream: Bytes, registers: IntArray, counts: IntArray, symbols: IntArray) -> None:
    """Read a prefix code for an alphabet of len(symbols) symbols (sections 3.4 and 3.5)."""
    size = len(symbols)
    skipped = _take(stream, registers, 2)
    if skipped == 1:
        _simple_code(stream, registers, counts, symbols)
        return
    inner, inner_counts, inner_symbols = np.zeros(18, np.int64), np.zeros(16, np.int64), np.zeros(18, np.int64)
    space = 32
    for i in range(skipped, 18):
        bits = _peek(stream, registers, 4)
        registers[BIT] += LENGTH_WIDTH[bits]
        length = LENGTH_VALUE[bits]
        inner[LENGTH_ORDER[i]] = length
        if length > 0:
            space -= 32 >> int(length)
            if space <= 0:
                break
    _set_code(inner, inner_counts, inner_symbols)
    lengths = np.zeros(size, np.int64)
    at, space, before, repeated, times = 0, 1 << MOST_BITS, 8, 0, 0
    while at < size and space > 0 and not registers[BAD]:
        symbol = _symbol(stream, registers, inner_counts, inner_symbols)
        if symbol < 16:
            lengths[at] = symbol
            at += 1
            times = 0
            if symbol > 0:
                before = symbol
                space -= 1 << MOST_BITS >> symbol
            continue
        width = 2 if symbol == 16 else 3
        if times > 0 and repeated == symbol:  # one repetition after another: digits of one number
            more = ((times - 2) << width) + 3 + _take(stream, registers, width) - times
        else:
            times = 0
            more = 3 + _take(stream, registers, width)
        repeated = symbol
        times += more
        if at + more > size:
            registers[BAD] = 1
            return
        if symbol == 16:
            lengths[at : at + more] = before
            space -= more * (1 << MOST_BITS >> before)
        at += more
    registers[BAD] |= space != 0 and inner_counts[0] == 0
    _set_code(lengths, counts, symbols)


@kernel
def _up_to_256(stream: Bytes, registers: IntArray) -> Integer:
    """Read a number from 1 to 256 (section 9.2)."""
    if not _take(stream, registers, 1):
        return 1
    width = _take(stream, registers, 3)
    return (1 << width) + 1 + _take(stream, registers, width)


@kernel
def _block_count(stream: Bytes, registers: IntArray, blocks: Blocks) -> None:
    symbol = _symbol(stream, registers, blocks.counts.counts[0], blocks.counts.symbols[0])
    blocks.now[3] = COUNT_BASE[symbol] + _take(stream, registers, COUNT_BITS[symbol])


@kernel
def _blocks(stream: Bytes, registers: IntArray) -> Blocks:
    """Read the types of blocks of one category, and how long the first block is."""
    number = _up_to_256(stream, registers)
    blocks = Blocks(
        Codes(np.zeros((1, 16), np.int64), np.zeros((1, number + 2), np.int64)),
        Codes(np.zeros((1, 16), np.int64), np.zeros((1, 26), np.int64)),
        np.array([number, 0, 1, NO_BLOCKS], np.int64),
    )
    if number > 1:
        _code(stream, registers, blocks.types.counts[0], blocks.types.symbols[0])
        _code(stream, registers, blocks.counts.counts[0], blocks.counts.symbols[0])
        _block_count(stream, registers, blocks)
    return blocks


@kernel
def _next_in_block(stream: Bytes, registers: IntArray, blocks: Blocks) -> Integer:
    """Count one symbol of a category, after the switch to the next block where one ends; return the block's type."""
    now = blocks.now
    if now[3] == 0:
        symbol = _symbol(stream, registers, blocks.types.counts[0], blocks.types.symbols[0])
        kind = now[2] if symbol == 0 else (now[1] + 1) % now[0] if symbol == 1 else symbol - 2
        now[2], now[1] = now[1], kind
        _block_count(stream, registers, blocks)
    now[3] -= 1
    return now[1]


@kernel
def _context_map(stream: Bytes, registers: IntArray, trees: Integer, size: Integer) -> IntArray:
    """Read which of ``trees`` codes each of ``size`` contexts takes (section 7.3)."""
    codes = np.zeros(size, np.int64)
    if trees == 1:
        return codes
    longest_run = _take(stream, registers, 4) + 1 if _take(stream, registers, 1) else 0
    counts, symbols = np.zeros(16, np.int64), np.zeros(trees + longest_run, np.int64)
    _code(stream, registers, counts, symbols)
    at = 0
    while at < size and not registers[BAD]:
        symbol = _symbol(stream, registers, counts, symbols)
        if symbol == 0 or symbol > longest_run:
            codes[at] = symbol - longest_run if symbol > 0 else 0
            at += 1
        else:
            at += (1 << symbol) + _take(stream, registers, symbol)
    registers[BAD] |= at > size
    if _take(stream, registers, 1):  # each the place in a list in which what was used last moves to the front
        order = np.arange(256)
        for i in range(size):
            place = codes[i]
            value = order[place]
            for j in range(place, 0, -1):
                order[j] = order[j - 1]
            order[0] = value
            codes[i] = value
    return codes


@kernel
def _codes(stream: Bytes, registers: IntArray, symbols: IntArray) -> Codes:
    """Read one prefix code for each row of ``symbols`` (n, alphabet size)."""
    codes = Codes(np.zeros((len(symbols), 16), np.int64), symbols)
    for i in range(len(symbols)):
        _code(stream, registers, codes.counts[i], codes.symbols[i])
    return codes


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
        code = contexts[64 * kind + context]
        if _symbol(stream, registers, codes.counts[code], codes.symbols[code]) != data[at]:
            registers[BAD] = 1
            return
    registers[SIZE] = size + number


@kernel
def _distance(stream: Bytes, registers: IntArray, symbol: Integer, postfix: Integer, direct: Integer) -> Integer:
    """Return the distance that ``symbol`` and its extra bits mean (section 4)."""
    if symbol < 16:
        return registers[LAST + RECENT[symbol]] + ADDED[symbol]
    if symbol < 16 + direct:
        return symbol - 15
    rest = symbol - direct - 16
    width = 1 + (rest >> postfix + 1)
    high = rest >> postfix
    offset = ((2 + (high & 1)) << width) - 4 + _take(stream, registers, width)
    return (offset << postfix) + (rest & (1 << postfix) - 1) + direct + 1


@kernel
def _copy(registers: IntArray, data: Bytes, length: Integer, distance: Integer, recent: Integer) -> None:
    """Go over a copy, or over a word of the dictionary where the distance is farther than the data goes back."""
    size = registers[SIZE]
    farthest = min((1 << registers[WINDOW_BITS]) - 16, size)
    if distance > farthest:
        if not 4 <= length <= 24:
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
    """Walk over what a compressed meta-block holds, up to ``end`` bytes of data (section 9.2)."""
    literals, commands = _blocks(stream, registers), _blocks(stream, registers)
    distances = _blocks(stream, registers)
    postfix = _take(stream, registers, 2)
    direct = _take(stream, registers, 4) << postfix
    modes = np.zeros(literals.now[0], np.int64)
    for i in range(len(modes)):
        modes[i] = _take(stream, registers, 2)
    literal_trees = _up_to_256(stream, registers)
    literal_contexts = _context_map(stream, registers, literal_trees, 64 * literals.now[0])
    distance_trees = _up_to_256(stream, registers)
    distance_contexts = _context_map(stream, registers, distance_trees, 4 * distances.now[0])
    literal_codes = _codes(stream, registers, np.empty((literal_trees, 256), np.int64))
    command_codes = _codes(stream, registers, np.empty((commands.now[0], 704), np.int64))
    distance_codes = _codes(stream, registers, np.empty((distance_trees, 16 + direct + (48 << postfix)), np.int64))
    while registers[SIZE] < end and not registers[BAD]:
        kind = _next_in_block(stream, registers, commands)
        command = _symbol(stream, registers, command_codes.counts[kind], command_codes.symbols[kind])
        insert = 8 * INSERT_EIGHT[command >> 6] + (command >> 3 & 7)
        copy = 8 * COPY_EIGHT[command >> 6] + (command & 7)
        number = INSERT_BASE[insert] + _take(stream, registers, INSERT_BITS[insert])
        length = COPY_BASE[copy] + _take(stream, registers, COPY_BITS[copy])
        if registers[SIZE] + number > end:
            registers[BAD] = 1
            return
        _literals(stream, registers, data, number, literals, modes, literal_contexts, literal_codes)
        if registers[SIZE] == end or registers[BAD]:
            return
        symbol = 0
        if command >= 128:
            code = distance_contexts[4 * _next_in_block(stream, registers, distances) + min(length - 2, 3)]
            symbol = _symbol(stream, registers, distance_codes.counts[code], distance_codes.symbols[code])
        distance = _distance(stream, registers, symbol, postfix, direct)
        _copy(registers, data, length, distance, symbol == 0)
    registers[BAD] |= registers[SIZE] != end


@kernel
def _align(registers: IntArray) -> None:
    registers[BIT] = registers[BIT] + 7 & ~7


@kernel
def _window_bits(stream: Bytes, registers: IntArray) -> Integer:
    """Read log2 of the window's size (section 9.1)."""
    if not _take(stream, registers, 1):
        return 16
    more = _take(stream, registers, 3)
    if more > 0:
        return 17 + more
    more = _take(stream, registers, 3)
    return 17 if more == 0 else 8 + more


@kernel
def _walk(stream: Bytes, registers: IntArray, data: Bytes) -> None:
    """Walk over the whole stream; it has SPARE bytes after its end."""
    registers[WINDOW_BITS] = _window_bits(stream, registers)
    last = 0
    while not last and not registers[BAD]:
        last = _take(stream, registers, 1)
        if last and _take(stream, registers, 1):
            break
        nibbles = _take(stream, registers, 2)
        if nibbles == 3:  # metadata
            registers[BAD] |= _take(stream, registers, 1)
            width = 8 * _take(stream, registers, 2)
            skipped = _take(stream, registers, width) + 1 if width > 0 else 0
            _align(registers)
            registers[BIT] += 8 * skipped
            continue
        end = registers[SIZE] + _take(stream, registers, 4 * (4 + nibbles)) + 1
        if end > len(data):
            registers[BAD] = 1
        elif not last and _take(stream, registers, 1):
            _align(registers)
            registers[BIT] += 8 * (end - registers[SIZE])
            registers[SIZE] = end
        else:
            _compressed(stream, registers, data, end)


def used_bits(stream: bytes, data: bytes) -> int:
    """Return the bits of the Brotli stream that holds ``data``.

    Raises ``ValueError`` where it does not hold them, or goes on for more than zeros to the end of a byte.
    """
    registers = np.zeros(REGISTERS, np.int64)
    registers[LAST:] = 4, 11, 15, 16
    padded = np.frombuffer(stream + bytes(SPARE), np.uint8)
    _walk(padded, registers, np.frombuffer(data, np.uint8))
    bits = int(registers[BIT])
    whole = registers[SIZE] == len(data) and -(-bits // 8) == len(stream)
    if registers[BAD] or not whole or (bits % 8 and stream[-1] >> bits % 8):
        raise ValueError(f"expected a Brotli stream of {len(data)} bytes, found {registers[SIZE]} in {len(stream)}")
    return bits
