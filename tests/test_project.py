"""The project's own promises: what the wheel holds, that docs and README do not rot."""

import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import gencomp
import gencomp.data
from tests.conftest import ROOT


@pytest.mark.thorough
def test_the_wheel_holds_the_package_and_nothing_else(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "GENCOMP_BUILD_KERNELS": "0"},
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    info = f"gencomp-{gencomp.__version__}.dist-info/"
    assert "gencomp/py.typed" in names
    assert "gencomp/data/alice.txt" in names
    assert {f"gencomp/play/static/{name}" for name in ("index.html", "main.js", "style.css")} <= set(names)
    assert {"gencomp/cli/start.py", "gencomp/cli/main.py"} <= set(names)
    assert f"{info}licenses/LICENSE" in names
    assert "gencomp/compiled/signatures.txt" in names
    assert all(name.startswith(("gencomp/", info)) for name in names), "no top-level cli, tests or docs"
    entry_points = zipfile.ZipFile(wheel).read(f"{info}entry_points.txt").decode()
    assert "gencomp = gencomp.cli.start:main" in entry_points
    assert "gcz = gencomp.cli.gcz:main" in entry_points


def test_the_command_reference_is_up_to_date() -> None:
    run = subprocess.run([sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, check=False)
    assert run.returncode == 0, run.stderr.decode()


def test_versions_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    assert f"## [{gencomp.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_every_public_name_exists() -> None:
    assert sorted(gencomp.__all__) == gencomp.__all__
    for name in gencomp.__all__:
        assert getattr(gencomp, name).__doc__, name
    assert set(gencomp.__all__) <= set(dir(gencomp))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        gencomp.nothing  # noqa: B018


def test_links_in_the_documents_lead_somewhere() -> None:
    names = ("README.md", "README.zh.md", "CONTRIBUTING.md")
    for document in [*(ROOT / name for name in names), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            if "://" not in target and not target.startswith("lessons/"):  # which the site makes of the notebooks
                assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_the_readme_shows_a_result_early() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert any("bytes" in line and "%" in line for line in lines[:40])


def test_the_python_of_readme_and_how_to_runs() -> None:
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/how-to.md")]
    codes = [code for text in texts for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL)]
    assert "".join(codes).count("assert ") == 4
    assert any("transformers" in code for code in codes)
    for code in codes:
        exec(compile(code, "the documents", "exec"), {})


def test_doctests() -> None:
    import doctest
    import importlib

    package = ROOT / "gencomp"
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in package.rglob("*.py")
        if ">>> " in path.read_text(encoding="utf-8")
    ]
    assert {"gencomp", "gencomp.hf", "gencomp.equivalence.costs"} <= set(names)
    for module in map(importlib.import_module, names):
        globs = {"np": __import__("numpy"), **vars(module)}
        result = doctest.testmod(module, globs=globs)
        assert result.attempted > 0
        assert result.failed == 0


def test_every_requirement_is_locked_within_its_bounds() -> None:
    """constraints.txt is what the tests ran with: .ci/lock.py writes it anew where this says that it is not."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = project["dependencies"] + [one for extra in project["optional-dependencies"].values() for one in extra]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert re.fullmatch(r"# What the tests ran with on \d{4}-\d\d-\d\d, by Python 3\..*", lines[0])
    locked = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert "numpy" in locked
    assert "+" not in "".join(locked.values())
    for requirement in map(Requirement, texts):
        if requirement.name != "gencomp":
            bounds = [part for part in requirement.specifier if part.operator == ">="]
            assert len(bounds) == 1, f"{requirement} needs a lowest release that .ci/lowest can try"
            assert requirement.specifier.contains(locked[canonicalize_name(requirement.name)]), requirement


def test_the_lowest_releases_are_those_of_the_project() -> None:
    run = subprocess.run(
        [sys.executable, ".ci/bounds.py", "torch", "ruff"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    pins = run.stdout.split()
    assert "transformers==5.0" in pins
    assert not any(pin.startswith(("torch==", "ruff==", "gencomp")) for pin in pins)
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {f"{requirement.split('>=')[0]}=={requirement.split('>=')[1]}" for requirement in dependencies} <= set(pins)


def test_scripts_of_ci_are_in_order() -> None:
    for name in ("run", "quick", "lowest", "newest"):
        assert os.access(ROOT / ".ci" / name, os.X_OK)
        subprocess.run(["bash", "-n", f".ci/{name}"], cwd=ROOT, check=True)
    for name in ("versions.sh", "quick"):
        paths = re.findall(r"\btests/[\w./]+", (ROOT / ".ci" / name).read_text())
        assert len(paths) > 5
        for path in paths:
            assert (ROOT / path).exists(), path


def test_ci_runs_the_tests_that_the_default_leaves_out() -> None:
    """Each tier has a marker and a line in the documents; CI runs the default and the thorough one."""
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    tiers = [marker.partition(":")[0] for marker in options["markers"] if not marker.startswith("every(")]
    assert f"-m '{' and '.join(f'not {tier}' for tier in reversed(tiers))}'" in options["addopts"]
    for name in ("docs/developing.md", "CONTRIBUTING.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert all(f"| `python -m pytest{more}` |" in text for more in ("", *(f" -m {tier}" for tier in tiers))), name
    for name in (".ci/run", ".github/workflows/tests.yml"):
        runs = re.findall(r"python -m pytest(.*)$", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
        assert runs[:2] == [" -m thorough", ""], name


def test_what_releases_took_is_on_record() -> None:
    """benchmarks/track.py writes a file a release; sizes are the same wherever they are measured."""
    paths = list((ROOT / "benchmarks/history").glob("*.json"))
    assert f"{gencomp.__version__}.json" in {path.name for path in paths}
    book = gencomp.data.alice()
    for path in paths:
        record = json.loads(path.read_text(encoding="utf-8"))
        assert record["version"] == path.stem
        assert record["data"]["sha256"] == hashlib.sha256(book).hexdigest()
        assert all(row["coded_bytes"] > 0 < row["compress_seconds"] for row in record["rows"])
    latest = json.loads((ROOT / f"benchmarks/history/{gencomp.__version__}.json").read_text(encoding="utf-8"))
    sizes = {row["model"]: row["coded_bytes"] for row in latest["rows"]}
    assert sizes["bz2"] == len(gencomp.as_compressor("bz2").compress(book))
    assert sizes["best:5"] < sizes["mix:5"] < sizes["counts:6"] < sizes["mix:1"] < sizes["gzip"]


def test_the_python_of_the_live_page_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/PLAY.md").read_text(), re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(code, "PLAY.md", "exec"), names)
    assert len(gencomp.costs("gzip", names["text"])) == 59  # type: ignore[arg-type]
