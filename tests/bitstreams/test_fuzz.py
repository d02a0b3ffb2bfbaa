"""Some of the cases of benchmarks/fuzz_codecs.py --sizers, in a process of their own, on every run of the suite."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard

from gencomp.bitstreams import lzma_state
from gencomp.compressors import lzma, zstd

ROOT = Path(__file__).parent.parent.parent

pytestmark = pytest.mark.skipif(
    (zstandard.ZSTD_VERSION, lzma_state.version()) != (zstd.CHECKED_VERSION, lzma.CHECKED_VERSION),
    reason="these libraries may decide otherwise, which is noticed",
)


def run(cases: int, seed: int) -> None:
    command = [sys.executable, ROOT / "benchmarks" / "fuzz_codecs.py", "--sizers"]
    command += ["--cases", str(cases), "--seed", str(seed)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    done = {name: int(number) for name, number in re.findall(r"^(lzma|zstd): (\d+) cases", result.stdout, re.MULTILINE)}
    assert set(done) == {"lzma", "zstd"}
    assert min(done.values()) >= cases, result.stdout
    assert result.stdout.count(" 0 differences") == 2, result.stdout


@pytest.mark.thorough
def test_thousands_of_cases_of_each_sizer() -> None:
    run(3000, 20)


@pytest.mark.slow
def test_a_million_of_them() -> None:
    run(1_000_000, 21)
