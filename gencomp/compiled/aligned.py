"""Aligned arrays: they begin at a cache line, large ones at a huge page."""

from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

CACHE_LINE, HUGE_PAGE = 64, 1 << 21  # bytes
Part = TypeVar("Part", bound=npt.NDArray[Any])


def aligned_zeros(size: int) -> npt.NDArray[np.uint8]:
    """Return ``size`` zero bytes that start at a cache line; from 1 MiB on, at a huge page, which numpy asks for."""
    unit = HUGE_PAGE if size >= HUGE_PAGE // 2 else CACHE_LINE
    raw = np.zeros(size + 2 * unit, dtype=np.uint8)
    skipped = -raw.ctypes.data % unit
    return raw[skipped : skipped + size]


def aligned(part: Part) -> Part:
    """Return a copy that is aligned as :func:`aligned_zeros` does it."""
    copy = cast(Part, aligned_zeros(part.nbytes).view(part.dtype).reshape(part.shape))
    copy[...] = part
    return copy
