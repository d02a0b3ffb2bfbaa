"""Options that several commands share, and checks of their values."""

import sys
from collections.abc import Callable
from typing import Annotated, BinaryIO

import typer

from gencomp.files import read_file, read_fully
from gencomp.registry import DEFAULT_MODEL
from gencomp.units import parse_size


def usage(message: str) -> typer.BadParameter:
    """Return the error for a wrong command line."""
    return typer.BadParameter(message)


def at_least(name: str, low: int) -> Callable[[int | None], int | None]:
    """Return a check of the integer option ``name``."""

    def check(value: int | None) -> int | None:
        if value is not None and value < low:
            raise usage(f"{name} must be at least {low}, got {value}")
        return value

    return check


def size_parser(name: str) -> Callable[[str | int], int]:
    """Return a parser of byte sizes for the option ``name``."""

    def parse(text: str | int) -> int:  # an int is the option's default
        try:
            return parse_size(str(text))
        except ValueError as error:
            raise usage(f"{name}: {error}") from None

    return parse


def complete_spec(incomplete: str) -> list[str]:
    """Return the names of models and codecs that begin with ``incomplete``, for shell completion."""
    from gencomp.registry import entries

    return sorted(entry.name for entry in entries() if entry.name.startswith(incomplete))


ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        "--compressor",
        "-m",
        metavar="SPEC",
        help="Model or codec; `gencomp list` shows them.",
        autocompletion=complete_spec,
    ),
]
ArchiveModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        "--compressor",
        "-m",
        metavar="SPEC",
        help="The archive's model, where it is in another package, a file or a folder.",
    ),
]
FilesArgument = Annotated[list[str] | None, typer.Argument(metavar="[FILE]...", help="Files; - is stdin.")]
OutputOption = Annotated[str | None, typer.Option("--output", "-o", metavar="FILE", help="Write here; - is stdout.")]
StdoutOption = Annotated[bool, typer.Option("--stdout", "-c", help="Write to stdout; keep the files.")]
KeepOption = Annotated[bool, typer.Option("--keep", "-k", help="Keep the input files (the default).")]
RemoveOption = Annotated[
    bool, typer.Option("--rm", help="Remove each input file once its output is on disk, unless it has changed.")
]
ForceOption = Annotated[bool, typer.Option("--force", "-f", help="Overwrite files; write binary to a terminal.")]
ThreadsOption = Annotated[
    int | None,
    typer.Option("--threads", "-T", callback=at_least("--threads", 1), help="Blocks at a time. [default: cores]"),
]
MaxMemoryOption = Annotated[
    int | None,
    typer.Option(
        "--max-memory",
        metavar="SIZE",
        parser=size_parser("--max-memory"),
        help="Refuse what may take more memory, by an estimate from the model's options. [default: 4GiB]",
    ),
]


def _seconds(text: str | float) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not seconds >= 0.0:
        raise usage(f"--max-work must be a number of seconds, at least 0, or inf for no limit; got {text!r}")
    return seconds


MaxWorkOption = Annotated[
    float | None,
    typer.Option(
        "--max-work",
        metavar="SECONDS",
        parser=_seconds,
        help="Refuse what may take more seconds of one core, by a cautious estimate from the model's options. "
        "[default: 400 and 0.005 for each byte of an archive that is read; else no limit]",
    ),
]
TryAnywayOption = Annotated[
    bool,
    typer.Option(
        "--try-anyway", help="Decode even if the model computes differently here; each block's check decides."
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Only errors on stderr.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]

DEFAULT_SPEC = DEFAULT_MODEL


def read_input(name: str) -> bytes:
    """Return all bytes of a file, or of stdin for ``-``."""
    return read_fully(sys.stdin.buffer) if name == "-" else read_file(name)


def binary_stdout(*, force: bool, what: str) -> BinaryIO:
    """Return stdout for binary data; refuse if it is a terminal."""
    if sys.stdout.isatty() and not force:
        raise usage(f"{what} is not written to a terminal; redirect it, name a file with -o, or insist with -f")
    return sys.stdout.buffer
