"""A test, in milliseconds, for blocks that no model can shorten, so that nobody waits for a model to find out."""

import zlib

import numpy as np

MIN_BYTES = 4096  # below, the model is fast and the test unsure
LAGS = (1, 2, 3, 4)  # sample and pixel distances at which raw data differs from noise
# a chi-square statistic with 255 degrees of freedom has mean 255 and deviation 22.6: noise never comes this far
MAX_CHI_SQUARE = 255 + 7 * 22.6


def _chi_square(values: np.ndarray) -> float:
    """Return how far the byte values are from equally frequent; about 255 for noise."""
    expected = len(values) / 256
    return float(((np.bincount(values, minlength=256) - expected) ** 2).sum() / expected)


def looks_random(content: bytes) -> bool:
    """Return whether bytes and their differences are as evenly spread as noise, and deflate finds no repeats.

    Compressed and encrypted data do; JPEG files and raw samples do not, since their bytes or differences are uneven.
    """
    if len(content) < MIN_BYTES:
        return False
    data = np.frombuffer(content, dtype=np.uint8)
    if _chi_square(data) > MAX_CHI_SQUARE:
        return False
    if any(_chi_square(data[lag:] - data[:-lag]) > MAX_CHI_SQUARE for lag in LAGS):
        return False
    return len(zlib.compress(content, 1)) >= len(content)
