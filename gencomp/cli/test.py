"""gencomp test: decode archives and check everything, without writing."""

from gencomp.cli.batch import for_each, input_names, opened
from gencomp.cli.console import progress_bar, show
from gencomp.cli.decompress import MaxOutputOption
from gencomp.cli.options import (
    ArchiveModelOption,
    FilesArgument,
    MaxMemoryOption,
    MaxWorkOption,
    QuietOption,
    ThreadsOption,
    TryAnywayOption,
)


def test(
    files: FilesArgument = None,
    model: ArchiveModelOption = None,
    threads: ThreadsOption = None,
    max_output: MaxOutputOption = None,
    max_memory: MaxMemoryOption = None,
    max_work: MaxWorkOption = None,
    try_anyway: TryAnywayOption = False,
    quiet: QuietOption = False,
) -> None:
    """Decode archives, check everything, write nothing."""
    from gencomp.archive.reader import read_archive

    def test_one(name: str) -> None:
        with opened(name) as source, progress_bar(name, None, quiet=quiet) as progress:
            size = read_archive(
                source,
                lambda content: None,
                model=model,
                threads=threads,
                max_output=max_output,
                max_memory=max_memory,
                max_work=max_work,
                try_anyway=try_anyway,
                progress=progress,
            )
        if not quiet:
            show(f"{name}: ok, {size:,} bytes")

    for_each(input_names(files), test_one)
