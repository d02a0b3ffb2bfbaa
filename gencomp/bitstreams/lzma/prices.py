"""The price of a decision in 1/16 bit as liblzma estimates it (rangecoder/price.h), partly from tables that lag behind.

The prices of lengths are renewed after as many lengths as the table has. Those of distances are renewed when a segment
of the parse begins, if MATCHES_BEFORE_PRICES matches have been coded since the last time; those of their lowest bits,
after ALIGNED_BEFORE_PRICES.
"""

import numpy as np

from gencomp.bitstreams.lzma import constants as lzma
from gencomp.bitstreams.lzma import layout
from gencomp.bitstreams.lzma import probabilities as prob
from gencomp.bitstreams.lzma import registers as reg
from gencomp.bitstreams.lzma.state import ZERO, Parse, Words, dist_state
from gencomp.compiled import Integer, fragment, lean_kernel
from gencomp.protocols import IntArray

MATCHES_BEFORE_PRICES = lzma.FULL_DISTANCES
ALIGNED_BEFORE_PRICES = lzma.ALIGN_SIZE
_ROUNDED = lzma.RC_MOVE_REDUCING_BITS
_BIT_PRICE = 1 << lzma.RC_BIT_PRICE_SHIFT_BITS  # of a bit of probability 1/2
_POWER_BITS = 16
_MIRROR = lzma.RC_BIT_MODEL_TOTAL - 1  # a probability XOR this is the probability of a 1, less one


def _price_table() -> IntArray:
    """Return the price of each probability (16 k + 8) / 2048, int64 (128,), rounded as in liblzma.

    The probability is squared four times; each squaring gives one more bit of its logarithm. What is squared is below
    2^16, and its square below 2^32.
    """
    table = np.empty(lzma.RC_BIT_MODEL_TOTAL >> _ROUNDED, np.int64)
    for index in range(len(table)):
        power, bits = (index << _ROUNDED) + (1 << (_ROUNDED - 1)), 0
        for _ in range(lzma.RC_BIT_PRICE_SHIFT_BITS):
            power, bits = power * power, 2 * bits
            while power >= 1 << _POWER_BITS:
                power, bits = power >> 1, bits + 1
        table[index] = _BIT_PRICE * lzma.RC_BIT_MODEL_TOTAL_BITS - (_POWER_BITS - 1) - bits
    return table


_PRICES = _price_table()


@fragment
def _bit_price(model: Words, place: Integer, bit: Integer) -> Integer:
    """Return the price of ``bit`` by the probability at ``place``."""
    return _PRICES[(model[place] ^ (-bit & _MIRROR)) >> _ROUNDED]


@fragment
def price_0(model: Words, index: Integer) -> Integer:
    """Return the price of a 0 by the probability at ``index``."""
    return _PRICES[model[index] >> _ROUNDED]


@fragment
def price_1(model: Words, index: Integer) -> Integer:
    """Return the price of a 1 by the probability at ``index``."""
    return _PRICES[(model[index] ^ _MIRROR) >> _ROUNDED]


@lean_kernel
def _tree_price(model: Words, base: Integer, bits: Integer, symbol: Integer) -> Integer:
    price, node = np.int64(0), symbol + (1 << bits)
    while node > 1:
        price += _bit_price(model, base + (node >> 1), node & 1)
        node >>= 1
    return price


@lean_kernel
def _reverse_tree_price(model: Words, base: Integer, bits: Integer, symbol: Integer) -> Integer:
    price, node = np.int64(0), np.int64(1)
    for i in range(bits):
        bit = (symbol >> i) & 1
        price += _bit_price(model, base + node, bit)
        node = (node << 1) | bit
    return price


@fragment
def literal_coder(registers: IntArray, position: Integer, before: Integer) -> Integer:
    """Return where the probabilities of a literal begin, by its position and the byte before it."""
    lc = registers[reg.LC]
    coder = ((position & registers[reg.LP_MASK]) << lc) + (before >> (8 - lc))
    return layout.LITERAL + lzma.LITERAL_CODER_SIZE * coder


@lean_kernel
def literal_price(model: Words, coder: Integer, state: Integer, matched: Integer, literal: Integer) -> Integer:
    """Return the price of ``literal`` where the last match would have gone on with ``matched`` (get_literal_price).

    ``node`` has the literal's bits after a leading 1. It is shifted by one for each bit, so what is above its lowest 8
    is the place in the tree. ``offset`` is 256 while the bits agree with those of ``matched``, and 0 from the first on
    that does not.
    """
    price, node = np.int64(0), literal | 256
    if state < lzma.LIT_STATES:
        while node > 1:
            price += _bit_price(model, coder + (node >> 1), node & 1)
            node >>= 1
        return price
    expected, offset = matched, np.int64(256)
    while node < 1 << 16:
        expected <<= 1
        price += _bit_price(model, coder + offset + (expected & offset) + (node >> 8), (node >> 7) & 1)
        node <<= 1
        offset &= ~(expected ^ node)
    return price


@fragment
def length_price(model: Words, registers: IntArray, repeated: Integer, phase: Integer, length: Integer) -> Integer:
    """Return the price of a length; ``repeated`` is 1 for that of a repeated match."""
    row = repeated * (registers[reg.PB_MASK] + 1) + phase
    return np.int64(model[registers[reg.LENGTHS] + row * lzma.LEN_SYMBOLS + length - lzma.MATCH_LEN_MIN])


@fragment
def distance_slot(distance: Integer) -> Integer:
    """Return the slot of a distance, less one: its number of bits and its second bit (get_dist_slot)."""
    if distance < lzma.DIST_MODEL_START:
        return distance
    high, rest = np.int64(0), distance >> 1
    for shift in (16, 8, 4, 2, 1):
        if rest >> shift > 0:
            rest >>= shift
            high += shift
    return 2 * high + 2 + ((distance >> high) & 1)


@fragment
def distance_price(model: Words, registers: IntArray, distance: Integer, length: Integer, phase: Integer) -> Integer:
    """Return the price of a match's distance, less one, and length (get_dist_len_price)."""
    kind = dist_state(length)
    price = length_price(model, registers, ZERO, phase, length)
    if distance < lzma.FULL_DISTANCES:
        return price + model[layout.DIST_PRICES + lzma.FULL_DISTANCES * kind + distance]
    slot = layout.DIST_SLOT_PRICES + lzma.DIST_SLOTS * kind + distance_slot(distance)
    return price + np.int64(model[slot]) + np.int64(model[layout.ALIGN_PRICES + (distance & lzma.ALIGN_MASK)])


@fragment
def short_rep_price(model: Words, state: Integer, phase: Integer) -> Integer:
    """Return the price of one byte at the last distance, beyond that of being a repeated match."""
    long = layout.IS_REP0_LONG + lzma.POS_STATES_MAX * state + phase
    return price_0(model, layout.IS_REP0 + state) + price_0(model, long)


@lean_kernel
def rep_price(model: Words, which: Integer, state: Integer, phase: Integer) -> Integer:
    """Return the price of one of the four last distances, beyond that of being one (get_pure_rep_price)."""
    if which == 0:
        long = layout.IS_REP0_LONG + lzma.POS_STATES_MAX * state + phase
        return price_0(model, layout.IS_REP0 + state) + price_1(model, long)
    price = price_1(model, layout.IS_REP0 + state)
    if which == 1:
        return price + price_0(model, layout.IS_REP1 + state)
    price += price_1(model, layout.IS_REP1 + state)
    if which == 2:
        return price + price_0(model, layout.IS_REP2 + state)
    return price + price_1(model, layout.IS_REP2 + state)


@fragment
def match_bit(state: Integer, phase: Integer) -> Integer:
    """Return the place of the decision between a literal and a match."""
    return layout.IS_MATCH + lzma.POS_STATES_MAX * state + phase


@fragment
def change(parse: Parse, place: Integer, value: Integer) -> None:
    """Set ``value`` in the model; if the parse is FINAL, log what was there."""
    if parse.registers[reg.FINAL]:
        at = parse.registers[reg.CHANGES]
        parse.changes[at, 0], parse.changes[at, 1] = place, parse.live[place]
        parse.registers[reg.CHANGES] = at + 1
    parse.live[place] = value


@lean_kernel
def renew_length_prices(parse: Parse, repeated: Integer, phase: Integer) -> None:
    """Renew the prices of lengths at positions that are ``phase`` modulo 2^pb (length_update_prices)."""
    registers, model = parse.registers, parse.live
    base = layout.REP_LEN if repeated else layout.MATCH_LEN
    table = registers[reg.LENGTHS] + (repeated * (registers[reg.PB_MASK] + 1) + phase) * lzma.LEN_SYMBOLS
    lengths = registers[reg.NICE_LEN] + 1 - lzma.MATCH_LEN_MIN
    change(parse, layout.LEN_COUNTERS + lzma.POS_STATES_MAX * repeated + phase, lengths)
    choice, choice2 = base + prob.LEN_CHOICE, base + prob.LEN_CHOICE2
    low, middle = base + prob.LEN_LOW + lzma.LEN_LOW_SYMBOLS * phase, base + prob.LEN_MID + lzma.LEN_MID_SYMBOLS * phase
    for symbol in range(lengths):
        if symbol < lzma.LEN_LOW_SYMBOLS:
            price = price_0(model, choice) + _tree_price(model, low, np.int64(lzma.LEN_LOW_BITS), symbol)
        elif symbol < lzma.LEN_LOW_SYMBOLS + lzma.LEN_MID_SYMBOLS:
            price = price_1(model, choice) + price_0(model, choice2)
            price += _tree_price(model, middle, np.int64(lzma.LEN_MID_BITS), symbol - lzma.LEN_LOW_SYMBOLS)
        else:
            price = price_1(model, choice) + price_1(model, choice2)
            rest = symbol - lzma.LEN_LOW_SYMBOLS - lzma.LEN_MID_SYMBOLS
            price += _tree_price(model, base + prob.LEN_HIGH, np.int64(lzma.LEN_HIGH_BITS), rest)
        change(parse, table + symbol, price)


@lean_kernel
def renew_distance_prices(parse: Parse) -> None:
    """Renew the prices of distances that are due (fill_dist_prices, fill_align_prices)."""
    model = parse.live
    if model[layout.ALIGN_PRICE_COUNT] >= ALIGNED_BEFORE_PRICES:
        align, bits = np.int64(layout.DIST_ALIGN), np.int64(lzma.ALIGN_BITS)
        for low in range(lzma.ALIGN_SIZE):
            change(parse, layout.ALIGN_PRICES + low, _reverse_tree_price(model, align, bits, np.int64(low)))
        change(parse, np.int64(layout.ALIGN_PRICE_COUNT), ZERO)
    if model[layout.MATCH_PRICE_COUNT] < MATCHES_BEFORE_PRICES:
        return
    for kind in range(lzma.DIST_STATES):
        tree, prices = layout.DIST_SLOT + lzma.DIST_SLOTS * kind, layout.DIST_SLOT_PRICES + lzma.DIST_SLOTS * kind
        for slot in range(lzma.DIST_SLOTS):
            price = _tree_price(model, tree, np.int64(lzma.DIST_SLOT_BITS), slot)
            if slot >= lzma.DIST_MODEL_END:
                price += _BIT_PRICE * ((slot >> 1) - 1 - lzma.ALIGN_BITS)  # of the direct bits
            change(parse, prices + slot, price)
    for distance in range(lzma.FULL_DISTANCES):
        slot, below = distance_slot(np.int64(distance)), np.int64(0)
        if slot >= lzma.DIST_MODEL_START:
            bits = (slot >> 1) - 1
            base = (2 | (slot & 1)) << bits
            below = _reverse_tree_price(model, layout.DIST_SPECIAL + base - slot - 1, bits, distance - base)
        for kind in range(lzma.DIST_STATES):
            price = below + model[layout.DIST_SLOT_PRICES + lzma.DIST_SLOTS * kind + slot]
            change(parse, layout.DIST_PRICES + lzma.FULL_DISTANCES * kind + distance, price)
    change(parse, np.int64(layout.MATCH_PRICE_COUNT), ZERO)


@lean_kernel
def begin_prices(parse: Parse) -> None:
    """Make the prices of lengths that an encoder begins with."""
    for repeated in range(2):
        for phase in range(parse.registers[reg.PB_MASK] + 1):
            renew_length_prices(parse, repeated, phase)
