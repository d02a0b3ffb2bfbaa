"""The project's own promises: what the wheel holds, that docs and README do not rot."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import gencomp
from tests.conftest import ROOT


def test_the_wheel_holds_the_package_and_nothing_else(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    info = f"gencomp-{gencomp.__version__}.dist-info/"
    assert "gencomp/py.typed" in names
    assert "gencomp/data/alice.txt" in names
    assert "gencomp/cli/main.py" in names
    assert f"{info}licenses/LICENSE" in names
    assert all(name.startswith(("gencomp/", info)) for name in names), "no top-level cli, tests or docs"
    entry_points = zipfile.ZipFile(wheel).read(f"{info}entry_points.txt").decode()
    assert "gencomp = gencomp.cli.main:main" in entry_points


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
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            if "://" not in target:
                assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_the_readme_shows_a_result_early() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert any("bytes" in line and "%" in line for line in lines[:40])


def test_the_readmes_python_runs() -> None:
    codes = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert "".join(codes).count("assert ") == 3
    for code in codes:
        exec(compile(code, "README.md", "exec"), {})


def test_doctests() -> None:
    import doctest

    import gencomp.coding.range_coder
    import gencomp.hf

    for module in (gencomp, gencomp.coding.range_coder, gencomp.hf):
        globs = {"np": __import__("numpy"), **vars(module)}
        result = doctest.testmod(module, globs=globs)
        assert result.attempted > 0
        assert result.failed == 0
