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
from gencomp.cli import (
    audit,
    classify,
    compare,
    compress,
    decompress,
    demo,
    distance,
    evaluate,
    explain,
    info,
    listing,
    report,
    sample,
    score,
    test,
    train,
)
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
    ("evaluate", evaluate.evaluate),
    ("compare", compare.compare),
    ("report", report.report),
    ("distance", distance.distance),
    ("classify", classify.classify),
    ("audit", audit.audit),
    ("train", train.train),
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
    """SIGTERM or SIGHUP, as an exception, so that temporary files are removed on the way out."""

    def __init__(self, signum: int) -> None:
        self.signum = signum


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    raise _Terminated(signum)


_TAKE_A_VALUE = {"-m", "--model", "--compressor", "-o", "--output", "-T", "--threads", "--block-size"}


def _with_levels(arguments: Sequence[str]) -> list[str]:
    """Return the command line with compress's -1 to -9 written out as models; values and names stay what they are."""
    words = list(arguments)
    if "compress" not in words[:1]:
        return words
    end = words.index("--") if "--" in words else len(words)
    for place in range(1, end):
        if re.fullmatch("-[1-9]", words[place]) and words[place - 1] not in _TAKE_A_VALUE:
            words[place] = f"--model={DEFAULT_MODEL}:{words[place][1]}"
    return words


def run(arguments: Sequence[str]) -> int:
    """Run one command line; return its exit code. No exception leaves, no traceback is printed."""
    try:
        return int(app(args=_with_levels(arguments), prog_name="gencomp", standalone_mode=False) or 0)
    except typer.TyperException as error:  # a wrong command line
        complain(f"{describe_error(error).rstrip('.')}; see --help")
        return 2
    except (KeyboardInterrupt, typer.Abort):
        complain("interrupted")
        return 130
    except _Terminated as stop:
        complain("terminated")
        return 128 + stop.signum
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads: nothing to flush into
        return 1
    except Exception as error:
        complain(describe_error(error))
        return exit_code_of(error)


def _open_closed_streams() -> None:
    """Give each standard stream that was closed (``>&-``) a stand-in on which every read or write is an error."""
    if sys.stdin is None:
        sys.stdin = os.fdopen(os.open(os.devnull, os.O_WRONLY))
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDONLY), "w"))


def main() -> None:
    """The console script."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores it
            signal.signal(number, _terminate)
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
