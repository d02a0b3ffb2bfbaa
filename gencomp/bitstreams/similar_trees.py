"""Code lengths for counts of which one is higher by one: what stays the same of the code's tree is not built again.

:func:`~gencomp.bitstreams.huffman.code_lengths` builds a tree with a heap. Where one symbol is counted once more, its
item and each node above it weigh one more, and the heap does the same as before until a comparison with one of these
comes out otherwise. A traced tree knows for each symbol before which merge that first happens, never for many, and how
the heap stood before some of the merges, to go on from there.
"""

from typing import NamedTuple

import numpy as np

from gencomp.bitstreams.huffman import HEIGHT, LITERALS, LONGEST_CODE, NODE, WEIGHT, merge_all
from gencomp.compiled import Integer, fragment, lean_kernel
from gencomp.protocols import IntArray

_HEAPS = 8  # heaps kept of one tree
_NODES = 2 * LITERALS
_NEVER = 1 << 30
_HEAVIER = 1 << WEIGHT

# rows of Tree.nodes; of TRACED and CHANGED, how deep nodes are, symbols come first: their code lengths
_HEAP, _ORDER, _PARENT, _MERGE, _CHANGE, TRACED, CHANGED, _NEW_ORDER, _NEW_PARENT = range(9)
_ROWS = 9
# rows of Tree.facts, and columns of the first
_OF_TREE, _SIZE, _TOTAL = range(3)
_MERGES, _STEP, _BITS, _IS_SHORT = range(4)


class Tree(NamedTuple):
    """How the tree of some counts was built, and room for that of others."""

    nodes: IntArray  # (_ROWS, _NODES + 2), by node: symbols, then inner nodes in the order of the merges
    heaps: IntArray  # (_HEAPS, LITERALS + 2), row r the heap before merge r * facts[0, _STEP]
    facts: IntArray  # (3, _HEAPS), of the tree; the heaps' sizes; the weights merged by then


def begin_tree() -> Tree:
    """Return room for a tree."""
    shapes = [(_ROWS, _NODES + 2), (_HEAPS, LITERALS + 2), (3, _HEAPS)]
    return Tree(*(np.zeros(shape, np.int64) for shape in shapes))


@lean_kernel
def _is_no_heavier(left: Integer, right: Integer, change: IntArray, merge: Integer) -> Integer:
    """Tell whether an item sinks below ``left`` before ``right``; note whose weight, one higher, would change that."""
    result = left <= right | NODE
    if abs(left - right) > 2 * _HEAVIER:  # as most are
        return result
    if (left + _HEAVIER <= right | NODE) != result:
        change[left & NODE] = min(change[left & NODE], merge)
    if (left <= right + _HEAVIER | NODE) != result:
        change[right & NODE] = min(change[right & NODE], merge)
    return result


@lean_kernel
def _sift(heap: IntArray, hole: Integer, last: Integer, change: IntArray, merge: Integer) -> None:
    """Do what the heap of huffman does, and note what would change it."""
    item = heap[hole]
    child = 2 * hole
    while child < last:
        lighter, other = heap[child], heap[child + 1]
        if _is_no_heavier(other, lighter, change, merge):
            lighter = other
            child += 1
        if _is_no_heavier(item, lighter, change, merge):
            heap[hole] = item
            return
        heap[hole] = lighter
        hole = child
        child = 2 * hole
    if child == last and not _is_no_heavier(item, heap[child], change, merge):
        heap[hole] = heap[child]
        hole = child
    heap[hole] = item


@lean_kernel
def trace(tree: Tree, counts: IntArray) -> None:
    """Build the tree of ``counts`` (LITERALS,), two of them or more above zero."""
    nodes, facts = tree.nodes, tree.facts[_OF_TREE]
    heap, order, parent, change, depth = nodes[_HEAP], nodes[_ORDER], nodes[_PARENT], nodes[_CHANGE], nodes[TRACED]
    last = 0
    for symbol in range(LITERALS):
        depth[symbol] = nodes[CHANGED, symbol] = 0
        heap[last + 1] = counts[symbol] << WEIGHT | symbol
        last += counts[symbol] != 0
    change[:] = _NEVER
    for hole in range(last // 2, 0, -1):
        _sift(heap, hole, last, change, -1)
    merges, step, total = last - 1, (last - 1 + _HEAPS - 1) // _HEAPS, 0
    for merge in range(merges):
        if merge % step == 0:
            row = merge // step
            tree.facts[_SIZE, row], tree.facts[_TOTAL, row] = last, total
            for i in range(1, last + 1):
                tree.heaps[row, i] = heap[i]
        light = heap[1]
        heap[1] = heap[last]
        last -= 1
        _sift(heap, 1, last, change, merge)
        heavy = heap[1]
        inner = LITERALS + merge
        for place, node in ((0, light & NODE), (1, heavy & NODE)):
            order[2 * merge + place] = node
            parent[node] = inner
            nodes[_MERGE, node] = merge
        weight = (light >> WEIGHT) + (heavy >> WEIGHT)
        total += weight
        height = max(light >> HEIGHT & NODE, heavy >> HEIGHT & NODE) + 1
        heap[1] = weight << WEIGHT | height << HEIGHT | inner
        _sift(heap, 1, last, change, merge)
    root = LITERALS + merges - 1
    nodes[_MERGE, root] = depth[root] = 0
    change[root] = _NEVER
    deepest = 0
    for i in range(2 * merges - 1, -1, -1):  # a parent comes before its children
        node = order[i]
        depth[node] = depth[parent[node]] + 1
        change[node] = min(change[node], change[parent[node]])
        deepest = max(deepest, depth[node])
    facts[_MERGES], facts[_STEP], facts[_BITS], facts[_IS_SHORT] = merges, step, total, deepest <= LONGEST_CODE


@fragment
def count_once_more(tree: Tree, symbol: Integer) -> tuple[Integer, Integer]:
    """Return the code length of all symbols in bits, ``symbol``, which has occurred, once more than traced, and a sign.

    That is 0 if the code lengths are as traced, 1 if row CHANGED has them, and -1, and the code
    length meaningless, if the whole tree has to be built anew.
    """
    nodes, facts = tree.nodes, tree.facts[_OF_TREE]
    heap, depth, lengths = nodes[_HEAP], nodes[TRACED], nodes[CHANGED]
    change = nodes[_CHANGE, symbol]
    if change < 0 or facts[_IS_SHORT] == 0:
        return 0, -1
    if change == _NEVER:
        return facts[_BITS] + depth[symbol], 0
    row = change // facts[_STEP]
    merges, size, total = row * facts[_STEP], tree.facts[_SIZE, row], tree.facts[_TOTAL, row]
    heavier = symbol
    while nodes[_MERGE, heavier] < merges:
        heavier = nodes[_PARENT, heavier]
        total += 1
    for i in range(1, size + 1):
        item = tree.heaps[row, i]
        heap[i] = item + (_HEAVIER if item & NODE == heavier else 0)
    order, parent = nodes[_NEW_ORDER], nodes[_NEW_PARENT]
    merged, added = merge_all(heap, size, LITERALS + merges, order, parent)
    different = np.int64(0)
    for i in range(merged):
        different |= order[i] ^ nodes[_ORDER, 2 * merges + i]
    if different == 0:  # the same tree after all
        return total + added, 0
    lengths[LITERALS + merges + merged // 2 - 1] = 0
    deepest = 0
    for i in range(merged - 1, -1, -1):
        node = order[i]
        lengths[node] = lengths[parent[node]] + 1
        deepest = max(deepest, lengths[node])
    order, parent = nodes[_ORDER], nodes[_PARENT]
    for i in range(2 * merges - 1, -1, -1):
        node = order[i]
        lengths[node] = lengths[parent[node]] + 1
        deepest = max(deepest, lengths[node])
    return total + added, 1 if deepest <= LONGEST_CODE else -1
