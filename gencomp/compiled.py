"""The one door to numba: a decorator that keeps its type and compiles on first call.

Kernels are integer-only wherever an archive depends on them, cached on disk (beside the source, else in the user's
cache, else nowhere), and release the GIL, so that blocks are coded on all cores by plain threads. Each stays reachable
as plain Python through ``.py_func``, which the tests compare it with; ``NUMBA_DISABLE_JIT=1`` runs everything that way.
"""

import functools
import pickle
import warnings
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import types
from numba.extending import intrinsic

from gencomp.errors import GencompWarning

# a Python int or a numpy integer: what a kernel's scalar is depends on who calls it
Integer = Any

F = TypeVar("F", bound=Callable[..., Any])


_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
_LEAN = _OPTIONS | {"_nrt": False}


def _compiled(function: F, options: dict[str, Any]) -> F:
    try:
        dispatcher = numba.njit(**options)(function)
        is_kept = True
    except RuntimeError:  # numba finds no folder that it may write to
        dispatcher = numba.njit(**(options | {"cache": False}))(function)
        is_kept = False
    cache = getattr(dispatcher, "_cache", None)  # numba's own; where it goes by another name, its errors are errors
    for name in ("load_overload", "save_overload"):
        if hasattr(cache, name):
            setattr(cache, name, _unfailing(getattr(cache, name)) if is_kept else _tell_of_no_cache)
    return cast(F, dispatcher)


def _unfailing(step: Callable[..., Any]) -> Callable[..., Any]:
    """Return a step of the cache that does nothing where it fails: a disk may be full, a file there cut short."""

    @functools.wraps(step)
    def attempt(*arguments: Any) -> Any:
        try:
            return step(*arguments)
        except (OSError, EOFError, ValueError, pickle.PickleError):
            _tell_of_no_cache()
            return None

    return attempt


_told = False


def _tell_of_no_cache(*_: Any) -> None:
    """Warn once a process."""
    global _told
    if _told:
        return
    _told = True
    warnings.warn(
        "compiled code cannot be kept, so that each run compiles anew, which takes up to a minute; "
        "set NUMBA_CACHE_DIR to a folder that can be written",
        GencompWarning,
        stacklevel=2,
    )


def kernel(function: F) -> F:
    """Compile ``function`` on its first call; same signature, same results."""
    return _compiled(function, _OPTIONS)


def lean_kernel(function: F) -> F:
    """Compile ``function``, which makes no array, without the counts of references that cost inner loops their time."""
    return _compiled(function, _LEAN)


def fragment(function: F) -> F:
    """Compile ``function`` into each lean kernel that calls it: for steps that cost no more than a call."""
    return _compiled(function, _LEAN | {"forceinline": True})


def _prefetch(typing_context: Any, array: Any, index: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        address = builder.bitcast(builder.gep(data, [arguments[1]]), ir.PointerType(ir.IntType(8)))
        whole = [ir.Constant(ir.IntType(32), number) for number in (0, 3, 1)]  # read, in all caches, data
        hint = ir.FunctionType(ir.VoidType(), [address.type, *(number.type for number in whole)])
        builder.call(builder.module.declare_intrinsic("llvm.prefetch", [address.type], hint), [address, *whole])
        return context.get_dummy_value()

    return types.none(array, types.intp), codegen


def _ignore(array: Any, index: Any) -> None:
    """Do nothing: what a hint means to plain Python."""


# where compilation is off, njit returns the function itself
# prefetch(array, index): bring the cache line of ``array[index]``, which a later step needs; no effect on any result
prefetch = cast(Callable[[Any, Integer], None], _ignore if numba.njit(_ignore) is _ignore else intrinsic(_prefetch))
