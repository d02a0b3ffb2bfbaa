"""Bits of many blocks that are almost alike: they differ by the last literal, or not at all.

After one prefix, most of the 256 suffixes of one byte give the same symbols and one literal more. What does not depend
on that literal is computed once: the distance code; the shape of the literal code for all new literals between the same
two old ones; and, for old literals, the tree without it (:mod:`~gencomp.bitstreams.similar_trees`).

A block's bits are remembered under a hash of 96 bits, two sums of random numbers for its symbols, since continuations
in a search often have the same symbols in another order.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gencomp.bitstreams import rfc1951
from gencomp.bitstreams.huffman import USED, WORK_SHAPE, code_lengths, count_runs, header_bits, weighted
from gencomp.bitstreams.rfc1951 import EXTRA_BITS, FIXED_BITS
from gencomp.bitstreams.similar_trees import (
    CHANGED,
    TRACED,
    Tree,
    begin_tree,
    count_once_more,
    trace,
)
from gencomp.compiled import Integer, fragment, lean_kernel
from gencomp.protocols import IntArray

SYMBOLS = rfc1951.L_CODES + rfc1951.D_CODES
BASES = 8  # sets of counts kept, the oldest replaced first
REMEMBERED = 1 << 15  # blocks whose bits are remembered, a power of two
_HEADERS = 256  # headers whose bits are remembered, a power of two
_FIXED_WIDTH = 31  # bits for the length of a fixed block: at most 2^14 literals and matches of at most 31 bits each

# columns of Blocks.facts
_KEY, _DISTANCE_BITS, _EXTRA, _FIXED, _LAST, _LITERAL_BITS, _DYNAMIC, _TREES = range(8)
_FACTS = 8
_NONE = -1  # in place of a literal
_FEW_TREES = 1  # trees built before one is traced, which takes the time of two or three


class Blocks(NamedTuple):
    """Up to BASES sets of symbol counts, and for each the codes of the block last asked for."""

    counts: IntArray  # (BASES, SYMBOLS), the end-of-block symbol counted
    lower: IntArray  # (BASES, END_BLOCK), the next lower symbol that occurs, -1 if none does
    upper: IntArray  # (BASES, END_BLOCK), the next higher one
    runs: IntArray  # (BASES, BL_CODES), counts of the symbols that code the distance code
    used: IntArray  # (BASES, BL_CODES), of those that code both codes of the last block
    lengths: IntArray  # (BASES, L_CODES), the last block's literal code
    facts: IntArray  # (BASES, _FACTS)
    headers: IntArray  # (_HEADERS, BL_CODES + 1), counts in earlier headers, and their bits
    kept: IntArray  # (1,), sets kept so far, those replaced too
    tree: Tree  # of the literals of one set
    traced: IntArray  # (2,), that set's KEYS and the bits of its header
    work: IntArray  # WORK_SHAPE


def begin_blocks() -> Blocks:
    """Return room for sets of counts, with none in it."""
    widths = [
        SYMBOLS,
        rfc1951.END_BLOCK,
        rfc1951.END_BLOCK,
        rfc1951.BL_CODES,
        rfc1951.BL_CODES,
        rfc1951.L_CODES,
        _FACTS,
    ]
    counts, lower, upper, runs, used, lengths, facts = (np.zeros((BASES, width), np.int64) for width in widths)
    shapes = [(_HEADERS, rfc1951.BL_CODES + 1), 1, 2, WORK_SHAPE]
    headers, kept, traced, work = (np.zeros(shape, np.int64) for shape in shapes)
    return Blocks(counts, lower, upper, runs, used, lengths, facts, headers, kept, begin_tree(), traced, work)


def begin_memory() -> IntArray:
    """Return room for the bits of blocks, int64 (REMEMBERED, 3); see :func:`recall`."""
    return np.zeros((REMEMBERED, 3), np.int64)


def _symbol_keys() -> IntArray:
    """Return two random numbers for each symbol, int64 (2, SYMBOLS).

    A match is two symbols, so a block has at most 2^15, and sums of numbers below 2^48 stay below 2^63.
    """
    return np.random.default_rng(1951).integers(0, 1 << 48, (2, SYMBOLS))


KEYS, CHECKS = _symbol_keys()
_SPREAD = KEYS[: rfc1951.BL_CODES]


@fragment
def recall(memory: IntArray, key: Integer, check: Integer) -> Integer:
    """Return the dynamic bits of a block, shifted by _FIXED_WIDTH, and its fixed bits; -1 if they are not remembered.

    ``key`` and ``check`` are the sums of its symbols' KEYS and CHECKS. An entry holds the bits, and the two sums XORed
    with them, so that one that another thread has half written does not match.
    """
    entry = memory[(key ^ check) & (len(memory) - 1)]
    bits = entry[2]
    return bits if bits > 0 and (entry[0] ^ bits) == key and (entry[1] ^ bits) == check else -1


@fragment
def price(blocks: Blocks, memory: IntArray, base: Integer, literal: Integer, key: Integer, check: Integer) -> Integer:
    """Return what :func:`recall` does for the symbols of ``base`` and one ``literal``, and remember it.

    A ``literal`` of -1 stands for none. The block's type is not counted.
    """
    facts = blocks.facts[base]
    dynamic = _count_once_more(blocks, base, literal) if literal >= 0 and blocks.counts[base, literal] > 0 else -1
    if dynamic < 0:
        if facts[_LAST] != literal or facts[_DYNAMIC] == 0:
            _tell_literal_code(blocks, base, literal)
        dynamic = facts[_DYNAMIC]
    fixed = facts[_FIXED] + (FIXED_BITS[literal] if literal >= 0 else 0)
    bits = (dynamic << _FIXED_WIDTH) | fixed
    entry = memory[(key ^ check) & (len(memory) - 1)]
    entry[0], entry[1], entry[2] = key ^ bits, check ^ bits, bits
    return bits


@fragment
def both_bits(bits: Integer) -> tuple[Integer, Integer]:
    """Return the dynamic and the fixed bits that :func:`recall` gave."""
    return bits >> _FIXED_WIDTH, bits & ((1 << _FIXED_WIDTH) - 1)


@lean_kernel
def find_base(blocks: Blocks, counts: IntArray, key: Integer) -> Integer:
    """Return the index of the set of these ``counts`` (SYMBOLS,), which is made if it is not kept.

    ``key`` is the sum of the KEYS of the symbols counted.
    """
    counts[rfc1951.END_BLOCK] = 1
    for base in range(min(blocks.kept[0], BASES)):
        if blocks.facts[base, _KEY] == key and equal(blocks.counts[base], counts):
            return base
    base = blocks.kept[0] % BASES
    blocks.kept[0] += 1
    copy_to(blocks.counts[base], counts)
    symbol = -1
    for above in range(rfc1951.END_BLOCK + 1):
        if counts[above] != 0:
            for absent in range(symbol + 1, above):
                blocks.lower[base, absent] = symbol
                blocks.upper[base, absent] = above
            symbol = above
    blocks.runs[base, :] = 0
    lengths = blocks.lengths[base]
    highest, distance_bits = code_lengths(counts[rfc1951.L_CODES :], lengths, blocks.work)
    count_runs(lengths, highest, blocks.runs[base])
    facts = blocks.facts[base]
    facts[_KEY], facts[_DISTANCE_BITS] = key, distance_bits
    facts[_EXTRA], facts[_FIXED] = weighted(counts, EXTRA_BITS), weighted(counts, FIXED_BITS)
    facts[_LAST], facts[_DYNAMIC], facts[_TREES] = _NONE, 0, 0
    return base


@fragment
def _count_once_more(blocks: Blocks, base: Integer, literal: Integer) -> Integer:
    """Return the dynamic bits for a base and one more of a literal in it, -1 if its code has to be built."""
    facts, tree, traced, used = blocks.facts[base], blocks.tree, blocks.traced, blocks.work[USED, : rfc1951.BL_CODES]
    before, changed = tree.nodes[TRACED, : rfc1951.L_CODES], tree.nodes[CHANGED, : rfc1951.L_CODES]
    if traced[0] != facts[_KEY]:
        facts[_TREES] += 1
        if facts[_TREES] <= _FEW_TREES:
            return -1
        traced[0] = facts[_KEY]
        trace(tree, blocks.counts[base, : rfc1951.L_CODES])
        _count_code(blocks, base, before, used)
        traced[1] = header_bits(used, blocks.work)
    bits, sign = count_once_more(tree, literal)
    if sign < 0:
        return -1
    header = traced[1]
    if sign > 0 and not equal(changed, before):
        _count_code(blocks, base, changed, used)
        header = _header_bits(blocks, used)
    return bits + facts[_DISTANCE_BITS] + facts[_EXTRA] + header


@fragment
def _header_bits(blocks: Blocks, used: IntArray) -> Integer:
    """Return the bits of the header with the symbols counted in ``used``, remembered since headers recur."""
    header = blocks.headers[weighted(used, _SPREAD) & (_HEADERS - 1)]
    if not equal(header[: rfc1951.BL_CODES], used):
        copy_to(header[: rfc1951.BL_CODES], used)
        header[rfc1951.BL_CODES] = header_bits(used, blocks.work)
    return header[rfc1951.BL_CODES]


@lean_kernel
def _tell_literal_code(blocks: Blocks, base: Integer, literal: Integer) -> None:
    """Set the facts for a base and one literal more, or none."""
    facts, counts, used = blocks.facts[base], blocks.counts[base], blocks.used[base]
    lengths, last = blocks.lengths[base], facts[_LAST]
    if _same_gap(blocks, base, last, literal):
        # the tree is the same, since it depends on the symbols' order only
        lengths[literal], lengths[last] = lengths[last], 0
        if _is_amid(blocks, base, last) and _is_amid(blocks, base, literal):
            _move_amid(blocks, base, last, literal)
        else:
            _count_code(blocks, base, lengths, used)
    else:
        if literal >= 0:
            counts[literal] += 1
        _, facts[_LITERAL_BITS] = code_lengths(counts[: rfc1951.L_CODES], lengths, blocks.work)
        if literal >= 0:
            counts[literal] -= 1
        _count_code(blocks, base, lengths, used)
    facts[_LAST] = literal
    facts[_DYNAMIC] = facts[_LITERAL_BITS] + facts[_DISTANCE_BITS] + facts[_EXTRA] + _header_bits(blocks, used)


@lean_kernel
def _same_gap(blocks: Blocks, base: Integer, last: Integer, literal: Integer) -> Integer:
    """Tell whether both literals are new, and no symbol between them occurs."""
    counts, lower = blocks.counts[base], blocks.lower[base]
    return last >= 0 and literal >= 0 and counts[last] + counts[literal] == 0 and lower[last] == lower[literal]


@lean_kernel
def _is_amid(blocks: Blocks, base: Integer, literal: Integer) -> Integer:
    """Tell whether neither neighbour of a new literal occurs, so that it stands between two runs of zeros."""
    return blocks.lower[base, literal] + 1 < literal < blocks.upper[base, literal] - 1


@lean_kernel
def _count_code(blocks: Blocks, base: Integer, lengths: IntArray, used: IntArray) -> None:
    """Count the symbols that code the literal code ``lengths`` and the base's distance code."""
    highest = rfc1951.L_CODES - 1
    while lengths[highest] == 0:
        highest -= 1
    copy_to(used, blocks.runs[base])
    count_runs(lengths, highest, used)


@lean_kernel
def _move_amid(blocks: Blocks, base: Integer, last: Integer, literal: Integer) -> None:
    """Correct the counts of code length symbols for the zeros around ``literal``, which takes the place of ``last``."""
    used = blocks.used[base]
    for middle, times in ((last, -1), (literal, 1)):
        for run in (middle - blocks.lower[base, middle] - 1, blocks.upper[base, middle] - middle - 1):
            if run > rfc1951.LONGEST_REPZ:
                used[rfc1951.REPZ_11_138] += times
                run -= rfc1951.LONGEST_REPZ
            if run > rfc1951.LONGEST_REPZ_SHORT:
                used[rfc1951.REPZ_11_138] += times
            elif run >= rfc1951.SHORTEST_RUN:
                used[rfc1951.REPZ_3_10] += times
            else:
                used[0] += times * run


@lean_kernel
def equal(left: IntArray, right: IntArray) -> Integer:
    """Tell whether arrays of one length are equal; having no early exit, it compiles to vector code."""
    difference = np.int64(0)
    for i in range(len(left)):
        difference |= left[i] ^ right[i]
    return difference == 0


@lean_kernel
def copy_to(target: npt.NDArray[Any], source: npt.NDArray[Any]) -> None:
    """Copy between arrays that do not overlap; for short ones this is faster than a slice."""
    for i in range(len(target)):
        target[i] = source[i]
