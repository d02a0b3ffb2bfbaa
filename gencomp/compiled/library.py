"""Machine code made when the package was built: found, checked, and called, without numba.

The library is a Python extension, ``_library.abi3.so``, that any CPython from 3.11 on loads. Beside it lies its
description, ``_library.json``: a checksum, and digests of the sources that each kernel was made from. A library that
is damaged, or made for another processor, is not loaded. A kernel whose sources changed since, or that is called with
types it was not made for, is compiled by numba. Where numba is not installed it runs as plain Python, with a warning:
the results are the same.
"""

import functools
import importlib.machinery
import importlib.util
import inspect
import json
import zlib
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from gencomp.compiled import sources

_SUFFIX = ".abi3.so"  # a Python of another ABI, such as the free-threaded one, would load it and crash
FILE = Path(__file__).parent / f"_library{_SUFFIX}"
DESCRIPTION = FILE.with_suffix("").with_suffix(".json")
FORMAT = 1
THE_LIBRARY = "the library of kernels"  # how reasons begin
CHANGED = "kernels whose sources changed since the library was built"  # how a warning begins

_module: Any = None
_description: dict[str, Any] = {}
_fresh: dict[str, bool] = {}  # by module


def open_library() -> str:
    """Load the library; return "", or why it cannot be loaded, which begins with ``THE_LIBRARY`` if it is there."""
    global _module, _description
    if _module is not None:
        return ""
    missing = [path for path in (FILE, DESCRIPTION) if not path.exists()]
    if len(missing) == 2:
        return "no library of kernels was built"
    if missing:
        return f"{THE_LIBRARY} is damaged: {missing[0]} is missing"
    if _SUFFIX not in importlib.machinery.EXTENSION_SUFFIXES:
        return f"{THE_LIBRARY} cannot be loaded: this Python does not have the stable ABI of CPython"
    try:
        description = json.loads(DESCRIPTION.read_text(encoding="utf-8"))
        data = FILE.read_bytes()
    except (OSError, ValueError, RecursionError) as error:
        return f"{THE_LIBRARY} cannot be read: {error}"
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        return f"{THE_LIBRARY} was built by another version of gencomp"
    if not _is_complete(description):
        return f"{THE_LIBRARY} is damaged: {DESCRIPTION} is not what was written"
    if description["checksum"] != zlib.crc32(data):
        return f"{THE_LIBRARY} is damaged: {FILE} is not what was built"
    specification = importlib.util.spec_from_file_location("gencomp.compiled._library", FILE)
    assert specification is not None
    assert specification.loader is not None
    try:
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
    except (ImportError, SystemError) as error:
        return f"{THE_LIBRARY} cannot be loaded: {error}"
    if module.variant() is None:
        return f"{THE_LIBRARY} was built for other processors: {', '.join(description['variants'])}"
    _module, _description = module, description
    return ""


def _is_complete(description: dict[str, Any]) -> bool:
    """Return whether a description has all that is read from it, in the types that :mod:`~.build` writes."""

    def are_texts(items: object) -> bool:
        return isinstance(items, list) and all(isinstance(item, str) for item in items)

    files, modules = description.get("files"), description.get("modules")
    if not isinstance(files, dict) or not are_texts(list(files.values())):
        return False
    if not isinstance(modules, dict) or not all(map(are_texts, modules.values())):
        return False
    if not all(name in files for names in modules.values() for name in names):
        return False
    is_said = type(description.get("checksum")) is int and isinstance(description.get("numba"), str)
    return is_said and are_texts(description.get("variants"))


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
        """The function as numba compiles it; raises ``ImportError`` where numba cannot be used."""
        from gencomp import compiled

        just_in_time = compiled.by_numba()
        just_in_time.know_kernels(type(self.kernel))
        return just_in_time.compiled(self.py_func, self.options)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        if named:
            bound = inspect.signature(self.py_func).bind(*arguments, **named)
            bound.apply_defaults()
            return self.kernel(*bound.args)
        from gencomp import compiled

        is_fresh = _is_fresh(self.py_func.__module__)
        try:
            dispatcher = self.dispatcher
        except ImportError as error:
            name = f"{self.py_func.__module__}.{self.py_func.__qualname__}"
            compiled.warn_once(
                f"{name} is not in the library of compiled kernels and runs as plain Python, which is slow: "
                f"pip install 'gencomp[jit]' ({error})"
                if is_fresh
                else f"{CHANGED} run as plain Python, which is slow: reinstall gencomp, or pip install 'gencomp[jit]' "
                f"({error})",
                "plain Python",
            )
            return self.py_func(*arguments)
        if not is_fresh:
            compiled.warn_once(
                f"{CHANGED} are compiled as they are used, which takes up to a minute: reinstall gencomp, or run the "
                "module gencomp.compiled.build"
            )
        compiled.by_numba().record(self.py_func, arguments, {})
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
