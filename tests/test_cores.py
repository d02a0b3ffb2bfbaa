"""One pool of threads a process, as large as the cores that the process may use."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import gencomp
from gencomp import cores
from gencomp.archive.writer import checked_threads
from gencomp.compressors import zstd
from gencomp.compressors.lzma import ExactLzmaScorer, Lzma
from gencomp.compressors.zstd import Zstd
from gencomp.equivalence.capabilities import begin_scoring
from gencomp.registry import load
from tests.conftest import ROOT

PACKAGE = Path(gencomp.__file__).parent

FORKED = """
import os, signal
from gencomp import cores
from gencomp.compressors.lzma import ExactLzmaScorer, Lzma
from gencomp.equivalence.capabilities import begin_scoring
from gencomp.registry import load

def scorers():  # threads that compress anew, then lzma's own lanes: no kernel is needed but the last one's
    text = b"some text, some more text; "
    codecs = [begin_scoring(load(name), text) for name in ("xz?preset=0", "bz2")]
    return [*codecs, ExactLzmaScorer(Lzma(preset=0), text)]

def lengths(each):
    found = [scorer.code_lengths([b"a", b"so", b"\\0"]).tolist() for scorer in each]
    assert cores.pair_pool().submit(pow, 2, 10).result() == 1024
    return found

kept = scorers()
expected = lengths(kept)
children = []
for _ in range(2):
    child = os.fork()
    if not child:
        signal.alarm(60)
        os._exit(0 if lengths(kept) == lengths(scorers()) == expected else 3)
    children.append(child)
assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0]
assert lengths(kept) == expected
assert cores._pool is not None
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_children_of_a_fork_have_pools_of_their_own() -> None:
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}  # on so few bytes plain Python takes less than to compile
    command = [sys.executable, "-c", FORKED]
    run = subprocess.run(command, capture_output=True, cwd=ROOT, env=environment, check=False)
    assert run.returncode == 0, run.stderr.decode()


def test_the_pool_is_one_and_is_made_anew_only_when_forgotten() -> None:
    pool = cores.candidate_pool()
    assert cores.candidate_pool() is pool
    cores.forget_pool()
    assert cores.candidate_pool() is not pool
    pool.shutdown()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_cores_are_those_that_the_process_may_use() -> None:
    before = os.sched_getaffinity(0)
    assert cores.usable_cores() == len(before)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert cores.usable_cores() == cores.candidate_threads() == checked_threads(None) == 1
    finally:
        os.sched_setaffinity(0, before)


def test_a_machine_of_many_cores_has_a_bounded_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "usable_cores", lambda: 500)
    assert cores.candidate_threads() == cores.MOST_THREADS


def test_helpers_have_a_core_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "usable_cores", lambda: 4)
    with cores.helpers(7) as all_others:
        assert all_others == 3
        with cores.helpers(7) as none:  # as another thread would ask
            assert none == 0
    with cores.helpers(0) as unasked, cores.helpers(1) as one, cores.helpers(7) as last:
        assert (unasked, one, last) == (0, 1, 1)
    with cores.at_most(2), cores.helpers(7) as limited:
        assert limited == 1
    with cores.at_most(1), cores.helpers(7) as alone:
        assert alone == 0
    monkeypatch.setattr(cores, "_limit_of_process", 3)
    with cores.at_most(4), cores.helpers(7) as shared, pytest.raises(ZeroDivisionError):
        assert shared == 2
        1 / 0  # noqa: B018
    assert cores._busy == 0


def test_nothing_else_counts_cores_or_makes_pools_for_candidates() -> None:
    """Said once: a second count would forget affinity, a second pool would forget forks."""
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path.name != "cores.py":
            assert not re.search(r"cpu_count|sched_getaffinity", text), path
        if path.name not in ("cores.py", "pipeline.py"):  # the archive's is shut down before its call ends
            for line in text.splitlines():  # and so is a pool of a with statement
                assert "ThreadPoolExecutor(" not in line or line.lstrip().startswith("with "), path


def test_scoring_uses_the_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    from concurrent.futures import ThreadPoolExecutor

    asked = []
    with ThreadPoolExecutor(2) as pool:
        monkeypatch.setattr(cores, "_pools", {"gencomp-score": pool})
        original = pool.submit
        monkeypatch.setattr(pool, "submit", lambda *call: asked.append(1) or original(*call))
        monkeypatch.setattr(zstd, "is_reproduced", lambda level, size_class: False)  # else nothing is compressed
        for scorer in (
            begin_scoring(load("bz2"), b"prefix"),
            ExactLzmaScorer(Lzma(preset=0), b"prefix"),
            begin_scoring(Zstd(level=1), b"prefix"),
        ):
            asked.clear()
            scorer.code_lengths([b"a", b"b"])
            assert asked, scorer
