"""The one door to compiled code: decorators that keep a function's type, and what stands behind them.

Kernels compute in integers wherever an archive depends on them. They release the GIL, so plain threads code blocks on
all cores. There are three ways to run them, with the same results:

- ``library``: machine code that was made when the package was built (:mod:`gencomp.compiled.build`), loaded without
  any compiler (:mod:`gencomp.compiled.library`);
- ``numba``: compiled by numba on the first call, and cached (:mod:`gencomp.compiled.just_in_time`). Kernels whose
  sources changed since the library was built, and calls with types that it was not built for, run this way too;
- ``python``: as plain Python, slowly. This is the definition that the tests compare the other two with.

The first that works here is taken; who did not ask for a slow one is told once why. ``GENCOMP_KERNELS`` names one;
``NUMBA_DISABLE_JIT=1`` means ``python``, and settings of numba's code, such as ``NUMBA_BOUNDSCHECK=1``, mean ``numba``.
A kernel's plain function is its ``py_func``; with ``python``, the kernel is that function itself.
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

# a kernel's scalar: a Python int or a numpy integer, depending on the caller
Integer = Any

F = TypeVar("F", bound=Callable[..., Any])

WAYS = ("library", "numba", "python")
_OF_NUMBA = ("NUMBA_BOUNDSCHECK", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")  # setting one of these asks for numba
BUILDING = "build"  # numba writes LLVM IR and no machine code: for the processes of gencomp.compiled.build


def _is_set(name: str) -> bool:
    return os.environ.get(name, "0") not in ("", "0")


def _has_numba() -> bool:
    return importlib.util.find_spec("numba") is not None  # a search on disk, which few need


def _chosen() -> tuple[str, str]:
    """Return how kernels run here, and why no earlier one of ``WAYS`` was taken ("" for the first)."""
    asked = os.environ.get("GENCOMP_KERNELS", "")
    if asked == f"{BUILDING}:{os.getppid()}":
        return BUILDING, ""
    if asked not in ("", *WAYS):
        raise GencompError(f"GENCOMP_KERNELS: expected {', '.join(WAYS)}, found {asked[:80]!r}")
    if asked:
        reason = ""
        if asked == "library":
            reason = library.open_library()
        elif asked == "numba" and not _has_numba():
            reason = "numba is not installed: pip install 'gencomp[jit]'"
        elif asked == "numba" and _is_set("NUMBA_DISABLE_JIT"):
            reason = "NUMBA_DISABLE_JIT is set, which means python: unset one of the two"
        if reason:
            raise GencompError(f"GENCOMP_KERNELS={asked}: {reason}")
        return asked, f"GENCOMP_KERNELS={asked}"
    if _is_set("NUMBA_DISABLE_JIT"):
        return "python", "NUMBA_DISABLE_JIT is set"
    asked_of_numba = next(filter(_is_set, _OF_NUMBA), None)
    reason = f"{asked_of_numba} is set" if asked_of_numba and _has_numba() else library.open_library()
    if not reason:
        return "library", ""
    return ("numba", reason) if _has_numba() else ("python", f"{reason}; numba is not installed")


way, why = _chosen()
is_asked_for = _is_set("GENCOMP_KERNELS") or _is_set("NUMBA_DISABLE_JIT")


def _advice() -> str:
    """Return what to tell somebody who did not ask for the way in which kernels run, and whom it costs time."""
    if is_asked_for or way == "library":
        return ""
    is_there = why.startswith(library.THE_LIBRARY)  # and of no use
    if way == "python":
        repair = "reinstall gencomp, or " if is_there else ""
        return f"{why}; kernels run as plain Python, which is slow: {repair}pip install 'gencomp[jit]'"
    if is_there:
        return f"{why}; kernels are compiled as they are used, which takes up to a minute: reinstall gencomp"
    return ""


def _kernel(function: F, **options: bool) -> F:
    if way == "library":
        return cast(F, library.kernel(function, options))
    if way != "python":
        try:
            made = by_numba().compiled(function, options)
        except ImportError as error:
            _do_without_numba(str(error))
            made = function
    else:
        made = function
    if advice := _advice():
        warn_once(advice)
    return cast(F, made)


def _do_without_numba(reason: str) -> None:
    """Go on in plain Python, or raise if numba was asked for."""
    global way, why
    if is_asked_for:
        raise GencompError(f"GENCOMP_KERNELS={way}: {reason}")
    way, why = "python", f"{why}; {reason}"


def by_numba() -> Any:
    """Return the module that compiles by numba; raise ``ImportError``, of one line, where numba cannot be used."""
    module = _module_or_reason()
    if isinstance(module, str):
        raise ImportError(module)
    return module


@functools.cache
def _module_or_reason() -> Any:
    try:
        module = importlib.import_module("gencomp.compiled.just_in_time")
    except ModuleNotFoundError as error:
        return f"{error.name} is not installed"
    except Exception as error:  # an install that does not fit: numba and llvmlite raise ImportError, OSError and others
        return f"numba cannot be imported: {' '.join(str(error).split())[:200]}"
    if module.numba.config.DISABLE_JIT:  # by the environment, or by numba's own file of settings
        return "numba's DISABLE_JIT is set"
    module.know_intrinsics(library.Intrinsic)
    return module


def kernel(function: F) -> F:
    """Compile ``function``: same arguments, same results."""
    return _kernel(function)


def lean_kernel(function: F) -> F:
    """Compile ``function`` without reference counting, which slows inner loops; it must make no array."""
    return _kernel(function, lean=True)


def fragment(function: F) -> F:
    """Compile ``function`` as a lean kernel that LLVM inlines wherever it is called: for steps as cheap as a call."""
    return _kernel(function, lean=True, forced=True)


def step(function: F) -> F:
    """Compile ``function`` as a lean kernel that only kernels can call: it has no wrapper for Python."""
    return _kernel(function, lean=True, inner=True)


def part(function: F) -> F:
    """Let numba inline ``function`` into each kernel that calls it: for steps with one caller."""
    return _kernel(function, lean=True, inner=True, inlined=True)


def compiled(plain: F, maker: str, *parameters: Any) -> F:
    """Return a function for kernels to call: ``maker`` writes its LLVM IR, ``plain`` defines what it does.

    ``maker`` is ``module:function``. Called with ``parameters``, it returns what numba makes an intrinsic of: a
    function of the typing context and the arguments' types.
    """

    def instructions() -> Any:
        module, _, name = maker.partition(":")
        return getattr(importlib.import_module(module), name)(*parameters)

    return plain if way == "python" else cast(F, library.Intrinsic(plain, instructions))


def _ignore(array: Any, index: Any) -> None:
    """Do nothing: plain Python has no use for the hint."""


def _word(array: Any, index: Any) -> int:
    return int.from_bytes(bytes(array[index : index + 8]), "little", signed=True)


def _product(left: Any, right: Any) -> int:
    return ((int(left) * int(right) + (1 << 63)) & ((1 << 64) - 1)) - (1 << 63)


# prefetch(array, index): load the cache line of ``array[index]``, which a later step needs; no result depends on it
prefetch = cast(Callable[[Any, Integer], None], compiled(_ignore, "gencomp.compiled.llvm:prefetch"))
# word(array, index): the eight bytes from ``index`` on as a little-endian int64; unchecked, so all eight must exist
word = cast(Callable[[Any, Integer], Integer], compiled(_word, "gencomp.compiled.llvm:word"))
# product(left, right): the int64 product, wrapped modulo 2^64; numba's ``*`` wraps, Python's does not
product = cast(Callable[[Integer, Integer], Integer], compiled(_product, "gencomp.compiled.llvm:product"))


def described() -> str:
    """Return in one line how kernels run here, and why no faster way was taken."""
    if way == "numba":
        try:
            by_numba()
        except ImportError as error:
            _do_without_numba(str(error))
    if way == "library":
        about = library.description()
        old = library.stale()
        rest = f"; not for {', '.join(old)}, whose sources changed: python -m gencomp.compiled.build" if old else ""
        return f"library, for {about['variant']}, built by numba {about['numba']}{rest}"
    return f"{way}: {why}" if why else way


_watchers: list[Callable[[str, bool], object]] = []


@contextmanager
def watching(told: Callable[[str, bool], object]) -> Iterator[None]:
    """Call ``told`` with the name of each function that any thread compiles: with False before, with True after.

    Functions that come from the library or a cache are not compiled, and ``told`` does not hear of them.
    """
    _watchers.append(told)
    try:
        yield
    finally:
        _watchers.remove(told)


def tell_watchers(name: str, done: bool) -> None:
    """Tell every watcher that the function ``name`` is about to be compiled, or was (``done``)."""
    for told in list(_watchers):
        told(name, done)


_told: set[str] = set()


def warn_once(message: str, subject: str = "") -> None:
    """Warn, once a process; of messages on one ``subject``, only the first."""
    if (subject or message) not in _told:
        _told.add(subject or message)
        warnings.warn(message, GencompWarning, stacklevel=3)
