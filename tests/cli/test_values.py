"""Values that gencomp reads itself: as typer reads them, with the same complaints, and without pydantic."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from gencomp import compiled
from gencomp.cli import values
from gencomp.cli.app import application, run
from tests.conftest import ROOT

WORDS = [
    *("", " ", "a", "-", "é", "\udcff", "a b", "none", "None", "true", "false", "True", "\n", "1\n", "\x00"),
    *("0", "1", "-1", "+1", "007", "-0", "1_000", " 1", "1 ", "1.", ".5", "1.5", "-1.5"),
    *("1e3", "1E3", "1e-3", "1e+3", "1e999", "1e-999", "nan", "inf", "-inf"),
    *("0x10", "٣", "१", "65535", "65536", "4KiB", "1KiB", "-5KiB", "9" * 15, "9" * 16, "9" * 30, "9" * 5000),
    *("0.1", "0.30000000000000004", "123456789012345.123456789012345", "0." + "3" * 30),
]
OTHERS = [None, True, False, 0, 1, -1, 65535, 65536, 0.5, 1.0, float("inf"), b"a", Path("a")]
LISTS = [(), [], ("a",), ["1", "x"], [1], [None], [["a"]]]


def parameters() -> dict[str, Any]:
    group: Any = typer.main.get_command(application())
    commands = {"": group, **group.commands}
    return {f"{name} {one.opts[0]}": one for name, command in commands.items() for one in command.params}


def outcome(reader: Any, value: object, parameter: Any) -> tuple[str, object]:
    context = typer.Context(typer.core.TyperCommand("x"))
    try:
        found = reader.coerce(value, param=parameter, ctx=context)
    except Exception as error:
        message = error.format_message() if isinstance(error, typer.TyperException) else str(error)
        return type(error).__name__, message
    return type(found).__name__, repr(found)


def nobody() -> None:
    raise LookupError("typer was asked")


@pytest.mark.parametrize("share", range(4))
@pytest.mark.every(4)
def test_every_option_of_every_command_is_read_as_typer_reads_it(share: int) -> None:
    seen = plain = 0
    for name, parameter in list(parameters().items())[share::4]:
        typers, own = type(parameter).get_runtime_param(parameter), values.Reader(parameter)
        choices = parameter.type_descriptor.choices or ()
        words = [*WORDS, *choices, *(word.upper() for word in choices), *(word + " " for word in choices)]
        for value in [*OTHERS, *LISTS, *words, *([word] for word in words), tuple(words[2:5])]:
            expected = outcome(typers, value, parameter)
            assert outcome(own, value, parameter) == expected, (name, value)
            seen += 1
        own._typers = nobody
        plain += sum(outcome(own, value, parameter)[0] != "LookupError" for value in ("1", "a", True, ["a"], None))
    assert seen > 2_500
    assert plain > 100, "of these, most are read without typer"


@pytest.mark.parametrize(
    "line",
    [
        "compress --threads x",
        "compress --threads 0",
        "compress --block-size 1TiBB",
        "sample --temperature warm",
        "sample --alphabet All",
        "sample --strategy bytes,beam",
        "play --port 65536",
        "play --port",
        "decompress --max-work -1",
        "evaluate --jobs 1.5",
        "info --nothing",
        "--version=yes",
        "--traceback=1 list",
        "list --nothing",
        "lits",
    ],
)
def test_a_wrong_command_line_has_typers_complaint(
    line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(line.split())
    own = capsys.readouterr().err
    monkeypatch.setattr(values, "quick", list)
    assert (code, own) == (run(line.split()), capsys.readouterr().err)
    assert code == 2
    assert own.count("\n") == 1


def test_what_is_not_typers_stays_as_it_is() -> None:
    class Strange:
        get_runtime_param = None  # a method of this name, and nothing else that is known

    class Stranger:
        pass

    parameters = [Strange(), Stranger()]
    assert values.quick(parameters) == parameters
    assert [vars(one) for one in parameters] == [{}, {}]


def test_what_else_typer_asks_a_reader_goes_to_its_own() -> None:
    parameter = parameters()["compress --threads"]
    assert values.Reader(parameter).annotation is int
    with pytest.raises(AttributeError):
        _ = values.Reader(parameter).nothing


HEAVY = {"numba", "llvmlite", "scipy", "torch", "transformers", "matplotlib", "PIL", "pydantic", "rich", "email"}
HEAVY |= {"numpy.ma", "numpy.polynomial", "numpy.fft"}
LINES = r"""
import sys
from gencomp.cli.app import run
for line in sys.argv[1:]:
    assert run(line.split()) == 0, line
print(*sys.modules, sep="\n", file=sys.stderr)
"""


@pytest.mark.skipif(compiled.way != "library", reason=f"no library of kernels: {compiled.why}")
def test_a_command_loads_nothing_that_it_does_not_use(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"a text, and some more text; " * 10)
    lines = [
        "--help",
        "--version",
        "compress -q text",
        "compress -q -m mix:1 --threads 1 --block-size 1KiB --max-work 100 text -o other",
        "decompress -q -o back text.gcz",
        "info other",
        "test text.gcz",
        "sample -m best --prompt aaaa -n 3 --seed 1",
        "score -m rnn text",
        "explain -m mix:1 text",
        "sample --compressor gzip --prompt aaaa -n 3 --seed 1 --temperature 0.5 --strategy bytes",
        "score -m gzip text",
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    for part, unused in ((lines[:2], HEAVY | {"numpy"}), (lines[2:], HEAVY)):
        command = [sys.executable, "-c", LINES, *part]
        result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
        assert result.returncode == 0, result.stderr.decode()
        assert not set(result.stderr.decode().splitlines()) & unused
