"""Products of int8 weights and int16 inputs, summed exactly in int32: what a network spends its time on.

They are written in LLVM IR, as sums of neighbouring products. LLVM makes one instruction of that on x86-64 (pmaddwd, or
vpdpwssd with VNNI), and widening multiplications on aarch64. Integers sum to the same in any order, so every processor
gives the same bits.

**The bound.** |weight| <= 128 and |input| <= 32767, so a sum of MAX_INPUTS = 512 products is at most
512 * 128 * 32767 < 2^31 in absolute value: any int8 weights will do, and any int16 inputs but -32768.

**The layout.** :func:`pack` cuts a matrix into blocks of 64 outputs (the last one may have 32). A block is an array
(pairs of inputs, outputs, 2). One pass over a block reads memory in order, with its sums in registers.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from gencomp.compiled import Integer, compiled, lean_kernel

Int8Array = npt.NDArray[np.int8]
Int16Array = npt.NDArray[np.int16]
Int32Array = npt.NDArray[np.int32]

MAX_INPUTS = 512
BLOCK, SMALL = 64, 32  # outputs of a block, and of a small one
AHEAD = 2048  # bytes between a weight in use and the one prefetched; beyond the second cache, memory is the limit
LIST_AHEAD = 16  # the same in pairs of a list


def _plain_block(outputs: int) -> Callable[..., None]:
    def product(weights: Int8Array, start: Integer, inputs: Int16Array, sums: Int32Array, first: Integer) -> None:
        block = weights[start : start + len(inputs) * outputs].reshape(-1, outputs, 2).astype(np.int64)
        sums[first : first + outputs] = np.einsum("poi,pi->o", block, inputs.reshape(-1, 2).astype(np.int64))

    return product


def _plain_list(outputs: int) -> Callable[..., None]:
    def product(
        weights: Int8Array,
        start: Integer,
        inputs: Int16Array,
        pairs: Int32Array,
        count: Integer,
        sums: Int32Array,
        first: Integer,
    ) -> None:
        chosen = pairs[:count]
        block = weights[start : start + len(inputs) * outputs].reshape(-1, outputs, 2)[chosen].astype(np.int64)
        sums[first : first + outputs] = np.einsum("poi,pi->o", block, inputs.reshape(-1, 2)[chosen].astype(np.int64))

    return product


def _plain_dot(weights: Int8Array, start: Integer, inputs: Int16Array) -> Integer:
    return np.int32(weights[start : start + len(inputs)].astype(np.int64) @ inputs.astype(np.int64))


_AT_HOME = "gencomp.inference.product_instructions"
_block, _small_block = (compiled(_plain_block(size), f"{_AT_HOME}:block_product", size) for size in (BLOCK, SMALL))
_listed, _small_listed = (compiled(_plain_list(size), f"{_AT_HOME}:list_product", size) for size in (BLOCK, SMALL))
_dot = compiled(_plain_dot, f"{_AT_HOME}:dot_product")


def pack(matrix: npt.NDArray[np.int8]) -> Int8Array:
    """Return ``matrix`` (outputs, inputs) int8 in the layout of the products, flat.

    Raises ``ValueError`` unless outputs are a multiple of SMALL, and inputs are even and at most MAX_INPUTS.
    """
    outputs, inputs = matrix.shape
    if outputs % SMALL or inputs % 2 or inputs > MAX_INPUTS:
        raise ValueError(
            f"a matrix has {outputs} outputs and {inputs} inputs; expected a multiple of {SMALL} outputs, and an even "
            f"number of inputs, at most {MAX_INPUTS}"
        )
    blocks = np.split(matrix, range(BLOCK, outputs, BLOCK))
    return np.concatenate([block.reshape(len(block), -1, 2).transpose(1, 0, 2).ravel() for block in blocks])


@lean_kernel
def multiply(weights: Int8Array, start: Integer, inputs: Int16Array, sums: Int32Array) -> None:
    """Write the matrix packed at ``start`` of ``weights``, times ``inputs`` (n,), into ``sums`` (outputs,)."""
    outputs, count = sums.shape[0], inputs.shape[0]
    first = 0
    while first + BLOCK <= outputs:
        _block(weights, start + first * count, inputs, sums, first)
        first += BLOCK
    if first < outputs:
        _small_block(weights, start + first * count, inputs, sums, first)


@lean_kernel
def multiply_listed(
    weights: Int8Array, start: Integer, inputs: Int16Array, pairs: Int32Array, count: Integer, sums: Int32Array
) -> None:
    """Do as :func:`multiply`, where ``pairs[:count]`` are the pairs of inputs that are not both 0.

    ``pairs`` must have LIST_AHEAD entries more, any pairs, whose weights are prefetched and not used.
    """
    outputs, size = sums.shape[0], inputs.shape[0]
    first = 0
    while first + BLOCK <= outputs:
        _listed(weights, start + first * size, inputs, pairs, count, sums, first)
        first += BLOCK
    if first < outputs:
        _small_listed(weights, start + first * size, inputs, pairs, count, sums, first)


@lean_kernel
def dot(weights: Int8Array, start: Integer, inputs: Int16Array) -> Integer:
    """Return the int32 sum of ``inputs`` (n,), n a multiple of 32, times the weights from ``start`` on."""
    return _dot(weights, start, inputs)


@lean_kernel
def list_pairs(inputs: Int16Array, pairs: Int32Array) -> Integer:
    """List in ``pairs`` the pairs of ``inputs`` that are not both 0; return how many. No branch: they vary."""
    count = 0
    for pair in range(inputs.shape[0] >> 1):
        pairs[count] = pair
        count += (inputs[2 * pair] | inputs[2 * pair + 1]) != 0
    return count
