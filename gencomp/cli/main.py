"""The application: its commands, and how every failure becomes one line and an exit code."""

import os
import re
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Annotated, NoReturn

import typer

from gencomp import __version__
from gencomp.cli import compress, decompress, demo, explain, info, listing, sample, score, test
from gencomp.cli.console import complain, describe_error, exit_code_of
from gencomp.registry import DEFAULT_MODEL

app = typer.Typer(
    name="gencomp",
    help="A predictor is a compressor read backwards: compress with models, sample from compressors.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for name, function in (
    ("sample", sample.sample),
    ("compress", compress.compress),
    ("decompress", decompress.decompress),
    ("info", info.info),
    ("test", test.test),
    ("score", score.score),
    ("explain", explain.explain),
    ("list", listing.list_models),
    ("demo", demo.demo),
):
    app.command(name)(function)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gencomp {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


class _Terminated(BaseException):
    """SIGTERM, as an exception, so that temporary files are removed on the way out."""


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    raise _Terminated


def _with_levels(arguments: Sequence[str]) -> list[str]:
    """Return the command line with compress's -1 to -9 written out as models."""
    if "compress" not in arguments[:1]:
        return list(arguments)
    return [f"--model={DEFAULT_MODEL}:{word[1]}" if re.fullmatch("-[1-9]", word) else word for word in arguments]


def run(arguments: Sequence[str]) -> int:
    """Run one command line; return its exit code. No exception leaves, no traceback is printed."""
    try:
        return int(app(args=_with_levels(arguments), prog_name="gencomp", standalone_mode=False) or 0)
    except typer.TyperException as error:  # a wrong command line
        complain(f"{error.format_message().rstrip('.')}; see --help")
        return 2
    except (KeyboardInterrupt, typer.Abort):
        complain("interrupted")
        return 130
    except _Terminated:
        complain("terminated")
        return 143
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads: nothing to flush into
        return 1
    except Exception as error:
        complain(describe_error(error))
        return exit_code_of(error)


def _open_closed_streams() -> None:
    """Give each standard stream that was closed (``>&-``) a stand-in: nothing to read, and writing is an error."""
    if sys.stdin is None:
        sys.stdin = os.fdopen(os.open(os.devnull, os.O_RDONLY))
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDONLY), "w"))


def main() -> None:
    """The console script."""
    signal.signal(signal.SIGTERM, _terminate)
    _open_closed_streams()
    code = run(sys.argv[1:])
    if code == 130:
        complain("interrupted")
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:  # the results did not arrive
        if not code:
            complain(f"stdout: {describe_error(error)}")
        code = code or 1
    if code:
        os._exit(code)  # worker threads may be in the middle of a block: do not wait for them
