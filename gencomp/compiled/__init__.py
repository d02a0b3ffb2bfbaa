"""The one door to compiled code: decorators that keep a function's type, and what stands behind them.

Kernels are integer-only wherever an archive depends on them, and run without the interpreter's lock, so that blocks are
coded on all cores by plain threads. There are three ways to run them, with the same results:

- ``library``: machine code that was made when the package was built (:mod:`gencomp.compiled.build`), loaded without
  any compiler (:mod:`gencomp.compiled.library`);
- ``numba``: compiled by numba on the first call, and kept (:mod:`gencomp.compiled.just_in_time`). What the library
  lacks, because a source changed since or the arguments have types that it was not made for, goes this way too;
- ``python``: as they stand, slowly. They are their own definition, which the tests compare the others with.

The first that works here is taken. ``GENCOMP_KERNELS`` names one; ``NUMBA_DISABLE_JIT=1`` means ``python``, and
settings of numba's code, such as ``NUMBA_BOUNDSCHECK=1``, mean ``numba``. A kernel's plain function is its ``py_func``,
but on the third way, where it is the kernel itself.
"""

import functools
import importlib
import importlib.util
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from gencomp.compiled import library
from gencomp.errors import GencompError, GencompWarning

# a Python int or a numpy integer: what a kernel's scalar is depends on who calls it
Integer = Any

F = TypeVar("F", bound=Callable[..., Any])

WAYS = ("library", "numba", "python")
_OF_NUMBA = ("NUMBA_BOUNDSCHECK", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")  # who sets these wants what numba makes
_BUILDING = "build"  # numba's front half alone: for gencomp.compiled.build


def _chosen() -> tuple[str, str]:
    """Return the way to take, and why none before it is: "" for the first."""
    asked = os.environ.get("GENCOMP_KERNELS", "")
    if asked not in ("", *WAYS, _BUILDING):
        raise GencompError(f"GENCOMP_KERNELS: expected {', '.join(WAYS)}, found {asked!r}")
    if asked:
        reason = library.open_library() if asked == "library" else ""
        if reason:
            raise GencompError(f"GENCOMP_KERNELS=library: {reason}")
        return asked, f"GENCOMP_KERNELS={asked}"
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return "python", "NUMBA_DISABLE_JIT is set"
    asked_of_numba = next((name for name in _OF_NUMBA if os.environ.get(name, "0") not in ("", "0")), None)
    reason = f"{asked_of_numba} is set" if asked_of_numba else library.open_library()
    if not reason:
        return "library", ""
    if importlib.util.find_spec("numba") is not None:
        return "numba", reason
    return "python", f"{reason}; numba is not installed"


way, why = _chosen()


def _kernel(function: F, **options: bool) -> F:
    if way == "python":
        return function
    if way == "library":
        return cast(F, library.kernel(function, options))
    return cast(F, _just_in_time().compiled(function, options))


@functools.cache
def _just_in_time() -> Any:
    module = importlib.import_module("gencomp.compiled.just_in_time")
    module.know_intrinsics(library.Intrinsic)
    return module


def kernel(function: F) -> F:
    """Compile ``function``: same arguments, same results."""
    return _kernel(function)


def lean_kernel(function: F) -> F:
    """Compile ``function``, which makes no array, without the counts of references that cost inner loops their time."""
    return _kernel(function, lean=True)


def fragment(function: F) -> F:
    """Compile ``function`` into each lean kernel that calls it: for steps that cost no more than a call."""
    return _kernel(function, lean=True, forced=True)


def step(function: F) -> F:
    """Compile ``function``, as a lean kernel, for other kernels alone: without what Python would call it by."""
    return _kernel(function, lean=True, inner=True)


def part(function: F) -> F:
    """Make ``function`` a part of each kernel that calls it, compiled there alone: for steps with one caller."""
    return _kernel(function, lean=True, inner=True, inlined=True)


def compiled(plain: F, maker: str, *parameters: Any) -> F:
    """Return the function for kernels to call: ``maker`` writes LLVM's instructions, ``plain`` says what they do.

    ``maker`` is ``module:function``; called with ``parameters`` it returns what numba's intrinsics are made of: a
    function of the typing context and the arguments' types.
    """

    def instructions() -> Any:
        module, _, name = maker.partition(":")
        return getattr(importlib.import_module(module), name)(*parameters)

    return plain if way == "python" else cast(F, library.Intrinsic(plain, instructions))


def _ignore(array: Any, index: Any) -> None:
    """Do nothing: what a hint means to plain Python."""


def _word(array: Any, index: Any) -> int:
    return int.from_bytes(bytes(array[index : index + 8]), "little", signed=True)


def _product(left: Any, right: Any) -> int:
    return ((int(left) * int(right) + (1 << 63)) & ((1 << 64) - 1)) - (1 << 63)


# prefetch(array, index): bring the cache line of ``array[index]``, which a later step needs; no effect on any result
prefetch = cast(Callable[[Any, Integer], None], compiled(_ignore, "gencomp.compiled.llvm:prefetch"))
# word(array, index): the eight bytes from ``index`` on, which must be there, as an integer, the lowest first
word = cast(Callable[[Any, Integer], Integer], compiled(_word, "gencomp.compiled.llvm:word"))
# product(left, right): of int64, modulo 2^64 as a signed number; what ``*`` is to numba, but not to Python
product = cast(Callable[[Integer, Integer], Integer], compiled(_product, "gencomp.compiled.llvm:product"))


def described() -> str:
    """Return in a line how kernels run here, and why no faster way was taken."""
    if way == "library":
        about = library.description()
        old = library.stale()
        rest = f"; not for {', '.join(old)}, whose sources changed: python -m gencomp.compiled.build" if old else ""
        return f"library, for {about['variant']}, built by numba {about['numba']}{rest}"
    return f"{way}: {why}" if why else way


_watchers: list[Callable[[str, bool], object]] = []


@contextmanager
def watching(told: Callable[[str, bool], object]) -> Iterator[None]:
    """Call ``told`` with the name of each function that any thread compiles meanwhile: False before, True after.

    What a library or a cache holds is not compiled, so that nothing is told of it.
    """
    _watchers.append(told)
    try:
        yield
    finally:
        _watchers.remove(told)


def tell_watchers(name: str, done: bool) -> None:
    """Tell all who watch of the function ``name``; for the module that compiles."""
    for told in list(_watchers):
        told(name, done)


_told: set[str] = set()


def warn_once(message: str) -> None:
    """Warn, once a process."""
    if message not in _told:
        _told.add(message)
        warnings.warn(message, GencompWarning, stacklevel=3)
