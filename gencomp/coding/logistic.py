"""The logistic domain in integers: natural logarithms of odds in units of 1/256, and 16-bit probabilities.

The two tables are PAQ's squash and stretch: ``SQUASH`` maps logarithms to probabilities, ``STRETCH`` probabilities to
logarithms. The first is computed from powers of e^(1/256) in 90-bit fixed point, so that no platform's libm takes part.
The second is found by searching the first.
"""

import numpy as np
import numpy.typing as npt

PROBABILITY_BITS = 16
SQUASH_LIMIT = 2815  # squash(2815) is one unit below 2^16
STRETCH_LIMIT = 2047  # what a mixer takes: 12 bits with the sign
STRETCH_CELLS = 4096  # of probability: STRETCH is indexed by its upper 12 bits

_FIXED = 90  # fractional bits
_ROOT = 1242785199606652900978764043  # e^(1/256) * 2^90, rounded


def _squash_table() -> npt.NDArray[np.uint16]:
    """Return 2^16 / (1 + e^(-x/256)) for x from -SQUASH_LIMIT to SQUASH_LIMIT, within [1, 2^16 - 1]."""
    one, whole = 1 << _FIXED, 1 << PROBABILITY_BITS
    upper = []
    power = one  # e^(x/256)
    for _ in range(SQUASH_LIMIT + 1):
        upper.append(min(whole - 1, (power << PROBABILITY_BITS) // (one + power)))
        power = (power * _ROOT) >> _FIXED
    return np.array([max(1, whole - p) for p in upper[:0:-1]] + upper, dtype=np.uint16)


def _stretch_table(squash: npt.NDArray[np.uint16]) -> npt.NDArray[np.int16]:
    """Return the smallest x with squash(x) at or above the middle of each of STRETCH_CELLS intervals of probability."""
    size = (1 << PROBABILITY_BITS) // STRETCH_CELLS
    middles = np.arange(size // 2, 1 << PROBABILITY_BITS, size)
    found = np.searchsorted(squash, middles) - SQUASH_LIMIT
    return found.clip(-STRETCH_LIMIT, STRETCH_LIMIT).astype(np.int16)


SQUASH = _squash_table()
STRETCH = _stretch_table(SQUASH)
