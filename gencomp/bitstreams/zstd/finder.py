"""All matches of a position, longest last, as the optimal parser finds them in binary trees [zstd_opt.c].

A position is entered when it is searched, or before the next search. Nearly always, the tree is the same either way,
and so are the matches of later positions, which are found once and kept. It matters where a match overlaps its copy or
is very long. What has been done there is noted, and a parse that does otherwise is given up.

Only what no byte to come can change is kept: once a comparison reaches the end of what is ``known``, what follows is
undone.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gencomp.bitstreams.zstd.layout import (
    CHAIN_LOG,
    FIRST,
    HASH_LOG,
    LOGGED,
    MIN_MATCH,
    OVERFULL,
    REGISTERS,
    REPEATS,
    SEARCH_LOG,
    TARGET_LENGTH,
    WINDOW_LOG,
)
from gencomp.bitstreams.zstd.memory import Bytes, Tables, common, hash_at, put
from gencomp.compiled import Integer, part, step, word
from gencomp.protocols import IntArray

LONGEST_SERIES = 1 << 12  # [ZSTD_OPT_NUM]
LONGEST_TABLE3_LOG = 17  # [ZSTD_HASHLOG3_MAX]
_FARTHEST3 = 1 << 18
_LONG, _CATCH_UP = 384, 192
SPARE_MATCHES = 8  # most matches of a search besides those of trees

# what has been done with a position: nothing yet; entered, no matter when; where it matters, entered by its own search
# or before the next; not entered, because its match of three bytes was long or because it was jumped over
UNKNOWN, PLAIN, SEARCHED, ENTERED, LEFT_OUT, JUMPED = range(6)

# registers of a finder besides those of layout
KEPT = 4  # positions before this one are kept [nextToUpdate of the parses that came so far]
KEPT3 = 5  # positions before this one are in the table of three bytes, for good
NOW3 = 6  # and in this parse
NEXT = 10  # first position that this parse has not entered
OPEN = 11  # whether something has been compared to the end of what is known
OTHERWISE = 12  # whether the parse has done otherwise than what is noted
USED = 13  # matches kept
REACHED = 14  # whether a comparison has gone up to the last byte of all
LIMITED = 15  # whether a walk ended by a limit after that, so that what it left may depend on the last byte


class Finder(NamedTuple):
    """Trees, and what has been found in them."""

    tables: Tables  # hash table, trees, table of three bytes
    log: IntArray  # (n, 2)
    registers: IntArray  # (REGISTERS,)
    done: npt.NDArray[np.uint8]  # (capacity,), what has been done with each position
    jumps: npt.NDArray[np.int32]  # (capacity,), how far entering went on from there, where that matters
    begins: npt.NDArray[np.int32]  # (capacity, 2), where a position's matches begin and end
    three: npt.NDArray[np.int32]  # (capacity, 2), its match in the table of three bytes: length and offset
    kept: npt.NDArray[np.int32]  # (n, 2), matches: length and offset
    found: IntArray  # (n, 2), those of the latest search


def begin_finder(parameters: tuple[int, ...], capacity: int, entries: int, kept: int) -> Finder:
    """Return a finder that has seen nothing.

    It has room for ``capacity`` positions, ``entries`` of the log, and ``kept`` matches a position.
    """
    size = (1 << parameters[HASH_LOG]) + (1 << parameters[CHAIN_LOG])
    if parameters[MIN_MATCH] == 3:
        size += 1 << min(LONGEST_TABLE3_LOG, parameters[WINDOW_LOG])
    return Finder(
        np.zeros(size, np.int32),
        np.zeros((entries, 2), np.int64),
        np.zeros(REGISTERS, np.int64),
        np.zeros(capacity, np.uint8),
        np.zeros(capacity, np.int32),
        np.zeros((capacity, 2), np.int32),
        np.zeros((capacity, 2), np.int32),
        np.zeros((kept * capacity, 2), np.int32),
        np.zeros(((1 << parameters[SEARCH_LOG]) + SPARE_MATCHES, 2), np.int64),
    )


def copied_finder(finder: Finder) -> Finder:
    """Return a finder that goes on independently."""
    seen, used = max(finder.registers[KEPT], finder.registers[KEPT3]), finder.registers[USED]
    arrays = (finder.done, finder.jumps, finder.begins, finder.three)
    done, jumps, begins, three = (_beginning(array, seen) for array in arrays)
    return finder._replace(
        tables=finder.tables.copy(),
        log=np.empty_like(finder.log),
        registers=finder.registers.copy(),
        done=done,
        jumps=jumps,
        begins=begins,
        three=three,
        kept=_beginning(finder.kept, used),
        found=np.zeros_like(finder.found),
    )


def _beginning(array: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    """Return an array as large with the same first ``size`` rows; the others do not matter."""
    copy = np.empty_like(array)
    copy[:size] = array[:size]
    return copy


@step
def _enter(
    buffer: Bytes,
    finder: Finder,
    parameters: IntArray,
    position: Integer,
    end: Integer,
    known: Integer,
    best: Integer,
) -> tuple[Integer, Integer]:
    """Enter a position into its tree and keep its matches [ZSTD_insertBt1, ZSTD_insertBtAndGetAllMatches].

    ``best`` is the length of the best match so far, 0 for a position that is not searched. Returns how many matches
    are in ``found``, the shortest first, and how many positions entering moves on.
    """
    # In one piece: a walk down a tree, whose two open ends change at each node.
    tables, log, registers, found_ = finder.tables, finder.log, finder.registers, finder.found
    bits, width = parameters[HASH_LOG], parameters[MIN_MATCH]
    trees, mask = 1 << bits, (1 << (parameters[CHAIN_LOG] - 1)) - 1
    here = position + FIRST
    where = hash_at(buffer, position, max(width, 4), bits)
    found = tables[where]
    low = max(here - mask, 0)
    smaller = trees + 2 * (here & mask)
    larger = smaller + 1
    common_smaller, common_larger, number, plain = 0, 0, 0, True
    longest = (3 if width == 3 else 4) - 1
    searched = best > 0
    farthest, running = here + 9, best if searched else 8
    put(tables, log, registers, where, here)
    compares = 1 << parameters[SEARCH_LOG]
    while compares > 0 and found >= FIRST:
        compares -= 1
        children = trees + 2 * (found & mask)
        length = min(common_smaller, common_larger)
        length += common(buffer, position + length, found - FIRST + length, end)
        if position + length >= known:
            registers[OPEN] = 1
        if position + length >= end - 1:
            registers[REACHED] = 1
        plain &= found + length <= here + 9 and length <= _LONG
        if length > longest:
            longest = length
            found_[number, 0], found_[number, 1] = length, here - found + REPEATS
            number += 1
        if length > running:
            running = length
            farthest = max(farthest, found + length)
            if searched and length > LONGEST_SERIES:
                break
        if position + length == end:
            break
        if buffer[found - FIRST + length] < buffer[position + length]:
            put(tables, log, registers, smaller, found)
            common_smaller = length
            if found <= low:
                smaller = -1
                break
            smaller, found = children + 1, tables[children + 1]
        else:
            put(tables, log, registers, larger, found)
            common_larger = length
            if found <= low:
                larger = -1
                break
            larger, found = children, tables[children]
    if found >= FIRST:
        registers[LIMITED] |= registers[REACHED]
    if smaller >= 0:
        put(tables, log, registers, smaller, 0)
    if larger >= 0:
        put(tables, log, registers, larger, 0)
    forward = farthest - 8 - here
    if not searched and running > _LONG:
        forward = max(forward, min(_CATCH_UP, running - _LONG))
    used = registers[USED]
    if used + number > len(finder.kept):
        registers[OPEN] = registers[OVERFULL] = 1
    if not registers[OPEN]:
        finder.begins[position, 0] = used
        for i in range(number):
            finder.kept[used + i, 0], finder.kept[used + i, 1] = found_[i, 0], found_[i, 1]
        finder.begins[position, 1] = used + number
        registers[USED] = used + number
        finder.done[position] = PLAIN if plain else SEARCHED if searched else ENTERED
        finder.jumps[position] = forward
        registers[KEPT] = position + 1
        registers[LOGGED] = 0
    return number, forward


@step
def _jump(finder: Finder, begin: Integer, end: Integer) -> None:
    """Note that positions are jumped over."""
    for position in range(begin, end):
        if position < finder.registers[KEPT]:
            if finder.done[position] != JUMPED:
                finder.registers[OTHERWISE] = 1
        elif not finder.registers[OPEN]:
            finder.done[position] = JUMPED
            finder.registers[KEPT] = position + 1


@step
def _three(
    buffer: Bytes, finder: Finder, parameters: IntArray, position: Integer, end: Integer, known: Integer
) -> tuple[Integer, Integer]:
    """Return length and offset of the latest position with the same three bytes [ZSTD_insertAndFindFirstIndexHash3]."""
    registers, tables = finder.registers, finder.tables
    if position < registers[KEPT3]:
        return np.int64(finder.three[position, 0]), np.int64(finder.three[position, 1])
    base = (1 << parameters[HASH_LOG]) + (1 << parameters[CHAIN_LOG])
    bits = min(LONGEST_TABLE3_LOG, parameters[WINDOW_LOG])
    length, offset = 0, 0
    for at in range(registers[NOW3], position + 1):
        where = base + hash_at(buffer, at, 3, bits)
        found = tables[where]
        length, offset = 0, 0
        if found >= FIRST and at + FIRST - found < _FARTHEST3:
            length, offset = common(buffer, at, found - FIRST, end), at + FIRST - found + REPEATS
        if at + max(length, 3) >= known:
            registers[OPEN] = 1
        put(tables, finder.log, registers, where, at + FIRST)
        registers[NOW3] = at + 1
        if not registers[OPEN]:
            finder.three[at, 0], finder.three[at, 1] = length, offset
            registers[KEPT3] = at + 1
            registers[LOGGED] = 0
    return length, offset


@part
def catch_up(
    buffer: Bytes, finder: Finder, parameters: IntArray, position: Integer, end: Integer, known: Integer
) -> None:
    """Enter the positions before one that is searched [ZSTD_updateTree_internal]."""
    registers, done = finder.registers, finder.done
    at = registers[NEXT]
    while at < position:
        if at >= registers[KEPT]:
            _, forward = _enter(buffer, finder, parameters, at, end, known, 0)
        elif done[at] == PLAIN:
            at += 1
            continue
        else:
            if done[at] != ENTERED:
                registers[OTHERWISE] = 1
                return
            forward = finder.jumps[at]
        if forward > 1:
            _jump(finder, at + 1, min(at + forward, position))
        at += forward
    registers[NEXT] = position


@step
def all_matches(
    buffer: Bytes,
    finder: Finder,
    parameters: IntArray,
    position: Integer,
    end: Integer,
    known: Integer,
    rep1: Integer,
    rep2: Integer,
    rep3: Integer,
    after_match: Integer,
    matches: IntArray,
) -> Integer:
    """Set ``matches`` (n, 2) to lengths and offsets, the shortest first; return how many [ZSTD_getAllMatchesFn].

    ``after_match`` tells whether no literal stands before the position.
    """
    # In one piece: it follows one function of zstd's, in its order, and returns where that does.
    registers, done = finder.registers, finder.done
    if position + 8 > known:
        registers[OPEN] = 1
    if position < registers[NEXT]:
        return 0
    catch_up(buffer, finder, parameters, position, end, known)
    if registers[OTHERWISE]:
        return 0
    width = 3 if parameters[MIN_MATCH] == 3 else 4
    enough = min(parameters[TARGET_LENGTH], LONGEST_SERIES - 1)
    best, number = width - 1, 0
    first = word(buffer, position) & (0xFFFFFF if width == 3 else 0xFFFFFFFF)
    shift = 1 if after_match else 0
    for code in range(shift, REPEATS + shift):
        back = rep1 if code == 0 else rep2 if code == 1 else rep3 if code == 2 else rep1 - 1
        if back <= 0 or back > position:
            continue
        if (word(buffer, position - back) & (0xFFFFFF if width == 3 else 0xFFFFFFFF)) != first:
            continue
        length = common(buffer, position + width, position + width - back, end) + width
        if position + length >= known:
            registers[OPEN] = 1
        if length > best:
            best = length
            matches[number, 0], matches[number, 1] = length, code - shift + 1
            number += 1
            if length > enough or position + length == end:
                return number
    if parameters[MIN_MATCH] == 3 and best < 3:
        length, offset = _three(buffer, finder, parameters, position, end, known)
        if length >= 3:
            best = length
            matches[0, 0], matches[0, 1] = length, offset
            number = 1
            if length > enough or position + length == end:
                registers[NEXT] = position + 1
                if position < registers[KEPT]:
                    if done[position] != LEFT_OUT:
                        registers[OTHERWISE] = 1
                elif not registers[OPEN]:
                    done[position] = LEFT_OUT
                    registers[KEPT] = position + 1
                return 1
    if position >= registers[KEPT]:
        some, forward = _enter(buffer, finder, parameters, position, end, known, best)
        for i in range(some):
            if finder.found[i, 0] > best:
                matches[number, 0], matches[number, 1] = finder.found[i, 0], finder.found[i, 1]
                number += 1
        if forward > 1:
            _jump(finder, position + 1, position + forward)
        registers[NEXT] = position + forward
        return number
    how = done[position]
    if how != PLAIN and how != SEARCHED:
        registers[OTHERWISE] = 1
        return 0
    farthest = position + 9
    for i in range(finder.begins[position, 0], finder.begins[position, 1]):
        length, offset = np.int64(finder.kept[i, 0]), np.int64(finder.kept[i, 1])
        if length > best:
            matches[number, 0], matches[number, 1] = length, offset
            number += 1
            farthest = max(farthest, position - (offset - REPEATS) + length)
            if length > LONGEST_SERIES:
                registers[OTHERWISE] = 1
    forward = farthest - 8 - position
    if how == SEARCHED:
        if forward != finder.jumps[position]:
            registers[OTHERWISE] = 1
            return 0
        if forward > 1:
            _jump(finder, position + 1, position + forward)
    registers[NEXT] = position + forward
    return number
