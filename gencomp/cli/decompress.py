"""gencomp decompress: from archives back to files."""

import time
from typing import Annotated, BinaryIO

import typer

from gencomp.cli.batch import SUFFIX, Destination, for_each, input_names, transform
from gencomp.cli.console import note, progress_bar
from gencomp.cli.options import (
    ArchiveModelOption,
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
    TryAnywayOption,
    size_parser,
)

MaxOutputOption = Annotated[
    int | None,
    typer.Option(
        "--max-output",
        metavar="SIZE",
        parser=size_parser("--max-output"),
        help="Refuse more content than this. [default: 8GiB, or 256 bytes for each of the archive's]",
    ),
]


def decompress(
    files: FilesArgument = None,
    model: ArchiveModelOption = None,
    output: OutputOption = None,
    stdout: StdoutOption = False,
    keep: KeepOption = False,
    remove: RemoveOption = False,
    force: ForceOption = False,
    threads: ThreadsOption = None,
    max_output: MaxOutputOption = None,
    max_memory: MaxMemoryOption = None,
    max_work: MaxWorkOption = None,
    try_anyway: TryAnywayOption = False,
    quiet: QuietOption = False,
) -> None:
    """Decompress archives.

    Each FILE.gcz becomes FILE. Without FILE, stdin is decompressed to stdout. An archive says how it was made. Every
    block is checked before it is written; a damaged archive, or one whose model is missing or computes differently,
    leaves no file. A model in another package, a file or a folder is used only if -m names it. What would take more
    memory or work than is allowed is refused before it begins.
    """
    from gencomp.archive.reader import read_archive

    names = input_names(files)
    destination = Destination(output, stdout, remove and not keep, force)
    destination.check(names)

    def decompress_one(name: str) -> None:
        def work(source: BinaryIO, sink: BinaryIO) -> None:
            start = time.perf_counter()
            with progress_bar(name, None, quiet=quiet) as progress:
                size = read_archive(
                    source,
                    sink.write,
                    model=model,
                    threads=threads,
                    max_output=max_output,
                    max_memory=max_memory,
                    max_work=max_work,
                    try_anyway=try_anyway,
                    progress=progress,
                )
            seconds = time.perf_counter() - start
            if not quiet:
                note(f"{name}: {size:,} bytes, {seconds:.2f} s, {size / 1e6 / seconds:.3f} MB/s")

        transform(name, destination, _content_name, "", work)

    for_each(names, decompress_one)


def _content_name(name: str) -> str:
    if not name.endswith(SUFFIX) or name == SUFFIX:
        raise OSError(0, f"its name does not end in {SUFFIX}; name the output with -o, or use -c", name)
    return name.removesuffix(SUFFIX)
