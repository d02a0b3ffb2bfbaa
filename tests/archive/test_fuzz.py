"""Some cases of benchmarks/fuzz_archives.py, in a process of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def run(*arguments: str) -> str:
    command = [sys.executable, ROOT / "benchmarks" / "fuzz_archives.py", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result.stdout


@pytest.mark.thorough  # tests/archive/test_hostile.py has those that found something
def test_forged_archives_states_and_searches() -> None:
    found = run("--few", "--cases", "300", "--states", "60", "--searches", "40", "--seed", "20")
    assert "0 wrong" in found
    for word in (
        "'read'",
        "ArchiveError",
        "ModelMismatchError",
        "BudgetError",
        "'taken'",
        "CorruptDataError",
        "'drawn'",
    ):
        assert word in found, f"no case ended as {word}: {found}"


@pytest.mark.slow
def test_more_of_them() -> None:
    assert "0 wrong" in run("--cases", "100000", "--states", "10000", "--searches", "2000", "--seed", "1")
