"""Checks that a class has all that a model needs, and all of each capability that it claims.

The protocols of :mod:`gencomp.protocols` are structural: a class has a capability if it has the members. With a member
misspelt, or one of two missing, a slower way would be taken silently; this module reports both.
"""

import difflib
import inspect
import typing
from typing import Any, Literal

from gencomp import protocols
from gencomp.protocols import Compressor, Predictor, PredictorState, ScorerState

_NEAR = 0.85  # difflib's ratio from which a name counts as misspelt
_PARTS = (Predictor, PredictorState, Compressor, ScorerState)  # what every model, or its state, has


def members_of(protocol: Any) -> list[str]:
    """Return the names of the members of ``protocol``."""
    own = {**vars(protocol), **inspect.get_annotations(protocol)}
    return sorted(name for name in own if not name.startswith("_"))


def _capabilities() -> dict[str, list[str]]:
    kinds = {name: kind for name, kind in vars(protocols).items() if getattr(kind, "_is_runtime_protocol", False)}
    return {
        name: members_of(kind)
        for name, kind in kinds.items()
        if kind.__module__ == protocols.__name__ and kind not in _PARTS
    }


CAPABILITIES = _capabilities()
"""The members of each optional capability, by its name."""

_OPTIONAL = {member for members in CAPABILITIES.values() for member in members}
_KNOWN = _OPTIONAL | {member for part in _PARTS for member in members_of(part)}


def complaints(kind: Literal["compressor", "predictor"], factory: Any, options: typing.Iterable[str]) -> list[str]:
    """Return a line for everything that ``factory`` lacks of what it must have, or claims to have.

    ``factory`` is the class of a model, or a function that returns one. ``options`` are the names of its arguments,
    which are free. Any other public name that resembles a capability's counts as a misspelling of it, unless it begins
    with an underscore.
    """
    if not isinstance(factory, type):
        factory = _returned(factory)
        if factory is None:
            return []
    needed = ("compress", "decompress", "code_length") if kind == "compressor" else ("begin",)
    found = [
        f"{factory.__qualname__} has no {name}, which a {kind} needs" for name in needed if not hasattr(factory, name)
    ]
    found += _of_names(factory, set(options))
    state = _returned(getattr(factory, "begin" if kind == "predictor" else "begin_scoring", None))
    if state is not None:
        part: Any = PredictorState if kind == "predictor" else ScorerState
        found += [
            f"{state.__qualname__} has no {name}, which a {part.__name__} needs"
            for name in members_of(part)
            if not hasattr(state, name)
        ]
        found += _of_names(state, set())
    return found


def _of_names(kind: type, options: set[str]) -> list[str]:
    """Return what is wrong with the names of a class: capabilities that are misspelt, or only half there."""
    has = {name for name in dir(kind) if not name.startswith("_")}
    found = []
    for name in sorted(has - _KNOWN - options):
        near = difflib.get_close_matches(name, _OPTIONAL, n=1, cutoff=_NEAR)
        if near and near[0] not in has:
            found.append(
                f"{kind.__qualname__}.{name} is not a capability; did you mean {near[0]}? "
                f"(if it is your own, begin it with an underscore)"
            )
    for capability, members in CAPABILITIES.items():
        missing = [name for name in members if name not in has]
        if 0 < len(missing) < len(members):
            there = ", ".join(name for name in members if name in has)
            found.append(f"{kind.__qualname__} has {there} but no {', '.join(missing)}: {capability} is both")
    return found


def _returned(function: Any) -> type | None:
    """Return the class in a function's return annotation, or None if it has none that could be a model or a state."""
    try:
        kind = typing.get_type_hints(function).get("return")
    except (NameError, TypeError, AttributeError):
        return None
    ours = isinstance(kind, type) and not getattr(kind, "_is_protocol", False) and kind.__module__ != "builtins"
    return kind if ours else None
