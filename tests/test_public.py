"""What other programs may rely on: the names that are exported, and their types."""

import importlib
import inspect
import pkgutil
import subprocess
import sys

import pytest

import gencomp
from tests.conftest import ROOT

# the names that are promised; one that goes, or comes, changes this list, and the changelog
NAMES = {
    "ArithmeticCompressor",
    "Candidates",
    "CodeLengthPredictor",
    "Compressor",
    "Entry",
    "Explanation",
    "GencompError",
    "Interval",
    "NetworkPredictor",
    "Parse",
    "Predictor",
    "Score",
    "as_compressor",
    "as_predictor",
    "candidates",
    "code_length",
    "compress",
    "costs",
    "decode_bits",
    "decompress",
    "explain",
    "load",
    "open",
    "parse",
    "register",
    "sample",
    "score",
    "score_many",
    "spec_of",
}


def test_the_exported_names_are_those_that_are_promised() -> None:
    assert set(gencomp.__all__) == NAMES
    assert set(gencomp._HOMES) == NAMES
    for name in NAMES:
        found = getattr(gencomp, name)
        assert found.__module__ == gencomp._HOMES[name], name
        assert found.__name__ == name


def test_what_type_checkers_see_is_what_is_there() -> None:
    """The imports under TYPE_CHECKING and the homes of the names say the same."""
    source = inspect.getsource(gencomp)
    for name, home in gencomp._HOMES.items():
        line = next(line for line in source.splitlines() if line.strip().startswith(f"from {home} import"))
        assert name in line.replace(",", " ").split(), name


def test_every_module_with_a_list_has_its_names() -> None:
    seen = 0
    for module in pkgutil.walk_packages(gencomp.__path__, "gencomp."):
        if module.name.partition(".")[2].split(".")[0] in ("equivalence", "registry", "specs", "sampling", "archive"):
            code = importlib.import_module(module.name)
            names = getattr(code, "__all__", [])
            assert all(hasattr(code, name) for name in names), module.name
            seen += bool(names)
    assert seen >= 2


def test_a_typed_program_is_checked_and_no_wrong_one_passes() -> None:
    pytest.importorskip("mypy")
    words = [sys.executable, "-m", "mypy", "--strict", "tests/typed_consumer.py"]
    run = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
