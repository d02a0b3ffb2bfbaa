"""How liblzma looks for matches: hashes of two, three and four bytes, chains (HC3, HC4) or binary trees (BT4).

A chain links the positions of one hash, the newest first. A tree holds them sorted by what follows them, the newest at
the root: who looks up a position makes it the root, and splits what was there into what is smaller and what is larger.
"""

import numpy as np

from gencomp.bitstreams.lzma.alike import mark_hashed, mark_matches, mark_search
from gencomp.bitstreams.lzma.state import (
    BANK,
    COUNT,
    CYCLE,
    DEPTH,
    ENTRIES,
    FINAL,
    FINDER,
    HASH_3_AT,
    HASH_4_AT,
    HASH_BYTES,
    HC3,
    LONGEST,
    LONGEST_MATCH,
    MASK,
    MATCH_ROWS,
    NICE,
    ONE,
    READ,
    SHARED,
    SIZE,
    SONS,
    TREE,
    WATCHED,
    ZERO,
    Parse,
    common_length,
)
from gencomp.compiled import Integer, fragment, lean_kernel
from gencomp.protocols import IntArray


def _crc_table() -> IntArray:
    """Return the table of CRC-32 (polynomial 0xEDB88320, the lowest bit first), int64 (256,)."""
    table = np.arange(256, dtype=np.int64)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ 0xEDB88320, table >> 1)
    return table


_CRC = _crc_table()


@fragment
def _put(parse: Parse, place: Integer, value: Integer) -> None:
    """Enter ``value`` in the table, and note that in the log."""
    entry, log = parse.registers[ENTRIES], parse.log
    log[entry, 0], log[entry, 1], log[entry, 2] = place, parse.table[place], value
    parse.registers[ENTRIES] = entry + 1
    parse.table[place] = value


@lean_kernel
def undo_entries(parse: Parse, first: Integer) -> None:
    """Take back the entries from ``first`` on."""
    log = parse.log
    for entry in range(parse.registers[ENTRIES] - 1, first - 1, -1):
        parse.table[log[entry, 0]] = log[entry, 1]
    parse.registers[ENTRIES] = first


@fragment
def _keep(parse: Parse, count: Integer, length: Integer, distance: Integer) -> Integer:
    row = (1 - parse.registers[BANK]) * MATCH_ROWS + count
    parse.matches[row, 0], parse.matches[row, 1] = length, distance - 1
    return count + 1


@lean_kernel
def _follow_chain(
    parse: Parse, position: Integer, first: Integer, count: Integer, best: Integer, limit: Integer
) -> Integer:
    """Keep each match longer than ``best`` and all before it; return their number (hc_find_func)."""
    registers, data, table = parse.registers, parse.data, parse.table
    cycle, sons = registers[CYCLE], registers[SONS]
    slot = position % cycle
    _put(parse, sons + slot, first)
    candidate = first
    for _ in range(registers[DEPTH]):
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
    """Make ``position`` the root; keep each match longer than ``best`` and all before it; return their number.

    liblzma's bt_find_func, and bt_skip_func where ``best`` is ``limit``. Returns -1 - count if some agree up to the
    limit.
    """
    registers, data, table = parse.registers, parse.data, parse.table
    cycle, sons = registers[CYCLE], registers[SONS]
    slot = position % cycle
    smaller = sons + 2 * slot  # where the next smaller one goes (ptr1),
    larger = smaller + 1  # and the next larger one (ptr0)
    as_smaller, as_larger = np.int64(0), np.int64(0)  # bytes that the last of them agrees with
    candidate = first
    for _ in range(registers[DEPTH]):
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
    """Mark the bytes that a search finds which has them in its hash, ``mixed`` from three bytes."""
    short = parse.registers[FINDER] == HC3  # so that the third is the one
    known = mixed ^ (np.int64(parse.data[position + 2]) << 8 if short else 0)
    for byte in range(256):
        mixed = known ^ (byte << 8 if short else _CRC[byte] << 5)
        bucket = (HASH_3_AT if short else HASH_4_AT) + (mixed & parse.registers[MASK])
        mark_hashed(parse, position, np.int64(byte), np.int64(parse.table[bucket]))


@lean_kernel
def find(parse: Parse, seek: Integer) -> Integer:
    """Enter the position READ, and keep its matches if ``seek``; return False, and do nothing, where bytes to come
    matter.

    Matches grow in length and distance. liblzma's lzma_mf_find with ``seek``, else mf_skip.
    """
    registers, data, table = parse.registers, parse.data, parse.table
    position, finder, nice, cycle = registers[READ], registers[FINDER], registers[NICE], registers[CYCLE]
    ahead, hashed = registers[SIZE] - position, finder & HASH_BYTES
    if ahead < hashed:
        if not registers[FINAL]:
            return False
        registers[COUNT] = registers[LONGEST] = 0
        registers[READ] = position + 1
        return True
    if not registers[FINAL] and not registers[SHARED]:
        registers[ENTRIES] = 0
    limit, stored, entries = min(nice, ahead), position + cycle, registers[ENTRIES]
    mixed = _CRC[data[position]] ^ np.int64(data[position + 1])
    second = mixed & (HASH_3_AT - 1)
    mixed ^= np.int64(data[position + 2]) << 8
    third, whole = HASH_3_AT, HASH_3_AT + (mixed & registers[MASK])
    if finder != HC3:
        third += mixed & (HASH_4_AT - HASH_3_AT - 1)
        whole = HASH_4_AT + ((mixed ^ (_CRC[data[position + 3]] << 5)) & registers[MASK])
    if seek and registers[WATCHED]:
        if ahead > hashed:
            mark_search(parse, position, np.int64(table[whole]))
        else:
            _mark_hashed(parse, position, mixed)
    distance, first = stored - np.int64(table[second]), np.int64(table[whole])
    count, best = np.int64(0), np.int64(0)
    if seek and distance < cycle and data[position - distance] == data[position]:
        best = common_length(data, position, position - distance, np.int64(2), limit) if finder == HC3 else np.int64(2)
        count = _keep(parse, count, best, distance)
    if finder != HC3:
        farther = stored - np.int64(table[third])
        if seek and farther != distance and farther < cycle and data[position - farther] == data[position]:
            count = _keep(parse, count, np.int64(3), farther)
            best, distance = np.int64(3), farther
        if count > 0:
            best = common_length(data, position, position - distance, best, limit)
            parse.matches[(1 - registers[BANK]) * MATCH_ROWS + count - 1, 0] = best
        _put(parse, third, stored)
    _put(parse, second, stored)
    _put(parse, whole, stored)
    reached = best == limit
    if finder & TREE:
        count = _split_tree(parse, position, first, count, max(best, 3) if seek and not reached else limit, limit)
        if count < 0:
            count, reached = -1 - count, True
    elif seek and not reached:
        count = _follow_chain(parse, position, first, count, max(best, hashed - 1), limit)
    else:
        _put(parse, registers[SONS] + position % cycle, first)
    longest, bank = ZERO, 1 - registers[BANK]
    if count > 0:
        longest = np.int64(parse.matches[bank * MATCH_ROWS + count - 1, 0])
        reached = reached or longest == limit
        if longest == nice:
            back = np.int64(parse.matches[bank * MATCH_ROWS + count - 1, 1]) + 1
            longest = common_length(data, position, position - back, nice, min(ahead, LONGEST_MATCH))
    if not registers[FINAL] and ((reached and limit < nice) or (longest == ahead and ahead < LONGEST_MATCH)):
        undo_entries(parse, entries)
        return False
    registers[BANK], registers[COUNT], registers[LONGEST], registers[READ] = bank, count, longest, position + 1
    if seek and registers[WATCHED]:
        mark_matches(parse)
    return True


@lean_kernel
def skip_to(parse: Parse, position: Integer) -> Integer:
    """Enter positions up to this one; return False where bytes to come matter."""
    while parse.registers[READ] < position:
        if not find(parse, ZERO):
            return False
    return True
