"""The one door to numba: a decorator that keeps its type and compiles on first call.

Kernels are integer-only wherever an archive depends on them, cached on disk (beside the source, else in the user's
cache, else nowhere), and release the GIL, so that blocks are coded on all cores by plain threads. Each stays reachable
as plain Python through ``.py_func``, which the tests compare it with; ``NUMBA_DISABLE_JIT=1`` runs everything that way.
"""

import functools
import pickle
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import numba
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import types
from numba.core.event import Listener, install_listener
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


def step(function: F) -> F:
    """Compile ``function``, as a lean kernel, for other kernels alone: without what Python would call it by."""
    return cast(F, numba.njit(**_LEAN | {"no_cpython_wrapper": True})(function))


def part(function: F) -> F:
    """Make ``function`` a part of each kernel that calls it, compiled there alone: for steps with one caller."""
    return cast(F, numba.njit(**_LEAN, inline="always")(function))


class _Watch(Listener):
    """Hands the names of functions to who watches, as they are compiled."""

    def __init__(self, told: Callable[[str, bool], object]) -> None:
        self._told = told

    def on_start(self, event: Any) -> None:
        self._tell(event, False)

    def on_end(self, event: Any) -> None:
        self._tell(event, True)

    def _tell(self, event: Any, done: bool) -> None:
        function = getattr((event.data or {}).get("dispatcher"), "py_func", None)
        self._told(getattr(function, "__name__", "a loop").strip("_"), done)


@contextmanager
def watching(told: Callable[[str, bool], object]) -> Iterator[None]:
    """Call ``told`` with the name of each function that any thread compiles meanwhile: False before, True after.

    What a cache holds is not compiled, so that nothing is told of it.
    """
    with install_listener("numba:compile", _Watch(told)):
        yield


def _prefetch(typing_context: Any, array: Any, index: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = data_of(context, builder, signature, arguments, 0)
        emit_prefetch(builder, element(builder, data, arguments[1], context.get_data_type(signature.args[0].dtype)))
        return context.get_dummy_value()

    return types.none(array, types.intp), codegen


def _ignore(array: Any, index: Any) -> None:
    """Do nothing: what a hint means to plain Python."""


def _load_word(typing_context: Any, array: Any, index: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = element(builder, data_of(context, builder, signature, arguments, 0), arguments[1], ir.IntType(8))
        return load(builder, address, ir.IntType(64), align=1)

    return types.int64(array, types.intp), codegen


def _word(array: Any, index: Any) -> int:
    return int.from_bytes(bytes(array[index : index + 8]), "little", signed=True)


# where compilation is off, njit returns the function itself
# prefetch(array, index): bring the cache line of ``array[index]``, which a later step needs; no effect on any result
prefetch = cast(Callable[[Any, Integer], None], _ignore if numba.njit(_ignore) is _ignore else intrinsic(_prefetch))


def compiled(instructions: Callable[..., Any], plain: F) -> F:
    """Return the function for kernels to call: ``instructions`` makes LLVM's for it, ``plain`` says what it does.

    ``instructions`` takes numba's typing context and the arguments' types, as numba's intrinsics do.
    """
    return plain if numba.njit(plain) is plain else cast(F, intrinsic(instructions))


def element(builder: Any, data: Any, index: Any, kind: Any) -> Any:
    """Emit the address of ``data[index]``, of LLVM's type ``kind``, whether pointers say what they point at or not."""
    if getattr(data.type, "is_opaque", False):
        return builder.gep(data, [index], source_etype=kind)
    return builder.gep(builder.bitcast(data, kind.as_pointer()), [index])


def load(builder: Any, address: Any, kind: Any, align: int) -> Any:
    """Emit the load of a ``kind`` from ``address``, which is a multiple of ``align``."""
    if getattr(address.type, "is_opaque", False):
        return builder.load(address, align=align, typ=kind)
    return builder.load(builder.bitcast(address, kind.as_pointer()), align=align)


def store(builder: Any, value: Any, address: Any, align: int) -> None:
    """Emit the store of ``value`` at ``address``, which is a multiple of ``align``."""
    if not getattr(address.type, "is_opaque", False):
        address = builder.bitcast(address, value.type.as_pointer())
    builder.store(value, address, align=align)


def emit_prefetch(builder: Any, address: Any) -> None:
    """Emit the hint that what lies at ``address`` is read soon; the address may be one where nothing is."""
    if not getattr(address.type, "is_opaque", False):
        address = builder.bitcast(address, ir.PointerType(ir.IntType(8)))
    whole = [ir.Constant(ir.IntType(32), number) for number in (0, 3, 1)]  # read, in all caches, data
    hint = ir.FunctionType(ir.VoidType(), [address.type, *(number.type for number in whole)])
    builder.call(builder.module.declare_intrinsic("llvm.prefetch", [address.type], hint), [address, *whole])


def data_of(context: Any, builder: Any, signature: Any, arguments: Any, k: int) -> Any:
    """Emit the address where the array that is argument ``k`` begins."""
    return context.make_array(signature.args[k])(context, builder, arguments[k]).data


# word(array, index): the eight bytes from ``index`` on, which must be there, as an integer, the lowest first
word = cast(Callable[[Any, Integer], Integer], _word if numba.njit(_word) is _word else intrinsic(_load_word))
