"""The exact length in bits of zlib's deflate stream (RFC 1951), for many suffixes after one prefix.

Nothing is written. :mod:`~gencomp.bitstreams.match_search` and :mod:`~gencomp.bitstreams.deflate_parse` make the
matches that zlib would, :mod:`~gencomp.bitstreams.huffman` and :mod:`~gencomp.bitstreams.similar_blocks` the codes. The
prefix is parsed as far as nothing after it can change the parse; a suffix costs a parse from there, undone afterwards.
"""

from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from gencomp.bitstreams.deflate_parse import parse_on
from gencomp.bitstreams.huffman import block_end
from gencomp.bitstreams.match_search import (
    AHEAD,
    ALIKE,
    BASE,
    BITS,
    BLOCK,
    CHECK,
    CLOSED,
    ENTERED,
    FINAL,
    FOUND,
    KEY,
    KNOWN,
    LAST_GREEDY_LEVEL,
    LEVEL,
    LINEAGE,
    LITERAL,
    LOOKED_UP,
    NEXT,
    ORIGIN,
    POSITION,
    REACH,
    REGISTERS,
    SHORTEST,
    SIZE,
    WINDOW,
    Parse,
    begin_parse,
    copied,
    hash_at,
    undo_entries,
)
from gencomp.bitstreams.similar_blocks import (
    CHECKS,
    KEYS,
    REMEMBERED,
    SYMBOLS,
    Blocks,
    begin_blocks,
    begin_memory,
    both_bits,
    copy_to,
    find_base,
    price,
    recall,
)
from gencomp.compiled import Integer, lean_kernel
from gencomp.protocols import IntArray

_CAPACITY = 1 << 17


class Trial(NamedTuple):
    """Room for the parse of a suffix, and for what is known of the suffixes of one byte."""

    counts: IntArray  # as in Parse
    registers: IntArray
    undo: IntArray  # (n, 4), see parse_on
    usual: IntArray  # the registers after a byte on which nothing depended but the last literal, which is taken away
    usual_counts: IntArray  # and the counts


def _begin_trial(longest: int = 256) -> Trial:
    """Return room for suffixes of at most ``longest`` bytes."""
    shapes = [SYMBOLS, REGISTERS, (AHEAD + longest, 4), REGISTERS, SYMBOLS]
    return Trial(*(np.zeros(shape, np.int64) for shape in shapes))


class Room(NamedTuple):
    """The arrays of a sizer; what :class:`Blocks` and :class:`Trial` hold is true of any."""

    parse: Parse
    trial: Trial
    blocks: Blocks


# of sizers that are gone
_spare: deque[Room] = deque(maxlen=64)


@lean_kernel
def _append(parse: Parse, data: npt.NDArray[np.uint8]) -> None:
    size = parse.registers[SIZE]
    at = size - parse.registers[ORIGIN]
    for i in range(len(data)):
        parse.buffer[at + i] = data[i]
    parse.registers[SIZE] = size + len(data)


@lean_kernel
def _feed(parse: Parse, data: npt.NDArray[np.uint8], undo: IntArray) -> None:
    """Take ``data`` in; nothing is written to ``undo``, which parse_on takes."""
    _append(parse, data)
    parse_on(parse, undo)


@lean_kernel
def _fill_bits(bits: IntArray, room: Room, memory: IntArray, suffixes: npt.NDArray[np.uint8], ends: IntArray) -> None:
    """Set ``bits`` (n,) to the bits of the stream that ends after each suffix; suffix i ends at ``ends[i]``."""
    parse, (counts, registers, undo, usual, usual_counts), blocks = room
    trial = Parse(parse.buffer, parse.head, parse.chain, counts, registers, parse.work, parse.found, parse.log)
    parse.found[:, 0] = 0
    begin, base, kept = 0, np.int64(0), -1  # for a mere 0 numba compiles all that takes it twice
    is_known = False
    for i in range(len(ends)):
        if is_known and ends[i] - begin == 1 and _is_usual(trial, usual, suffixes[begin]):
            literal = np.int64(suffixes[begin])
            key, check = usual[KEY] + KEYS[literal], usual[CHECK] + CHECKS[literal]
            cost = recall(memory, key, check)
            if cost < 0:
                if kept != blocks.kept[0]:
                    base = find_base(blocks, usual_counts, usual[KEY])
                    kept = blocks.kept[0]
                cost = price(blocks, memory, base, literal, key, check)
            bits[i] = _end(cost, usual)
        else:
            copy_to(counts, parse.counts)
            copy_to(registers, parse.registers)
            registers[FINAL] = 1
            if ends[i] - begin == 1:
                registers[KNOWN], registers[ALIKE] = registers[SIZE], registers[LEVEL] > LAST_GREEDY_LEVEL
            _append(trial, suffixes[begin : ends[i]])
            parse_on(trial, undo)
            undo_entries(trial, undo, 0, registers[ENTERED])
            literal = registers[LITERAL]
            if literal >= 0:
                counts[literal] -= 1
            cost = recall(memory, registers[KEY], registers[CHECK])
            if cost < 0:
                found = find_base(blocks, counts, registers[KEY] - (KEYS[literal] if literal >= 0 else 0))
                cost = price(blocks, memory, found, literal, registers[KEY], registers[CHECK])
            bits[i] = _end(cost, registers)
            if registers[ALIKE] and literal >= 0 and registers[CLOSED] == parse.registers[CLOSED]:
                is_known, kept = True, -1
                copy_to(usual, registers)
                copy_to(usual_counts, counts)
                usual[KEY] -= KEYS[literal]
                usual[CHECK] -= CHECKS[literal]
        begin = ends[i]


@lean_kernel
def _is_usual(parse: Parse, usual: IntArray, last: Integer) -> Integer:
    """Tell whether a suffix of one byte, ``last``, is parsed like the one that left the registers ``usual``."""
    for row in range(FOUND):
        if parse.found[row, 0] != 0 and parse.found[row, NEXT + np.int64(last)] != 0:
            return False
    if not usual[LOOKED_UP]:
        return True
    position = usual[SIZE] - SHORTEST
    at = position - usual[ORIGIN]
    parse.buffer[at + 2] = last
    first = parse.head[hash_at(parse.buffer, at)]
    return first == 0 or position - first > REACH


@lean_kernel
def _end(cost: Integer, registers: IntArray) -> Integer:
    """Return where the stream ends whose last block costs ``cost``, in the form of recall."""
    dynamic, fixed = both_bits(cost)
    storable = registers[BLOCK] >= registers[BASE]
    return block_end(registers[BITS], dynamic, fixed, registers[SIZE] - registers[BLOCK], storable)


@lru_cache(maxsize=1)  # predictors ask for the same 256 bytes each time
def _joined(suffixes: tuple[bytes, ...]) -> tuple[npt.NDArray[np.uint8], IntArray, int]:
    """Return the suffixes in one array, uint8, where each ends in it, int64, and the length of the longest."""
    sizes = [len(suffix) for suffix in suffixes]
    ends = np.cumsum(sizes, dtype=np.int64)
    return np.frombuffer(b"".join(suffixes), np.uint8), ends, max(sizes, default=0)


class DeflateSizer:
    """A raw deflate stream after a prefix, as zlib writes it at ``level`` 1 to 9."""

    def __init__(self, level: int, prefix: bytes = b"") -> None:
        self._room = Room(begin_parse(level, _CAPACITY), _begin_trial(), begin_blocks())
        self._memory = begin_memory(1)
        self.feed(prefix)

    def copy(self) -> Self:
        """Return a sizer that goes on independently of this one.

        That copies about 0.3 MB, and little after the first copies of a state, which leave their arrays behind.
        """
        twin = type(self).__new__(type(self))
        if len(self._memory) == 1:
            self._memory = begin_memory(REMEMBERED)
        twin._memory = self._memory
        try:
            spare = _spare.pop()
        except IndexError:
            twin._room = Room(copied(self._room.parse, None), _begin_trial(), begin_blocks())
        else:
            parse = copied(self._room.parse, spare.parse)
            twin._room = spare if parse is spare.parse else spare._replace(parse=parse)
        return twin

    def __del__(self, spare: deque[Room] = _spare) -> None:
        """Leave the arrays to the next copy: fresh memory costs more than filling it."""
        if hasattr(self, "_room"):
            spare.append(self._room)

    def feed(self, data: bytes) -> None:
        for at in range(0, len(data), WINDOW):
            piece = np.frombuffer(data[at : at + WINDOW], np.uint8)
            self._reserve(len(piece))
            _feed(self._room.parse, piece, self._room.trial.undo)

    def bits(self, suffixes: Sequence[bytes]) -> IntArray:
        """Return the bits of the stream that ends after each suffix, int64 (n,), the last byte not filled up."""
        joined, ends, longest = _joined(tuple(suffixes))
        self._reserve(longest)
        if len(self._room.trial.undo) < AHEAD + longest:
            self._room = self._room._replace(trial=_begin_trial(longest))
        bits = np.empty(len(ends), np.int64)
        _fill_bits(bits, self._room, self._memory, joined, ends)
        return bits

    def _reserve(self, room: int) -> None:
        """Make room in the buffer for bytes to come; a window before the position has to stay."""
        parse = self._room.parse
        size, origin, position = (int(parse.registers[i]) for i in (SIZE, ORIGIN, POSITION))
        if size - origin + room <= len(parse.buffer):
            return
        kept = parse.buffer[max(position - WINDOW, origin) - origin : size - origin]
        buffer = np.zeros(max(len(parse.buffer), len(kept) + room), np.uint8)
        buffer[: len(kept)] = kept
        parse.registers[ORIGIN] = size - len(kept)
        parse.registers[LINEAGE] = 0
        self._room = self._room._replace(parse=parse._replace(buffer=buffer))
