"""Sizes and speeds release by release: a JSON file for each in benchmarks/history, and a picture of all.

    python benchmarks/track.py [--models SPEC ...] [--repeats 3]     measures this release
    python benchmarks/track.py --plot OUT.png                        draws what is in benchmarks/history

The data are the book in the package, so that everybody measures the same. Times are processor time of this process and
its threads, medians over the repeats: other work on the machine changes them less than wall time. Compare times of one
machine only; sizes are the same on all machines. Each round trip is checked.
"""

import argparse
import hashlib
import json
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import gencomp
from gencomp.cores import usable_cores
from gencomp.data import alice
from gencomp.files import new_file, write_fully

HISTORY = Path(__file__).parent / "history"
MODELS = ["gzip", "bz2", "lzma", "zstd", "brotli", "counts:6", "lz78", "ctw", "mix:1", "mix:5", "rnn", "best:5"]
Record = dict[str, Any]


def measured(spec: str, data: bytes, repeats: int) -> Record:
    """Return the bytes and the processor seconds each way that coding ``data`` takes."""
    codec = gencomp.as_compressor(spec)
    codec.decompress(codec.compress(data[:1000]))  # compiles
    there, back = [], []
    for _ in range(repeats):
        start = time.process_time()
        code = codec.compress(data)
        middle = time.process_time()
        if codec.decompress(code) != data:
            raise SystemExit(f"{spec} does not give the data back")
        there.append(middle - start)
        back.append(time.process_time() - middle)
    seconds = {"compress_seconds": statistics.median(there), "decompress_seconds": statistics.median(back)}
    return {"model": spec, "coded_bytes": len(code), **{name: round(value, 4) for name, value in seconds.items()}}


def measure(models: list[str], repeats: int) -> Path:
    """Measure this release, and write its record."""
    data = alice()
    rows = []
    for spec in models:
        rows.append(measured(spec, data, repeats))
        print(
            f"{spec:<12}{rows[-1]['coded_bytes']:>9,} bytes{rows[-1]['compress_seconds']:>9.3f} s"
            f"{rows[-1]['decompress_seconds']:>9.3f} s"
        )
    record = {
        "version": gencomp.__version__,
        "machine": f"{platform.machine()}, {usable_cores()} cores, Python {platform.python_version()}",
        "data": {"name": "alice.txt", "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()},
        "repeats": repeats,
        "rows": rows,
    }
    path = HISTORY / f"{gencomp.__version__}.json"
    with new_file(path, overwrite=True) as file:
        write_fully(file, (json.dumps(record, indent=1) + "\n").encode())
    return path


def releases() -> list[Record]:
    """Return the records of all releases, oldest first."""
    records = [json.loads(path.read_text(encoding="utf-8")) for path in HISTORY.glob("*.json")]
    return sorted(records, key=lambda record: [int(part) for part in record["version"].split(".")])


def plot(path: Path) -> None:
    """Draw bits per byte, and bytes per second of compressing, of each model over the releases."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    known = releases()
    versions = [record["version"] for record in known]
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    rates, speeds = figure.subplots(1, 2)
    for place, spec in enumerate(dict.fromkeys(row["model"] for record in known for row in record["rows"])):
        marker = "os^v"[place // 10 % 4]  # since there are only ten colours
        found = [next((row for row in record["rows"] if row["model"] == spec), None) for record in known]
        size = [record["data"]["bytes"] for record in known]
        pairs = list(zip(found, size, strict=True))
        bits = [8 * row["coded_bytes"] / total if row else float("nan") for row, total in pairs]
        fast = [total / max(row["compress_seconds"], 1e-4) if row else float("nan") for row, total in pairs]
        rates.plot(versions, bits, marker=marker, label=spec)
        speeds.plot(versions, fast, marker=marker, label=spec)
    rates.set(title="alice.txt", xlabel="release", ylabel="bits/byte")
    speeds.set(title="compressing", xlabel="release", ylabel="bytes per processor second", yscale="log")
    speeds.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    FigureCanvasAgg(figure).print_png(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--plot", type=Path, metavar="OUT.png", help="draw the releases; measure nothing")
    options = parser.parse_args()
    if options.plot is not None:
        plot(options.plot)
    else:
        print(measure(options.models, options.repeats))


if __name__ == "__main__":
    main()
