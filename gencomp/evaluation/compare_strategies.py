"""Sampling strategies by name, as a comparison's command line and its rows write them: ``bytes?temperature=0.8``."""

import difflib
from collections.abc import Iterator

import numpy as np

from gencomp.errors import SpecError
from gencomp.protocols import PredictorState
from gencomp.registry import Spec, parse_spec
from gencomp.sampling.generate import generate, seen_alphabet
from gencomp.sampling.strategies import Strategy

NAMES = ("bytes",)
_FILTERS = {"temperature": float, "top_k": int, "top_p": float}
_ALPHABETS = ("all", "seen")


def parse_strategy(text: str) -> Spec:
    """Return the parsed strategy. Raises :class:`SpecError` on a name, option or value that there is not."""
    spec = parse_spec(text)
    if spec.name not in NAMES or spec.argument is not None:
        close = difflib.get_close_matches(spec.name, NAMES, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise SpecError(f"unknown strategy {text!r}{hint}; there are {', '.join(NAMES)}")
    known = [*_FILTERS, "alphabet"]
    for key in spec.options:
        if key not in known:
            raise SpecError(f"the strategy {spec.name} has no option {key!r}; its options are {', '.join(known)}")
    _filters(spec, b"x")
    return spec


def _filters(spec: Spec, context: bytes) -> Strategy:
    """Return how one symbol is drawn."""
    values = {}
    try:
        for key, kind in _FILTERS.items():
            if key in spec.options:
                values[key] = kind(spec.options[key])
        alphabet = spec.options.get("alphabet", "all")
        if alphabet not in _ALPHABETS:
            raise ValueError(f"alphabet must be one of {', '.join(_ALPHABETS)}, got {alphabet!r}")
        return Strategy(**values, alphabet=seen_alphabet(context) if alphabet == "seen" else None)
    except ValueError as error:
        raise SpecError(f"{spec}: {error}") from error


def continuation(
    state: PredictorState, context: bytes, length: int, spec: Spec, rng: np.random.Generator
) -> Iterator[int]:
    """Yield ``length`` symbols after ``context``, which ``state`` has read; ``state`` moves on with them."""
    return generate(state, length, _filters(spec, context), rng)
