"""Uniform random bytes: what no code can shorten."""

import numpy as np

MOST = 1 << 40  # bytes


def random_bytes(size: int, seed: int = 0) -> bytes:
    """Return ``size`` uniform bytes, the same for the same seed. Raises ``ValueError`` on more than memory can hold."""
    if not 0 <= size <= MOST:
        raise ValueError(f"random data can have from 0 to {MOST:,} bytes, got {size:,}")
    return np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8).tobytes()
