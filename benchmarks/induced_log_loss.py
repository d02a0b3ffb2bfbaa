"""The log-loss of codecs as predictors: bits a byte at random positions, beside the codec's own charge.

    python benchmarks/induced_log_loss.py [--positions 500] [--context 2048] [--models gzip lzma ...] [FILE]

At each position a model sees the ``--context`` bytes before it and is asked for the next byte. Without FILE, the text
is enwik8's first 3 MiB from ``$GENCOMP_DATA`` if that is set, else the book in the package. A codec has these rows:

- "bytes": its lengths rounded up to whole bytes, as len(compress(...)) gives them;
- its spec: its code lengths, as exact as gencomp has them;
- ensemble and lookahead specs: windows are 1/8, 1/4, 1/2 of the context and all of it;
- "own charge": how much its code grows over the next 64 bytes, per byte.

A row ends after ``--positions`` or ``--seconds``, and says how many positions it has; all rows take the same positions
in the same order. Errors are standard errors; "own charge there" is over the row's positions.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from texts import text_of

import gencomp
from gencomp.equivalence.adapt import native
from gencomp.equivalence.capabilities import begin_scoring, resolution_of
from gencomp.equivalence.nested import joined
from gencomp.equivalence.predictor import CANDIDATES, normalized
from gencomp.protocols import Compressor
from gencomp.registry import parse_spec

AHEAD = 64
QUICK = {"gzip", "zlib", "lzma"}  # codecs that price 256 candidates in a millisecond, and so get the long rows
LEVELS = {"lzma": [f"preset={preset}" for preset in (0, 3, 6, 9)]}


def rounded(compressor: Compressor, context: bytes) -> np.ndarray:
    """Return normalised code lengths (256,) in bits, from lengths in whole bytes."""
    return normalized(np.ceil(begin_scoring(compressor, context).code_lengths(CANDIDATES) / 8) * 8)


def variants(spec: str, context: int) -> list[str]:
    """Return the specs of a codec's rows besides its own."""
    member = joined([spec])
    sizes = [context >> shift for shift in (3, 2, 1, 0)]
    windows = ",".join(map(str, sizes))
    if parse_spec(spec).name not in QUICK:
        return [f"lookahead:{member}?horizon=4&width=8&spans=2", f"ensemble:{member}?windows={windows}"]
    usual = [f"level={level}" for level in (1, 3, 6, 9)]
    levels = [f"{spec}?{level}" for level in LEVELS.get(spec, usual)] if spec in QUICK else [spec]
    looking = [f"lookahead:{joined([level])}?width=16" for level in levels]
    return [
        f"lookahead:{member}?horizon=2&spans=0",
        f"lookahead:{member}",
        f"ensemble:{joined(levels)}",
        f"ensemble:{member}?windows={windows}",
        f"ensemble:{member}?windows={windows}&mean=geometric",
        f"ensemble:{member}?windows={windows}&mean=product",
        f"ensemble:{member}?windows={windows}&weights=bayes",
        f"ensemble:{joined(looking[-1:])}?windows={','.join(map(str, sizes[1:]))}",
        f"ensemble:{joined(looking)}",
        f"ensemble:{member},counts:2",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--positions", type=int, default=500)
    parser.add_argument("--context", type=int, default=2048)
    parser.add_argument("--seconds", type=float, default=600, help="for each row")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--models", nargs="+", default=["gzip", "counts:0", "counts:2", "counts", "mix"])
    arguments = parser.parse_args()
    _, text = text_of(arguments.file)
    rng = np.random.default_rng(arguments.seed)
    places = rng.integers(arguments.context, len(text) - AHEAD, arguments.positions)
    print(f"{len(text):,} bytes, contexts of {arguments.context:,}, up to {len(places)} positions; bits a byte")
    print(f"{'':<72} {'log-loss':>17} {'positions':>9}  own charge there")

    def row(name: str, cost: Callable[[bytes, int], float], charges: list[float]) -> list[float]:
        """Print a row and return its costs; ``cost`` takes the context and the position."""
        costs: list[float] = []
        begun = time.monotonic()
        for place in places:
            costs.append(cost(text[place - arguments.context : place], int(place)))
            if time.monotonic() - begun > arguments.seconds and len(costs) > 1:
                break
        error = np.std(costs, ddof=1) / len(costs) ** 0.5
        charged = charges[: len(costs)]
        beside = (
            f"{np.mean(charged):.3f}{'' if len(charged) == len(costs) else f' ({len(charged)})'}" if charged else ""
        )
        print(f"{name:<72} {np.mean(costs):8.3f} +- {error:.3f} {len(costs):9}  {beside}", flush=True)
        return costs

    for name in arguments.models:
        model = native(gencomp.as_predictor(name))
        charges: list[float] = []
        specs = [name]
        if isinstance(model, Compressor):

            def own(context: bytes, place: int, model: Compressor = model) -> float:
                grown = model.code_length(context + text[place : place + AHEAD])
                return (grown - model.code_length(context)) / AHEAD

            charges = row(f"{name}, own charge", own, [])
            if resolution_of(model) != "byte":
                row(f"{name}, bytes", lambda context, place: rounded(model, context)[text[place]], charges)  # noqa: B023
            specs += variants(name, arguments.context)
        for spec in specs:
            predictor = gencomp.as_predictor(spec)
            row(spec, lambda context, place: predictor.begin(context).code_lengths()[text[place]], charges)  # noqa: B023


if __name__ == "__main__":
    main()
