"""Sums over rows of int32, eight at a time: what a mixer does, in LLVM's own terms; and arrays that are aligned.

A compiler that does not know the length of a short row makes loops over 32 numbers at a time, which the row never
fills, and takes the rest one by one or by fours.
"""

from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from gencomp.compiled import Integer, compiled

LANES = 8
CACHE_LINE, HUGE_PAGE = 64, 1 << 21  # bytes
Part = TypeVar("Part", bound=npt.NDArray[Any])
Int32Array = npt.NDArray[np.int32]


def aligned_zeros(size: int) -> npt.NDArray[np.uint8]:
    """Return ``size`` zero bytes that start at a cache line; a large table at a huge page, which numpy asks for."""
    unit = HUGE_PAGE if size >= HUGE_PAGE // 2 else CACHE_LINE
    raw = np.zeros(size + 2 * unit, dtype=np.uint8)
    skipped = -raw.ctypes.data % unit
    return raw[skipped : skipped + size]


def aligned(part: Part) -> Part:
    """Return a copy that starts where :func:`aligned_zeros` start."""
    copy = cast(Part, aligned_zeros(part.nbytes).view(part.dtype).reshape(part.shape))
    copy[...] = part
    return copy


def _weigh(weights: Int32Array, inputs: Int32Array, shift: Integer, count: Integer) -> Integer:
    """Return the sum of ``weights * inputs >> shift`` over ``count`` numbers, in int32 as they overflow."""
    return ((weights[:count] * inputs[:count]) >> np.int32(shift)).sum(dtype=np.int32)


def _weigh_fresh(weights: Int32Array, inputs: Int32Array, shift: Integer) -> Integer:
    """Do as ``weigh`` for LANES inputs that were written just now: a vector would wait until they are in the cache."""
    return _weigh(weights, inputs, shift, LANES)


def _train(weights: Int32Array, inputs: Int32Array, error: Integer, shift: Integer, count: Integer) -> None:
    """Add ``inputs * error`` in units of 2^shift, rounded, to ``count`` of the ``weights``; products must fit int32."""
    half = np.int32(1 << (shift - 1))
    weights[:count] += (inputs[:count] * np.int32(error) + half) >> np.int32(shift)


# for kernels; ``count`` must be a multiple of LANES
weigh = compiled(_weigh, "gencomp.vector_instructions:weigh")
weigh_fresh = compiled(_weigh_fresh, "gencomp.vector_instructions:weigh_fresh")
train = compiled(_train, "gencomp.vector_instructions:train")
