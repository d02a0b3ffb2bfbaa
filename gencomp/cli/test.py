"""gencomp test: decode archives and check everything, without writing."""

from gencomp.cli.batch import for_each, input_names, opened
from gencomp.cli.console import progress_bar
from gencomp.cli.decompress import MaxOutputOption
from gencomp.cli.options import ArchiveModelOption, FilesArgument, QuietOption, ThreadsOption, TryAnywayOption


def test(
    files: FilesArgument = None,
    model: ArchiveModelOption = None,
    threads: ThreadsOption = None,
    max_output: MaxOutputOption = None,
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
                try_anyway=try_anyway,
                progress=progress,
            )
        if not quiet:
            print(f"{name}: ok, {size:,} bytes")

    for_each(input_names(files), test_one)
