"""liblzma's optimal parse, presets 4 to 9 and all extreme ones (lzma_encoder_optimum_normal.c).

It is a shortest path through a segment of the data. A node is a number of bytes from the segment's beginning. An edge
is a literal, a match or a repeated match, or a sequence that ends with a literal and a match at the last distance.
Edges have the prices of the moment when the segment began. A segment ends at a node that no edge passes, or before a
match so long that it is taken at once.

A symbol takes at most 22 modelled bits, whose prices are at most 6.5 bits, and 26 direct bits: below 2^12 sixteenths of
a bit. A path has fewer than OPTS = 2^12 symbols, so prices are below 2^24, below RC_INFINITY_PRICE, and fit 32 bits.
"""

import numpy as np

from gencomp.bitstreams.lzma import constants as lzma
from gencomp.bitstreams.lzma import fields as field
from gencomp.bitstreams.lzma import layout
from gencomp.bitstreams.lzma import registers as reg
from gencomp.bitstreams.lzma.coder import code_symbol
from gencomp.bitstreams.lzma.parse_fast import OPEN_END
from gencomp.bitstreams.lzma.prices import (
    distance_price,
    length_price,
    literal_coder,
    literal_price,
    match_bit,
    price_0,
    price_1,
    rep_price,
    short_rep_price,
)
from gencomp.bitstreams.lzma.state import (
    LITERAL,
    MATCH_ROWS,
    ONE,
    ZERO,
    Parse,
    Words,
    after_literal,
    after_match,
    after_rep,
    after_short_rep,
    common_length,
)
from gencomp.bitstreams.similar_blocks import copy_to
from gencomp.compiled import Integer, fragment, lean_kernel


@fragment
def _offer(nodes: Words, node: Integer, price: Integer, origin: Integer, back: Integer) -> None:
    """Take an edge to ``node`` if it is cheaper than the best so far."""
    if price < nodes[node, field.PRICE]:
        nodes[node, field.PRICE], nodes[node, field.POS_PREV], nodes[node, field.BACK_PREV] = price, origin, back
        nodes[node, field.PREV_1_IS_LITERAL] = 0


@fragment
def _reach(parse: Parse, node: Integer) -> None:
    """Extend the segment as far as ``node``."""
    last = parse.registers[reg.LEN_END]
    while last < node:
        last += 1
        parse.nodes[last, field.PRICE] = lzma.RC_INFINITY_PRICE
    parse.registers[reg.LEN_END] = last


@fragment
def _measure_reps(parse: Parse, position: Integer) -> tuple[Integer, Integer]:
    """Write how many bytes each of the four last distances repeats into the BACKS of node 1, unused until its turn.

    Returns which repeats most, and how many bytes: 0 where none repeats two, OPEN_END where bytes to come may add to
    them.
    """
    registers, data, nodes = parse.registers, parse.data, parse.nodes
    ahead, which, repeated = registers[reg.SIZE] - position, ZERO, ZERO
    limit = min(ahead, lzma.MATCH_LEN_MAX)
    for rep in range(lzma.REPS):
        length = common_length(data, position, position - registers[reg.REPS + rep] - 1, ZERO, limit)
        if length == ahead and ahead < lzma.MATCH_LEN_MAX and not registers[reg.FINAL]:
            return LITERAL, OPEN_END
        nodes[0, field.BACKS + rep], nodes[1, field.BACKS + rep] = registers[reg.REPS + rep], length
        if length >= lzma.MATCH_LEN_MIN and length > repeated:
            which, repeated = np.int64(rep), length
    return which, repeated


@lean_kernel
def begin_segment(parse: Parse, position: Integer) -> tuple[Integer, Integer]:
    """Price the edges from a segment's beginning; return a symbol to be coded at once, if its length is not 0.

    A length of OPEN_END means that bytes to come matter.
    """
    registers, data, nodes, matches, model = parse.registers, parse.data, parse.nodes, parse.matches, parse.live
    ahead, nice, state = registers[reg.SIZE] - position, registers[reg.NICE_LEN], registers[reg.STATE]
    literal = LITERAL, np.int64(1)
    if ahead < lzma.MATCH_LEN_MIN:
        return (literal[0], OPEN_END) if not registers[reg.FINAL] else literal
    which, repeated = _measure_reps(parse, position)
    if repeated == OPEN_END or repeated >= nice:
        return which, repeated
    longest, first = registers[reg.LONGEST], registers[reg.BANK] * MATCH_ROWS
    if longest >= nice:
        return np.int64(matches[first + registers[reg.MATCHES_COUNT] - 1, 1]) + lzma.REPS, longest
    current, matched = np.int64(data[position]), np.int64(data[position - registers[reg.REPS] - 1])
    if longest < lzma.MATCH_LEN_MIN and repeated < lzma.MATCH_LEN_MIN and current != matched:
        return literal
    phase = position & registers[reg.PB_MASK]
    coder = literal_coder(registers, position, np.int64(data[position - 1]))
    decision = match_bit(state, phase)
    price = price_0(model, decision) + literal_price(model, coder, state, matched, current)
    back = LITERAL
    match_price = price_1(model, decision)
    rep_match_price = match_price + price_1(model, layout.IS_REP + state)
    if current == matched:
        short_price = rep_match_price + short_rep_price(model, state, phase)
        if short_price < price:
            price, back = short_price, np.int64(0)
    last = max(longest, repeated)
    if last < lzma.MATCH_LEN_MIN:
        return back, np.int64(1)
    nodes[0, field.STATE] = state
    nodes[1, field.PRICE], nodes[1, field.BACK_PREV] = price, back
    nodes[1, field.POS_PREV] = nodes[1, field.PREV_1_IS_LITERAL] = 0
    for node in range(2, last + 1):
        nodes[node, field.PRICE] = lzma.RC_INFINITY_PRICE
    for rep in range(lzma.REPS):
        price = rep_match_price + rep_price(model, np.int64(rep), state, phase)
        for length in range(np.int64(nodes[1, field.BACKS + rep]), 1, -1):
            _offer(nodes, length, price + length_price(model, registers, ONE, phase, length), ZERO, rep)
    price = match_price + price_0(model, layout.IS_REP + state)
    row = first
    for length in range(max(np.int64(2), np.int64(nodes[1, field.BACKS]) + 1), longest + 1):
        while matches[row, 0] < length:
            row += 1
        distance = np.int64(matches[row, 1])
        whole = price + distance_price(model, registers, distance, length, phase)
        _offer(nodes, length, whole, ZERO, distance + lzma.REPS)
    registers[reg.OPEN], registers[reg.SPLIT] = 1, 0
    registers[reg.BASE], registers[reg.CUR], registers[reg.LEN_END] = position, 1, last
    return literal[0], ZERO


@lean_kernel
def _arrive(nodes: Words, node: Integer) -> Integer:
    """Set the state and the last distances at ``node`` from the best way there; return the state."""
    origin, back = np.int64(nodes[node, field.POS_PREV]), np.int64(nodes[node, field.BACK_PREV])
    if nodes[node, field.PREV_1_IS_LITERAL]:
        if nodes[node, field.PREV_2]:
            origin, first = np.int64(nodes[node, field.POS_PREV_2]), np.int64(nodes[node, field.BACK_PREV_2])
            state = np.int64(nodes[origin, field.STATE])
            state = after_rep(state) if first < lzma.REPS else after_match(state)
            back = first  # the rep after the literal changes no distance
        else:
            origin -= 1
            state = np.int64(nodes[origin, field.STATE])
        state = after_rep(after_literal(state))
    else:
        state = np.int64(nodes[origin, field.STATE])
        if origin == node - 1:
            state = after_short_rep(state) if back == 0 else after_literal(state)
            back = np.int64(0)
        else:
            state = after_rep(state) if back < lzma.REPS else after_match(state)
    nodes[node, field.STATE] = state
    if back < lzma.REPS:
        nodes[node, field.BACKS] = nodes[origin, field.BACKS + back]
        for i in range(1, lzma.REPS):
            nodes[node, field.BACKS + i] = nodes[origin, field.BACKS + (i - 1 if i <= back else i)]
    else:
        nodes[node, field.BACKS] = back - lzma.REPS
        for i in range(1, lzma.REPS):
            nodes[node, field.BACKS + i] = nodes[origin, field.BACKS + i - 1]
    return state


@lean_kernel
def _is_open(parse: Parse, node: Integer, position: Integer) -> Integer:
    """Tell whether bytes to come could matter to the edges from ``node``; in doubt, it says so."""
    registers, data = parse.registers, parse.data
    ahead = registers[reg.SIZE] - position
    if registers[reg.FINAL] or ahead > 2 * registers[reg.NICE_LEN] + 2:
        return False
    if ahead < lzma.MATCH_LEN_MIN:
        return True
    for rep in range(lzma.REPS):
        there = position - np.int64(parse.nodes[node, field.BACKS + rep]) - 1
        length = common_length(data, position, there, ZERO, ahead)
        if length == ahead:
            return True
        if (length >= lzma.MATCH_LEN_MIN or (rep == 0 and length == 0)) and (
            common_length(data, position, there, length + 1, ahead) == ahead
        ):
            return True
    first = registers[reg.BANK] * MATCH_ROWS
    for row in range(first, first + registers[reg.MATCHES_COUNT]):
        there = position - np.int64(parse.matches[row, 1]) - 1
        if common_length(data, position, there, np.int64(parse.matches[row, 0]) + 1, ahead) == ahead:
            return True
    return False


@lean_kernel
def _try_rep_after(
    parse: Parse,
    model: Words,
    node: Integer,
    distance: Integer,
    length: Integer,
    room: Integer,
    price: Integer,
    state: Integer,
    back: Integer,
) -> None:
    """Offer a match of ``length``, then a literal, then a repeated match at the same distance.

    ``distance`` is less one. ``price`` and ``state`` are those after the match; ``room`` is how many bytes an edge may
    span.
    """
    registers, data = parse.registers, parse.data
    position = registers[reg.BASE] + node
    there, limit = position - distance - 1, min(room, length + 1 + registers[reg.NICE_LEN])
    end = length + 1
    if end < limit:
        end = common_length(data, position, there, end, limit)
    again = end - length - 1
    if again < lzma.MATCH_LEN_MIN:
        return
    after, phase_mask = position + length, registers[reg.PB_MASK]
    coder = literal_coder(registers, after, np.int64(data[after - 1]))
    price += price_0(model, match_bit(state, after & phase_mask))
    price += literal_price(model, coder, state, np.int64(data[there + length]), np.int64(data[after]))
    _offer_rep(parse, model, node + length + 1, again, price, after_literal(state), node, back)


@lean_kernel
def _offer_rep(
    parse: Parse,
    model: Words,
    node: Integer,
    length: Integer,
    price: Integer,
    state: Integer,
    origin: Integer,
    back: Integer,
) -> None:
    """Offer a match at the last distance from ``node``, reached by a literal after the edge ``back`` from ``origin``.

    If ``back`` is LITERAL, that is the literal itself.
    """
    registers, nodes = parse.registers, parse.nodes
    phase = (registers[reg.BASE] + node) & registers[reg.PB_MASK]
    price += price_1(model, match_bit(state, phase)) + price_1(model, layout.IS_REP + state)
    price += rep_price(model, ZERO, state, phase) + length_price(model, registers, ONE, phase, length)
    end = node + length
    _reach(parse, end)
    if price < nodes[end, field.PRICE]:
        nodes[end, field.PRICE], nodes[end, field.POS_PREV], nodes[end, field.BACK_PREV] = price, node, 0
        nodes[end, field.PREV_1_IS_LITERAL], nodes[end, field.PREV_2] = 1, back != LITERAL
        nodes[end, field.POS_PREV_2], nodes[end, field.BACK_PREV_2] = origin, back


@lean_kernel
def leave(parse: Parse, model: Words, node: Integer) -> Integer:
    """Price the edges from ``node`` (helper2); return False, and price none, if bytes to come matter."""
    registers, data, nodes = parse.registers, parse.data, parse.nodes
    state = _arrive(nodes, node)
    position = registers[reg.BASE] + node
    if _is_open(parse, node, position):
        return False
    nice, phase = registers[reg.NICE_LEN], position & registers[reg.PB_MASK]
    room = min(registers[reg.SIZE] - position, lzma.OPTS - 1 - node)
    rep0 = np.int64(nodes[node, field.BACKS])
    current, matched = np.int64(data[position]), np.int64(data[position - rep0 - 1])
    so_far, decision = np.int64(nodes[node, field.PRICE]), match_bit(state, phase)
    coder = literal_coder(registers, position, np.int64(data[position - 1]))
    with_literal = so_far + price_0(model, decision) + literal_price(model, coder, state, matched, current)
    following = node + 1
    by_one = False
    if with_literal < nodes[following, field.PRICE]:
        _offer(nodes, following, with_literal, node, LITERAL)
        by_one = True
    match_price = so_far + price_1(model, decision)
    rep_match_price = match_price + price_1(model, layout.IS_REP + state)
    if current == matched and not (nodes[following, field.POS_PREV] < node and nodes[following, field.BACK_PREV] == 0):
        short_price = rep_match_price + short_rep_price(model, state, phase)
        if short_price <= nodes[following, field.PRICE]:
            nodes[following, field.PRICE], nodes[following, field.POS_PREV] = short_price, node
            nodes[following, field.BACK_PREV] = nodes[following, field.PREV_1_IS_LITERAL] = 0
            by_one = True
    if room < lzma.MATCH_LEN_MIN:
        return True
    reach = min(room, nice)
    if not by_one and current != matched:
        there = position - rep0 - 1
        length = common_length(data, position, there, ONE, min(room, nice + 1)) - 1
        if length >= lzma.MATCH_LEN_MIN:
            _offer_rep(parse, model, following, length, with_literal, after_literal(state), node, LITERAL)
    shortest = np.int64(lzma.MATCH_LEN_MIN)  # matches must be longer than a repetition at the last distance
    for rep in range(lzma.REPS):
        distance = np.int64(nodes[node, field.BACKS + rep])
        longest = common_length(data, position, position - distance - 1, ZERO, reach)
        if longest < lzma.MATCH_LEN_MIN:
            continue
        _reach(parse, node + longest)
        price = rep_match_price + rep_price(model, np.int64(rep), state, phase)
        for length in range(longest, 1, -1):
            _offer(nodes, node + length, price + length_price(model, registers, ONE, phase, length), node, rep)
        if rep == 0:
            shortest = longest + 1
        price += length_price(model, registers, ONE, phase, longest)
        _try_rep_after(parse, model, node, distance, longest, room, price, after_rep(state), np.int64(rep))
    if min(registers[reg.LONGEST], reach) >= shortest:
        price = match_price + price_0(model, layout.IS_REP + state)
        _offer_matches(parse, model, node, shortest, room, price, state)
    return True


@fragment
def _offer_matches(
    parse: Parse, model: Words, node: Integer, shortest: Integer, room: Integer, price: Integer, state: Integer
) -> None:
    """Offer the matches at ``node`` of ``shortest`` bytes or more, with edges of at most ``room`` bytes.

    ``price`` is that of the way to the node and of being a match, ``state`` that of the node.
    """
    registers, nodes, matches = parse.registers, parse.nodes, parse.matches
    longest = min(registers[reg.LONGEST], room, registers[reg.NICE_LEN])
    phase = (registers[reg.BASE] + node) & registers[reg.PB_MASK]
    _reach(parse, node + longest)
    row = registers[reg.BANK] * MATCH_ROWS
    for length in range(shortest, longest + 1):
        while matches[row, 0] < length:
            row += 1
        distance = np.int64(matches[row, 1])
        whole = price + distance_price(model, registers, distance, length, phase)
        _offer(nodes, node + length, whole, node, distance + lzma.REPS)
        if length == min(np.int64(matches[row, 0]), longest):
            _try_rep_after(parse, model, node, distance, length, room, whole, after_match(state), distance + lzma.REPS)


@fragment
def _origin(nodes: Words, node: Integer) -> Integer:
    """Return the node where the last edge of the way to ``node`` begins."""
    if nodes[node, field.PREV_1_IS_LITERAL] == 0:
        return np.int64(nodes[node, field.POS_PREV])
    return np.int64(nodes[node, field.POS_PREV_2])


@lean_kernel
def code_way(parse: Parse, end: Integer) -> None:
    """Code the symbols from the coder's position to node ``end`` (backward, and the calls after it)."""
    registers, nodes, path = parse.registers, parse.nodes, parse.path
    node, begin, symbols = np.int64(end), registers[reg.POSITION] - registers[reg.BASE], 0
    while node > begin:
        origin = np.int64(nodes[node, field.POS_PREV])
        path[symbols, 0], path[symbols, 1] = nodes[node, field.BACK_PREV], node - origin
        symbols += 1
        if nodes[node, field.PREV_1_IS_LITERAL]:
            path[symbols, 0], path[symbols, 1] = LITERAL, 1
            symbols += 1
            if nodes[node, field.PREV_2]:
                path[symbols, 0], path[symbols, 1] = (
                    nodes[node, field.BACK_PREV_2],
                    origin - 1 - nodes[node, field.POS_PREV_2],
                )
                symbols += 1
            origin = np.int64(nodes[node, field.POS_PREV_2])
        node = origin
    for i in range(symbols - 1, -1, -1):
        code_symbol(parse, np.int64(path[i, 0]), np.int64(path[i, 1]))


@lean_kernel
def _common_node(parse: Parse) -> Integer:
    """Return the last node that all ways lead through, whatever is to come."""
    registers, nodes, path = parse.registers, parse.nodes, parse.path
    ways = 0  # nodes marked in path, which some way leads through; those after ``node`` are traced back already
    for node in range(registers[reg.POSITION] - registers[reg.BASE], registers[reg.LEN_END] + 1):
        path[node, 0] = node >= registers[reg.CUR] and nodes[node, field.PRICE] < lzma.RC_INFINITY_PRICE
        ways += path[node, 0]
    node = registers[reg.LEN_END]
    while ways > 1 or not path[node, 0]:
        if path[node, 0]:
            origin = nodes[node, field.POS_PREV_2 if nodes[node, field.PREV_1_IS_LITERAL] else field.POS_PREV]
            ways -= path[origin, 0]
            path[origin, 0] = 1
        node -= 1
    return node


@lean_kernel
def code_common(parse: Parse) -> None:
    """Code what all ways through the open segment have in common at the beginning."""
    registers = parse.registers
    if not registers[reg.OPEN]:
        return
    node = _common_node(parse)
    if node > registers[reg.POSITION] - registers[reg.BASE]:
        if not registers[reg.SPLIT]:
            copy_to(parse.frozen, parse.live)
            registers[reg.SPLIT] = 1
        code_way(parse, node)
