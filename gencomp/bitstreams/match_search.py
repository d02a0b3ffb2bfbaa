"""How zlib looks for a match: chains of the positions that share a hash of three bytes, newest first.

As in zlib, a match must be longer than ``prev_length``, the length of the match held back.
"""

import numpy as np
import numpy.typing as npt

from gencomp.bitstreams import deflate_registers as reg
from gencomp.bitstreams import zlib_constants as zlib
from gencomp.bitstreams.deflate_state import ELSE_LENGTH, ELSE_START, FOUND, FOUND_ABOVE, FOUND_AT, NEXT, Parse
from gencomp.bitstreams.zlib_constants import CONFIGURATION_TABLE
from gencomp.compiled import Integer, fragment, lean_kernel
from gencomp.protocols import IntArray


@lean_kernel
def hash_at(buffer: npt.NDArray[np.uint8], i: Integer) -> Integer:
    """Return the hash of three bytes (UPDATE_HASH). Bytes that differ only in the third have different hashes."""
    first, second = np.int64(buffer[i]) << (2 * zlib.HASH_SHIFT), np.int64(buffer[i + 1]) << zlib.HASH_SHIFT
    return (first ^ second ^ np.int64(buffer[i + 2])) & zlib.HASH_MASK


@fragment
def _chain_limit(effort: IntArray, prev_length: Integer) -> Integer:
    """Return how many candidates are tried (chain_length)."""
    return effort[zlib.MAX_CHAIN] >> 2 if prev_length >= effort[zlib.GOOD_LENGTH] else effort[zlib.MAX_CHAIN]


@lean_kernel
def longest_match(parse: Parse, position: Integer, first: Integer, prev_length: Integer) -> tuple[Integer, Integer]:
    """Return the length and the start of the longest match above ``prev_length``, of equals the nearest.

    The search begins at ``first``, the head of the position's chain. No match goes beyond the data. Where there is
    none, the length is ``prev_length``, or what is ahead if that is less. The third byte is not compared: where the
    first two agree, equal hashes imply that it does, too.
    """
    effort = CONFIGURATION_TABLE[parse.registers[reg.LEVEL]]
    ahead = parse.registers[reg.SIZE] - position
    if prev_length >= ahead:
        return ahead, 0
    tries = _chain_limit(effort, prev_length)
    nice = min(effort[zlib.NICE_LENGTH], ahead)
    limit = max(position - zlib.MAX_DIST, 0)
    buffer, origin, root = parse.buffer, parse.registers[reg.ORIGIN], parse.registers[reg.ROOT]
    here = position - origin
    reach = min(ahead, zlib.MAX_MATCH)
    # a comparison that starts before this stays within the data that the lineage has in common
    last_common = len(parse.common) - zlib.MAX_MATCH - 1
    best, start = prev_length, 0
    while True:
        there = first - origin
        old = parse.common if there < last_common else buffer
        if (
            old[there + best] == buffer[here + best]
            and old[there + best - 1] == buffer[here + best - 1]
            and old[there] == buffer[here]
            and old[there + 1] == buffer[here + 1]
        ):
            length = zlib.MIN_MATCH
            while length < reach and old[there + length] == buffer[here + length]:
                length += 1
            if length > best:
                best, start = length, first
                if length >= nice:
                    break
        tries -= 1
        first = parse.chain[first & zlib.W_MASK] if first < root else parse.tail[first - root]
        if first <= limit or tries == 0:
            break
    return best, start


@lean_kernel
def one_byte_match(parse: Parse, position: Integer, first: Integer, prev_length: Integer) -> tuple[Integer, Integer]:
    """Return what :func:`longest_match` does where the data's last byte is a suffix, by one search for all 256 bytes.

    Of the candidates that match up to the last byte, each last byte takes the first that goes on with it. A row of
    ``parse.found`` has the search's position and its ``prev_length`` in columns FOUND_AT and FOUND_ABOVE. From NEXT on
    it has, for each last byte, the start of its match, or 0, where the match is that of ELSE_LENGTH and ELSE_START.
    """
    known = parse.registers[reg.KNOWN] - position
    if prev_length > known or known >= zlib.MAX_MATCH:
        return longest_match(parse, position, first, prev_length)
    for row in range(FOUND if known >= zlib.MIN_MATCH else 0):
        found = parse.found[row]
        if found[FOUND_AT] == 0:
            _search_all(parse, position, first, prev_length, found)
        if found[FOUND_AT] == position and found[FOUND_ABOVE] == prev_length:
            start = found[NEXT + np.int64(parse.buffer[position + known - parse.registers[reg.ORIGIN]])]
            if start == 0:
                return found[ELSE_LENGTH], found[ELSE_START]
            parse.registers[reg.ALIKE] = 0
            return known + 1, start
    parse.registers[reg.ALIKE] = 0
    return longest_match(parse, position, first, prev_length)


@lean_kernel
def _search_all(parse: Parse, position: Integer, first: Integer, prev_length: Integer, found: IntArray) -> None:
    """Fill ``found``, a row of ``parse.found``."""
    effort = CONFIGURATION_TABLE[parse.registers[reg.LEVEL]]
    known = parse.registers[reg.KNOWN] - position
    tries = _chain_limit(effort, prev_length)
    limit = max(position - zlib.MAX_DIST, 0)
    buffer, origin, root = parse.buffer, parse.registers[reg.ORIGIN], parse.registers[reg.ROOT]
    here = position - origin
    last_common = len(parse.common) - known - 1
    best, start = prev_length, 0
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
            if length >= min(effort[zlib.NICE_LENGTH], known + 1):
                break
        tries -= 1
        first = parse.chain[first & zlib.W_MASK] if first < root else parse.tail[first - root]
        if first <= limit or tries == 0:
            break
    found[FOUND_AT], found[FOUND_ABOVE], found[ELSE_LENGTH], found[ELSE_START] = position, prev_length, best, start
