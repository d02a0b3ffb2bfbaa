"""Sampling strategies by name, as on the command line and in the rows of a comparison: ``lookahead?horizon=4``."""

import difflib
from typing import Any, get_args

from gencomp.errors import SpecError
from gencomp.registry import Spec, parse_spec
from gencomp.sampling.draw import Draw
from gencomp.sampling.generate import Search, StrategyName, seen_alphabet

_NAMES = get_args(StrategyName)
_OF_DRAW = {"temperature": float, "top_k": int, "top_p": float}
_OF_SEARCH = {"horizon": int, "width": int, "max_copy": int, "own_window": int}
_OPTIONS = (*_OF_DRAW, *_OF_SEARCH, "alphabet")


def parse_strategy(text: str) -> Spec:
    """Return the parsed strategy. Raises :class:`SpecError` on an unknown name or option, or a wrong value."""
    spec = parse_spec(text)
    if spec.name not in _NAMES or spec.argument is not None:
        close = difflib.get_close_matches(spec.name, _NAMES, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise SpecError(f"unknown strategy {text!r}{hint}; there are {', '.join(_NAMES)}")
    for key in spec.options:
        if key not in _OPTIONS:
            raise SpecError(f"a strategy has no option {key!r}; its options are {', '.join(_OPTIONS)}")
    search_of(spec, b"x")
    return spec


def search_of(spec: Spec, context: bytes) -> Search:
    """Return the search of a strategy after ``context``; with ``alphabet=seen``, its bytes are the alphabet."""
    try:
        alphabet = spec.options.get("alphabet", "all")
        if alphabet not in ("all", "seen"):
            raise ValueError(f"alphabet must be all or seen, got {alphabet!r}")
        draw = Draw(**_values(spec, _OF_DRAW), alphabet=seen_alphabet(context) if alphabet == "seen" else None)
        return Search(spec.name, draw=draw, **_values(spec, _OF_SEARCH))  # type: ignore[arg-type]  # checked above
    except ValueError as error:
        raise SpecError(f"{spec}: {error}") from error


def _values(spec: Spec, kinds: dict[str, type]) -> dict[str, Any]:
    return {key: kind(spec.options[key]) for key, kind in kinds.items() if key in spec.options}
