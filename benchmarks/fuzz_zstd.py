"""Compare the zstd sizer with the library on random data; exits with 1 on any difference.

    python benchmarks/fuzz_zstd.py --cases 100000 --seed 1 [--levels 1 3 19] [--longest 300000] [--seconds 600]

A case is one prefix, level and suffix; the sizer's bits must be those that the library's frame for both uses. Prefixes
grow by suffixes, in sizers and in copies of them. GENCOMP_DATA names a folder of real files.
"""

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence

from fuzz_deflate import BYTES, real_files, stream, suffixes_for

from gencomp.bitstreams.zstd.sizer import ZstdSizer
from gencomp.compressors.zstd import Zstd

# sizes at which blocks end, or the library's parameters, a frame's header or a literals section's header change
EDGES = [16, 31, 63, 128, 255, 256, 512, 1023, 1024, 2048, 4095, 16383, 16384, 1 << 15, 65536, 65792, 1 << 17, 1 << 18]


def prefix_size(rng: random.Random, longest: int) -> int:
    if rng.random() < 0.3:
        size = rng.choice(EDGES) + rng.randint(-30, 6)
    elif rng.random() < 0.1:
        size = rng.randint(0, longest)
    else:
        size = rng.choice([rng.randint(0, 300), int(10 ** rng.uniform(0, 4.5)), int(10 ** rng.uniform(0, 3.5))])
    return min(max(size, 0), longest)


def fed(rng: random.Random, codec: Zstd, prefix: bytes) -> ZstdSizer:
    """Return the sizer after ``prefix``, fed in pieces with questions in between; half of the time a copy."""
    sizer = ZstdSizer(codec.level, codec.window_log, codec.checksum)
    pieces = rng.choice([1, 1, 2, 5])
    cuts = sorted(rng.randint(0, len(prefix)) for _ in range(pieces - 1))
    for start, end in zip([0, *cuts], [*cuts, len(prefix)], strict=True):
        sizer.feed(prefix[start:end])
        if rng.random() < 0.7:
            sizer.bits([b"", b"x", b"yy"])
    if rng.random() < 0.5:
        twin = sizer.copy()
        sizer.feed(b"something else")
        return twin
    return sizer


def rounds(
    rng: random.Random, files: list[bytes], levels: list[int], longest: int
) -> Iterator[tuple[Zstd, bytes, ZstdSizer, list[bytes]]]:
    """Yield codec, prefix, sizer and suffixes, as the sizer and copies of it grow by some of these suffixes."""
    window = rng.choice([None] * 9 + [10, 11, 12])
    codec = Zstd(rng.choice(levels), window, rng.random() < 0.1)
    prefix = stream(rng, files, prefix_size(rng, longest))
    family = [(prefix, fed(rng, codec, prefix))]
    for _ in range(rng.choice([1, 4, 12] if len(prefix) < 3000 else [1, 2])):
        place = rng.randrange(len(family))
        prefix, sizer = family[place]
        batch = suffixes_for(rng, prefix, rng.choice([2, 8]))
        batch += rng.choice([[], [b""], rng.sample(BYTES, 8), sorted(rng.sample(BYTES, 60))])
        if len(prefix) < 1000:
            batch += rng.choice([[], BYTES])
        elif len(prefix) > 30_000:
            batch = rng.sample(batch, min(len(batch), 6))
        yield codec, prefix, sizer, batch
        grown = rng.choice(batch)
        if rng.random() < 0.5:
            sizer = sizer.copy()
            family.append((prefix + grown, sizer))
        else:
            family[place] = prefix + grown, sizer
        sizer.feed(grown)
        if len(family) > 3:
            family.pop(rng.randrange(3))


def differences(codec: Zstd, prefix: bytes, sizer: ZstdSizer, batch: list[bytes]) -> tuple[list[str], int]:
    """Return what differs, and how many suffixes the sizer leaves to the library."""
    found = sizer.bits(batch).tolist()
    expected = [int(codec.code_length(prefix + suffix)) for suffix in batch]
    different = [
        f"{codec}, prefix {len(prefix)}, suffix {suffix[:50]!r}: {bits}, zstd {right}"
        for suffix, bits, right in zip(batch, found, expected, strict=True)
        if bits not in (right, -1)
    ]
    return different, found.count(-1)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--levels", type=int, nargs="+", default=list(range(1, 23)))
    parser.add_argument("--longest", type=int, default=300_000)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after this time")
    options = parser.parse_args(arguments)
    rng = random.Random(options.seed)
    files = real_files()
    cases, left_out, prefixes, different, started = Counter[int](), 0, 0, 0, time.perf_counter()
    while cases.total() < options.cases and time.perf_counter() - started < options.seconds:
        for codec, prefix, sizer, batch in rounds(rng, files, options.levels, options.longest):
            found, left = differences(codec, prefix, sizer, batch)
            cases[codec.level] += len(batch) - left
            left_out += left
            prefixes, different = prefixes + 1, different + len(found)
            for line in found[:2]:
                print(line, flush=True)
    seconds = time.perf_counter() - started
    print(f"{cases.total()} cases {dict(sorted(cases.items()))}, {prefixes} prefixes", end=", ")
    print(f"{left_out} more left to the library", end=", ")
    print(f"{different} differences, {seconds:.0f} s", flush=True)
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
