"""Compare the deflate sizer with zlib on random streams; exits with 1 on any difference.

    python benchmarks/fuzz_deflate.py --cases 100000 --seed 1

A case is one prefix, level and suffix. The sizer is compared, to the bit, with copies of zlib's state, and for a few
suffixes of each prefix with the length from a single call of zlib. GENCOMP_DATA names a folder of real files.
"""

import argparse
import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from gencomp.bitstreams.deflate import DeflateSizer
from gencomp.bitstreams.zlib_stream import ZlibSizer, raw_stream
from gencomp.data import alice

BYTES = [bytes([symbol]) for symbol in range(256)]
LONGEST_PREFIX = 200_000
FOLDERS = ["canterbury", "calgary", "text"]


def real_files() -> list[bytes]:
    root = os.environ.get("GENCOMP_DATA")
    if root is None:
        return [alice()]
    paths = [path for folder in FOLDERS for path in sorted((Path(root) / folder).glob("*")) if path.is_file()]
    return [alice()] + [data for path in paths if len(data := path.read_bytes()[: 1 << 20]) > 1000]


def few_symbols(rng: random.Random, size: int) -> bytes:
    alphabet = rng.sample(range(256), rng.choice([1, 2, 2, 3, 4, 8, 16]))
    return bytes(rng.choices(alphabet, weights=[rng.random() ** 4 for _ in alphabet], k=size))


def runs(rng: random.Random, size: int) -> bytes:
    out = bytearray()
    while len(out) < size:
        out += bytes([rng.choice(b"abc\0\xff")]) * int(rng.expovariate(1 / rng.choice([3, 40, 400])) + 1)
    return bytes(out[:size])


def repeats(rng: random.Random, size: int) -> bytes:
    """Return random bytes and copies of earlier ones: matches at all lengths and distances."""
    out = bytearray(rng.randbytes(rng.randint(1, 40)))
    copied = rng.choice([4, 10, 60, 400])
    while len(out) < size:
        if rng.random() < 0.5:
            out += rng.randbytes(rng.randint(1, 12))
        else:
            back = min(
                len(out), int(40_000 ** rng.random()) if rng.random() < 0.8 else rng.choice([32506, 32507, 4097])
            )
            start = len(out) - back
            out += out[start : start + rng.randint(3, copied)]
    return bytes(out[:size])


def skewed(rng: random.Random, size: int) -> bytes:
    """Return symbols with frequencies like Fibonacci numbers and hardly any matches: codes longer than 15 bits."""
    ratio = rng.choice([1.5, 1.62, 1.7, 2.0])
    symbols = rng.sample(range(256), 22)
    return bytes(rng.choices(symbols, weights=[ratio**i for i in range(22)], k=size))


def shaped(rng: random.Random, size: int) -> bytes:
    """Return data whose code lengths are spread so that the code for them would need more than 7 bits."""
    counts = [1, 1, 2, 3, 5, 8, 13, 21, 34] if rng.random() < 0.5 else [2, 1, 0, 1, 2, 3, 5, 8, 13, 21, 55, 90]
    weights = [2.0**-length for length, count in enumerate(counts, 2) for _ in range(count)]
    symbols = rng.sample(range(256), len(weights)) if rng.random() < 0.5 else range(len(weights))
    return bytes(rng.choices(symbols, weights=weights, k=size))


def stream(rng: random.Random, files: list[bytes], size: int) -> bytes:
    kind = rng.randrange(9)
    if kind < 3:
        data = rng.choice(files)
        start = rng.randrange(max(1, len(data) - size))
        return data[start : start + size]
    if kind == 3:
        half = size // 2
        return stream(rng, files, half) + stream(rng, files, size - half)
    if kind == 4:
        return rng.randbytes(size)
    return rng.choice([few_symbols, runs, repeats, skewed, shaped])(rng, size)


def prefix_size(rng: random.Random) -> int:
    near = rng.choice([0, 0, 0, 16383, 32506, 32768, 32766, 65274, 65536, 98042, 98304, 130810, 131072])
    return rng.choice(
        [
            rng.randint(0, 300),
            int(10 ** rng.uniform(0, 4.5)),
            rng.randint(0, LONGEST_PREFIX),
            abs(near + rng.randint(-400, 20)),
            abs(near + rng.randint(-400, 20)),
        ]
    )


def suffixes_for(rng: random.Random, prefix: bytes, n: int) -> list[bytes]:
    suffixes = []
    for _ in range(n):
        size = rng.choice([1, 1, 2, 3, rng.randint(1, 20), rng.randint(1, 300)])
        if rng.random() < 0.6 and prefix:
            start = rng.randrange(max(0, len(prefix) - 33_000), len(prefix))
            suffix = prefix[start : start + size]
            if rng.random() < 0.3:
                suffix += rng.randbytes(1)
        else:
            suffix = rng.choice([rng.randbytes(size), bytes([rng.randrange(256)]) * size])
        suffixes.append(suffix)
    return suffixes


def fed(rng: random.Random, level: int, prefix: bytes) -> DeflateSizer:
    """Return the sizer after ``prefix``, fed in pieces; half of the time, a copy whose original goes another way."""
    sizer = DeflateSizer(level)
    pieces = rng.choice([1, 1, 2, 5])
    cuts = sorted(rng.randint(0, len(prefix)) for _ in range(pieces - 1))
    for start, end in zip([0, *cuts], [*cuts, len(prefix)], strict=True):
        sizer.feed(prefix[start:end])
    if rng.random() < 0.5:
        twin = sizer.copy()
        sizer.feed(b"something else")
        return twin
    return sizer


def rounds(rng: random.Random, files: list[bytes]) -> Iterator[tuple[int, bytes, DeflateSizer, list[bytes]]]:
    """Yield level, prefix, sizer and suffixes, as the sizer and copies of it grow by some of these suffixes."""
    level = rng.randint(1, 9)
    prefix = stream(rng, files, prefix_size(rng))
    family = [(prefix, fed(rng, level, prefix))]
    for _ in range(rng.choice([1, 4, 30] if len(prefix) < 3000 else [1, 4, 12])):
        place = rng.randrange(len(family))
        prefix, sizer = family[place]
        batch = suffixes_for(rng, prefix, rng.choice([4, 16]))
        batch += rng.choice([[], [b""], rng.sample(BYTES, 8), BYTES, sorted(rng.sample(BYTES, 60))])
        yield level, prefix, sizer, batch
        grown = rng.choice(batch)
        if rng.random() < 0.5:
            sizer = sizer.copy()
            family.append((prefix + grown, sizer))
        else:
            family[place] = prefix + grown, sizer
        sizer.feed(grown)
        if len(family) > 3:
            family.pop(rng.randrange(3))  # its arrays are reused by the next copy


def differences(rng: random.Random, level: int, prefix: bytes, sizer: DeflateSizer, batch: list[bytes]) -> list[str]:
    found = []
    bits = [int(n) for n in sizer.bits(batch)]
    expected = ZlibSizer(level, prefix).bits(batch).tolist()
    checked = set(rng.sample(range(len(batch)), 2)) if len(prefix) < 5000 or rng.random() < 0.2 else set()
    for i, suffix in enumerate(batch):
        data = prefix + suffix
        if bits[i] != expected[i]:  # zlib in two pieces may differ from zlib in one
            [expected[i]] = ZlibSizer(level, data).bits([b""])
        if bits[i] != expected[i] or (i in checked and len(raw_stream(level, data)) != (bits[i] + 7) // 8):
            found.append(f"level {level}, prefix {len(prefix)}, suffix {suffix!r}: {bits[i]}, zlib {expected[i]}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    files = real_files()
    cases, prefixes, different, started = 0, 0, 0, time.perf_counter()
    while cases < options.cases:
        for level, prefix, sizer, batch in rounds(rng, files):
            found = differences(rng, level, prefix, sizer, batch)
            cases, prefixes, different = cases + len(batch), prefixes + 1, different + len(found)
            for line in found[:3]:
                print(line)
    seconds = time.perf_counter() - started
    print(f"{cases} cases, {prefixes} prefixes, {different} differences, {seconds:.0f} s")
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
