"""The match finders of the lazy strategies: chains, rows, and trees that are sorted when they are searched.

Each enters the positions before the one that is searched, and returns the best match's length and offset; a length
below 4 means that none is worth taking. A comparison that ends with the known data sets TOUCHED.
"""

from gencomp.bitstreams.zstd.layout import (
    CHAIN_LOG,
    FIRST,
    HASH_LOG,
    LOW,
    MIN_MATCH,
    NEXT,
    REPEATS,
    ROWS,
    SEARCH_LOG,
    SKIPPING,
    STRATEGY,
    TOUCHED,
    TREE_LAZY2,
    WINDOW_LOG,
)
from gencomp.bitstreams.zstd.memory import Bytes, Tables, common, four_equal, hash_at, highest_bit, put
from gencomp.compiled import Integer, fragment, part, step
from gencomp.protocols import IntArray

NO_OFFSET = 999999999  # zstd's, in place of an offset
_UNSORTED = 1  # [ZSTD_DUBT_UNSORTED_MARK]
_TAG = 8  # bits of a row's tags
_LONG_GAP, _GAP_BEGIN, _GAP_END = 384, 96, 32  # of a gap above the first, rows get so many of its first and last


@fragment
def lowest_match(parameters: IntArray, registers: IntArray, position: Integer) -> Integer:
    """Return the lowest table entry that a match of ``position`` may have [ZSTD_getLowestMatchIndex]."""
    window, low = 1 << parameters[WINDOW_LOG], registers[LOW]
    return position + FIRST - window if position + FIRST - low > window else low


@step
def search(
    buffer: Bytes,
    tables: Tables,
    registers: IntArray,
    parameters: IntArray,
    log: IntArray,
    position: Integer,
    end: Integer,
) -> tuple[Integer, Integer]:
    """Return length and offset of the best match at ``position`` [ZSTD_searchMax]."""
    if parameters[STRATEGY] == TREE_LAZY2:
        return _search_tree(buffer, tables, registers, parameters, log, position, end)
    if parameters[ROWS]:
        return _search_row(buffer, tables, registers, parameters, log, position, end)
    return _search_chain(buffer, tables, registers, parameters, log, position, end)


@part
def _search_chain(
    buffer: Bytes,
    tables: Tables,
    registers: IntArray,
    parameters: IntArray,
    log: IntArray,
    position: Integer,
    end: Integer,
) -> tuple[Integer, Integer]:
    """Try the positions that share a hash, newest first [ZSTD_HcFindBestMatch]."""
    bits, width = parameters[HASH_LOG], min(parameters[MIN_MATCH], 6)
    chains, mask = 1 << bits, (1 << parameters[CHAIN_LOG]) - 1
    entered = registers[NEXT]
    while entered < position:
        where = hash_at(buffer, entered, width, bits)
        put(tables, log, registers, chains + ((entered + FIRST) & mask), tables[where])
        put(tables, log, registers, where, entered + FIRST)
        entered += 1
        if registers[SKIPPING]:
            break
    registers[NEXT] = position
    found = tables[hash_at(buffer, position, width, bits)]
    lowest = lowest_match(parameters, registers, position)
    oldest = position + FIRST - (mask + 1)
    best, offset = 3, NO_OFFSET
    for _ in range(1 << parameters[SEARCH_LOG]):
        if found < lowest:
            break
        match = found - FIRST
        if four_equal(buffer, match + best - 3, position + best - 3):
            length = common(buffer, position, match, end)
            if length > best:
                best, offset = length, position - match + REPEATS
            if position + length == end:
                registers[TOUCHED] = 1
                break
        if found <= oldest:
            break
        found = tables[chains + (found & mask)]
    return best, offset


@step
def _enter_row(
    buffer: Bytes,
    tables: Tables,
    registers: IntArray,
    log: IntArray,
    position: Integer,
    row: Integer,
    tag: Integer,
    size: Integer,
) -> None:
    """Put a position into its row, whose first entry tells where the newest is [ZSTD_row_nextIndex]."""
    head = (tables[row] - 1) & (size - 1)
    if head == 0:
        head = size - 1
    put(tables, log, registers, row, head)
    put(tables, log, registers, row + head, ((position + FIRST) << _TAG) | tag)


@part
def _search_row(
    buffer: Bytes,
    tables: Tables,
    registers: IntArray,
    parameters: IntArray,
    log: IntArray,
    position: Integer,
    end: Integer,
) -> tuple[Integer, Integer]:
    """Try the positions in a row of 16 to 64 that share a tag, newest first [ZSTD_RowFindBestMatch]."""
    row_log, width = min(max(parameters[SEARCH_LOG], 4), 6), min(parameters[MIN_MATCH], 6)
    bits, size = parameters[HASH_LOG] - row_log + _TAG, 1 << row_log
    if not registers[SKIPPING]:
        entered = registers[NEXT]
        gap_end = position
        if position - entered > _LONG_GAP:
            gap_end = entered + _GAP_BEGIN
        while entered < position:
            hashed = hash_at(buffer, entered, width, bits)
            _enter_row(
                buffer, tables, registers, log, entered, (hashed >> _TAG) << row_log, hashed & ((1 << _TAG) - 1), size
            )
            entered += 1
            if entered == gap_end and gap_end < position:
                entered = position - _GAP_END
                gap_end = position
    registers[NEXT] = position + 1
    hashed = hash_at(buffer, position, width, bits)
    row, tag = (hashed >> _TAG) << row_log, hashed & ((1 << _TAG) - 1)
    lowest = lowest_match(parameters, registers, position)
    head, attempts = tables[row], 1 << min(parameters[SEARCH_LOG], row_log)
    best, offset = 3, NO_OFFSET
    for i in range(size):
        slot = (head + i) & (size - 1)
        if slot == 0:
            continue
        entry = tables[row + slot]
        if (entry & ((1 << _TAG) - 1)) != tag:
            continue
        if entry >> _TAG < lowest or attempts == 0:
            break
        attempts -= 1
        match = (entry >> _TAG) - FIRST
        if four_equal(buffer, match + best - 3, position + best - 3):
            length = common(buffer, position, match, end)
            if length > best:
                best, offset = length, position - match + REPEATS
            if position + length == end:
                registers[TOUCHED] = 1
                break
    _enter_row(buffer, tables, registers, log, position, row, tag, size)
    return best, offset


@step
def _sort_into_tree(
    buffer: Bytes,
    tables: Tables,
    registers: IntArray,
    parameters: IntArray,
    log: IntArray,
    entry: Integer,
    end: Integer,
    compares: Integer,
    low: Integer,
) -> None:
    """Sort a position that has been entered into its tree [ZSTD_insertDUBT1]."""
    trees, mask = 1 << parameters[HASH_LOG], (1 << (parameters[CHAIN_LOG] - 1)) - 1
    position = entry - FIRST
    smaller = trees + 2 * (entry & mask)
    larger = smaller + 1
    found = tables[smaller]
    common_smaller, common_larger = 0, 0
    lowest = lowest_match(parameters, registers, position)
    while compares > 0 and found > lowest:
        compares -= 1
        children = trees + 2 * (found & mask)
        length = min(common_smaller, common_larger)
        length += common(buffer, position + length, found - FIRST + length, end)
        if position + length == end:
            registers[TOUCHED] = 1
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
    if smaller >= 0:
        put(tables, log, registers, smaller, 0)
    if larger >= 0:
        put(tables, log, registers, larger, 0)


@part
def _search_tree(
    buffer: Bytes,
    tables: Tables,
    registers: IntArray,
    parameters: IntArray,
    log: IntArray,
    position: Integer,
    end: Integer,
) -> tuple[Integer, Integer]:
    """Sort what has been entered under this hash, then search the tree [ZSTD_BtFindBestMatch]."""
    # In one piece: a walk down a tree, whose two open ends change at each node.
    if position < registers[NEXT]:
        return 0, NO_OFFSET
    bits, width = parameters[HASH_LOG], min(parameters[MIN_MATCH], 6)
    trees, mask = 1 << bits, (1 << (parameters[CHAIN_LOG] - 1)) - 1
    for entered in range(registers[NEXT], position):
        where = hash_at(buffer, entered, width, bits)
        node = trees + 2 * ((entered + FIRST) & mask)
        put(tables, log, registers, node, tables[where])
        put(tables, log, registers, node + 1, _UNSORTED)
        put(tables, log, registers, where, entered + FIRST)
    where = hash_at(buffer, position, width, bits)
    here = position + FIRST
    lowest = lowest_match(parameters, registers, position)
    low = max(here - mask, 0)
    unsorted_low = max(low, lowest)
    compares = 1 << parameters[SEARCH_LOG]
    found: Integer = tables[where]
    previous: Integer = 0
    candidates = compares
    node = trees + 2 * (found & mask)
    while found > unsorted_low and tables[node + 1] == _UNSORTED and candidates > 1:
        put(tables, log, registers, node + 1, previous)
        previous, found = found, tables[node]
        node = trees + 2 * (found & mask)
        candidates -= 1
    if found > unsorted_low and tables[node + 1] == _UNSORTED:
        put(tables, log, registers, node, 0)
        put(tables, log, registers, node + 1, 0)
    found = previous
    while found != 0:
        following = tables[trees + 2 * (found & mask) + 1]
        _sort_into_tree(buffer, tables, registers, parameters, log, found, end, candidates, unsorted_low)
        found = following
        candidates += 1
    smaller = trees + 2 * (here & mask)
    larger = smaller + 1
    common_smaller, common_larger, best, offset, farthest = 0, 0, 0, NO_OFFSET, here + 9
    found = tables[where]
    put(tables, log, registers, where, here)
    while compares > 0 and found > lowest:
        compares -= 1
        children = trees + 2 * (found & mask)
        length = min(common_smaller, common_larger)
        length += common(buffer, position + length, found - FIRST + length, end)
        if position + length == end:
            registers[TOUCHED] = 1
        if length > best:
            farthest = max(farthest, found + length)
            if 4 * (length - best) > highest_bit(here - found + 1) - highest_bit(offset):
                best, offset = length, here - found + REPEATS
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
    if smaller >= 0:
        put(tables, log, registers, smaller, 0)
    if larger >= 0:
        put(tables, log, registers, larger, 0)
    registers[NEXT] = farthest - 8 - FIRST
    return best, offset
