"""Which next bytes are all parsed alike: as a literal, after a parse that does not depend on them.

Most next bytes continue no earlier match, so one parse, with one of them, stands for all. Wherever the parse compares
the last byte, it is with a byte at a distance that the parse has met. Those bytes are marked as unlike, and each is
parsed for itself. In a tree, how the last byte sorts decides which nodes are visited below the first that agrees with
all known bytes; but none of them has a longer match, unless the byte is marked.
"""

import numpy as np

from gencomp.bitstreams.lzma import constants as lzma
from gencomp.bitstreams.lzma import fields as field
from gencomp.bitstreams.lzma import registers as reg
from gencomp.bitstreams.lzma.state import MATCH_ROWS, ZERO, Parse, common_length
from gencomp.compiled import Integer, fragment, lean_kernel

NONE_ALIKE = 256  # place in Parse.unlike: 1 if no byte stands for others
_MOST_VISITS = 400  # of a tree's nodes; beyond, each last byte is parsed for itself


@fragment
def _mark(parse: Parse, distance: Integer) -> None:
    """Mark the last byte that would continue a match at this distance."""
    parse.unlike[parse.data[parse.registers[reg.STOP] - distance]] = 1


@lean_kernel
def mark_matches(parse: Parse) -> None:
    """Mark the bytes that would continue the matches found last."""
    first = parse.registers[reg.BANK] * MATCH_ROWS
    for row in range(first, first + parse.registers[reg.MATCHES_COUNT]):
        _mark(parse, np.int64(parse.matches[row, 1]) + 1)


@lean_kernel
def mark_known(parse: Parse) -> None:
    """Clear all marks, then mark the bytes that would continue at distances known before the parse."""
    registers, nodes = parse.registers, parse.nodes
    for byte in range(len(parse.unlike)):
        parse.unlike[byte] = 0
    mark_matches(parse)
    for rep in range(lzma.REPS):
        _mark(parse, registers[reg.REPS + rep] + 1)
    if not registers[reg.OPEN]:
        return
    for node in range(registers[reg.POSITION] - registers[reg.BASE], registers[reg.LEN_END] + 1):
        if node < registers[reg.CUR]:
            for rep in range(lzma.REPS):
                _mark(parse, np.int64(nodes[node, field.BACKS + rep]) + 1)
        elif nodes[node, field.PRICE] < lzma.RC_INFINITY_PRICE:
            back = np.int64(nodes[node, field.BACK_PREV])
            if back >= lzma.REPS:
                _mark(parse, back - lzma.REPS + 1)
            if nodes[node, field.PREV_1_IS_LITERAL] and nodes[node, field.PREV_2]:
                back = np.int64(nodes[node, field.BACK_PREV_2])
                if back >= lzma.REPS:
                    _mark(parse, back - lzma.REPS + 1)


@lean_kernel
def _is_found(parse: Parse, position: Integer, first: Integer, limit: Integer) -> Integer:
    """Tell whether a search would meet a candidate that agrees in ``limit`` bytes."""
    registers, data, table = parse.registers, parse.data, parse.table
    cycle, sons, tree = registers[reg.CYCLIC_SIZE], registers[reg.SON], registers[reg.FINDER] & lzma.MF_TREE
    slot, candidate = position % cycle, first
    for _ in range(registers[reg.DEPTH]):
        distance = position + cycle - candidate
        if distance >= cycle:
            break
        there = position - distance
        before = slot - distance + (cycle if distance > slot else 0)
        length = common_length(data, position, there, ZERO, limit)
        if length == limit:
            return True
        if tree:
            larger = data[there + length] < data[position + length]
            candidate = np.int64(table[sons + 2 * before + np.int64(larger)])
        else:
            candidate = np.int64(table[sons + before])
    return False


@lean_kernel
def _mark_chain(parse: Parse, position: Integer, first: Integer, known: Integer) -> None:
    """Mark the byte after each occurrence of the ``known`` bytes in the chain."""
    registers = parse.registers
    cycle, sons = registers[reg.CYCLIC_SIZE], registers[reg.SON]
    slot, candidate = position % cycle, first
    for _ in range(registers[reg.DEPTH]):
        distance = position + cycle - candidate
        if distance >= cycle:
            return
        if common_length(parse.data, position, position - distance, ZERO, known) == known:
            _mark(parse, distance)
        candidate = np.int64(parse.table[sons + slot - distance + (cycle if distance > slot else 0)])


@lean_kernel
def _mark_tree(parse: Parse, position: Integer, first: Integer, known: Integer) -> None:
    """Mark the byte after each occurrence of the ``known`` bytes in the tree."""
    registers, data, table, stack = parse.registers, parse.data, parse.table, parse.path
    cycle, sons, slot = registers[reg.CYCLIC_SIZE], registers[reg.SON], position % registers[reg.CYCLIC_SIZE]
    waiting, visits = np.int64(1), 0
    stack[0, 0] = first
    while waiting > 0:
        waiting -= 1
        distance = position + cycle - np.int64(stack[waiting, 0])
        if distance >= cycle:
            continue
        visits += 1
        if visits > _MOST_VISITS:
            parse.unlike[NONE_ALIKE] = 1
            return
        there = position - distance
        pair = sons + 2 * (slot - distance + (cycle if distance > slot else 0))
        length = common_length(data, position, there, ZERO, known)
        if length == known:
            _mark(parse, distance)
        if length == known or data[there + length] > data[position + length]:
            stack[waiting, 0] = table[pair]
            waiting += 1
        if length == known or data[there + length] < data[position + length]:
            stack[waiting, 0] = table[pair + 1]
            waiting += 1


@lean_kernel
def mark_search(parse: Parse, position: Integer, first: Integer) -> None:
    """Mark the last bytes with which a search at ``position``, from its candidate ``first``, would find more."""
    registers = parse.registers
    known = registers[reg.STOP] - position
    # where a candidate lies that this parse entered depends on the last byte
    if first >= registers[reg.TAIL] + registers[reg.CYCLIC_SIZE]:
        parse.unlike[NONE_ALIKE] = 1
    elif known >= registers[reg.NICE_LEN]:
        return
    elif registers[reg.FINDER] & lzma.MF_TREE:
        _mark_tree(parse, position, first, known)
    else:
        _mark_chain(parse, position, first, known)


@lean_kernel
def mark_hashed(parse: Parse, position: Integer, byte: Integer, first: Integer) -> None:
    """Mark ``byte``, the last one hashed, if the search from its own first candidate, ``first``, finds it."""
    registers = parse.registers
    kept = parse.data[registers[reg.STOP]]
    parse.data[registers[reg.STOP]] = byte
    entered_now = first >= registers[reg.TAIL] + registers[reg.CYCLIC_SIZE]
    if entered_now or _is_found(parse, position, first, registers[reg.FINDER] & lzma.MF_HASH_BYTES):
        parse.unlike[byte] = 1
    parse.data[registers[reg.STOP]] = kept
