"""The intrinsics of :mod:`gencomp.predictors.mix.vectors` in LLVM IR."""

import functools
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from gencomp.predictors.mix.vectors import VECTOR

_UNROLLED = 4
_INT32 = ir.IntType(32)
_VECTOR = ir.VectorType(_INT32, VECTOR)


def _spread(number: int) -> Any:
    return ir.Constant(_VECTOR, [number] * VECTOR)


def _spread_value(builder: Any, value: Any) -> Any:
    lane = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), builder.trunc(value, _INT32), _INT32(0))
    return builder.shuffle_vector(lane, lane, _spread(0))


def _data(context: Any, builder: Any, signature: Any, arguments: Any, k: int) -> Any:
    """Return the address of argument ``k``, an array, as a pointer to vectors."""
    data = context.make_array(signature.args[k])(context, builder, arguments[k]).data
    return builder.bitcast(data, _VECTOR.as_pointer())


def _for_each_vector(builder: Any, count: Any, step: Callable[[Any, int], None]) -> None:
    """Emit ``step(index, k)`` for each vector: _UNROLLED at a time, of which k is the place, then one by one, k = 0."""
    whole = builder.udiv(count, count.type(VECTOR * _UNROLLED))
    with cgutils.for_range(builder, whole) as loop:
        first = builder.mul(loop.index, count.type(_UNROLLED))
        for k in range(_UNROLLED):
            step(builder.add(first, count.type(k)), k)
    rest = builder.mul(whole, count.type(_UNROLLED))
    with cgutils.for_range(builder, builder.sub(builder.udiv(count, count.type(VECTOR)), rest)) as loop:
        step(builder.add(rest, loop.index), 0)


def weigh() -> Callable[..., Any]:
    """Return the intrinsic of ``weigh``."""

    def typed(typing_context: Any, weights: Any, inputs: Any, shift: Any, count: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            rows = [_data(context, builder, signature, arguments, k) for k in (0, 1)]
            shifts = _spread_value(builder, arguments[2])
            totals = [cgutils.alloca_once_value(builder, _spread(0)) for _ in range(_UNROLLED)]

            def step(index: Any, k: int) -> None:
                weight, value = (builder.load(builder.gep(row, [index]), align=4) for row in rows)
                product = builder.ashr(builder.mul(weight, value), shifts)
                builder.store(builder.add(builder.load(totals[k]), product), totals[k])

            _for_each_vector(builder, arguments[3], step)
            total = functools.reduce(builder.add, [builder.load(part) for part in totals])
            kind = ir.FunctionType(_INT32, [_VECTOR])
            name = f"llvm.vector.reduce.add.v{VECTOR}i32"
            add = cgutils.get_or_insert_function(builder.module, kind, name)
            return builder.call(add, [total])

        return types.int32(weights, inputs, types.int64, types.intp), codegen

    return typed


def weigh_fresh() -> Callable[..., Any]:
    """Return the intrinsic of ``weigh_fresh``."""

    def typed(typing_context: Any, weights: Any, inputs: Any, shift: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            row, values = (
                builder.bitcast(_data(context, builder, signature, arguments, k), _INT32.as_pointer()) for k in (0, 1)
            )
            total = _INT32(0)
            for k in range(VECTOR):
                # atomic, since LLVM would merge plain loads into a vector
                value = builder.load_atomic(builder.gep(values, [_INT32(k)]), "monotonic", 4)
                product = builder.mul(builder.load(builder.gep(row, [_INT32(k)]), align=4), value)
                total = builder.add(total, builder.ashr(product, builder.trunc(arguments[2], _INT32)))
            return total

        return types.int32(weights, inputs, types.int64), codegen

    return typed


def train() -> Callable[..., Any]:
    """Return the intrinsic of ``train``."""

    def typed(typing_context: Any, weights: Any, inputs: Any, error: Any, shift: Any, count: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            row, values = (_data(context, builder, signature, arguments, k) for k in (0, 1))
            errors, shifts = (_spread_value(builder, argument) for argument in arguments[2:4])
            half = builder.shl(_spread(1), builder.sub(shifts, _spread(1)))

            def step(index: Any, k: int) -> None:
                value = builder.load(builder.gep(values, [index]), align=4)
                change = builder.ashr(builder.add(builder.mul(value, errors), half), shifts)
                place = builder.gep(row, [index])
                builder.store(builder.add(builder.load(place, align=4), change), place, align=4)

            _for_each_vector(builder, arguments[4], step)
            return context.get_dummy_value()

        return types.none(weights, inputs, types.int64, types.int64, types.intp), codegen

    return typed
