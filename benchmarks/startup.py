"""Whole commands, start-up included: median seconds and memory, side by side with another installation of gencomp.

    python benchmarks/startup.py [--other PYTHON] [--repeat 9] [--only LABEL ...]

PYTHON is the interpreter of an environment with another gencomp, say the last release. Runs of the two take turns;
--only keeps the rows whose labels begin with LABEL. The data are English text: the first bytes of the book in the
package, repeated if more are needed; with GENCOMP_DATA, the megabyte is the first of enwik8.
"""

import argparse
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from texts import text_of

from gencomp.data import alice

FILES, FILE_SIZE = 1000, 2048
FIRST = "sample gzip: first byte"


# in a process of its own, since a child's peak memory is never reported as less than its parent's
MEASURE = """
import os, sys, time
start = time.perf_counter()
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, 1, 0)])
_, status, usage = os.wait4(child, 0)
print(time.perf_counter() - start, usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def run(command: list[str], folder: Path) -> tuple[float, float]:
    """Return the wall seconds and the peak megabytes of one command, whose output is discarded."""
    words = [sys.executable, "-I", "-S", "-c", MEASURE, shutil.which(command[0]) or command[0], *command[1:]]
    result = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"{' '.join(command[:12])}: {result.stderr}")
    seconds, most = result.stdout.split()
    return float(seconds), int(most) * (1 if sys.platform == "darwin" else 1024) / 1e6


def first_byte(python: str, folder: Path) -> float:
    """Return the seconds until ``sample --compressor gzip`` has written its first byte."""
    command = [
        python,
        "-m",
        "gencomp",
        "sample",
        "--compressor",
        "gzip",
        "--prompt",
        "text-2000",
        "-n",
        "200",
        "--seed",
        "1",
    ]
    start = time.perf_counter()
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        seconds = time.perf_counter() - start
        process.stdout.read()
    return seconds


def data(folder: Path) -> None:
    """Write the files that the commands take."""
    book = alice()
    (folder / "text-1000").write_bytes(book[:1000])
    (folder / "text-2000").write_bytes(book[:2000])
    _, text = text_of(None)
    (folder / "text-1000000").write_bytes((text * (1 + 1_000_000 // len(text)))[:1_000_000])
    many = folder / "many"
    many.mkdir()
    for number in range(FILES):
        start = number * FILE_SIZE % (len(book) - FILE_SIZE)
        (many / f"{number}").write_bytes(book[start : start + FILE_SIZE])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--other", metavar="PYTHON", help="an interpreter with another gencomp")
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--only", metavar="LABEL", nargs="+", default=[""], help="how the labels of rows begin")
    arguments = parser.parse_args()
    only = tuple(arguments.only)
    pythons = [sys.executable] + ([arguments.other] if arguments.other else [])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data(folder)
        for python in pythons:
            where = subprocess.run([python, "-m", "gencomp", "--version"], capture_output=True, text=True, cwd=folder)
            print(f"{python}: {where.stdout.strip()}")
        commands = {
            "help": ["--help"],
            "version": ["--version"],
            "compress 1,000 bytes": ["compress", "-q", "-c", "text-1000"],
            "... with mix": ["compress", "-q", "-m", "mix", "-c", "text-1000"],
            "compress 1,000,000 bytes": ["compress", "-q", "-c", "text-1000000"],
            "score gzip, 1,000 bytes": ["score", "-m", "gzip", "text-1000"],
            "demo": ["demo"],
        }
        for label, words in commands.items():
            if not label.startswith(only):
                continue
            rows: list[list[tuple[float, float]]] = [[] for _ in pythons]
            for turn in range(arguments.repeat + 1):
                for row, python in zip(rows, pythons, strict=True):
                    result = run([python, "-m", "gencomp", *words], folder)
                    if turn:  # the first run finds no file in the cache
                        row.append(result)
            report(label, [[seconds for seconds, _ in row] for row in rows], [max(mb for _, mb in row) for row in rows])
        if FIRST.startswith(only):
            firsts = [[first_byte(python, folder) for _ in range(arguments.repeat)] for python in pythons]
            report(FIRST, firsts, None)
        if f"{FILES} files".startswith(only):
            files_a_second(pythons, folder)


def report(label: str, seconds: list[list[float]], megabytes: list[float] | None) -> None:
    """Print a row: medians, and the ratio of the other's to this one's."""
    medians = [statistics.median(row) for row in seconds]
    text = f"{label:28}" + "".join(f"{median:8.3f} s" for median in medians)
    if megabytes:
        text += "".join(f"{size:7.0f} MB" for size in megabytes)
    print(text + (f"   {medians[1] / medians[0]:.1f} times" if len(medians) > 1 else ""), flush=True)


def files_a_second(pythons: list[str], folder: Path) -> None:
    """Print how many files of 2 KiB one command compresses a second, and their total size, beside zstd and xz."""
    names = [f"many/{number}" for number in range(FILES)]
    tools = [
        [python, "-m", "gencomp", "compress", "-q", "-f", *model]
        for python in pythons
        for model in ([], ["-m", "mix:1"])
    ]
    tools += [[name, *options] for name, *options in (["zstd", "-19", "-q", "-k", "-f"], ["xz", "-9", "-k", "-f"])]
    for tool in tools:
        if shutil.which(tool[0]) is None:
            print(f"{tool[0]} is not here")
            continue
        seconds, _ = run([*tool, *names], folder)
        made = [path for path in (folder / "many").iterdir() if path.suffix]
        size = sum(path.stat().st_size for path in made)
        label = " ".join(["gencomp", *tool[6:]]) if "gencomp" in tool else tool[0]
        print(f"{FILES} files of {FILE_SIZE} bytes, {label:16} {FILES / seconds:8.0f} a second, {size} bytes in all")
        for path in made:
            path.unlink()


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
