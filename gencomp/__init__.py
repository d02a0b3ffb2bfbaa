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
    from gencomp.equivalence.adapt import as_compressor, as_predictor
    from gencomp.equivalence.compressor import ArithmeticCompressor
    from gencomp.equivalence.conditional import code_length
    from gencomp.equivalence.predictor import CodeLengthPredictor
    from gencomp.errors import GencompError
    from gencomp.evaluation.score import Score, score
    from gencomp.registry import load, register, spec_of
    from gencomp.sampling.generate import sample

__all__ = [
    "ArithmeticCompressor",
    "CodeLengthPredictor",
    "GencompError",
    "Score",
    "as_compressor",
    "as_predictor",
    "code_length",
    "compress",
    "decompress",
    "load",
    "register",
    "sample",
    "score",
    "spec_of",
]

# loaded on first use, so that `import gencomp` and `gencomp --help` stay light
_HOMES = {
    "ArithmeticCompressor": "gencomp.equivalence.compressor",
    "CodeLengthPredictor": "gencomp.equivalence.predictor",
    "GencompError": "gencomp.errors",
    "Score": "gencomp.evaluation.score",
    "as_compressor": "gencomp.equivalence.adapt",
    "as_predictor": "gencomp.equivalence.adapt",
    "code_length": "gencomp.equivalence.conditional",
    "compress": "gencomp.archive.memory",
    "decompress": "gencomp.archive.memory",
    "load": "gencomp.registry",
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
