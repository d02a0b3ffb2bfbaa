"""Bits of one deflate block (RFC 1951, section 3.2), counted as zlib would choose and build it.

Many prefix codes are optimal and a block may be closed in three ways; the stream's length depends on which ones an
encoder takes. Here they are zlib's: its order of merging, its repair of codes that are too long, its choice of block.
"""

import numpy as np

from gencomp.compiled import Integer, fragment, lean_kernel
from gencomp.protocols import IntArray

LITERALS, DISTANCES = 286, 30  # literal/length symbols (section 3.2.5) and distance symbols in use
END_OF_BLOCK, FIRST_LENGTH = 256, 257
LENGTH_CODES = 19  # symbols of the code for code lengths (section 3.2.7); 16, 17 and 18 are runs
LONGEST_CODE, LONGEST_LENGTH_CODE = 15, 7

# a heap item is weight << 20 | height << 10 | node: heavier later, among equals the taller tree later
WEIGHT, HEIGHT, NODE = 20, 10, (1 << 10) - 1
_ONE = np.uint64(1)

# rows of the scratch that code_lengths takes; the rest is for its callers
_HEAP, _PARENT, _DEPTH, _ORDERED, _PER_LENGTH, _HEADER, USED, _LENGTHS = range(8)
WORK_SHAPE = (8, 2 * LITERALS + 2)


def _length_code_order() -> IntArray:
    order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]  # section 3.2.7
    return np.array(order, dtype=np.int64)


def _extra_bits() -> IntArray:
    """Return the extra bits of each symbol of a block, int64 (316,): literals and lengths, then distances."""
    lengths = [max(0, code // 4 - 1) for code in range(28)] + [0]  # 258, the last, has a symbol of its own
    distances = [max(0, code // 2 - 1) for code in range(DISTANCES)]
    return np.array([0] * FIRST_LENGTH + lengths + distances, dtype=np.int64)


def _fixed_bits() -> IntArray:
    """Return what each symbol costs in a block with fixed codes (section 3.2.6), extra bits too, int64 (316,)."""
    codes = [8] * 144 + [9] * 112 + [7] * 24 + [8] * 6 + [5] * DISTANCES
    return np.array(codes, dtype=np.int64) + _extra_bits()


_ORDER = _length_code_order()
EXTRA_BITS = _extra_bits()
FIXED_BITS = _fixed_bits()


@lean_kernel
def distance_symbol(distance: Integer) -> Integer:
    """Return the symbol of a match distance, 0 to 29 (section 3.2.5); it keeps the two leading bits."""
    value, extra = distance - 1, 0
    while value >> extra > 3:
        extra += 1
    return 2 * extra + (value >> extra)


@lean_kernel
def length_symbol(length: Integer) -> Integer:
    """Return the symbol of a match length, 257 to 285; it keeps the three leading bits."""
    if length == 258:
        return FIRST_LENGTH + 28
    value, extra = length - 3, 0
    while value >> extra > 7:
        extra += 1
    return FIRST_LENGTH + 4 * extra + (value >> extra)


@lean_kernel
def _sift(heap: IntArray, hole: Integer, last: Integer) -> None:
    """Let the item at ``hole`` sink in ``heap[1 : last + 1]``; an item as light as another counts as the lighter.

    Unsigned indices save numba a test of each for a negative one, a fifth of the time.
    """
    hole, last = np.uint64(hole), np.uint64(last)
    item = heap[hole]
    child = hole + hole
    while child < last:
        lighter, other = heap[child], heap[child + _ONE]
        if other <= lighter | NODE:  # whatever its node, an item of equal weight and height is no lighter
            lighter = other
            child += _ONE
        if item <= lighter | NODE:
            heap[hole] = item
            return
        heap[hole] = lighter
        hole = child
        child = hole + hole
    if child == last and item > heap[child] | NODE:
        heap[hole] = heap[child]
        hole = child
    heap[hole] = item


@fragment
def item_above(light: Integer, heavy: Integer, node: Integer) -> Integer:
    """Return the item of an inner node, its two children's given."""
    height = max(light >> HEIGHT & NODE, heavy >> HEIGHT & NODE) + 1
    return (light >> WEIGHT) + (heavy >> WEIGHT) << WEIGHT | height << HEIGHT | node


@lean_kernel
def _merge_all(
    heap: IntArray, last: Integer, node: Integer, order: IntArray, parent: IntArray
) -> tuple[Integer, Integer]:
    """Merge the items ``heap[1 : last + 1]`` into a tree whose inner nodes are ``node`` and those after it.

    Returns how many nodes have been merged, the first of ``order``, and the sum of the inner nodes' weights.
    """
    merged, total = 0, 0
    while last > 1:
        light = heap[1]
        heap[1] = heap[last]
        last -= 1
        _sift(heap, 1, last)
        heavy = heap[1]
        order[merged] = light & NODE
        order[merged + 1] = heavy & NODE
        merged += 2
        parent[light & NODE] = node
        parent[heavy & NODE] = node
        heap[1] = item_above(light, heavy, node)
        total += heap[1] >> WEIGHT
        _sift(heap, 1, last)
        node += 1
    return merged, total


@lean_kernel
def code_lengths(counts: IntArray, lengths: IntArray, work: IntArray) -> tuple[Integer, Integer]:
    """Set ``lengths`` (n,) to the code lengths for ``counts`` (n,); ``work`` is WORK_SHAPE.

    None is above 15, or above 7 if the symbols are the 19 of the code for code lengths.

    Returns the highest symbol with a code, and the code length of all symbols counted, in bits. A code has at least
    two words: symbols 0, 1 or 2 are given one where fewer occur.
    """
    heap, parent, depth, order = work[_HEAP], work[_PARENT], work[_DEPTH], work[_ORDERED]
    size = len(counts)
    limit = LONGEST_LENGTH_CODE if size == LENGTH_CODES else LONGEST_CODE
    last = 0
    for symbol in range(size):
        depth[symbol] = 0
        heap[last + 1] = counts[symbol] << WEIGHT | symbol
        last += counts[symbol] != 0
    highest = heap[last] & NODE if last > 0 else -1
    total = min(last, 2) - 2  # the words given away are in none of the data
    while last < 2:
        last += 1
        if highest < 2:
            highest += 1
            heap[last] = 1 << WEIGHT | highest
        else:
            heap[last] = 1 << WEIGHT
    for hole in range(last // 2, 0, -1):
        _sift(heap, hole, last)
    merged, weight = _merge_all(heap, last, size, order, parent)
    total += weight
    depth[size + merged // 2 - 1] = 0
    deepest = 0
    for i in range(merged - 1, -1, -1):  # a parent comes before its children
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
    """Make a prefix code with no length above ``limit`` of the tree whose nodes from 0 to ``size`` are symbols.

    Nodes below the limit are cut off there. Each step then hangs two leaves where the deepest leaf above the limit
    was: that leaf and one from the bottom. Lengths are dealt out anew, the longest to the symbols merged first.
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
    """Return the sum of counts times weights, over all counts."""
    total = 0
    for symbol in range(len(counts)):
        total += counts[symbol] * weights[symbol]
    return total


@lean_kernel
def count_runs(lengths: IntArray, highest: Integer, used: IntArray) -> None:
    """Add to ``used`` (19,) the symbols that tell ``lengths[: highest + 1]`` (section 3.2.7).

    A run is cut at its longest form, from the front; 16 repeats a length that has been told once.
    """
    before, i = -1, 0
    while i <= highest:
        length = lengths[i]
        longest = 138 if length == 0 else 6 if length == before else 7
        run = 1
        while run < longest and i + run <= highest and lengths[i + run] == length:
            run += 1
        i += run
        if run < 3 or (run == 3 and length != 0 and length != before):
            used[length] += run
        elif length != 0:
            if length != before:
                used[length] += 1
            used[16] += 1
        elif run <= 10:
            used[17] += 1
        else:
            used[18] += 1
        before = length


@lean_kernel
def header_bits(used: IntArray, work: IntArray) -> Integer:
    """Return the bits of a dynamic block's codes, told with the symbols counted in ``used`` (19,)."""
    lengths = work[_HEADER]
    _, bits = code_lengths(used, lengths, work)
    told = LENGTH_CODES
    while told > 4 and lengths[_ORDER[told - 1]] == 0:
        told -= 1
    return 5 + 5 + 4 + 3 * told + bits + 2 * used[16] + 3 * used[17] + 7 * used[18]


@lean_kernel
def block_end(bits: Integer, dynamic: Integer, fixed: Integer, size: Integer, storable: Integer) -> Integer:
    """Return where a block ends that starts after ``bits``: ``dynamic`` or ``fixed`` bits after its 3, or stored.

    zlib compares whole bytes; of equals it takes stored before fixed before dynamic. ``size`` is in bytes.
    """
    chosen = dynamic if dynamic + 10 >> 3 < fixed + 10 >> 3 else fixed
    if storable and size + 4 <= chosen + 10 >> 3:
        return (bits + 3 + 7 >> 3 << 3) + 32 + 8 * size
    return bits + 3 + chosen


@lean_kernel
def end_of_block(counts: IntArray, bits: Integer, size: Integer, storable: Integer, work: IntArray) -> Integer:
    """Return where the block with these ``counts`` (316,) ends, the end-of-block symbol not among them yet."""
    counts[END_OF_BLOCK] = 1
    used, lengths = work[USED, :LENGTH_CODES], work[_LENGTHS]
    used[:] = 0
    highest, literal_bits = code_lengths(counts[:LITERALS], lengths, work)
    count_runs(lengths, highest, used)
    highest, distance_bits = code_lengths(counts[LITERALS:], lengths, work)
    count_runs(lengths, highest, used)
    dynamic = literal_bits + distance_bits + weighted(counts, EXTRA_BITS) + header_bits(used, work)
    return block_end(bits, dynamic, weighted(counts, FIXED_BITS), size, storable)
