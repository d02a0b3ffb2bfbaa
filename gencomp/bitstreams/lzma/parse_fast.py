"""liblzma's fast mode, presets 0 to 3: the longest match, unless a repeated match or the next byte's is better."""

import numpy as np

from gencomp.bitstreams.lzma import constants as lzma
from gencomp.bitstreams.lzma import registers as reg
from gencomp.bitstreams.lzma.match_finder import find
from gencomp.bitstreams.lzma.state import LITERAL, MATCH_ROWS, ONE, ZERO, Parse, common_length
from gencomp.compiled import Integer, fragment, lean_kernel

OPEN_END = np.int64(-2)  # in place of a length: bytes to come matter
# distances, less one: from the first on, two bytes are no match; beyond the others, a repeated match two or three bytes
# shorter is preferred
_TOO_FAR_FOR_TWO, _FAR, _VERY_FAR = 1 << 7, 1 << 9, 1 << 15


@fragment
def _is_much_farther(farther: Integer, distance: Integer) -> Integer:
    """Tell whether a distance is over 128 times another, too much for one byte more (change_pair)."""
    return farther >> 7 > distance


@lean_kernel
def _repeats(parse: Parse, position: Integer, limit: Integer) -> Integer:
    """Tell whether ``limit`` bytes are repeated at one of the four last distances."""
    for which in range(lzma.REPS):
        there = position - parse.registers[reg.REPS + which] - 1
        if common_length(parse.data, position, there, ZERO, limit) == limit:
            return True
    return False


@lean_kernel
def longest_rep(parse: Parse, position: Integer) -> tuple[Integer, Integer]:
    """Return which of the four last distances repeats most, and how many bytes.

    That is 0 where none repeats two bytes, and OPEN_END where bytes to come may add to them. A distance that repeats
    NICE_LEN bytes or more ends the search.
    """
    registers = parse.registers
    ahead = registers[reg.SIZE] - position
    limit = min(ahead, lzma.MATCH_LEN_MAX)
    best, longest = ZERO, ZERO
    for which in range(lzma.REPS):
        length = common_length(parse.data, position, position - registers[reg.REPS + which] - 1, ZERO, limit)
        if length == ahead and ahead < lzma.MATCH_LEN_MAX and not registers[reg.FINAL]:
            return which, OPEN_END
        if length >= lzma.MATCH_LEN_MIN and length > longest:
            best, longest = np.int64(which), length
            if length >= registers[reg.NICE_LEN]:
                break
    return best, longest


@lean_kernel
def choose(parse: Parse, position: Integer) -> tuple[Integer, Integer]:
    """Return the next symbol (lzma_lzma_optimum_fast), or OPEN_END in place of its length."""
    registers = parse.registers
    ahead, nice = min(registers[reg.SIZE] - position, lzma.MATCH_LEN_MAX), registers[reg.NICE_LEN]
    literal = LITERAL, np.int64(1)
    if ahead < lzma.MATCH_LEN_MIN:
        return literal
    which, repeated = longest_rep(parse, position)
    if repeated == OPEN_END or repeated >= nice:
        return which, repeated
    length, last = registers[reg.LONGEST], registers[reg.BANK] * MATCH_ROWS + registers[reg.MATCHES_COUNT] - 1
    distance, first = np.int64(0), registers[reg.BANK] * MATCH_ROWS
    if length >= lzma.MATCH_LEN_MIN:
        distance = np.int64(parse.matches[last, 1])
    if length >= nice:
        return distance + lzma.REPS, length
    if length >= lzma.MATCH_LEN_MIN:
        while last > first and length == parse.matches[last - 1, 0] + 1:
            if not _is_much_farther(distance, np.int64(parse.matches[last - 1, 1])):
                break
            last -= 1
            length, distance = np.int64(parse.matches[last, 0]), np.int64(parse.matches[last, 1])
        if length == lzma.MATCH_LEN_MIN and distance >= _TOO_FAR_FOR_TWO:
            length = np.int64(1)
    if repeated >= lzma.MATCH_LEN_MIN and (
        repeated + 1 >= length
        or (repeated + 2 >= length and distance > _FAR)
        or (repeated + 3 >= length and distance > _VERY_FAR)
    ):
        return which, repeated
    if length < lzma.MATCH_LEN_MIN or ahead <= lzma.MATCH_LEN_MIN:
        return literal
    if not find(parse, ONE):
        return literal[0], OPEN_END
    longer = registers[reg.LONGEST]
    if longer >= lzma.MATCH_LEN_MIN:
        other = np.int64(parse.matches[registers[reg.BANK] * MATCH_ROWS + registers[reg.MATCHES_COUNT] - 1, 1])
        if (
            (longer >= length and other < distance)
            or (longer == length + 1 and not _is_much_farther(other, distance))
            or longer > length + 1
            or (longer + 1 >= length and length >= 3 and _is_much_farther(distance, other))
        ):
            return literal
    if _repeats(parse, position + 1, max(2, length - 1)):
        return literal
    return distance + lzma.REPS, length
