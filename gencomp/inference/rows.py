"""A Transformer's steps on rows of numbers, in integers: norms, rotations, gates, powers of two. None overflows.

Rows are int64 in fixed point: *Qn* has n fractional bits. What goes into a product is int16, with a *shift* for each
row that lets its largest number take 15 bits. The residual stream is Q20 within STREAM_LIMIT; products that become
heads or gates are Q16 within INNER_LIMIT.
"""

from collections.abc import Callable

import numpy as np

from gencomp.compiled import Integer, compiled, fragment, lean_kernel
from gencomp.inference.arithmetic import square_root
from gencomp.inference.products import Int16Array, Int32Array
from gencomp.inference.tables import GATE_BITS, GATE_END, GATE_STEPS, ROTATION_BITS
from gencomp.inference.tiles import Int64Array

STREAM_BITS = 20
STREAM_LIMIT = (1 << 46) - 1
INNER_BITS = 16
INNER_LIMIT = (1 << 31) - 1
INPUT_BITS = 15  # of what goes into a product, without the sign
CACHE_BITS = 11  # of keys and values, without the sign
GAIN_BITS = 24  # at most, of a norm's gains; and fractional bits of normed numbers
EPSILON_BITS = 60  # fractional bits of a norm's epsilon
MAX_EPSILON = 1 << (EPSILON_BITS - 11)
MAX_WIDTH = 1 << 14  # of a normed row
MAX_NORM_BIAS = 1 << 60
MULTIPLIER_BITS = 24  # of what a sum of products is multiplied by
SHARE_BITS = 15  # of a position's share of an attention

_PEAK_BITS = 24  # a row's largest number is brought to so many bits before it is normed
_LEAST_SHIFT = -10  # but is raised by 10 bits at most
_ROOT_BITS = 6  # fractional bits of a root mean square
# Q16: 2^f = 1 + f (c0 + f (c1 + f (c2 + f c3))) for f in [0, 1), within 2e-5
POLYNOMIAL = _C0, _C1, _C2, _C3 = 45422, 15779, 3498, 837
_GATE_HALF = 1 << (GATE_BITS - 1)
_GATE_LAST = GATE_END << GATE_STEPS
_GATE_SHIFT = INNER_BITS - GATE_STEPS


def _plain_shift(right: bool) -> Callable[[Integer, Integer], Integer]:
    def shift(value: Integer, count: Integer) -> Integer:
        return np.int32(np.int32(value) >> np.int32(count) if right else np.int32(value) << np.int32(count))

    return shift


# int32, which numba would widen: right(value, count) is value >> count, left(value, count) is value << count
right, left = (
    compiled(_plain_shift(towards), "gencomp.inference.product_instructions:shift", towards)
    for towards in (True, False)
)


@lean_kernel
def bit_length(value: Integer) -> Integer:
    """Return how many bits ``value`` >= 0 has."""
    length = 0
    step = 32
    while step > 0:
        if value >> (length + step - 1) > 0:
            length += step
        step >>= 1
    return length


@lean_kernel
def peak_bits(row: Int64Array) -> Integer:
    """Return how many bits the largest absolute value of ``row`` has."""
    seen = np.int64(0)
    for j in range(row.shape[0]):
        seen |= abs(row[j])
    return bit_length(seen)


@fragment
def clamped(value: Integer, limit: Integer) -> Integer:
    """Return the number nearest to ``value`` within [-limit, limit]."""
    return min(max(value, -limit), limit)


@fragment
def shifted(value: Integer, shift: Integer, limit: Integer) -> Integer:
    """Return ``value`` / 2^shift, rounded, within [-limit, limit]; |value| <= 2^62, and ``shift`` may be negative."""
    if shift > 0:
        down = min(shift, 61)
        return clamped((value + (np.int64(1) << (down - 1))) >> down, limit)
    up = min(-shift, 46)
    return clamped(value, limit >> up) << up


@lean_kernel
def quantise(row: Int64Array, bits: Integer, least: Integer, out: Int16Array) -> Integer:
    """Write ``row`` / 2^s, rounded, into ``out``, within 2^bits - 1; return s, the least possible from ``least`` on.

    Numbers are within 2^62, so -62 for ``least`` bounds nothing. ``out`` may be longer, and keeps its other numbers.
    """
    length = peak_bits(row)
    if length == 0:
        for j in range(row.shape[0]):
            out[j] = 0
        return max(0, least)
    shift = max(length - bits, least)
    limit = (1 << bits) - 1
    if shift > 0:
        half = np.int64(1) << (shift - 1)
        for j in range(row.shape[0]):
            out[j] = np.int16(clamped((row[j] + half) >> shift, limit))
    else:
        for j in range(row.shape[0]):
            out[j] = np.int16(row[j] << -shift)
    return shift


@lean_kernel
def normalise(
    row: Int64Array,
    gains: Int32Array,
    biases: Int64Array,
    bits: Integer,
    epsilon: Integer,
    bits_in: Integer,
    centred: Integer,
    normed: Int64Array,
) -> None:
    """Write ``row`` over its root mean square, times gains, plus biases, into ``normed``, in Q(24 + bits).

    ``row`` has at most MAX_WIDTH numbers, Q``bits_in`` within STREAM_LIMIT; ``gains`` are Q``bits`` within 2^24, and
    ``biases`` Q(24 + bits) within MAX_NORM_BIAS. With ``centred`` the mean is subtracted first (LayerNorm, Ba et al.
    2016), else not (RMSNorm, Zhang and Sennrich 2019). ``epsilon``, Q60 up to 2^-11, is added to the mean square.

    The largest number is brought to 24 bits, or raised by 10 bits at most, so squares sum to less than 2^62. But for
    rounding, normed numbers are at most 2^7, the root of the width; in Q24, times a gain, they are below 2^56.
    """
    size = row.shape[0]
    mean = np.int64(0)
    if centred:
        for j in range(size):
            mean += row[j]
        mean = (mean + (size >> 1)) // size
    for j in range(size):
        normed[j] = row[j] - mean
    shift = max(peak_bits(normed) - _PEAK_BITS, _LEAST_SHIFT)
    total = np.int64(0)
    if shift > 0:
        half = np.int64(1) << (shift - 1)
        for j in range(size):
            value = (normed[j] + half) >> shift
            normed[j] = value
            total += value * value
    else:
        for j in range(size):
            value = normed[j] << -shift
            normed[j] = value
            total += value * value
    # epsilon in the unit of the squares, 2^(2 shift - 2 bits_in)
    mean_square = total // size + (epsilon >> min(EPSILON_BITS - 2 * bits_in + 2 * shift, 62))
    root = max(np.int64(1), square_root(mean_square << (2 * _ROOT_BITS)))
    # x / rms = x 2^_ROOT_BITS / root, in Q48 first, then in Q24
    reciprocal = (np.int64(1) << (48 + _ROOT_BITS)) // root
    for j in range(size):
        value = (normed[j] * reciprocal + (1 << 23)) >> 24
        normed[j] = value * gains[j] + biases[j]


@lean_kernel
def rotate(row: Int64Array, turned: Int32Array) -> None:
    """Rotate the pairs (j, j + n) of ``row``, j < n, by the n angles of ``turned`` (n, 2): RoPE (Su et al. 2021).

    ``turned`` has cosines and sines in Q30. ``row`` is within INNER_LIMIT, and afterwards below 2^31.5.
    """
    half = turned.shape[0]
    rounding = np.int64(1) << (ROTATION_BITS - 1)
    for j in range(half):
        cosine, sine = np.int64(turned[j, 0]), np.int64(turned[j, 1])
        one, other = row[j], row[j + half]
        row[j] = (one * cosine - other * sine + rounding) >> ROTATION_BITS
        row[j + half] = (other * cosine + one * sine + rounding) >> ROTATION_BITS


@fragment
def gated(value: Integer, table: Int32Array) -> Integer:
    """Return ``value`` g(``value``), Q16, for the g of a :func:`~gencomp.inference.tables.gate_table`.

    ``value`` is Q16 within INNER_LIMIT; g is linear between the table's values.
    """
    size = abs(value)
    place = min(size >> _GATE_SHIFT, _GATE_LAST)
    fraction = size & ((1 << _GATE_SHIFT) - 1)
    low, high = np.int64(table[place]), np.int64(table[place + 1])
    gate = low + (((high - low) * fraction) >> _GATE_SHIFT)
    if value < 0:
        gate = (1 << GATE_BITS) - gate
    return (value * gate + _GATE_HALF) >> GATE_BITS


@fragment
def power_of_two(fraction: Integer) -> Integer:
    """Return 2^f for f = ``fraction`` / 2^15, Q30 in [2^30, 2^31), with a relative error of at most 2e-5."""
    f = np.int32(fraction)
    r = np.int32(np.int32(_C2) + np.int32(np.int32(np.int32(_C3) * f) >> np.int32(15)))
    r = np.int32(np.int32(_C1) + np.int32(np.int32(r * f) >> np.int32(15)))
    r = np.int32(np.int32(_C0) + np.int32(np.int32(r * f) >> np.int32(15)))
    return np.int32(np.int32(1 << 30) + np.int32(np.int32(np.int32(r + np.int32(1)) >> np.int32(1)) * f))


@lean_kernel
def fill_exponentials(logits: Int32Array, powers: Int32Array) -> Integer:
    """Write 2^(x - largest x) in Q30 for the x of ``logits``, Q16, into ``powers``; return their sum."""
    largest = logits[0]
    for j in range(logits.shape[0]):
        largest = max(largest, logits[j])
    total = np.int64(0)
    for j in range(logits.shape[0]):
        # in int64, since two int32 may be 2^32 apart; 2^-40 is 0 in Q30
        below = np.int32(max(np.int64(logits[j]) - np.int64(largest), np.int64(-(40 << 16))))
        whole = np.int32(below >> np.int32(16))
        fraction = np.int32(np.int32(below & np.int32(0xFFFF)) >> np.int32(1))
        power = right(power_of_two(fraction), min(np.int32(31), np.int32(-whole)))
        powers[j] = power
        total += np.int64(power)
    return total


@lean_kernel
def fill_weights(logits: Int32Array, mass: Integer, weights: Int32Array) -> None:
    """Write the softmax, to the base 2, of ``logits`` (n,), Q16, into ``weights`` (n,), in units of 2^-30.

    Weights are rounded down, and sum to at most ``mass`` <= 2^30; n is below 2^31.
    """
    total = fill_exponentials(logits, weights)  # the largest one is 2^30, so the factor is at most 2^30
    factor = (np.int64(mass) << 30) // total
    for j in range(logits.shape[0]):
        weights[j] = np.int32((np.int64(weights[j]) * factor) >> 30)
