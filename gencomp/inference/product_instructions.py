"""The intrinsics of :mod:`gencomp.inference`, products and shifts, in LLVM IR."""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from gencomp.compiled.llvm import data_of, element, emit_prefetch, load, store
from gencomp.inference.products import AHEAD, LIST_AHEAD

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
    """Emit a pair of inputs, repeated eight times: <16 x i16>."""
    value = load(builder, element(builder, inputs, builder.mul(pair, _I64(2)), _I16), _I32, 2)
    vector = builder.insert_element(ir.Constant(_V8_I32, ir.Undefined), value, _I32(0))
    return builder.bitcast(builder.shuffle_vector(vector, vector, _numbers([0] * 8)), _V16_I16)


def _zero_sums(builder: Any, count: int) -> list[Any]:
    """Emit ``count`` vectors of sums, which LLVM will keep in registers."""
    return [cgutils.alloca_once_value(builder, _numbers([0] * 8)) for _ in range(count)]


def _add_pair(builder: Any, weights: Any, start: Any, spread: Any, sums: list[Any]) -> None:
    """Emit the addition to ``sums`` of a pair of inputs times the weights from ``start`` on."""
    for k, total in enumerate(sums):
        vector = _weights_at(builder, element(builder, weights, builder.add(start, _I64(16 * k)), _I8))
        builder.store(builder.add(builder.load(total), _pair_sums(builder, vector, spread)), total)


def _put_sums(builder: Any, sums: list[Any], out: Any) -> None:
    for k, total in enumerate(sums):
        store(builder, builder.load(total), element(builder, out, _I64(8 * k), _I32), 4)


def block_product(outputs: int) -> Callable[..., Any]:
    """Return the intrinsic of the product of a block."""

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


def list_product(outputs: int) -> Callable[..., Any]:
    """Return the intrinsic of the product of a block with a list's pairs of inputs."""

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


def dot_product() -> Callable[..., Any]:
    """Return the intrinsic of the product of a row and a vector."""

    def instructions(typing_context: Any, weights: Any, start: Any, inputs: Any) -> Any:
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
            reduce = cgutils.get_or_insert_function(builder.module, kind, "llvm.vector.reduce.add.v8i32")
            return builder.call(reduce, [builder.add(builder.load(sums[0]), builder.load(sums[1]))])

        return types.int32(weights, types.int64, inputs), codegen

    return instructions


def tile(rows: int, vectors: int, bits: int) -> Callable[..., Any]:
    """Return the intrinsic of a tile of ``rows`` rows and 8 ``vectors`` outputs, with weights of ``bits`` bits."""
    kind = _I8 if bits == 8 else _I16

    def instructions(
        typing_context: Any,
        weights: Any,
        start: Any,
        stride: Any,
        inputs: Any,
        first: Any,
        row: Any,
        pairs: Any,
        sums: Any,
        out: Any,
        out_row: Any,
    ) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            weights, inputs, sums = (data_of(context, builder, signature, arguments, k) for k in (0, 3, 7))
            _, start, stride, _, first, row, pairs, _, out, out_row = arguments
            block = element(builder, weights, start, kind)
            vectors_of = [
                element(builder, inputs, builder.add(first, builder.mul(row, _I64(i))), _I16) for i in range(rows)
            ]
            totals = [
                [cgutils.alloca_once_value(builder, _numbers([0] * 8)) for _ in range(vectors)] for _ in range(rows)
            ]
            with cgutils.for_range(builder, pairs) as loop:
                at = builder.mul(loop.index, stride)
                if rows == 1:
                    size = kind.width // 8
                    for line in range(0, 16 * vectors * size, _LINE):
                        ahead = builder.add(at, _I64((AHEAD + line) // size))
                        emit_prefetch(builder, element(builder, block, ahead, kind))
                parts = []
                for k in range(vectors):
                    address = element(builder, block, builder.add(at, _I64(16 * k)), kind)
                    part = load(builder, address, ir.VectorType(kind, 16), kind.width // 8)
                    parts.append(part if kind is _I16 else builder.sext(part, _V16_I16))
                for i in range(rows):
                    pair = load(
                        builder, element(builder, vectors_of[i], builder.mul(loop.index, _I64(2)), _I16), _I32, 2
                    )
                    spread = builder.insert_element(ir.Constant(_V8_I32, ir.Undefined), pair, _I32(0))
                    spread = builder.bitcast(builder.shuffle_vector(spread, spread, _numbers([0] * 8)), _V16_I16)
                    for k in range(vectors):
                        total = builder.add(builder.load(totals[i][k]), _pair_sums(builder, parts[k], spread))
                        builder.store(total, totals[i][k])
            for i in range(rows):
                for k in range(vectors):
                    place = builder.add(builder.add(out, builder.mul(out_row, _I64(i))), _I64(8 * k))
                    store(builder, builder.load(totals[i][k]), element(builder, sums, place, _I32), 4)
            return context.get_dummy_value()

        number = types.int64
        return types.none(weights, number, number, inputs, number, number, number, sums, number, number), codegen

    return instructions


def shift(right: bool) -> Callable[..., Any]:
    """Return the intrinsic of a shift of int32 by 0 to 31; numba's are of int64, and few processors vectorise those."""

    def instructions(typing_context: Any, value: Any, count: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return (builder.ashr if right else builder.shl)(*arguments)

        return types.int32(types.int32, types.int32), codegen

    return instructions
