"""Compiled code where there is nowhere to keep it: slower, said once, and the same results."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from numba.core.caching import CacheImpl, FunctionCache

from gencomp import compiled
from gencomp.errors import GencompWarning
from tests.conftest import ROOT

# numba as in a read-only installation, without a home that can be written
NOWHERE = (
    "import numba.core.caching as caching; caching.CacheImpl._locator_classes = []\n"
    "import sys; from gencomp.cli.main import main; sys.argv = ['gencomp', *sys.argv[1:]]; main()\n"
)


def commands(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    return subprocess.run(
        [sys.executable, "-c", NOWHERE, *arguments], capture_output=True, cwd=folder, env=environment, check=False
    )


def test_commands_work_without_a_cache_and_say_so_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"some text, some more text; " * 40)
    result = commands(tmp_path, "compress", "-q", "file", "-m", "uniform")
    assert (result.returncode, result.stdout) == (0, b"")
    line = result.stderr.decode()
    assert line.startswith("note: compiled code cannot be kept, so that each run compiles anew")
    assert "NUMBA_CACHE_DIR" in line
    assert line.count("\n") == 1
    result = commands(tmp_path, "info", "file.gcz")
    assert result.returncode == 0
    assert b"cannot be kept" not in result.stderr, "nothing is compiled for it"


def test_kernels_without_a_folder_compile_uncached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_told", False)
    monkeypatch.setattr(CacheImpl, "_locator_classes", [])
    kernels = [make(double) for make in (compiled.kernel, compiled.lean_kernel, compiled.fragment)]
    with pytest.warns(GencompWarning, match="compiled code cannot be kept") as warned:
        assert [kernel(4) for kernel in kernels] == [8, 8, 8]
    assert len(warned) == 1


def double(number: int) -> int:
    return 2 * number


def broken(*_: object) -> None:
    raise OSError(28, "No space left on device")


def cut_short(*_: object) -> None:
    raise EOFError("Ran out of input")


@pytest.mark.parametrize("failure", [broken, cut_short])
@pytest.mark.parametrize("step", ["load_overload", "save_overload"])
def test_a_cache_that_fails_later_costs_time_alone(step: str, failure: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_told", False)
    monkeypatch.setattr(FunctionCache, "load_overload", lambda *_: None)  # it may know the function from before
    monkeypatch.setattr(FunctionCache, step, failure)
    kernel = compiled.kernel(double)
    with pytest.warns(GencompWarning, match="cannot be kept"):
        assert kernel(21) == 42


def test_workers_leave_it_to_their_parent_to_say() -> None:
    from gencomp.executors import LocalPool

    pool = LocalPool(1)
    try:
        assert pool.submit(shown_warnings, 1).result(120) == 0
    finally:
        pool.close()


def shown_warnings(count: int) -> int:
    with warnings.catch_warnings(record=True) as caught:
        for _ in range(count):
            warnings.warn("slow", GencompWarning, stacklevel=1)
    return len(caught)
