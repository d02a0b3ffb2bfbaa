"""The exact length in bits of zstd's frame (RFC 8878), for many suffixes after one prefix.

Nothing is written. The prefix is parsed as far as no byte after it can change the parse. Each suffix is parsed from
there, which is undone afterwards, and the block's entropy codes are priced. Most suffixes of one byte add the same
sequences, whose costs are found once.
"""

import threading
import weakref
from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np

from gencomp.bitstreams.zstd.blocks import (
    HEADER_BYTES,
    REST_END,
    SMALLEST_PARSED,
    Work,
    begin_work,
    block_cost,
    close_block,
    count_rest,
)
from gencomp.bitstreams.zstd.double_fast import parse_double_fast
from gencomp.bitstreams.zstd.fast import parse_fast
from gencomp.bitstreams.zstd.frame import header_bytes, parameters_of
from gencomp.bitstreams.zstd.layout import (
    BITS,
    BLOCK,
    DOUBLE_FAST,
    FAST,
    FIRST,
    LARGEST_BLOCK,
    LARGEST_FRAME,
    LOGGED,
    LOW,
    OPTIMAL,
    OVERFULL,
    REGISTERS,
    SAVINGS,
    SEQUENCES,
    SIZE,
    SPARE,
    STRATEGY,
    WINDOW_LOG,
    State,
)
from gencomp.bitstreams.zstd.lazy import parse_lazy
from gencomp.bitstreams.zstd.memory import Bytes, copy_to, undo, unstore
from gencomp.bitstreams.zstd.optimal_sizer import LARGEST, OptimalSizer, optimal_memory
from gencomp.bitstreams.zstd.split import EVENTS_SHAPE, block_size
from gencomp.bitstreams.zstd.state import begin_state, copied, state_memory
from gencomp.compiled import Integer, lean_kernel
from gencomp.protocols import IntArray

_LOG = 1 << 15
_LONGEST_PENDING = 24  # most bytes that a copy has read beyond what it shares
_SPLIT_SAVINGS = 3  # bytes that must have been saved before full blocks are split (split.py)
_NOTHING, _NO_BYTES = np.empty(0, np.int64), np.empty(0, np.uint8)


class Room(NamedTuple):
    """Room for the parse of a suffix."""

    work: Work
    log: IntArray  # (n, 2), entries of the tables: where, and what was there
    before: IntArray  # (REGISTERS,)
    events: IntArray  # of split


class _Local(threading.local):
    def __init__(self) -> None:
        self.room = _begin_room(_LOG)


def _begin_room(entries: int) -> Room:
    return Room(
        begin_work(), np.zeros((entries, 2), np.int64), np.zeros(REGISTERS, np.int64), np.zeros(EVENTS_SHAPE, np.int64)
    )


_local = _Local()


@lean_kernel
def _run(state: State, room: Room, bits: IntArray, suffixes: Bytes, ends: IntArray, closing: Integer) -> None:
    """Set ``bits`` (n,) to the bits of all blocks after each suffix; suffix i ends at ``ends[i]``, in the open block.

    First the open block is parsed as far as no byte to come can matter. If ``closing`` is not 0, the open block is
    closed there instead, and no suffix is priced.
    """
    registers, before, work, parameters = state.registers, room.before, room.work, state.parameters
    strategy, size, begin = parameters[STRATEGY], registers[SIZE], 0
    work.rest[REST_END] = 0
    for i in range(-1, len(ends)):
        end, final = size, True
        if i >= 0:
            for at in range(begin, ends[i]):
                state.buffer[size + at - begin] = suffixes[at]
            end = size + ends[i] - begin
            begin = ends[i]
        elif closing:
            end = closing
        else:
            final = False
            low, window = registers[LOW] - FIRST, 1 << parameters[WINDOW_LOG]
            if strategy <= DOUBLE_FAST and registers[BLOCK] + min(window, LARGEST_BLOCK) - low > window:
                end = registers[BLOCK]  # how far matches reach back depends on the block's end
        if end - registers[BLOCK] < SMALLEST_PARSED:
            pass
        elif strategy == FAST:
            parse_fast(state, room.log, end, final)
        elif strategy == DOUBLE_FAST:
            parse_double_fast(state, room.log, end, final)
        else:
            parse_lazy(state, room.log, end, final)
        if not final:
            work.remembered[0] = 0
            count_rest(state, work)
            copy_to(before, registers)
            continue
        kind, cost, total = block_cost(state, work, end, -1 if closing else before[SEQUENCES], closing)
        if closing:
            registers[LOGGED] = registers[OVERFULL] = 0  # nothing is undone
            close_block(state, work, end, kind, cost, total)
            return
        bits[i] = registers[BITS] + cost
        undo(state.tables, room.log, registers)
        unstore(state.buffer, state.sequences, state.literals, state.codes, before, registers)
        if registers[OVERFULL]:
            before[OVERFULL] = 1
        copy_to(registers, before)


def sizer_memory(level: int, window_log: int | None, size: int) -> tuple[int, bool] | None:
    """Return the bytes that a sizer holds for ``size`` bytes of data, and whether its parser is an optimal one.

    None stands for sizes that only the library prices.
    """
    parameters = parameters_of(level, size, window_log)
    optimal = parameters[STRATEGY] >= OPTIMAL
    if size > (min(LARGEST, 1 << parameters[WINDOW_LOG]) if optimal else LARGEST_FRAME):
        return None
    capacity = max(2 * size, 4096)
    held = capacity + state_memory(parameters)
    if optimal:
        return held + optimal_memory(parameters, capacity), True
    return held * (2 if size > LARGEST_BLOCK else 1), False  # where the open block begins is kept, too


class ZstdSizer:
    """A zstd frame after a prefix, as the library writes it in one piece at ``level`` 1 to 22.

    Copies share what has been parsed, and price what each has read since as the beginning of every suffix. Only one
    that has read much gets a parse of its own. Several threads may use copies, which take turns.
    """

    def __init__(self, level: int, window_log: int | None = None, checksum: bool = False, prefix: bytes = b"") -> None:
        self._pending = b""  # read after the frame's data
        self._join(_Frame(level, window_log, checksum, prefix))

    def _join(self, frame: "_Frame") -> None:
        self._frame = frame
        frame.users.add(self)

    def copy(self) -> Self:
        """Return a sizer that goes on independently of this one."""
        twin = type(self).__new__(type(self))
        with self._frame.lock:
            twin._pending = self._pending
            twin._join(self._frame)
        return twin

    def feed(self, data: bytes) -> None:
        self._pending += data

    def bits(self, suffixes: Sequence[bytes]) -> IntArray:
        """Return the bits of the frame that ends after each suffix, int64 (n,), without the filling of its bitstreams.

        -1 stands for a frame that only the library can price: one of more than LARGEST_FRAME bytes, for the strategies
        "btopt" to "btultra2" one larger than a block that is never split, and rarely another.
        """
        with self._frame.lock:
            self._settle()
        with self._frame.lock:  # which may be another
            pending = self._pending
            return self._frame.bits([pending + suffix for suffix in suffixes] if pending else suffixes)

    def _settle(self) -> None:
        """Feed what is pending, unless others share the frame and it has room for that."""
        if not self._pending:
            return
        if len(self._frame.users) > 1:
            if self._frame.has_room(len(self._pending)):
                return
            self._frame.users.discard(self)
            self._join(self._frame.copy())
        self._frame.feed(self._pending)
        self._pending = b""


class _Frame:
    """What copies of a sizer share: the data, and what has been parsed."""

    def __init__(self, level: int, window_log: int | None, checksum: bool, prefix: bytes) -> None:
        self._options = level, window_log
        self._checksum = checksum
        self._data = prefix
        self._state: State | None = None
        self._optimal: OptimalSizer | None = None
        self._fed = 0  # bytes that the optimal sizer has
        self._whole: State | None = None  # the state where the open block begins, if it may be cut
        self.users: weakref.WeakSet[ZstdSizer] = weakref.WeakSet()
        self.lock = threading.RLock()

    def copy(self) -> Self:
        """Return a frame that goes on independently of this one, which nobody uses."""
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin.users, twin.lock = weakref.WeakSet(), threading.RLock()
        if self._optimal is not None:
            twin._optimal = self._optimal.copy()
        if self._state is not None:
            twin._state = copied(self._state)
        return twin

    def feed(self, data: bytes) -> None:
        self._data += data

    def has_room(self, pending: int) -> bool:
        """Return whether all suffixes may begin with ``pending`` bytes: parse, parameters and open block stay valid."""
        level, window_log = self._options
        size = len(self._data)
        parameters = parameters_of(level, size + 1, window_log)
        if pending > _LONGEST_PENDING or parameters != parameters_of(level, size + pending + 1, window_log):
            return False
        if parameters[STRATEGY] >= OPTIMAL:
            return size + pending < LARGEST
        if self._state is None:
            return size + pending < 1 << parameters[WINDOW_LOG]
        begin = int(self._state.registers[BLOCK])
        return size + pending + 1 - begin < min(LARGEST_BLOCK, 1 << parameters[WINDOW_LOG])

    def bits(self, suffixes: Sequence[bytes]) -> IntArray:
        """Return what :meth:`ZstdSizer.bits` does."""
        lengths = list(map(len, suffixes))
        if len(set(lengths)) == 1:
            return self._bits_of_size(suffixes, len(self._data) + lengths[0])
        bits = np.empty(len(suffixes), np.int64)
        for length in sorted(set(lengths)):
            some = [index for index, one in enumerate(lengths) if one == length]
            bits[some] = self._bits_of_size([suffixes[index] for index in some], len(self._data) + length)
        return bits

    def _bits_of_size(self, suffixes: Sequence[bytes], size: int) -> IntArray:
        level, window_log = self._options
        parameters = parameters_of(level, size, window_log)
        frame = 8 * header_bytes(size, parameters[WINDOW_LOG]) + 32 * self._checksum
        if size > LARGEST_FRAME:
            return np.full(len(suffixes), -1, np.int64)
        if size == 0:
            return np.full(len(suffixes), frame + 8 * HEADER_BYTES, np.int64)
        if parameters[STRATEGY] >= OPTIMAL:
            found = self._optimal_bits(suffixes, parameters, size)
            return np.where(found < 0, -1, found + frame)
        state = self._state_for(parameters, size)
        left, largest = size - int(state.registers[BLOCK]), min(LARGEST_BLOCK, 1 << parameters[WINDOW_LOG])
        split = left == LARGEST_BLOCK and state.registers[SAVINGS] >= _SPLIT_SAVINGS and size > len(self._data)
        if left > largest or split:
            return np.array([self._alone(suffix) for suffix in suffixes], np.int64)
        room = _local.room
        joined = np.frombuffer(b"".join(suffixes), np.uint8)
        ends = np.arange(1, len(suffixes) + 1) * (size - len(self._data))
        bits = np.empty(len(suffixes), np.int64)
        _run(state, room, bits, joined, ends, 0)
        if state.registers[OVERFULL]:
            self._grow_log()
            return self._bits_of_size(suffixes, size)
        return bits + frame

    def _optimal_bits(self, suffixes: Sequence[bytes], parameters: tuple[int, ...], size: int) -> IntArray:
        if size > min(LARGEST, 1 << parameters[WINDOW_LOG]):
            return np.full(len(suffixes), -1, np.int64)
        optimal = self._optimal
        if optimal is None or optimal.parameters != parameters:
            self._optimal = optimal = OptimalSizer(parameters)
            optimal.begin(self._data, size - len(self._data))
        else:
            optimal.feed(self._data[self._fed :], size - len(self._data))
        self._fed = len(self._data)
        return optimal.bits(suffixes)

    def _grow_log(self) -> None:
        _local.room = _begin_room(4 * len(_local.room.log))
        self._state = None

    def _alone(self, suffix: bytes) -> int:
        """Return the bits after a suffix that ends the open block and begins another."""
        twin = self.copy()
        twin.feed(suffix)
        return int(twin.bits([b""])[0])

    def _state_for(self, parameters: tuple[int, ...], size: int) -> State:
        """Return the state after the data so far, with room for ``size`` bytes."""
        state = self._state
        if state is None or tuple(state.parameters.tolist()) != parameters:
            self._whole = None
            state = begin_state(parameters, max(2 * size, 4096))
        if len(state.buffer) < size + SPARE:
            buffer = np.zeros(2 * size + SPARE, np.uint8)
            buffer[: len(state.buffer)] = state.buffer
            state = state._replace(buffer=buffer)
        fed = int(state.registers[SIZE])
        if fed < len(self._data):
            state.buffer[fed : len(self._data)] = np.frombuffer(self._data[fed:], np.uint8)
            state.registers[SIZE] = len(self._data)
            state = self._closed(state, min(LARGEST_BLOCK, 1 << parameters[WINDOW_LOG]))
        self._state = state
        return state

    def _closed(self, state: State, largest: int) -> State:
        """Close the blocks that are complete; the last stays open even if it is, since its price is asked for."""
        room = _local.room
        size = int(state.registers[SIZE])
        while (left := size - int(state.registers[BLOCK])) >= largest:
            begin = int(state.registers[BLOCK])
            whole = largest
            if largest == LARGEST_BLOCK and state.registers[SAVINGS] >= _SPLIT_SAVINGS:
                whole = block_size(state.buffer, begin, state.parameters[STRATEGY], room.events)
            if left == whole:
                break
            if whole < largest and self._whole is not None:  # the parse may have gone beyond
                state = _with_data(self._whole, state)
            _run(state, room, _NOTHING, _NO_BYTES, _NOTHING, begin + whole)
            self._whole = copied(state) if largest == LARGEST_BLOCK else None
        return state


def _with_data(state: State, other: State) -> State:
    """Return a copy of the state with the data of a later one."""
    state = copied(state)._replace(buffer=other.buffer)
    state.registers[SIZE] = other.registers[SIZE]
    return state
