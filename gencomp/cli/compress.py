"""gencomp compress: files or stdin to archives."""

import time
from typing import Annotated, BinaryIO

import typer

from gencomp.cli.batch import SUFFIX, Destination, file_size, for_each, input_names, transform
from gencomp.cli.console import note, progress_bar
from gencomp.cli.options import (
    FilesArgument,
    ForceOption,
    KeepOption,
    MaxMemoryOption,
    MaxWorkOption,
    OutputOption,
    QuietOption,
    RemoveOption,
    StdoutOption,
    ThreadsOption,
    complete_spec,
    size_parser,
)


def compress(
    files: FilesArgument = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "--compressor",
            "-m",
            metavar="SPEC",
            autocompletion=complete_spec,
            help="Model or codec; `gencomp list` shows them. "
            "[default: mix; for up to 256 KiB best or mix, whichever gives the smaller archive]",
        ),
    ] = None,
    output: OutputOption = None,
    stdout: StdoutOption = False,
    keep: KeepOption = False,
    remove: RemoveOption = False,
    force: ForceOption = False,
    threads: ThreadsOption = None,
    block_size: Annotated[
        int | None,
        typer.Option(
            metavar="SIZE",
            parser=size_parser("--block-size"),
            help="Bytes that are coded on their own, such as 64KiB; no short header then. "
            "[default: 4MiB; 16MiB for mix:7 to mix:9]",
        ),
    ] = None,
    verify: Annotated[
        bool | None,
        typer.Option(
            "--verify/--no-verify",
            help="Decode each block at once. [default: with --rm, and where the model is not all-integer]",
        ),
    ] = None,
    max_memory: MaxMemoryOption = None,
    max_work: MaxWorkOption = None,
    quiet: QuietOption = False,
) -> None:
    """Compress files with a model of the next byte.

    Each FILE becomes FILE.gcz. Without FILE, stdin is compressed to stdout. Input files are kept unless --rm says
    otherwise, which verifies first; mode, time and owner of a file go over to its archive. -1 (fast) to -9 (small)
    stand for -m mix:1 to -m mix:6 and -m best:7 to -m best:9.
    """
    from math import ceil

    from gencomp.archive.writer import write_archive
    from gencomp.budget import in_time, is_slow
    from gencomp.equivalence.adapt import as_predictor
    from gencomp.equivalence.capabilities import check_size
    from gencomp.units import bits_per_byte

    names = input_names(files)
    destination = Destination(output, stdout, remove and not keep, force)
    destination.check(names)
    predictor = None if model is None else as_predictor(model)
    if verify is None and destination.remove:
        verify = True

    def compress_one(name: str) -> None:
        def work(source: BinaryIO, sink: BinaryIO) -> None:
            start = time.perf_counter()
            size = file_size(source)
            if size is not None and predictor is not None:
                check_size(predictor, size)
            with progress_bar(name, size, quiet=quiet) as progress:
                summary = write_archive(
                    source,
                    sink,
                    predictor,
                    block_size=block_size,
                    threads=threads,
                    verify=verify,
                    max_memory=max_memory,
                    max_work=max_work,
                    progress=progress,
                )
            seconds = time.perf_counter() - start
            for failure in summary.failures:
                note(f"gencomp: {name}: {failure}")
            if is_slow(summary.work, summary.archive_size) and not quiet:
                note(
                    f"note: reading {name + SUFFIX} back may take {in_time(summary.work)} of one core; "
                    f"it will ask for --max-work {ceil(summary.work)}"
                )
            if not quiet:
                raw, coded = summary.raw_total, summary.archive_size
                rate = f" ({100 * coded / raw:.2f} %, {bits_per_byte(8 * coded, raw):.3f} bits/byte)" if raw else ""
                note(f"{name}: {raw:,} -> {coded:,} bytes{rate}, {seconds:.2f} s, {raw / 1e6 / seconds:.3f} MB/s")

        transform(name, destination, lambda path: path + SUFFIX, "an archive", work)

    for_each(names, compress_one)
