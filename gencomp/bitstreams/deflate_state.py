"""A deflate stream after a prefix, as far as bytes to come leave it open, and its copies."""

from itertools import count
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gencomp.bitstreams.huffman import DISTANCES, LITERALS
from gencomp.compiled import lean_kernel
from gencomp.protocols import IntArray

WINDOW = 1 << 15
SHORTEST, LONGEST = 3, 258  # match lengths (section 3.2.5)
AHEAD = LONGEST + SHORTEST + 1  # bytes that zlib wants to see before it decides anything
REACH = WINDOW - AHEAD  # the farthest match
FAR = 4096  # a match of three bytes is not worth a distance above this
SYMBOLS_PER_BLOCK = 16383  # memLevel 8
HASHES = 1 << 15

# registers
LEVEL = 0
SIZE = 1  # bytes of data in all
ORIGIN = 2  # position of the buffer's first byte
POSITION = 3  # where the parse stands
BASE = 4  # position of the first byte of zlib's sliding buffer
BLOCK = 5  # position of the open block's first byte
SYMBOLS = 6  # literals and matches in the open block
BITS = 7  # bits of the closed blocks
HELD = 8  # length of the match found one byte earlier, 2 if none
HELD_START = 9  # and where it copies from
WAITING = 10  # 1 if the byte before the position is not coded yet
CLOSED = 11  # blocks closed
ENTERED = 12  # entries of the undo log
KEY = 13  # sum of the open block's symbols' KEYS,
LITERAL = 14  # the last symbol if it is a literal, else -1
KNOWN = 15  # bytes before a suffix of one byte, 0 for other suffixes
ALIKE = 16  # 1 if nothing in the parse so far has depended on a suffix of one byte,
LOOKED_UP = 17  # if it was looked up with the two bytes before it, on finding nothing there
FINAL = 18  # 1 if the data is all there is
CHECK = 19  # and of their CHECKS
LINEAGE = 20  # a number for a state that copies come from, 0 if there is none,
ROOT = 21  # its POSITION, or NO_ROOT,
LOGGED = 22  # and the entries in the chains since
REGISTERS = 23

FOUND = 4  # searches remembered
NEXT = 4  # columns of Parse.found before those per next byte
LOG = 1024  # positions that a lineage reaches beyond its root
NO_ROOT = 1 << 62
_lineages = count(1)
_NOTHING = np.empty(0, np.uint8)


class State(NamedTuple):
    """What has been parsed of a prefix; no byte that follows can change it.

    ``head`` has for each hash of three bytes the last position with it, ``chain`` for each position modulo the window
    the one before with the same hash; 0 ends a chain, so position 0 is never found. States of one lineage share
    ``chain``, which nobody changes then: from the root on, the position before is in ``tail``. They share ``common``,
    too, which repeats what their buffers begin with: so a search looks at it in the processor's cache.
    """

    buffer: npt.NDArray[np.uint8]  # (capacity,), the data from position registers[ORIGIN] on
    common: npt.NDArray[np.uint8]  # (n,), without a lineage (0,)
    head: npt.NDArray[np.int32]  # (HASHES,)
    chain: npt.NDArray[np.int32]  # (WINDOW,)
    tail: npt.NDArray[np.int32]  # (LOG,), for each position since the root the one before with the same hash
    counts: IntArray  # (LITERALS + DISTANCES,), symbols of the open block
    registers: IntArray  # (REGISTERS,)
    log: IntArray  # (LOG, 2), each entry since the root: hash and position


class Parse(NamedTuple):
    """A State, and what a parse needs for a while."""

    buffer: npt.NDArray[np.uint8]
    common: npt.NDArray[np.uint8]
    head: npt.NDArray[np.int32]
    chain: npt.NDArray[np.int32]
    tail: npt.NDArray[np.int32]
    counts: IntArray
    registers: IntArray
    log: IntArray
    work: IntArray  # WORK_SHAPE
    found: IntArray  # (FOUND, 4 + 256), see one_byte_match; a row that starts with 0 is free
    undo: IntArray  # (n, 3), entries of a parse that is FINAL: hash, position, and what its place in the chain held


def with_lineage(state: State) -> State:
    """Return the state, made one that copies come from."""
    registers = state.registers
    if registers[LINEAGE] != 0:
        return state
    registers[LINEAGE], registers[ROOT], registers[LOGGED] = next(_lineages), registers[POSITION], 0
    return state._replace(common=state.buffer[: registers[SIZE] - registers[ORIGIN]].copy())


def copied(state: State, room: State | None) -> State:
    """Return a state that goes on independently, in the arrays of one that is needed no more, if ``room`` is one.

    ``state`` has a lineage. Where both come from one state, as those of a search do, only what they have entered since
    is undone and done.
    """
    registers = state.registers
    if room is None or len(room.buffer) != len(state.buffer):
        room = begin_state(int(registers[LEVEL]), len(state.buffer))
    if room.registers[LINEAGE] == registers[LINEAGE]:
        _follow(room, state)
        return room
    used, logged = registers[SIZE] - registers[ORIGIN], registers[LOGGED]
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
    positions = state.log[: registers[LOGGED], 1]
    chain[positions & WINDOW - 1] = state.tail[positions - registers[ROOT]]
    registers[LINEAGE], registers[ROOT] = 0, NO_ROOT
    return state._replace(chain=chain, common=_NOTHING)


@lean_kernel
def _follow(room: State, state: State) -> None:
    """Make ``room`` the copy of a ``state`` of the same lineage."""
    log, done, wanted, root = room.log, room.registers[LOGGED], state.registers[LOGGED], state.registers[ROOT]
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
    for at in range(root - state.registers[ORIGIN], state.registers[SIZE] - state.registers[ORIGIN]):
        room.buffer[at] = state.buffer[at]
    for i in range(len(state.counts)):
        room.counts[i] = state.counts[i]
    for i in range(REGISTERS):
        room.registers[i] = state.registers[i]


def begin_state(level: int, capacity: int) -> State:
    """Return the state after no data, with room for ``capacity`` bytes."""
    registers = np.zeros(REGISTERS, np.int64)
    registers[LEVEL] = level
    registers[HELD] = SHORTEST - 1
    registers[LITERAL] = -1
    registers[ROOT] = NO_ROOT
    return State(
        np.zeros(capacity, np.uint8),
        _NOTHING,
        np.zeros(HASHES, np.int32),
        np.zeros(WINDOW, np.int32),
        np.zeros(LOG, np.int32),
        np.zeros(LITERALS + DISTANCES, np.int64),
        registers,
        np.zeros((LOG, 2), np.int64),
    )
