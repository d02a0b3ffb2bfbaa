"""The range coder's interval and its probabilities, as symbols are coded (lzma_encoder.c, range_encoder.h)."""

import numpy as np

from gencomp.bitstreams.lzma.prices import change, distance_slot, literal_coder, match_bit, renew_length_prices
from gencomp.bitstreams.lzma.state import (
    ALIGN,
    ALIGNED_CODED,
    CHANGES,
    COUNTERS,
    FAST,
    IS_REP,
    IS_REP0_LONG,
    IS_REP_G0,
    IS_REP_G1,
    IS_REP_G2,
    LITERAL,
    LITERAL_STATES,
    MATCH_LENGTH,
    MATCHES_CODED,
    ONE,
    PB_MASK,
    POSITION,
    RANGE,
    REP,
    REP_LENGTH,
    REPS,
    SHIFTS,
    SHORTEST,
    SIZE,
    SLOT,
    SPECIAL,
    STATE,
    STOP,
    ZERO,
    Parse,
    Words,
    after_literal,
    after_match,
    after_rep,
    after_short_rep,
)
from gencomp.bitstreams.lzma_walk import (
    FLUSH_BITS,
    FRACTION_BITS,
    LENGTH_HIGH,
    LENGTH_LOW,
    LENGTH_MID,
    TOP,
    minus_log2,
)
from gencomp.compiled import Integer, fragment, lean_kernel

_END_DIRECT_BITS = 26  # of the end marker's distance, 2^32 - 1


@fragment
def _narrow(parse: Parse, place: Integer, bit: Integer) -> None:
    """Code a bit by the probability at ``place``, in 1/2048 that it is 0, which learns from it."""
    registers = parse.registers
    width = registers[RANGE]
    if width < TOP:
        width <<= 8
        registers[SHIFTS] += 1
    probability = np.int64(parse.live[place])
    bound = (width >> 11) * probability
    if bit:
        registers[RANGE] = width - bound
        change(parse, place, probability - (probability >> 5))
    else:
        registers[RANGE] = bound
        change(parse, place, probability + ((2048 - probability) >> 5))


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
    if not parse.registers[FAST]:  # liblzma's probabilities learn from a symbol only after all of it is taken
        counter = COUNTERS + 16 * repeated + phase
        change(parse, counter, parse.live[counter] - 1)
        if parse.live[counter] == 0:
            renew_length_prices(parse, repeated, phase)
    base, symbol = REP_LENGTH if repeated else MATCH_LENGTH, length - SHORTEST
    _code(parse, base, np.int64(symbol >= 8))
    if symbol < 8:
        _code_tree(parse, base + LENGTH_LOW + 8 * phase, np.int64(3), symbol)
    else:
        _code(parse, base + 1, np.int64(symbol >= 16))
        if symbol < 16:
            _code_tree(parse, base + LENGTH_MID + 8 * phase, np.int64(3), symbol - 8)
        else:
            _code_tree(parse, base + LENGTH_HIGH, np.int64(8), symbol - 16)


@lean_kernel
def _code_match(parse: Parse, phase: Integer, distance: Integer, length: Integer) -> None:
    """Code a length and a distance less one, which becomes the first of the four."""
    registers = parse.registers
    registers[STATE] = after_match(registers[STATE])
    _code_length(parse, ZERO, phase, length)
    slot = distance_slot(distance)
    _code_tree(parse, SLOT + 64 * min(length - SHORTEST, 3), np.int64(6), slot)
    if slot >= 4:
        bits = (slot >> 1) - 1
        base = (2 | (slot & 1)) << bits
        if slot < 14:
            _code_reverse_tree(parse, SPECIAL + base - slot - 1, bits, distance - base)
        else:
            for _ in range(bits - 4):
                if registers[RANGE] < TOP:
                    registers[RANGE] <<= 8
                    registers[SHIFTS] += 1
                registers[RANGE] >>= 1
            _code_reverse_tree(parse, np.int64(ALIGN), np.int64(4), (distance - base) & 15)
            change(parse, np.int64(ALIGNED_CODED), parse.live[ALIGNED_CODED] + 1)
    change(parse, np.int64(MATCHES_CODED), parse.live[MATCHES_CODED] + 1)
    for i in range(REPS - 1, 0, -1):
        registers[REP + i] = registers[REP + i - 1]
    registers[REP] = distance


@lean_kernel
def _code_rep(parse: Parse, phase: Integer, which: Integer, length: Integer) -> None:
    """Code a match at one of the four last distances, which becomes the first of them."""
    registers = parse.registers
    state = registers[STATE]
    _code(parse, IS_REP_G0 + state, np.int64(which > 0))
    if which == 0:
        _code(parse, IS_REP0_LONG + 16 * state + phase, np.int64(length > 1))
    else:
        _code(parse, IS_REP_G1 + state, np.int64(which > 1))
        if which > 1:
            _code(parse, IS_REP_G2 + state, np.int64(which > 2))
        distance = registers[REP + which]
        for i in range(which, 0, -1):
            registers[REP + i] = registers[REP + i - 1]
        registers[REP] = distance
    if length == 1:
        registers[STATE] = after_short_rep(state)
    else:
        _code_length(parse, ONE, phase, length)
        registers[STATE] = after_rep(state)


@lean_kernel
def _code_literal(parse: Parse) -> None:
    """Code the byte at the position."""
    registers, data = parse.registers, parse.data
    position, state = registers[POSITION], registers[STATE]
    literal = np.int64(data[position])
    coder = literal_coder(registers, position, np.int64(data[position - 1]) if position > 0 else ZERO)
    if state < LITERAL_STATES:
        _code_tree(parse, coder, np.int64(8), literal)
    else:  # while the bits are those of the byte that the last match would have gone on with, by those
        node, offset, expected = literal | 256, np.int64(256), np.int64(data[position - registers[REP] - 1])
        while node < 1 << 16:
            expected <<= 1
            _narrow(parse, coder + offset + (expected & offset) + (node >> 8), (node >> 7) & 1)
            node <<= 1
            offset &= ~(expected ^ node)
    registers[STATE] = after_literal(state)


@lean_kernel
def code_symbol(parse: Parse, back: Integer, length: Integer) -> None:
    """Code the next ``length`` bytes, unless the parse stops here.

    ``back`` is LITERAL, which of the four last distances is repeated, or a distance less one + REPS.
    """
    registers = parse.registers
    if registers[POSITION] == registers[STOP]:
        return
    phase = registers[POSITION] & registers[PB_MASK]
    _code(parse, match_bit(registers[STATE], phase), np.int64(back != LITERAL))
    if back == LITERAL:
        _code_literal(parse)
    else:
        _code(parse, IS_REP + registers[STATE], np.int64(back < REPS))
        if back < REPS:
            _code_rep(parse, phase, back, length)
        else:
            _code_match(parse, phase, back - REPS, length)
    registers[POSITION] += length


@fragment
def _narrowed(model: Words, place: Integer, bit: Integer, width: Integer, shifts: Integer) -> tuple[Integer, Integer]:
    """Return what a bit makes of the interval, where nothing is to be learnt."""
    if width < TOP:
        width <<= 8
        shifts += 1
    bound = (width >> 11) * np.int64(model[place])
    return width - bound if bit else bound, shifts


@lean_kernel
def end_length(parse: Parse, state: Integer, width: Integer, shifts: Integer, literal: Integer) -> Integer:
    """Return the length of the whole code in 1/65536 bit, with the end marker after all the data.

    ``state``, the interval's width and the bytes it has moved on are those before it, ``literal`` is the probability
    that a literal follows. None of the marker's occurs in it twice.
    """
    model, phase = parse.live, parse.registers[SIZE] & parse.registers[PB_MASK]
    if width < TOP:
        width <<= 8
        shifts += 1
    width -= (width >> 11) * literal
    width, shifts = _narrowed(model, IS_REP + state, ZERO, width, shifts)
    width, shifts = _narrowed(model, MATCH_LENGTH, ZERO, width, shifts)
    for i in range(3):
        width, shifts = _narrowed(model, MATCH_LENGTH + LENGTH_LOW + 8 * phase + (1 << i), ZERO, width, shifts)
    for i in range(1, 7):
        width, shifts = _narrowed(model, SLOT + (1 << i) - 1, ONE, width, shifts)
    for _ in range(_END_DIRECT_BITS):
        if width < TOP:
            width <<= 8
            shifts += 1
        width >>= 1
    for i in range(1, 5):
        width, shifts = _narrowed(model, ALIGN + (1 << i) - 1, ONE, width, shifts)
    if width < TOP:
        width <<= 8
        shifts += 1
    return ((8 * shifts + FLUSH_BITS) << FRACTION_BITS) + minus_log2(width)


@lean_kernel
def code_length(parse: Parse) -> Integer:
    """Return the length of the whole code in 1/65536 bit, where all the data is coded."""
    registers = parse.registers
    decision = match_bit(registers[STATE], registers[SIZE] & registers[PB_MASK])
    literal = np.int64(parse.live[decision])
    return end_length(parse, registers[STATE], registers[RANGE], registers[SHIFTS], literal)


@lean_kernel
def code_length_with(parse: Parse, literal: Integer) -> Integer:
    """Return the length of the whole code in 1/65536 bit, where ``literal`` alone is not coded yet."""
    registers, data, model = parse.registers, parse.data, parse.live
    position, state = registers[POSITION], registers[STATE]
    decision = match_bit(state, position & registers[PB_MASK])
    width, shifts = _narrowed(model, decision, ZERO, registers[RANGE], registers[SHIFTS])
    coder = literal_coder(registers, position, np.int64(data[position - 1]))
    node, offset, expected = literal | 256, np.int64(256), np.int64(data[position - registers[REP] - 1])
    if state < LITERAL_STATES:
        offset = expected = ZERO
    while node < 1 << 16:
        expected <<= 1
        place = coder + offset + (expected & offset) + (node >> 8)
        width, shifts = _narrowed(model, place, (node >> 7) & 1, width, shifts)
        node <<= 1
        offset &= ~(expected ^ node)
    after = after_literal(state)
    following = match_bit(after, registers[SIZE] & registers[PB_MASK])
    probability = np.int64(model[following])
    if following == decision:  # then it has learnt from the literal
        probability += (2048 - probability) >> 5
    return end_length(parse, after, width, shifts, probability)


@lean_kernel
def undo_changes(parse: Parse) -> None:
    """Take back what a parse that is FINAL has changed in the model."""
    changes = parse.changes
    for at in range(parse.registers[CHANGES] - 1, -1, -1):
        parse.live[changes[at, 0]] = changes[at, 1]
    parse.registers[CHANGES] = 0
