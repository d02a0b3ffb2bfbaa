"""Probabilities to integers: the only place where floating point meets the coder.

Everything becomes **weights** first: non-negative integers whose sum is at most 2^40. The rest is integer arithmetic,
so equal weights give equal cdfs on any machine:

    cdf[0] = 0
    cdf[i] = i + floor((w[0] + ... + w[i-1]) * scale / 2^shift)      0 < i < alphabet_size
    cdf[alphabet_size] = 2^precision

The ``+ i`` gives every symbol a frequency of at least one, so the cdf is strictly increasing and any symbol can be
coded. ``scale``, in fixed point with ``shift`` fractional bits, is the mass above that floor divided by the sum of the
weights: one division a row, none a symbol.
"""

from math import isqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from gencomp.compiled import Integer, lean_kernel

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
AnyArray = npt.NDArray[Any]

MAX_PRECISION = 30
MAX_ALPHABET_SIZE = 1 << 18
MAX_TOTAL_WEIGHT = 1 << 40
WEIGHT_BITS = 30  # a probability of 1 becomes the weight 2^30
PMF_SCALE = np.float32(1 << WEIGHT_BITS)  # a power of two: exact in float32 and in float64
PMF_ZERO = np.float32(0.0)
PMF_ONE = np.float32(1.0)
PMF_TOTAL_MIN = (1 << WEIGHT_BITS) * 99 // 100  # a row may miss the sum of 1 by 1 %
PMF_TOTAL_MAX = (1 << WEIGHT_BITS) * 101 // 100
PMF_RUN = 64  # probabilities added up at a time by :func:`symbol_of_pmf`
# scale * total weight < 2^SCALE_BITS: the products stay inside a signed 64-bit integer
SCALE_BITS = 62


def default_precision(alphabet_size: int) -> int:
    """Bits of the integer cdf for an alphabet: 20 for bytes, up to 30.

    The floor of one unit a symbol then moves at most 2^-12 of the mass (0.0004 bits a symbol), and a byte costs at
    least 0.00035 bits, so that no block can claim more than 22,800 times its coded size.
    """
    return min(MAX_PRECISION, max(16, (alphabet_size - 1).bit_length() + 12))


def check_alphabet(alphabet_size: int, precision: int) -> None:
    """Raise ``ValueError`` unless ``alphabet_size`` symbols fit a cdf of ``precision`` bits."""
    if not 2 <= alphabet_size <= MAX_ALPHABET_SIZE:
        raise ValueError(f"alphabet_size must be from 2 to {MAX_ALPHABET_SIZE}, got {alphabet_size}")
    if not 1 <= precision <= MAX_PRECISION:
        raise ValueError(f"precision must be from 1 to {MAX_PRECISION} bits, got {precision}")
    if alphabet_size > 1 << (precision - 1):
        raise ValueError(
            f"{alphabet_size} symbols need a precision of {alphabet_size.bit_length()} bits or more, got {precision}"
        )


def _power_tables() -> tuple[IntArray, IntArray]:
    """Return 2^(-i/256) and 2^(-i/65536), i < 256, as 30-bit fixed point, from integer square roots alone."""
    guard = 90  # fractional bits: errors in the last ones do not reach the 30 that are kept
    one = 1 << guard
    roots = []  # 2^(-1/2), 2^(-1/4), ... by repeated square roots
    value = one >> 1
    for _ in range(16):
        value = isqrt(value << guard)
        roots.append(value)

    def table(bits: list[int]) -> IntArray:
        powers = []
        for index in range(256):
            power = one
            for position, factor in enumerate(bits):  # the most significant bit first
                if (index >> (7 - position)) & 1:
                    power = (power * factor) >> guard
            powers.append((power + (1 << (guard - WEIGHT_BITS - 1))) >> (guard - WEIGHT_BITS))
        return np.array(powers, dtype=np.int64)

    return table(roots[:8]), table(roots[8:])


_COARSE, _FINE = _power_tables()


@lean_kernel
def weight_of_code_length(bits: float) -> Integer:
    """Return 2^30 * 2^-bits as an integer, after rounding ``bits`` to 1/65536 bit."""
    if not bits < 64.0:  # infinity, too; callers have refused NaN
        return 0
    grid = int(np.floor(bits * 65536.0 + 0.5))
    fraction = grid & 0xFFFF
    power = (_COARSE[fraction >> 8] * _FINE[fraction & 0xFF]) >> WEIGHT_BITS
    return power >> (grid >> 16)


@lean_kernel
def scale_of(total_weight: Integer, alphabet_size: Integer, precision: Integer) -> Integer:
    """Return the fixed-point factor from cumulative weights to cdf units: the one division of a row.

    Its product with ``total_weight`` is at most ``spread`` times 2^(SCALE_BITS - precision), below 2^SCALE_BITS.
    """
    spread = (1 << precision) - alphabet_size
    return (spread << (SCALE_BITS - precision)) // total_weight


@lean_kernel
def bound_of(symbol: Integer, cumulative_weight: Integer, scale: Integer, precision: Integer) -> Integer:
    """Return cdf[symbol], ``cumulative_weight`` being the sum of the weights below it."""
    return symbol + ((cumulative_weight * scale) >> (SCALE_BITS - precision))


@lean_kernel
def fill_cdf(weights: IntArray, precision: Integer, cdf: IntArray) -> None:
    """Write the cdf of ``weights`` (alphabet_size,) int64 into ``cdf`` (alphabet_size + 1,)."""
    alphabet_size = weights.shape[0]
    total = 0
    for symbol in range(alphabet_size):
        total += weights[symbol]
    scale = scale_of(total, alphabet_size, precision)
    cumulative = 0
    for symbol in range(alphabet_size):
        cdf[symbol] = bound_of(symbol, cumulative, scale, precision)
        cumulative += weights[symbol]
    cdf[alphabet_size] = 1 << precision


@lean_kernel
def interval_of_weights(weights: IntArray, symbol: Integer, precision: Integer) -> tuple[Integer, Integer]:
    """Return (cdf[symbol], cdf[symbol + 1]) of ``weights`` without building the cdf."""
    alphabet_size = weights.shape[0]
    below, above = 0, 0
    for index in range(symbol):
        below += weights[index]
    for index in range(symbol + 1, alphabet_size):
        above += weights[index]
    here = weights[symbol]
    scale = scale_of(below + here + above, alphabet_size, precision)
    low = bound_of(symbol, below, scale, precision)
    if symbol == alphabet_size - 1:
        return low, 1 << precision
    return low, bound_of(symbol + 1, below + here, scale, precision)


@lean_kernel
def symbol_of_weights(weights: IntArray, target: Integer, precision: Integer) -> tuple[Integer, Integer, Integer]:
    """Return (symbol, cdf[symbol], cdf[symbol + 1]) with cdf[symbol] <= target < cdf[symbol + 1]."""
    last = weights.shape[0] - 1
    total = 0
    for symbol in range(last + 1):
        total += weights[symbol]
    scale = scale_of(total, last + 1, precision)
    below, low = 0, 0
    for symbol in range(last):
        below += weights[symbol]
        high = bound_of(symbol + 1, below, scale, precision)
        if target < high:
            return symbol, low, high
        low = high
    return last, low, 1 << precision


@lean_kernel
def pmf_total(pmf: AnyArray) -> Integer:
    """Return the sum of the row's integer weights floor(p * 2^30); -1 unless it is a distribution, to within 1 %."""
    total: Integer = 0
    valid = True
    for symbol in range(pmf.shape[0]):
        probability = pmf[symbol]
        valid &= (probability >= PMF_ZERO) & (probability <= PMF_ONE)  # False for NaN
        total += np.int64(np.int32(probability * PMF_SCALE))
    if valid and PMF_TOTAL_MIN <= total <= PMF_TOTAL_MAX:
        return total
    return -1


@lean_kernel
def pmf_weight_of_run(pmf: AnyArray) -> Integer:
    """Return the sum of the weights of a slice of a checked row, in 32 bits, which compile to vector code.

    They suffice: a whole row's weights sum to at most PMF_TOTAL_MAX, below 2^31.
    """
    total = np.int32(0)
    for symbol in range(pmf.shape[0]):
        total = np.int32(total + np.int32(pmf[symbol] * PMF_SCALE))
    return np.int64(total)


@lean_kernel
def interval_of_pmf(pmf: AnyArray, symbol: Integer, precision: Integer) -> tuple[Integer, Integer]:
    """Return (cdf[symbol], cdf[symbol + 1]) of a float row without building its cdf; (0, 0) for an invalid row."""
    total = pmf_total(pmf)
    if total < 0:
        return 0, 0
    alphabet_size = pmf.shape[0]
    scale = scale_of(total, alphabet_size, precision)
    below = pmf_weight_of_run(pmf[:symbol])
    low = bound_of(symbol, below, scale, precision)
    if symbol == alphabet_size - 1:
        return low, 1 << precision
    return low, bound_of(symbol + 1, below + np.int64(np.int32(pmf[symbol] * PMF_SCALE)), scale, precision)


@lean_kernel
def symbol_of_pmf(pmf: AnyArray, target: Integer, precision: Integer) -> tuple[Integer, Integer, Integer]:
    """Return (symbol, cdf[symbol], cdf[symbol + 1]), target inside; (0, 0, 0) for an invalid row."""
    total = pmf_total(pmf)
    if total < 0:
        return 0, 0, 0
    alphabet_size = pmf.shape[0]
    scale = scale_of(total, alphabet_size, precision)
    symbol = 0
    below: Integer = 0
    while symbol + PMF_RUN < alphabet_size:  # whole runs first
        run = pmf_weight_of_run(pmf[symbol : symbol + PMF_RUN])
        if target < bound_of(symbol + PMF_RUN, below + run, scale, precision):
            break
        symbol += PMF_RUN
        below += run
    low = bound_of(symbol, below, scale, precision)
    while symbol < alphabet_size - 1:
        below += np.int64(np.int32(pmf[symbol] * PMF_SCALE))
        high = bound_of(symbol + 1, below, scale, precision)
        if target < high:
            return symbol, low, high
        symbol += 1
        low = high
    return symbol, low, 1 << precision


@lean_kernel
def _total_weight(weights: IntArray) -> Integer:
    """Return the sum of ``weights``, or -1 if one is negative or the sum above MAX_TOTAL_WEIGHT."""
    total: Integer = 0
    for symbol in range(weights.shape[0]):
        if weights[symbol] < 0 or weights[symbol] > MAX_TOTAL_WEIGHT:
            return -1
        total += weights[symbol]
    return total if total <= MAX_TOTAL_WEIGHT else -1


@lean_kernel
def _fill_weights(code_lengths: FloatArray, weights: IntArray) -> None:
    for symbol in range(code_lengths.shape[0]):
        weights[symbol] = weight_of_code_length(code_lengths[symbol])


def _quantized(weights: IntArray, precision: int | None) -> IntArray:
    alphabet_size = len(weights)
    if precision is None:
        precision = default_precision(alphabet_size)
    check_alphabet(alphabet_size, precision)
    cdf = np.empty(alphabet_size + 1, dtype=np.int64)
    fill_cdf(weights, precision, cdf)
    return cdf


def cdf_from_weights(weights: IntArray, precision: int | None = None) -> IntArray:
    """Return the strictly increasing integer cdf of non-negative integer weights (counts, say).

    ``weights``: (alphabet_size,) int64, their sum from 1 to 2^40. Returns (alphabet_size + 1,) int64, from 0 to
    2^precision. Raises ``ValueError`` on negative weights, a sum out of bounds, or an alphabet that does not fit.
    """
    weights = np.ascontiguousarray(weights, dtype=np.int64)
    if _total_weight(weights) < 1:
        if len(weights) and int(weights.min()) < 0:
            raise ValueError(f"weights must not be negative, got {int(weights.min())}")
        raise ValueError(f"the weights' sum must be from 1 to 2^40, got {weights.tolist()[:4]}...; scale them")
    return _quantized(weights, precision)


def cdf_from_pmf(pmf: npt.ArrayLike, precision: int | None = None) -> IntArray:
    """Return the integer cdf of probabilities (alphabet_size,), float32 or float64, that sum to 1 within 1 %.

    Equals :func:`cdf_from_weights` of floor(p * 2^30). Raises ``ValueError`` on NaN, values outside [0, 1], or any
    other sum.
    """
    row = as_pmf_rows(np.asarray(pmf)[None])[0]
    if pmf_total(row) < 0:
        raise invalid_pmf(row)
    return _quantized((row * PMF_SCALE).astype(np.int64), precision)


def as_pmf_rows(pmf: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Return ``pmf`` (n, alphabet_size) as contiguous float32 or float64."""
    if pmf.ndim != 2:
        raise ValueError(f"probabilities must have the shape (n, alphabet_size), got {pmf.shape}")
    return np.ascontiguousarray(pmf, dtype=pmf.dtype if pmf.dtype in (np.float32, np.float64) else np.float64)


def invalid_pmf(row: npt.NDArray[np.floating]) -> ValueError:
    """Return the error for a row that is not a distribution."""
    return ValueError(
        f"probabilities must lie in [0, 1] and sum to 1, got {row.min():.6g} to {row.max():.6g}, sum {row.sum():.6g}"
    )


def cdf_from_code_lengths(code_lengths: FloatArray, precision: int | None = None) -> IntArray:
    """Return the integer cdf of normalised code lengths in bits, (alphabet_size,) float64.

    Lengths are rounded to 1/65536 bit, and 2^-length comes from integer tables, not from a platform's libm. Raises
    ``ValueError`` on NaN, negative lengths, or a Kraft sum that is not within 1 % of 1.
    """
    code_lengths = np.ascontiguousarray(code_lengths, dtype=np.float64)
    if np.isnan(code_lengths).any() or float(code_lengths.min()) < -1e-9:
        raise ValueError(f"code lengths must be at least 0 bits and not NaN, got {code_lengths.min()}")
    weights = weights_of_code_lengths(code_lengths)
    kraft_sum = float(weights.sum()) / (1 << WEIGHT_BITS)
    if abs(kraft_sum - 1.0) > 0.01:
        raise ValueError(f"code lengths must have a Kraft sum of 1, got {kraft_sum:.6g}; normalise them")
    return _quantized(weights, precision)


def weights_of_code_lengths(code_lengths: FloatArray) -> IntArray:
    """Return the integer weights 2^30 * 2^-l of code lengths l (n,) in bits, which are at least 0; int64 (n,)."""
    weights = np.empty(len(code_lengths), dtype=np.int64)
    _fill_weights(np.ascontiguousarray(code_lengths, dtype=np.float64), weights)
    return weights


def code_lengths_of_cdf(cdf: IntArray) -> FloatArray:
    """Return the code lengths in bits, (alphabet_size,) float64, that an integer cdf assigns."""
    code_lengths: FloatArray = np.log2(float(cdf[-1])) - np.log2((cdf[1:] - cdf[:-1]).astype(np.float64))
    return code_lengths
