"""The state of a deflate stream after a prefix, as far as no byte to come can change it, and its copies."""

from itertools import count
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gencomp.bitstreams import deflate_registers as reg
from gencomp.bitstreams import rfc1951
from gencomp.bitstreams import zlib_constants as zlib
from gencomp.compiled import lean_kernel
from gencomp.protocols import IntArray

# rows of Parse.found, each a search for all next bytes at once, and their columns (match_search.one_byte_match)
FOUND = 4
FOUND_AT, FOUND_ABOVE, ELSE_LENGTH, ELSE_START, NEXT = range(5)
LOG = 1024  # positions that a lineage reaches beyond its root
_lineages = count(1)
_NOTHING = np.empty(0, np.uint8)


class State(NamedTuple):
    """What has been parsed of a prefix; no byte that follows can change it.

    Positions whose three bytes share a hash form a chain, newest first: ``head`` has the newest for each hash, and
    ``chain`` (zlib's prev) the next older one for each position modulo the window. A 0 ends a chain, so position 0 is
    never found.

    States of one lineage share ``chain`` and do not change it: what each enters after the root goes into its own
    ``tail``. They also share ``common``, a copy of the data that all their buffers begin with. A search that reads it
    finds it in the processor's cache, whichever state read it last.
    """

    buffer: npt.NDArray[np.uint8]  # (capacity,), the data from position registers[ORIGIN] on
    common: npt.NDArray[np.uint8]  # (n,), without a lineage (0,)
    head: npt.NDArray[np.int32]  # (HASH_SIZE,)
    chain: npt.NDArray[np.int32]  # (W_SIZE,)
    tail: npt.NDArray[np.int32]  # (LOG,), for each position since the root the next older one of its hash
    counts: IntArray  # (L_CODES + D_CODES,), symbols of the open block
    registers: IntArray  # (REGISTERS,)
    log: IntArray  # (LOG, 2), each entry since the root: hash and position


class Parse(NamedTuple):
    """A State, and the scratch of a parse."""

    buffer: npt.NDArray[np.uint8]
    common: npt.NDArray[np.uint8]
    head: npt.NDArray[np.int32]
    chain: npt.NDArray[np.int32]
    tail: npt.NDArray[np.int32]
    counts: IntArray
    registers: IntArray
    log: IntArray
    work: IntArray  # WORK_SHAPE
    found: IntArray  # (FOUND, NEXT + 256), see one_byte_match; a row that starts with 0 is free
    undo: IntArray  # (n, 3), entries of a parse that is FINAL: hash, position, and what its place in the chain held


def with_lineage(state: State) -> State:
    """Return the state, made the root of a lineage if it has none."""
    registers = state.registers
    if registers[reg.LINEAGE] != 0:
        return state
    registers[reg.LINEAGE], registers[reg.LOGGED] = next(_lineages), 0
    registers[reg.ROOT] = registers[reg.POSITION]
    return state._replace(common=state.buffer[: registers[reg.SIZE] - registers[reg.ORIGIN]].copy())


def copied(state: State, room: State | None) -> State:
    """Return a copy of ``state``, which has a lineage; it goes on independently.

    ``room`` is a state that nobody needs any more: the copy takes its arrays. If it is of the same lineage, as the
    states of a search are, only the entries that differ since their root are undone and made.
    """
    registers = state.registers
    if room is None or len(room.buffer) != len(state.buffer):
        room = begin_state(int(registers[reg.LEVEL]), len(state.buffer))
    if room.registers[reg.LINEAGE] == registers[reg.LINEAGE]:
        _follow(room, state)
        return room
    used, logged = registers[reg.SIZE] - registers[reg.ORIGIN], registers[reg.LOGGED]
    room.buffer[:used] = state.buffer[:used]
    room.log[:logged] = state.log[:logged]
    for target, source in (
        (room.head, state.head),
        (room.tail, state.tail),
        (room.counts, state.counts),
        (room.registers, registers),
    ):
        np.copyto(target, source)
    return room._replace(chain=state.chain, common=state.common)


def without_lineage(state: State) -> State:
    """Return the state with a chain of its own."""
    registers, chain = state.registers, state.chain.copy()
    positions = state.log[: registers[reg.LOGGED], 1]
    chain[positions & zlib.W_MASK] = state.tail[positions - registers[reg.ROOT]]
    registers[reg.LINEAGE], registers[reg.ROOT] = 0, reg.NO_ROOT
    return state._replace(chain=chain, common=_NOTHING)


@lean_kernel
def _follow(room: State, state: State) -> None:
    """Turn ``room`` into a copy of ``state``, which is of the same lineage."""
    log, root = room.log, state.registers[reg.ROOT]
    done, wanted = room.registers[reg.LOGGED], state.registers[reg.LOGGED]
    same = 0
    while same < min(done, wanted) and log[same, 0] == state.log[same, 0] and log[same, 1] == state.log[same, 1]:
        same += 1
    for entry in range(done - 1, same - 1, -1):
        room.head[log[entry, 0]] = room.tail[log[entry, 1] - root]
    for entry in range(same, wanted):
        index, position = state.log[entry, 0], state.log[entry, 1]
        log[entry, 0], log[entry, 1] = index, position
        room.tail[position - root] = room.head[index]
        room.head[index] = position
    for at in range(root - state.registers[reg.ORIGIN], state.registers[reg.SIZE] - state.registers[reg.ORIGIN]):
        room.buffer[at] = state.buffer[at]
    for i in range(len(state.counts)):
        room.counts[i] = state.counts[i]
    for i in range(reg.REGISTERS):
        room.registers[i] = state.registers[i]


def begin_state(level: int, capacity: int) -> State:
    """Return the state after no data, with room for ``capacity`` bytes."""
    registers = np.zeros(reg.REGISTERS, np.int64)
    registers[reg.LEVEL] = level
    registers[reg.PREV_LENGTH] = zlib.MIN_MATCH - 1
    registers[reg.LITERAL] = -1
    registers[reg.ROOT] = reg.NO_ROOT
    return State(
        np.zeros(capacity, np.uint8),
        _NOTHING,
        np.zeros(zlib.HASH_SIZE, np.int32),
        np.zeros(zlib.W_SIZE, np.int32),
        np.zeros(LOG, np.int32),
        np.zeros(rfc1951.L_CODES + rfc1951.D_CODES, np.int64),
        registers,
        np.zeros((LOG, 2), np.int64),
    )
