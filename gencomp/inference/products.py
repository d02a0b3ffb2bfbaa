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
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types

from gencomp.compiled import Integer, compiled, data_of, element, emit_prefetch, lean_kernel, load, store

Int8Array = npt.NDArray[np.int8]
Int16Array = npt.NDArray[np.int16]
Int32Array = npt.NDArray[np.int32]

MAX_INPUTS = 512
BLOCK = 64  # outputs; SMALL is what outputs and inputs are multiples of
SMALL = 32
LANES = 4  # vectors that one pass over the weights takes together
AHEAD = 2048  # bytes: how far before its use a weight is asked for; memory is the limit beyond the second cache
LIST_AHEAD = 16  # pairs: the same where pairs are left out

_I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_V16_I8, _V16_I16, _V16_I32, _V8_I32 = (
    ir.VectorType(kind, count) for kind, count in ((_I8, 16), (_I16, 16), (_I32, 16), (_I32, 8))
)
_LINE = 64  # bytes of a cache line


def _numbers(numbers: range | list[int]) -> Any:
    return ir.Constant(ir.VectorType(_I32, len(numbers)), list(numbers))


def _pair_sums(builder: Any, left: Any, right: Any) -> Any:
    """Emit the sums of neighbouring products of two <16 x i16>: <8 x i32>."""
    products = builder.mul(builder.sext(left, _V16_I32), builder.sext(right, _V16_I32))
    even, odd = (builder.shuffle_vector(products, products, _numbers(range(start, 16, 2))) for start in (0, 1))
    return builder.add(even, odd)


def _weights_at(builder: Any, address: Any) -> Any:
    """Emit the load of 16 weights as <16 x i16>."""
    return builder.sext(load(builder, address, _V16_I8, 1), _V16_I16)


def _spread_pair(builder: Any, inputs: Any, pair: Any) -> Any:
    """Emit a pair of inputs, repeated: <16 x i16>."""
    value = load(builder, element(builder, inputs, builder.mul(pair, _I64(2)), _I16), _I32, 2)
    vector = builder.insert_element(ir.Constant(_V8_I32, ir.Undefined), value, _I32(0))
    return builder.bitcast(builder.shuffle_vector(vector, vector, _numbers([0] * 8)), _V16_I16)


def _zero_sums(builder: Any, count: int) -> list[Any]:
    """Emit ``count`` vectors of sums, which LLVM keeps in registers."""
    return [cgutils.alloca_once_value(builder, _numbers([0] * 8)) for _ in range(count)]  # type: ignore[no-untyped-call]


def _add_pair(builder: Any, weights: Any, start: Any, spread: Any, sums: list[Any]) -> None:
    """Emit the addition to ``sums`` of a pair of inputs times the weights from ``start`` on."""
    for k, total in enumerate(sums):
        vector = _weights_at(builder, element(builder, weights, builder.add(start, _I64(16 * k)), _I8))
        builder.store(builder.add(builder.load(total), _pair_sums(builder, vector, spread)), total)


def _put_sums(builder: Any, sums: list[Any], out: Any) -> None:
    for k, total in enumerate(sums):
        store(builder, builder.load(total), element(builder, out, _I64(8 * k), _I32), 4)


def _block_product(outputs: int) -> Callable[..., Any]:
    """Return the product of one block: instructions for numba."""

    def instructions(typing_context: Any, weights: Any, start: Any, inputs: Any, sums: Any, first: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            weights, inputs, out = (data_of(context, builder, signature, arguments, k) for k in (0, 2, 3))
            count = context.make_array(signature.args[2])(context, builder, arguments[2]).nitems
            block = element(builder, weights, arguments[1], _I8)
            sums = _zero_sums(builder, outputs // 8)
            with cgutils.for_range(builder, builder.lshr(count, _I64(1))) as loop:
                at = builder.mul(loop.index, _I64(2 * outputs))
                for line in range(0, 2 * outputs, _LINE):
                    emit_prefetch(builder, element(builder, block, builder.add(at, _I64(AHEAD + line)), _I8))
                _add_pair(builder, block, at, _spread_pair(builder, inputs, loop.index), sums)
            _put_sums(builder, sums, element(builder, out, arguments[4], _I32))
            return context.get_dummy_value()

        return types.none(weights, types.int64, inputs, sums, types.int64), codegen

    return instructions


def _list_product(outputs: int) -> Callable[..., Any]:
    """Return the product of one block with the pairs of a list: instructions for numba."""

    def instructions(
        typing_context: Any, weights: Any, start: Any, inputs: Any, pairs: Any, count: Any, sums: Any, first: Any
    ) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            weights, inputs, pairs, out = (data_of(context, builder, signature, arguments, k) for k in (0, 2, 3, 5))
            block = element(builder, weights, arguments[1], _I8)
            sums = _zero_sums(builder, outputs // 8)

            def pair_at(index: Any) -> Any:
                return builder.sext(load(builder, element(builder, pairs, index, _I32), _I32, 4), _I64)

            with cgutils.for_range(builder, arguments[4]) as loop:
                later = builder.mul(pair_at(builder.add(loop.index, _I64(LIST_AHEAD))), _I64(2 * outputs))
                for line in range(0, 2 * outputs, _LINE):
                    emit_prefetch(builder, element(builder, block, builder.add(later, _I64(line)), _I8))
                pair = pair_at(loop.index)
                spread = _spread_pair(builder, inputs, pair)
                _add_pair(builder, block, builder.mul(pair, _I64(2 * outputs)), spread, sums)
            _put_sums(builder, sums, element(builder, out, arguments[6], _I32))
            return context.get_dummy_value()

        return types.none(weights, types.int64, inputs, pairs, types.int64, sums, types.int64), codegen

    return instructions


def _lanes_product(stride: int) -> Callable[..., Any]:
    """Return the product of 16 outputs of a block of ``stride`` outputs with LANES vectors: instructions for numba."""

    def instructions(
        typing_context: Any, weights: Any, start: Any, inputs: Any, sums: Any, row: Any, first: Any
    ) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            weights = element(builder, data_of(context, builder, signature, arguments, 0), arguments[1], _I8)
            inputs, out = (context.make_array(signature.args[k])(context, builder, arguments[k]) for k in (2, 3))
            size, width = (
                builder.extract_value(array.shape, 1) for array in (inputs, out)
            )  # both arrays are C-contiguous
            rows = [builder.add(arguments[4], _I64(lane)) for lane in range(LANES)]
            vectors = [element(builder, inputs.data, builder.mul(row, size), _I16) for row in rows]
            sums = [_zero_sums(builder, 2) for _ in range(LANES)]
            with cgutils.for_range(builder, builder.lshr(size, _I64(1))) as loop:
                at = builder.mul(loop.index, _I64(2 * stride))
                parts = [
                    _weights_at(builder, element(builder, weights, builder.add(at, _I64(16 * k)), _I8)) for k in (0, 1)
                ]
                for lane in range(LANES):
                    spread = _spread_pair(builder, vectors[lane], loop.index)
                    for k in (0, 1):
                        total = builder.add(builder.load(sums[lane][k]), _pair_sums(builder, parts[k], spread))
                        builder.store(total, sums[lane][k])
            for lane in range(LANES):
                place = builder.add(builder.mul(rows[lane], width), arguments[5])
                _put_sums(builder, sums[lane], element(builder, out.data, place, _I32))
            return context.get_dummy_value()

        return types.none(weights, types.int64, inputs, sums, types.int64, types.int64), codegen

    return instructions


def _dot_product(typing_context: Any, weights: Any, start: Any, inputs: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        weights, inputs = (data_of(context, builder, signature, arguments, k) for k in (0, 2))
        count = context.make_array(signature.args[2])(context, builder, arguments[2]).nitems
        row = element(builder, weights, arguments[1], _I8)
        sums = _zero_sums(builder, 2)
        with cgutils.for_range(builder, builder.lshr(count, _I64(5))) as loop:
            for k in (0, 1):
                at = builder.add(builder.mul(loop.index, _I64(32)), _I64(16 * k))
                vector = load(builder, element(builder, inputs, at, _I16), _V16_I16, 2)
                part = _pair_sums(builder, _weights_at(builder, element(builder, row, at, _I8)), vector)
                builder.store(builder.add(builder.load(sums[k]), part), sums[k])
        kind = ir.FunctionType(_I32, [_V8_I32])
        reduce = cgutils.get_or_insert_function(builder.module, kind, "llvm.vector.reduce.add.v8i32")  # type: ignore[no-untyped-call]
        return builder.call(reduce, [builder.add(builder.load(sums[0]), builder.load(sums[1]))])

    return types.int32(weights, types.int64, inputs), codegen


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


def _plain_lanes(stride: int) -> Callable[..., None]:
    def product(
        weights: Int8Array, start: Integer, inputs: Int16Array, sums: Int32Array, row: Integer, first: Integer
    ) -> None:
        size = inputs.shape[1]
        places = start + np.arange(size // 2)[:, None] * 2 * stride + np.arange(32)
        block = weights[places].reshape(-1, 16, 2).astype(np.int64)
        lanes = inputs[row : row + LANES].reshape(LANES, -1, 2).astype(np.int64)
        sums[row : row + LANES, first : first + 16] = np.einsum("poi,lpi->lo", block, lanes)

    return product


def _plain_dot(weights: Int8Array, start: Integer, inputs: Int16Array) -> Integer:
    return np.int32(weights[start : start + len(inputs)].astype(np.int64) @ inputs.astype(np.int64))


_block, _small_block = (compiled(_block_product(size), _plain_block(size)) for size in (BLOCK, SMALL))
_listed, _small_listed = (compiled(_list_product(size), _plain_list(size)) for size in (BLOCK, SMALL))
_lanes, _small_lanes = (compiled(_lanes_product(size), _plain_lanes(size)) for size in (BLOCK, SMALL))

_dot = compiled(_dot_product, _plain_dot)


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


@lean_kernel
def multiply_lanes(weights: Int8Array, start: Integer, inputs: Int16Array, sums: Int32Array) -> None:
    """Do as :func:`multiply` for each row of ``inputs`` (lanes, n) and ``sums`` (lanes, outputs), C-contiguous both.

    Weights are read once for LANES rows.
    """
    lanes, outputs, count = inputs.shape[0], sums.shape[1], inputs.shape[1]
    whole = lanes // LANES * LANES
    first = 0
    while first < outputs:
        block = start + first // BLOCK * BLOCK * count + first % BLOCK * 2
        for lane in range(0, whole, LANES):
            if first // BLOCK * BLOCK + BLOCK <= outputs:
                _lanes(weights, block, inputs, sums, lane, first)
            else:
                _small_lanes(weights, block, inputs, sums, lane, first)
        first += 16
    for lane in range(whole, lanes):
        multiply(weights, start, inputs[lane], sums[lane])
