"""Sums over rows of int32, eight at a time: what a mixer does, in LLVM's own terms; and arrays that are aligned.

A compiler that does not know the length of a short row makes loops over 32 numbers at a time, which the row never
fills, and takes the rest one by one or by fours.
"""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.extending import intrinsic

from gencomp.compiled import Integer

LANES = 8
CACHE_LINE, HUGE_PAGE = 64, 1 << 21  # bytes
F = TypeVar("F", bound=Callable[..., Any])
Part = TypeVar("Part", bound=npt.NDArray[Any])
Int32Array = npt.NDArray[np.int32]

_UNROLLED = 4
_INT32 = ir.IntType(32)
_VECTOR = ir.VectorType(_INT32, LANES)


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


def _spread(number: int) -> Any:
    return ir.Constant(_VECTOR, [number] * LANES)


def _spread_value(builder: Any, value: Any) -> Any:
    lane = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), builder.trunc(value, _INT32), _INT32(0))
    return builder.shuffle_vector(lane, lane, _spread(0))


def _data(context: Any, builder: Any, signature: Any, arguments: Any, k: int) -> Any:
    """Return the address of array argument ``k``, as of vectors."""
    data = context.make_array(signature.args[k])(context, builder, arguments[k]).data
    return builder.bitcast(data, _VECTOR.as_pointer())


def _for_each_vector(builder: Any, count: Any, step: Callable[[Any, int], None]) -> None:
    """Emit ``step(index, k)`` for each vector: _UNROLLED at a time, then one by one; k is the place among these."""
    whole = builder.udiv(count, count.type(LANES * _UNROLLED))
    with cgutils.for_range(builder, whole) as loop:
        first = builder.mul(loop.index, count.type(_UNROLLED))
        for k in range(_UNROLLED):
            step(builder.add(first, count.type(k)), k)
    rest = builder.mul(whole, count.type(_UNROLLED))
    with cgutils.for_range(builder, builder.sub(builder.udiv(count, count.type(LANES)), rest)) as loop:
        step(builder.add(rest, loop.index), 0)


def _weigh_vectors(typing_context: Any, weights: Any, inputs: Any, shift: Any, count: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        rows = [_data(context, builder, signature, arguments, k) for k in (0, 1)]
        shifts = _spread_value(builder, arguments[2])
        totals = [cgutils.alloca_once_value(builder, _spread(0)) for _ in range(_UNROLLED)]  # type: ignore[no-untyped-call]

        def step(index: Any, k: int) -> None:
            weight, value = (builder.load(builder.gep(row, [index]), align=4) for row in rows)
            product = builder.ashr(builder.mul(weight, value), shifts)
            builder.store(builder.add(builder.load(totals[k]), product), totals[k])

        _for_each_vector(builder, arguments[3], step)
        total = functools.reduce(builder.add, [builder.load(part) for part in totals])
        kind = ir.FunctionType(_INT32, [_VECTOR])
        name = f"llvm.vector.reduce.add.v{LANES}i32"
        add = cgutils.get_or_insert_function(builder.module, kind, name)  # type: ignore[no-untyped-call]
        return builder.call(add, [total])

    return types.int32(weights, inputs, types.int64, types.intp), codegen


def _weigh(weights: Int32Array, inputs: Int32Array, shift: Integer, count: Integer) -> Integer:
    """Return the sum of ``weights * inputs >> shift`` over ``count`` numbers, in int32 as they overflow."""
    return (weights[:count] * inputs[:count] >> np.int32(shift)).sum(dtype=np.int32)


def _weigh_fresh_lanes(typing_context: Any, weights: Any, inputs: Any, shift: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        row, values = (
            builder.bitcast(_data(context, builder, signature, arguments, k), _INT32.as_pointer()) for k in (0, 1)
        )
        total = _INT32(0)
        for k in range(LANES):
            value = builder.load_atomic(builder.gep(values, [_INT32(k)]), "monotonic", 4)  # else LLVM loads a vector
            product = builder.mul(builder.load(builder.gep(row, [_INT32(k)]), align=4), value)
            total = builder.add(total, builder.ashr(product, builder.trunc(arguments[2], _INT32)))
        return total

    return types.int32(weights, inputs, types.int64), codegen


def _weigh_fresh(weights: Int32Array, inputs: Int32Array, shift: Integer) -> Integer:
    """Do as ``weigh`` for LANES inputs that were written just now: a vector would wait until they are in the cache."""
    return _weigh(weights, inputs, shift, LANES)


def _train_vectors(typing_context: Any, weights: Any, inputs: Any, error: Any, shift: Any, count: Any) -> Any:
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


def _train(weights: Int32Array, inputs: Int32Array, error: Integer, shift: Integer, count: Integer) -> None:
    """Add ``inputs * error`` in units of 2^shift, rounded, to ``count`` of the ``weights``; products must fit int32."""
    half = np.int32(1 << (shift - 1))
    weights[:count] += (inputs[:count] * np.int32(error) + half) >> np.int32(shift)


def _compiled(vectors: Any, plain: F) -> F:
    """Return the function for kernels; where compilation is off, njit returns the function itself."""
    return plain if numba.njit(plain) is plain else cast(F, intrinsic(vectors))


# for kernels; ``count`` must be a multiple of LANES
weigh = _compiled(_weigh_vectors, _weigh)
weigh_fresh = _compiled(_weigh_fresh_lanes, _weigh_fresh)
train = _compiled(_train_vectors, _train)
