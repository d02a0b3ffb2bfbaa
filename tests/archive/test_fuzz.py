"""Some cases of benchmarks/fuzz_archives.py, in a process of their own, on every run of the suite."""

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


def test_forged_archives_states_and_searches() -> None:
    found = run("--few", "--cases", "60", "--states", "20", "--searches", "15", "--seed", "20")
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
