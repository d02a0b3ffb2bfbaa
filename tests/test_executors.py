"""The same results from one process, several, and a cluster, with workers killed on the way."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gencomp import executors
from gencomp.errors import WorkersLostError
from gencomp.executors import MAX_LOSSES, LocalPool, SerialPool, finished, open_pool
from tests.conftest import ROOT


def double(number: int) -> int:
    return 2 * number


def fail(number: int) -> int:
    raise ValueError(f"no {number}")


def die_once(path: str) -> str:
    """Kill the worker the first time that the task runs; there is a file to remember it by."""
    seen = Path(path)
    if seen.name == "deadly" and not seen.exists():
        seen.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return seen.name


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def parent_of(number: int) -> int:
    return os.getppid()


def test_serial() -> None:
    assert sorted(finished(SerialPool(), double, range(100))) == [(n, 2 * n) for n in range(100)]
    with pytest.raises(ValueError, match="no [01]"):
        list(finished(SerialPool(), fail, range(3)))
    assert list(finished(SerialPool(), double, [])) == []


def test_tasks_are_taken_when_a_worker_is_free() -> None:
    taken = []
    results = finished(SerialPool(), double, (taken.append(n) or n for n in range(100)))
    next(results)
    assert len(taken) <= 2


def test_processes_and_a_lost_one(tmp_path: Path) -> None:
    names = [str(tmp_path / name) for name in ("a", "b", "deadly", "c", "d")]
    with open_pool(2) as pool:
        assert isinstance(pool, LocalPool)
        found = dict(finished(pool, die_once, names))
        assert found == {name: Path(name).name for name in names}
        with pytest.raises(ValueError, match="no 7"):
            list(finished(pool, fail, [7]))
        assert [result for _, result in finished(pool, parent_of, [1])] == [os.getpid()], "renewed, and still usable"


@pytest.mark.slow
def test_workers_that_die_again_and_again_are_an_error() -> None:
    with open_pool(2) as pool, pytest.raises(WorkersLostError, match=f"workers died {MAX_LOSSES + 1} times"):
        list(finished(pool, die, range(4)))


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense://x"])
@pytest.mark.thorough
def test_a_cluster_that_cannot_be_reached(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "CONNECT_SECONDS", 0.5)
    with pytest.raises(WorkersLostError, match=f"no Dask scheduler answers at {address}"), open_pool(1, address):
        pass


PARENT = """
import os, signal
from gencomp.compiled import build
from gencomp.executors import LocalPool
pool = {pool}
print(pool.submit(abs, -7).result(), flush=True)
os.kill(os.getpid(), signal.SIGTERM)
"""


@pytest.mark.thorough
@pytest.mark.parametrize("pool", ["LocalPool(1)", "build._pool(1)"])
def test_workers_end_with_a_parent_that_is_killed(pool: str) -> None:
    """Those of a command, and those of a build of the library: the pipe has an end when nobody holds it any more."""
    command = [sys.executable, "-c", PARENT.format(pool=pool)]
    killed = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False, timeout=30)
    assert killed.returncode == -signal.SIGTERM
    assert killed.stdout == b"7\n"
