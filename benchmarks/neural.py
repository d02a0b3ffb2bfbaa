"""The networks against classic codecs, in one run: sizes with and without the weights, and speeds both ways.

    python benchmarks/neural.py [--corpus FOLDER] [--models ...] [--skip sizes small ...]

The data are in ``$GENCOMP_DATA``: the last 5,000,000 bytes of the Wikipedia text, on which nothing was trained, in
pieces of 2,048 and 20,000 bytes, each coded on its own, and enwik8's first 10^6 bytes. The Transformer codes a few
hundred bytes a second in one lane. So it gets 6,144 bytes of the first, one piece of the second and 100,000 bytes of
the last, and runs on one piece at a time. A size is the sum of the bare codes, without an archive's framing. *Adjusted*
adds the bytes of the model's weights. Speeds are bytes a second: of processor time on one thread, and of wall time with
two threads on two pieces at a time. ``zpaq`` (version 7.15, if it is on the PATH) runs in single-threaded processes.

``--corpus`` names a folder that ``examples/corpus/build.py`` made. Its small test files then follow, by their kind,
beside zstd with a dictionary of 110 KiB trained on what the network learnt from, and beside archives of ``best`` with
all their framing.
"""

import argparse
import os
import platform
import random
import resource
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import zstandard
from compressors import read_set, tool_codec, unpacked

import gencomp
from gencomp.cores import usable_cores
from gencomp.errors import GencompError
from gencomp.predictors import language, recurrent

MODELS = ("rnn", "mix", "best", "transformer", "xz", "zstd?level=19", "brotli?quality=11", "ppmd")
ZPAQ = "zpaq -m5"
DICTIONARY_BYTES = 110 << 10
TRANSFORMER_LIMITS = 6144, 100_000  # bytes
Codec = tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]


def weight_of(model: str) -> int:
    """Return the bytes of the files of weights that a model needs."""
    folders = {"rnn": recurrent, "best": recurrent, "transformer": language}
    home = folders.get(model.partition(":")[0].partition("?")[0])
    if home is None:
        return 0
    assert home.__file__ is not None
    return sum(path.stat().st_size for path in (Path(home.__file__).parent / "weights").rglob("*") if path.is_file())


def codecs(models: list[str]) -> Iterator[tuple[str, Codec]]:
    """Yield each codec by name; print which are missing."""
    for model in models:
        try:
            compressor = gencomp.as_compressor(model)
        except GencompError as error:
            print(f"{model}: {error}")
            continue
        yield model, (compressor.compress, compressor.decompress)
    if shutil.which("zpaq") is None:
        print(f"{ZPAQ}: absent, there is no zpaq on the PATH")
    else:
        yield ZPAQ, tool_codec("zpaq a OUT IN -m5 -t1", "zpaq x OUT -t1")


def processor_seconds() -> float:
    """Return the processor time of this process and of the children it has waited for."""
    own, others = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


def timed(work: Callable[[], list[bytes]]) -> tuple[list[bytes], float, float]:
    """Return the result of ``work``, its processor seconds and its wall seconds."""
    clock, processor = time.perf_counter(), processor_seconds()
    found = work()
    return found, processor_seconds() - processor, time.perf_counter() - clock


def row_of(name: str, codec: Codec, pieces: list[bytes]) -> str:
    """Return a table's row: ``pieces`` coded and decoded, on one thread and on two."""
    is_slow = name.startswith("transformer")
    pieces = limited(pieces) if is_slow else pieces
    size = sum(map(len, pieces))
    codes, into, _ = timed(lambda: [codec[0](piece) for piece in pieces])
    back, out, _ = timed(lambda: [codec[1](code) for code in codes])
    if back != pieces:
        raise SystemExit(f"{name}: the round trip failed")
    speeds = [size / into, size / out]
    if not is_slow:
        # a single piece is cut in half, so that both threads have something to do
        half = len(pieces[0]) // 2
        both = pieces if len(pieces) > 1 else [pieces[0][:half], pieces[0][half:]]
        with ThreadPoolExecutor(2) as pool:
            again, _, into_two = timed(lambda: list(pool.map(codec[0], both)))
            _, _, out_two = timed(lambda: list(pool.map(codec[1], again)))
        speeds += [size / into_two, size / out_two]
    coded, weight = sum(map(len, codes)), weight_of(name)
    cells = [name, f"{coded:,}", f"{8 * coded / size:.3f}", f"{8 * (coded + weight) / size:.3f}"]
    cells += [f"{speed / 1000:,.1f}" if speed < 1e6 else f"{speed / 1000:,.0f}" for speed in speeds]
    cells += ["-"] * (8 - len(cells))
    return f"| {' | '.join(cells)} |"


def limited(pieces: list[bytes]) -> list[bytes]:
    """Return as many of the first bytes as the Transformer is given."""
    least, most = TRANSFORMER_LIMITS
    kept, left = [], min(most, max(least, len(pieces[0])))
    for piece in pieces:
        if left > 0:
            kept.append(piece[:left])
            left -= len(kept[-1])
    return kept


def sizes(models: list[str], root: Path) -> None:
    text = unpacked(root / "text/wikipedia-en-2015-100m.xz")[-5_000_000:]
    spread = {count: [text[k * (5_000_000 // count) :] for k in range(count)] for count in (50, 5)}
    sets = {
        "Wikipedia test, 50 pieces of 2,048 bytes": [piece[:2048] for piece in spread[50]],
        "Wikipedia test, 5 pieces of 20,000 bytes": [piece[:20_000] for piece in spread[5]],
        "enwik8, first 10^6 bytes": list(read_set(root, "enwik8").values()),
    }
    for title, pieces in sets.items():
        print(f"\n{title}\n")
        print("| model | bytes | bits/byte | adjusted | KB/s in | KB/s out | two at a time, in | out |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|")
        for name, codec in codecs(models):
            codec[1](codec[0](pieces[0][:500]))  # compiles, and loads weights
            print(row_of(name, codec, pieces), flush=True)


def dictionary(corpus: Path) -> zstandard.ZstdCompressionDict:
    """Return a dictionary for zstd, trained on samples of every file that the network learnt from."""
    rng, samples = random.Random(1), []
    for name in ("wiki", "markup", "code", "web", "data", "languages"):
        content = (corpus / f"{name}.bin").read_bytes()
        samples += [content[at : at + 4000] for at in (rng.randrange(len(content) - 4000) for _ in range(2500))]
    return zstandard.train_dictionary(DICTIONARY_BYTES, samples)


def small(models: list[str], corpus: Path) -> None:
    kinds: dict[str, list[bytes]] = defaultdict(list)
    for path in sorted((corpus / "small").iterdir()):
        kinds[path.name.partition("-")[0]].append(path.read_bytes())
    trained = dictionary(corpus)
    packer, unpacker = zstandard.ZstdCompressor(19, dict_data=trained), zstandard.ZstdDecompressor(trained)
    columns: dict[str, Codec] = {name: codec for name, codec in codecs(models) if not name.startswith("transformer")}
    columns["zstd -19 with a dictionary"] = (packer.compress, unpacker.decompress)
    columns["archive of best"] = (lambda data: gencomp.compress(data, "best"), gencomp.decompress)
    print(f"\nSmall files, the sum of each kind; {sum(map(len, kinds.values()))} files of 2 to 20 KB\n")
    print(f"| kind | files | bytes | {' | '.join(columns)} |")
    print("|---|" + "---:|" * (len(columns) + 2))
    for kind, files in kinds.items():
        totals = []
        for name, codec in columns.items():
            codes = [codec[0](file) for file in files]
            if [codec[1](code) for code in codes] != files:
                raise SystemExit(f"{name}: the round trip failed")
            totals.append(sum(map(len, codes)))
        cells = [kind, str(len(files)), f"{sum(map(len, files)):,}", *(f"{total:,}" for total in totals)]
        print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, help="folder that examples/corpus/build.py made")
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--skip", nargs="+", choices=("sizes", "small"), default=[])
    options = parser.parse_args()
    root = os.environ.get("GENCOMP_DATA")
    print(f"Python {platform.python_version()}, {platform.machine()}, {usable_cores()} cores")
    if "sizes" not in options.skip:
        if root is None:
            raise SystemExit("set GENCOMP_DATA to the folder of the texts")
        sizes(options.models, Path(root))
    if options.corpus is not None and "small" not in options.skip:
        small(options.models, options.corpus)


if __name__ == "__main__":
    main()
