"""The application: its commands, and how every failure becomes one line and an exit code."""

import importlib
import pkgutil
import re
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

import gencomp.cli
from gencomp import __version__
from gencomp.cli.console import (
    begin_command,
    complain,
    describe_error,
    own_warnings,
    report_failure,
    show_tracebacks,
    whole_stdout,
)
from gencomp.cli.main import Terminated
from gencomp.cli.values import Command, Group
from gencomp.registry import model_of_level

INTERRUPTED = 130  # the exit code

# the modules of this package that are not commands
HELPERS = {
    "app",
    "main",
    "start",
    "batch",
    "console",
    "documents",
    "gcz",
    "groups",
    "options",
    "results",
    "sample_notes",
    "values",
}
# in the order of the help; a command is the function of its name in the module of its name, unless another is given
_PLACES = {
    "sample": "sample",
    "compress": "compress",
    "decompress": "decompress",
    "info": "info",
    "test": "test",
    "score": "score",
    "explain": "explain",
    "evaluate": "evaluate",
    "compare": "compare",
    "report": "report",
    "distance": "distance",
    "classify": "classify",
    "audit": "audit",
    "play": "play",
    "train": "train",
    "list": "listing:list_models",
    "demo": "demo",
}


def _commands() -> dict[str, str]:
    """Return where each command is: those above, then every other module of this package that is not a helper."""
    known = HELPERS | {place.partition(":")[0] for place in _PLACES.values()}
    others = sorted(module.name for module in pkgutil.iter_modules(gencomp.cli.__path__) if module.name not in known)
    return {**_PLACES, **{name: name for name in others}}


COMMANDS = _commands()


def application(only: str = "") -> typer.Typer:
    """Return the application with all commands, or with only the named one, so that nothing else is imported."""
    app = typer.Typer(
        name="gencomp",
        cls=Group,
        help="A predictor is a compressor read backwards: compress with models, sample from compressors.",
        no_args_is_help=True,
        add_completion=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_common)
    for name, place in COMMANDS.items():
        if only in ("", name):
            module, _, function = place.partition(":")
            home = importlib.import_module(f"gencomp.cli.{module}")
            app.command(name, cls=Command)(getattr(home, function or module))
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gencomp {__version__}")
        raise typer.Exit


def _common(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Before a command: if it fails, show where in the code.")
    ] = False,
) -> None:
    show_tracebacks(traceback)


_TAKE_A_VALUE = {"-m", "--model", "--compressor", "-o", "--output", "-T", "--threads", "--block-size"}


def _with_levels(arguments: Sequence[str]) -> list[str]:
    """Return the command line with compress's -1 to -9 written out as models; values and file names stay as they are.

    An empty command line asks for help.
    """
    words = list(arguments)
    if words in ([], ["--traceback"]):
        return ["--help"]
    start = 1 + (words[:1] == ["--traceback"])
    if words[start - 1 : start] != ["compress"]:
        return words
    end = words.index("--") if "--" in words else len(words)
    for place in range(start, end):
        if re.fullmatch("-[1-9]", words[place]) and words[place - 1] not in _TAKE_A_VALUE:
            words[place] = f"--model={model_of_level(int(words[place][1]))}"
    return words


def run(arguments: Sequence[str]) -> int:
    """Run one command line; return its exit code. No exception escapes; ``--traceback`` prints its traceback."""
    show_tracebacks(False)
    begin_command(arguments)
    stderr = sys.stderr
    try:
        with own_warnings(), whole_stdout():
            words = _with_levels(arguments)
            named = next((word for word in words if not word.startswith("-")), "")
            app = application(named if named in COMMANDS else "")
            code = int(app(args=words, prog_name="gencomp", standalone_mode=False) or 0)
            if not code:
                sys.stdout.flush()
        if code == INTERRUPTED:  # typer turns a KeyboardInterrupt into this
            complain("interrupted")
        return code
    except typer.TyperException as error:  # a wrong command line
        complain(f"{describe_error(error).rstrip('.')}; see --help")
        return 2
    except (KeyboardInterrupt, typer.Abort):
        complain("interrupted")
        return INTERRUPTED
    except Terminated as stop:
        complain("terminated")
        return 128 + stop.signum
    except BrokenPipeError:  # nobody reads, so there is nobody to tell
        return 1
    except SystemExit as stop:  # typer's, on a BrokenPipeError and after an answer to a shell's completion
        return stop.code if isinstance(stop.code, int) else 1
    except Exception as error:
        return report_failure(error)
    finally:
        sys.stderr = stderr  # typer has wrapped it
