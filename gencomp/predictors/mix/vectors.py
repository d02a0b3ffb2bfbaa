"""Sums over rows of int32, eight at a time: what a mixer does, in LLVM's own terms.

A compiler that does not know the length of a short row makes loops over 32 numbers at a time, which the row never
fills, and takes the rest one by one or by fours.
"""

import numpy as np
import numpy.typing as npt

from gencomp.compiled import Integer, compiled

VECTOR = 8  # numbers that are taken at a time
Int32Array = npt.NDArray[np.int32]


def _weigh(weights: Int32Array, inputs: Int32Array, shift: Integer, count: Integer) -> Integer:
    """Return the sum of ``weights * inputs >> shift`` over ``count`` numbers, in int32 as they overflow."""
    return ((weights[:count] * inputs[:count]) >> np.int32(shift)).sum(dtype=np.int32)


def _weigh_fresh(weights: Int32Array, inputs: Int32Array, shift: Integer) -> Integer:
    """Do as ``weigh`` for VECTOR inputs that were written just now: a vector would wait until they are in the cache."""
    return _weigh(weights, inputs, shift, VECTOR)


def _train(weights: Int32Array, inputs: Int32Array, error: Integer, shift: Integer, count: Integer) -> None:
    """Add ``inputs * error`` in units of 2^shift, rounded, to ``count`` of the ``weights``; products must fit int32."""
    half = np.int32(1 << (shift - 1))
    weights[:count] += (inputs[:count] * np.int32(error) + half) >> np.int32(shift)


# for kernels; ``count`` must be a multiple of VECTOR
weigh = compiled(_weigh, "gencomp.predictors.mix.vector_instructions:weigh")
weigh_fresh = compiled(_weigh_fresh, "gencomp.predictors.mix.vector_instructions:weigh_fresh")
train = compiled(_train, "gencomp.predictors.mix.vector_instructions:train")
