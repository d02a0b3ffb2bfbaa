"""Sizes and speeds of every compressor and predictor here, side by side in one run, one core.

    python benchmarks/compressors.py [--repeat 3] [--models gzip counts ...] [FILE ...]

Without FILE: the first 1,000,000 bytes of enwik8 from ``$GENCOMP_DATA/text/enwik8-first-3145728.xz`` where that is
set, else the book in the package. A file that ends in .xz is unpacked first. Each round trip is checked.
"""

import argparse
import lzma
import os
import platform
import statistics
import time
from pathlib import Path

import gencomp
from gencomp.data import alice
from gencomp.errors import GencompError
from gencomp.registry import entries


def default_inputs() -> dict[str, bytes]:
    root = os.environ.get("GENCOMP_DATA")
    if root is None:
        return {"alice.txt": alice()}
    with lzma.open(Path(root) / "text/enwik8-first-3145728.xz") as file:
        return {"enwik8, first 10^6": file.read(10**6)}


def read(path: str) -> bytes:
    return lzma.open(path).read() if path.endswith(".xz") else Path(path).read_bytes()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--models", nargs="+", default=[*(entry.name for entry in entries()), "mix:1", "mix:9"])
    arguments = parser.parse_args()
    inputs = {Path(path).name: read(path) for path in arguments.files} or default_inputs()
    print(f"Python {platform.python_version()}, {platform.machine()}; medians of {arguments.repeat} runs")
    for name, data in inputs.items():
        print(f"\n{name}: {len(data):,} bytes")
        print(f"{'model':<16} {'bytes':>11} {'bits/byte':>9} {'MB/s in':>9} {'MB/s out':>9}")
        for model in arguments.models:
            try:
                compressor = gencomp.as_compressor(model)
            except GencompError as error:
                print(f"{model:<16} {error}")
                continue
            compressor.decompress(compressor.compress(data[:1000]))  # compiled, and caches warm
            into, out = [], []
            for _ in range(arguments.repeat):
                start = time.perf_counter()
                code = compressor.compress(data)
                middle = time.perf_counter()
                back = compressor.decompress(code)
                into.append(len(data) / 1e6 / (middle - start))
                out.append(len(data) / 1e6 / (time.perf_counter() - middle))
                if back != data:
                    raise SystemExit(f"{model}: the round trip failed")
            speeds = f"{statistics.median(into):>9.3f} {statistics.median(out):>9.3f}"
            print(f"{model:<16} {len(code):>11,} {8 * len(code) / max(1, len(data)):>9.3f} {speeds}")


if __name__ == "__main__":
    main()
