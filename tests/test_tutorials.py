"""The tutorials' files, added to a copy of the package: one file and one line each, and the contract holds for them.

In the copy everything that is not touched is a link, compiled kernels among it.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


def tutorial(name: str) -> tuple[str, str, str]:
    """Return what a tutorial adds: the place of its file, the file's text, and the line for the registry, if any."""
    text = (ROOT / f"docs/tutorials/{name}.md").read_text(encoding="utf-8")
    (place,) = re.findall(r"^## The file\n\n`(gencomp/.*\.py)`:$", text, re.MULTILINE)
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    lines = re.findall(r"^    Entry\(.*\),\n", text, re.MULTILINE)
    assert len(lines) == (name != "command")
    return place, code, "".join(lines)


def link_all(source: Path, target: Path, apart: set[str]) -> None:
    """Make a folder whose entries are links to those of another, but for those ``apart``, and caches."""
    target.mkdir(parents=True)
    for entry in source.iterdir():
        if entry.name not in apart | {"__pycache__"}:
            (target / entry.name).symlink_to(entry)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a folder with the package and its contract."""
    link_all(ROOT / "gencomp", tmp_path / "gencomp", {"registry.py", "compressors", "predictors", "cli"})
    for part in ("compressors", "predictors", "cli"):
        link_all(ROOT / "gencomp" / part, tmp_path / "gencomp" / part, set())
    shutil.copy(ROOT / "gencomp/registry.py", tmp_path / "gencomp")
    shutil.copytree(ROOT / "tests/contract", tmp_path / "tests/contract", ignore=shutil.ignore_patterns("__pycache__"))
    for file in (ROOT / "tests").glob("*.py"):
        if not file.name.startswith("test_"):
            shutil.copy(file, tmp_path / "tests")
    shutil.copytree(ROOT / "tests/data", tmp_path / "tests/data")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def contract(folder: Path, names: list[str], *paths: str, **environment: str) -> str:
    """Run the contract for some names; return what pytest said, which is no failure."""
    chosen = [f"tests/contract/{path}" for path in paths]
    named = " or ".join(f"[{name}]" for name in names)
    words = ["-q", "-n0", "-p", "no:cacheprovider", "-k", f"{named} or is_tried or every_file", *chosen]
    environment = {**os.environ, "PYTHONPATH": str(folder), **environment}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def passed(said: str) -> int:
    return int(re.findall(r"(\d+) passed", said)[0])


CONTRACTS = {"codec": ("test_compressors.py",), "predictor": ("test_predictors.py", "test_causality.py")}


def add_model(kind: str, copy: Path) -> str:
    """Add a tutorial's file and its line; return the model's name."""
    place, code, line = tutorial(kind)
    assert not (copy / place).exists()
    (copy / place).write_text(code, encoding="utf-8")
    registry = copy / "gencomp/registry.py"
    text = registry.read_text(encoding="utf-8")
    assert text.count("\n)\n\nDEFAULT_MODEL") == 1
    registry.write_text(text.replace("\n)\n\nDEFAULT_MODEL", f"\n{line})\n\nDEFAULT_MODEL"), encoding="utf-8")
    return Path(place).stem


def add_command(copy: Path) -> None:
    place, code, _ = tutorial("command")
    (copy / place).write_text(code, encoding="utf-8")


@pytest.mark.thorough
def test_a_model_is_a_file_and_a_line_and_a_command_a_file(copy: Path) -> None:
    add_command(copy)
    names = ["spread", *(add_model(kind, copy) for kind in CONTRACTS)]
    paths = ["test_commands.py", "test_arguments.py", *sum(CONTRACTS.values(), ())]
    said = contract(copy, names, *paths, GENCOMP_KERNELS="python", HYPOTHESIS_PROFILE="brief")
    assert passed(said) >= 22
    assert "failed" not in said
    (copy / "data").write_bytes(b"abab" * 8)
    run = subprocess.run(
        [sys.executable, "-m", "gencomp", "spread", "data"], cwd=copy, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["raw", "bytes", "32", "different", "bytes", "2", "entropy", "1.0"]


@pytest.mark.thorough
@pytest.mark.parametrize("kind", CONTRACTS)
def test_each_alone_with_compiled_kernels(kind: str, copy: Path) -> None:
    said = contract(copy, [add_model(kind, copy)], *CONTRACTS[kind], "test_arguments.py")
    assert passed(said) >= 9
    assert "failed" not in said


@pytest.mark.parametrize("kind", ["codec", "predictor", "command"])
def test_the_files_are_in_the_projects_style(kind: str, tmp_path: Path) -> None:
    place, code, _ = tutorial(kind)
    options = ["--config", str(ROOT / "pyproject.toml"), "--stdin-filename", str(ROOT / place)]
    ruff = [sys.executable, "-m", "ruff"]
    checked = subprocess.run([*ruff, "check", *options, "-"], input=code, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
    formatted = subprocess.run([*ruff, "format", *options, "-"], input=code, capture_output=True, text=True, check=True)
    assert formatted.stdout == code
