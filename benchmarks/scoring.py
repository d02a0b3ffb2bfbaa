"""Time the distribution of the next byte: score 256 candidates after one context, then feed one byte.

    python benchmarks/scoring.py [--codecs gzip bz2 lzma zstd brotli] [--contexts 2048 32768] [--steps 20] [FILE ...]
    python benchmarks/scoring.py --beam

Without a FILE, the texts are the book in the package, and enwik8's first 3 MiB if ``$GENCOMP_DATA`` is set.

"plain" compresses context + candidate with one call of the library at its usual strongest setting, as
len(gzip.compress(...)) does; it gives whole bytes. "copies" (zlib only) copies a compressobj that has read the context.
Ways that recompress each candidate are timed on 16 of the 256. Figures are medians over the steps, in predicted bytes
per second of processor time on one core. The three ways take turns of ten steps, so that each works as it would alone.
Each row has a process of its own, which remembers nothing of another's text.

``--beam`` runs a beam search 24 bytes deep and 32 wide over the bytes of a corpus of 30,000 bytes, followed by 80 bytes
of recent text, as gzipt (https://github.com/robinpie/gzipt) does by default. The same candidates are scored by copies
of a compressobj, timed on one in 40 of them, and by gencomp, whose lengths guide the search. Figures are medians of
five searches after a first.
"""

import argparse
import bz2
import gzip
import lzma
import multiprocessing
import os
import statistics
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import brotli
import numpy as np
import zstandard
from texts import text_of

import gencomp
from gencomp.bitstreams.deflate import DeflateSizer
from gencomp.data import alice
from gencomp.equivalence.capabilities import begin_scoring, copies_state
from gencomp.equivalence.predictor import CANDIDATES

PLAIN: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "zlib": lambda data: zlib.compress(data, 9),
    "bz2": bz2.compress,
    "lzma": lzma.compress,
    "zstd": lambda data: zstandard.ZstdCompressor(level=19).compress(data),
    "zstd?level=1": lambda data: zstandard.ZstdCompressor(level=1).compress(data),
    "zstd?level=3": lambda data: zstandard.ZstdCompressor(level=3).compress(data),
    "zstd?level=9": lambda data: zstandard.ZstdCompressor(level=9).compress(data),
    "zstd?level=15": lambda data: zstandard.ZstdCompressor(level=15).compress(data),
    "brotli": brotli.compress,
}
SAMPLE = 16
TURN = 10  # steps
DEPTH, WIDTH, CORPUS, TAIL, BEAM_SAMPLE = 24, 32, 30_000, 80, 40


def seconds(function: Callable[[], object]) -> float:
    started = time.process_time()
    function()
    return time.process_time() - started


def by_copies(stream: "zlib._Compress", suffixes: Sequence[bytes]) -> list[int]:
    """Return how many bytes a zlib stream grows by for each suffix."""
    sizes = []
    for suffix in suffixes:
        trial = stream.copy()
        sizes.append(len(trial.compress(suffix)) + len(trial.flush()))
    return sizes


def measure(name: str, text: bytes, context: int, steps: int) -> tuple[float, float | None, float]:
    """Return the median seconds of a step: plain, by copies if the codec has any, and by gencomp."""
    compressor = gencomp.load(name)
    state = begin_scoring(compressor, text[:context])
    some = list(CANDIDATES[:: 256 // SAMPLE])
    scored = list(CANDIDATES) if copies_state(compressor) else some
    state.code_lengths(scored)  # compiles
    stream = zlib.compressobj(9)
    stream.compress(text[:context])
    plain, copies, own = [], [], []
    for begin in range(context, context + steps, TURN):
        turn = range(begin, min(begin + TURN, context + steps))
        for at in turn:
            prefix = text[:at]
            plain.append(16 * seconds(lambda: [len(PLAIN[name](prefix + candidate)) for candidate in some]))  # noqa: B023
        if name in ("gzip", "zlib"):
            for at in turn:
                copies.append(seconds(lambda: by_copies(stream, CANDIDATES)))
                stream.compress(text[at : at + 1])
        for at in turn:
            pricing = seconds(lambda: state.code_lengths(scored)) * 256 / len(scored)
            own.append(pricing + seconds(lambda: state.feed(text[at : at + 1])))  # noqa: B023
    return statistics.median(plain), statistics.median(copies) if copies else None, statistics.median(own)


def beam_race(text: bytes, level: int = 9, searches: int = 5) -> None:
    """Print the bytes per second of beam searches after different texts, by copies of zlib's state and by gencomp."""
    times = []
    for search in range(searches + 1):
        tail = CORPUS + 10_000 * (1 + search)
        context = text[:CORPUS] + text[tail : tail + TAIL]
        alphabet = [bytes([byte]) for byte in sorted(set(context))]
        stream = zlib.compressobj(level)
        stream.compress(context)
        beams, asked = [(b"", DeflateSizer(level, context))], []
        started = time.process_time()
        for _ in range(DEPTH):
            asked.append([path for path, _ in beams])
            beams = grown(beams, alphabet)
        new = time.process_time() - started
        some = [path + byte for paths in asked for path in paths for byte in alphabet][::BEAM_SAMPLE]
        old = seconds(lambda: by_copies(stream, some)) * BEAM_SAMPLE  # noqa: B023
        times.append((old, new))
        print(f"{context[-20:]!r} {beams[0][0]!r}: copies {DEPTH / old:.2f} B/s, {DEPTH / new:.0f} B/s", flush=True)
    old, new = (statistics.median(column) for column in zip(*times[1:], strict=True))
    print(f"beam {DEPTH} deep, {WIDTH} wide, context {CORPUS + TAIL:,}:", end=" ")
    print(f"copies {DEPTH / old:.2f} B/s, gencomp {DEPTH / new:.0f} B/s: {old / new:.0f}x, the first not counted")


def grown(beams: list[tuple[bytes, DeflateSizer]], alphabet: list[bytes]) -> list[tuple[bytes, DeflateSizer]]:
    """Return the beams one byte longer."""
    lengths = np.concatenate([sizer.bits(alphabet) for _, sizer in beams])
    longer = []
    for index in np.argsort(lengths, kind="stable")[:WIDTH]:
        path, sizer = beams[index // len(alphabet)]
        sizer, byte = sizer.copy(), alphabet[index % len(alphabet)]
        sizer.feed(byte)
        longer.append((path + byte, sizer))
    return longer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="texts instead of the usual ones; may be .xz or .gz")
    parser.add_argument("--codecs", nargs="+", choices=PLAIN, default=list(PLAIN))
    parser.add_argument("--contexts", type=int, nargs="+", default=[2048, 32768])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--beam", action="store_true")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):  # one core: threads that share a core take time from each other
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    texts = [text_of(file) for file in options.files] or [("alice.txt", alice())]
    if not options.files and "GENCOMP_DATA" in os.environ:
        texts.append(text_of(None))
    if options.beam:
        beam_race(texts[0][1])
        return
    for title, text in texts:
        print(f"{len(text):,} bytes of {title}; predicted bytes per second, one core")
        print(
            f"{'codec':<13} {'context':>8} {'plain':>9} {'copies':>9} {'gencomp':>9} {'to plain':>9} {'to copies':>9}"
        )
        for name in options.codecs:
            for context in options.contexts:
                row(name, text, context, options.steps)


def row(name: str, text: bytes, context: int, steps: int) -> None:
    """Measure in a process of its own, and print the row."""
    with multiprocessing.get_context("spawn").Pool(1) as fresh:
        plain, copies, own = fresh.apply(measure, (name, text, context, steps))
    rates = f"{1 / plain:9.3g} {1 / copies:9.3g}" if copies else f"{1 / plain:9.3g} {'':>9}"
    ratio = f"{copies / own:8.1f}x" if copies else ""
    print(f"{name:<13} {context:8,} {rates} {1 / own:9.3g} {plain / own:8.1f}x {ratio}", flush=True)


if __name__ == "__main__":
    main()
