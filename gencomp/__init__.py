"""gencomp: a predictor is a compressor read backwards.

>>> import gencomp
>>> gencomp.decompress(gencomp.compress(b"to be or not to be")) == b"to be or not to be"
True
>>> len(gencomp.sample("gzip", prompt=b"to be or not to be, ", length=5, seed=1))
5
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from gencomp.archive.memory import compress, decompress
    from gencomp.archive.stream import open  # noqa: A004 - as gzip.open is
    from gencomp.equivalence.adapt import as_compressor, as_predictor
    from gencomp.equivalence.candidates import Candidates, candidates
    from gencomp.equivalence.compressor import ArithmeticCompressor
    from gencomp.equivalence.conditional import code_length
    from gencomp.equivalence.costs import costs, parse
    from gencomp.equivalence.predictor import CodeLengthPredictor
    from gencomp.errors import GencompError
    from gencomp.evaluation.explain import Explanation, Interval, explain
    from gencomp.evaluation.score import Score, score
    from gencomp.phrases import Parse
    from gencomp.registry import load, register, spec_of
    from gencomp.sampling.bits import decode_bits
    from gencomp.sampling.generate import sample

__all__ = [
    "ArithmeticCompressor",
    "Candidates",
    "CodeLengthPredictor",
    "Explanation",
    "GencompError",
    "Interval",
    "Parse",
    "Score",
    "as_compressor",
    "as_predictor",
    "candidates",
    "code_length",
    "compress",
    "costs",
    "decode_bits",
    "decompress",
    "explain",
    "load",
    "open",
    "parse",
    "register",
    "sample",
    "score",
    "spec_of",
]

# loaded on first use, so that `import gencomp` and `gencomp --help` stay light
_HOMES = {
    "ArithmeticCompressor": "gencomp.equivalence.compressor",
    "Candidates": "gencomp.equivalence.candidates",
    "CodeLengthPredictor": "gencomp.equivalence.predictor",
    "Explanation": "gencomp.evaluation.explain",
    "GencompError": "gencomp.errors",
    "Interval": "gencomp.evaluation.explain",
    "Parse": "gencomp.phrases",
    "Score": "gencomp.evaluation.score",
    "as_compressor": "gencomp.equivalence.adapt",
    "as_predictor": "gencomp.equivalence.adapt",
    "candidates": "gencomp.equivalence.candidates",
    "code_length": "gencomp.equivalence.conditional",
    "compress": "gencomp.archive.memory",
    "costs": "gencomp.equivalence.costs",
    "decode_bits": "gencomp.sampling.bits",
    "decompress": "gencomp.archive.memory",
    "explain": "gencomp.evaluation.explain",
    "load": "gencomp.registry",
    "open": "gencomp.archive.stream",
    "parse": "gencomp.equivalence.costs",
    "register": "gencomp.registry",
    "sample": "gencomp.sampling.generate",
    "score": "gencomp.evaluation.score",
    "spec_of": "gencomp.registry",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gencomp' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
