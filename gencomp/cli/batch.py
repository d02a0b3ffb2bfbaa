"""What compress, decompress and test share: several inputs, an output for each, and going on when one fails."""

import errno
import os
import stat
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import typer

from gencomp.cli.console import report_failure
from gencomp.cli.options import binary_stdout, usage
from gencomp.files import flush_fully, new_file

SUFFIX = ".gcz"


@dataclass(frozen=True)
class Destination:
    """Where outputs go, and whether inputs are removed and outputs replaced."""

    output: str | None
    stdout: bool
    remove: bool
    force: bool

    def check(self, names: Sequence[str]) -> None:
        """Refuse combinations that would lose data or mean nothing."""
        if self.output is not None and self.stdout:
            raise usage("-o and -c exclude each other")
        if self.output not in (None, "-") and len(names) > 1:
            raise usage(f"-o names one file, but there are {len(names)} inputs; leave it out or use -c")
        if self.remove and (self.stdout or self.output == "-"):
            raise usage("--rm needs an output file; it does not go with output to stdout")


def input_names(names: Sequence[str] | None) -> list[str]:
    """Return the inputs: those named, or stdin, unless that is a terminal."""
    if names:
        return list(names)
    if sys.stdin.isatty():
        raise usage("no FILE, and stdin is a terminal; name a file, or - to type")
    return ["-"]


@contextmanager
def opened(name: str):  # type: ignore[no-untyped-def]
    """Yield the input as a binary stream; a directory or a missing file raises ``OSError``."""
    if name == "-":
        yield sys.stdin.buffer
    else:
        with Path(name).open("rb") as file:
            yield file


def for_each(names: Sequence[str], action: Callable[[str], None]) -> None:
    """Run ``action`` on every input, even after failures. Exits with the first failure's code."""
    failure = 0
    for name in names:
        try:
            action(name)
        except BrokenPipeError:
            raise
        except Exception as error:  # whatever it is, the next inputs may be fine
            code = report_failure(error, name)
            failure = failure or code
    if failure:
        raise typer.Exit(failure)


def transform(
    name: str,
    destination: Destination,
    rename: Callable[[str], str],
    what: str,
    work: Callable[[BinaryIO, BinaryIO], None],
) -> None:
    """Run ``work`` from the input to its output: stdout, the file of ``-o``, or the name that ``rename`` gives."""
    with ExitStack() as stack:
        source = stack.enter_context(opened(name))
        if destination.stdout or destination.output == "-" or (name == "-" and destination.output is None):
            sink = binary_stdout(force=destination.force, what=what) if what else sys.stdout.buffer
            work(source, sink)
            flush_fully(sink)
            return
        path = Path(destination.output if destination.output is not None else rename(name))
        status = os.fstat(source.fileno()) if name != "-" else None
        if status is not None and path.exists() and os.path.samestat(status, path.stat()):
            raise usage(f"{path} is the input itself; choose another output")
        like = source.fileno() if status is not None and stat.S_ISREG(status.st_mode) else None
        if destination.remove and path.exists() and not path.is_file():
            raise usage(f"--rm needs an output file; {path} is not a file")
        if destination.remove and status is not None and like is None:
            raise usage(f"--rm removes regular files only; {name} is not one")
        with new_file(path, overwrite=destination.force, like=like) as sink:
            work(source, sink)
        if destination.remove and status is not None:
            _remove(name, status, source, path)


def _remove(name: str, before: os.stat_result, source: BinaryIO, output: Path) -> None:
    """Remove the input, if ``name`` still names the file that was read, and that is unchanged.

    Raises ``OSError`` otherwise, since the file may hold what the output does not.
    """
    named = os.stat(name)
    if not os.path.samestat(named, before):
        found = "another file has its name now"
    elif source.tell() < named.st_size:
        found = f"{source.tell():,} of its {named.st_size:,} bytes were read"
    elif any(_version(now) != _version(before) for now in (named, os.fstat(source.fileno()))):
        found = "it has changed in the meantime"
    else:
        os.unlink(name)
        return
    raise OSError(errno.ESTALE, f"{found}, so --rm keeps it; {output} holds what was read", name)


def _version(status: os.stat_result) -> tuple[int, int, int]:
    """Return what changes when a file's content does."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def file_size(source: BinaryIO) -> int | None:
    """Return the size of a regular file, None for a pipe."""
    try:
        status = os.fstat(source.fileno())
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
