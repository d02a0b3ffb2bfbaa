"""Conditional code lengths on disk as they come in, so that what was computed is not computed again."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from gencomp.equivalence.adapt import Model
from gencomp.equivalence.conditional import Pair, code_lengths, mixture
from gencomp.protocols import FloatArray

_AT_ONCE = 512  # pairs between two writes


class Kept:
    """Lines of JSON, ``[key, bits]``: a key is all that a code length depends on. Without a path, nothing is kept."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._known: dict[str, float] = {}
        whole = 0
        for line in path.read_bytes().splitlines(keepends=True) if path is not None and path.exists() else ():
            try:
                key, bits = json.loads(line)
                self._known[key] = float(bits)
            except (ValueError, TypeError):
                break  # killed while writing: this line is computed again
            if not line.endswith(b"\n"):
                break
            whole += len(line)
        if path is not None and path.exists():
            os.truncate(path, whole)

    def code_lengths(
        self, model: Model, identity: str, pairs: Sequence[Pair], report: Callable[[int], object] = lambda count: None
    ) -> FloatArray:
        """Return the conditional code length of each (given, data) pair in bits, float64 (n,).

        ``identity`` stands for the model; ``report`` is told how many pairs more are done.
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
            if self._path is not None:
                with self._path.open("a", encoding="utf-8") as file:
                    file.writelines(json.dumps(entry) + "\n" for entry in entries.items())
                    file.flush()
                    os.fsync(file.fileno())
        return np.array([self._known[key] for key in keys], dtype=np.float64)

    def mixed(
        self,
        models: Sequence[str],
        pairs: Sequence[Pair],
        report: Callable[[int], object] = lambda count: None,
    ) -> FloatArray:
        """Return the same under the mixture of several specs."""
        from gencomp.evaluation.run import facts_of

        facts = [facts_of(model) for model in models]
        return mixture([self.code_lengths(fact.full_spec, fact.identity, pairs, report) for fact in facts])
