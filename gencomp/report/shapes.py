"""Checks that JSON has the shape that a page needs, before anything is drawn from it.

A shape is a type, or a tuple of allowed types. The shape of an object is a dict of the keys that it must have,
``[shape]`` is an array of any length, and ``Maybe(shape)`` a key that may be missing or null.
"""

import math
from dataclasses import dataclass
from typing import Any

from gencomp.errors import DatasetError

_WORDS = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "an object",
    type(None): "null",
}


@dataclass(frozen=True)
class Maybe:
    """A value that may be null, or whose key may be missing."""

    shape: Any


def check_shape(value: object, shape: Any, where: str) -> None:
    """Raise :class:`DatasetError` unless ``value``, found at ``where``, has the shape."""
    if isinstance(shape, Maybe):
        if value is not None:
            check_shape(value, shape.shape, where)
    elif isinstance(shape, list):
        if not isinstance(value, list):
            raise _other(value, "an array", where)
        for number, item in enumerate(value):
            check_shape(item, shape[0], f"{where}[{number}]")
    elif isinstance(shape, dict):
        if not isinstance(value, dict):
            raise _other(value, "an object", where)
        for key, inner in shape.items():
            if key not in value and not isinstance(inner, Maybe):
                raise DatasetError(f"{where} has no {key!r}")
            check_shape(value.get(key), inner, f"{where}.{key}")
    else:
        kinds = shape if isinstance(shape, tuple) else (shape,)
        if not any(_is(value, kind) for kind in kinds):
            raise _other(value, " or ".join(_WORDS[kind] for kind in kinds), where)


def _is(value: object, kind: type) -> bool:
    if kind is float:
        return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]
    return type(value) is kind


def _other(value: object, wanted: str, where: str) -> DatasetError:
    text = repr(value)
    return DatasetError(f"{where} must be {wanted}, got {text if len(text) <= 40 else text[:40] + '...'}")
