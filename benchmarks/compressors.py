"""Sizes and speeds of every compressor and predictor here, side by side in one run, one core.

    python benchmarks/compressors.py [--sets enwik8 calgary ...] [--files] [--whole] [--tools] [--models ...] [FILE ...]

Without FILE, it takes the sets of ``$GENCOMP_DATA`` that --sets names (by default the first 10^6 bytes of enwik8), or
else the book in the package. Large files are cut at 4 MiB unless --whole is given. A set's row is the sum over its
files, each coded on its own; --files adds a row for each file. A file that ends in .xz or .gz is unpacked first. With
--tools, command-line tools on the PATH (zpaq, bzip3, lpaq1) join in as processes of their own, all of them or those
named. Each round trip is checked, unless --one-way leaves it out. With --archives, models make archives in blocks of
--block-size bytes, as ``gencomp compress`` does, on one core, instead of one bare code per file. --processor counts
processor time, which is steadier on a busy machine.
"""

import argparse
import gzip
import lzma
import math
import os
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import gencomp
from gencomp.data import alice
from gencomp.errors import GencompError
from gencomp.registry import entries

CUT = 4 << 20
CORPORA = {
    "calgary": "calgary/*",
    "canterbury": "canterbury/*",
    "silesia": "silesia/*.xz",
    "ecoli": "dna/*.gz",
}
SETS = ("enwik8", "enwik8-3m", *CORPORA, "image", "audio")
# tool -> (pack, unpack); IN, OUT and BACK stand for files
TOOLS = {
    **{f"zpaq -m{level}": (f"zpaq a OUT IN -m{level} -t1", "zpaq x OUT -t1") for level in (3, 4, 5)},
    "bzip3 -b 16": ("bzip3 -e -b 16 IN OUT", "bzip3 -d OUT BACK"),
    "lpaq1 6": ("lpaq1 6 IN OUT", "lpaq1 d OUT BACK"),
}
Codec = tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]


def unpacked(path: Path) -> bytes:
    opener = {".xz": lzma.open, ".gz": gzip.open}.get(path.suffix, open)
    with opener(path, "rb") as file:
        return bytes(file.read())


def grey_rows(path: Path) -> bytes:
    from PIL import Image

    with Image.open(path) as image:
        return image.convert("L").tobytes()


def eight_bit_samples(path: Path) -> bytes:
    import soundfile

    samples, _ = soundfile.read(path, dtype="int16")
    return ((samples >> 8) + 128).astype("uint8").tobytes()


def read_set(root: Path, name: str) -> dict[str, bytes]:
    """Return a set's files by name; for images and sounds, the raw samples of the first one."""
    if name.startswith("enwik8"):
        size = 3_145_728 if name.endswith("3m") else 10**6
        return {f"enwik8, first {size:,}": unpacked(root / "text/enwik8-first-3145728.xz")[:size]}
    if name == "image":
        path = min((root / "images/kodak").glob("*.png"))
        return {f"{path.name} as grey rows": grey_rows(path)}
    if name == "audio":
        path = min((root / "audio/librispeech").rglob("*.flac"))
        return {f"{path.name} as 8-bit samples": eight_bit_samples(path)}
    return {path.name: unpacked(path) for path in sorted(root.glob(CORPORA[name]))}


def tool_codec(pack: str, unpack: str) -> Codec:
    """Return the two directions of a command-line tool, through files in a temporary folder."""

    def call(command: str, given: str, made: str, data: bytes) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            names = {"IN": "data", "OUT": "code.zpaq", "BACK": "data"}
            Path(folder, names[given]).write_bytes(data)
            words = [names.get(word, word) for word in command.split()]
            subprocess.run(words, cwd=folder, check=True, capture_output=True)
            return Path(folder, names[made]).read_bytes()

    return (lambda data: call(pack, "IN", "OUT", data)), (lambda code: call(unpack, "OUT", "BACK", code))


def archives(model: str, block_size: int | None) -> Codec:
    """Return the two directions of an archive."""
    pack = partial(gencomp.compress, model=model, block_size=block_size, threads=1)
    return pack, partial(gencomp.decompress, threads=1)


def codecs(
    models: list[str], *, tools: list[str] | None, archived: Callable[[str], Codec] | None
) -> Iterator[tuple[str, Codec]]:
    """Yield each codec by name, made from its model by ``archived`` if that is given; print which are absent."""
    for model in models:
        try:
            compressor = gencomp.as_compressor(model)
        except GencompError as error:
            print(f"{model:<20} {error}")
            continue
        bare = compressor.compress, compressor.decompress
        yield model, bare if archived is None else archived(model)
    for name, (pack, unpack) in TOOLS.items():
        if tools is None or (tools and name not in tools):
            continue
        if shutil.which(pack.split()[0]) is None:
            print(f"{name:<20} absent: no {pack.split()[0]} on the PATH")
        else:
            yield name, tool_codec(pack, unpack)


def processor_time() -> float:
    """Return the processor time, in seconds, of this process and its children that have ended."""
    return sum(os.times()[:4])


def measure(
    name: str, codec: Codec, data: bytes, repeat: int, clock: Callable[[], float], *, both_ways: bool
) -> tuple[int, float, float]:
    """Return (bytes, seconds in, seconds out), medians of ``repeat`` round trips; the last is infinite one way."""
    into, out = [], []
    for _ in range(repeat):
        start = clock()
        code = codec[0](data)
        middle = clock()
        back = codec[1](code) if both_ways else data
        into.append(middle - start)
        out.append(clock() - middle if both_ways else math.inf)
        if back != data:
            raise SystemExit(f"{name}: the round trip failed")
    return len(code), statistics.median(into), statistics.median(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=["enwik8"])
    parser.add_argument("--files", dest="each", action="store_true", help="a row for each file too")
    parser.add_argument("--whole", action="store_true", help="do not cut at 4 MiB")
    parser.add_argument("--tools", nargs="*", metavar="TOOL", help="command-line tools too, such as 'zpaq -m5'")
    parser.add_argument("--archives", action="store_true", help="archives rather than bare codes")
    parser.add_argument("--block-size", type=int, help="of archives, in bytes; the model's default if none")
    parser.add_argument("--one-way", action="store_true", help="do not decode")
    parser.add_argument("--processor", action="store_true", help="processor time")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--models", nargs="*", default=[*(entry.name for entry in entries()), "mix:1", "mix:9"])
    arguments = parser.parse_args()
    root = os.environ.get("GENCOMP_DATA")
    if arguments.files:
        inputs = {"files": {path.name: unpacked(path) for path in arguments.files}}
    elif root is None:
        inputs = {"the book in the package": {"alice.txt": alice()}}
    else:
        inputs = {name: read_set(Path(root), name) for name in arguments.sets}
    clock = processor_time if arguments.processor else time.perf_counter
    print(f"Python {platform.python_version()}, {platform.machine()}; medians of {arguments.repeat} runs")
    for title, files in inputs.items():
        cut = {name: data if arguments.whole else data[:CUT] for name, data in files.items()}
        total = sum(map(len, cut.values()))
        print(f"\n{title}: {len(cut)} file(s), {total:,} bytes: {', '.join(cut)}")
        print(f"{'model':<20} {'bytes':>11} {'bits/byte':>9} {'MB/s in':>9} {'MB/s out':>9}")
        archived = partial(archives, block_size=arguments.block_size) if arguments.archives else None
        for model, codec in codecs(arguments.models, tools=arguments.tools, archived=archived):
            codec[1](codec[0](alice()[:1000]))  # compiles, and warms caches
            rows = {
                name: measure(model, codec, data, arguments.repeat, clock, both_ways=not arguments.one_way)
                for name, data in cut.items()
            }
            for name, (size, into, out) in rows.items() if arguments.each and len(cut) > 1 else ():
                print(row(f"  {model} {name}", len(cut[name]), size, into, out))
            print(row(model, total, *(sum(column) for column in zip(*rows.values(), strict=True))))


def row(name: str, total: int, size: float, into: float, out: float) -> str:
    speeds = f"{total / 1e6 / into:>9.3f} {total / 1e6 / out:>9.3f}" if into else ""
    return f"{name:<20} {size:>11,} {8 * size / max(1, total):>9.3f} {speeds}"


if __name__ == "__main__":
    main()
