"""Machine code made when the package was built: found, checked, and called, without numba.

The library is a Python extension, ``_library.abi3.so``, that any CPython from 3.11 on loads. Beside it lies its
description, ``_library.json``: a checksum, and digests of the sources that each kernel was made from. A library that
is damaged, or made for another processor, is not loaded. A kernel whose sources changed since, or that is called with
types it was not made for, is compiled by numba. Where numba is not installed it runs as plain Python, with a warning:
the results are the same.
"""

import functools
import importlib.util
import inspect
import json
import zlib
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from gencomp.compiled import sources

FILE = Path(__file__).parent / "_library.abi3.so"
DESCRIPTION = FILE.with_suffix("").with_suffix(".json")
FORMAT = 1

_module: Any = None
_description: dict[str, Any] = {}
_fresh: dict[str, bool] = {}  # by module


def open_library() -> str:
    """Load the library; return "", or why it cannot be loaded."""
    global _module, _description
    if _module is not None:
        return ""
    try:
        description = json.loads(DESCRIPTION.read_text(encoding="utf-8"))
        data = FILE.read_bytes()
    except FileNotFoundError:
        return "no library of kernels was built"
    except (OSError, ValueError) as error:
        return f"the library of kernels cannot be read: {error}"
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        return "the library of kernels was built by another version of gencomp"
    if description.get("checksum") != zlib.crc32(data):
        return f"the library of kernels is damaged: {FILE} is not what was built"
    specification = importlib.util.spec_from_file_location("gencomp.compiled._library", FILE)
    assert specification is not None
    assert specification.loader is not None
    try:
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
    except ImportError as error:
        return f"the library of kernels cannot be loaded: {error}"
    if module.variant() is None:
        return f"the library of kernels was built for other processors: {', '.join(description['variants'])}"
    _module, _description = module, description
    return ""


def description() -> dict[str, Any]:
    """Return the loaded library's description, and the kind of processor whose code runs (``variant``)."""
    return {**_description, "variant": _module.variant()}


def kernel(function: Callable[..., Any], options: dict[str, bool]) -> Any:
    """Return ``function`` as the library has it; calls that it was not made for go to :class:`_Otherwise`."""
    otherwise = _Otherwise(function, options)
    name = f"{function.__module__}.{function.__qualname__}" if _is_fresh(function.__module__) else ""
    otherwise.kernel = made = _module.Kernel(name, function.__defaults__ or (), otherwise)
    return made


def stale() -> list[str]:
    """Return the loaded modules whose sources changed, so that their kernels are not taken from the library."""
    return sorted(module for module, fresh in _fresh.items() if not fresh)


def _is_fresh(module: str) -> bool:
    if module not in _fresh:
        digests = _description["files"]
        _fresh[module] = all(_unchanged(name, digests[name]) for name in _description["modules"].get(module, ()))
    return _fresh[module]


@functools.cache
def _unchanged(name: str, digest: str) -> bool:
    try:
        return sources.digest_of_file(sources.ROOT / name) == digest
    except OSError:
        return False


class _Otherwise:
    """Stands behind a kernel of the library: takes calls with other types, and answers numba's questions about it."""

    kernel: Any

    def __init__(self, function: Callable[..., Any], options: dict[str, bool]) -> None:
        self.py_func = self.__wrapped__ = function
        self.options = options
        self.targetoptions = {"inline": "always"} if options.get("inlined") else {}

    @cached_property
    def dispatcher(self) -> Any:
        """The function as numba compiles it; raises ``ImportError`` where there is no numba."""
        from gencomp.compiled import just_in_time

        just_in_time.know_kernels(type(self.kernel))
        just_in_time.know_intrinsics(Intrinsic)
        return just_in_time.compiled(self.py_func, self.options)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        if named:
            bound = inspect.signature(self.py_func).bind(*arguments, **named)
            bound.apply_defaults()
            return self.kernel(*bound.args)
        from gencomp import compiled

        try:
            dispatcher = self.dispatcher
        except ImportError:
            compiled.warn_once(
                f"{self.py_func.__module__}.{self.py_func.__qualname__} is not in the library of compiled kernels and "
                "runs as plain Python, which is slow: pip install 'gencomp[jit]'"
            )
            return self.py_func(*arguments)
        from gencomp.compiled import just_in_time

        just_in_time.record(self.py_func, arguments, {})
        return dispatcher(*arguments)


class Intrinsic:
    """A function that is LLVM IR where numba compiles a call of it, and plain Python elsewhere."""

    def __init__(self, plain: Callable[..., Any], instructions: Callable[[], Any]) -> None:
        self._plain = plain
        self._instructions = instructions

    @cached_property
    def made(self) -> Any:
        """The intrinsic, as numba knows it."""
        from gencomp.compiled import just_in_time

        return just_in_time.intrinsic(self._instructions())

    def __call__(self, *arguments: Any) -> Any:
        return self._plain(*arguments)
