"""The logistic domain in integers: natural logarithms of odds in units of 1/256, and 16-bit probabilities.

``SQUASH`` maps one to the other, from powers of e^(1/256) in 90-bit fixed point, so that no platform's libm takes part;
``STRETCH`` inverts it by search.
"""

from bisect import bisect_left

import numpy as np
import numpy.typing as npt

STRETCH_LIMIT = 2047
SQUASH_LIMIT = 2815  # squash(2815) is one unit below 2^16
PROBABILITY_BITS = 16

_FIXED = 90
_ROOT = 1242785199606652900978764043  # e^(1/256) * 2^90, rounded


def _squash_table() -> npt.NDArray[np.uint16]:
    """Return 2^16 / (1 + e^(-x/256)) for x from -SQUASH_LIMIT to SQUASH_LIMIT, within [1, 2^16 - 1]."""
    one = 1 << _FIXED
    upper = []
    power = one  # e^(x/256)
    for _ in range(SQUASH_LIMIT + 1):
        upper.append(min(65535, (power << PROBABILITY_BITS) // (one + power)))
        power = (power * _ROOT) >> _FIXED
    return np.array([max(1, 65536 - p) for p in upper[:0:-1]] + upper, dtype=np.uint16)


def _stretch_table(squash: npt.NDArray[np.uint16]) -> npt.NDArray[np.int16]:
    """Return the x with squash(x) nearest above the middle of each of 4096 equal intervals of probability."""
    ascending = squash.tolist()
    found = (bisect_left(ascending, 16 * index + 8) - SQUASH_LIMIT for index in range(4096))
    return np.array([min(STRETCH_LIMIT, max(-STRETCH_LIMIT, x)) for x in found], dtype=np.int16)


SQUASH = _squash_table()
STRETCH = _stretch_table(SQUASH)
