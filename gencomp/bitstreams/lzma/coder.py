"""The range coder's interval and its probabilities while symbols are coded (lzma_encoder.c, range_encoder.h)."""

import numpy as np

from gencomp.bitstreams.lzma import constants as lzma
from gencomp.bitstreams.lzma import layout
from gencomp.bitstreams.lzma import probabilities as prob
from gencomp.bitstreams.lzma import registers as reg
from gencomp.bitstreams.lzma.prices import change, distance_slot, literal_coder, match_bit, renew_length_prices
from gencomp.bitstreams.lzma.state import (
    LITERAL,
    ONE,
    ZERO,
    Parse,
    Words,
    after_literal,
    after_match,
    after_rep,
    after_short_rep,
    dist_state,
)
from gencomp.bitstreams.lzma_walk import FLUSH_BITS, FRACTION_BITS, minus_log2
from gencomp.compiled import Integer, fragment, lean_kernel

_END_DIRECT_BITS = 26  # of the end marker's distance, 2^32 - 1


@fragment
def _narrow(parse: Parse, place: Integer, bit: Integer) -> None:
    """Code ``bit`` by the probability at ``place`` that it is 0, which learns from it (rc_bit).

    When it is split, the range is from RC_TOP_VALUE to 2^32 - 1; a probability is from 31 to 2017. So neither part is
    empty.
    """
    registers = parse.registers
    width = registers[reg.RANGE]
    if width < lzma.RC_TOP_VALUE:
        width <<= lzma.RC_SHIFT_BITS
        registers[reg.SHIFTS] += 1
    probability = np.int64(parse.live[place])
    bound = (width >> lzma.RC_BIT_MODEL_TOTAL_BITS) * probability
    if bit:
        registers[reg.RANGE] = width - bound
        change(parse, place, probability - (probability >> lzma.RC_MOVE_BITS))
    else:
        registers[reg.RANGE] = bound
        change(parse, place, probability + ((lzma.RC_BIT_MODEL_TOTAL - probability) >> lzma.RC_MOVE_BITS))


@lean_kernel
def _code(parse: Parse, place: Integer, bit: Integer) -> None:
    _narrow(parse, place, bit)


@lean_kernel
def _code_tree(parse: Parse, base: Integer, bits: Integer, symbol: Integer) -> None:
    node = np.int64(1)
    for i in range(bits - 1, -1, -1):
        bit = (symbol >> i) & 1
        _narrow(parse, base + node, bit)
        node = (node << 1) | bit


@lean_kernel
def _code_reverse_tree(parse: Parse, base: Integer, bits: Integer, symbol: Integer) -> None:
    node = np.int64(1)
    for i in range(bits):
        bit = (symbol >> i) & 1
        _narrow(parse, base + node, bit)
        node = (node << 1) | bit


@lean_kernel
def _code_length(parse: Parse, repeated: Integer, phase: Integer, length: Integer) -> None:
    # prices are renewed before the length is coded: in liblzma, probabilities learn only once a symbol is complete
    if not parse.registers[reg.FAST]:
        counter = layout.LEN_COUNTERS + lzma.POS_STATES_MAX * repeated + phase
        change(parse, counter, parse.live[counter] - 1)
        if parse.live[counter] == 0:
            renew_length_prices(parse, repeated, phase)
    base, symbol = layout.REP_LEN if repeated else layout.MATCH_LEN, length - lzma.MATCH_LEN_MIN
    _code(parse, base + prob.LEN_CHOICE, np.int64(symbol >= lzma.LEN_LOW_SYMBOLS))
    if symbol < lzma.LEN_LOW_SYMBOLS:
        low = base + prob.LEN_LOW + lzma.LEN_LOW_SYMBOLS * phase
        _code_tree(parse, low, np.int64(lzma.LEN_LOW_BITS), symbol)
        return
    symbol -= lzma.LEN_LOW_SYMBOLS
    _code(parse, base + prob.LEN_CHOICE2, np.int64(symbol >= lzma.LEN_MID_SYMBOLS))
    if symbol < lzma.LEN_MID_SYMBOLS:
        middle = base + prob.LEN_MID + lzma.LEN_MID_SYMBOLS * phase
        _code_tree(parse, middle, np.int64(lzma.LEN_MID_BITS), symbol)
    else:
        _code_tree(parse, base + prob.LEN_HIGH, np.int64(lzma.LEN_HIGH_BITS), symbol - lzma.LEN_MID_SYMBOLS)


@lean_kernel
def _code_match(parse: Parse, phase: Integer, distance: Integer, length: Integer) -> None:
    """Code a length and a distance, less one, which becomes the first of the four last ones."""
    registers = parse.registers
    registers[reg.STATE] = after_match(registers[reg.STATE])
    _code_length(parse, ZERO, phase, length)
    slot = distance_slot(distance)
    _code_tree(parse, layout.DIST_SLOT + lzma.DIST_SLOTS * dist_state(length), np.int64(lzma.DIST_SLOT_BITS), slot)
    if slot >= lzma.DIST_MODEL_START:
        bits = (slot >> 1) - 1
        base = (2 | (slot & 1)) << bits
        if slot < lzma.DIST_MODEL_END:
            _code_reverse_tree(parse, layout.DIST_SPECIAL + base - slot - 1, bits, distance - base)
        else:
            for _ in range(bits - lzma.ALIGN_BITS):
                if registers[reg.RANGE] < lzma.RC_TOP_VALUE:
                    registers[reg.RANGE] <<= lzma.RC_SHIFT_BITS
                    registers[reg.SHIFTS] += 1
                registers[reg.RANGE] >>= 1
            low = (distance - base) & lzma.ALIGN_MASK
            _code_reverse_tree(parse, np.int64(layout.DIST_ALIGN), np.int64(lzma.ALIGN_BITS), low)
            change(parse, np.int64(layout.ALIGN_PRICE_COUNT), parse.live[layout.ALIGN_PRICE_COUNT] + 1)
    change(parse, np.int64(layout.MATCH_PRICE_COUNT), parse.live[layout.MATCH_PRICE_COUNT] + 1)
    for i in range(lzma.REPS - 1, 0, -1):
        registers[reg.REPS + i] = registers[reg.REPS + i - 1]
    registers[reg.REPS] = distance


@lean_kernel
def _code_rep(parse: Parse, phase: Integer, which: Integer, length: Integer) -> None:
    """Code a match at one of the four last distances, which becomes the first of them."""
    registers = parse.registers
    state = registers[reg.STATE]
    _code(parse, layout.IS_REP0 + state, np.int64(which > 0))
    if which == 0:
        _code(parse, layout.IS_REP0_LONG + lzma.POS_STATES_MAX * state + phase, np.int64(length > 1))
    else:
        _code(parse, layout.IS_REP1 + state, np.int64(which > 1))
        if which > 1:
            _code(parse, layout.IS_REP2 + state, np.int64(which > 2))
        distance = registers[reg.REPS + which]
        for i in range(which, 0, -1):
            registers[reg.REPS + i] = registers[reg.REPS + i - 1]
        registers[reg.REPS] = distance
    if length == 1:
        registers[reg.STATE] = after_short_rep(state)
    else:
        _code_length(parse, ONE, phase, length)
        registers[reg.STATE] = after_rep(state)


@lean_kernel
def _code_literal(parse: Parse) -> None:
    """Code the byte at the position."""
    registers, data = parse.registers, parse.data
    position, state = registers[reg.POSITION], registers[reg.STATE]
    literal = np.int64(data[position])
    coder = literal_coder(registers, position, np.int64(data[position - 1]) if position > 0 else ZERO)
    if state < lzma.LIT_STATES:
        _code_tree(parse, coder, np.int64(8), literal)
    else:
        # while the bits are those of the byte that the last match would have gone on with, they are coded by these, too
        # (node and offset: see literal_price)
        node, offset, expected = literal | 256, np.int64(256), np.int64(data[position - registers[reg.REPS] - 1])
        while node < 1 << 16:
            expected <<= 1
            _narrow(parse, coder + offset + (expected & offset) + (node >> 8), (node >> 7) & 1)
            node <<= 1
            offset &= ~(expected ^ node)
    registers[reg.STATE] = after_literal(state)


@lean_kernel
def code_symbol(parse: Parse, back: Integer, length: Integer) -> None:
    """Code the next ``length`` bytes, unless the parse stops here.

    ``back`` is LITERAL, which of the four last distances is repeated, or a distance less one + REPS.
    """
    registers = parse.registers
    if registers[reg.POSITION] == registers[reg.STOP]:
        return
    phase = registers[reg.POSITION] & registers[reg.PB_MASK]
    _code(parse, match_bit(registers[reg.STATE], phase), np.int64(back != LITERAL))
    if back == LITERAL:
        _code_literal(parse)
    else:
        _code(parse, layout.IS_REP + registers[reg.STATE], np.int64(back < lzma.REPS))
        if back < lzma.REPS:
            _code_rep(parse, phase, back, length)
        else:
            _code_match(parse, phase, back - lzma.REPS, length)
    registers[reg.POSITION] += length


@fragment
def _narrowed(model: Words, place: Integer, bit: Integer, width: Integer, shifts: Integer) -> tuple[Integer, Integer]:
    """Return the range's width and its shifts after ``bit``, without learning from it."""
    if width < lzma.RC_TOP_VALUE:
        width <<= lzma.RC_SHIFT_BITS
        shifts += 1
    bound = (width >> lzma.RC_BIT_MODEL_TOTAL_BITS) * np.int64(model[place])
    return width - bound if bit else bound, shifts


@lean_kernel
def end_length(parse: Parse, state: Integer, width: Integer, shifts: Integer, literal: Integer) -> Integer:
    """Return the length of the whole code in 1/65536 bit, with the end marker after all the data.

    The marker is a match of the shortest length at the largest distance. ``state``, the range's ``width`` and its
    ``shifts`` are those before it; ``literal`` is the probability of a literal in its place. The marker uses no
    probability twice, so none has to learn on the way.
    """
    model, phase = parse.live, parse.registers[reg.SIZE] & parse.registers[reg.PB_MASK]
    if width < lzma.RC_TOP_VALUE:
        width <<= lzma.RC_SHIFT_BITS
        shifts += 1
    width -= (width >> lzma.RC_BIT_MODEL_TOTAL_BITS) * literal
    width, shifts = _narrowed(model, layout.IS_REP + state, ZERO, width, shifts)
    width, shifts = _narrowed(model, layout.MATCH_LEN + prob.LEN_CHOICE, ZERO, width, shifts)
    low = layout.MATCH_LEN + prob.LEN_LOW + lzma.LEN_LOW_SYMBOLS * phase
    for i in range(lzma.LEN_LOW_BITS):
        width, shifts = _narrowed(model, low + (1 << i), ZERO, width, shifts)
    for i in range(1, lzma.DIST_SLOT_BITS + 1):
        width, shifts = _narrowed(model, layout.DIST_SLOT + (1 << i) - 1, ONE, width, shifts)
    for _ in range(_END_DIRECT_BITS):
        if width < lzma.RC_TOP_VALUE:
            width <<= lzma.RC_SHIFT_BITS
            shifts += 1
        width >>= 1
    for i in range(1, lzma.ALIGN_BITS + 1):
        width, shifts = _narrowed(model, layout.DIST_ALIGN + (1 << i) - 1, ONE, width, shifts)
    if width < lzma.RC_TOP_VALUE:
        width <<= lzma.RC_SHIFT_BITS
        shifts += 1
    return ((8 * shifts + FLUSH_BITS) << FRACTION_BITS) + minus_log2(width)


@lean_kernel
def code_length(parse: Parse) -> Integer:
    """Return the length of the whole code in 1/65536 bit, once all the data is coded."""
    registers = parse.registers
    decision = match_bit(registers[reg.STATE], registers[reg.SIZE] & registers[reg.PB_MASK])
    literal = np.int64(parse.live[decision])
    return end_length(parse, registers[reg.STATE], registers[reg.RANGE], registers[reg.SHIFTS], literal)


@lean_kernel
def code_length_with(parse: Parse, literal: Integer) -> Integer:
    """Return the length of the whole code in 1/65536 bit, where only ``literal`` is left to be coded."""
    registers, data, model = parse.registers, parse.data, parse.live
    position, state = registers[reg.POSITION], registers[reg.STATE]
    decision = match_bit(state, position & registers[reg.PB_MASK])
    width, shifts = _narrowed(model, decision, ZERO, registers[reg.RANGE], registers[reg.SHIFTS])
    coder = literal_coder(registers, position, np.int64(data[position - 1]))
    node, offset, expected = literal | 256, np.int64(256), np.int64(data[position - registers[reg.REPS] - 1])
    if state < lzma.LIT_STATES:
        offset = expected = ZERO
    while node < 1 << 16:
        expected <<= 1
        place = coder + offset + (expected & offset) + (node >> 8)
        width, shifts = _narrowed(model, place, (node >> 7) & 1, width, shifts)
        node <<= 1
        offset &= ~(expected ^ node)
    after = after_literal(state)
    following = match_bit(after, registers[reg.SIZE] & registers[reg.PB_MASK])
    probability = np.int64(model[following])
    # if both decisions use one probability, it has learnt from the literal
    if following == decision:
        probability += (lzma.RC_BIT_MODEL_TOTAL - probability) >> lzma.RC_MOVE_BITS
    return end_length(parse, after, width, shifts, probability)


@lean_kernel
def undo_changes(parse: Parse) -> None:
    """Undo the model's changes by a parse that is FINAL."""
    changes = parse.changes
    for at in range(parse.registers[reg.CHANGES] - 1, -1, -1):
        parse.live[changes[at, 0]] = changes[at, 1]
    parse.registers[reg.CHANGES] = 0
