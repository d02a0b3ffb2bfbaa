"""Fixtures, and the number of examples of property tests.

A few by default; twelve times as many with ``-m thorough``, which runs all of these tests again; over 10^5 in all with
HYPOTHESIS_PROFILE=slow.
"""

import gc
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import none

from gencomp import compiled
from gencomp.data import alice

ROOT = Path(__file__).parent.parent

quiet = {"deadline": None, "suppress_health_check": list(HealthCheck)}
settings.register_profile("default", max_examples=8, derandomize=True, **quiet)
settings.register_profile("thorough", max_examples=100, derandomize=True, **quiet)
settings.register_profile("brief", max_examples=5, derandomize=True, **quiet)  # where tests run tests
settings.register_profile("slow", max_examples=3000, **quiet)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# hundreds of processes import gencomp: each would compile all of it anew where the environment lets none keep bytecode
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# who works on a kernel runs the tests before the library is built anew; commands that tests start would say so
os.environ.setdefault("PYTHONWARNINGS", "ignore:kernels whose sources changed:UserWarning")

# numba's cache takes no lock: each process that runs tests keeps its own, and the commands that it starts inherit it
if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    os.environ["NUMBA_CACHE_DIR"] = str(ROOT / ".pytest_cache" / f"numba-{worker}")


def is_thorough(config: pytest.Config) -> bool:
    return config.getoption("markexpr") == "thorough" and "HYPOTHESIS_PROFILE" not in os.environ


def pytest_configure(config: pytest.Config) -> None:
    if is_thorough(config):
        settings.load_profile("thorough")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    cases: Counter[str] = Counter()
    for item in items:
        if chosen := item.get_closest_marker("every"):
            test = item.nodeid.partition("[")[0]
            if cases[test] % chosen.args[0]:
                item.add_marker(pytest.mark.thorough)
            cases[test] += 1
        if is_thorough(config) and getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker(pytest.mark.thorough)


# one worker runs all of these: the models that they share are trained once, torch is at work in one process, and the
# package's source is parsed once
TOGETHER = (
    "tests/predictors/language/",
    "tests/training/",
    "tests/test_hf.py",
    "tests/test_project.py",
    "tests/contract/test_commands.py",
    "tests/test_source.py",
    "tests/test_layering.py",
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Deal out whole files, as ``--dist loadfile`` does, and the files of ``TOGETHER`` as one."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Together(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "together" if nodeid.startswith(TOGETHER) else super()._split_scope(nodeid)

    return Together(config, log)


# what is imported and collected stays: searching it for garbage again and again took a twentieth of the time
gc.set_threshold(200_000)


def pytest_collection_finish() -> None:
    """Leave what is there now out of all searches for garbage.

    Hypothesis looks through it at its first test, for references to numpy's generator, and must still find them.
    """
    given(none())(lambda nothing: None)()
    gc.freeze()


def pytest_sessionfinish() -> None:
    """Look for garbage once; pytest looks five times as it ends, in what is left."""
    gc.collect()
    gc.freeze()


def pytest_report_header() -> str:
    return f"kernels: {compiled.way}" + (f" ({compiled.why})" if compiled.why else "")


@pytest.fixture(scope="session")
def book() -> bytes:
    return alice()


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw nothing, which takes its time."""
    from gencomp.report import figures

    for name in ("dots", "bars", "curves", "intervals", "spectrogram"):
        monkeypatch.setattr(figures, name, lambda *_: "<svg/>")


@pytest.fixture(scope="session")
def wiki() -> bytes:
    return (ROOT / "tests/data/enwik8-first-4096.xml").read_bytes()
