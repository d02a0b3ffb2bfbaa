"""Finite State Entropy as zstd uses it (RFC 8878, section 4.1): how it normalises counts to tables, and their costs.

A table is TABLE_ROW numbers: MODE, LOG (its accuracy), HIGHEST (symbol), then the probability of each symbol in units
of 2^-LOG, -1 for "less than one". A coder's state is from 2^LOG to 2^(LOG + 1) - 1.
"""

import numpy as np

from gencomp.bitstreams.zstd.layout import CODES
from gencomp.bitstreams.zstd.memory import highest_bit
from gencomp.compiled import Integer, fragment, lean_kernel, part, step
from gencomp.protocols import IntArray

SMALLEST_LOG, LARGEST_LOG = 5, 12
MODE, LOG, HIGHEST, PROBABILITIES = range(4)
TABLE_ROW = PROBABILITIES + CODES
NO_TABLE, A_TABLE = 0, 1  # modes

# rows of a coder: the next states, sorted by symbol [tableU16]; for each symbol, the numbers that give its bits
# [deltaNbBits] and where its states are [deltaFindState]; and the symbol of each state
STATES, BITS_OF, SHARES_OF, SYMBOL_AT = range(4)
CODER_SHAPE = (4, 1024)

# a small probability is rounded up if its remainder is above this, in 2^-20 [rtbTable]
_ROUNDED_UP = np.array([0, 473195, 504333, 520860, 550000, 700000, 750000, 830000], dtype=np.int64)


@fragment
def accuracy(largest: Integer, total: Integer, highest: Integer, minus: Integer) -> Integer:
    """Return the logarithm of a table's size for ``total`` symbols [FSE_optimalTableLog_internal]."""
    log = highest_bit(total - 1) - minus
    log = largest if log < 0 else min(largest, log)  # the library's difference is unsigned
    least = min(highest_bit(total) + 1, (highest_bit(highest) if highest > 0 else 31) + 2)
    return min(max(log, least, SMALLEST_LOG), LARGEST_LOG)


@lean_kernel
def normalize(
    table: IntArray, log: Integer, counts: IntArray, total: Integer, highest: Integer, low: Integer
) -> Integer:
    """Set a table to the normalised counts up to ``highest``; return False where zstd gives up [FSE_normalizeCount].

    ``low`` is what a symbol rarer than one unit gets, 1 or -1.
    """
    table[MODE], table[LOG], table[HIGHEST] = A_TABLE, log, highest
    scale = 62 - log
    step = (1 << 62) // total
    left, largest, most = 1 << log, 0, 0
    threshold = total >> log
    for symbol in range(highest + 1):
        count = counts[symbol]
        if count == 0:
            table[PROBABILITIES + symbol] = 0
        elif count <= threshold:
            table[PROBABILITIES + symbol] = low
            left -= 1
        else:
            share = count * step
            units = share >> scale
            if units < 8 and share - (units << scale) > _ROUNDED_UP[units] << (scale - 20):
                units += 1
            if units > most:
                most, largest = units, symbol
            table[PROBABILITIES + symbol] = units
            left -= units
    if -left >= table[PROBABILITIES + largest] >> 1:
        return _normalize_again(table, log, counts, total, highest, low)
    table[PROBABILITIES + largest] += left
    return True


@part
def _normalize_again(
    table: IntArray, log: Integer, counts: IntArray, total: Integer, highest: Integer, low: Integer
) -> Integer:
    """Set a table where rounding has given away too much [FSE_normalizeM2]."""
    units = table[PROBABILITIES:]
    open_ = -2
    threshold, one = total >> log, (total * 3) >> (log + 1)
    given = 0
    for symbol in range(highest + 1):
        count = counts[symbol]
        if count == 0:
            units[symbol] = 0
        elif count <= threshold:
            units[symbol] = low
        elif count <= one:
            units[symbol] = 1
        else:
            units[symbol] = open_
        if count > 0 and units[symbol] != open_:
            given += 1
            total -= count
    left = (1 << log) - given
    if left == 0:
        return True
    if total // left > one:
        one = total * 3 // (left * 2)
        for symbol in range(highest + 1):
            if units[symbol] == open_ and counts[symbol] <= one:
                units[symbol] = 1
                given += 1
                total -= counts[symbol]
        left = (1 << log) - given
    if given == highest + 1:
        largest, most = 0, 0
        for symbol in range(highest + 1):
            if counts[symbol] > most:
                largest, most = symbol, counts[symbol]
        units[largest] += left
        return True
    if total == 0:
        symbol = 0
        while left > 0:
            if units[symbol] > 0:
                left -= 1
                units[symbol] += 1
            symbol = (symbol + 1) % (highest + 1)
        return True
    scale = 62 - log
    middle = (1 << (scale - 1)) - 1
    step = ((left << scale) + middle) // total
    at = middle
    for symbol in range(highest + 1):
        if units[symbol] == open_:
            end = at + counts[symbol] * step
            weight = (end >> scale) - (at >> scale)
            if weight < 1:
                return False
            units[symbol] = weight
            at = end
    return True


@step
def table_bits(table: IntArray) -> Integer:
    """Return the bits of a table's description (section 4.1.1) [FSE_writeNCount]."""
    log, highest = table[LOG], table[HIGHEST]
    remaining, threshold, width = (1 << log) + 1, 1 << log, log + 1
    bits, symbol = 4, 0
    after_zero = False
    while symbol <= highest and remaining > 1:
        if after_zero:
            start = symbol
            while symbol <= highest and table[PROBABILITIES + symbol] == 0:
                symbol += 1
            bits += 2 * ((symbol - start) // 3 + 1)
        units = table[PROBABILITIES + symbol]
        symbol += 1
        spare = 2 * threshold - 1 - remaining
        remaining -= abs(units)
        value = units + 1
        if value >= threshold:
            value += spare
        bits += width - (value < spare)
        after_zero = units == 0
        while remaining < threshold and width > 0:
            width -= 1
            threshold >>= 1
    return bits


@lean_kernel
def build_coder(table: IntArray, coder: IntArray) -> None:
    """Set ``coder`` (CODER_SHAPE) up to encode by a table [FSE_buildCTable]."""
    log, highest = table[LOG], table[HIGHEST]
    size = 1 << log
    states, bits, shares, symbols = coder[STATES], coder[BITS_OF], coder[SHARES_OF], coder[SYMBOL_AT]
    top, total = size - 1, 0
    for symbol in range(highest + 1):
        units = table[PROBABILITIES + symbol]
        shares[symbol] = total
        if units == -1:
            symbols[top] = symbol
            top -= 1
            units = 1
        total += units
    step, at = (size >> 1) + (size >> 3) + 3, 0
    for symbol in range(highest + 1):
        for _ in range(table[PROBABILITIES + symbol]):
            symbols[at] = symbol
            at = (at + step) & (size - 1)
            while at > top:
                at = (at + step) & (size - 1)
    for state in range(size):
        symbol = symbols[state]
        states[shares[symbol]] = size + state
        shares[symbol] += 1
    for symbol in range(highest + 1):
        units = abs(table[PROBABILITIES + symbol])
        if units == 0:
            bits[symbol] = ((log + 1) << 16) - size
        elif units == 1:
            bits[symbol] = (log << 16) - size
        else:
            width = log - highest_bit(units - 1)
            bits[symbol] = (width << 16) - (units << width)
        shares[symbol] -= 2 * units  # where its shares begin, less their number


@fragment
def first_state(coder: IntArray, symbol: Integer) -> Integer:
    """Return the state after the last symbol, which is coded first and costs no bits [FSE_initCState2]."""
    bits = coder[BITS_OF, symbol]
    width = (bits + (1 << 15)) >> 16
    return coder[STATES, (((width << 16) - bits) >> width) + coder[SHARES_OF, symbol]]


@fragment
def bits_of(coder: IntArray, state: Integer, symbol: Integer) -> Integer:
    """Return the bits that a symbol costs, coded from a state."""
    return (state + coder[BITS_OF, symbol]) >> 16


@fragment
def next_state(coder: IntArray, state: Integer, symbol: Integer, width: Integer) -> Integer:
    """Return the state that a symbol leads to, which costs ``width`` bits."""
    return coder[STATES, (state >> width) + coder[SHARES_OF, symbol]]


@step
def table_cost(table: IntArray, counts: IntArray, highest: Integer) -> Integer:
    """Return what symbols cost by a table, in bits rounded down, -1 where it lacks one [ZSTD_fseBitCost]."""
    log = table[LOG]
    size, cost = 1 << log, 0
    if table[HIGHEST] < highest:
        return -1
    for symbol in range(highest + 1):
        if counts[symbol] == 0:
            continue
        units = abs(table[PROBABILITIES + symbol])
        if units == 0:
            return -1
        width = log if units == 1 else log - highest_bit(units - 1)
        bits = (width << 16) - (size if units == 1 else units << width)
        least = bits >> 16
        below = ((least + 1) << 16) - (bits + size)
        each = ((least + 1) << 8) - ((below << 8) >> log)
        if each >= (log + 1) << 8:
            return -1
        cost += counts[symbol] * each
    return cost >> 8
