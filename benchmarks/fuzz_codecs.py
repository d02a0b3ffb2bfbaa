"""Compare the code lengths of bzip2, LZMA, zstd and Brotli streams with the real streams; exits with 1 on a difference.

    python benchmarks/fuzz_codecs.py --cases 100000 --seed 1 [--codecs bz2 lzma zstd brotli]

A case is one codec with random options on random data. The walker must follow the stream to its exact end (for LZMA and
Brotli, with the data at hand), and the length, rounded up, must be the stream's bytes (zstd pads each of its
bitstreams). A bzip2 stream must decode with other bits after its end, and must not with another last bit. Every tenth
case scores suffixes after the data as a prefix; their lengths must be those of compressing both together.

    python benchmarks/fuzz_codecs.py --sizers --cases 1000000 --seed 1 [--codecs lzma zstd]

With --sizers the cases are those of fuzz_lzma.py and fuzz_zstd.py: a prefix, a codec of any preset or level, and a
suffix. The compiled sizer's length must be, to the bit, that of the stream that the library writes for prefix and
suffix. Each suffix counts as a case, since the library compresses each of them; --cases is the number for each codec.

GENCOMP_DATA names a folder of real files.
"""

import argparse
import bz2
import math
import random
import sys
import time
from collections import Counter

import fuzz_lzma
import fuzz_zstd
from fuzz_deflate import real_files, stream, suffixes_for

from gencomp.bitstreams import zstd_frame
from gencomp.compressors.brotli import Brotli
from gencomp.compressors.bz2 import Bz2
from gencomp.compressors.lzma import Lzma
from gencomp.compressors.zstd import Zstd
from gencomp.equivalence.capabilities import begin_scoring
from gencomp.protocols import Compressor

SHARES = {"bz2": 4, "lzma": 4, "zstd": 4, "brotli": 2}  # Brotli is slow


def random_codec(rng: random.Random, name: str, size: int) -> Compressor:
    if name == "bz2":
        return Bz2(rng.randint(1, 9))
    if name == "lzma":
        lc = rng.choice([3, 3, 0, 1, 4])
        lp = rng.randint(0, 4 - lc)
        bits = rng.choice([None, None, 12, 16])
        return Lzma(rng.choice([0, 1, 3, 6, 9]), rng.random() < 0.1, lc, lp, rng.choice([2, 2, 0, 4]), bits)
    if name == "zstd":
        return Zstd(rng.choice([1, 3, 9, 19, rng.randint(1, 22)]), rng.choice([None, None, 10]), rng.random() < 0.2)
    quality = 11 if size < 200 and rng.random() < 0.3 else rng.choice([0, 1, 2, 4, 5, 9, rng.randint(0, 11)])
    return Brotli(quality, rng.choice([22, 22, 10, 16, 24]), rng.choice(["generic", "text", "font"]))


def random_size(rng: random.Random) -> int:
    if rng.random() < 0.002:
        return rng.randint(100_000, 400_000)  # several blocks
    return rng.choice([rng.randint(0, 40), rng.randint(0, 300), rng.randint(0, 300), int(10 ** rng.uniform(1, 4))])


def ends_there(blob: bytes, bits: int, data: bytes) -> bool:
    """Return whether a bzip2 stream ends after ``bits`` bits: the last of them matters, and those after it do not."""
    spare = 8 * len(blob) - bits
    filled = blob[:-1] + bytes([blob[-1] | (1 << spare) - 1])
    changed = int.from_bytes(blob, "big") ^ 1 << spare
    try:
        bz2.decompress(changed.to_bytes(len(blob), "big"))
    except OSError:
        return bz2.decompress(filled) == data
    return False


def difference(codec: Compressor, data: bytes) -> str | None:
    """Return what is wrong with the code length of ``data``, if anything is."""
    blob = codec.compress(data)
    try:
        bits = codec.code_length(data)
    except ValueError as error:
        return str(error)
    spare = 8 * len(blob) - bits
    if isinstance(codec, Zstd):
        return None if 0 <= spare <= 7 * zstd_frame.used_bits(blob)[1] else f"{bits} bits, {len(blob)} bytes"
    if math.ceil(bits / 8) != len(blob):
        return f"{bits} bits, {len(blob)} bytes"
    if isinstance(codec, Bz2) and len(data) < 1000 and not ends_there(blob, int(bits), data):
        return f"{bits} bits are not its end"
    return None


def scoring_difference(rng: random.Random, codec: Compressor, data: bytes) -> str | None:
    """Return what is wrong with the lengths of suffixes after ``data``, fed in two pieces, if anything is."""
    cut = rng.randint(0, len(data))
    state = begin_scoring(codec, data[:cut])
    if rng.random() < 0.5:
        state.code_lengths([b"x", b"y"])
    state.feed(data[cut:])
    suffixes = [b"", *suffixes_for(rng, data, rng.randint(1, 6))]
    found = state.code_lengths(suffixes).tolist()
    expected = [codec.code_length(data + suffix) for suffix in suffixes]
    return None if found == expected else f"suffixes {suffixes}: {found}, expected {expected}"


def sizers(names: list[str], cases: int, seed: int) -> int:
    """Run the sizers' own fuzzers; return 1 if any of them finds a difference."""
    different = 0
    for name, module in (("lzma", fuzz_lzma), ("zstd", fuzz_zstd)):
        if name in names:
            print(f"{name}: ", end="", flush=True)
            different += module.main(["--cases", str(cases), "--seed", str(seed)])
    return int(different > 0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--codecs", nargs="+", choices=SHARES, default=list(SHARES))
    parser.add_argument("--sizers", action="store_true", help="compare the compiled sizers of LZMA and zstd")
    options = parser.parse_args()
    if options.sizers:
        return sizers(options.codecs, options.cases, options.seed)
    rng = random.Random(options.seed)
    files = real_files()
    cases, different, started = Counter[str](), 0, time.perf_counter()
    shares = [SHARES[name] for name in options.codecs]
    while cases.total() < options.cases:
        [name] = rng.choices(options.codecs, shares)
        data = stream(rng, files, random_size(rng))
        codec = random_codec(rng, name, len(data))
        found = difference(codec, data)
        cases[name] += 1
        if cases.total() % 10 == 0 and len(data) < 20_000:
            found = found or scoring_difference(rng, codec, data)
        if found is not None:
            different += 1
            print(f"{codec} on {len(data)} bytes: {found[:300]}", flush=True)
    seconds = time.perf_counter() - started
    print(f"{cases.total()} cases {dict(cases)}, {different} differences, {seconds:.0f} s")
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
