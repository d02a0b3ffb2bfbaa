"""Every example runs, and prints what it promises."""

import json
import operator
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from gencomp import registry
from tests.conftest import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("[0-9][0-9]_*.py"))
NAME = operator.attrgetter("name")
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


def test_examples_are_numbered_without_gaps() -> None:
    assert [path.name[:2] for path in EXAMPLES] == [f"{number:02}" for number in range(1, len(EXAMPLES) + 1)]
    assert len(EXAMPLES) >= 5


def assert_promise_kept(path: Path, printed: str) -> None:
    promised = path.read_text().split('"""')[1].split("Prints:")[1].split()
    assert promised
    for word in promised:
        assert word in printed, f"{word!r} is promised and not printed"


SLOW = {"09_gzip_in_transformers.py": pytest.mark.thorough}  # tests/test_hf.py tests what it shows


@pytest.mark.parametrize("path", [pytest.param(path, marks=SLOW.get(path.name, ())) for path in EXAMPLES], ids=NAME)
@pytest.mark.every(2)
def test_example(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As ``python PATH`` runs it, but in this process, which has imported the package."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(path)])
    monkeypatch.setattr(registry, "_ENTRIES", dict(registry._ENTRIES))  # some add a model
    runpy.run_path(str(path), run_name="__main__")
    printed, errors = capfd.readouterr()
    assert errors == ""
    assert_promise_kept(path, printed)


@pytest.mark.thorough
@pytest.mark.parametrize("path", EXAMPLES, ids=NAME)
def test_example_as_a_program(path: Path, tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, "-W", "error", str(path)], cwd=tmp_path, capture_output=True, check=False)
    assert run.returncode == 0, run.stderr.decode()
    assert run.stderr == b""
    assert_promise_kept(path, run.stdout.decode())


def test_there_are_three_lessons() -> None:
    assert [path.stem for path in NOTEBOOKS] == [
        "language-modelling-is-compression",
        "what-gzip-sees",
        "your-own-predictor",
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_shows_its_results(path: Path) -> None:
    """What is kept in the file comes from a run of the same cells."""
    kept = json.loads(path.read_text(encoding="utf-8"))
    assert (kept["nbformat"], kept["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in kept["cells"]}) == len(kept["cells"])
    code = [cell for cell in kept["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] or "class " in "".join(cell["source"]) for cell in code)


@pytest.mark.thorough
def test_notebooks_run() -> None:
    """The cells assert what their texts say."""
    command = [sys.executable, "-W", "error", str(ROOT / "examples/notebooks.py"), "--check"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert re.findall(r"^(\S+): ", run.stderr, re.MULTILINE) == [path.name for path in NOTEBOOKS]


def test_a_cell_that_fails_fails_the_run(tmp_path: Path) -> None:
    script = tmp_path / "notebooks.py"
    script.write_text((ROOT / "examples/notebooks.py").read_text())
    cells = [{"cell_type": "code", "id": "one", "metadata": {}, "source": ["x = 1\n", "print(x)\n", "x + 1"]}]
    book = tmp_path / "book.ipynb"
    book.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    subprocess.run([sys.executable, str(script)], check=True, capture_output=True)
    printed, result = json.loads(book.read_text())["cells"][0]["outputs"]
    assert printed["text"] == ["1\n"]
    assert result["data"]["text/plain"] == ["2"]
    cells.append({**cells[0], "id": "two", "source": ["assert x == 2"]})
    book.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    run = subprocess.run([sys.executable, str(script), "--check"], check=False, capture_output=True, text=True)
    assert run.returncode == 1
    assert "in cell two" in run.stderr
