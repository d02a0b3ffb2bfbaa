"""Signatures of kernels in plain letters: ``module.kernel(i8, u1[C1], (i8, f8), module.Names(i8, i4[C2]))``.

A number is its kind (i, u, f, b for bool) and its size in bytes. An array is its elements' type, its layout (C, F, or A
for any strides) and its number of dimensions, with a ``!`` if it is read-only. A tuple stands in parentheses, after its
class if it is a named one; ``none`` is None. ``signatures.txt`` has a line for each way in which Python code calls a
kernel: the library is built for these.
"""

import importlib
import operator
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gencomp.compiled import sources

FILE = Path(__file__).parent / "signatures.txt"

# numpy's letters for the buffer protocol, by the names here
LETTERS = dict(zip(["b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"], "?bhiqBHIQfd", strict=True))
_TOKEN = re.compile(r"[A-Za-z_][\w.]*|\[[CFA]\d\]!?|[(),]")


def spell(function: Callable[..., Any], kinds: Sequence[Any]) -> str:
    """Return the signature of a call of ``function`` with arguments of numba's types ``kinds``."""
    return f"{function.__module__}.{function.__qualname__}({', '.join(name_of(kind) for kind in kinds)})"


def name_of(kind: Any) -> str:
    """Return the name of numba's type ``kind``; raise ``ValueError`` if it has none here."""
    from numba import types

    if isinstance(kind, types.Literal):
        return name_of(kind.literal_type)
    if isinstance(kind, types.Boolean):
        return "b1"
    if isinstance(kind, types.Integer):
        return f"{'i' if kind.signed else 'u'}{kind.bitwidth // 8}"
    if isinstance(kind, types.Float):
        return f"f{kind.bitwidth // 8}"
    if isinstance(kind, types.NoneType):
        return "none"
    if isinstance(kind, types.Array):
        return f"{name_of(kind.dtype)}[{kind.layout}{kind.ndim}]{'' if kind.mutable else '!'}"
    if isinstance(kind, types.BaseTuple):
        names = getattr(kind, "instance_class", None)
        prefix = "" if names is None else f"{names.__module__}.{names.__qualname__}"
        return f"{prefix}({', '.join(name_of(item) for item in kind)})"
    raise ValueError(f"arguments of numba's type {kind} have no name here")


def _module_and_name(kernel: str) -> tuple[str, str]:
    """Return the module of a kernel, and its name there: ``function``, or ``object.member``."""
    module, _, name = kernel.rpartition(".")
    while sources.file_of(module) is None and "." in module:
        module, _, before = module.rpartition(".")
        name = f"{before}.{name}"
    return module, name


class Signature:
    """A kernel's name and its arguments, as trees: ("i8",), ("u1", "C", 1, writable), (class or "", [items])."""

    def __init__(self, line: str) -> None:
        name, _, rest = line.strip().partition("(")
        self.line = line.strip()
        self.module, self.function = _module_and_name(name)
        self._tokens = _TOKEN.findall(rest)
        self.arguments = self._items()

    def _items(self) -> list[Any]:
        items = []
        while (token := self._tokens.pop(0)) != ")":
            if token != ",":
                items.append(self._item(token))
        return items

    def _item(self, token: str) -> Any:
        if token == "(":
            return ("", self._items())
        following = self._tokens[0]
        if following == "(":
            self._tokens.pop(0)
            return (token, self._items())
        if following.startswith("["):
            self._tokens.pop(0)
            return (token, following[1], int(following[2]), not following.endswith("!"))
        return (token,)

    def kernel(self) -> Any:
        """Return the kernel itself, its module imported."""
        return operator.attrgetter(self.function)(importlib.import_module(self.module))

    def format(self) -> str:
        """Return what the library's C code reads arguments by; see ``calls.c``."""
        return "".join(_format(item) for item in self.arguments)

    def numba_types(self) -> tuple[Any, ...]:
        """Return the arguments' types for numba, all arrays writable."""
        return tuple(_numba_type(item) for item in self.arguments)


def _format(item: Any) -> str:
    if isinstance(item[-1], list):
        return "(" + "".join(_format(part) for part in item[1]) + ")"
    if len(item) == 4:
        kind, layout, dimensions, writable = item
        return f"{'[' if writable else '{'}{LETTERS[kind]}{layout}{dimensions}"
    return "n" if item == ("none",) else LETTERS[item[0]]


def _numba_type(item: Any) -> Any:
    from numba import types

    if isinstance(item[-1], list):
        parts = [_numba_type(part) for part in item[1]]
        alike = bool(parts) and all(part == parts[0] for part in parts)
        if not item[0]:
            return types.UniTuple(parts[0], len(parts)) if alike else types.Tuple(parts)
        module, _, name = item[0].rpartition(".")
        names = getattr(importlib.import_module(module), name)
        return types.NamedUniTuple(parts[0], len(parts), names) if alike else types.NamedTuple(parts, names)
    if len(item) == 4:
        kind, layout, dimensions, _ = item
        return types.Array(_numba_type((kind,)), dimensions, layout)
    if item == ("none",):
        return types.none
    kind, size = item[0][0], int(item[0][1:])
    return (
        types.boolean if kind == "b" else getattr(types, {"i": "int", "u": "uint", "f": "float"}[kind] + str(8 * size))
    )


def read(file: Path = FILE) -> list[Signature]:
    """Return the signatures in a file, sorted, without duplicates."""
    lines = {line.strip() for line in file.read_text(encoding="utf-8").splitlines()}
    return [Signature(line) for line in sorted(lines) if line and not line.startswith("#")]
