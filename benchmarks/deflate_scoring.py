"""Time 256 one-byte candidates and one fed byte after a context: plain compression, copies of zlib's state, the sizer.

    python benchmarks/deflate_scoring.py --steps 50 --level 9

The plain loop is timed on 16 of the 256 candidates. Figures are medians over the steps, in predicted bytes per second.
"""

import argparse
import gzip
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from gencomp.bitstreams.deflate import DeflateSizer
from gencomp.bitstreams.zlib_stream import ZlibSizer
from gencomp.data import alice

BYTES = [bytes([symbol]) for symbol in range(256)]
PLAIN_CANDIDATES = 16


def seconds(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def measure(text: bytes, context: int, level: int, steps: int) -> tuple[float, float, float]:
    """Return the median seconds per step of the three; they take turns, so that a busy machine slows all."""
    copies, sizer = ZlibSizer(level, text[:context]), DeflateSizer(level, text[:context])
    times: tuple[list[float], ...] = ([], [], [])

    def step(scorer: ZlibSizer | DeflateSizer, byte: bytes) -> None:
        scorer.bits(BYTES)
        scorer.feed(byte)

    for at in range(context, context + steps):
        byte, prefix = text[at : at + 1], text[:at]
        if (at - context) % 5 == 0:
            some = BYTES[:: 256 // PLAIN_CANDIDATES]
            plain = seconds(lambda: [gzip.compress(prefix + last, level, mtime=0) for last in some])  # noqa: B023
            times[0].append(plain * 256 / PLAIN_CANDIDATES)
            times[1].append(seconds(lambda: step(copies, byte)))  # noqa: B023
        else:
            copies.feed(byte)
        times[2].append(seconds(lambda: step(sizer, byte)))  # noqa: B023
    return tuple(map(statistics.median, times))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--level", type=int, default=9)
    parser.add_argument("--contexts", type=int, nargs="+", default=[200, 2048, 32768, 131072])
    parser.add_argument("--file", type=Path, help="a file instead of alice")
    options = parser.parse_args()
    text = options.file.read_bytes() if options.file else alice()
    DeflateSizer(options.level, text[:100]).bits(BYTES)  # compiles
    print(f"{'context':>8} {'plain B/s':>10} {'copies B/s':>10} {'sizer B/s':>10} {'to plain':>9} {'to copies':>9}")
    for context in options.contexts:
        plain, copies, sizer = measure(text, context, options.level, options.steps)
        rates = f"{1 / plain:10.2f} {1 / copies:10.1f} {1 / sizer:10.1f}"
        print(f"{context:8} {rates} {plain / sizer:8.0f}x {copies / sizer:8.1f}x", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
