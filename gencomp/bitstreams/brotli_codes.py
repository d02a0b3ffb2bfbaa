"""Prefix codes and context maps of a Brotli stream (RFC 7932, sections 3 and 7.3)."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gencomp.bitstreams.brotli_tables import LENGTH_ORDER, LENGTH_VALUE, LENGTH_WIDTH
from gencomp.compiled import Integer, kernel
from gencomp.protocols import IntArray

Bytes = npt.NDArray[np.uint8]

# registers of a walk: the next bit; bytes of data so far; 1 where stream and data do not fit; log2 of the window
BIT, SIZE, BAD, WINDOW_BITS = range(4)
LAST = 4  # the last four distances, the latest first
REGISTERS = 8

MAX_BITS = 15  # of a code word
SPARE = 8  # bytes that may be read past the end
LENGTH_SYMBOLS = 18  # of the code for code lengths (section 3.5)
REPEAT, ZEROS = 16, 17  # its last two: the length before again, and zeros
REPEAT_BITS, ZEROS_BITS, FEWEST_REPEATED = 2, 3, 3
FIRST_BEFORE = 8  # the length that REPEAT repeats if only zeros came before
INNER_SPACE = 32  # code space that the lengths of that code, 5 bits at most, have to fill


class Codes(NamedTuple):
    """Prefix codes for one alphabet.

    ``counts``, int64 (n, MAX_BITS + 1), are the numbers of codewords of each length, ``symbols``, int64 (n, alphabet
    size), the symbols in the order of their codewords. A code of one symbol has it at length 0.
    """

    counts: IntArray
    symbols: IntArray


@kernel
def peek(stream: Bytes, registers: IntArray, width: Integer) -> Integer:
    """Return the next ``width`` bits, the first one lowest; at most 25, which four bytes hold wherever they begin."""
    at, shift = registers[BIT] >> 3, registers[BIT] & 7
    if at + SPARE > len(stream):
        registers[BAD] = 1
        return 0
    word = np.int64(stream[at]) | (np.int64(stream[at + 1]) << 8) | (np.int64(stream[at + 2]) << 16)
    return ((word | (np.int64(stream[at + 3]) << 24)) >> shift) & ((1 << width) - 1)


@kernel
def take(stream: Bytes, registers: IntArray, width: Integer) -> Integer:
    """Read the next ``width`` bits."""
    value = peek(stream, registers, width)
    registers[BIT] += width
    return value


@kernel
def read_symbol(stream: Bytes, registers: IntArray, counts: IntArray, symbols: IntArray) -> Integer:
    """Read one symbol by the canonical prefix code ``counts`` (16,), ``symbols``."""
    if counts[0] == 1:
        return symbols[0]
    bits = peek(stream, registers, MAX_BITS)
    code, first, index = 0, 0, 0
    for width in range(1, MAX_BITS + 1):
        code = (code << 1) | (bits & 1)
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
    place = np.zeros(MAX_BITS + 2, np.int64)
    for width in range(1, MAX_BITS + 1):
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
    number = 1 + take(stream, registers, 2)
    lengths = np.zeros(size, np.int64)
    chosen = np.zeros(4, np.int64)
    for i in range(number):
        chosen[i] = take(stream, registers, width)
        if chosen[i] >= size:
            registers[BAD] = 1
            return
    if number == 1:
        counts[:] = 0
        counts[0], symbols[0] = 1, chosen[0]
        return
    uneven = number == 3 or (number == 4 and take(stream, registers, 1) == 1)
    for i in range(number):
        lengths[chosen[i]] = min(i + 1, number - 1) if uneven else number // 2
    _set_code(lengths, counts, symbols)


@kernel
def read_code(stream: Bytes, registers: IntArray, counts: IntArray, symbols: IntArray) -> None:
    """Read a prefix code for an alphabet of len(symbols) symbols (sections 3.4 and 3.5)."""
    size = len(symbols)
    skipped = take(stream, registers, 2)
    if skipped == 1:
        _simple_code(stream, registers, counts, symbols)
        return
    inner, inner_counts = np.zeros(LENGTH_SYMBOLS, np.int64), np.zeros(MAX_BITS + 1, np.int64)
    inner_symbols, space = np.zeros(LENGTH_SYMBOLS, np.int64), INNER_SPACE
    for i in range(skipped, LENGTH_SYMBOLS):
        bits = peek(stream, registers, 4)
        registers[BIT] += LENGTH_WIDTH[bits]
        length = LENGTH_VALUE[bits]
        inner[LENGTH_ORDER[i]] = length
        if length > 0:
            space -= INNER_SPACE >> int(length)
            if space <= 0:
                break
    _set_code(inner, inner_counts, inner_symbols)
    lengths = np.zeros(size, np.int64)
    at, space, before, repeated, times = 0, 1 << MAX_BITS, FIRST_BEFORE, 0, 0
    while at < size and space > 0 and not registers[BAD]:
        symbol = read_symbol(stream, registers, inner_counts, inner_symbols)
        if symbol < REPEAT:
            lengths[at] = symbol
            at += 1
            times = 0
            if symbol > 0:
                before = symbol
                space -= (1 << MAX_BITS) >> symbol
            continue
        width = REPEAT_BITS if symbol == REPEAT else ZEROS_BITS
        # repetitions of one kind, one after another, are the digits of one number
        if times > 0 and repeated == symbol:
            more = ((times - 2) << width) + FEWEST_REPEATED + take(stream, registers, width) - times
        else:
            times = 0
            more = FEWEST_REPEATED + take(stream, registers, width)
        repeated = symbol
        times += more
        if at + more > size:
            registers[BAD] = 1
            return
        if symbol == REPEAT:
            lengths[at : at + more] = before
            space -= more * ((1 << MAX_BITS) >> before)
        at += more
    registers[BAD] |= space != 0 and inner_counts[0] == 0
    _set_code(lengths, counts, symbols)


@kernel
def read_context_map(stream: Bytes, registers: IntArray, trees: Integer, size: Integer) -> IntArray:
    """Read which of ``trees`` codes each of ``size`` contexts takes (section 7.3)."""
    codes = np.zeros(size, np.int64)
    if trees == 1:
        return codes
    longest_run = take(stream, registers, 4) + 1 if take(stream, registers, 1) else 0
    counts, symbols = np.zeros(MAX_BITS + 1, np.int64), np.zeros(trees + longest_run, np.int64)
    read_code(stream, registers, counts, symbols)
    at = 0
    while at < size and not registers[BAD]:
        symbol = read_symbol(stream, registers, counts, symbols)
        if symbol == 0 or symbol > longest_run:
            codes[at] = symbol - longest_run if symbol > 0 else 0
            at += 1
        else:
            at += (1 << symbol) + take(stream, registers, symbol)
    registers[BAD] |= at > size
    # each number may be coded by move-to-front
    if take(stream, registers, 1):
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
def read_codes(stream: Bytes, registers: IntArray, symbols: IntArray) -> Codes:
    """Read one prefix code for each row of ``symbols`` (n, alphabet size)."""
    codes = Codes(np.zeros((len(symbols), MAX_BITS + 1), np.int64), symbols)
    for i in range(len(symbols)):
        read_code(stream, registers, codes.counts[i], codes.symbols[i])
    return codes
