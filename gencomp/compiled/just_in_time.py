"""Kernels by numba: compiled on the first call, and cached on disk under a digest of all files they are made from.

The cache lies beside the sources, or else in the user's cache folder; ``NUMBA_CACHE_DIR`` names another place. Where
none can be written, nothing is cached.
"""

import functools
import inspect
import os
import pickle
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba import types
from numba.core.event import Listener, install_listener
from numba.core.registry import CPUDispatcher, cpu_target
from numba.extending import intrinsic as intrinsic
from numba.extending import typeof_impl

from gencomp import compiled as door
from gencomp.compiled import signatures, sources
from gencomp.files import expanded

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
_FOLDER = Path(__file__).parents[1] / "__pycache__"


def compiled(function: F, options: dict[str, bool]) -> F:
    """Return ``function``, compiled when first called; ``options`` are those of the decorators' ``_kernel``."""
    flags = dict(_OPTIONS)
    if options.get("lean"):
        flags["_nrt"] = False
    if options.get("forced"):
        flags["forceinline"] = True
    if options.get("inlined"):
        flags["inline"] = "always"
    building = door.way not in door.WAYS
    if options.get("inner") or building:
        flags["no_cpython_wrapper"] = True
    dispatcher = numba.njit(**flags)(function)
    if not building:
        _keep(dispatcher, function)
    if _RECORDS:
        dispatcher.__class__ = _Recorder
    return cast(F, dispatcher)


def _keep(dispatcher: Any, function: Callable[..., Any]) -> None:
    """Cache compiled code on disk, in a folder that no other state of the sources uses."""
    before = numba.config.CACHE_DIR
    try:
        numba.config.CACHE_DIR = str(_folder_of(function.__module__, before))
        dispatcher.enable_caching()
        is_kept = True
    except RuntimeError:  # numba finds no folder that it may write to
        is_kept = False
    finally:
        numba.config.CACHE_DIR = before
    cache = getattr(dispatcher, "_cache", None)  # private to numba; if it has another name, a cache that fails raises
    for name in ("load_overload", "save_overload"):
        if hasattr(cache, name):
            setattr(cache, name, _unfailing(getattr(cache, name)) if is_kept else _tell_of_no_cache)


@functools.cache
def _folder_of(module: str, asked: str) -> Path:
    """Return where the kernels of ``module`` are cached; in the default place, remove what older sources left."""
    # numba's cache does not tell apart code with NUMBA_BOUNDSCHECK and code without
    kind = module.removeprefix("gencomp.") + (".checked" if numba.config.BOUNDSCHECK else "")
    name = f"{kind}-{sources.digest(module)[:16]}"
    if asked:
        return Path(asked, name)
    folder = _default_folder()
    if folder is None:
        raise RuntimeError("no folder that can be written")
    if not (folder / name).exists():
        for old in folder.glob(f"{kind}-" + "[0-9a-f]" * 16):
            shutil.rmtree(old, ignore_errors=True)
    return folder / name


@functools.cache
def _default_folder() -> Path | None:
    """Return the first folder that can be written: beside the sources, or in the user's cache."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    for place in (_FOLDER, home / "gencomp"):
        try:
            folder = expanded(place)  # raises where nobody knows the user's home
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError:
            continue
    return None


def _unfailing(step: Callable[..., Any]) -> Callable[..., Any]:
    """Return a step of the cache that warns and returns None where it fails: a disk may be full, a file cut short."""

    @functools.wraps(step)
    def attempt(*arguments: Any) -> Any:
        try:
            return step(*arguments)
        except (OSError, EOFError, ValueError, pickle.PickleError):
            _tell_of_no_cache()
            return None

    return attempt


def _tell_of_no_cache(*_: Any) -> None:
    door.warn_once(
        "compiled code cannot be cached, so each run compiles anew, which takes up to a minute: "
        "set NUMBA_CACHE_DIR to a folder that can be written"
    )


class _Watch(Listener):  # type: ignore[misc]
    """Tells watchers the names of functions as they are compiled."""

    def on_start(self, event: Any) -> None:
        self._tell(event, False)

    def on_end(self, event: Any) -> None:
        self._tell(event, True)

    def _tell(self, event: Any, done: bool) -> None:
        function = getattr((event.data or {}).get("dispatcher"), "py_func", None)
        door.tell_watchers(getattr(function, "__name__", "a loop").strip("_"), done)


_listening = install_listener("numba:compile", _Watch())
_listening.__enter__()  # until the process ends


def know_intrinsics(kind: type) -> None:
    """Let numba compile calls of objects of the type ``kind``, whose ``made`` is a numba intrinsic."""

    @typeof_impl.register(kind)  # type: ignore[untyped-decorator]
    def _type_of_intrinsic(value: Any, context: Any) -> Any:
        made = value.made
        cpu_target.typing_context.refresh()  # registers ``made``, which may be new
        return cpu_target.typing_context.resolve_value_type(made)


def know_kernels(kind: type) -> None:
    """Let numba compile calls of the library's kernels, whose type is ``kind``."""

    @typeof_impl.register(kind)  # type: ignore[untyped-decorator]
    def _type_of_kernel(value: Any, context: Any) -> Any:
        return types.Dispatcher(value.dispatcher)


# a folder: the argument types of each kernel that Python calls are recorded there, for signatures.txt
_RECORDS = os.environ.get("GENCOMP_SIGNATURES", "")


class _Recorder(CPUDispatcher):  # type: ignore[misc]
    """A dispatcher that records the types that it is called with."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        record(self.py_func, arguments, named)
        return super().__call__(*arguments, **named)


def record(function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
    """Write the signature of a call into the folder that GENCOMP_SIGNATURES names, in a file of this process."""
    if not _RECORDS:
        return
    bound = inspect.signature(function).bind(*arguments, **named)
    bound.apply_defaults()
    line = signatures.spell(function, [numba.typeof(argument) for argument in bound.args])
    if line not in _recorded:
        _recorded.add(line)
        with Path(_RECORDS, f"{os.getpid()}.txt").open("a") as file:
            file.write(line + "\n")


_recorded: set[str] = set()
