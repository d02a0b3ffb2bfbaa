"""Tables of functions in fixed point, computed in Python's integers: the same on every machine, without libm."""

import functools
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt

Int32Array = npt.NDArray[np.int32]
Int64Array = npt.NDArray[np.int64]

GATE_BITS = 30  # fractional bits of a table's values
GATE_STEPS = 7  # a table has 2^7 values from one integer to the next
GATE_END = 16  # a table's last argument; gates are within 2^-23 of 1 there
TURN_BITS = 64  # fractional bits of an angle in turns, a uint64: whole turns wrap around
ROTATION_BITS = 30  # of sines and cosines
_GUARD = 160  # fractional bits of the integers computed with
_ONE = 1 << _GUARD
_FINE = 10  # leading bits of an angle, which index a table of the circle


def _fixed(value: Fraction) -> int:
    return (value.numerator << _GUARD) // value.denominator


def _multiplied(one: int, other: int) -> int:
    return (one * other) >> _GUARD


@functools.cache
def _ln2() -> int:
    """Return ln 2 as 2 artanh(1/3)."""
    return 2 * _odd_series(_fixed(Fraction(1, 3)), 1)


def _odd_series(x: int, sign: int) -> int:
    """Return x + sign x^3/3 + x^5/5 + ...: artanh x for ``sign`` 1, arctan x for -1; |x| must be well below 1."""
    square, power, total, k = _multiplied(x, x), x, 0, 1
    while power:
        total += power // k
        power = sign * _multiplied(power, square)
        if power in (0, -1):
            break
        k += 2
    return total


@functools.cache
def _pi() -> int:
    """Return pi by Machin's formula."""
    return 4 * (4 * _odd_series(_fixed(Fraction(1, 5)), -1) - _odd_series(_fixed(Fraction(1, 239)), -1))


def _exp(x: int) -> int:
    """Return e^x."""
    whole = x // _ln2()
    rest = x - whole * _ln2()
    total = term = _ONE
    k = 1
    while term:
        term = _multiplied(term, rest) // k
        total += term
        k += 1
    return total << whole if whole >= 0 else total >> -whole


def _ln(x: int) -> int:
    """Return ln x for x > 0."""
    shift = x.bit_length() - 1 - _GUARD
    mantissa = x << -shift if shift < 0 else x >> shift  # in [1, 2)
    return shift * _ln2() + 2 * _odd_series(((mantissa - _ONE) << _GUARD) // (mantissa + _ONE), 1)


def _erf(x: int) -> int:
    """Return erf(x), 0 <= x < 7, by its Taylor series, whose terms reach e^(x^2): guard bits allow for that."""
    square, power, total, k = _multiplied(x, x), x, 0, 0
    while power:
        term = power // (2 * k + 1)
        total += -term if k % 2 else term
        k += 1
        power = _multiplied(power, square) // k
    return (total << _GUARD) * 2 // _square_root(_pi())


def _square_root(x: int) -> int:
    from math import isqrt

    return isqrt(x << _GUARD)


def _sigmoid(x: int) -> int:
    return (_ONE << _GUARD) // (_ONE + _exp(-x))


def _gelu_tanh(x: int) -> int:
    """Return (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, a sigmoid of twice the argument."""
    cube = _multiplied(_multiplied(x, x), x)
    inner = x + _multiplied(_fixed(Fraction(44715, 10**6)), cube)
    return _sigmoid(2 * _multiplied(_square_root(((2 * _ONE) << _GUARD) // _pi()), inner))


def _gelu(x: int) -> int:
    """Return the normal distribution's cdf at ``x`` >= 0; above 9 it rounds to 1."""
    if x > 9 * _ONE:
        return _ONE
    return (_ONE + _erf((x << _GUARD) // _square_root(2 * _ONE))) // 2


def _gelu_quick(x: int) -> int:
    return _sigmoid(_multiplied(_fixed(Fraction(1702, 1000)), x))


# an activation is x g(x), where g(-x) = 1 - g(x)
_GATES: dict[str, Callable[[int], int]] = {
    "silu": _sigmoid,
    "gelu_tanh": _gelu_tanh,
    "gelu": _gelu,
    "gelu_quick": _gelu_quick,
    "relu": lambda x: _ONE if x else _ONE // 2,
}
GATES = tuple(_GATES)


def _rounded(x: int, bits: int) -> int:
    return (x + (1 << (_GUARD - bits - 1))) >> (_GUARD - bits)


@functools.cache
def gate_table(name: str) -> Int32Array:
    """Return g(k / 128) for k = 0 to 2048, and 2048 again: Q30, int32 (2050,); ``x g(x)`` is activation ``name``."""
    gate = _GATES[name]
    values = [_rounded(gate((k << _GUARD) >> GATE_STEPS), GATE_BITS) for k in range((GATE_END << GATE_STEPS) + 1)]
    return np.array([*values, values[-1]], dtype=np.int32)


@functools.cache
def score_factor(head_size: int) -> int:
    """Return log2(e) / sqrt(head_size) in Q30: it makes products of queries and keys exponents of two."""
    return _rounded((_ONE << _GUARD) * _ONE // (_ln2() * _square_root(head_size << _GUARD)), 30)


@functools.cache
def log2_e(bits: int) -> int:
    """Return log2(e) with ``bits`` fractional bits."""
    return _rounded((_ONE << _GUARD) // _ln2(), bits)


def frequencies(base: float, size: int, factors: Sequence[float] | None = None) -> list[Fraction]:
    """Return base^(-2 k / size) / factors[k] for each pair k of ``size`` rotated numbers, in radians per position."""
    logarithm = _ln(_fixed(Fraction(base)))
    exact = [Fraction(_exp(-logarithm * 2 * k // size), _ONE) for k in range(size // 2)]
    return exact if factors is None else [one / Fraction(factor) for one, factor in zip(exact, factors, strict=True)]


@functools.cache
def _circle() -> tuple[Int64Array, Int64Array]:
    """Return the cosines and sines of k / 2^10 turns, Q30."""
    cosines, sines = [], []
    for k in range(1 << _FINE):
        x = (2 * _pi() * k) >> _FINE
        if x > _pi():
            x -= 2 * _pi()
        found = [0, 0]
        power, order = _ONE, 0
        while power not in (0, -1):
            found[order % 2] += -power if order % 4 >= 2 else power
            order += 1
            power = _multiplied(power, x) // order
        cosines.append(_rounded(found[0], ROTATION_BITS))
        sines.append(_rounded(found[1], ROTATION_BITS))
    return np.array(cosines, dtype=np.int64), np.array(sines, dtype=np.int64)


def rotations(turning: Sequence[Fraction], positions: int) -> Int32Array:
    """Return the cosine and the sine of position times frequency, Q30, int32 (positions, len(turning), 2).

    ``turning`` are frequencies in radians per position. The first 10 bits of an angle in turns index a table, and the
    rest enters by the first terms of its Taylor series: the error is below 2^-28.
    """
    turns = [int(frequency * (1 << (TURN_BITS + _GUARD)) / (2 * _pi())) % (1 << TURN_BITS) for frequency in turning]
    with np.errstate(over="ignore"):
        angles = np.arange(positions, dtype=np.uint64)[:, None] * np.array(turns, dtype=np.uint64)
    coarse = (angles >> np.uint64(TURN_BITS - _FINE)).astype(np.int64)
    rest = ((angles >> np.uint64(TURN_BITS - _FINE - 32)) & np.uint64((1 << 32) - 1)).astype(np.int64)
    # from units of 2^-42 turns, below 2^32, to radians in Q40, below 2^33
    radians = (rest * _rounded(2 * _pi(), 28)) >> 30
    square = ((radians >> 10) * (radians >> 10)) >> 20  # Q40
    cosine = (1 << 30) - (square >> 11)
    sine = (radians >> 10) - (((square >> 10) * (radians >> 10) // 6) >> 30)
    cosines, sines = _circle()
    table = np.empty((positions, len(turns), 2), dtype=np.int64)
    half = 1 << 29
    table[..., 0] = (cosines[coarse] * cosine - sines[coarse] * sine + half) >> 30
    table[..., 1] = (sines[coarse] * cosine + cosines[coarse] * sine + half) >> 30
    return table.astype(np.int32)
