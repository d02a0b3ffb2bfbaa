"""Bytes drawn per second of processor time after priming, and a page of the result.

    python benchmarks/sampling.py [--models mix mix:1 counts ...] [--length 5000] [FILE]

FILE defaults to ``$GENCOMP_DATA/text/tinyshakespeare.txt`` if that is set, else to the book in the package. Models that
can be are frozen, so that they do not learn from what they write.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from texts import text_of

from gencomp.equivalence.adapt import as_predictor
from gencomp.sampling.draw import Draw
from gencomp.sampling.generate import generate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--models", nargs="+", default=["mix?freeze=true", "mix:1?freeze=true", "counts"])
    parser.add_argument("--length", type=int, default=5000)
    parser.add_argument("--page", type=int, default=1500, help="bytes of the first model to show")
    arguments = parser.parse_args()
    name, text = text_of(arguments.file, "text/tinyshakespeare.txt")
    draw = Draw(temperature=0.8)
    pages = []
    print(f"{name}: {len(text):,} bytes of priming, {arguments.length:,} drawn")
    print(f"{'model':<20} {'seconds to prime':>17} {'bytes/s drawn':>14} {'against the first':>18}")
    speeds = []
    for model in arguments.models:
        predictor = as_predictor(model)
        list(generate(predictor.begin(text[:100]), 10, draw, np.random.default_rng(0)))  # compiles
        start = time.process_time()
        state = predictor.begin(text)
        primed = time.process_time()
        pages.append(bytes(generate(state, arguments.length, draw, np.random.default_rng(0))))
        speeds.append(arguments.length / (time.process_time() - primed))
        print(f"{model:<20} {primed - start:>17.2f} {speeds[-1]:>14,.0f} {speeds[-1] / speeds[0]:>17.2f}x")
    print(f"\n{arguments.models[0]} writes:\n{pages[0][: arguments.page].decode('utf-8', 'replace')}")


if __name__ == "__main__":
    main()
