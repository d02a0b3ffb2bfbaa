"""gencomp compare and gencomp report: folders, refusals, resumption."""

import json
from pathlib import Path

import pytest

from tests.cli.test_cli import cli, fails  # noqa: F401

FAST = ("compare", "-m", "counts:2", "--also", "counts:2 bytes?top_k=1", "--judge", "counts:2", "--seeds", "1")
SMALL = ("-n", "8", "--prompt-bytes", "60", "--steps", "3", "-j", "1", "-q")
pytestmark = pytest.mark.usefixtures("no_figures")


def test_a_folder_is_made_kept_and_gone_on_in(cli, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]  # noqa: F811
    result = cli(*FAST, *SMALL, "-o", "out")
    assert result.code == 0, result.err
    folder = tmp_path / "out"
    rows = json.loads((folder / "rows.json").read_text())["rows"]
    assert [row["model"] for row in rows] == ["truth", "shuffled", "counts:2", "counts:2"]
    assert len(list((folder / "artefacts").iterdir())) == 4
    page = (folder / "report.html").read_text()
    assert page.startswith("<!DOCTYPE html>")

    fails(cli(*FAST, *SMALL, "-o", "out"), 1, "out", "it exists already", "--resume", "--force")
    fails(cli(*FAST, *SMALL, "-o", "out", "--resume", "--force"), 2, "exclude each other")
    work = (folder / "work.jsonl").read_text()
    assert cli(*FAST, *SMALL, "-o", "out", "--resume").code == 0
    assert (folder / "work.jsonl").read_text() == work
    (folder / "notes.txt").write_text("mine")
    assert cli(*FAST, *SMALL, "-o", "out", "--force").code == 0
    assert (folder / "notes.txt").read_text() == "mine"

    page = (folder / "report.html").read_text()
    fails(cli("report", "out"), 1, "report.html", "exists")
    assert cli("report", "out", "-o", "-").text == page
    assert cli("report", "out", "-o", "other.html").code == 0
    assert (tmp_path / "other.html").read_text() == page


def test_other_peoples_folders_are_left_alone(cli, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]  # noqa: F811
    (tmp_path / "out").mkdir()
    (tmp_path / "out/rows.json").write_text("the only copy")
    fails(cli(*FAST, *SMALL, "-o", "out", "--resume"), 1, "out", "no comparison to go on with")
    (tmp_path / "out/work.jsonl").write_text("my work\n")
    fails(cli(*FAST, *SMALL, "-o", "out", "--resume"), 1, "work.jsonl", "is not a journal of a comparison")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"rows.json", "work.jsonl"}
    assert (tmp_path / "out/rows.json").read_text() == "the only copy"
    assert (tmp_path / "out/work.jsonl").read_text() == "my work\n"


def test_texts_that_cannot_be_read_are_left_out_and_told(cli, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]  # noqa: F811
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/a.txt").write_bytes(b"some text, some more text; " * 9)
    (tmp_path / "texts/0.txt.gz").write_bytes(b"no gzip")
    result = cli(*FAST, *SMALL, "--text", "texts", "-o", "out")
    assert result.code == 0
    assert "left out: texts/0.txt.gz: it does not unpack as .gz" in result.err
    fails(cli(*FAST, *SMALL, "--text", "texts/0.txt.gz", "-o", "out2"), 1, "texts/0.txt.gz: it does not unpack")


def test_what_cannot_be_compared(cli, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]  # noqa: F811
    (tmp_path / "short.txt").write_bytes(b"too short")
    fails(cli(*FAST, *SMALL, "--text", "short.txt"), 1, "short.txt", "9 bytes")
    fails(cli(*FAST, *SMALL, "--image", "short.txt"), 1, "not an image")
    fails(cli(*FAST, *SMALL, "--text", "missing.txt"), 1, "missing.txt", "No such file")
    fails(cli("compare", *SMALL, "-m", "gzipp"), 2, "did you mean gzip")
    fails(cli(*FAST, *SMALL, "--strategy", "beams"), 2, "did you mean beam")
    fails(cli("compare", *SMALL, "--also", "gzip"), 2, "a model and a strategy")
    fails(cli("compare", "--seeds", "0"), 2, "--seeds must be at least 1")
    (tmp_path / "file").write_text("")
    fails(cli(*FAST, *SMALL, "-o", "file"), 1, "it is a file")
    (tmp_path / "rows.json").write_text("{")
    fails(cli("report", "rows.json"), 1, "not JSON")
    (tmp_path / "rows.json").write_text("[1]")
    fails(cli("report", "rows.json"), 1, "not the rows of an experiment")


def test_a_temperature_is_of_all_that_draw() -> None:
    from gencomp.cli.compare import _contenders

    found = _contenders(["gzip"], ["bytes", "beam"], ["mix bytes?top_k=3", "mix bytes?temperature=2"], 0.5)
    assert [contender.strategy for contender in found] == [
        "bytes?temperature=0.5",
        "beam",
        "bytes?top_k=3&temperature=0.5",
        "bytes?temperature=2",
    ]


def test_sound_by_default_takes_no_hours() -> None:
    from gencomp.cli.compare import ALSO, MODELS, _contenders

    found = _contenders(MODELS, ["bytes"], ALSO, None)
    of = {kind: [one.model for one in found if kind in one.modalities] for kind in ("text", "image", "audio")}
    assert of["audio"] == ["gzip", "lzma", "zstd?level=9", "mix"]
    assert of["image"] == ["gzip", "lzma", "zstd", "mix"] == of["text"][:4]
    named = _contenders(["zstd"], ["bytes"], [], None)
    assert [(one.model, len(one.modalities)) for one in named] == [("zstd", 3)]


def test_the_page_tells_the_command(cli, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]  # noqa: F811
    assert cli(*FAST, *SMALL, "-o", "out", "--temperature", "0.7").code == 0
    document = json.loads((tmp_path / "out/rows.json").read_text())
    assert document["made"]["command"].startswith("gencomp compare -m counts:2 --also 'counts:2 bytes?top_k=1'")
    assert document["rows"][2]["strategy"] == "bytes?temperature=0.7"
    assert "--temperature 0.7" in (tmp_path / "out/report.html").read_text()
