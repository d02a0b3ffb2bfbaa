"""Code lengths in fixed point, so that their sums and means are the same on any machine.

The unit is 2^-16 bit, as in the inverse, :func:`gencomp.coding.quantize.weight_of_code_length`.
"""

import numpy as np

from gencomp.coding.quantize import WEIGHT_BITS, weight_of_code_length
from gencomp.compiled import Integer, lean_kernel
from gencomp.protocols import FloatArray, IntArray

UNIT_BITS = 16
UNIT = 1 << UNIT_BITS  # one bit
_MANTISSA_BITS = 30


def fixed_point(code_lengths: FloatArray) -> IntArray:
    """Return ``code_lengths`` (any shape, bits) rounded to units of 2^-16 bit, int64 of the same shape."""
    return np.asarray(np.rint(code_lengths * UNIT), dtype=np.int64)


@lean_kernel
def log2_of(value: Integer) -> Integer:
    """Return log2(value) in units of 2^-16 bit, rounded down; ``value`` is from 1 to 2^62 - 1.

    Each squaring of the mantissa brings the next binary digit of the logarithm to the front.
    """
    mantissa, whole = np.int64(value), np.int64(_MANTISSA_BITS)
    while mantissa >> _MANTISSA_BITS > 1:
        mantissa >>= 1
        whole += 1
    while mantissa >> _MANTISSA_BITS == 0:
        mantissa <<= 1
        whole -= 1
    digits = whole
    for _ in range(UNIT_BITS):
        mantissa = (mantissa * mantissa) >> _MANTISSA_BITS
        digits <<= 1
        if mantissa >> (_MANTISSA_BITS + 1):
            mantissa >>= 1
            digits += 1
    return digits


@lean_kernel
def code_length_of_sum(code_lengths: IntArray) -> Integer:
    """Return -log2 of the sum of 2^-l over ``code_lengths`` (n,), both in units of 2^-16 bit; n is at most 2^20.

    Terms below 2^-30 of the largest count as nothing.
    """
    shortest = code_lengths[0]
    for index in range(1, len(code_lengths)):
        shortest = min(shortest, code_lengths[index])
    total = np.int64(0)
    for index in range(len(code_lengths)):
        total += weight_of_code_length((code_lengths[index] - shortest) / 65536.0)
    return shortest + (WEIGHT_BITS << UNIT_BITS) - log2_of(total)
