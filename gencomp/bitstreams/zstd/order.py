"""The order in which zstd sorts literals for their Huffman code, kept while few counts change.

Among equal counts, the order decides which symbol gets the longer word, so it must be the library's, quicksort and all.
Candidates after one prefix differ in few literals: then these are moved, and nothing is sorted.
"""

import numpy as np

from gencomp.bitstreams.zstd.memory import copy_to, highest_bit
from gencomp.compiled import Integer, part, step
from gencomp.protocols import IntArray

# rows of the scratch that all functions of a code take; the order is kept for the next one, with its counts
ORDER, WEIGHT, PLACES, LAST_OF, STACK, RANKS, COUNTS = range(7)
ORDER_ROWS = 7
PRESENT, SORTED = 256, 257  # after the counts: how many occur, and whether equals are in the library's order
_DISTINCT = 158 + 7  # counts below have a bucket each [RANK_POSITION_DISTINCT_COUNT_CUTOFF]
_PLACES = 192  # buckets [RANK_POSITION_TABLE_SIZE]
_FEW_CHANGES = 4  # if more counts have changed, all symbols are sorted anew
_SMALLEST_QUICK = 9  # smaller buckets are sorted by insertion


@step
def _place(count: Integer) -> Integer:
    """Return the bucket of a count; 158 is where those by powers of two begin [RANK_POSITION_LOG_BUCKETS_BEGIN]."""
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
    """Sort by falling weight as HUF_simpleQuickSort does: by insertion only where one of its calls begins."""
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
            if i - low < high - i:  # this part, which the library sorts by a call at once, may as well wait
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
            _quicksort(order, weight, begins[place], places[place] - 1, scratch[STACK])
    return present


@step
def _move(symbol: Integer, count: Integer, scratch: IntArray) -> None:
    """Move a symbol to its place by a new count, equals being in the order of their values."""
    order, weight, ranks, last = scratch[ORDER], scratch[WEIGHT], scratch[RANKS], scratch[COUNTS]
    present = last[PRESENT]
    at = ranks[symbol]
    if last[symbol] == 0:
        at = present
        present += 1
        last[PRESENT] = present
    last[symbol] = count
    while at > 0 and (weight[at - 1] < count or (weight[at - 1] == count and order[at - 1] > symbol)):
        order[at], weight[at] = order[at - 1], weight[at - 1]
        ranks[order[at]] = at
        at -= 1
    while at + 1 < present and (weight[at + 1] > count or (weight[at + 1] == count and order[at + 1] < symbol)):
        order[at], weight[at] = order[at + 1], weight[at + 1]
        ranks[order[at]] = at
        at += 1
    order[at], weight[at], ranks[symbol] = symbol, count, at
    if count == 0:
        last[PRESENT] = present - 1


@step
def _order_equals(scratch: IntArray) -> None:
    """Put symbols of equal counts in the order of their values."""
    order, weight, ranks, last = scratch[ORDER], scratch[WEIGHT], scratch[RANKS], scratch[COUNTS]
    for i in range(last[PRESENT]):
        symbol, at = order[i], i
        while at > 0 and weight[at - 1] == weight[i] and order[at - 1] > symbol:
            order[at] = order[at - 1]
            ranks[order[at]] = at
            at -= 1
        order[at] = symbol
        ranks[symbol] = at
    last[SORTED] = 0


@step
def sort_anew(counts: IntArray, highest: Integer, scratch: IntArray) -> Integer:
    """Set ORDER and WEIGHT to the symbols by falling count, as the library does; return how many occur."""
    present = sort_symbols(counts, highest, scratch)
    last = scratch[COUNTS]
    copy_to(last[:PRESENT], counts)
    last[PRESENT], last[SORTED] = present, 1
    return present


@part
def order_symbols(counts: IntArray, highest: Integer, scratch: IntArray) -> Integer:
    """Do as :func:`sort_anew`, but for the order of equals; if few counts differ from the last ones, by moves."""
    last = scratch[COUNTS]
    if last[PRESENT] == 0:
        return sort_anew(counts, highest, scratch)
    changes = 0
    for begin in range(0, 256, 16):
        differs = np.int64(0)
        for symbol in range(begin, begin + 16):
            differs |= counts[symbol] ^ last[symbol]
        if differs == 0:
            continue
        for symbol in range(begin, begin + 16):
            if counts[symbol] != last[symbol]:
                if changes == 0 and last[SORTED]:
                    _order_equals(scratch)
                changes += 1
                if changes > _FEW_CHANGES:
                    return sort_anew(counts, highest, scratch)
                _move(symbol, counts[symbol], scratch)
    return np.int64(last[PRESENT])


@step
def is_settled(depths: IntArray, scratch: IntArray) -> Integer:
    """Tell whether the library's order of equals is that of their values, or makes no difference to ``depths``.

    Its quicksort, which sorts large buckets of large counts, may exchange equals. ``depths`` are by rank.
    """
    weight, last = scratch[WEIGHT], scratch[COUNTS]
    i, present = 0, last[PRESENT]
    while i < present and weight[i] >= _DISTINCT - 1:
        place, end, matters = _place(weight[i]), i + 1, False
        while end < present and _place(weight[end]) == place:
            matters |= weight[end] == weight[end - 1] and depths[end] != depths[end - 1]
            end += 1
        if matters and end - i >= _SMALLEST_QUICK:
            return False
        i = end
    return True
