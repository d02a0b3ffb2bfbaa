"""Every command that the documents show: those of README, tutorial and how-to run, all others are command lines.

What is in a README and a tutorial runs in the order in which it stands there, each document in a folder of its own with
the files that a newcomer has.
"""

import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from gencomp.cli.app import _with_levels, application, run
from gencomp.data import alice
from tests.conftest import ROOT

DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
RUN = ["README.md", "docs/tutorial.md", "docs/how-to.md"]  # the Chinese README has the commands of the English one
# which need weights, data sets or another package than the tests have, or a browser, or take minutes: parsed, not run
# here; compare, evaluate, distance, classify, audit, train and play have tests of their own, in small
LONG = re.compile(
    r"gguf:|hf:|-m transformer|gencomp train|gencomp (play|demo|install)|evaluate|harness|distance texts|classify|audit"
    r"|gencomp compare"
)


def commands(document: Path) -> list[str]:
    """Return what stands behind ``$`` in the blocks of code, without comments at the end."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", document.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    lines = [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    return [re.sub(r"\s{2,}# .*", "", line) for line in lines]


def test_documents_show_commands() -> None:
    assert len(commands(ROOT / "README.md")) >= 5
    assert commands(ROOT / "README.md") == [*commands(ROOT / "README.zh.md")]
    for name in RUN:
        assert any(not LONG.search(command) for command in commands(ROOT / name)), name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_command_that_is_shown_is_a_command_line(document: Path) -> None:
    """Its command, its options and their values are those of the program."""
    group = typer.main.get_command(application())
    for command in commands(document):
        for part in re.split(r"&&|\||;(?![^\"']*[\"'])|>", command):
            try:
                words = shlex.split(part)
            except ValueError:  # cut inside a quoted word
                words = shlex.split(command)
            if words[:1] != ["gencomp"]:
                continue
            name, *rest = _with_levels(words[1:])
            if name.startswith("-"):
                group.make_context("gencomp", words[1:], resilient_parsing=True)
                continue
            found = group.commands[name]  # type: ignore[attr-defined]
            found.make_context(name, [word for word in rest if word not in ("...", "…")], resilient_parsing=True)


def newcomers_files(folder: Path) -> None:
    shutil.copy(ROOT / "README.md", folder)
    (folder / "book.txt").write_bytes(alice()[2000:5000])
    (folder / "texts").mkdir()
    (folder / "texts/one.txt").write_bytes(alice()[:2000])
    (folder / "bin").mkdir()
    for name, module in (("gencomp", "main"), ("gcz", "gcz")):
        script = folder / "bin" / name
        script.write_text(
            f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
            f"from gencomp.cli.{module} import main\nmain()\n"
        )
        script.chmod(0o755)


@pytest.mark.parametrize("name", RUN)
def test_commands_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    newcomers_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    ran = 0
    for command in commands(ROOT / name):
        if LONG.search(command):
            continue
        words = shlex.split(command)
        if words[0] == "gencomp" and not {"|", ">", "&&"} & set(words):
            assert run(words[1:]) == 0, (command, capfdbinary.readouterr().err)
        else:
            if words[0] == "tar" and shutil.which("tar") is None:
                continue
            subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], check=True, capture_output=True)
        ran += 1
    assert ran >= 4


def test_what_is_printed_in_the_readme_is_printed(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    for name in ("README.md", "README.zh.md"):
        for command, line in re.findall(r"^\$ (gencomp sample.*)\n([^$`].*)$", (ROOT / name).read_text(), re.MULTILINE):
            assert run(shlex.split(command)[1:]) == 0
            assert capfdbinary.readouterr().out.decode().startswith(line.removesuffix(" [...]"))


def test_the_python_of_the_documents_runs() -> None:
    seen = 0
    for document in DOCUMENTS:
        for code in re.findall(r"```python\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL):
            if "transformers" in code:
                continue  # which test_project runs, where it is installed
            exec(compile(code, document.name, "exec"), {"__name__": "__main__"})
            seen += 1
    assert seen >= 4


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    page = (tmp_path / "site/lessons/what-gzip-sees/index.html").read_text(encoding="utf-8")
    assert "literals and" in page
    api = (tmp_path / "site/api/index.html").read_text(encoding="utf-8")
    assert "Return an archive of" in api
    assert ":func:" not in api
    assert not re.search(r'(?:src|href)="https?://(?!squidfunk|github\.com|arxiv|pytorch)', api)


def test_every_page_has_its_place_in_the_site() -> None:
    """mkdocs says the same with warnings as errors; this says it where mkdocs is not installed."""
    listed = set(re.findall(r"\b([\w./-]+\.md)\s*$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    lessons = {f"lessons/{path.stem}.md" for path in (ROOT / "examples").glob("*.ipynb")}
    assert listed == pages | lessons


def test_the_picture_shows_what_the_models_charge() -> None:
    run_ = subprocess.run(
        [sys.executable, "-c", "import runpy, sys; sys.stdout.write(runpy.run_path('docs/pictures.py')['picture']())"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run_.stdout == (ROOT / "docs/pictures/costs.svg").read_text(encoding="utf-8")


def test_every_picture_of_the_page_is_shown_and_small() -> None:
    """docs/screenshots.py takes them; each of them stands in the page about the page."""
    taken = runpy.run_path(str(ROOT / "docs/screenshots.py"))
    pictures = {path.stem: path.stat().st_size for path in (ROOT / "docs/play").glob("*.png")}
    assert pictures.keys() == taken["PICTURES"].keys()
    assert max(pictures.values()) < taken["MOST_BYTES"]
    page = (ROOT / "docs/PLAY.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\(play/(\w+)\.png\)", page)) == pictures.keys()


def test_the_readmes_are_short_and_say_the_same() -> None:
    english, chinese = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh.md"))
    assert len(english.encode()) < 6000
    strip = lambda text: re.findall(r"\]\(([^)]*)\)", text)  # noqa: E731
    same = [target for target in strip(english) if not target.startswith("README")]
    assert same == [target for target in strip(chinese) if not target.startswith("README")]
    numbers = [
        re.findall(r"\d[\d,.]*\d", re.sub(r"```.*?```", "", text, flags=re.DOTALL)) for text in (english, chinese)
    ]
    assert sorted(numbers[0]) == sorted(numbers[1])
