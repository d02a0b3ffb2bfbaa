"""How zlib looks for a match: chains of the positions that share a hash of three bytes, newest first."""

import numpy as np
import numpy.typing as npt

from gencomp.bitstreams.deflate_state import (
    ALIKE,
    FOUND,
    HASHES,
    KNOWN,
    LEVEL,
    LONGEST,
    NEXT,
    ORIGIN,
    REACH,
    ROOT,
    SHORTEST,
    SIZE,
    WINDOW,
    Parse,
)
from gencomp.compiled import Integer, lean_kernel
from gencomp.protocols import IntArray

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
    last_common = len(parse.common) - LONGEST - 1
    best, start = held, 0
    while True:
        there = first - origin
        old = parse.common if there < last_common else buffer
        if (
            old[there + best] == buffer[here + best]
            and old[there + best - 1] == buffer[here + best - 1]
            and old[there] == buffer[here]
            and old[there + 1] == buffer[here + 1]
        ):
            length = SHORTEST
            while length < reach and old[there + length] == buffer[here + length]:
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
    last_common = len(parse.common) - known - 1
    best, start = held, 0
    found[:] = 0
    while True:
        there = first - origin
        old = parse.common if there <= last_common else buffer
        following = NEXT + np.int64(old[there + known])
        probe = min(best, known - 1)
        if old[there + probe] == buffer[here + probe] and (best < known or found[following] == 0):
            length = 0
            while length < known and old[there + length] == buffer[here + length]:
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
