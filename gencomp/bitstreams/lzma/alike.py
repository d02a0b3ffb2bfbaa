"""Which next bytes are all parsed alike: as a literal, after a parse that does not depend on them.

Most next bytes go on with nothing that was there before. One parse, with one of them, then stands for all: where a
byte has been compared, it was with what follows an earlier place, at a distance that the parse has met. Those bytes
are marked as unlike, and parsed each for itself. How such a byte sorts in a tree decides what else is looked at below
the first place that agrees with all of the known bytes; no longer match is there, unless the byte is marked.
"""

import numpy as np

from gencomp.bitstreams.lzma import constants as lzma
from gencomp.bitstreams.lzma import fields as field
from gencomp.bitstreams.lzma import registers as reg
from gencomp.bitstreams.lzma.state import MATCH_ROWS, ZERO, Parse, common_length
from gencomp.compiled import Integer, fragment, lean_kernel

NONE_ALIKE = 256  # in Parse.unlike, 1 where no byte stands for others
_MOST_VISITS = 400  # of a tree's nodes: where more have the known bytes, each last byte is parsed for itself


@fragment
def _mark(parse: Parse, distance: Integer) -> None:
    """Mark the byte that a match at this distance goes on with."""
    parse.unlike[parse.data[parse.registers[reg.STOP] - distance]] = 1


@lean_kernel
def mark_matches(parse: Parse) -> None:
    """Mark what the matches found last go on with."""
    first = parse.registers[reg.BANK] * MATCH_ROWS
    for row in range(first, first + parse.registers[reg.MATCHES_COUNT]):
        _mark(parse, np.int64(parse.matches[row, 1]) + 1)


@lean_kernel
def mark_known(parse: Parse) -> None:
    """Mark, of all bytes, those that distances known before the parse go on with."""
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
    """Tell whether ``limit`` bytes occur among the candidates that a search would look at."""
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
    """Mark what follows the ``known`` bytes wherever the chain has them."""
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
    """Mark what follows the ``known`` bytes wherever the tree has them."""
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
    # a candidate that this parse entered is in a place that the byte decides
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
    """Mark ``byte``, the last that is hashed, if the search from its own candidate ``first`` finds it."""
    registers = parse.registers
    kept = parse.data[registers[reg.STOP]]
    parse.data[registers[reg.STOP]] = byte
    entered_now = first >= registers[reg.TAIL] + registers[reg.CYCLIC_SIZE]
    if entered_now or _is_found(parse, position, first, registers[reg.FINDER] & lzma.MF_HASH_BYTES):
        parse.unlike[byte] = 1
    parse.data[registers[reg.STOP]] = kept
