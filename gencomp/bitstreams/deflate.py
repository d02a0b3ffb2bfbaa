"""The exact length in bits of zlib's deflate stream (RFC 1951), for many suffixes after one prefix.

Nothing is written. :mod:`~gencomp.bitstreams.match_search` and :mod:`~gencomp.bitstreams.deflate_parse` find the
matches that zlib would, :mod:`~gencomp.bitstreams.huffman` and :mod:`~gencomp.bitstreams.similar_blocks` price its
codes. The prefix is parsed as far as no byte after it can change the parse. Each suffix is parsed from there, which is
undone afterwards.
"""

import threading
from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from gencomp.bitstreams import deflate_registers as reg
from gencomp.bitstreams import zlib_constants as zlib
from gencomp.bitstreams.deflate_parse import parse_on, undo_entries
from gencomp.bitstreams.deflate_state import (
    FOUND,
    FOUND_AT,
    LOG,
    NEXT,
    Parse,
    State,
    begin_state,
    copied,
    with_lineage,
    without_lineage,
)
from gencomp.bitstreams.huffman import block_end
from gencomp.bitstreams.match_search import hash_at
from gencomp.bitstreams.similar_blocks import (
    CHECKS,
    KEYS,
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
from gencomp.compiled import Integer, fragment, lean_kernel
from gencomp.protocols import IntArray

_CAPACITY = 1 << 17  # bytes of data that a state has room for at first
_SPARE_STATES = 64  # of sizers that are gone


class Scratch(NamedTuple):
    """Room for the parse of a suffix. What it keeps between calls holds for any stream."""

    counts: IntArray  # as in Parse
    registers: IntArray
    found: IntArray
    undo: IntArray
    # registers and counts after the usual suffix of one byte (see _fill_bits), without its literal
    usual: IntArray
    usual_counts: IntArray
    blocks: Blocks


def _begin_scratch(longest: int) -> Scratch:
    """Return room for suffixes of at most ``longest`` bytes."""
    entries = zlib.MIN_LOOKAHEAD + longest  # a prefix is parsed up to its last MIN_LOOKAHEAD bytes at least
    shapes = [SYMBOLS, reg.REGISTERS, (FOUND, NEXT + 256), (entries, 3), reg.REGISTERS, SYMBOLS]
    counts, registers, found, undo, usual, usual_counts = (np.zeros(shape, np.int64) for shape in shapes)
    return Scratch(counts, registers, found, undo, usual, usual_counts, begin_blocks())


class _Local(threading.local):
    def __init__(self) -> None:
        self.scratch = _begin_scratch(256)


_local = _Local()
_memory = begin_memory()
_spare: deque[State] = deque(maxlen=_SPARE_STATES)


@lean_kernel
def _append(parse: Parse, data: npt.NDArray[np.uint8]) -> None:
    size = parse.registers[reg.SIZE]
    at = size - parse.registers[reg.ORIGIN]
    for i in range(len(data)):
        parse.buffer[at + i] = data[i]
    parse.registers[reg.SIZE] = size + len(data)


@lean_kernel
def _feed(state: State, work: IntArray, found: IntArray, undo: IntArray, data: npt.NDArray[np.uint8]) -> None:
    """Append ``data`` and parse on. Not a whole Scratch is passed, since each array costs as much time as a byte."""
    buffer, common, head, chain, tail, counts, registers, log = state
    parse = Parse(buffer, common, head, chain, tail, counts, registers, log, work, found, undo)
    _append(parse, data)
    parse_on(parse)


@lean_kernel
def _fill_bits(
    bits: IntArray, state: State, scratch: Scratch, memory: IntArray, suffixes: npt.NDArray[np.uint8], ends: IntArray
) -> None:
    """Set ``bits`` (n,) to the bits of the stream that ends after each suffix; suffix i ends at ``ends[i]``.

    The first suffix of one byte whose parse does not depend on that byte, but for a literal at the end, is kept as the
    usual one. Others that are parsed like it are priced by their literal alone.
    """
    buffer, common, head, chain, tail, counts_before, registers_before, log = state
    counts, registers, found, undo, usual, usual_counts, blocks = scratch
    trial = Parse(buffer, common, head, chain, tail, counts, registers, log, blocks.work, found, undo)
    found[:, FOUND_AT] = 0
    # ``kept`` is the number of bases kept when ``base`` was found, -1 before. ``base`` is np.int64(0), not 0, so that
    # numba compiles whatever takes it only once
    begin, base, kept = 0, np.int64(0), -1
    is_known = False
    for i in range(len(ends)):
        if is_known and ends[i] - begin == 1 and _is_usual(trial, usual, suffixes[begin]):
            literal = np.int64(suffixes[begin])
            key, check = usual[reg.KEY] + KEYS[literal], usual[reg.CHECK] + CHECKS[literal]
            cost = recall(memory, key, check)
            if cost < 0:
                if kept != blocks.kept[0]:
                    base = find_base(blocks, usual_counts, usual[reg.KEY])
                    kept = blocks.kept[0]
                cost = price(blocks, memory, base, literal, key, check)
            bits[i] = _end(cost, usual)
        else:
            copy_to(counts, counts_before)
            copy_to(registers, registers_before)
            registers[reg.FINAL] = 1
            if ends[i] - begin == 1:
                registers[reg.KNOWN] = registers[reg.SIZE]
                registers[reg.ALIKE] = registers[reg.LEVEL] > zlib.LAST_FAST_LEVEL
            _append(trial, suffixes[begin : ends[i]])
            parse_on(trial)
            undo_entries(trial)
            literal = registers[reg.LITERAL]
            if literal >= 0:
                counts[literal] -= 1
            cost = recall(memory, registers[reg.KEY], registers[reg.CHECK])
            if cost < 0:
                other = find_base(blocks, counts, registers[reg.KEY] - (KEYS[literal] if literal >= 0 else 0))
                cost = price(blocks, memory, other, literal, registers[reg.KEY], registers[reg.CHECK])
            bits[i] = _end(cost, registers)
            if registers[reg.ALIKE] and literal >= 0 and registers[reg.CLOSED] == registers_before[reg.CLOSED]:
                is_known, kept = True, -1
                copy_to(usual, registers)
                copy_to(usual_counts, counts)
                usual[reg.KEY] -= KEYS[literal]
                usual[reg.CHECK] -= CHECKS[literal]
        begin = ends[i]


@lean_kernel
def _grow(
    state: State,
    scratch: Scratch,
    memory: IntArray,
    data: npt.NDArray[np.uint8],
    nothing: npt.NDArray[np.uint8],
    ends: IntArray,
    one: IntArray,
    bits: IntArray,
) -> None:
    """Append ``data``; set ``bits`` (n,) to those of the stream that ends after each of its bytes.

    ``nothing`` and ``ends`` are one empty suffix, as :func:`_fill_bits` takes it; ``one`` (1,) is room for its bits.
    """
    for i in range(len(data)):
        _feed(state, scratch.blocks.work, scratch.found, scratch.undo, data[i : i + 1])
        _fill_bits(one, state, scratch, memory, nothing, ends)
        bits[i] = one[0]


@fragment
def _is_usual(parse: Parse, usual: IntArray, last: Integer) -> Integer:
    """Tell whether a suffix of one byte, ``last``, is parsed like the one that left the registers ``usual``."""
    for row in range(FOUND):
        if parse.found[row, FOUND_AT] != 0 and parse.found[row, NEXT + np.int64(last)] != 0:
            return False
    if not usual[reg.LOOKED_UP]:
        return True
    position = usual[reg.SIZE] - zlib.MIN_MATCH
    at = position - usual[reg.ORIGIN]
    parse.buffer[at + 2] = last
    first = parse.head[hash_at(parse.buffer, at)]
    return first == 0 or position - first > zlib.MAX_DIST


@fragment
def _end(cost: Integer, registers: IntArray) -> Integer:
    """Return the bits up to the end of the stream whose last block costs ``cost``, as :func:`recall` gives it."""
    dynamic, fixed = both_bits(cost)
    storable = registers[reg.BLOCK] >= registers[reg.BASE]
    return block_end(registers[reg.BITS], dynamic, fixed, registers[reg.SIZE] - registers[reg.BLOCK], storable)


@lru_cache(maxsize=1)  # predictors ask for the same 256 bytes each time
def _joined(suffixes: tuple[bytes, ...]) -> tuple[npt.NDArray[np.uint8], IntArray, int]:
    """Return the suffixes in one array, uint8, where each ends in it, int64, and the length of the longest."""
    sizes = [len(suffix) for suffix in suffixes]
    ends = np.cumsum(sizes, dtype=np.int64)
    return np.frombuffer(b"".join(suffixes), np.uint8), ends, max(sizes, default=0)


class DeflateSizer:
    """The raw deflate stream after a prefix, as zlib writes it at ``level`` 1 to 9."""

    def __init__(self, level: int, prefix: bytes = b"") -> None:
        self._state = begin_state(level, _CAPACITY)
        self.feed(prefix)

    def copy(self) -> Self:
        """Return a sizer that goes on independently of this one.

        The first copies of a sizer copy about 0.3 MB each. Later ones reuse the arrays of sizers that are gone, and
        copy little.
        """
        twin = type(self).__new__(type(self))
        try:
            room = _spare.pop()
        except IndexError:
            room = None
        self._state = with_lineage(self._state)
        twin._state = copied(self._state, room)
        return twin

    def __del__(self, spare: deque[State] = _spare) -> None:
        """Leave the arrays to the next copy: fresh memory costs more than filling it."""
        if hasattr(self, "_state"):
            spare.append(self._state)

    def feed(self, data: bytes) -> None:
        for at in range(0, len(data), zlib.W_SIZE):
            piece = np.frombuffer(data[at : at + zlib.W_SIZE], np.uint8)
            self._reserve(len(piece))
            scratch = _local.scratch
            _feed(self._state, scratch.blocks.work, scratch.found, scratch.undo, piece)

    def grow(self, data: bytes) -> IntArray:
        """Append ``data``; return the bits of the stream that ends after each of its bytes, int64 (n,)."""
        bits = np.empty(len(data), np.int64)
        nothing, ends, _ = _joined((b"",))
        for at in range(0, len(data), zlib.W_SIZE):
            piece = np.frombuffer(data[at : at + zlib.W_SIZE], np.uint8)
            self._reserve(len(piece))
            _grow(self._state, _local.scratch, _memory, piece, nothing, ends, np.empty(1, np.int64), bits[at:])
        return bits

    def bits(self, suffixes: Sequence[bytes]) -> IntArray:
        """Return the bits of the stream that ends after each suffix, int64 (n,), the last byte not filled up."""
        joined, ends, longest = _joined(tuple(suffixes))
        self._reserve(longest)
        if len(_local.scratch.undo) < zlib.MIN_LOOKAHEAD + longest:
            _local.scratch = _begin_scratch(longest)
        bits = np.empty(len(ends), np.int64)
        _fill_bits(bits, self._state, _local.scratch, _memory, joined, ends)
        return bits

    def _reserve(self, room: int) -> None:
        """Make room for ``room`` bytes more, and keep the window before the position."""
        state = self._state
        size, origin, position, root = (int(state.registers[i]) for i in (reg.SIZE, reg.ORIGIN, reg.POSITION, reg.ROOT))
        too_far, too_long = size + room - root > LOG, size - origin + room > len(state.buffer)
        if too_far or (too_long and root != reg.NO_ROOT):
            self._state = state = without_lineage(state)
        if not too_long:
            return
        kept = state.buffer[max(position - zlib.W_SIZE, origin) - origin : size - origin]
        buffer = np.zeros(max(len(state.buffer), len(kept) + room), np.uint8)
        buffer[: len(kept)] = kept
        state.registers[reg.ORIGIN] = size - len(kept)
        self._state = state._replace(buffer=buffer)
