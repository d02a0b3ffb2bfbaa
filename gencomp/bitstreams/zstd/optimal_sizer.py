"""The bits of a block by the optimal parser, for many suffixes after one prefix."""

import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, Self

import numpy as np

from gencomp.bitstreams.zstd.blocks import SMALLEST_PARSED, UNCHANGED, Work, begin_work, block_cost
from gencomp.bitstreams.zstd.finder import (
    KEPT3,
    LIMITED,
    LONGEST_TABLE3_LOG,
    NEXT,
    NOW3,
    OPEN,
    OTHERWISE,
    REACHED,
    SPARE_MATCHES,
    Finder,
    begin_finder,
    copied_finder,
)
from gencomp.bitstreams.zstd.layout import (
    ANCHOR,
    CHAIN_LOG,
    EXTRA,
    HASH_LOG,
    LITERALS,
    MIN_MATCH,
    OVERFULL,
    POSITION,
    REP1,
    REP2,
    REP3,
    SEARCH_LOG,
    SEEN,
    SEQUENCES,
    SIZE,
    SPARE,
    STRATEGY,
    ULTRA,
    ULTRA2,
    WINDOW_LOG,
    State,
)
from gencomp.bitstreams.zstd.memory import Bytes, Tables, copy_to, undo
from gencomp.bitstreams.zstd.optimal import (
    MARK,
    MARKS,
    NUMBER,
    OF_PARSES,
    PARSES,
    TO_REPLACE,
    WAY,
    WAYS,
    Parses,
    begin_parses,
    best_mark,
    go_on_from,
    parse_optimal,
)
from gencomp.bitstreams.zstd.prices import STATISTICS, Weights, begin_statistics, scale_statistics, set_bases, weights
from gencomp.bitstreams.zstd.state import begin_state, copied
from gencomp.compiled import Integer, lean_kernel, part, word
from gencomp.protocols import IntArray

LARGEST = 1 << 16  # bytes; larger blocks are split after they are parsed
_LOG = 1 << 15
_KEPT = 8  # matches for each position that there is room for at first
_FAR_AWAY = 1 << 60  # where a byte first occurs that does not
_OTHER_PARSES = 8  # among a batch, from which on what is kept is not worth keeping
# last bytes: those whose parse is their own, those that have not occurred, and those that have
ALONE, NEW, OLD = range(3)
KINDS = 3
_A_GROUP = 4  # suffixes that differ in the last byte, from which on their kinds are worth finding
_SEVEN_BYTES = (1 << 56) - 1
# what is true of the sequences in the state: the parse they are of, up to which row; and of the costs remembered
OF_PARSE, ROWS_OF, COSTS_OF, COSTS_FROM = range(4)


class Room(NamedTuple):
    """Room for the parse of a suffix, and what is known of the prefix."""

    work: Work
    opt: Tables  # (WAYS, WAY)
    matches: IntArray  # (n, 2)
    row: IntArray  # (STATISTICS,)
    weight: Weights
    counts: IntArray  # (256,), how often each byte occurs in the prefix
    firsts: IntArray  # (256,), where it first does
    known: IntArray  # (4,)
    kinds: IntArray  # (256,), of which kind each last byte is


@part
def _parse(
    state: State,
    finders: tuple[Finder, Finder],
    parses: tuple[Parses, Parses],
    room: Room,
    size: Integer,
    end: Integer,
) -> tuple[Integer, Integer, Integer]:
    """Parse the block that ends at ``end``, of which positions before ``size`` are those of the prefix.

    Return whether the parse did otherwise than earlier ones, so that it is none; whether it may depend on the last
    byte, even if no match does; and from which sequence on it is not that of the last mark, -1 for no mark.
    """
    # In one piece: what is found out of a pass before it is what is done after it.
    work, opt, matches, row, weight, counts, firsts, known, _ = room
    now, strategy = state.registers, state.parameters[STRATEGY]
    begin_statistics(row, counts, end)
    first = -1
    now[SEQUENCES] = 0
    otherwise, limited = False, False
    for way in range(0 if strategy == ULTRA2 else 1, 2):
        keep = way == 1
        finder, some = finders[way], parses[way]
        registers = finder.registers
        if keep and strategy == ULTRA2:
            scale_statistics(row)
        parse, mark, alike = best_mark(some, row, firsts)
        recording = -1
        if mark >= 0:
            number = some.registers[OF_PARSES + 2 * parse + 1]
            last = mark == some.registers[OF_PARSES + 2 * parse] - 1
            same = np.int64(0)
            for symbol in range(256):
                same |= some.begins[parse, symbol] ^ row[symbol]
            if last and same == 0:
                recording = parse
            rows = known[ROWS_OF] if known[OF_PARSE] == number else 0
            next_ = go_on_from(some, parse, mark, state, now, row, keep, rows)
            now[SIZE] = size
            if keep:
                known[OF_PARSE], known[ROWS_OF] = number, now[SEQUENCES]
                if last:
                    first = now[SEQUENCES]
                    if known[COSTS_OF] != number or known[COSTS_FROM] != first:
                        known[COSTS_OF], known[COSTS_FROM] = number, first
                        work.remembered[0] = 0
        else:
            next_ = 0
            now[POSITION], now[ANCHOR], now[SEQUENCES], now[LITERALS], now[EXTRA], now[SEEN] = 1, 0, 0, 0, 0, 0
            now[REP1], now[REP2], now[REP3] = 1, 4, 8
            if keep:
                state.literals[:] = 0
                state.codes[:] = 0
                known[OF_PARSE] = 0
            if not alike:
                recording = some.registers[TO_REPLACE]
                some.registers[TO_REPLACE] = (recording + 1) % PARSES
                some.registers[NUMBER] += 1
                some.registers[OF_PARSES + 2 * recording] = 0
                some.registers[OF_PARSES + 2 * recording + 1] = some.registers[NUMBER]
                copy_to(some.begins[recording], row)
        registers[NEXT], registers[NOW3] = next_, registers[KEPT3]
        set_bases(row, weight)
        if end >= SMALLEST_PARSED:
            parse_optimal(state, finder, some, recording, now, row, weight, opt, matches, end, size, keep)
        if keep and recording >= 0 and some.registers[OF_PARSES + 2 * recording] > 0:
            marks = some.registers[OF_PARSES + 2 * recording]
            known[OF_PARSE] = some.registers[OF_PARSES + 2 * recording + 1]
            known[ROWS_OF] = some.marks[recording, marks - 1, SEQUENCES]
        undo(finder.tables, finder.log, registers)
        otherwise |= registers[OTHERWISE] != 0 or registers[OVERFULL] != 0
        limited |= registers[LIMITED] != 0
        registers[OTHERWISE] = registers[OPEN] = registers[REACHED] = registers[LIMITED] = 0
        if otherwise:
            break
    return otherwise, limited, first


@part
def _end_of_group(suffixes: Bytes, ends: IntArray, first: Integer, begin: Integer) -> Integer:
    """Return before which suffix they end that are ``first``, whose bytes begin at ``begin``, but for the last byte."""
    length = ends[first] - begin
    last = first + 1
    while length > 0 and last < len(ends) and ends[last] - ends[last - 1] == length:
        for at in range(length - 1):
            if suffixes[begin + at] != suffixes[ends[last - 1] + at]:
                return last
        last += 1
    return last


@part
def _set_kinds(kinds: IntArray, buffer: Bytes, counts: IntArray, end: Integer) -> None:
    """Tell of which kind each last byte of a block that ends at ``end`` is; ``counts`` are of what is before.

    Two bytes of one kind, OLD or NEW, lead to the same parse. Nothing is searched for in the last seven bytes, so a
    match that has the last byte has the seven before it, too: bytes that have followed those are ALONE. All others
    end what is compared with them at the same place, and which positions a walk finds depends on how far they agree
    and how late they are, not on the tree's order (unless it is cut: LIMITED). The price of the last literal is on
    both sides wherever it counts; the others' prices are the same unless the frequencies that they begin with differ.
    """
    for symbol in range(256):
        count = counts[symbol]
        kinds[symbol] = ALONE if (count & 255) == 255 or end < 8 else NEW if count == 0 else OLD
    begin = end - 8
    for at in range(begin):
        if ((word(buffer, at) ^ word(buffer, begin)) & _SEVEN_BYTES) == 0:
            kinds[buffer[at + 7]] = ALONE


@lean_kernel
def _run(
    bits: IntArray,
    state: State,
    finders: tuple[Finder, Finder],
    parses: tuple[Parses, Parses],
    room: Room,
    suffixes: Bytes,
    ends: IntArray,
) -> None:
    """Set ``bits`` (n,) to the bits of the block after each suffix, -1 where they are to be found otherwise."""
    work, counts, kinds, size = room.work, room.counts, room.kinds, state.registers[SIZE]
    buffer = state.buffer
    work.remembered[0] = room.known[COSTS_OF] = 0
    begin, first = 0, 0
    while first < len(ends):
        after = _end_of_group(suffixes, ends, first, begin)
        last = max(ends[first] - 1, begin)  # before the last byte, if there is one
        end = size + ends[first] - begin
        for at in range(begin, last):
            buffer[size + at - begin] = suffixes[at]
            counts[suffixes[at]] += 1
        grouped = after - first >= _A_GROUP
        if grouped:
            _set_kinds(kinds, buffer, counts, end)
        for kind in range(KINDS if grouped else 1):
            parsed, otherwise, limited, row = False, False, False, -1
            for i in range(first, after):
                symbol = suffixes[ends[i] - 1] if end > size else 0
                if grouped and kinds[symbol] != kind:
                    continue
                if end > size:
                    buffer[end - 1] = symbol
                if parsed and kind != ALONE and not limited:
                    row = UNCHANGED
                else:
                    counts[symbol] += end > size
                    otherwise, limited, row = _parse(state, finders, parses, room, size, end)
                    counts[symbol] -= end > size
                    parsed = True
                bits[i] = -1
                if not otherwise:
                    _, bits[i], _ = block_cost(state, work, end, row, 0)
        for at in range(begin, last):
            counts[suffixes[at]] -= 1
        begin, first = ends[after - 1], after
    state.registers[SIZE] = size


class _Local(threading.local):
    def __init__(self) -> None:
        self.rooms: dict[tuple[bool, int], Room] = {}


_local = _Local()


def _room(parameters: tuple[int, ...]) -> Room:
    """Return this thread's room, for a state's own arrays to be added."""
    key = parameters[STRATEGY] >= ULTRA, (1 << parameters[SEARCH_LOG]) + SPARE_MATCHES
    if key not in _local.rooms:
        none = np.empty(0, np.int64)
        matches, row = np.zeros((key[1], 2), np.int64), np.zeros(STATISTICS, np.int64)
        ways = np.zeros((WAYS, WAY), np.int32)
        _local.rooms[key] = Room(
            begin_work(), ways, matches, row, _weights(key[0]), none, none, none, np.zeros(256, np.int64)
        )
    return _local.rooms[key]


def optimal_memory(parameters: tuple[int, ...], capacity: int) -> int:
    """Return the bytes of finders and parses with room for ``capacity`` bytes of data."""
    tables = (1 << parameters[HASH_LOG]) + (1 << parameters[CHAIN_LOG])
    if parameters[MIN_MATCH] == 3:
        tables += 1 << min(LONGEST_TABLE3_LOG, parameters[WINDOW_LOG])
    finder = 4 * tables + 16 * _LOG + capacity * (1 + 4 + 8 + 8 + 8 * _KEPT)
    parses = PARSES * (8 * (MARKS * MARK + STATISTICS) + 24 * (capacity // 3 + 1))
    return (2 if parameters[STRATEGY] == ULTRA2 else 1) * (finder + parses)


class OptimalSizer:
    """A block after a prefix, the only one of its frame, as the library's optimal parser does it."""

    def __init__(self, parameters: tuple[int, ...]) -> None:
        self.parameters = parameters
        self._log = _LOG
        self._kept = _KEPT

    def begin(self, data: bytes, room: int) -> None:
        """Begin anew with ``data``, and room for ``room`` bytes more."""
        size = len(data)
        capacity = max(2 * (size + room), 4096)
        self._state = begin_state(self.parameters, capacity)
        self._counts = np.zeros(256, np.int64)
        self._firsts = np.full(256, _FAR_AWAY, np.int64)
        self._known = np.zeros(4, np.int64)
        self._begin_finders(capacity)
        self._feed(data)

    def _begin_finders(self, capacity: int) -> None:
        rows = capacity // 3 + 1
        two = self.parameters[STRATEGY] == ULTRA2
        finder = begin_finder(self.parameters, capacity, self._log, self._kept)
        self._finders = (begin_finder(self.parameters, capacity, self._log, self._kept) if two else finder), finder
        parses = begin_parses(rows)
        self._parses = (begin_parses(rows) if two else parses), parses
        self._known[:] = 0

    def _feed(self, data: bytes) -> None:
        registers = self._state.registers
        size = int(registers[SIZE])
        piece = np.frombuffer(data, np.uint8)
        self._state.buffer[size : size + len(data)] = piece
        self._counts += np.bincount(piece, minlength=256)
        places = np.full(256, _FAR_AWAY, np.int64)
        symbols, where = np.unique(piece, return_index=True)
        places[symbols] = size + where
        np.minimum(self._firsts, places, out=self._firsts)
        registers[SIZE] = size + len(data)

    def feed(self, data: bytes, room: int) -> None:
        """Append ``data``, with room for ``room`` bytes more."""
        size = int(self._state.registers[SIZE]) + len(data) + room
        if size + SPARE > len(self._state.buffer):
            self.begin(self._state.buffer[: size - len(data) - room].tobytes() + data, room)
        else:
            self._feed(data)

    def copy(self) -> Self:
        """Return a sizer that goes on independently of this one."""
        twin = type(self)(self.parameters)
        twin.__dict__.update(self.__dict__)
        twin._state = copied(self._state)
        twin._counts, twin._firsts = self._counts.copy(), self._firsts.copy()
        twin._known = np.zeros(4, np.int64)
        two = copied_finder(self._finders[1])
        twin._finders = (copied_finder(self._finders[0]) if self._finders[0] is not self._finders[1] else two), two
        rows = self._parses[1].sequences.shape[1]
        parses = begin_parses(rows)
        twin._parses = (begin_parses(rows) if self._parses[0] is not self._parses[1] else parses), parses
        return twin

    def bits(self, suffixes: Sequence[bytes]) -> IntArray:
        """Return the bits of the block after each suffix, int64 (n,); -1 where the library has to be asked."""
        ends = np.cumsum([len(suffix) for suffix in suffixes], dtype=np.int64)
        joined = np.frombuffer(b"".join(suffixes), np.uint8)
        found = np.empty(len(ends), np.int64)
        room = _room(self.parameters)._replace(counts=self._counts, firsts=self._firsts, known=self._known)
        _run(found, self._state, self._finders, self._parses, room, joined, ends)
        if any(finder.registers[OVERFULL] for finder in self._finders):
            self._log *= 4
            self._kept *= 4
            self._begin_finders(len(self._state.buffer) - SPARE)
            return self.bits(suffixes)
        if (found < 0).sum() >= _OTHER_PARSES:
            self._begin_finders(len(self._state.buffer) - SPARE)
        return found


@lru_cache(maxsize=2)
def _weights(accurate: bool) -> Weights:
    return weights(accurate)
