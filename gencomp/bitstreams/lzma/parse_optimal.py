"""liblzma's optimal parse, presets 4 to 9 and all extreme ones (lzma_encoder_optimum_normal.c).

A shortest path through a segment of the data: a node is a number of bytes, an edge a literal, a match, a repeated
match, or one of these with a literal and a match at the last distance after it. Edges have the prices of the moment
when the segment began. A segment ends where no edge goes beyond, or before a match that is taken at once.
"""

import numpy as np

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
    AFTER_LITERAL,
    AFTER_MATCH,
    BACK,
    BANK,
    BASE,
    COUNT,
    FINAL,
    FROM,
    INFINITE,
    IS_REP,
    LAST,
    LITERAL,
    LONGEST,
    LONGEST_MATCH,
    MATCH_BACK,
    MATCH_FROM,
    MATCH_ROWS,
    NICE,
    NODE,
    NODE_REP,
    NODE_STATE,
    NODES,
    ONE,
    OPEN,
    PB_MASK,
    POSITION,
    PRICE,
    REP,
    REPS,
    SHORTEST,
    SIZE,
    SPLIT,
    STATE,
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
    """Take an edge to ``node`` if it is cheaper than what there is."""
    if price < nodes[node, PRICE]:
        nodes[node, PRICE], nodes[node, FROM], nodes[node, BACK] = price, origin, back
        nodes[node, AFTER_LITERAL] = 0


@fragment
def _reach(parse: Parse, node: Integer) -> None:
    """Make the segment reach as far as ``node``."""
    last = parse.registers[LAST]
    while last < node:
        last += 1
        parse.nodes[last, PRICE] = INFINITE
    parse.registers[LAST] = last


@lean_kernel
def begin_segment(parse: Parse, position: Integer) -> tuple[Integer, Integer]:
    """Price the edges from a segment's beginning; return a symbol to be coded at once, if its length is not 0.

    OPEN_END in place of its length means that bytes to come matter.
    """
    registers, data, nodes, matches, model = parse.registers, parse.data, parse.nodes, parse.matches, parse.live
    ahead, nice, state = registers[SIZE] - position, registers[NICE], registers[STATE]
    limit = min(ahead, LONGEST_MATCH)
    literal = LITERAL, np.int64(1)
    if ahead < SHORTEST:
        return (literal[0], OPEN_END) if not registers[FINAL] else literal
    which, repeated = np.int64(0), np.int64(0)
    for rep in range(REPS):
        length = common_length(data, position, position - registers[REP + rep] - 1, ZERO, limit)
        if length == ahead and ahead < LONGEST_MATCH and not registers[FINAL]:
            return literal[0], OPEN_END
        nodes[0, NODE_REP + rep] = registers[REP + rep]
        nodes[1, NODE_REP + rep] = length  # for a moment
        if length >= SHORTEST and length > repeated:
            which, repeated = np.int64(rep), length
    if repeated >= nice:
        return which, repeated
    longest, first = registers[LONGEST], registers[BANK] * MATCH_ROWS
    if longest >= nice:
        return np.int64(matches[first + registers[COUNT] - 1, 1]) + REPS, longest
    current, matched = np.int64(data[position]), np.int64(data[position - registers[REP] - 1])
    if longest < SHORTEST and repeated < SHORTEST and current != matched:
        return literal
    phase = position & registers[PB_MASK]
    coder = literal_coder(registers, position, np.int64(data[position - 1]))
    decision = match_bit(state, phase)
    price = price_0(model, decision) + literal_price(model, coder, state, matched, current)
    back = LITERAL
    match_price = price_1(model, decision)
    rep_match_price = match_price + price_1(model, IS_REP + state)
    if current == matched:
        short_price = rep_match_price + short_rep_price(model, state, phase)
        if short_price < price:
            price, back = short_price, np.int64(0)
    last = max(longest, repeated)
    if last < SHORTEST:
        return back, np.int64(1)
    nodes[0, NODE_STATE] = state
    nodes[1, PRICE], nodes[1, BACK], nodes[1, FROM], nodes[1, AFTER_LITERAL] = price, back, 0, 0
    for node in range(2, last + 1):
        nodes[node, PRICE] = INFINITE
    for rep in range(REPS):
        price = rep_match_price + rep_price(model, np.int64(rep), state, phase)
        for length in range(np.int64(nodes[1, NODE_REP + rep]), 1, -1):
            _offer(nodes, length, price + length_price(model, registers, ONE, phase, length), ZERO, rep)
    price = match_price + price_0(model, IS_REP + state)
    row = first
    for length in range(max(np.int64(2), np.int64(nodes[1, NODE_REP]) + 1), longest + 1):
        while matches[row, 0] < length:
            row += 1
        distance = np.int64(matches[row, 1])
        _offer(nodes, length, price + distance_price(model, registers, distance, length, phase), ZERO, distance + REPS)
    registers[OPEN], registers[SPLIT] = 1, 0
    registers[BASE], registers[NODE], registers[LAST] = position, 1, last
    return literal[0], ZERO


@lean_kernel
def _arrive(nodes: Words, node: Integer) -> Integer:
    """Set state and last distances at ``node`` from the way that leads there; return the state."""
    origin, back = np.int64(nodes[node, FROM]), np.int64(nodes[node, BACK])
    if nodes[node, AFTER_LITERAL]:
        if nodes[node, AFTER_MATCH]:
            origin, first = np.int64(nodes[node, MATCH_FROM]), np.int64(nodes[node, MATCH_BACK])
            state = np.int64(nodes[origin, NODE_STATE])
            state = after_rep(state) if first < REPS else after_match(state)
            back = first  # the rep after the literal changes no distance
        else:
            origin -= 1
            state = np.int64(nodes[origin, NODE_STATE])
        state = after_rep(after_literal(state))
    else:
        state = np.int64(nodes[origin, NODE_STATE])
        if origin == node - 1:
            state = after_short_rep(state) if back == 0 else after_literal(state)
            back = np.int64(0)
        else:
            state = after_rep(state) if back < REPS else after_match(state)
    nodes[node, NODE_STATE] = state
    if back < REPS:
        nodes[node, NODE_REP] = nodes[origin, NODE_REP + back]
        for i in range(1, REPS):
            nodes[node, NODE_REP + i] = nodes[origin, NODE_REP + (i - 1 if i <= back else i)]
    else:
        nodes[node, NODE_REP] = back - REPS
        for i in range(1, REPS):
            nodes[node, NODE_REP + i] = nodes[origin, NODE_REP + i - 1]
    return state


@lean_kernel
def _is_open(parse: Parse, node: Integer, position: Integer) -> Integer:
    """Tell whether bytes to come could matter to the edges from ``node``; it may say so too early."""
    registers, data = parse.registers, parse.data
    ahead = registers[SIZE] - position
    if registers[FINAL] or ahead > 2 * registers[NICE] + 2:
        return False
    if ahead < SHORTEST:
        return True
    for rep in range(REPS):
        there = position - np.int64(parse.nodes[node, NODE_REP + rep]) - 1
        length = common_length(data, position, there, ZERO, ahead)
        if length == ahead:
            return True
        if (length >= SHORTEST or (rep == 0 and length == 0)) and (
            common_length(data, position, there, length + 1, ahead) == ahead
        ):
            return True
    first = registers[BANK] * MATCH_ROWS
    for row in range(first, first + registers[COUNT]):
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
    """Offer a match of ``length``, then a literal, then a repeated match at the same distance, less one.

    ``price`` and ``state`` are those after the match; ``room`` is how many bytes an edge may span.
    """
    registers, data = parse.registers, parse.data
    position = registers[BASE] + node
    there, limit = position - distance - 1, min(room, length + 1 + registers[NICE])
    end = length + 1
    if end < limit:
        end = common_length(data, position, there, end, limit)
    again = end - length - 1
    if again < SHORTEST:
        return
    after, phase_mask = position + length, registers[PB_MASK]
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
    """Offer a match at the last distance from ``node``, which a literal leads to, from ``origin`` by ``back``."""
    registers, nodes = parse.registers, parse.nodes
    phase = (registers[BASE] + node) & registers[PB_MASK]
    price += price_1(model, match_bit(state, phase)) + price_1(model, IS_REP + state)
    price += rep_price(model, ZERO, state, phase) + length_price(model, registers, ONE, phase, length)
    end = node + length
    _reach(parse, end)
    if price < nodes[end, PRICE]:
        nodes[end, PRICE], nodes[end, FROM], nodes[end, BACK] = price, node, 0
        nodes[end, AFTER_LITERAL], nodes[end, AFTER_MATCH] = 1, back != LITERAL
        nodes[end, MATCH_FROM], nodes[end, MATCH_BACK] = origin, back


@lean_kernel
def leave(parse: Parse, model: Words, node: Integer) -> Integer:
    """Price the edges from ``node`` (helper2); return False, and price none, where bytes to come matter."""
    registers, data, nodes, matches = parse.registers, parse.data, parse.nodes, parse.matches
    state = _arrive(nodes, node)
    position = registers[BASE] + node
    if _is_open(parse, node, position):
        return False
    nice, phase = registers[NICE], position & registers[PB_MASK]
    room = min(registers[SIZE] - position, NODES - 1 - node)
    rep0 = np.int64(nodes[node, NODE_REP])
    current, matched = np.int64(data[position]), np.int64(data[position - rep0 - 1])
    so_far, decision = np.int64(nodes[node, PRICE]), match_bit(state, phase)
    coder = literal_coder(registers, position, np.int64(data[position - 1]))
    with_literal = so_far + price_0(model, decision) + literal_price(model, coder, state, matched, current)
    following = node + 1
    by_one = False
    if with_literal < nodes[following, PRICE]:
        _offer(nodes, following, with_literal, node, LITERAL)
        by_one = True
    match_price = so_far + price_1(model, decision)
    rep_match_price = match_price + price_1(model, IS_REP + state)
    if current == matched and not (nodes[following, FROM] < node and nodes[following, BACK] == 0):
        short_price = rep_match_price + short_rep_price(model, state, phase)
        if short_price <= nodes[following, PRICE]:
            nodes[following, PRICE], nodes[following, FROM], nodes[following, BACK] = short_price, node, 0
            nodes[following, AFTER_LITERAL] = 0
            by_one = True
    if room < SHORTEST:
        return True
    reach = min(room, nice)
    if not by_one and current != matched:
        there = position - rep0 - 1
        length = common_length(data, position, there, ONE, min(room, nice + 1)) - 1
        if length >= SHORTEST:
            _offer_rep(parse, model, following, length, with_literal, after_literal(state), node, LITERAL)
    shortest = np.int64(SHORTEST)  # matches no longer than a repetition at the last distance are not tried
    for rep in range(REPS):
        distance = np.int64(nodes[node, NODE_REP + rep])
        longest = common_length(data, position, position - distance - 1, ZERO, reach)
        if longest < SHORTEST:
            continue
        _reach(parse, node + longest)
        price = rep_match_price + rep_price(model, np.int64(rep), state, phase)
        for length in range(longest, 1, -1):
            _offer(nodes, node + length, price + length_price(model, registers, ONE, phase, length), node, rep)
        if rep == 0:
            shortest = longest + 1
        price += length_price(model, registers, ONE, phase, longest)
        _try_rep_after(parse, model, node, distance, longest, room, price, after_rep(state), np.int64(rep))
    longest = min(registers[LONGEST], reach)
    if longest < shortest:
        return True
    price = match_price + price_0(model, IS_REP + state)
    _reach(parse, node + longest)
    row = registers[BANK] * MATCH_ROWS
    for length in range(shortest, longest + 1):
        while matches[row, 0] < length:
            row += 1
        distance = np.int64(matches[row, 1])
        whole = price + distance_price(model, registers, distance, length, phase)
        _offer(nodes, node + length, whole, node, distance + REPS)
        if length == min(np.int64(matches[row, 0]), longest):
            _try_rep_after(parse, model, node, distance, length, room, whole, after_match(state), distance + REPS)
    return True


@fragment
def _origin(nodes: Words, node: Integer) -> Integer:
    """Return the node that the way to ``node`` comes from and that edges were priced from."""
    if nodes[node, AFTER_LITERAL] == 0:
        return np.int64(nodes[node, FROM])
    return np.int64(nodes[node, MATCH_FROM])


@lean_kernel
def code_way(parse: Parse, end: Integer) -> None:
    """Code the symbols from the coder's position to node ``end`` (backward, and the calls that follow it)."""
    registers, nodes, path = parse.registers, parse.nodes, parse.path
    node, begin, symbols = np.int64(end), registers[POSITION] - registers[BASE], 0
    while node > begin:
        origin = np.int64(nodes[node, FROM])
        path[symbols, 0], path[symbols, 1] = nodes[node, BACK], node - origin
        symbols += 1
        if nodes[node, AFTER_LITERAL]:
            path[symbols, 0], path[symbols, 1] = LITERAL, 1
            symbols += 1
            if nodes[node, AFTER_MATCH]:
                path[symbols, 0], path[symbols, 1] = nodes[node, MATCH_BACK], origin - 1 - nodes[node, MATCH_FROM]
                symbols += 1
            origin = np.int64(nodes[node, MATCH_FROM])
        node = origin
    for i in range(symbols - 1, -1, -1):
        code_symbol(parse, np.int64(path[i, 0]), np.int64(path[i, 1]))


@lean_kernel
def _common_node(parse: Parse) -> Integer:
    """Return the last node that all ways lead through, whatever is to come."""
    registers, nodes, path = parse.registers, parse.nodes, parse.path
    ways = 0  # nodes that one of the ways comes from, marked in path; the others are looked at already
    for node in range(registers[POSITION] - registers[BASE], registers[LAST] + 1):
        path[node, 0] = node >= registers[NODE] and nodes[node, PRICE] < INFINITE
        ways += path[node, 0]
    node = registers[LAST]
    while ways > 1 or not path[node, 0]:
        if path[node, 0]:
            origin = nodes[node, MATCH_FROM if nodes[node, AFTER_LITERAL] else FROM]
            ways -= path[origin, 0]
            path[origin, 0] = 1
        node -= 1
    return node


@lean_kernel
def code_common(parse: Parse) -> None:
    """Code what all ways through the open segment begin with."""
    registers = parse.registers
    if not registers[OPEN]:
        return
    node = _common_node(parse)
    if node > registers[POSITION] - registers[BASE]:
        if not registers[SPLIT]:
            copy_to(parse.frozen, parse.live)
            registers[SPLIT] = 1
        code_way(parse, node)
