"""Products of int8 weights and int16 numbers, summed exactly in int32: what a network spends its time on.

They are written in LLVM's own terms, as sums of neighbouring products: LLVM has one instruction for that on x86-64
(pmaddwd, or vpdpwssd where there is one), and widening multiplications on aarch64. Sums of integers are the same in any
order, so every processor gives the same bits.

**The bound.** |weight| <= 128 and |input| <= 32767, so a sum of MAX_INPUTS = 512 products is at most
512 * 128 * 32767 < 2^31 in absolute value: any int8 weights fit, and inputs that leave out -32768.

**The layout.** :func:`pack` cuts a matrix into blocks of 64 outputs (the last one 32, where they are no multiple); in
a block the weights of a pair of inputs lie together: pairs of inputs, outputs, the two of the pair. One pass over a
block reads memory straight through, with its sums in registers.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from gencomp.compiled import Integer, compiled, lean_kernel

Int8Array = npt.NDArray[np.int8]
Int16Array = npt.NDArray[np.int16]
Int32Array = npt.NDArray[np.int32]

MAX_INPUTS = 512
BLOCK = 64  # outputs; SMALL is what outputs and inputs are multiples of
SMALL = 32
AHEAD = 2048  # bytes: how far before its use a weight is asked for; memory is the limit beyond the second cache
LIST_AHEAD = 16  # pairs: the same where pairs are left out


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

    Raises ``ValueError`` where outputs are no multiple of SMALL, or inputs are odd or more than MAX_INPUTS.
    """
    outputs, inputs = matrix.shape
    if outputs % SMALL or inputs % 2 or inputs > MAX_INPUTS:
        raise ValueError(
            f"a matrix has {outputs} x {inputs} weights; expected a multiple of {SMALL} outputs and an even number of "
            f"inputs, at most {MAX_INPUTS}"
        )
    blocks = np.split(matrix, range(BLOCK, outputs, BLOCK))
    return np.concatenate([block.reshape(len(block), -1, 2).transpose(1, 0, 2).ravel() for block in blocks])


@lean_kernel
def multiply(weights: Int8Array, start: Integer, inputs: Int16Array, sums: Int32Array) -> None:
    """Write the product of the matrix packed at ``start`` of ``weights`` and ``inputs`` into ``sums``."""
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
    """Do as :func:`multiply` where ``pairs[:count]`` are the pairs of inputs that are not both 0.

    ``pairs`` has LIST_AHEAD numbers of pairs more, which are read and mean nothing.
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
    """Return the sum, int32, of ``inputs``, a multiple of 32 of them, times the weights from ``start`` on."""
    return _dot(weights, start, inputs)


@lean_kernel
def list_pairs(inputs: Int16Array, pairs: Int32Array) -> Integer:
    """Write which pairs of ``inputs`` are not both 0 into ``pairs``; return how many. Without a branch: they vary."""
    count = 0
    for pair in range(inputs.shape[0] >> 1):
        pairs[count] = pair
        count += (inputs[2 * pair] | inputs[2 * pair + 1]) != 0
    return count
