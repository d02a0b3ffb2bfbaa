"""One contract for every command: a new one is a file, and needs no new test."""

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, get_args

import pytest
import typer

from gencomp.cli import app
from gencomp.cli.groups import grouped
from gencomp.cli.main import run


def function_of(place: str) -> Callable[..., None]:
    module, _, function = place.partition(":")
    return getattr(importlib.import_module(f"gencomp.cli.{module}"), function or module)


COMMANDS = {name: function_of(place) for name, place in app.COMMANDS.items()}
ALL = pytest.mark.parametrize("name", COMMANDS)


def options(name: str) -> list[tuple[str, typer.models.ParameterInfo]]:
    """Return (parameter, what typer is told of it) of a command."""
    hints = inspect.get_annotations(COMMANDS[name], eval_str=True)
    return [(key, get_args(hint)[1]) for key, hint in hints.items() if key != "return"]


def test_every_file_is_a_command_or_a_helper() -> None:
    files = {path.stem for path in Path(app.__file__).parent.glob("*.py")} - {"__init__"}
    assert files >= app.HELPERS
    assert files - app.HELPERS == {place.partition(":")[0] for place in app.COMMANDS.values()}
    assert [command.name for command in app.application().registered_commands] == list(COMMANDS)


@ALL
def test_says_what_it_does(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    told = capsys.readouterr().out
    first = (COMMANDS[name].__doc__ or "").split("\n")[0]
    assert first.endswith(".")
    assert first[0].isupper()
    assert " ".join(first.split()) in " ".join(told.split())
    assert run(["--help"]) == 0
    assert f"  {name} " in capsys.readouterr().out


@ALL
def test_every_option_is_explained(name: str) -> None:
    for key, told in options(name):
        assert told.help, f"{name}: {key}"
        assert told.help[-1] in ".]", f"{name}: {key}"


@ALL
def test_a_wrong_option_is_one_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--no-such-option"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("gencomp: ")
    assert told.count("\n") == 1


@ALL
def test_a_file_that_is_not_there_is_named(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    takes = [told for _, told in options(name) if isinstance(told, typer.models.ArgumentInfo)]
    if not takes or "FILE" not in (takes[0].metavar or ""):
        pytest.skip("takes no file")
    missing = str(tmp_path / "missing")
    # typer takes an annotation's first name for the default
    names = {name for _, told in options(name) for name in (told.default, *(told.param_decls or ()))}
    has_output = "--output" in names
    more = ["-o", str(tmp_path / "out")] if has_output else []
    assert run([name, missing, *more]) in (1, 2)
    told = capsys.readouterr().err
    assert "missing" in told
    assert "Traceback" not in told


@dataclass(frozen=True)
class Pair:
    left: Annotated[int, typer.Option(help="One.")] = 1
    right: Annotated[int, typer.Option(help="The other.")] = 2


def test_a_group_is_an_option_a_field() -> None:
    made = []

    @grouped
    def command(name: str, pair: Pair = Pair(), quiet: bool = False) -> None:
        made.append((name, pair, quiet))

    assert list(inspect.signature(command).parameters) == ["name", "left", "right", "quiet"]
    command(name="a", left=5, right=6, quiet=True)
    assert made == [("a", Pair(5, 6), True)]
    with pytest.raises(TypeError, match="command has two options named left"):

        @grouped
        def command(left: int, pair: Pair = Pair()) -> None: ...
