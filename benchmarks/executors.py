"""What an executor costs beside the work: gzip on many chunks, in a plain loop, in processes, on a local Dask cluster.

    python benchmarks/executors.py [--chunks 100000] [--jobs 2] [--without-cluster] [FILE]

FILE, or ``$GENCOMP_DATA/text/wikipedia-en-2015-100m.xz``, or the book in the package, repeated where it is short.
All ways run one after the other; their code lengths must agree. The overhead of n workers is n times the wall time,
less the time that the chunks took in the workers, a chunk.
"""

import argparse
import os
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from gencomp.evaluation.executors import open_pool
from gencomp.evaluation.experiment import Experiment
from gencomp.evaluation.measure import code_lengths
from gencomp.evaluation.run import Reports, run
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
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
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
        begin = time.perf_counter()
        expected = float(code_lengths(load("gzip"), chunks).sum())
        plain = time.perf_counter() - begin
        print(f"{'plain loop':<32}{plain:>8.2f} s {1e6 * plain / len(chunks):>8.1f} us a chunk")
        ways: list[tuple[str, int, str | None]] = [("this process", 1, None), ("processes", arguments.jobs, None)]
        if not arguments.without_cluster:
            from distributed import LocalCluster

            options = {"n_workers": arguments.jobs, "threads_per_worker": 1, "processes": True}
            cluster = stack.enter_context(LocalCluster(**options, dashboard_address=None))
            ways.append(("Dask workers", arguments.jobs, cluster.scheduler_address))
        for name, jobs, address in ways:
            begin = time.perf_counter()
            with open_pool(jobs, address) as pool:
                reports = Reports(lambda total, known: None, lambda count: None, print)
                (row,) = run(experiment, folder / name, pool, reports)
                wall = time.perf_counter() - begin
            if row.code_length + row.header_bits * (row.chunks - 1) != expected:
                raise SystemExit(f"{name}: the code lengths differ from the loop's")
            overhead = 1e6 * (jobs * wall - row.seconds) / len(chunks)
            print(
                f"{f'{jobs} {name}':<32}{wall:>8.2f} s {1e6 * wall / len(chunks):>8.1f} us a chunk, "
                f"{plain / wall:.2f} times the loop's speed; overhead {overhead:.1f} us a chunk"
            )


if __name__ == "__main__":
    main()
