"""The code length of an LZMA1 stream after a prefix, for many suffixes: the prefix is parsed and coded once.

The prefix is parsed as far as no byte after it can matter, and coded as far as all ways through the rest of it agree.
Each suffix is parsed and coded from there, which is undone afterwards.
"""

import threading
import weakref
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from gencomp.bitstreams.lzma import constants as lzma
from gencomp.bitstreams.lzma import fields as field
from gencomp.bitstreams.lzma import registers as reg
from gencomp.bitstreams.lzma.alike import NONE_ALIKE, mark_known
from gencomp.bitstreams.lzma.coder import code_length, code_length_with, undo_changes
from gencomp.bitstreams.lzma.match_finder import undo_entries
from gencomp.bitstreams.lzma.parse import parse_on
from gencomp.bitstreams.lzma.parse_optimal import code_common
from gencomp.bitstreams.lzma.prices import begin_prices
from gencomp.bitstreams.lzma.state import MATCH_ROWS, ZERO, Effort, Parse, State, Words, begin_state, table_shape
from gencomp.bitstreams.similar_blocks import copy_to
from gencomp.compiled import lean_kernel
from gencomp.protocols import IntArray

LONGEST_SUFFIX = 4096  # bytes; a longer one is read by a copy
LOG = 1 << 18  # entries in the table since the first copy, beyond which a copy gets a table of its own
# bytes before the suffixes, and suffixes of one byte, from which on it pays to look for bytes that are parsed alike
FEWEST_KNOWN, FEWEST_ALIKE = 16, 8
_ATTEMPTS = 4  # bytes that are parsed to find one that stands for others
_CAPACITY = 1 << 16  # bytes of data that there is room for at first
_ENTRIES = 5  # in the table for each position, besides one for each candidate
_CHANGES = 40  # most changes of the model for each byte, besides those of price tables
_PRICES = 12_000  # changes by renewing each of these tables once
_NOTHING = np.frombuffer(b"", np.uint8)
_NO_SUFFIXES = _NOTHING, np.empty(0, np.int64), np.empty(0, np.int64)


class Scratch(NamedTuple):
    """Room for the parse of a suffix; nothing in it is kept between calls."""

    nodes: Words
    matches: Words
    registers: IntArray
    log: Words
    changes: Words
    path: Words
    unlike: Words


class _Local(threading.local):
    def __init__(self) -> None:
        self.scratch = Scratch(
            np.zeros((lzma.OPTS, field.FIELDS), np.int32),
            np.zeros((2 * MATCH_ROWS, 2), np.int32),
            np.zeros(reg.REGISTERS, np.int64),
            np.zeros((1 << 16, 3), np.int32),
            np.zeros((_PRICES + (1 << 15), 2), np.int32),
            np.zeros((lzma.OPTS, 2), np.int32),
            np.zeros(257, np.int32),
        )

    def with_room(self, entries: int, changes: int) -> Scratch:
        """Return the scratch with room for so many entries and changes at least."""
        scratch = self.scratch
        if len(scratch.log) < entries or len(scratch.changes) < changes:
            more = max(entries, len(scratch.log)), max(changes, len(scratch.changes))
            log, undo = (np.zeros((rows, columns), np.int32) for rows, columns in zip(more, (3, 2), strict=True))
            self.scratch = scratch = scratch._replace(log=log, changes=undo)
        return scratch


_local = _Local()


class _Ground:
    """The data and the match finder's table, which a sizer shares with its copies.

    They are as one of them, the owner, has read. Each has a log of its entries since the first copy was made. When
    another one takes its turn, the entries that both have stay, the owner's others are undone, and its own are made.
    """

    def __init__(self, data: npt.NDArray[np.uint8], table: Words) -> None:
        self.data = data
        self.table = table
        self.root = 0  # bytes of data that all have in common
        # the entries that the table has since, and their number
        self.log: Words = np.zeros((0, 3), np.int32)
        self.entries = 0
        self.owner: weakref.ref[LzmaSizer] | None = None
        self.users: weakref.WeakSet[LzmaSizer] = weakref.WeakSet()
        self.lock = threading.RLock()


@lean_kernel
def _exchange(table: Words, done: Words, entries: int, wanted: Words, others: int) -> None:
    """Turn the table with the entries ``done`` into the one with those ``wanted``."""
    same = 0
    while same < min(entries, others) and done[same, 0] == wanted[same, 0] and done[same, 2] == wanted[same, 2]:
        same += 1
    for entry in range(entries - 1, same - 1, -1):
        table[done[entry, 0]] = done[entry, 1]
    for entry in range(same, others):
        table[wanted[entry, 0]] = wanted[entry, 2]


@lean_kernel
def _begin_trial(parse: Parse, state: State, end: int) -> None:
    """Begin a final parse of the data up to ``end``, from where ``state`` is."""
    _, _, nodes, matches, registers = state
    copy_to(parse.registers, registers)
    registers = parse.registers
    bank = registers[reg.BANK] * MATCH_ROWS
    for row in range(bank, bank + registers[reg.MATCHES_COUNT]):
        parse.matches[row, 0], parse.matches[row, 1] = matches[row, 0], matches[row, 1]
    if registers[reg.OPEN]:
        for node in range(registers[reg.POSITION] - registers[reg.BASE], registers[reg.LEN_END] + 1):
            for i in range(field.FIELDS):
                parse.nodes[node, i] = nodes[node, i]
    registers[reg.FINAL], registers[reg.ENTRIES], registers[reg.CHANGES] = 1, 0, 0
    registers[reg.SIZE] = registers[reg.STOP] = end


@lean_kernel
def _end_trial(parse: Parse) -> None:
    undo_entries(parse, ZERO)
    undo_changes(parse)


@lean_kernel
def _price_alike(trial: Parse, suffixes: npt.NDArray[np.uint8], ends: IntArray, bits: IntArray) -> None:
    """Price the suffixes of one byte that are not marked, after a parse up to that byte."""
    begin = np.int64(0)
    for i in range(len(ends)):
        if ends[i] - begin == 1 and not trial.unlike[suffixes[begin]]:
            bits[i] = code_length_with(trial, np.int64(suffixes[begin]))
        begin = ends[i]


@lean_kernel
def _go_on(
    data: npt.NDArray[np.uint8],
    table: Words,
    state: State,
    log: Words,
    scratch: Scratch,
    fed: npt.NDArray[np.uint8],
    suffixes: npt.NDArray[np.uint8],
    ends: IntArray,
    bits: IntArray,
) -> None:
    """Append ``fed`` to the data and parse on, as far as no byte to come can matter; then price suffixes.

    Sets ``bits`` (n,) to the code length after each suffix in 1/65536 bit; suffix i ends at ``ends[i]``.
    """
    # In one piece: each function that Python calls and that contains the parse takes numba seconds more to compile.
    live, frozen, nodes, matches, registers = state
    trial_nodes, trial_matches, trial_registers, trial_log, changes, path, unlike = scratch
    size, number = registers[reg.SIZE] + len(fed), len(ends)
    trunk = Parse(data, table, live, frozen, nodes, matches, registers, log, changes, path, unlike)
    if registers[reg.SIZE] == 0 and not registers[reg.FAST]:
        begin_prices(trunk)
    if len(fed) > 0:
        for i in range(len(fed)):
            data[size - len(fed) + i] = fed[i]
        registers[reg.SIZE] = registers[reg.STOP] = size
        parse_on(trunk)
        if registers[reg.OPEN]:
            code_common(trunk)
    trial = Parse(
        data, table, live, frozen, trial_nodes, trial_matches, trial_registers, trial_log, changes, path, unlike
    )
    singles = np.int64(0)
    for i in range(number):
        singles += ends[i] - (ends[i - 1] if i > 0 else 0) == 1
    attempts = _ATTEMPTS if size >= FEWEST_KNOWN and singles >= FEWEST_ALIKE else 0
    is_alike, byte = False, np.int64(255)
    for _ in range(attempts):
        data[size] = byte
        _begin_trial(trial, state, size + 1)
        trial_registers[reg.STOP], trial_registers[reg.TAIL] = size, registers[reg.READ_POS]
        trial_registers[reg.WATCHED] = 1
        mark_known(trial)
        parse_on(trial)
        is_alike = not unlike[byte] and not unlike[NONE_ALIKE]
        if is_alike:
            _price_alike(trial, suffixes, ends, bits)
        _end_trial(trial)
        byte = np.int64(0)
        while byte < 256 and unlike[byte]:
            byte += 1
        if is_alike or byte == 256 or unlike[NONE_ALIKE]:
            break
    begin = np.int64(0)
    for i in range(number):
        if not is_alike or ends[i] - begin != 1 or unlike[suffixes[begin]]:
            for at in range(begin, ends[i]):
                data[size + at - begin] = suffixes[at]
            _begin_trial(trial, state, size + ends[i] - begin)
            parse_on(trial)
            bits[i] = code_length(trial)
            _end_trial(trial)
        begin = ends[i]


@lru_cache(maxsize=1)  # predictors ask for the same 256 bytes each time
def _joined(suffixes: tuple[bytes, ...]) -> tuple[npt.NDArray[np.uint8], IntArray, int]:
    """Return the suffixes in one array, uint8, where each ends in it, int64, and the length of the longest."""
    sizes = [len(suffix) for suffix in suffixes]
    return np.frombuffer(b"".join(suffixes), np.uint8), np.cumsum(sizes, dtype=np.int64), max(sizes, default=0)


class LzmaSizer:
    """A raw LZMA1 stream with an end marker after a prefix, as liblzma writes it with a dictionary of ``size`` bytes.

    Several threads may use copies, which take turns.
    """

    def __init__(self, effort: Effort, size: int, lc: int, lp: int, pb: int, prefix: bytes = b"") -> None:
        self._state = begin_state(effort, size, lc, lp, pb)
        table = np.zeros(sum(table_shape(effort.finder, size)), np.int32)
        self._log: Words = np.zeros((effort.depth + _ENTRIES, 3), np.int32)
        self._fed = b""  # since the root of what is shared
        self._join(_Ground(np.zeros(max(_CAPACITY, len(prefix) + (1 << 12)), np.uint8), table))
        self.feed(prefix)

    def _join(self, ground: _Ground) -> None:
        self._ground = ground
        ground.users.add(self)
        if ground.owner is None:
            ground.owner = weakref.ref(self)

    def copy(self) -> Self:
        """Return a sizer that goes on independently of this one; the data and the table are shared."""
        with self._ground.lock:
            self._take_turn()
            if not self._state.registers[reg.SHARED]:
                self._ground.root = int(self._state.registers[reg.SIZE])
                self._state.registers[reg.SHARED], self._state.registers[reg.ENTRIES], self._fed = 1, 0, b""
                self._ground.log, self._ground.entries = self._log, 0
            twin = type(self).__new__(type(self))
            twin._state, twin._fed = _copied(self._state), self._fed
            twin._log = self._log[: int(self._state.registers[reg.ENTRIES])].copy()
            twin._join(self._ground)
        return twin

    def feed(self, data: bytes) -> None:
        with self._ground.lock:
            self._take_turn()
            self._reserve(len(data))
            ground, registers = self._ground, self._state.registers
            if registers[reg.SHARED]:
                self._fed += data
            self._go_on(np.frombuffer(data, np.uint8), _local.scratch, *_NO_SUFFIXES)
            if registers[reg.SHARED]:
                ground.log, ground.entries = self._log, int(registers[reg.ENTRIES])

    def bits(self, suffixes: Sequence[bytes]) -> IntArray:
        """Return the code length of the stream that ends after each suffix, int64 (n,), in 1/65536 bit."""
        joined, ends, longest = _joined(tuple(suffixes))
        if longest > LONGEST_SUFFIX:
            return np.array([self._bits_after(suffix) for suffix in suffixes], np.int64)
        bits = np.empty(len(ends), np.int64)
        with self._ground.lock:
            self._take_turn()
            self._make_room(longest)
            registers = self._state.registers
            size = int(registers[reg.SIZE]) + longest
            entries = (size - int(registers[reg.READ_POS]) + 1) * (int(registers[reg.DEPTH]) + _ENTRIES)
            scratch = _local.with_room(entries, (size - int(registers[reg.POSITION]) + 1) * _CHANGES + _PRICES)
            self._go_on(_NOTHING, scratch, joined, ends, bits)
        return bits

    def _go_on(
        self,
        fed: npt.NDArray[np.uint8],
        scratch: Scratch,
        suffixes: npt.NDArray[np.uint8],
        ends: IntArray,
        bits: IntArray,
    ) -> None:
        ground = self._ground
        _go_on(ground.data, ground.table, self._state, self._log, scratch, fed, suffixes, ends, bits)

    def _bits_after(self, suffix: bytes) -> int:
        twin = self._apart()
        twin.feed(suffix)
        return int(twin.bits([b""])[0])

    def _apart(self) -> Self:
        """Return a copy that shares nothing."""
        with self._ground.lock:
            self._take_turn()
            twin = type(self).__new__(type(self))
            twin._state, twin._fed, twin._log = _copied(self._state), b"", np.zeros((0, 3), np.int32)
            twin._state.registers[reg.SHARED] = 0
            twin._join(_Ground(self._ground.data.copy(), self._ground.table.copy()))
        return twin

    def _take_turn(self) -> None:
        """Make this sizer the owner of the shared data and table."""
        ground, registers = self._ground, self._state.registers
        if ground.owner is None or ground.owner() is not self:
            _exchange(ground.table, ground.log, ground.entries, self._log, int(registers[reg.ENTRIES]))
            ground.data[ground.root : ground.root + len(self._fed)] = np.frombuffer(self._fed, np.uint8)
            ground.owner = weakref.ref(self)
            ground.log, ground.entries = self._log, int(registers[reg.ENTRIES])
        if registers[reg.SHARED] and len(ground.users) == 1:
            registers[reg.SHARED] = registers[reg.ENTRIES] = ground.entries = 0

    def _reserve(self, room: int) -> None:
        """Make room for ``room`` bytes more; leave the copies if the log would be too long."""
        registers = self._state.registers
        entries = int(registers[reg.DEPTH]) + _ENTRIES  # most for one position
        if registers[reg.SHARED]:
            positions = int(registers[reg.SIZE] - registers[reg.READ_POS]) + room
            entries = int(registers[reg.ENTRIES]) + positions * entries
            if entries > LOG:
                twin = self._apart()
                self._ground.users.discard(self)
                self._state, self._fed = twin._state, b""
                self._ground = twin._ground
                self._ground.users.discard(twin)
                self._ground.owner = None
                self._join(self._ground)
                entries = int(registers[reg.DEPTH]) + _ENTRIES
        if len(self._log) < entries:
            log = np.zeros((entries * 2, 3), np.int32)
            log[: len(self._log)] = self._log
            self._log = log
        self._make_room(room)

    def _make_room(self, room: int) -> None:
        ground, size = self._ground, int(self._state.registers[reg.SIZE])
        if size + room > len(ground.data):
            data = np.zeros(2 * (size + room), np.uint8)
            data[:size] = ground.data[:size]
            ground.data = data


def _copied(state: State) -> State:
    """Return a state that goes on independently."""
    live, frozen, nodes, matches, registers = state
    twin = State(live.copy(), np.empty_like(frozen), np.empty_like(nodes), matches.copy(), registers.copy())
    if registers[reg.OPEN]:
        ways = slice(int(registers[reg.POSITION] - registers[reg.BASE]), int(registers[reg.LEN_END]) + 1)
        twin.nodes[ways] = nodes[ways]
        if registers[reg.SPLIT]:
            twin.frozen[:] = frozen
    return twin
