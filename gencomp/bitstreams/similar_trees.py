"""Huffman code lengths after one symbol is counted once more, without building the whole tree again.

:func:`~gencomp.bitstreams.huffman.code_lengths` builds a tree with a heap. When a symbol is counted once more, its item
and each node above it weigh one more. The heap does the same as before until a comparison with one of these comes out
differently. A traced tree notes, for each symbol, before which merge that first happens. For many it never does.

From there on items are merged in order of weight and height, from two queues, as in van Leeuwen, "On the construction
of Huffman trees", 1976. Which of two equal items comes first depends on the layout of the heap, which the queues do not
know. If equal items end up equally deep, that does not matter: exchanging them, with all that is below them, changes no
code length. If they do not, the heap has to build the tree.
"""

from typing import NamedTuple

import numpy as np

from gencomp.bitstreams import rfc1951
from gencomp.bitstreams.huffman import HEIGHT_SHIFT, NODE_MASK, WEIGHT_SHIFT, item_above
from gencomp.compiled import Integer, fragment, lean_kernel
from gencomp.protocols import IntArray

_NODES = 2 * rfc1951.L_CODES
_NEVER = 1 << 30  # above the number of any merge
_HEAVIER = 1 << WEIGHT_SHIFT  # what one occurrence more adds to an item
_HEAVIEST = 1 << 62  # above any item
_ONE = np.uint64(1)  # see huffman for unsigned indices

# rows of Tree.nodes by node, first symbols, then inner nodes in the order of their merges: a node's parent; the merge
# that takes it; the merge before which one more occurrence first matters; and its depth, for symbols the code length,
# as traced and as changed
_PARENT, _MERGE, _CHANGE, TRACED, CHANGED = range(5)
# rows by place: the items merged, two by two, as traced and as changed; the sum of the weights before each merge; the
# heap, later the queue of symbols; the queue of inner nodes
_MERGED, _NEW_MERGED, _TOTAL, _HEAP, _INNER = range(5, 10)
_ROWS = 10
# Tree.facts: the number of merges; the code length of all symbols in bits; 1 if no code word is too long; and the last
# merge of an item that equals the next one but ends up at another depth, -1 if there is none
_MERGES, _BITS, _IS_SHORT, _TIED = range(4)


class Tree(NamedTuple):
    """How the tree of some counts was built, and room for changed ones."""

    nodes: IntArray  # (_ROWS, _NODES + 2)
    facts: IntArray  # (4,)


def begin_tree() -> Tree:
    """Return room for a tree."""
    return Tree(np.zeros((_ROWS, _NODES + 2), np.int64), np.zeros(4, np.int64))


@lean_kernel
def _is_no_heavier(left: Integer, right: Integer, change: IntArray, merge: Integer) -> Integer:
    """Tell whether ``left`` is at most ``right`` by weight, then height, before a ``merge``.

    If one more occurrence in either would change the answer, ``change`` notes it. Most items differ by more.
    """
    result = left <= (right | NODE_MASK)
    if abs(left - right) > 2 * _HEAVIER:
        return result
    if (left + _HEAVIER <= (right | NODE_MASK)) != result:
        change[left & NODE_MASK] = min(change[left & NODE_MASK], merge)
    if (left <= ((right + _HEAVIER) | NODE_MASK)) != result:
        change[right & NODE_MASK] = min(change[right & NODE_MASK], merge)
    return result


@lean_kernel
def _sift(heap: IntArray, hole: Integer, last: Integer, change: IntArray, merge: Integer) -> None:
    """Do what ``_sift`` of :mod:`~gencomp.bitstreams.huffman` does, and note which occurrences would change it."""
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
    """Build the tree of ``counts`` (L_CODES,), of which two or more are above zero."""
    nodes, facts = tree.nodes, tree.facts
    heap, merged, parent, change, depth = nodes[_HEAP], nodes[_MERGED], nodes[_PARENT], nodes[_CHANGE], nodes[TRACED]
    last = 0
    for symbol in range(rfc1951.L_CODES):
        depth[symbol] = nodes[CHANGED, symbol] = 0
        heap[last + 1] = (counts[symbol] << WEIGHT_SHIFT) | symbol
        last += counts[symbol] != 0
    change[:] = _NEVER
    for hole in range(last // 2, 0, -1):
        _sift(heap, hole, last, change, -1)
    merges, total = last - 1, 0
    for merge in range(merges):
        nodes[_TOTAL, merge] = total
        light = heap[1]
        heap[1] = heap[last]
        last -= 1
        _sift(heap, 1, last, change, merge)
        heavy = heap[1]
        inner = rfc1951.L_CODES + merge
        for place, item in ((0, light), (1, heavy)):
            merged[2 * merge + place] = item
            parent[item & NODE_MASK] = inner
            nodes[_MERGE, item & NODE_MASK] = merge
        heap[1] = item_above(light, heavy, inner)
        total += heap[1] >> WEIGHT_SHIFT
        _sift(heap, 1, last, change, merge)
    root = rfc1951.L_CODES + merges - 1
    nodes[_MERGE, root] = depth[root] = 0
    change[root] = _NEVER
    merged[2 * merges] = _HEAVIEST
    deepest, tied = 0, -1
    # from the last merge back, so that a parent comes before its children
    for i in range(2 * merges - 1, -1, -1):
        item, next_item = merged[i], merged[i + 1]
        node = item & NODE_MASK
        depth[node] = depth[parent[node]] + 1
        change[node] = min(change[node], change[parent[node]])
        deepest = max(deepest, depth[node])
        if item >> HEIGHT_SHIFT == next_item >> HEIGHT_SHIFT and depth[node] != depth[next_item & NODE_MASK]:
            tied = max(tied, i // 2)
    facts[_MERGES], facts[_BITS], facts[_IS_SHORT], facts[_TIED] = merges, total, deepest <= rfc1951.MAX_BITS, tied


@fragment
def count_once_more(tree: Tree, symbol: Integer) -> tuple[Integer, Integer]:
    """Count ``symbol``, which has occurred, once more; return the code length of all symbols in bits, and a sign.

    The sign is 0 if all symbols' code lengths are as traced, and 1 if they are in row CHANGED. It is -1 if the whole
    tree has to be built; then the returned length means nothing.
    """
    change = tree.nodes[_CHANGE, symbol]
    # where equal items end up unequally deep after the change, they mostly do so in the changed tree too
    if tree.facts[_IS_SHORT] == 0 or change <= tree.facts[_TIED]:
        return 0, -1
    if change == _NEVER:
        return tree.facts[_BITS] + tree.nodes[TRACED, symbol], 0
    return _merge_in_order(tree, symbol, change)


@lean_kernel
def _merge_in_order(tree: Tree, symbol: Integer, merges: Integer) -> tuple[Integer, Integer]:
    """Return what :func:`count_once_more` does, merging in order after the first ``merges``, which are as traced."""
    nodes = tree.nodes
    left, total = _rest(tree, symbol, merges)
    rest, inner, merged = nodes[_HEAP], nodes[_INNER], nodes[_NEW_MERGED]
    first_inner = rfc1951.L_CODES + merges
    rest[left] = inner[0] = _HEAVIEST
    i = j = place = np.uint64(0)
    for merge in range(left - _ONE):
        is_inner = inner[j] < rest[i]
        light = inner[j] if is_inner else rest[i]
        i, j = i + np.uint64(not is_inner), j + np.uint64(is_inner)
        is_inner = inner[j] < rest[i]
        heavy = inner[j] if is_inner else rest[i]
        i, j = i + np.uint64(not is_inner), j + np.uint64(is_inner)
        merged[place], merged[place + _ONE] = light, heavy
        place += _ONE + _ONE
        inner[merge] = item_above(light, heavy, first_inner + np.int64(merge))
        total += inner[merge] >> WEIGHT_SHIFT
        inner[merge + _ONE] = _HEAVIEST
    depth, new_depth = nodes[TRACED], nodes[CHANGED]
    new_depth[first_inner + np.int64(left) - 2] = 0
    next_item, below, deepest, is_tied, is_moved = _HEAVIEST, np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    # from the last merge back, so that a parent comes before its children
    while place > 0:
        place -= _ONE
        item = merged[place]
        node = item & NODE_MASK
        here = new_depth[first_inner + np.int64(place >> _ONE)] + 1
        new_depth[node] = here
        is_tied |= (here ^ below) * (item >> HEIGHT_SHIFT == next_item >> HEIGHT_SHIFT)
        is_moved |= (here ^ depth[node]) * (node < first_inner)
        deepest = max(deepest, here)
        next_item, below = item, here
    if is_tied != 0:
        return 0, -1
    if is_moved == 0:
        return total, 0
    for before in range(2 * merges - 1, -1, -1):
        node = nodes[_MERGED, before] & NODE_MASK
        new_depth[node] = new_depth[nodes[_PARENT, node]] + 1
        deepest = max(deepest, new_depth[node])
    return total, 1 if deepest <= rfc1951.MAX_BITS else -1


@fragment
def _rest(tree: Tree, symbol: Integer, merges: Integer) -> tuple[Integer, Integer]:
    """Set row _HEAP to the items left after the first ``merges``, in order; return their number and the bits so far.

    ``symbol`` is counted once more, so the item that holds it is heavier by one.
    """
    nodes = tree.nodes
    merged, rest = nodes[_MERGED], nodes[_HEAP]
    heavier, total = symbol, nodes[_TOTAL, merges]
    while nodes[_MERGE, heavier] < merges:
        heavier = nodes[_PARENT, heavier]
        total += 1
    left = np.uint64(0)
    for i in range(2 * merges, 2 * tree.facts[_MERGES]):
        node = merged[i] & NODE_MASK
        rest[left] = merged[i] + _HEAVIER * (node == heavier)
        left += np.uint64(node < rfc1951.L_CODES + merges)
    # one pass over neighbours moves the heavier one to its place
    for place in range(left - _ONE):
        light, heavy = rest[place], rest[place + _ONE]
        rest[place], rest[place + _ONE] = min(light, heavy), max(light, heavy)
    return left, total
