"""What a mixer does to rows of int32, eight at a time, as intrinsics in LLVM IR.

For a row of unknown length, LLVM makes a loop over 32 numbers at a time, which our short rows never fill, and takes the
rest one by one or by fours.
"""

import numpy as np
import numpy.typing as npt

from gencomp.compiled import Integer, compiled

VECTOR = 8  # numbers taken at a time
Int32Array = npt.NDArray[np.int32]


def _weigh(weights: Int32Array, inputs: Int32Array, shift: Integer, count: Integer) -> Integer:
    """Return the sum of ``(weights * inputs) >> shift`` over ``count`` numbers, all in int32, which wraps."""
    return ((weights[:count] * inputs[:count]) >> np.int32(shift)).sum(dtype=np.int32)


def _weigh_fresh(weights: Int32Array, inputs: Int32Array, shift: Integer) -> Integer:
    """Do as ``weigh`` for VECTOR inputs just written one by one: loading them as a vector would stall on the stores."""
    return _weigh(weights, inputs, shift, VECTOR)


def _train(weights: Int32Array, inputs: Int32Array, error: Integer, shift: Integer, count: Integer) -> None:
    """Add ``inputs * error / 2^shift``, rounded, to ``count`` of the ``weights``; products must fit int32."""
    half = np.int32(1 << (shift - 1))
    weights[:count] += (inputs[:count] * np.int32(error) + half) >> np.int32(shift)


# for kernels; ``count`` must be a multiple of VECTOR
weigh = compiled(_weigh, "gencomp.predictors.mix.vector_instructions:weigh")
weigh_fresh = compiled(_weigh_fresh, "gencomp.predictors.mix.vector_instructions:weigh_fresh")
train = compiled(_train, "gencomp.predictors.mix.vector_instructions:train")
