"""Whether a model has read the text that it is measured on, so that its figures say nothing about other texts."""

import warnings

from gencomp.data import alice
from gencomp.errors import GencompError, GencompWarning
from gencomp.registry import tree_of

_WINDOW = 64  # bytes whose match is no accident
_LOOKS = 64  # windows that are looked up


def has_read(spec: str, data: bytes) -> bool:
    """Return whether the model of ``spec``, or one inside it, is primed with the text that ``data`` is mostly from.

    Only the package's own priming text is known here, not what a saved state or weights have read.
    """
    try:
        primed = any(tree.options.get("prime") == "english" for tree in tree_of(spec).walk())
    except GencompError:  # an object that no spec names
        return False
    if not primed or len(data) < _WINDOW:
        return False
    book = alice()
    places = range(0, len(data) - _WINDOW + 1, max(1, (len(data) - _WINDOW) // _LOOKS))
    known = sum(data[place : place + _WINDOW] in book for place in places)
    return 2 * known >= len(places)


def note_of(spec: str, name: str) -> str:
    """Return the warning for a model that has read ``name``."""
    return f"{spec} has read {name} before: its figures say nothing about other texts"


def warn_if_read(spec: str, data: bytes, name: str = "this text") -> None:
    """Warn if :func:`has_read` says so."""
    if has_read(spec, data):
        warnings.warn(note_of(spec, name), GencompWarning, stacklevel=3)
