"""Options that several commands share, and their values checked."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from gencomp.registry import DEFAULT_MODEL
from gencomp.units import parse_size


def usage(message: str) -> typer.BadParameter:
    """Return the error for a command line that cannot be meant."""
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


ModelOption = Annotated[
    str,
    typer.Option("--model", "--compressor", "-m", metavar="SPEC", help="Model or codec; `gencomp list` shows them."),
]
ArchiveModelOption = Annotated[
    str | None,
    typer.Option("--model", "--compressor", "-m", metavar="SPEC", help="Allow this model of another package."),
]
FilesArgument = Annotated[list[str] | None, typer.Argument(metavar="[FILE]...", help="Files; - is stdin.")]
OutputOption = Annotated[str | None, typer.Option("--output", "-o", metavar="FILE", help="Write here; - is stdout.")]
StdoutOption = Annotated[bool, typer.Option("--stdout", "-c", help="Write to stdout; keep the files.")]
KeepOption = Annotated[bool, typer.Option("--keep", "-k", help="Keep the input files (the default).")]
RemoveOption = Annotated[bool, typer.Option("--rm", help="Remove each input file once its output is on disk.")]
ForceOption = Annotated[bool, typer.Option("--force", "-f", help="Overwrite files; write binary to a terminal.")]
ThreadsOption = Annotated[
    int | None,
    typer.Option("--threads", "-T", callback=at_least("--threads", 1), help="Blocks at a time. [default: cores]"),
]
TryAnywayOption = Annotated[
    bool,
    typer.Option(
        "--try-anyway", help="Decode although the model computes otherwise here; each block's check is the judge."
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Only errors on stderr.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]

DEFAULT_SPEC = DEFAULT_MODEL


def read_input(name: str) -> bytes:
    """Return all bytes of a file, or of stdin for ``-``."""
    return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()


def binary_stdout(*, force: bool, what: str) -> BinaryIO:
    """Return stdout for binary data; refuse where it is a terminal."""
    if sys.stdout.isatty() and not force:
        raise usage(f"{what} is not written to a terminal; redirect it, name a file with -o, or insist with -f")
    return sys.stdout.buffer
