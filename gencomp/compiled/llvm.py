"""Intrinsics in LLVM IR, and the pieces that modules which write LLVM IR share."""

from typing import Any

from llvmlite import ir
from numba.core import types


def prefetch() -> Any:
    """Return the intrinsic of :data:`gencomp.compiled.prefetch`."""

    def typed(typing_context: Any, array: Any, index: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            data = data_of(context, builder, signature, arguments, 0)
            emit_prefetch(builder, element(builder, data, arguments[1], context.get_data_type(signature.args[0].dtype)))
            return context.get_dummy_value()

        return types.none(array, types.intp), codegen

    return typed


def word() -> Any:
    """Return the intrinsic of :data:`gencomp.compiled.word`."""

    def typed(typing_context: Any, array: Any, index: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            address = element(builder, data_of(context, builder, signature, arguments, 0), arguments[1], ir.IntType(8))
            return load(builder, address, ir.IntType(64), align=1)

        return types.int64(array, types.intp), codegen

    return typed


def product() -> Any:
    """Return the intrinsic of :data:`gencomp.compiled.product`."""

    def typed(typing_context: Any, left: Any, right: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.mul(*arguments)

        return types.int64(types.int64, types.int64), codegen

    return typed


def element(builder: Any, data: Any, index: Any, kind: Any) -> Any:
    """Emit the address of ``data[index]``, of LLVM's type ``kind``; pointers may be typed or opaque."""
    if getattr(data.type, "is_opaque", False):
        return builder.gep(data, [index], source_etype=kind)
    return builder.gep(builder.bitcast(data, kind.as_pointer()), [index])


def load(builder: Any, address: Any, kind: Any, align: int) -> Any:
    """Emit the load of a ``kind`` from ``address``, which is a multiple of ``align``."""
    if getattr(address.type, "is_opaque", False):
        return builder.load(address, align=align, typ=kind)
    return builder.load(builder.bitcast(address, kind.as_pointer()), align=align)


def load_atomic(builder: Any, address: Any, kind: Any, order: str, align: int) -> Any:
    """Emit the atomic load of a ``kind`` from ``address``, in LLVM's memory ``order``."""
    if getattr(address.type, "is_opaque", False):
        return builder.load_atomic(address, order, align, typ=kind)
    return builder.load_atomic(builder.bitcast(address, kind.as_pointer()), order, align)


def store(builder: Any, value: Any, address: Any, align: int) -> None:
    """Emit the store of ``value`` at ``address``, which is a multiple of ``align``."""
    if not getattr(address.type, "is_opaque", False):
        address = builder.bitcast(address, value.type.as_pointer())
    builder.store(value, address, align=align)


def emit_prefetch(builder: Any, address: Any) -> None:
    """Emit the hint that ``address`` will soon be read; the address need not be valid."""
    if not getattr(address.type, "is_opaque", False):
        address = builder.bitcast(address, ir.PointerType(ir.IntType(8)))
    whole = [ir.Constant(ir.IntType(32), number) for number in (0, 3, 1)]  # a read, into all levels, of data
    hint = ir.FunctionType(ir.VoidType(), [address.type, *(number.type for number in whole)])
    builder.call(builder.module.declare_intrinsic("llvm.prefetch", [address.type], hint), [address, *whole])


def data_of(context: Any, builder: Any, signature: Any, arguments: Any, k: int) -> Any:
    """Emit the address of the first element of argument ``k``, an array."""
    return context.make_array(signature.args[k])(context, builder, arguments[k]).data
