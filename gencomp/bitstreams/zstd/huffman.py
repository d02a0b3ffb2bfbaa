"""The literals' Huffman code as zstd builds it, and what telling it costs (RFC 8878, section 4.2).

Among equal counts the order decides which symbol gets the longer word, and so what the description costs: it is the
library's, including that of its quicksort.
"""

import numpy as np

from gencomp.bitstreams.zstd.fse import (
    CODER_SHAPE,
    accuracy,
    bits_of,
    build_coder,
    first_state,
    next_state,
    normalize,
    table_bits,
)
from gencomp.bitstreams.zstd.memory import copy_to, highest_bit
from gencomp.compiled import Integer, part, step
from gencomp.protocols import IntArray

LONGEST_WORD = 11  # [LitHufLog]
_LONGEST_WEIGHT = 12  # [HUF_TABLELOG_MAX]
_WEIGHTS_LOG = 6  # accuracy of the weights' table [MAX_FSE_TABLELOG_FOR_HUFF_HEADER]

# a literals' code: whether there is one, its highest symbol, then the length of each symbol's word
CODE_MODE, CODE_HIGHEST, WORDS = range(3)
HUFFMAN_ROW = WORDS + 256

# rows of the scratch that all functions here take; the last tree's stay until the next is built, with its counts
ORDER, WEIGHT, PARENT, DEPTH, LIMITED, PLACES, LAST_OF, _WEIGHTS, _WEIGHT_COUNTS, _TABLE, _COUNTS = range(11)
_CODER = 11
SCRATCH_SHAPE = (_CODER + CODER_SHAPE[0], CODER_SHAPE[1])
_DISTINCT = 158 + 7  # counts below have a place each [RANK_POSITION_DISTINCT_COUNT_CUTOFF]
_PLACES = 192
_NONE = 1 << 30


def begin_scratch() -> IntArray:
    """Return the scratch."""
    return np.zeros(SCRATCH_SHAPE, np.int64)


@step
def _place(count: Integer) -> Integer:
    return count if count < _DISTINCT else highest_bit(count) + 158


@step
def _insertion_sort(order: IntArray, weight: IntArray, low: Integer, high: Integer) -> None:
    for i in range(low + 1, high + 1):
        symbol, count = order[i], weight[i]
        j = i - 1
        while j >= low and weight[j] < count:
            order[j + 1], weight[j + 1] = order[j], weight[j]
            j -= 1
        order[j + 1], weight[j + 1] = symbol, count


@step
def _swap(order: IntArray, weight: IntArray, i: Integer, j: Integer) -> None:
    order[i], order[j] = order[j], order[i]
    weight[i], weight[j] = weight[j], weight[i]


@step
def _quicksort(order: IntArray, weight: IntArray, low: Integer, high: Integer, stack: IntArray) -> None:
    """Sort by falling weight as HUF_simpleQuickSort does; only its first call may sort by insertion."""
    if high - low < 8:
        _insertion_sort(order, weight, low, high)
        return
    stack[0], stack[1], top = low, high, 2
    while top > 0:
        top -= 2
        low, high = stack[top], stack[top + 1]
        if high - low < 8:
            _insertion_sort(order, weight, low, high)
            continue
        while low < high:
            pivot, i = weight[high], low - 1
            for j in range(low, high):
                if weight[j] > pivot:
                    i += 1
                    _swap(order, weight, i, j)
            i += 1
            _swap(order, weight, i, high)
            if i - low < high - i:  # the part that the library sorts by a call of its own: parts do not meet
                stack[top], stack[top + 1] = low, i - 1
                low = i + 1
            else:
                stack[top], stack[top + 1] = i + 1, high
                high = i - 1
            top += 2


@part
def sort_symbols(counts: IntArray, highest: Integer, scratch: IntArray) -> Integer:
    """Set ORDER and WEIGHT to the symbols by falling count; return how many occur [HUF_sort]."""
    order, weight, places, begins = scratch[ORDER], scratch[WEIGHT], scratch[PLACES], scratch[LAST_OF]
    places[: _PLACES + 1] = 0
    present = 0
    for symbol in range(highest + 1):
        places[_place(counts[symbol])] += 1
        present += counts[symbol] != 0
    total = 0
    for place in range(_PLACES - 1, -1, -1):
        size = places[place]
        begins[place] = places[place] = total
        total += size
    for symbol in range(highest + 1):
        count = counts[symbol]
        if count > 0:
            place = _place(count)
            at = places[place]
            places[place] = at + 1
            order[at], weight[at] = symbol, count
    for place in range(_DISTINCT - 1, _PLACES - 1):  # the last distinct count's order changes, too
        if places[place] - begins[place] > 1:
            _quicksort(order, weight, begins[place], places[place] - 1, scratch[PARENT])
    return present


@part
def build_tree(present: Integer, scratch: IntArray) -> None:
    """Set DEPTH to the depth of each leaf in a tree without a limit, in the order of ORDER [HUF_buildTree]."""
    weight, parent, depth = scratch[WEIGHT], scratch[PARENT], scratch[DEPTH]
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
def description_bits(
    present: Integer, highest: Integer, longest: Integer, scratch: IntArray
) -> tuple[Integer, Integer]:
    """Return bits and bytes of a description of the code in LIMITED, -1 where there is none [HUF_writeCTable]."""
    order, limited, weights, counts = scratch[ORDER], scratch[LIMITED], scratch[_WEIGHTS], scratch[_WEIGHT_COUNTS]
    for symbol in range(highest):
        weights[symbol] = 0
    counts[: _LONGEST_WEIGHT + 1] = 0
    for i in range(present):
        weight = longest + 1 - limited[i]
        weights[order[i]] = weight
        counts[weight] += 1
    counts[weights[highest]] -= 1  # the last is not told
    counts[0] = highest - (present - 1)
    bits, size = _packed_weights(highest, scratch)
    if size < 0:
        return -1, -1
    if 1 < size < highest // 2:
        return 8 + bits, 1 + size
    if highest > 128:
        return -1, -1
    return 8 + 4 * highest, 1 + (highest + 1) // 2


@part
def _packed_weights(size: Integer, scratch: IntArray) -> tuple[Integer, Integer]:
    """Return bits and bytes of the weights by a table of theirs, 0 or 1 where they are not [HUF_compressWeights]."""
    weights, counts, table = scratch[_WEIGHTS], scratch[_WEIGHT_COUNTS], scratch[_TABLE]
    coder = scratch[_CODER:]
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
    if not normalize(table, log, counts, size, highest, 1):
        return -1, -1
    told = table_bits(table)
    if size <= 2:
        return 0, 0
    build_coder(table, coder)
    bits, at = 2 * log + 1, size - 1
    if size & 1:
        one = first_state(coder, weights[at])
        two = first_state(coder, weights[at - 1])
        width = bits_of(coder, one, weights[at - 2])
        one = next_state(coder, one, weights[at - 2], width)
        bits += width
        at -= 3
    else:
        two = first_state(coder, weights[at])
        one = first_state(coder, weights[at - 1])
        at -= 2
    while at > 0:  # two at a time, since an even number is left
        width = bits_of(coder, two, weights[at])
        two = next_state(coder, two, weights[at], width)
        bits += width
        width = bits_of(coder, one, weights[at - 1])
        one = next_state(coder, one, weights[at - 1], width)
        bits += width
        at -= 2
    return told + bits, (told + 7 >> 3) + (bits + 7 >> 3)


@part
def weighed(present: Integer, scratch: IntArray) -> Integer:
    """Return the sum of counts times word lengths, in bits."""
    weight, limited = scratch[WEIGHT], scratch[LIMITED]
    total = 0
    for i in range(present):
        total += weight[i] * limited[i]
    return total


@part
def _is_alike(counts: IntArray, present: Integer, scratch: IntArray) -> Integer:
    """Tell whether the last tree serves for counts that have one other new literal, and put that into its place.

    It does if both occur once, and none that occurs stands between them: then the order is the same.
    """
    last = scratch[_COUNTS]
    differences = places = moved = np.int64(0)
    for symbol in range(256):
        differs = counts[symbol] != last[symbol]
        differences += differs
        places += differs * symbol
        moved += (counts[symbol] - last[symbol]) * symbol
    if differences == 0:
        return True
    new, old = places + moved >> 1, places - moved >> 1
    if differences != 2 or places + moved & 1 or not (0 <= new < 256 and 0 <= old < 256):
        return False
    if counts[new] != 1 or counts[old] != 0 or last[new] != 0 or last[old] != 1:
        return False
    for symbol in range(min(new, old) + 1, max(new, old)):
        if counts[symbol] != 0:
            return False
    rank = present - 1
    while scratch[ORDER, rank] != old:
        rank -= 1
    scratch[ORDER, rank] = new
    last[new], last[old] = 1, 0
    return True


@part
def build_code(
    counts: IntArray, highest: Integer, total: Integer, search: Integer, scratch: IntArray
) -> tuple[Integer, Integer, Integer, Integer]:
    """Set ORDER and LIMITED to the code for counts; return symbols, bits of them all, and description's bits and bytes.

    ``search`` tries limits for the shortest sum [HUF_flags_optimalDepth].
    """
    present = scratch[_COUNTS, 256]
    if present == 0 or not _is_alike(counts, present, scratch):
        present = sort_symbols(counts, highest, scratch)
        build_tree(present, scratch)
        copy_to(scratch[_COUNTS, :256], counts)
        scratch[_COUNTS, 256] = present
    limit = LONGEST_WORD
    if search:
        best, least = 1 << 62, highest_bit(present) + 1
        for guess in range(least, LONGEST_WORD + 1):
            longest = limit_depth(present, guess, scratch)
            if longest < guess and guess > least:
                break
            _, size = description_bits(present, highest, longest, scratch)
            if size < 0:
                continue
            size += weighed(present, scratch) >> 3
            if size > best + 1:
                break
            if size < best:
                best, limit = size, guess
    else:
        limit = accuracy(LONGEST_WORD, total, highest, 1)
    longest = limit_depth(present, limit, scratch)
    bits, size = description_bits(present, highest, longest, scratch)
    return present, weighed(present, scratch), bits, size


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
