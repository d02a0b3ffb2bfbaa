"""liblzma's fast mode, presets 0 to 3: the longest match, unless a repeated distance or the next byte has better."""

import numpy as np

from gencomp.bitstreams.lzma.match_finder import find
from gencomp.bitstreams.lzma.state import (
    BANK,
    COUNT,
    FINAL,
    LITERAL,
    LONGEST,
    LONGEST_MATCH,
    MATCH_ROWS,
    NICE,
    ONE,
    REP,
    REPS,
    SHORTEST,
    SIZE,
    ZERO,
    Parse,
    common_length,
)
from gencomp.compiled import Integer, fragment, lean_kernel

OPEN_END = np.int64(-2)  # in place of a length: bytes to come matter


@fragment
def _is_much_farther(farther: Integer, distance: Integer) -> Integer:
    """Tell whether one byte more is not worth so much more distance (change_pair)."""
    return farther >> 7 > distance


@lean_kernel
def _repeats(parse: Parse, position: Integer, limit: Integer) -> Integer:
    """Tell whether ``limit`` bytes are repeated at one of the four last distances."""
    for which in range(REPS):
        there = position - parse.registers[REP + which] - 1
        if common_length(parse.data, position, there, ZERO, limit) == limit:
            return True
    return False


@lean_kernel
def longest_rep(parse: Parse, position: Integer) -> tuple[Integer, Integer]:
    """Return which of the four last distances repeats most, and how much: 0 below two bytes, OPEN_END if that is open.

    A first one of NICE bytes or more ends the search.
    """
    registers = parse.registers
    ahead = registers[SIZE] - position
    limit = min(ahead, LONGEST_MATCH)
    best, longest = ZERO, ZERO
    for which in range(REPS):
        length = common_length(parse.data, position, position - registers[REP + which] - 1, ZERO, limit)
        if length == ahead and ahead < LONGEST_MATCH and not registers[FINAL]:
            return which, OPEN_END
        if length >= SHORTEST and length > longest:
            best, longest = np.int64(which), length
            if length >= registers[NICE]:
                break
    return best, longest


@lean_kernel
def choose(parse: Parse, position: Integer) -> tuple[Integer, Integer]:
    """Return the next symbol (lzma_lzma_optimum_fast), or OPEN_END in place of its length."""
    registers = parse.registers
    ahead, nice = min(registers[SIZE] - position, LONGEST_MATCH), registers[NICE]
    literal = LITERAL, np.int64(1)
    if ahead < SHORTEST:
        return literal
    which, repeated = longest_rep(parse, position)
    if repeated == OPEN_END or repeated >= nice:
        return which, repeated
    length, last = registers[LONGEST], registers[BANK] * MATCH_ROWS + registers[COUNT] - 1
    distance, first = np.int64(0), registers[BANK] * MATCH_ROWS
    if length >= SHORTEST:
        distance = np.int64(parse.matches[last, 1])
    if length >= nice:
        return distance + REPS, length
    if length >= SHORTEST:
        while last > first and length == parse.matches[last - 1, 0] + 1:
            if not _is_much_farther(distance, np.int64(parse.matches[last - 1, 1])):
                break
            last -= 1
            length, distance = np.int64(parse.matches[last, 0]), np.int64(parse.matches[last, 1])
        if length == SHORTEST and distance >= 128:
            length = np.int64(1)
    if repeated >= SHORTEST and (
        repeated + 1 >= length
        or (repeated + 2 >= length and distance > 1 << 9)
        or (repeated + 3 >= length and distance > 1 << 15)
    ):
        return which, repeated
    if length < SHORTEST or ahead <= SHORTEST:
        return literal
    if not find(parse, ONE):
        return literal[0], OPEN_END
    longer = registers[LONGEST]
    if longer >= SHORTEST:
        other = np.int64(parse.matches[registers[BANK] * MATCH_ROWS + registers[COUNT] - 1, 1])
        if (
            (longer >= length and other < distance)
            or (longer == length + 1 and not _is_much_farther(other, distance))
            or longer > length + 1
            or (longer + 1 >= length and length >= 3 and _is_much_farther(distance, other))
        ):
            return literal
    if _repeats(parse, position + 1, max(2, length - 1)):
        return literal
    return distance + REPS, length
