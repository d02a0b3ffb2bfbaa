"""What callers pass, checked once: bytes are what they say, symbols are whole numbers of the alphabet.

Python's own conversions do not ask: ``bytes(5)`` is five zeros, ``bytes`` of an array of integers is its memory, and a
slice of such an array counts its items, not its bytes.
"""

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

BYTES = 256
_OCTETS = ("B", "b", "c")  # formats of buffers whose items are single bytes (the module struct's)


def as_bytes(data: Any, name: str = "data") -> bytes:
    """Return bytes, or any buffer of single bytes, as ``bytes``.

    Raises ``TypeError`` on text, on None, on numbers and sequences of them, and on a buffer of wider items, of which
    it is not known whether its numbers or its memory are meant.
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
    """Return a whole number of any kind, numpy's too, as ``int``.

    Raises ``TypeError`` on what is no whole number, truth values among them, and ``ValueError`` outside
    [0, ``alphabet_size``).
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
    """Return bytes, a buffer of them, or a sequence of symbols, as symbols: ``bytes`` where the alphabet is theirs.

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
