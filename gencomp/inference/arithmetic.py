"""A network's steps other than products, in integers: rescaling, norms, gates and squares. None overflows.

Numbers are fixed point: *Qn* has n fractional bits. The residual stream and rescaled sums are Q12 in int32. What goes
into a product is int16: Q11 for normed numbers, and as the layer chose for the others. Two int32 are multiplied in
int64. The product is shifted right by at most 32 bits, to fit int32, so that compilers can vectorise it.
"""

import math

import numpy as np
import numpy.typing as npt

from gencomp.compiled import Integer, fragment, lean_kernel
from gencomp.inference.products import Int16Array, Int32Array

STREAM_BITS = 12  # fractional bits of the residual stream and of sums
NORM_BITS = 11  # of normed numbers
MIX_BITS = 14  # of the byte before's share in a token shift
GATE_BITS = 15  # of a gate
STATE_BITS = 24  # of the recurrent state
LOGIT_BITS = 8  # of the natural logarithm of odds

MULTIPLIER_SHIFT = 32
STREAM_LIMIT = (1 << 27) - 1  # of the residual stream: 32768 in Q12
BIAS_LIMIT = 1 << 29  # of biases in Q12
CANDIDATE_LIMIT = (1 << 18) - 1  # of a recurrence's candidate: 64 in Q12
STATE_LIMIT = CANDIDATE_LIMIT << (STATE_BITS - STREAM_BITS)
INT16_LIMIT = 32767
OUTPUT_BITS, SQUARE_BITS = range(9, 15), range(8, 13)  # fractional bits that a scan's outputs and squares may have
_EPSILON = 42950  # of an RMS norm: 1e-5 in Q32
MAX_WIDTH = 224  # of a normed vector, whose numbers reach the square root of the width

_HALF = np.int64(1 << (MULTIPLIER_SHIFT - 1))


@fragment
def clamp(value: Integer, limit: Integer) -> Integer:
    """Return the int32 nearest to ``value`` within [-limit, limit]."""
    return np.int32(min(np.int32(limit), max(np.int32(-limit), value)))


@fragment
def rescaled(total: Integer, multiplier: Integer) -> Integer:
    """Return ``total * multiplier / 2^32``, rounded, int32; below 2^30 in absolute value for any two of int32."""
    return np.int32((np.int64(total) * np.int64(multiplier) + _HALF) >> MULTIPLIER_SHIFT)


@lean_kernel
def square_root(value: Integer) -> Integer:
    """Return the square root of ``value`` < 2^62, rounded down.

    The processor's root of the nearest float64 is off by at most one; integers correct it.
    """
    root = np.int64(np.sqrt(np.float64(value)))
    while root * root > value:
        root -= 1
    while (root + 1) * (root + 1) <= value:
        root += 1
    return root


@lean_kernel
def normalise(stream: Int32Array, normed: Int16Array) -> None:
    """Write ``stream`` divided by its root mean square (Zhang and Sennrich 2019) into ``normed``, in Q11.

    There are at most MAX_WIDTH numbers, within STREAM_LIMIT: their squares sum to less than 2^62. A number is below 15
    times the root mean square. Rounding takes at most 1/207 of the root, so a quotient is below 15.1: Q11 fits int16.
    """
    total = np.int64(0)
    for j in range(stream.shape[0]):
        total += np.int64(stream[j]) * np.int64(stream[j])
    root = square_root(((total // stream.shape[0]) << 8) + _EPSILON)  # in Q16: at least 207, below 2^31
    # to fit 30 bits, the reciprocal is made smaller for a root of fewer than 18 bits; products are small then, and are
    # shifted left instead
    length = 8
    while root >> length > 0:
        length += 1
    left = np.int64(max(0, 18 - length))
    reciprocal = np.int32((np.int64(1) << (47 - left)) // root)
    for j in range(stream.shape[0]):
        product = (np.int64(stream[j]) * np.int64(reciprocal)) << left
        normed[j] = np.int16(np.int32((product + _HALF) >> MULTIPLIER_SHIFT))


@fragment
def mix_with_before(normed: Int16Array, before: Int16Array, shares: Int16Array, mixed: Int16Array) -> None:
    """Write ``normed + shares * (before - normed)`` into ``mixed``, and ``normed`` into ``before``.

    The token shift of RWKV (Peng et al. 2023). Shares are Q14 within [-1, 1]; a difference is below 2^16.
    """
    for j in range(normed.shape[0]):
        now = np.int32(normed[j])
        difference = np.int32(np.int32(before[j]) - now)
        change = np.int32(np.int32(np.int32(difference * np.int32(shares[j])) + np.int32(1 << 13)) >> np.int32(14))
        before[j] = np.int16(now)
        mixed[j] = np.int16(clamp(np.int32(now + change), INT16_LIMIT))


@fragment
def gate(logit: Integer) -> Integer:
    """Return the gate of ``logit``, Q12, in Q15: (1 + t (2 - |t|)) / 2 for t = logit / 4 within [-1, 1].

    A sigmoid made of two parabolas, which reaches 0 and 1. The logit in Q12 is t in Q14.
    """
    t = clamp(logit, 1 << 14)
    curve = np.int32(t * np.int32(np.int32(1 << 15) - abs(t)))
    return np.int32(np.int32(1 << 14) + np.int32(curve >> np.int32(14)))


@fragment
def scan(
    sums: Int32Array,
    multipliers: Int32Array,
    biases: Int32Array,
    state: Int32Array,
    output_bits: Integer,
    outputs: Int16Array,
) -> None:
    """Update ``state``, h = z + f (h - z), and write ``h o`` into ``outputs``, in Q``output_bits``.

    A minimal gated recurrence (Feng et al. 2024): ``sums`` (3 H,) are the products for the candidates z and the gates f
    and o. z and h stay within STATE_LIMIT < 2^30, so their difference fits int32.
    """
    size = state.shape[0]
    unit = np.int32(1 << (output_bits + MULTIPLIER_SHIFT - STATE_BITS - GATE_BITS))
    for j in range(size):
        candidate = np.int32(rescaled(sums[j], multipliers[j]) + biases[j])
        forget = np.int32(rescaled(sums[size + j], multipliers[size + j]) + biases[size + j])
        show = np.int32(rescaled(sums[2 * size + j], multipliers[2 * size + j]) + biases[2 * size + j])
        z = np.int32(clamp(candidate, CANDIDATE_LIMIT) << np.int32(STATE_BITS - STREAM_BITS))
        difference = np.int32(state[j] - z)
        kept = np.int32((np.int64(difference) * np.int64(gate(forget)) + (1 << (GATE_BITS - 1))) >> GATE_BITS)
        h = np.int32(z + kept)
        state[j] = h
        outputs[j] = np.int16(clamp(rescaled(h, np.int32(gate(show) * unit)), INT16_LIMIT))


@fragment
def add_rescaled(sums: Int32Array, multipliers: Int32Array, stream: Int32Array) -> None:
    """Add ``sums``, rescaled, to ``stream``, and clamp it to STREAM_LIMIT; 2^30 + 2^27 < 2^31."""
    for j in range(stream.shape[0]):
        stream[j] = clamp(np.int32(stream[j] + rescaled(sums[j], multipliers[j])), STREAM_LIMIT)


@fragment
def square_positive(
    sums: Int32Array,
    multipliers: Int32Array,
    biases: Int32Array,
    square_bits: Integer,
    limit: Integer,
    outputs: Int16Array,
) -> None:
    """Write the squares of positive sums, else 0, into ``outputs``, in Q``square_bits``: ReLU^2 (So et al. 2021).

    Sums are clamped to ``limit``, which is :func:`square_limit` of the bits, so that a square fits int32 in Q24 and
    int16 in the end.
    """
    unit = np.int32(1 << (square_bits + MULTIPLIER_SHIFT - 2 * STREAM_BITS))
    for j in range(outputs.shape[0]):
        total = np.int32(rescaled(sums[j], multipliers[j]) + biases[j])
        positive = np.int32(min(np.int32(limit), max(np.int32(0), total)))
        outputs[j] = np.int16(rescaled(np.int32(positive * positive), unit))


def square_limit(square_bits: int) -> int:
    """Return the largest number in Q12 whose square, rounded to Q``square_bits``, is at most 32767.

    ``square_bits`` must be 8 to 12. For 8 the limit is 46340, which is 11.31; its square and half a unit are below
    2^31.
    """
    half = 1 << (2 * STREAM_BITS - 1 - square_bits)
    return math.isqrt(2 * half * (INT16_LIMIT + 1) - half - 1)


def round_to(values: npt.ArrayLike, bits: int) -> npt.NDArray[np.int64]:
    """Return ``values`` in fixed point with ``bits`` fractional bits, int64."""
    return np.rint(np.asarray(values, dtype=np.float64) * 2.0**bits).astype(np.int64)
