"""Atomic operations on cells that threads share, in LLVM IR: all threads see the same order of changes."""

import os
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from gencomp.compiled.llvm import data_of, element, load_atomic

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_ORDER = "seq_cst"
_BYTES = 8


def _cell(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return element(builder, data_of(context, builder, signature, arguments, 0), arguments[1], _I64)


def read() -> Any:
    """Return the intrinsic of :data:`gencomp.inference.team.read`."""

    def typed(typing_context: Any, gate: Any, cell: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return load_atomic(builder, _cell(context, builder, signature, arguments), _I64, _ORDER, _BYTES)

        return types.int64(gate, types.int64), codegen

    return typed


def _changed(operation: str) -> Any:
    """Return the intrinsic that changes a cell by ``operation`` of LLVM's atomicrmw."""

    def typed(typing_context: Any, gate: Any, cell: Any, value: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            builder.atomic_rmw(operation, _cell(context, builder, signature, arguments), arguments[2], _ORDER)
            return context.get_dummy_value()

        return types.none(gate, types.int64, types.int64), codegen

    return typed


def write() -> Any:
    """Return the intrinsic of :data:`gencomp.inference.team.write`."""
    return _changed("xchg")


def add() -> Any:
    """Return the intrinsic of :data:`gencomp.inference.team.add`."""
    return _changed("add")


def replace() -> Any:
    """Return the intrinsic of :data:`gencomp.inference.team.replace`, a compare-and-swap."""

    def typed(typing_context: Any, gate: Any, cell: Any, old: Any, new: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            address = _cell(context, builder, signature, arguments)
            found = builder.cmpxchg(address, arguments[2], arguments[3], _ORDER)
            return builder.extract_value(found, 1)

        return types.boolean(gate, types.int64, types.int64, types.int64), codegen

    return typed


def rest() -> Any:
    """Return the intrinsic of :data:`gencomp.inference.team.rest`."""

    def typed(typing_context: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            if os.name == "posix":
                function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(_I32, []), "sched_yield")
                builder.call(function, [])
            return context.get_dummy_value()

        return types.none(), codegen

    return typed
