"""Checks of what callers pass: bytes really are bytes, and symbols are whole numbers in the alphabet.

Python's own conversions accept too much: ``bytes(5)`` is five zeros, ``bytes`` of an array of integers is its memory,
and a slice of such an array counts items, not bytes.
"""

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

BYTES = 256
_OCTETS = ("B", "b", "c")  # buffer formats, as in the module struct, whose items are single bytes


def as_bytes(data: Any, name: str = "data") -> bytes:
    """Return bytes, or any buffer of single bytes, as ``bytes``.

    Raises ``TypeError`` on text, None, numbers and sequences of numbers. A buffer of wider items is refused, too, since
    either its numbers or its memory could be meant.
    """
    if type(data) is bytes:
        return data
    try:
        view = memoryview(data)
    except TypeError:
        hint = "; encode it first" if isinstance(data, str) else ""
        raise TypeError(f"{name} must be bytes, got {_kind(data)}{hint}") from None
    if view.ndim == 0 or view.format.lstrip("<>=@!") not in _OCTETS:
        raise TypeError(
            f"{name} must be bytes, got {_kind(data)} of items {view.format!r}, {view.itemsize} bytes each; "
            "give bytes(numbers), or the .tobytes() that is meant"
        )
    return view.tobytes()


def as_pieces(pieces: Sequence[Any], name: str) -> Sequence[bytes]:
    """Return each of ``pieces`` as :func:`as_bytes` does; 256 candidates that are ``bytes`` cost a few microseconds."""
    if set(map(type, pieces)) <= {bytes}:
        return pieces
    return [as_bytes(piece, name) for piece in pieces]


def as_symbol(symbol: Any, alphabet_size: int = BYTES) -> int:
    """Return a whole number of any type, numpy's included, as ``int``.

    Raises ``TypeError`` on anything else, booleans included, and ``ValueError`` outside [0, ``alphabet_size``).
    """
    if type(symbol) is not int:
        try:
            number = operator.index(symbol)
        except TypeError:
            number = None
        if number is None or isinstance(symbol, bool | np.bool_):
            raise TypeError(f"a symbol must be a whole number, got {symbol!r}") from None
        symbol = number
    if not 0 <= symbol < alphabet_size:
        raise ValueError(f"a symbol must lie in [0, {alphabet_size}), got {symbol}")
    return int(symbol)


def as_context(context: Any, alphabet_size: int = BYTES) -> Sequence[int]:
    """Return the symbols of a buffer of bytes or a sequence: as ``bytes`` unless the alphabet is larger than 256.

    Raises what :func:`as_bytes` and :func:`as_symbol` raise.
    """
    if isinstance(context, Sequence) and not isinstance(context, str) and not _has_buffer(context):
        symbols = [as_symbol(symbol, alphabet_size) for symbol in context]
        return bytes(symbols) if alphabet_size <= BYTES else symbols
    octets = as_bytes(context, "the context")
    if alphabet_size < BYTES:
        for symbol in octets:
            as_symbol(symbol, alphabet_size)
    return octets


def _has_buffer(value: object) -> bool:
    try:
        memoryview(value)  # type: ignore[arg-type]
    except TypeError:
        return False
    return True


def _kind(data: object) -> str:
    return "None" if data is None else type(data).__name__
