"""What liblzma thinks that a decision costs, in 1/16 bit (rangecoder/price.h): tables of logarithms, some of them old.

The prices of lengths are made anew after as many lengths as the table has, when the last of them is coded; those of
distances after 128 matches, when the next segment of the parse begins, and those of their four lowest bits after 16.
"""

import numpy as np

from gencomp.bitstreams.lzma.state import (
    ALIGN,
    ALIGN_PRICES,
    ALIGNED_CODED,
    CHANGES,
    COUNTERS,
    DISTANCE_PRICES,
    FINAL,
    IS_MATCH,
    IS_REP0_LONG,
    IS_REP_G0,
    IS_REP_G1,
    IS_REP_G2,
    LC,
    LENGTH_SYMBOLS,
    LENGTHS,
    LITERAL_STATES,
    LITERALS,
    LP_MASK,
    MATCH_LENGTH,
    MATCHES_CODED,
    NICE,
    PB_MASK,
    REP_LENGTH,
    SHORTEST,
    SLOT,
    SLOT_PRICES,
    SPECIAL,
    ZERO,
    Parse,
    Words,
)
from gencomp.bitstreams.lzma_walk import LENGTH_HIGH, LENGTH_LOW, LENGTH_MID
from gencomp.compiled import Integer, fragment, lean_kernel
from gencomp.protocols import IntArray

MATCHES_BEFORE_PRICES = 128
ALIGNED_BEFORE_PRICES = 16
FULL_DISTANCES = 128  # those that have a price each; of others, the slot and the low bits have


def _price_table() -> IntArray:
    """Return 16 times -log2 of each probability of 16 k + 8 in 2048, int64 (128,).

    By four squarings, each of which gives a bit of the logarithm; rounded as liblzma does.
    """
    table = np.empty(128, np.int64)
    for index in range(128):
        power, bits = 16 * index + 8, 0
        for _ in range(4):
            power, bits = power * power, 2 * bits
            while power >= 1 << 16:
                power, bits = power >> 1, bits + 1
        table[index] = 16 * 11 - 15 - bits
    return table


_PRICES = _price_table()


@fragment
def price_0(model: Words, index: Integer) -> Integer:
    """Return the price of a 0 by the probability at ``index``."""
    return _PRICES[model[index] >> 4]


@fragment
def price_1(model: Words, index: Integer) -> Integer:
    """Return the price of a 1 by the probability at ``index``."""
    return _PRICES[(model[index] ^ 2047) >> 4]


@lean_kernel
def _tree_price(model: Words, base: Integer, bits: Integer, symbol: Integer) -> Integer:
    price, node = np.int64(0), symbol + (1 << bits)
    while node > 1:
        price += _PRICES[(model[base + (node >> 1)] ^ (-(node & 1) & 2047)) >> 4]
        node >>= 1
    return price


@lean_kernel
def _reverse_tree_price(model: Words, base: Integer, bits: Integer, symbol: Integer) -> Integer:
    price, node = np.int64(0), np.int64(1)
    for i in range(bits):
        bit = (symbol >> i) & 1
        price += _PRICES[(model[base + node] ^ (-bit & 2047)) >> 4]
        node = (node << 1) | bit
    return price


@fragment
def literal_coder(registers: IntArray, position: Integer, before: Integer) -> Integer:
    """Return where the probabilities of a literal begin, by its position and the byte before it."""
    lc = registers[LC]
    return LITERALS + 768 * (((position & registers[LP_MASK]) << lc) + (before >> (8 - lc)))


@lean_kernel
def literal_price(model: Words, coder: Integer, state: Integer, matched: Integer, literal: Integer) -> Integer:
    """Return the price of ``literal`` where the last match would have gone on with ``matched``."""
    price, node = np.int64(0), literal | 256
    if state < LITERAL_STATES:
        while node > 1:
            price += _PRICES[(model[coder + (node >> 1)] ^ (-(node & 1) & 2047)) >> 4]
            node >>= 1
        return price
    expected, offset = matched, np.int64(256)
    while node < 1 << 16:
        expected <<= 1
        place = coder + offset + (expected & offset) + (node >> 8)
        price += _PRICES[(model[place] ^ (-((node >> 7) & 1) & 2047)) >> 4]
        node <<= 1
        offset &= ~(expected ^ node)
    return price


@fragment
def length_price(model: Words, registers: IntArray, repeated: Integer, phase: Integer, length: Integer) -> Integer:
    """Return the price of a length, ``repeated`` 1 for that of a repeated match."""
    row = repeated * (registers[PB_MASK] + 1) + phase
    return np.int64(model[registers[LENGTHS] + row * LENGTH_SYMBOLS + length - SHORTEST])


@fragment
def distance_slot(distance: Integer) -> Integer:
    """Return the slot of a distance less one: its length in bits and its second bit (get_dist_slot)."""
    if distance < 4:
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
    kind = min(length - SHORTEST, 3)
    price = length_price(model, registers, ZERO, phase, length)
    if distance < FULL_DISTANCES:
        return price + model[DISTANCE_PRICES + 128 * kind + distance]
    slot = SLOT_PRICES + 64 * kind + distance_slot(distance)
    return price + np.int64(model[slot]) + np.int64(model[ALIGN_PRICES + (distance & 15)])


@fragment
def short_rep_price(model: Words, state: Integer, phase: Integer) -> Integer:
    """Return the price of one byte at the last distance, beyond that of being a repeated match."""
    return price_0(model, IS_REP_G0 + state) + price_0(model, IS_REP0_LONG + 16 * state + phase)


@lean_kernel
def rep_price(model: Words, which: Integer, state: Integer, phase: Integer) -> Integer:
    """Return the price of one of the four last distances, beyond that of being one (get_pure_rep_price)."""
    if which == 0:
        return price_0(model, IS_REP_G0 + state) + price_1(model, IS_REP0_LONG + 16 * state + phase)
    price = price_1(model, IS_REP_G0 + state)
    if which == 1:
        return price + price_0(model, IS_REP_G1 + state)
    price += price_1(model, IS_REP_G1 + state)
    if which == 2:
        return price + price_0(model, IS_REP_G2 + state)
    return price + price_1(model, IS_REP_G2 + state)


@fragment
def match_bit(state: Integer, phase: Integer) -> Integer:
    """Return the place of the decision between a literal and a match."""
    return IS_MATCH + 16 * state + phase


@fragment
def change(parse: Parse, place: Integer, value: Integer) -> None:
    """Set ``value`` in the model, and note what was there if the parse is FINAL."""
    if parse.registers[FINAL]:
        at = parse.registers[CHANGES]
        parse.changes[at, 0], parse.changes[at, 1] = place, parse.live[place]
        parse.registers[CHANGES] = at + 1
    parse.live[place] = value


@lean_kernel
def renew_length_prices(parse: Parse, repeated: Integer, phase: Integer) -> None:
    """Make the prices of lengths at one of the positions modulo 2^pb (length_update_prices)."""
    registers, model = parse.registers, parse.live
    base = REP_LENGTH if repeated else MATCH_LENGTH
    table = registers[LENGTHS] + (repeated * (registers[PB_MASK] + 1) + phase) * LENGTH_SYMBOLS
    lengths = registers[NICE] + 1 - SHORTEST
    change(parse, COUNTERS + 16 * repeated + phase, lengths)
    longer = price_1(model, base)
    for i in range(lengths):
        if i < 8:
            price = price_0(model, base) + _tree_price(model, base + LENGTH_LOW + 8 * phase, np.int64(3), i)
        elif i < 16:
            price = (
                longer
                + price_0(model, base + 1)
                + _tree_price(model, base + LENGTH_MID + 8 * phase, np.int64(3), i - 8)
            )
        else:
            price = longer + price_1(model, base + 1) + _tree_price(model, base + LENGTH_HIGH, np.int64(8), i - 16)
        change(parse, table + i, price)


@lean_kernel
def renew_distance_prices(parse: Parse) -> None:
    """Make those prices of distances that are due (fill_dist_prices, fill_align_prices)."""
    model = parse.live
    if model[ALIGNED_CODED] >= ALIGNED_BEFORE_PRICES:
        for i in range(16):
            change(parse, ALIGN_PRICES + i, _reverse_tree_price(model, np.int64(ALIGN), np.int64(4), np.int64(i)))
        change(parse, np.int64(ALIGNED_CODED), ZERO)
    if model[MATCHES_CODED] < MATCHES_BEFORE_PRICES:
        return
    for kind in range(4):
        for slot in range(64):
            direct = 16 * ((slot >> 1) - 5) if slot >= 14 else 0  # bits of probability 1/2
            change(
                parse, SLOT_PRICES + 64 * kind + slot, _tree_price(model, SLOT + 64 * kind, np.int64(6), slot) + direct
            )
    for distance in range(FULL_DISTANCES):
        slot, below = distance_slot(np.int64(distance)), np.int64(0)
        if slot >= 4:
            bits = (slot >> 1) - 1
            base = (2 | (slot & 1)) << bits
            below = _reverse_tree_price(model, SPECIAL + base - slot - 1, bits, distance - base)
        for kind in range(4):
            price = below + model[SLOT_PRICES + 64 * kind + slot]
            change(parse, DISTANCE_PRICES + 128 * kind + distance, price)
    change(parse, np.int64(MATCHES_CODED), ZERO)


@lean_kernel
def begin_prices(parse: Parse) -> None:
    """Make the prices of lengths that an encoder begins with."""
    for repeated in range(2):
        for phase in range(parse.registers[PB_MASK] + 1):
            renew_length_prices(parse, repeated, phase)
