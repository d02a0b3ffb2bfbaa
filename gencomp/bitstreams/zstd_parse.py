"""A walk over a Zstandard frame (RFC 8878) that tells what is in it: blocks, literals and copies, bit by bit.

This is plain Python, fast enough to look at one frame; candidates are priced by :mod:`gencomp.bitstreams.zstd`.
Literals are not decoded: the data are at hand, and the lengths of the Huffman code tell what each literal takes. The
bits of a copy are those of its sequence, which also tell how many literals come before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from gencomp.bitstreams.zstd_frame import MAGIC, ONE_SYMBOL, OWN_TABLE, PREDEFINED, RAW, REPEATED, TREELESS
from gencomp.errors import CorruptDataError
from gencomp.phrases import Block, Phrase

KINDS = ("raw", "repeated", "compressed")
# (the shortest length, extra bits) of each code (section 3.1.1.3.2.1.1)
_LITERAL_CODES = [(length, 0) for length in range(16)]
_LITERAL_CODES += [(16, 1), (18, 1), (20, 1), (22, 1), (24, 2), (28, 2), (32, 3), (40, 3), (48, 4), (64, 6)]
_LITERAL_CODES += [(1 << bits, bits) for bits in range(7, 17)]
_MATCH_CODES = [(length + 3, 0) for length in range(32)]
_MATCH_CODES += [(35, 1), (37, 1), (39, 1), (41, 1), (43, 2), (47, 2), (51, 3), (59, 3), (67, 4), (83, 4), (99, 5)]
_MATCH_CODES += [((1 << bits) + 3, bits) for bits in range(7, 17)]
# the predefined tables (section 3.1.1.3.2.2): log2 of their size, and the units of each code
_PREDEFINED = (
    (6, [4, 3] + [2] * 6 + [2] * 5 + [1] * 3 + [2] * 9 + [3, 2] + [1] * 5 + [-1] * 4),
    (5, [1] * 6 + [2] * 3 + [1] * 15 + [-1] * 5),
    (6, [1, 4, 3] + [2] * 6 + [1] * 37 + [-1] * 7),
)


class Cell(NamedTuple):
    """A state of a table: its symbol, and the next state, which is ``base`` plus the next ``width`` bits."""

    symbol: int
    width: int
    base: int


Table = list[Cell]


def _bad(what: str) -> CorruptDataError:
    return CorruptDataError(f"not a complete zstd frame: {what}")


def _little(data: bytes, at: int, size: int) -> int:
    if at + size > len(data):
        raise _bad("it ends early")
    return int.from_bytes(data[at : at + size], "little")


class _Backwards:
    """A bitstream that is read backwards, from the marker bit at its end; before its first bit there are zeros."""

    def __init__(self, data: bytes) -> None:
        if not data or data[-1] == 0:
            raise _bad("a bitstream without its marker")
        self._data = data
        self.filling = 8 - data[-1].bit_length()
        self.left = 8 * len(data) - self.filling - 1

    def take(self, count: int) -> int:
        self.left -= count
        low = max(0, self.left)
        high = max(0, self.left + count)
        value = int.from_bytes(self._data[low >> 3 : (high + 7) >> 3], "little") >> (low & 7)
        return (value & ((1 << (high - low)) - 1)) << (low - self.left if self.left < 0 else 0)


def _table(log: int, units: Sequence[int]) -> Table:
    """Return the states that stand for shares of ``units`` in 2^log (section 4.1.1)."""
    size = 1 << log
    symbols = [-1] * size
    high = size - 1
    for symbol, its in enumerate(units):
        if its == -1:
            symbols[high] = symbol
            high -= 1
    position, stride = 0, (size >> 1) + (size >> 3) + 3
    for symbol, its in enumerate(units):
        for _ in range(max(0, its)):
            symbols[position] = symbol
            position = (position + stride) & (size - 1)
            while position > high:
                position = (position + stride) & (size - 1)
    following = [abs(its) for its in units]
    cells = []
    for symbol in symbols:
        number = following[symbol]
        following[symbol] += 1
        width = log - (number.bit_length() - 1)
        cells.append(Cell(symbol, width, (number << width) - size))
    return cells


@dataclass
class _Walk:
    """A frame, how far it has been read, and what blocks leave to later ones."""

    frame: bytes
    at: int = 0
    filling: int = 0
    offsets: list[int] = field(default_factory=lambda: [1, 4, 8])
    tables: list[Table | None] = field(default_factory=lambda: [None, None, None])
    lengths: dict[int, int] | None = None  # of the Huffman code's words, by symbol

    def number(self, size: int) -> int:
        value = _little(self.frame, self.at, size)
        self.at += size
        return value

    def stream(self, end: int) -> _Backwards:
        found = _Backwards(self.frame[self.at : end])
        self.at = end
        self.filling += found.filling
        return found

    def own_table(self) -> Table:
        """Read a table of probabilities (section 4.1.1)."""
        data = self.frame[self.at :]
        bits = int.from_bytes(data[:600], "little")  # more than any table takes
        log, at = (bits & 15) + 5, 4
        if log > 9:  # the largest accuracy of any kind of codes (section 3.1.1.3.2.1)
            raise _bad(f"a table of 2^{log} states")
        left, units = (1 << log) + 1, list[int]()
        while left > 1:
            width = left.bit_length()
            value = (bits >> at) & ((1 << width) - 1)
            spare = (1 << width) - 1 - left
            if (value & ((1 << (width - 1)) - 1)) < spare:
                value &= (1 << (width - 1)) - 1
                at += width - 1
            else:
                value -= spare if value >= 1 << (width - 1) else 0
                at += width
            units.append(value - 1)
            left -= abs(value - 1)
            more = 3 if value == 1 else 0
            while more == 3 and len(units) < 256:
                more = (bits >> at) & 3
                at += 2
                units += [0] * more
        self.at += (at + 7) >> 3
        self.filling += -at & 7
        if left != 1 or len(units) > 256 or self.at > len(self.frame):
            raise _bad("a table whose shares do not add up")
        return _table(log, units)

    def huffman_lengths(self) -> dict[int, int]:
        """Read the description of a Huffman code (section 4.2.1); return the length of each symbol's word."""
        header = self.number(1)
        if header >= 128:
            count = header - 127
            packed = self.frame[self.at : self.at + (count + 1) // 2]
            weights = [half for byte in packed for half in (byte >> 4, byte & 15)][:count]
            self.at += (count + 1) // 2
            self.filling += 4 * (count & 1)
        else:
            end = self.at + header
            weights = _weights(self.own_table(), self.stream(end))
        total = sum(1 << (weight - 1) for weight in weights if weight)
        if not 0 < total < 1 << 12:
            raise _bad("a Huffman code whose weights do not add up")
        longest = total.bit_length()
        rest = (1 << longest) - total
        if rest & (rest - 1) or len(weights) > 255 or max(weights) > longest:
            raise _bad("a Huffman code whose weights do not add up")
        weights.append(rest.bit_length())
        return {symbol: longest + 1 - weight for symbol, weight in enumerate(weights) if weight}

    def literals(self) -> tuple[int, dict[int, int] | int]:
        """Read the literals of a block (section 3.1.1.3.1); return how many there are, and the bits of each symbol."""
        first = _little(self.frame, self.at, 1)
        kind, form = first & 3, (first >> 2) & 3
        if kind in (RAW, REPEATED):
            header = 1 if (form & 1) == 0 else 2 if form == 1 else 3
            value = self.number(header)
            size = value >> 3 if header == 1 else value >> 4
            self.at += size if kind == RAW else 1
            return size, 8 if kind == RAW else 0
        width = (10, 10, 14, 18)[form]
        value = self.number((3, 3, 4, 5)[form])
        size, coded = (value >> 4) & ((1 << width) - 1), value >> (4 + width)
        end = self.at + coded
        if kind != TREELESS:
            self.lengths = self.huffman_lengths()
        if self.lengths is None:
            raise _bad("literals by a code that was not described")
        if form:  # four streams, the sizes of three before them
            sizes = [self.number(2) for _ in range(3)]
            for one in sizes:
                self.stream(self.at + one)
        self.stream(end)
        return size, self.lengths

    def table_of(self, kind: int, mode: int) -> Table:
        """Read how a block's codes of one kind are coded (section 3.1.1.3.2.1)."""
        if mode == PREDEFINED:
            table = _table(*_PREDEFINED[kind])
        elif mode == ONE_SYMBOL:
            table = [Cell(self.number(1), 0, 0)]
        elif mode == OWN_TABLE:
            table = self.own_table()
        else:
            known = self.tables[kind]
            if known is None:
                raise _bad("sequences by a table that was not described")
            table = known
        self.tables[kind] = table
        return table

    def sequences(self, end: int) -> list[tuple[int, int, int, int, bool]]:
        """Read a block's sequences: literals before, match length, distance, bits, whether the distance is repeated."""
        count = self.number(1)
        if count == 0:
            return []
        if count == 255:
            count = self.number(2) + 0x7F00
        elif count >= 128:
            count = ((count - 128) << 8) + self.number(1)
        modes = self.number(1)
        tables = [self.table_of(kind, (modes >> shift) & 3) for kind, shift in enumerate((6, 4, 2))]
        stream = self.stream(end)
        states = [stream.take(len(table).bit_length() - 1) for table in tables]
        found = []
        for number in range(count):
            before = stream.left
            literal, offset, match = (table[state] for table, state in zip(tables, states, strict=True))
            if literal.symbol > 35 or match.symbol > 52 or offset.symbol > 31:
                raise _bad("an invalid code")
            value = (1 << offset.symbol) + stream.take(offset.symbol)
            base, extra = _MATCH_CODES[match.symbol]
            length = base + stream.take(extra)
            base, extra = _LITERAL_CODES[literal.symbol]
            run = base + stream.take(extra)
            if number + 1 < count:
                for kind in (0, 2, 1):
                    cell = tables[kind][states[kind]]
                    states[kind] = cell.base + stream.take(cell.width)
            found.append((run, length, self.distance(value, run), before - stream.left, value <= 3))
        if stream.left != 0:
            raise _bad("sequences that do not end where they should")
        return found

    def distance(self, value: int, literals: int) -> int:
        """Return the distance that an offset's ``value`` stands for (section 3.1.1.5)."""
        offsets = self.offsets
        if value > 3:
            distance = value - 3
            self.offsets = [distance, *offsets[:2]]
            return distance
        which = value - 1 + (literals == 0)
        distance = offsets[0] - 1 if which == 3 else offsets[which]
        if which:
            self.offsets = [distance, offsets[0], offsets[1] if which > 1 else offsets[2]]
        return distance


def _weights(table: Table, stream: _Backwards) -> list[int]:
    """Return the weights that two states, taking turns, read from a stream (section 4.2.1.2)."""
    log = len(table).bit_length() - 1
    states = [stream.take(log), stream.take(log)]
    weights = list[int]()
    turn = 0
    while len(weights) < 255:
        cell = table[states[turn]]
        weights.append(cell.symbol)
        states[turn] = cell.base + stream.take(cell.width)
        turn ^= 1
        if stream.left < 0:
            weights.append(table[states[turn]].symbol)
            break
    return weights


def walk(frame: bytes, data: bytes) -> tuple[list[Phrase], list[Block], int]:
    """Return the phrases and blocks of the frame of ``data``, and the bits of its header and checksum.

    Raises :class:`~gencomp.errors.CorruptDataError` on anything else.
    """
    state = _Walk(frame)
    if state.number(4) != MAGIC:
        raise _bad("another magic number")
    descriptor = state.number(1)
    one_segment = (descriptor >> 5) & 1
    state.at += (1 - one_segment) + (0, 1, 2, 4)[descriptor & 3] + (one_segment, 2, 4, 8)[descriptor >> 6]
    framing = 8 * state.at + 32 * ((descriptor >> 2) & 1)
    phrases: list[Phrase] = []
    blocks: list[Block] = []
    position, last = 0, 0
    while not last:
        begin, start, first, filling = state.at, position, len(phrases), state.filling
        header = state.number(3)
        last, kind, size = header & 1, (header >> 1) & 3, header >> 3
        if kind >= len(KINDS):
            raise _bad("an invalid block type")
        if kind in (RAW, REPEATED) and position + size > len(data):
            raise _bad("more than it should hold")
        if kind == RAW:
            phrases += [Phrase(place, 1, 0, 8) for place in range(position, position + size)]
            position += size
            state.at += size
        elif kind == REPEATED:
            phrases.append(Phrase(position, 1, 0, 8))
            if size > 1:
                phrases.append(Phrase(position + 1, size - 1, 1, 0))
            position += size
            state.at += 1
        else:
            found, position = _compressed(state, state.at + size, position, data)
            phrases += found
        if position > len(data) or state.at > len(frame):
            raise _bad("more than it should hold")
        bits = 8 * (state.at - begin) - (state.filling - filling) - sum(phrase.bits for phrase in phrases[first:])
        blocks.append(Block(KINDS[kind], start, position, bits))
    if position != len(data):
        raise _bad(f"{position} bytes, expected {len(data)}")
    return phrases, blocks, framing


def _compressed(state: _Walk, end: int, position: int, data: bytes) -> tuple[list[Phrase], int]:
    """Return the phrases of a compressed block, and where it ends in the data."""
    count, bits = state.literals()
    found: list[Phrase] = []

    def add_literals(number: int) -> None:
        nonlocal count, position
        if number > count or position + number > len(data):
            raise _bad("sequences that take more literals than there are")
        for place in range(position, position + number):
            cost = bits if isinstance(bits, int) else bits.get(data[place])
            if cost is None:
                raise _bad("a literal that the code has no word for")
            found.append(Phrase(place, 1, 0, cost))
        count -= number
        position += number

    for run, length, distance, cost, repeated in state.sequences(end):
        add_literals(run)
        if not 0 < distance <= position:
            raise _bad("a copy from before its beginning")
        found.append(Phrase(position, length, distance, cost, repeated))
        position += length
    add_literals(count)
    if state.at != end:
        raise _bad("a block that does not end where it should")
    return found, position
