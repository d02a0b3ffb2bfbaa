"""The log-loss of the predictors that codecs are: bits a byte at random positions, beside the codec's own charge.

    python benchmarks/induced_log_loss.py [--positions 500] [--context 2048] [--models gzip zstd?level=3 ...] [FILE]

At each position a model sees the ``--context`` bytes before it and is asked for the next byte. Without FILE:
enwik8's first 3 MiB from ``$GENCOMP_DATA`` where that is set, else the book in the package. "bytes": a codec's
lengths rounded up to whole bytes, as len(compress(...)) tells them. "own charge": what the codec's code grows by
over the next 64 bytes, a byte. "windows": exact gzip averaged over the last 1/2, 1/4 and 1/8 of the context and the
whole. Errors are standard errors.
"""

import argparse
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

import gencomp
from gencomp.data import alice
from gencomp.equivalence.adapt import native
from gencomp.equivalence.capabilities import begin_scoring, resolution_of
from gencomp.equivalence.predictor import CANDIDATES, normalized
from gencomp.protocols import Compressor

AHEAD = 64


def rounded(compressor: Compressor, context: bytes) -> np.ndarray:
    """Return normalised code lengths (256,) in bits, from lengths in whole bytes."""
    return normalized(np.ceil(begin_scoring(compressor, context).code_lengths(CANDIDATES) / 8) * 8)


def averaged(compressor: Compressor, context: bytes) -> np.ndarray:
    """Return the code lengths (256,) of the mean of the distributions after four windows of ``context``."""
    sizes = [len(context) >> shift for shift in range(4)]
    predictor = gencomp.as_predictor(compressor)
    pmfs = [np.exp2(-predictor.begin(context[-size:]).code_lengths()) for size in sizes]
    return -np.log2(np.mean(pmfs, axis=0))


def report(name: str, costs: list[float]) -> None:
    error = np.std(costs, ddof=1) / len(costs) ** 0.5
    print(f"{name:<24} {np.mean(costs):8.3f} +- {error:.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--positions", type=int, default=500)
    parser.add_argument("--context", type=int, default=2048)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--models", nargs="+", default=["gzip", "counts:0", "counts:2", "counts", "mix"])
    arguments = parser.parse_args()
    text, root = alice(), os.environ.get("GENCOMP_DATA")
    if arguments.file is not None:
        text = arguments.file.read_bytes()
    elif root is not None:
        with lzma.open(Path(root) / "text/enwik8-first-3145728.xz") as file:
            text = file.read()
    rng = np.random.default_rng(arguments.seed)
    places = rng.integers(arguments.context, len(text) - AHEAD, arguments.positions)
    print(f"{len(text):,} bytes, {len(places)} positions, contexts of {arguments.context:,}; bits a byte")

    def over_places(code_lengths: Callable[[bytes], np.ndarray]) -> list[float]:
        return [float(code_lengths(text[place - arguments.context : place])[text[place]]) for place in places]

    for name in arguments.models:
        predictor = gencomp.as_predictor(name)
        model = native(predictor)
        report(name, over_places(lambda context: predictor.begin(context).code_lengths()))  # noqa: B023
        if not isinstance(model, Compressor):
            continue
        if resolution_of(model) == "bit":
            report(f"{name}, bytes", over_places(lambda context: rounded(model, context)))  # noqa: B023
            report(f"{name}, windows", over_places(lambda context: averaged(model, context)))  # noqa: B023
        charges = []
        for place in places:
            start = place - arguments.context
            lengths = [model.code_length(text[start : place + more]) for more in (0, AHEAD)]
            charges.append((lengths[1] - lengths[0]) / AHEAD)
        report(f"{name}, own charge", charges)


if __name__ == "__main__":
    main()
