"""How zlib looks for a match: chains of the positions that share a hash of three bytes, newest first."""

from itertools import count
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gencomp.bitstreams.huffman import DISTANCES, LITERALS
from gencomp.compiled import Integer, lean_kernel
from gencomp.protocols import IntArray

WINDOW = 1 << 15
SHORTEST, LONGEST = 3, 258  # match lengths (section 3.2.5)
AHEAD = LONGEST + SHORTEST + 1  # bytes that zlib wants to see before it decides anything
REACH = WINDOW - AHEAD  # the farthest match
FAR = 4096  # a match of three bytes is not worth a distance above this
SYMBOLS_PER_BLOCK = 16383  # memLevel 8
HASHES = 1 << 15

# per level: a held match this long quarters the search; one this long ends it (levels 1 to 3: a match this long is not
# entered byte by byte); a match this long will do; candidates looked at
EFFORT = np.array(
    [
        [0, 0, 0, 0],
        [4, 4, 8, 4],
        [4, 5, 16, 8],
        [4, 6, 32, 32],
        [4, 4, 16, 16],
        [8, 16, 32, 32],
        [8, 16, 128, 128],
        [8, 32, 128, 256],
        [32, 128, 258, 1024],
        [32, 258, 258, 4096],
    ],
    dtype=np.int64,
)
LAST_GREEDY_LEVEL = 3
GOOD, LAZY, NICE, TRIES = range(4)

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


class State(NamedTuple):
    """A deflate stream after a prefix, as far as no byte that follows can change it.

    ``head`` has for each hash of three bytes the last position with it, ``chain`` for each position modulo the window
    the one before with the same hash; 0 ends a chain, so position 0 is never found. States of one lineage share
    ``chain``, which nobody changes then: from the root on, the position before is in ``tail``.
    """

    buffer: npt.NDArray[np.uint8]  # (capacity,), the data from position registers[ORIGIN] on
    head: npt.NDArray[np.int32]  # (HASHES,)
    chain: npt.NDArray[np.int32]  # (WINDOW,)
    tail: npt.NDArray[np.int32]  # (LOG,), for each position since the root the one before with the same hash
    counts: IntArray  # (LITERALS + DISTANCES,), symbols of the open block
    registers: IntArray  # (REGISTERS,)
    log: IntArray  # (LOG, 2), each entry since the root: hash and position


class Parse(NamedTuple):
    """A State, and what a parse needs for a while."""

    buffer: npt.NDArray[np.uint8]
    head: npt.NDArray[np.int32]
    chain: npt.NDArray[np.int32]
    tail: npt.NDArray[np.int32]
    counts: IntArray
    registers: IntArray
    log: IntArray
    work: IntArray  # WORK_SHAPE
    found: IntArray  # (FOUND, 4 + 256), see one_byte_match; a row that starts with 0 is free
    undo: IntArray  # (n, 3), entries of a parse that is FINAL: hash, position, and what its place in the chain held


def copied(state: State, room: State | None) -> State:
    """Return a state that goes on independently, in the arrays of one that is needed no more, if ``room`` is one.

    Where both come from one state, as those of a search do, only what they have entered since is undone and done.
    """
    registers = state.registers
    if registers[LINEAGE] == 0:
        registers[LINEAGE], registers[ROOT], registers[LOGGED] = next(_lineages), registers[POSITION], 0
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
    return room._replace(chain=state.chain)


def without_lineage(state: State) -> State:
    """Return the state with a chain of its own."""
    registers, chain = state.registers, state.chain.copy()
    positions = state.log[: registers[LOGGED], 1]
    chain[positions & WINDOW - 1] = state.tail[positions - registers[ROOT]]
    registers[LINEAGE], registers[ROOT] = 0, NO_ROOT
    return state._replace(chain=chain)


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


@lean_kernel
def undo_entries(parse: Parse) -> None:
    """Take what a parse that is FINAL has entered out of the chains again, the last one first."""
    undo, root = parse.undo, parse.registers[ROOT]
    for entry in range(parse.registers[ENTERED] - 1, -1, -1):
        index, position = undo[entry, 0], undo[entry, 1]
        if position >= root:
            parse.head[index] = parse.tail[position - root]
        else:
            slot = position & WINDOW - 1
            parse.head[index] = parse.chain[slot]
            parse.chain[slot] = undo[entry, 2]


def begin_state(level: int, capacity: int) -> State:
    """Return the state after no data, with room for ``capacity`` bytes."""
    registers = np.zeros(REGISTERS, np.int64)
    registers[LEVEL] = level
    registers[HELD] = SHORTEST - 1
    registers[LITERAL] = -1
    registers[ROOT] = NO_ROOT
    return State(
        np.zeros(capacity, np.uint8),
        np.zeros(HASHES, np.int32),
        np.zeros(WINDOW, np.int32),
        np.zeros(LOG, np.int32),
        np.zeros(LITERALS + DISTANCES, np.int64),
        registers,
        np.zeros((LOG, 2), np.int64),
    )


@lean_kernel
def hash_at(buffer: npt.NDArray[np.uint8], i: Integer) -> Integer:
    """Return the 15-bit hash of three bytes; where the first two agree, it tells the third."""
    return (np.int64(buffer[i]) << 10 ^ np.int64(buffer[i + 1]) << 5 ^ np.int64(buffer[i + 2])) & HASHES - 1


@lean_kernel
def longest_match(parse: Parse, position: Integer, first: Integer, held: Integer) -> tuple[Integer, Integer]:
    """Return length and start of the first longest match above ``held``, no longer than the data.

    Where there is none, the length is ``held``. The hash vouches for a match's third byte.
    """
    effort = EFFORT[parse.registers[LEVEL]]
    ahead = parse.registers[SIZE] - position
    if held >= ahead:
        return ahead, 0
    tries = effort[TRIES] >> 2 if held >= effort[GOOD] else effort[TRIES]
    nice = min(effort[NICE], ahead)
    limit = max(position - REACH, 0)
    buffer, origin, root = parse.buffer, parse.registers[ORIGIN], parse.registers[ROOT]
    here = position - origin
    reach = min(ahead, LONGEST)
    best, start = held, 0
    while True:
        there = first - origin
        if (
            buffer[there + best] == buffer[here + best]
            and buffer[there + best - 1] == buffer[here + best - 1]
            and buffer[there] == buffer[here]
            and buffer[there + 1] == buffer[here + 1]
        ):
            length = SHORTEST
            while length < reach and buffer[there + length] == buffer[here + length]:
                length += 1
            if length > best:
                best, start = length, first
                if length >= nice:
                    break
        tries -= 1
        first = parse.chain[first & WINDOW - 1] if first < root else parse.tail[first - root]
        if first <= limit or tries == 0:
            break
    return best, start


@lean_kernel
def one_byte_match(parse: Parse, position: Integer, first: Integer, held: Integer) -> tuple[Integer, Integer]:
    """Return what longest_match does where the data's last byte is a suffix, with one search for all 256 of them.

    Among candidates that match up to the last byte, each last byte takes the first that goes on with it. A row of
    ``parse.found`` is: position, held, the match of last bytes that no candidate goes on with (length, start), and for
    each last byte the start of its match, or 0.
    """
    known = parse.registers[KNOWN] - position
    if held > known or known >= LONGEST:
        return longest_match(parse, position, first, held)
    for row in range(FOUND if known >= SHORTEST else 0):
        found = parse.found[row]
        if found[0] == 0:
            _search_all(parse, position, first, held, found)
        if found[0] == position and found[1] == held:
            start = found[NEXT + np.int64(parse.buffer[position + known - parse.registers[ORIGIN]])]
            if start == 0:
                return found[2], found[3]
            parse.registers[ALIKE] = 0
            return known + 1, start
    parse.registers[ALIKE] = 0
    return longest_match(parse, position, first, held)


@lean_kernel
def _search_all(parse: Parse, position: Integer, first: Integer, held: Integer, found: IntArray) -> None:
    """Set a row of ``parse.found``."""
    effort = EFFORT[parse.registers[LEVEL]]
    known = parse.registers[KNOWN] - position
    tries = effort[TRIES] >> 2 if held >= effort[GOOD] else effort[TRIES]
    limit = max(position - REACH, 0)
    buffer, origin, root = parse.buffer, parse.registers[ORIGIN], parse.registers[ROOT]
    here = position - origin
    best, start = held, 0
    found[:] = 0
    while True:
        there = first - origin
        following = NEXT + np.int64(buffer[there + known])
        probe = min(best, known - 1)
        if buffer[there + probe] == buffer[here + probe] and (best < known or found[following] == 0):
            length = 0
            while length < known and buffer[there + length] == buffer[here + length]:
                length += 1
            if length > best:
                best, start = length, first
            if length == known and found[following] == 0:
                found[following] = first
            if length >= min(effort[NICE], known + 1):
                break
        tries -= 1
        first = parse.chain[first & WINDOW - 1] if first < root else parse.tail[first - root]
        if first <= limit or tries == 0:
            break
    found[0], found[1], found[2], found[3] = position, held, best, start
