"""What an executor costs on top of the work: gzip on many chunks, in a plain loop, in processes, on a Dask cluster.

    python benchmarks/executors.py [--chunks 100000] [--jobs 2] [--without-cluster] [FILE]

The data are FILE, or ``$GENCOMP_DATA/text/wikipedia-en-2015-100m.xz``, or the book in the package, repeated if it is
too short. All ways run one after the other, and their code lengths must agree. The overhead is the processor time of
all processes beyond the loop's, per chunk, with the start of workers: wall time says little on a busy machine.
"""

import argparse
import multiprocessing
import os
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from gencomp.cores import usable_cores
from gencomp.evaluation.experiment import Experiment
from gencomp.evaluation.measure import code_lengths
from gencomp.evaluation.run import Reports, run
from gencomp.executors import open_pool
from gencomp.modalities import text
from gencomp.modalities.dataset import CHUNK_SIZE, Dataset
from gencomp.registry import load


def default_input() -> str:
    import gencomp.data

    root = os.environ.get("GENCOMP_DATA")
    book = Path(gencomp.data.__file__).parent / "alice.txt"
    return str(book if root is None else Path(root) / "text/wikipedia-en-2015-100m.xz")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", default=default_input())
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--jobs", type=int, default=usable_cores())
    parser.add_argument("--without-cluster", action="store_true")
    arguments = parser.parse_args()
    data = text.read(arguments.file, arguments.chunks * CHUNK_SIZE)
    data *= -(-arguments.chunks * CHUNK_SIZE // len(data))
    print(f"{arguments.chunks:,} chunks of {CHUNK_SIZE} bytes of {Path(arguments.file).name}, gzip")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "data").write_bytes(data[: arguments.chunks * CHUNK_SIZE])
        experiment = Experiment("executors", (Dataset("data", "text", str(folder / "data")),), ("gzip",), (CHUNK_SIZE,))
        chunks = list(text.chunks(data[: arguments.chunks * CHUNK_SIZE], CHUNK_SIZE))
        begin, busy = time.perf_counter(), processor_seconds()
        expected = float(code_lengths(load("gzip"), chunks).sum())
        plain = processor_seconds() - busy
        report("plain loop", time.perf_counter() - begin, plain, plain, len(chunks))
        for name, jobs in (("this process", 1), ("processes", arguments.jobs), ("Dask workers", arguments.jobs)):
            if name == "Dask workers" and arguments.without_cluster:
                continue
            begin, busy = time.perf_counter(), processor_seconds()
            with ExitStack() as workers:
                address = local_cluster(jobs, workers) if name == "Dask workers" else None
                pool = workers.enter_context(open_pool(jobs, address))
                reports = Reports(lambda total, known: None, lambda count: None, print)
                (row,) = run(experiment, folder / name, pool, reports)
            while multiprocessing.active_children():
                time.sleep(0.05)
            if row.code_length + row.header_bits * (row.chunks - 1) != expected:
                raise SystemExit(f"{name}: the code lengths differ from the loop's")
            wall, busy = time.perf_counter() - begin, processor_seconds() - busy
            report(f"{jobs} {name}", wall, busy, plain, len(chunks))


def local_cluster(workers: int, stack: ExitStack) -> str:
    """Start a Dask cluster of processes that ends with ``stack``; return its address."""
    from distributed import LocalCluster

    options = {"n_workers": workers, "threads_per_worker": 1, "processes": True}
    return str(stack.enter_context(LocalCluster(**options, dashboard_address=None)).scheduler_address)


def processor_seconds() -> float:
    """Return the processor time of this process and its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def report(name: str, wall: float, busy: float, plain: float, chunks: int) -> None:
    overhead = 1e6 * (busy - plain) / chunks
    print(
        f"{name:<20}{wall:>8.2f} s on the clock, {busy:>7.2f} s of processors; overhead {overhead:>6.1f} us a chunk, "
        f"{100 * (busy - plain) / plain:.1f} % of the loop",
        flush=True,
    )


if __name__ == "__main__":
    main()
