"""The literals' Huffman code as zstd builds it, and what its description costs (RFC 8878, section 4.2).

Candidates after one prefix have nearly the same literals. The lengths of a code's words depend only on the counts,
whichever symbols have them, so they are kept for the latest counts; so is the table for the description's weights.
"""

import numpy as np

from gencomp.bitstreams.zstd.fse import (
    CODER_SHAPE,
    PROBABILITIES,
    accuracy,
    bits_of,
    build_coder,
    first_state,
    next_state,
    normalize,
    table_bits,
)
from gencomp.bitstreams.zstd.memory import highest_bit
from gencomp.bitstreams.zstd.order import (
    COUNTS,
    LAST_OF,
    ORDER,
    ORDER_ROWS,
    PRESENT,
    SORTED,
    WEIGHT,
    is_settled,
    order_symbols,
    sort_anew,
)
from gencomp.compiled import Integer, part, step
from gencomp.protocols import IntArray

LONGEST_WORD = 11  # [LitHufLog]
_LONGEST_WEIGHT = 12  # [HUF_TABLELOG_MAX]
_WEIGHTS_LOG = 6  # accuracy of the weights' table [MAX_FSE_TABLELOG_FOR_HUFF_HEADER]

# a literals' code: whether there is one, its highest symbol, then the length of each symbol's word
CODE_MODE, CODE_HIGHEST, WORDS = range(3)
HUFFMAN_ROW = WORDS + 256

# rows of the scratch that all functions here take, after those of the order
PARENT, DEPTH, LIMITED, _WEIGHTS, _WEIGHT_COUNTS, _NEW_TABLE, _LAST_TREE = range(ORDER_ROWS, ORDER_ROWS + 7)
_TREES = ORDER_ROWS + 7
_KEPT_TREES = 16
_WALKS = _TREES + _KEPT_TREES
_KEPT_WALKS, _ROWS_OF_WALK = 8, 1 + CODER_SHAPE[0]
SCRATCH_SHAPE = (_WALKS + _KEPT_WALKS * _ROWS_OF_WALK, CODER_SHAPE[1])
# a kept tree: its counts, its depths by rank, how often each depth occurs, then these numbers
_DEPTHS, _DEPTH_COUNTS, _OF, _LIMIT, _LONGEST, _BITS, _SETTLED = 256, 512, 528, 529, 530, 531, 532
_NONE = 1 << 30
# a kept walk through weights, before its coder: they, the state after each and the bits that led there, all of these
# bits, those of the table, how many weights there are, and the table
_STATES, _WIDTHS, _WALK_BITS, _TOLD, _SIZE, _WALK_TABLE = 256, 512, 768, 769, 770, 771
_PIECE = 16  # weights that are compared at once


def begin_scratch() -> IntArray:
    """Return the scratch."""
    return np.zeros(SCRATCH_SHAPE, np.int64)


@step
def _differ(one: IntArray, other: IntArray, size: Integer) -> Integer:
    """Tell whether the first ``size`` numbers differ."""
    difference = np.int64(0)
    for i in range(size):
        difference |= one[i] ^ other[i]
    return difference != 0


@step
def build_tree(present: Integer, scratch: IntArray) -> None:
    """Set DEPTH to the depth of each leaf in a tree without a limit, in the order of ORDER [HUF_buildTree]."""
    weight, parent, depth, last = scratch[WEIGHT], scratch[PARENT], scratch[DEPTH], scratch[_LAST_TREE]
    if last[_OF] == present and not _differ(weight, last, present):
        return
    last[_OF] = present
    for i in range(present):
        last[i] = weight[i]
    inner = 256
    root = inner + present - 2
    leaf, node, new = present - 1, inner, inner
    for i in range(inner, root + 1):
        weight[i] = _NONE
    while new <= root:
        total = 0
        for _ in range(2):
            if leaf >= 0 and (node >= new or weight[leaf] < weight[node]):
                total += weight[leaf]
                parent[leaf] = new
                leaf -= 1
            else:
                total += weight[node]
                parent[node] = new
                node += 1
        weight[new] = total
        new += 1
    depth[root] = 0
    for i in range(root - 1, inner - 1, -1):
        depth[i] = depth[parent[i]] + 1
    for i in range(present):
        depth[i] = depth[parent[i]] + 1


@step
def limit_depth(present: Integer, limit: Integer, scratch: IntArray) -> Integer:
    """Set LIMITED to depths of at most ``limit``; return the largest [HUF_setMaxHeight]."""
    weight, depth, limited, last_of = scratch[WEIGHT], scratch[DEPTH], scratch[LIMITED], scratch[LAST_OF]
    for i in range(present):
        limited[i] = depth[i]
    largest = depth[present - 1]
    if largest <= limit:
        return largest
    debt, unit = 0, 1 << (largest - limit)
    n = present - 1
    while limited[n] > limit:
        debt += unit - (1 << (largest - limited[n]))
        limited[n] = limit
        n -= 1
    while limited[n] == limit:
        n -= 1
    debt >>= largest - limit
    last_of[: LONGEST_WORD + 3] = _NONE
    current = limit
    for i in range(n, -1, -1):
        if limited[i] < current:
            current = limited[i]
            last_of[limit - current] = i
    while debt > 0:
        less = highest_bit(debt) + 1
        while less > 1:
            high, low = last_of[less], last_of[less - 1]
            if high != _NONE and (low == _NONE or weight[high] <= 2 * weight[low]):
                break
            less -= 1
        while less <= _LONGEST_WEIGHT and last_of[less] == _NONE:
            less += 1
        debt -= 1 << (less - 1)
        limited[last_of[less]] += 1
        if last_of[less - 1] == _NONE:
            last_of[less - 1] = last_of[less]
        if last_of[less] == 0:
            last_of[less] = _NONE
        else:
            last_of[less] -= 1
            if limited[last_of[less]] != limit - less:
                last_of[less] = _NONE
    while debt < 0:
        if last_of[1] == _NONE:
            while limited[n] == limit:
                n -= 1
            limited[n + 1] -= 1
            last_of[1] = n + 1
        else:
            limited[last_of[1] + 1] -= 1
            last_of[1] += 1
        debt += 1
    return limit


@step
def _count_depths(present: Integer, scratch: IntArray, depths: IntArray) -> None:
    """Set ``depths`` to how often each depth occurs in LIMITED."""
    limited = scratch[LIMITED]
    for depth in range(_LONGEST_WEIGHT + 1):
        depths[depth] = 0
    for i in range(present):
        depths[limited[i]] += 1


@step
def description_bits(
    present: Integer, highest: Integer, longest: Integer, scratch: IntArray, depths: IntArray
) -> tuple[Integer, Integer]:
    """Return bits and bytes of a description of the code in LIMITED, -1 where there is none [HUF_writeCTable].

    ``depths`` tells how often each depth occurs.
    """
    order, limited, weights, counts = scratch[ORDER], scratch[LIMITED], scratch[_WEIGHTS], scratch[_WEIGHT_COUNTS]
    for symbol in range(highest):
        weights[symbol] = 0
    for i in range(present):
        weights[order[i]] = longest + 1 - limited[i]
    for weight in range(longest + 1, _LONGEST_WEIGHT + 1):
        counts[weight] = 0
    for weight in range(1, longest + 1):
        counts[weight] = depths[longest + 1 - weight]
    counts[weights[highest]] -= 1  # the last weight is implied
    counts[0] = highest - (present - 1)
    bits, size = _packed_weights(highest, longest, scratch)
    if size < 0:
        return -1, -1
    if 1 < size < highest // 2:
        return 8 + bits, 1 + size
    if highest > 128:
        return -1, -1
    return 8 + 4 * highest, 1 + (highest + 1) // 2


@part
def _walk_weights(size: Integer, kept: IntArray, weights: IntArray, coder: IntArray) -> Integer:
    """Return the bits by which two states go from the last weight to the first, one by even places, one by odd ones.

    Where a state comes to be the one that is kept, it stays so up to the next weight that is not.
    """
    total, even, odd = kept[_WALK_BITS], False, False  # whether a state is another than the one kept
    for end in range(size, 0, -_PIECE):
        begin = max(end - _PIECE, 0)
        differs = np.int64(0)
        for at in range(begin, end):
            differs |= weights[at] ^ kept[at]
        if differs == 0 and not even and not odd:
            continue
        for at in range(end - 1, begin - 1, -1):
            weight, is_odd = weights[at], at & 1
            if weight == kept[at] and not (odd if is_odd else even):
                continue
            if at >= size - 2:
                width, state = np.int64(0), first_state(coder, weight)
            else:
                before = kept[_STATES + at + 2]
                width = bits_of(coder, before, weight)
                state = next_state(coder, before, weight, width)
            changed = state != kept[_STATES + at]
            if is_odd:
                odd = changed
            else:
                even = changed
            total += width - kept[_WIDTHS + at]
            kept[at], kept[_STATES + at], kept[_WIDTHS + at] = weight, state, width
    kept[_WALK_BITS] = total
    return np.int64(total)


@part
def _packed_weights(size: Integer, longest: Integer, scratch: IntArray) -> tuple[Integer, Integer]:
    """Return bits and bytes of the weights by a table of theirs, 0 or 1 where they are not [HUF_compressWeights].

    What the last ones for a longest word came to is kept: of candidates' weights few differ.
    """
    weights, counts, new = scratch[_WEIGHTS], scratch[_WEIGHT_COUNTS], scratch[_NEW_TABLE]
    if size <= 1:
        return 0, 0
    highest = _LONGEST_WEIGHT
    while counts[highest] == 0:
        highest -= 1
    most = 0
    for weight in range(highest + 1):
        most = max(most, counts[weight])
    if most == size:
        return 0, 1
    if most == 1:
        return 0, 0
    log = accuracy(_WEIGHTS_LOG, size, highest, 2)
    if not normalize(new, log, counts, size, highest, 1):
        return -1, -1
    if size <= 2:
        return 0, 0
    row = _WALKS + (longest & (_KEPT_WALKS - 1)) * _ROWS_OF_WALK
    kept, table, coder = scratch[row], scratch[row][_WALK_TABLE:], scratch[row + 1 :]
    same, before = size, kept[_SIZE]
    if _differ(new, table, PROBABILITIES + highest + 1):
        for i in range(PROBABILITIES + highest + 1):
            table[i] = new[i]
        kept[_TOLD] = table_bits(table)
        build_coder(table, coder)
        same = 0
    elif size != before:
        same = max(min(size, before) - 2, 0)  # states begin at the last two
    for at in range(same, max(size, before)):
        kept[_WALK_BITS] -= kept[_WIDTHS + at]
        kept[at], kept[_WIDTHS + at] = -1, 0  # no weight is that
    kept[_SIZE] = size
    told, bits = kept[_TOLD], 2 * log + 1 + _walk_weights(size, kept, weights, coder)
    return told + bits, ((told + 7) >> 3) + ((bits + 7) >> 3)


@part
def weighed(present: Integer, scratch: IntArray) -> Integer:
    """Return the sum of counts times word lengths, in bits."""
    weight, limited = scratch[WEIGHT], scratch[LIMITED]
    total = 0
    for i in range(present):
        total += weight[i] * limited[i]
    return total


@part
def _limited_depths(limit: Integer, scratch: IntArray) -> Integer:
    """Set LIMITED to the depths of a code for WEIGHT; return the row where they and what they come to are kept."""
    weight, limited, present = scratch[WEIGHT], scratch[LIMITED], scratch[COUNTS, PRESENT]
    hashed = np.int64(0)
    for i in range(present):
        hashed += weight[i] * weight[i]
    row = _TREES + (hashed >> 1) % _KEPT_TREES  # one more occurrence adds an odd number
    kept = scratch[row]
    if kept[_OF] == present and kept[_LIMIT] == limit and not _differ(weight, kept, present):
        for i in range(present):
            limited[i] = kept[_DEPTHS + i]
        return row
    build_tree(present, scratch)
    kept[_OF], kept[_LIMIT], kept[_LONGEST] = present, limit, limit_depth(present, limit, scratch)
    for i in range(present):
        kept[i], kept[_DEPTHS + i] = weight[i], limited[i]
    kept[_BITS] = weighed(present, scratch)
    kept[_SETTLED] = is_settled(limited, scratch)
    _count_depths(present, scratch, kept[_DEPTH_COUNTS:])
    return row


@part
def _best_limit(present: Integer, highest: Integer, scratch: IntArray) -> Integer:
    """Return the limit of depths that makes description and words shortest [HUF_optimalTableLog]."""
    best, limit, least = 1 << 62, LONGEST_WORD, highest_bit(present) + 1
    depths = scratch[PARENT]
    for guess in range(least, LONGEST_WORD + 1):
        longest = limit_depth(present, guess, scratch)
        if longest < guess and guess > least:
            break
        _count_depths(present, scratch, depths)
        _, size = description_bits(present, highest, longest, scratch, depths)
        if size < 0:
            continue
        size += weighed(present, scratch) >> 3
        if size > best + 1:
            break
        if size < best:
            best, limit = size, guess
    return limit


@part
def build_code(
    counts: IntArray, highest: Integer, total: Integer, search: Integer, scratch: IntArray
) -> tuple[Integer, Integer, Integer, Integer]:
    """Set ORDER and LIMITED to the code for counts.

    Returns the number of symbols, the bits of all literals, and the description's bits and bytes. With ``search``, the
    limit of depths that gives the shortest sum is taken [HUF_flags_optimalDepth].
    """
    present = order_symbols(counts, highest, scratch)
    limit = accuracy(LONGEST_WORD, total, highest, 1)
    if search:
        if not (scratch[COUNTS, SORTED] or is_settled(scratch[ORDER], scratch)):
            sort_anew(counts, highest, scratch)
        build_tree(present, scratch)
        limit = _best_limit(present, highest, scratch)
    kept = scratch[_limited_depths(limit, scratch)]
    if not (scratch[COUNTS, SORTED] or kept[_SETTLED]):
        sort_anew(counts, highest, scratch)
    bits, size = description_bits(present, highest, kept[_LONGEST], scratch, kept[_DEPTH_COUNTS:])
    return present, np.int64(kept[_BITS]), bits, size


@step
def keep_code(present: Integer, highest: Integer, scratch: IntArray, code: IntArray) -> None:
    """Set ``code`` (HUFFMAN_ROW,) to the one in ORDER and LIMITED."""
    order, limited = scratch[ORDER], scratch[LIMITED]
    code[:] = 0
    code[CODE_MODE], code[CODE_HIGHEST] = 1, highest
    for i in range(present):
        code[WORDS + order[i]] = limited[i]


@part
def old_code_bits(code: IntArray, counts: IntArray, highest: Integer) -> Integer:
    """Return what literals cost by the code of the block before, -1 if they cannot be coded [HUF_validateCTable]."""
    if not code[CODE_MODE] or code[CODE_HIGHEST] < highest:
        return -1
    total = 0
    for symbol in range(highest + 1):
        if counts[symbol] > 0:
            if code[WORDS + symbol] == 0:
                return -1
            total += counts[symbol] * code[WORDS + symbol]
    return total
