"""How fast a language model codes, against the bare model's steps and its parallel forward pass.

    python benchmarks/lockstep.py [--models transformer ...] [--batches 1 16 64] [--steps 300]

The text is the first bytes of $GENCOMP_DATA/text/enwik8-first-3145728.xz, or of the book in the package. ``bare`` is
the lockstep alone: the model calls that coding makes, without coding. Each matrix product runs on one thread.
"""

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from unittest.mock import patch

import numpy as np
from texts import text_of

from gencomp.predictors.language import coding
from gencomp.predictors.language.coding import decode_symbols, encode_symbols
from gencomp.registry import load


def rate(work: Callable[[], object], count: int, repeats: int) -> float:
    """Return symbols a second: the median over the repeats."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return count / statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["transformer"])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 16, 64, 128])
    parser.add_argument("--steps", type=int, default=300, help="symbols in each lane")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    text = np.frombuffer(text_of(None)[1][: 1 << 20], np.uint8).astype(np.int64)
    print("model  batch  bare/s  compress/s  (share)  decompress/s  (share)  parallel/s  peak MiB")
    for spec in options.models:
        for batch in options.batches:
            print(measure(spec, text[: batch * options.steps].reshape(batch, -1), options.repeats), flush=True)


def measure(spec: str, rows: np.ndarray, repeats: int) -> str:
    """Return a line for ``rows`` (batch, steps): symbols a second, bare, compressing, decompressing, in parallel."""
    causal = load(spec).network
    batch, steps = rows.shape
    symbols = rows.ravel()

    def bare() -> None:
        lockstep = causal.begin(batch)
        for step in range(steps - 1):
            lockstep.feed(rows[:, step])

    # gives a small measurement as many lanes as a large block
    with causal.settings.applied(), patch.object(coding, "MIN_LANE_SYMBOLS", 1):
        payload = encode_symbols(causal.begin, symbols, batch)  # also compiles
        assert (decode_symbols(causal.begin, payload, len(symbols), batch) == symbols).all()
        steps_rate = rate(bare, len(symbols), repeats)
        encoding = rate(lambda: encode_symbols(causal.begin, symbols, batch), len(symbols), repeats)
        decoding = rate(lambda: decode_symbols(causal.begin, payload, len(symbols), batch), len(symbols), repeats)
    parallel = rate(lambda: causal.sequence_code_lengths(list(rows)), len(symbols), repeats)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return (
        f"{spec}  {batch:5}  {steps_rate:6.0f}  {encoding:10.0f}  {encoding / steps_rate:6.2f}x  {decoding:12.0f}"
        f"  {decoding / steps_rate:6.2f}x  {parallel:10.0f}  {peak:8.0f}"
    )


if __name__ == "__main__":
    main()
