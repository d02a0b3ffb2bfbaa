"""How liblzma looks for matches: hashes of two, three and four bytes, chains (HC3, HC4) or binary trees (BT4).

A chain links the positions of one hash, newest first. A tree holds them sorted by the bytes that follow, the newest at
the root. Looking up a position makes it the root, and splits the old tree into what sorts before and after it.
"""

import numpy as np

from gencomp.bitstreams.lzma import constants as lzma
from gencomp.bitstreams.lzma import registers as reg
from gencomp.bitstreams.lzma.alike import mark_hashed, mark_matches, mark_search
from gencomp.bitstreams.lzma.state import MATCH_ROWS, ONE, ZERO, Parse, common_length
from gencomp.compiled import Integer, fragment, lean_kernel
from gencomp.protocols import IntArray

_POLYNOMIAL = 0xEDB88320  # of CRC-32, the lowest bit first
_CRC_SHIFT = 5  # of the fourth byte's CRC in the hash of four bytes


def _crc_table() -> IntArray:
    """Return the table of CRC-32, int64 (256,), which liblzma's hashes are made with."""
    table = np.arange(256, dtype=np.int64)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ _POLYNOMIAL, table >> 1)
    return table


_CRC = _crc_table()


@fragment
def _put(parse: Parse, place: Integer, value: Integer) -> None:
    """Enter ``value`` in the table and the log."""
    entry, log = parse.registers[reg.ENTRIES], parse.log
    log[entry, 0], log[entry, 1], log[entry, 2] = place, parse.table[place], value
    parse.registers[reg.ENTRIES] = entry + 1
    parse.table[place] = value


@lean_kernel
def undo_entries(parse: Parse, first: Integer) -> None:
    """Undo the entries from ``first`` on."""
    log = parse.log
    for entry in range(parse.registers[reg.ENTRIES] - 1, first - 1, -1):
        parse.table[log[entry, 0]] = log[entry, 1]
    parse.registers[reg.ENTRIES] = first


@fragment
def _keep(parse: Parse, count: Integer, length: Integer, distance: Integer) -> Integer:
    row = (1 - parse.registers[reg.BANK]) * MATCH_ROWS + count
    parse.matches[row, 0], parse.matches[row, 1] = length, distance - 1
    return count + 1


@fragment
def _hashes(parse: Parse, position: Integer) -> tuple[Integer, Integer, Integer, Integer]:
    """Return the hash of three bytes as it is, and the table's places for the hashes of two, three and all bytes.

    All bytes are three for HC3, which has no other hash of three, and four for the others.
    """
    registers, data = parse.registers, parse.data
    mixed = _CRC[data[position]] ^ np.int64(data[position + 1])
    second = mixed & (lzma.HASH_2_SIZE - 1)
    mixed ^= np.int64(data[position + 2]) << 8
    third: Integer = np.int64(lzma.FIX_3_HASH_SIZE)
    whole = third + (mixed & registers[reg.HASH_MASK])
    if registers[reg.FINDER] != lzma.MF_HC3:
        third += mixed & (lzma.HASH_3_SIZE - 1)
        every = mixed ^ (_CRC[data[position + 3]] << _CRC_SHIFT)
        whole = lzma.FIX_4_HASH_SIZE + (every & registers[reg.HASH_MASK])
    return mixed, second, third, whole


@fragment
def _keep_nearest(
    parse: Parse, position: Integer, second: Integer, third: Integer, limit: Integer
) -> tuple[Integer, Integer]:
    """Keep the matches that the hashes of two bytes and, but for HC3, of three find.

    Returns their number and the length of the longest.
    """
    registers, data, table = parse.registers, parse.data, parse.table
    short, cycle = registers[reg.FINDER] == lzma.MF_HC3, registers[reg.CYCLIC_SIZE]
    distance = position + cycle - np.int64(table[second])
    count, best = ZERO, ZERO
    if distance < cycle and data[position - distance] == data[position]:
        best = np.int64(2)
        if short:
            best = common_length(data, position, position - distance, best, limit)
        count = _keep(parse, count, best, distance)
    if short:
        return count, best
    farther = position + cycle - np.int64(table[third])
    if farther != distance and farther < cycle and data[position - farther] == data[position]:
        best, distance = np.int64(3), farther
        count = _keep(parse, count, best, distance)
    if count > 0:
        best = common_length(data, position, position - distance, best, limit)
        parse.matches[(1 - registers[reg.BANK]) * MATCH_ROWS + count - 1, 0] = best
    return count, best


@lean_kernel
def _follow_chain(
    parse: Parse, position: Integer, first: Integer, count: Integer, best: Integer, limit: Integer
) -> Integer:
    """Keep each match longer than ``best`` and all before it; return the number of matches (hc_find_func)."""
    registers, data, table = parse.registers, parse.data, parse.table
    cycle, sons = registers[reg.CYCLIC_SIZE], registers[reg.SON]
    slot = position % cycle
    _put(parse, sons + slot, first)
    candidate = first
    for _ in range(registers[reg.DEPTH]):
        distance = position + cycle - candidate
        if distance >= cycle:
            break
        there = position - distance
        candidate = np.int64(table[sons + slot - distance + (cycle if distance > slot else 0)])
        if data[there + best] == data[position + best] and data[there] == data[position]:
            length = common_length(data, position, there, ONE, limit)
            if length > best:
                best = length
                count = _keep(parse, count, length, distance)
                if length == limit:
                    break
    return count


@lean_kernel
def _split_tree(
    parse: Parse, position: Integer, first: Integer, count: Integer, best: Integer, limit: Integer
) -> Integer:
    """Make ``position`` the root; keep each match longer than ``best`` and all before it (bt_find_func).

    Where ``best`` is ``limit``, nothing is kept (bt_skip_func). Returns the number of matches, or -1 - number if some
    position agrees up to the limit.
    """
    registers, data, table = parse.registers, parse.data, parse.table
    cycle, sons = registers[reg.CYCLIC_SIZE], registers[reg.SON]
    slot = position % cycle
    # where the next smaller and the next larger position go (ptr1, ptr0), and how many bytes the last of either kind
    # agrees in
    smaller, larger = sons + 2 * slot, sons + 2 * slot + 1
    as_smaller, as_larger = ZERO, ZERO
    candidate = first
    for _ in range(registers[reg.DEPTH]):
        distance = position + cycle - candidate
        if distance >= cycle:
            break
        there = position - distance
        pair = sons + 2 * (slot - distance + (cycle if distance > slot else 0))
        length = min(as_smaller, as_larger)
        if data[there + length] == data[position + length]:
            length = common_length(data, position, there, length + 1, limit)
            if length > best:
                best = length
                count = _keep(parse, count, length, distance)
            if length == limit:
                _put(parse, smaller, np.int64(table[pair]))
                _put(parse, larger, np.int64(table[pair + 1]))
                return -1 - count
        if data[there + length] < data[position + length]:
            _put(parse, smaller, candidate)
            smaller, as_smaller = pair + 1, length
            candidate = np.int64(table[smaller])
        else:
            _put(parse, larger, candidate)
            larger, as_larger = pair, length
            candidate = np.int64(table[larger])
    _put(parse, larger, ZERO)
    _put(parse, smaller, ZERO)
    return count


@lean_kernel
def _mark_hashed(parse: Parse, position: Integer, mixed: Integer) -> None:
    """Mark the last bytes that are found by a search whose hash includes them.

    ``mixed`` is the hash of three bytes. The last byte is the third of them for HC3, and the fourth for the others.
    """
    short = parse.registers[reg.FINDER] == lzma.MF_HC3
    known = mixed ^ (np.int64(parse.data[position + 2]) << 8 if short else 0)
    for byte in range(256):
        mixed = known ^ (byte << 8 if short else _CRC[byte] << _CRC_SHIFT)
        bucket = (lzma.FIX_3_HASH_SIZE if short else lzma.FIX_4_HASH_SIZE) + (mixed & parse.registers[reg.HASH_MASK])
        mark_hashed(parse, position, np.int64(byte), np.int64(parse.table[bucket]))


@lean_kernel
def find(parse: Parse, seek: Integer) -> Integer:
    """Enter the position READ_POS, and keep its matches if ``seek`` (lzma_mf_find, else mf_skip).

    Returns False, and does nothing, if bytes to come matter. Matches come in ascending order of length and distance.
    """
    registers, data, table = parse.registers, parse.data, parse.table
    position, finder = registers[reg.READ_POS], registers[reg.FINDER]
    nice, cycle = registers[reg.NICE_LEN], registers[reg.CYCLIC_SIZE]
    ahead, hashed = registers[reg.SIZE] - position, finder & lzma.MF_HASH_BYTES
    if ahead < hashed:
        if not registers[reg.FINAL]:
            return False
        registers[reg.MATCHES_COUNT] = registers[reg.LONGEST] = 0
        registers[reg.READ_POS] = position + 1
        return True
    if not registers[reg.FINAL] and not registers[reg.SHARED]:
        registers[reg.ENTRIES] = 0
    limit, stored, entries = min(nice, ahead), position + cycle, registers[reg.ENTRIES]
    mixed, second, third, whole = _hashes(parse, position)
    if seek and registers[reg.WATCHED]:
        if ahead > hashed:
            mark_search(parse, position, np.int64(table[whole]))
        else:
            _mark_hashed(parse, position, mixed)
    count, best, first = ZERO, ZERO, np.int64(table[whole])
    if seek:
        count, best = _keep_nearest(parse, position, second, third, limit)
    if finder != lzma.MF_HC3:
        _put(parse, third, stored)
    _put(parse, second, stored)
    _put(parse, whole, stored)
    reached = best == limit
    if finder & lzma.MF_TREE:
        count = _split_tree(parse, position, first, count, max(best, 3) if seek and not reached else limit, limit)
        if count < 0:
            count, reached = -1 - count, True
    elif seek and not reached:
        count = _follow_chain(parse, position, first, count, max(best, hashed - 1), limit)
    else:
        _put(parse, registers[reg.SON] + position % cycle, first)
    longest, bank = ZERO, 1 - registers[reg.BANK]
    if count > 0:
        longest = np.int64(parse.matches[bank * MATCH_ROWS + count - 1, 0])
        reached = reached or longest == limit
        if longest == nice:
            back = np.int64(parse.matches[bank * MATCH_ROWS + count - 1, 1]) + 1
            longest = common_length(data, position, position - back, nice, min(ahead, lzma.MATCH_LEN_MAX))
    if not registers[reg.FINAL] and ((reached and limit < nice) or (longest == ahead and ahead < lzma.MATCH_LEN_MAX)):
        undo_entries(parse, entries)
        return False
    registers[reg.BANK], registers[reg.READ_POS] = bank, position + 1
    registers[reg.MATCHES_COUNT], registers[reg.LONGEST] = count, longest
    if seek and registers[reg.WATCHED]:
        mark_matches(parse)
    return True


@lean_kernel
def skip_to(parse: Parse, position: Integer) -> Integer:
    """Enter the positions before this one; return False if bytes to come matter."""
    while parse.registers[reg.READ_POS] < position:
        if not find(parse, ZERO):
            return False
    return True
