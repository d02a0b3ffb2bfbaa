"""gencomp: a predictor is a compressor read backwards.

>>> import gencomp
>>> gencomp.decompress(gencomp.compress(b"to be or not to be")) == b"to be or not to be"
True
>>> len(gencomp.sample("gzip", prompt=b"to be or not to be, ", length=5, seed=1))
5
"""

__version__ = "0.1.0"

TYPE_CHECKING = False  # importing typing for it would take a tenth of the command's start-up
if TYPE_CHECKING:
    from typing import Any

    from gencomp.archive.memory import compress, decompress
    from gencomp.archive.stream import open  # noqa: A004 - named like gzip.open
    from gencomp.equivalence.adapt import as_compressor, as_predictor
    from gencomp.equivalence.candidates import Candidates, candidates
    from gencomp.equivalence.compressor import ArithmeticCompressor
    from gencomp.equivalence.conditional import code_length
    from gencomp.equivalence.costs import costs, parse
    from gencomp.equivalence.explain import Explanation, Interval, explain
    from gencomp.equivalence.predictor import CodeLengthPredictor
    from gencomp.equivalence.score import Score, score, score_many
    from gencomp.errors import GencompError
    from gencomp.phrases import Parse
    from gencomp.predictors.network import NetworkPredictor
    from gencomp.protocols import Compressor, Predictor
    from gencomp.registry import Entry, load, register, spec_of
    from gencomp.sampling.bits import decode_bits
    from gencomp.sampling.generate import sample

__all__ = [
    "ArithmeticCompressor",
    "Candidates",
    "CodeLengthPredictor",
    "Compressor",
    "Entry",
    "Explanation",
    "GencompError",
    "Interval",
    "NetworkPredictor",
    "Parse",
    "Predictor",
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
    "score_many",
    "spec_of",
]

# loaded on first use, so that `import gencomp` and `gencomp --help` stay light
_HOMES = {
    "ArithmeticCompressor": "gencomp.equivalence.compressor",
    "Candidates": "gencomp.equivalence.candidates",
    "CodeLengthPredictor": "gencomp.equivalence.predictor",
    "Compressor": "gencomp.protocols",
    "Entry": "gencomp.registry",
    "Explanation": "gencomp.equivalence.explain",
    "GencompError": "gencomp.errors",
    "Interval": "gencomp.equivalence.explain",
    "NetworkPredictor": "gencomp.predictors.network",
    "Parse": "gencomp.phrases",
    "Predictor": "gencomp.protocols",
    "Score": "gencomp.equivalence.score",
    "as_compressor": "gencomp.equivalence.adapt",
    "as_predictor": "gencomp.equivalence.adapt",
    "candidates": "gencomp.equivalence.candidates",
    "code_length": "gencomp.equivalence.conditional",
    "compress": "gencomp.archive.memory",
    "costs": "gencomp.equivalence.costs",
    "decode_bits": "gencomp.sampling.bits",
    "decompress": "gencomp.archive.memory",
    "explain": "gencomp.equivalence.explain",
    "load": "gencomp.registry",
    "open": "gencomp.archive.stream",
    "parse": "gencomp.equivalence.costs",
    "register": "gencomp.registry",
    "sample": "gencomp.sampling.generate",
    "score": "gencomp.equivalence.score",
    "score_many": "gencomp.equivalence.score",
    "spec_of": "gencomp.registry",
}


# hidden from type checkers, for which it would turn every unknown name into Any
if not TYPE_CHECKING:

    def __getattr__(name: str) -> "Any":
        if name not in _HOMES:
            raise AttributeError(f"module 'gencomp' has no attribute {name!r}")
        import importlib

        return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
