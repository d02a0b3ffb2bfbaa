"""What goes to stderr, messages, errors as one line and progress, and what may go to stdout."""

import dis
import io
import json
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import typer

from gencomp.errors import GencompError, GencompWarning
from gencomp.files import WholeWriter, flush_fully, write_fully
from gencomp.labels import visible

_tracebacks = False
_arguments: list[str] = []  # of the running command
# a stream's error handlers for characters that its encoding lacks, but for those that raise
_LENIENT = ("ignore", "replace", "backslashreplace", "namereplace", "xmlcharrefreplace")


def note(message: str) -> None:
    """Print a message to stderr in full, if there is a stderr."""
    stream = sys.stderr
    with suppress(OSError, AttributeError):  # stderr is None, closed or full: there is nobody to tell
        if hasattr(stream, "buffer"):
            stream.flush()
            line = visible(message) + "\n"
            write_fully(stream.buffer, line.encode(stream.encoding or "ascii", "backslashreplace"))
            flush_fully(stream)
        else:
            stream.write(visible(message) + "\n")


def show(line: str = "") -> None:
    """Print one line to stdout, with everything that could steer a terminal or begin another line as an escape."""
    print(visible(line))


def show_json(record: object, **options: Any) -> None:
    """Print JSON to stdout, with non-ASCII characters as they are if stdout's encoding has them."""
    text = json.dumps(record, ensure_ascii=False, **options)
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        text = json.dumps(record, **options)
    print(text)


def shown_as(text: str, plain: str) -> str:
    """Return ``text`` if stdout can encode it, else ``plain``."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return plain
    return text


@contextmanager
def whole_stdout() -> Iterator[None]:
    """Make everything printed inside the block arrive, or raise; characters that stdout cannot encode become escapes.

    Left to itself, Python loses bytes on a raw stdout (``PYTHONUNBUFFERED=1``) and stops at such a character. To learn
    whether the last bytes have arrived, flush before the block ends.
    """
    stream = sys.stdout
    if not hasattr(stream, "buffer"):  # a caller's own, which takes text
        yield
        return
    twin = io.TextIOWrapper(
        WholeWriter(stream),
        encoding=stream.encoding,
        errors=stream.errors if stream.errors in _LENIENT else "backslashreplace",
        line_buffering=bool(stream.line_buffering),
        write_through=getattr(stream, "write_through", False),
    )
    sys.stdout = twin
    try:
        yield
    finally:
        sys.stdout = stream
        with suppress(OSError, ValueError):
            twin.detach()


@contextmanager
def own_warnings() -> Iterator[None]:
    """Show gencomp's own warnings as notes on stderr, and leave others alone."""
    original = warnings.showwarning

    def show_warning(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, GencompWarning):
            note(f"note: {in_flags(str(message))}")
        else:
            original(message, category, *where, **more)

    warnings.showwarning = show_warning
    try:
        yield
    finally:
        warnings.showwarning = original


def complain(message: str) -> None:
    """Print an error as one line to stderr."""
    note("gencomp: " + " ".join(message.split()))


def begin_command(arguments: Sequence[str]) -> None:
    """Keep the command line, for records of how a result was made."""
    _arguments[:] = arguments


def command_line() -> list[str]:
    """Return the arguments of the running command."""
    return list(_arguments)


def show_tracebacks(wanted: bool) -> None:
    """Set whether :func:`report_failure` says where in the code an error was raised."""
    global _tracebacks
    _tracebacks = wanted


def report_failure(error: BaseException, name: str = "-") -> int:
    """Print an error as one line, with the input's ``name`` if it is a file; return its exit code."""
    if _tracebacks:
        for lines in traceback.format_exception(error):
            for line in lines.rstrip("\n").split("\n"):
                note(line)
    text = describe_error(error)
    complain(text if text.startswith(name) or name == "-" else f"{name}: {text}")
    return exit_code_of(error)


# the command line's options for parameters that the library's messages name
FLAGS = {
    "held_out": "--held-out",
    "jobs": "--jobs",
    "learning_rate": "--learning-rate",
    "max_memory": "--max-memory",
    "max_output": "--max-output",
    "max_work": "--max-work",
    "model": "-m",
    "overwrite": "-f",
    "port": "--port",
    "resume": "--resume",
    "try_anyway": "--try-anyway",
}
_PARAMETER = re.compile(rf"(?<![\w?&'\"])({'|'.join(FLAGS)})=(?:True\b)?(?=(\S?))")


def in_flags(message: str) -> str:
    """Return a library's message with parameters, ``name=value`` or ``name=``, turned into command-line options.

    >>> in_flags("made with model='gzip'; replace it with overwrite=True, or max_memory=100")
    "made with -m 'gzip'; replace it with -f, or --max-memory 100"
    """
    return _PARAMETER.sub(
        lambda found: FLAGS[found[1]] + (" " if found[2].isalnum() or found[2] in ("'", '"') else ""), message
    )


def describe_error(error: BaseException) -> str:
    """Return one line: what was found, what was expected, what to do, in the command line's terms."""
    return in_flags(_described(error))


def _described(error: BaseException) -> str:
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename is not None else ""
        return f"{where}{error.strerror or error or type(error).__name__}"
    if isinstance(error, MemoryError):
        return f"out of memory{f': {error}' if str(error) else ''}; try fewer --threads or a smaller --block-size"
    if isinstance(error, typer.TyperException):
        # pydantic begins with "Value error, ", and typer passes that on
        return error.format_message().replace("Value error, ", "", 1)
    if isinstance(error, RecursionError):
        return "what was given is nested too deeply; use fewer levels"
    if isinstance(error, GencompError | GencompWarning) or _is_about_an_argument(error):
        return str(error)
    return (
        f"internal error: {type(error).__name__}: {error}; please report it, "
        "with the output of the same command after `gencomp --traceback`"
    )


def exit_code_of(error: BaseException) -> int:
    """Return the exit code: 1 input or output, 2 usage, 3 damaged archive, 4 model, 5 internal."""
    if isinstance(error, GencompError):
        return error.exit_code
    if isinstance(error, OSError | MemoryError | GencompWarning):  # warnings are errors where Python is told so
        return 1
    return 2 if isinstance(error, RecursionError | typer.TyperException) or _is_about_an_argument(error) else 5


def _is_about_an_argument(error: BaseException) -> bool:
    """Return whether gencomp itself raised a ``ValueError``, which it does on wrong arguments (:mod:`gencomp.errors`).

    One from a library, or from an operation such as adding arrays of two shapes, is a fault of the code that called it.
    Its traceback does not end in a ``raise``, or ends in another package's.
    """
    if not isinstance(error, ValueError) or error.__traceback__ is None:
        return isinstance(error, ValueError)
    last = error.__traceback__
    while last.tb_next is not None:
        last = last.tb_next
    code = last.tb_frame.f_code
    raised = code.co_code[last.tb_lasti] == dis.opmap["RAISE_VARARGS"]
    return raised and last.tb_frame.f_globals.get("__name__", "").startswith("gencomp.")


@contextmanager
def progress_bar(label: str, total: int | None, *, quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """Show a bar if stderr is a terminal; yield the function that advances it by n bytes."""
    if quiet or not sys.stderr.isatty():
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(visible(label), total=total)
        yield lambda count: progress.advance(task, count)


@contextmanager
def step_progress(
    label: str, steps: int, *, quiet: bool = False
) -> Iterator[Callable[[int, float, float | None], None]]:
    """Yield what a training loop calls with (step, loss, held-out loss): it shows a bar on a terminal, else lines."""
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

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=steps)

        def report(step: int, loss: float, held_out: float | None) -> None:
            progress.update(task, completed=step, description=f"{label}, {loss:.3f} bits/byte")
            if held_out is not None:
                progress.console.print(f"step {step:,}: {held_out:.4f} bits/byte held out")

        yield report


def printable(data: bytes) -> str:
    """Return ``data`` as text for a terminal: valid UTF-8 and line ends stay, everything else becomes U+FFFD."""
    text = data.decode("utf-8", "replace").replace("\r", "")
    return "".join(char if char.isprintable() or char in "\n\t" else "�" for char in text)
