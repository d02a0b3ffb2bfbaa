"""What goes to stderr: messages, errors as one line, progress. And what may go to stdout."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import typer

from gencomp.errors import GencompError


def note(message: str) -> None:
    """Print a message to stderr, where there is one."""
    with suppress(OSError):
        print(visible(message), file=sys.stderr, flush=True)


def visible(text: str) -> str:
    """Return ``text`` with everything that could steer a terminal, or cannot be printed, as an escape."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def complain(message: str) -> None:
    """Print an error as one line to stderr."""
    note("gencomp: " + " ".join(message.split()))


def describe_error(error: BaseException) -> str:
    """Return one line: what was found, what was expected, what to do."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename is not None else ""
        return f"{where}{error.strerror}"
    if isinstance(error, MemoryError):
        return f"out of memory{f': {error}' if str(error) else ''}; try fewer --threads or a smaller --block-size"
    if isinstance(error, typer.TyperException):
        return error.format_message().replace("Value error, ", "", 1)  # which pydantic says, and typer hands on
    if isinstance(error, GencompError | ValueError):
        return str(error)
    return f"internal error: {type(error).__name__}: {error}; please report it"


def exit_code_of(error: BaseException) -> int:
    """Return the exit code: 1 input or output, 2 usage, 3 damaged archive, 4 model, 5 internal."""
    if isinstance(error, GencompError):
        return error.exit_code
    if isinstance(error, OSError | MemoryError):
        return 1
    return 2 if isinstance(error, ValueError | typer.TyperException) else 5


@contextmanager
def progress_bar(label: str, total: int | None, *, quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """Show a bar on stderr, where that is a terminal; yield the function that advances it by n bytes."""
    if quiet or not sys.stderr.isatty():
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=total)
        yield lambda count: progress.advance(task, count)


@contextmanager
def step_progress(
    label: str, steps: int, *, quiet: bool = False
) -> Iterator[Callable[[int, float, float | None], None]]:
    """Yield what a training loop calls with (step, loss, held-out loss): on a terminal a bar, else lines."""
    if quiet:
        yield lambda step, loss, held_out: None
        return
    if not sys.stderr.isatty():
        yield (
            lambda step, loss, held_out: (
                None if held_out is None else note(f"step {step:,}: {loss:.4f} bits/byte, {held_out:.4f} held out")
            )
        )
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=steps)

        def report(step: int, loss: float, held_out: float | None) -> None:
            progress.update(task, completed=step, description=f"{label}, {loss:.3f} bits/byte")
            if held_out is not None:
                progress.console.print(f"step {step:,}: {held_out:.4f} bits/byte held out")

        yield report


def printable(data: bytes) -> str:
    """Return ``data`` as text that a terminal can show: UTF-8 where it is, line ends kept, the rest as U+FFFD."""
    text = data.decode("utf-8", "replace").replace("\r", "")
    return "".join(char if char.isprintable() or char in "\n\t" else "�" for char in text)
