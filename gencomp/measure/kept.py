"""Conditional code lengths, kept on disk as they come in, so that none is computed twice."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gencomp.equivalence.adapt import Model
from gencomp.equivalence.conditional import Pair, code_lengths, mixture
from gencomp.journal import JsonLines
from gencomp.protocols import FloatArray

_AT_ONCE = 512  # pairs between two writes


class Kept:
    """Lines of JSON, ``[key, bits]``, whose key stands for all that a code length depends on.

    Without a path, they are kept in memory only.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._known: dict[str, float] = {}
        self._lines = JsonLines(path, self._accept, beginning='["', what="journal of code lengths")

    def _accept(self, entry: Any) -> None:
        key, bits = entry
        if not isinstance(key, str) or type(bits) not in (int, float):
            raise TypeError("not a code length")
        self._known[key] = float(bits)

    def code_lengths(
        self, model: Model, identity: str, pairs: Sequence[Pair], report: Callable[[int], object] = lambda count: None
    ) -> FloatArray:
        """Return the conditional code length of each (given, data) pair in bits, float64 (n,).

        ``identity`` stands for the model; ``report`` is told how many more pairs are done.
        """
        digests: dict[bytes, str] = {}

        def digest(data: bytes) -> str:
            if data not in digests:
                digests[data] = hashlib.sha256(data).hexdigest()[:24]
            return digests[data]

        head = hashlib.sha256(identity.encode()).hexdigest()[:16]
        keys = [f"{head} {digest(given)} {digest(data)}" for given, data in pairs]
        missing = [place for place, key in enumerate(keys) if key not in self._known]
        report(len(pairs) - len(missing))
        for start in range(0, len(missing), _AT_ONCE):
            places = missing[start : start + _AT_ONCE]
            found = code_lengths(model, [pairs[place] for place in places], report).tolist()
            entries = {keys[place]: bits for place, bits in zip(places, found, strict=True)}
            self._known |= entries
            self._lines.add(entries.items())
        return np.array([self._known[key] for key in keys], dtype=np.float64)

    def mixed(
        self,
        models: Sequence[str],
        pairs: Sequence[Pair],
        report: Callable[[int], object] = lambda count: None,
    ) -> FloatArray:
        """Return the same under an equal mixture of several specs."""
        from gencomp.evaluation.run import facts_of

        facts = [facts_of(model) for model in models]
        return mixture([self.code_lengths(fact.full_spec, fact.identity, pairs, report) for fact in facts])
