"""Compare the LZMA sizer with liblzma on random streams; exits with 1 on any difference.

    python benchmarks/fuzz_lzma.py --cases 100000 --seed 1 [--seconds 500]

A case is one prefix, one set of options and one suffix. The sizer's length is compared, to 1/65536 bit, with that of
the stream that liblzma writes. GENCOMP_DATA names a folder of real files.
"""

import argparse
import random
import sys
import time
from collections.abc import Iterator, Sequence

from fuzz_deflate import BYTES, real_files, stream, suffixes_for

from gencomp.compressors.lzma import ExactLzmaScorer, Lzma, LzmaScorer

LONGEST_PREFIX = 300_000


def random_codec(rng: random.Random) -> Lzma:
    lc = rng.choice([3, 3, 3, 0, 1, 4])
    lp = rng.randint(0, 4 - lc) if rng.random() < 0.5 else 0
    bits = rng.choice([None, None, None, None, 12, 13, 16])
    return Lzma(rng.randint(0, 9), rng.random() < 0.2, lc, lp, rng.choice([2, 2, 2, 0, 4]), bits)


def copies(rng: random.Random, size: int) -> bytes:
    """Return bytes of few values and copies of earlier ones, at all distances and lengths."""
    out = bytearray(rng.choices(range(rng.choice([2, 4, 256])), k=rng.randint(1, 40)))
    longest = rng.choice([4, 20, 80, 300, 600])
    while len(out) < size:
        if rng.random() < 0.3:
            out += bytes(rng.choices(range(rng.choice([2, 256])), k=rng.randint(1, 12)))
        else:
            back = rng.randint(1, int(len(out) ** rng.random()) + 1)
            start = max(len(out) - back, 0)
            piece = out[start : start + rng.randint(1, longest)]
            out += piece * rng.choice([1, 1, 1, 3])
    return bytes(out[:size])


def data_of(rng: random.Random, files: list[bytes], size: int) -> bytes:
    return copies(rng, size) if rng.random() < 0.25 else stream(rng, files, size)


def prefix_size(rng: random.Random) -> int:
    near = rng.choice([0, 0, 273, 4096, 8192, 16384, 65536, 131072, 262144])
    kinds = [
        lambda: rng.randint(0, 60),
        lambda: rng.randint(0, 600),
        lambda: int(10 ** rng.uniform(0, 4.3)),
        lambda: rng.randint(0, LONGEST_PREFIX),
        lambda: abs(near + rng.randint(-300, 40)),
    ]
    return rng.choices(kinds, [6, 8, 8, 0.3, 2])[0]()


def rounds(rng: random.Random, files: list[bytes]) -> Iterator[tuple[Lzma, bytes, LzmaScorer, list[bytes]]]:
    """Yield codec, prefix, scorer and suffixes, as the scorer and copies of it grow by some of these suffixes."""
    codec = random_codec(rng)
    prefix = data_of(rng, files, prefix_size(rng))
    cut = rng.randint(0, len(prefix)) if rng.random() < 0.5 else len(prefix)
    scorer = LzmaScorer(codec, prefix[:cut])
    if rng.random() < 0.7:
        scorer.code_lengths([b""])
    scorer.feed(prefix[cut:])
    family = [(prefix, scorer)]
    for _ in range(rng.choice([1, 4, 20] if len(prefix) < 3000 else [1, 2, 6])):
        place = rng.randrange(len(family))
        prefix, scorer = family[place]
        batch = suffixes_for(rng, prefix, rng.choice([4, 16]))
        batch += rng.choice([[], [b""], rng.sample(BYTES, 8), BYTES, sorted(rng.sample(BYTES, 60))])
        if rng.random() < 0.01:
            batch.append(data_of(rng, files, rng.randint(4000, 6000)))
        if len(prefix) > 30_000:
            batch = rng.sample(batch, min(12, len(batch)))
        yield codec, prefix, scorer, batch
        grown = rng.choice(batch)
        if rng.random() < 0.5:
            scorer = scorer.copy()
            family.append((prefix + grown, scorer))
        else:
            family[place] = prefix + grown, scorer
        for at in range(0, len(grown), step := rng.choice([1, 7, 1000])):
            scorer.feed(grown[at : at + step])
        if len(family) > 3:
            family.pop(rng.randrange(3))


def differences(codec: Lzma, prefix: bytes, scorer: LzmaScorer, batch: list[bytes]) -> list[str]:
    found = scorer.code_lengths(batch)
    expected = ExactLzmaScorer(codec, prefix).code_lengths(batch)
    return [
        f"{codec}, prefix {len(prefix)}, suffix {batch[i]!r}: {found[i]}, liblzma {expected[i]}"
        for i in (found != expected).nonzero()[0]
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after this time")
    options = parser.parse_args(arguments)
    rng = random.Random(options.seed)
    files = real_files()
    cases, prefixes, different, started = 0, 0, 0, time.perf_counter()
    while cases < options.cases and time.perf_counter() - started < options.seconds:
        for codec, prefix, scorer, batch in rounds(rng, files):
            found = differences(codec, prefix, scorer, batch)
            cases, prefixes, different = cases + len(batch), prefixes + 1, different + len(found)
            for line in found[:3]:
                print(line[:300], flush=True)
    seconds = time.perf_counter() - started
    print(f"{cases} cases, {prefixes} prefixes, {different} differences, {seconds:.0f} s")
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
