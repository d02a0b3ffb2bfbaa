"""Bits of one deflate block (RFC 1951, section 3.2), counted as zlib would choose and build it.

Many prefix codes are optimal, and a block may be written in three ways. The stream's length depends on which of them an
encoder takes. Here they are zlib's (trees.c): its order of merging (build_tree, pqdownheap), its repair of codes that
are too long (gen_bitlen), its choice of block (_tr_flush_block).
"""

import numpy as np

from gencomp.bitstreams import rfc1951
from gencomp.bitstreams.rfc1951 import BL_ORDER, EXTRA_BITS, FIXED_BITS
from gencomp.compiled import Integer, fragment, lean_kernel
from gencomp.protocols import IntArray

# A heap item is one number, (weight << 20) | (height << 10) | node, so that items compare by weight, then by the height
# of their trees. Nodes and heights are below 2 L_CODES < 2^10. A block's weights sum to at most 2^14, its symbols and
# its end; items stay positive for any weights whose sum is below 2^43.
WEIGHT_SHIFT, HEIGHT_SHIFT, NODE_MASK = 20, 10, (1 << 10) - 1
_ONE = np.uint64(1)
# code length codes in a header whose HCLEN is 0
_FEWEST_BL_CODES = 4
# of a stored block's size and its complement, two each (LEN and NLEN)
_STORED_BYTES = 4

# rows of ``work``: five for code_lengths, then three for its callers
_HEAP, _PARENT, _DEPTH, _ORDERED, _PER_LENGTH, _HEADER, USED, _LENGTHS = range(8)
WORK_SHAPE = (8, 2 * rfc1951.L_CODES + 2)


@lean_kernel
def _sift(heap: IntArray, hole: Integer, last: Integer) -> None:
    """Let the item at ``hole`` sink in ``heap[1 : last + 1]`` (pqdownheap).

    It sinks below lighter items only: one that equals its child in weight and height stays where it is. Indices are
    unsigned, which spares numba a test of each for negative ones, and a fifth of the time.
    """
    hole, last = np.uint64(hole), np.uint64(last)
    item = heap[hole]
    child = hole + hole
    while child < last:
        lighter, other = heap[child], heap[child + _ONE]
        # nodes' numbers do not count: of children of equal weight and height, the second is taken
        if other <= (lighter | NODE_MASK):
            lighter = other
            child += _ONE
        if item <= (lighter | NODE_MASK):
            heap[hole] = item
            return
        heap[hole] = lighter
        hole = child
        child = hole + hole
    if child == last and item > (heap[child] | NODE_MASK):
        heap[hole] = heap[child]
        hole = child
    heap[hole] = item


@fragment
def item_above(light: Integer, heavy: Integer, node: Integer) -> Integer:
    """Return the item of an inner node over the items of its two children."""
    height = max((light >> HEIGHT_SHIFT) & NODE_MASK, (heavy >> HEIGHT_SHIFT) & NODE_MASK) + 1
    return (((light >> WEIGHT_SHIFT) + (heavy >> WEIGHT_SHIFT)) << WEIGHT_SHIFT) | (height << HEIGHT_SHIFT) | node


@lean_kernel
def _merge_all(
    heap: IntArray, last: Integer, node: Integer, order: IntArray, parent: IntArray
) -> tuple[Integer, Integer]:
    """Merge the items ``heap[1 : last + 1]`` into a tree whose inner nodes are numbered from ``node`` on.

    Returns how many nodes have been merged, which begin ``order``, and the sum of the inner nodes' weights.
    """
    merged, total = 0, 0
    while last > 1:
        light = heap[1]
        heap[1] = heap[last]
        last -= 1
        _sift(heap, 1, last)
        heavy = heap[1]
        order[merged] = light & NODE_MASK
        order[merged + 1] = heavy & NODE_MASK
        merged += 2
        parent[light & NODE_MASK] = node
        parent[heavy & NODE_MASK] = node
        heap[1] = item_above(light, heavy, node)
        total += heap[1] >> WEIGHT_SHIFT
        _sift(heap, 1, last)
        node += 1
    return merged, total


@lean_kernel
def code_lengths(counts: IntArray, lengths: IntArray, work: IntArray) -> tuple[Integer, Integer]:
    """Set ``lengths`` (n,) to the code lengths for ``counts`` (n,), whose sum is below 2^43 (build_tree).

    None is above MAX_BITS, or above MAX_BL_BITS if n is BL_CODES. ``work`` is scratch of WORK_SHAPE.

    Returns the highest symbol with a code, and the code length of all symbols counted, in bits. A code has at least
    two words: where fewer symbols occur, some of the symbols 0, 1 and 2 are given one.
    """
    heap, parent, depth, order = work[_HEAP], work[_PARENT], work[_DEPTH], work[_ORDERED]
    size = len(counts)
    limit = rfc1951.MAX_BL_BITS if size == rfc1951.BL_CODES else rfc1951.MAX_BITS
    last = 0
    for symbol in range(size):
        depth[symbol] = 0
        heap[last + 1] = (counts[symbol] << WEIGHT_SHIFT) | symbol
        last += counts[symbol] != 0
    highest = heap[last] & NODE_MASK if last > 0 else -1
    total = min(last, 2) - 2  # less the bit of each word that is given to a symbol that does not occur
    while last < 2:
        last += 1
        if highest < 2:
            highest += 1
            heap[last] = (1 << WEIGHT_SHIFT) | highest
        else:
            heap[last] = 1 << WEIGHT_SHIFT
    for hole in range(last // 2, 0, -1):
        _sift(heap, hole, last)
    merged, weight = _merge_all(heap, last, size, order, parent)
    total += weight
    depth[size + merged // 2 - 1] = 0
    deepest = 0
    # from the last merge back, so that a parent comes before its children
    for i in range(merged - 1, -1, -1):
        node = order[i]
        depth[node] = depth[parent[node]] + 1
        deepest = max(deepest, depth[node])
    if deepest > limit:
        _shorten(size, limit, depth, order[:merged], work[_PER_LENGTH])
        total = weighted(counts, depth)
    for symbol in range(size):
        lengths[symbol] = depth[symbol]
    return highest, total


@lean_kernel
def _shorten(size: Integer, limit: Integer, depth: IntArray, order: IntArray, per_length: IntArray) -> None:
    """Limit the depths of a tree's symbols, its nodes below ``size``, to ``limit`` (gen_bitlen).

    Leaves deeper than the limit are lifted to it, which makes too many there. So each step takes the deepest leaf above
    the limit and puts two in its place, one level deeper: itself and a leaf from the limit. That makes up for two nodes
    that were too deep, of which ``excess`` are left (zlib's overflow). Then the lengths are dealt out anew, the longest
    to the symbols merged first.
    """
    per_length[:] = 0
    excess = 0
    for i in range(len(order)):
        node = order[i]
        excess += depth[node] > limit
        if node < size:
            per_length[min(depth[node], limit)] += 1
    while excess > 0:
        length = limit - 1
        while per_length[length] == 0:
            length -= 1
        per_length[length] -= 1
        per_length[length + 1] += 2
        per_length[limit] -= 1
        excess -= 2
    i = 0
    for length in range(limit, 0, -1):
        left = per_length[length]
        while left > 0:
            if order[i] < size:
                depth[order[i]] = length
                left -= 1
            i += 1


@lean_kernel
def weighted(counts: IntArray, weights: IntArray) -> Integer:
    """Return the sum of ``counts`` (n,) times ``weights`` (n,)."""
    total = 0
    for symbol in range(len(counts)):
        total += counts[symbol] * weights[symbol]
    return total


@lean_kernel
def count_runs(lengths: IntArray, highest: Integer, used: IntArray) -> None:
    """Add to ``used`` (BL_CODES,) the symbols that code ``lengths[: highest + 1]`` (section 3.2.7; scan_tree).

    Runs are coded from the front, each as long as its symbol allows: 138 zeros, 6 more of the length before, or 7 of
    another length, the first of which is coded by itself. Runs of two or fewer, and of three that begin with such a
    first one, are coded one by one.
    """
    before, i = -1, 0
    while i <= highest:
        length = lengths[i]
        if length == 0:
            longest = rfc1951.LONGEST_REPZ
        else:
            longest = rfc1951.LONGEST_REP if length == before else rfc1951.LONGEST_REP + 1
        run = 1
        while run < longest and i + run <= highest and lengths[i + run] == length:
            run += 1
        i += run
        if run < rfc1951.SHORTEST_RUN or (run == rfc1951.SHORTEST_RUN and length != 0 and length != before):
            used[length] += run
        elif length != 0:
            if length != before:
                used[length] += 1
            used[rfc1951.REP_3_6] += 1
        elif run <= rfc1951.LONGEST_REPZ_SHORT:
            used[rfc1951.REPZ_3_10] += 1
        else:
            used[rfc1951.REPZ_11_138] += 1
        before = length


@lean_kernel
def header_bits(used: IntArray, work: IntArray) -> Integer:
    """Return the bits of a dynamic block's header, whose code length symbols are counted in ``used`` (BL_CODES,)."""
    lengths = work[_HEADER]
    _, bits = code_lengths(used, lengths, work)
    told = rfc1951.BL_CODES
    while told > _FEWEST_BL_CODES and lengths[BL_ORDER[told - 1]] == 0:
        told -= 1
    bits += rfc1951.HLIT_BITS + rfc1951.HDIST_BITS + rfc1951.HCLEN_BITS + rfc1951.BL_BITS * told
    bits += rfc1951.REP_BITS * used[rfc1951.REP_3_6]
    return bits + rfc1951.REPZ_SHORT_BITS * used[rfc1951.REPZ_3_10] + rfc1951.REPZ_LONG_BITS * used[rfc1951.REPZ_11_138]


@fragment
def _in_bytes(bits: Integer) -> Integer:
    """Return the whole bytes that a block of ``bits`` and its type take, from the beginning of a byte."""
    return (bits + rfc1951.BLOCK_TYPE_BITS + 7) >> 3


@lean_kernel
def block_end(bits: Integer, dynamic: Integer, fixed: Integer, size: Integer, storable: Integer) -> Integer:
    """Return where a block ends, in bits, that starts after ``bits`` (_tr_flush_block).

    After its type it takes ``dynamic`` or ``fixed`` bits; or it is stored, and takes the rest of a byte, _STORED_BYTES
    and ``size`` bytes. zlib compares whole bytes, and prefers stored to fixed and fixed to dynamic among equals.
    """
    chosen = dynamic if _in_bytes(dynamic) < _in_bytes(fixed) else fixed
    if storable and size + _STORED_BYTES <= _in_bytes(chosen):
        return 8 * (_in_bytes(bits) + _STORED_BYTES + size)
    return bits + rfc1951.BLOCK_TYPE_BITS + chosen


@lean_kernel
def end_of_block(counts: IntArray, bits: Integer, size: Integer, storable: Integer, work: IntArray) -> Integer:
    """Return where the block ends, in bits, that starts after ``bits`` and has these ``counts`` (L_CODES + D_CODES,).

    The end-of-block symbol, which is not among them yet, is counted here. ``size`` and ``storable`` are those of
    :func:`block_end`.
    """
    counts[rfc1951.END_BLOCK] = 1
    used, lengths = work[USED, : rfc1951.BL_CODES], work[_LENGTHS]
    used[:] = 0
    highest, literal_bits = code_lengths(counts[: rfc1951.L_CODES], lengths, work)
    count_runs(lengths, highest, used)
    highest, distance_bits = code_lengths(counts[rfc1951.L_CODES :], lengths, work)
    count_runs(lengths, highest, used)
    dynamic = literal_bits + distance_bits + weighted(counts, EXTRA_BITS) + header_bits(used, work)
    return block_end(bits, dynamic, weighted(counts, FIXED_BITS), size, storable)
