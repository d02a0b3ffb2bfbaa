"""Distances by hand and between real texts; the command, its page, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest

from gencomp.cli.main import run
from gencomp.equivalence.conditional import code_length
from gencomp.errors import DatasetError
from gencomp.measure.distance import FORMS, distances, of_form, order_of
from gencomp.measure.kept import Kept
from gencomp.modalities.documents import Document
from gencomp.registry import load


def test_forms_by_hand() -> None:
    alone, after = np.array([100.0, 200.0]), np.array([[10.0, 150.0], [60.0, 20.0]])
    assert of_form("relative", alone, after, (50, 90)).tolist() == [[0.1, 0.75], [0.6, 0.1]]
    assert of_form("cross-entropy", alone, after, (50, 90))[0].tolist() == [0.2, 150 / 90]
    assert of_form("symmetric", alone, after, (50, 90))[0, 1] == (150 + 60) / 300
    # C(01) is 100 + 150 in one order, 200 + 60 in the other
    assert of_form("ncd", alone, after, (50, 90))[1].tolist() == [(250 - 100) / 200, (220 - 200) / 200]
    with pytest.raises(DatasetError, match="costs 0 bits by itself"):
        of_form("ncd", np.array([0.0, 1.0]), after, (1, 1))


@pytest.mark.parametrize("model", ["gzip", "counts:3", "lzma"])
def test_texts_of_a_kind_are_near(model: str, book: bytes, wiki: bytes) -> None:
    texts = [book[:1500], book[60_000:61_500], wiki[:1500], wiki[2000:3500], book[:1500]]
    documents = [Document(str(place), text) for place, text in enumerate(texts)]
    found = distances([model], documents)
    matrix = found.matrix
    assert np.allclose(matrix, matrix.T)
    assert matrix[0, 4] < matrix[0, 1] / 2  # the same text again
    assert matrix[0, 1] < min(matrix[0, 2], matrix[0, 3], matrix[1, 2], matrix[1, 3])
    assert matrix[2, 3] < min(matrix[0, 2], matrix[1, 3])
    assert found.after[1, 2] == code_length(model, texts[2], texts[1])
    _, order = order_of(matrix)
    assert {order[0], order[-1]} & {2, 3}
    assert abs(order.index(2) - order.index(3)) == 1


def test_lengths_are_without_framing(book: bytes) -> None:
    """Byte-sized lengths with headers put short texts far from themselves; these do not."""
    text = book[300:340]
    gzip = load("gzip")
    size = len(gzip.compress(text))
    usual = (len(gzip.compress(text + text)) - size) / size
    found = distances(["gzip"], [Document("a", text), Document("b", text)])
    assert found.alone[0] == gzip.code_length(text) - gzip.code_length(b"")
    assert found.matrix[0, 1] != pytest.approx(usual, abs=0.005)
    assert [len(line) for line in found.warnings] == []


def test_a_window_that_is_too_small_is_said(book: bytes) -> None:
    found = distances(["gzip?level=1"], [Document("a", book[:20_000]), Document("b", book[20_000:40_000])])
    assert "gzip?level=1 looks back 32,768 bytes, the longest pair has 40,000" in found.warnings[0]


def test_models_are_mixed(book: bytes) -> None:
    documents = [Document("a", book[:400]), Document("b", book[400:900])]
    gzip, counts, both = (distances(models, documents) for models in (["gzip"], ["counts"], ["gzip", "counts"]))
    best = np.minimum(gzip.after, counts.after)
    assert (both.after >= best - 1e-9).all()
    assert (both.after <= best + 1).all()


def test_what_was_computed_is_kept(tmp_path: Path, book: bytes) -> None:
    path = tmp_path / "journal.jsonl"
    documents = [Document(str(place), book[500 * place : 500 * place + 500]) for place in range(3)]
    first = distances(["counts:1"], documents, kept=Kept(path))
    assert len(path.read_text().splitlines()) == 12
    told: list[int] = []
    again = distances(["counts:1"], documents, kept=Kept(path), report=told.append)
    assert told == [12]  # known at once
    assert (again.matrix == first.matrix).all()
    with path.open("a") as file:
        file.write('["half a li')  # killed while writing
    assert (distances(["counts:1"], documents, kept=Kept(path)).matrix == first.matrix).all()
    distances(["counts:2"], documents[:2], kept=Kept(path))  # another model has keys of its own
    assert len(path.read_text().splitlines()) == 18


def test_what_has_no_distance_is_refused(book: bytes) -> None:
    with pytest.raises(DatasetError, match="a distance needs two texts; 1 given"):
        distances(["gzip"], [Document("a", book[:10])])
    with pytest.raises(DatasetError, match="b is empty"):
        distances(["gzip"], [Document("a", b"x"), Document("b", b"")])
    with pytest.raises(ValueError, match="form must be one of"):
        distances(["gzip"], [Document("a", b"x"), Document("b", b"y")], "nearness")  # type: ignore[arg-type]


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], book: bytes) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    for place in range(4):
        (folder / f"part <{place}>.txt").write_bytes(book[2000 * place : 2000 * place + 700])
    out = tmp_path / "out"
    assert run(["distance", str(folder), "-m", "counts:2", "-o", str(out), "-q"]) == 0
    table = capsys.readouterr().out.splitlines()
    assert len(table) == 5
    assert table[1].split()[:2] == ["part", "<0>.txt"]
    written = {path.name for path in out.iterdir()}
    assert written == {"journal.jsonl", "distances.csv", "distances.json", "distances.png", "report.html"}
    page = (out / "report.html").read_text()
    assert "part &lt;0&gt;.txt" in page
    assert "data:image/png;base64," in page
    assert (out / "distances.png").read_bytes()[:4] == b"\x89PNG"
    record = json.loads((out / "distances.json").read_text())
    assert record["form"] == "ncd"
    assert "headers, checksums" in record["framing"]
    for form in FORMS:
        assert run(["distance", str(folder), "-m", "counts:2", "--form", form, "--format", "json", "-q"]) == 0
        matrix = np.array(json.loads(capsys.readouterr().out)["distances"])
        assert np.allclose(matrix, matrix.T) == (form in ("ncd", "symmetric"))
    (tmp_path / "lines").write_text("one line of text\nanother line of text\nno more\n")
    assert run(["distance", "--lines", str(tmp_path / "lines"), "--format", "csv", "--limit", "6", "-q"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 10
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "alone").write_text("x")
    (tmp_path / "t.jsonl").write_text('{"text": "a"}\n{"t": "b"}\n')
    for arguments, code, message in (
        ([], 2, "name the texts in one way"),
        ([str(folder), "--lines", "x"], 2, "name the texts in one way"),
        ([str(tmp_path / "one")], 1, "a distance needs two texts; 1 given"),
        ([str(tmp_path / "nowhere")], 1, "No such file"),
        (["--json", "x"], 2, "expected FILE:FIELD"),
        (["--json", f"{tmp_path}/t.jsonl:text"], 1, "line 2: there is no field 'text'"),
        ([str(folder), "--form", "near"], 2, "--form must be one of"),
        ([str(folder), "--format", "xml"], 2, "--format must be one of"),
    ):
        assert run(["distance", *arguments]) == code, arguments
        assert message in capsys.readouterr().err


def test_what_somebody_else_wrote_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text("my notes\n")
    with pytest.raises(DatasetError, match="is not a journal of code lengths; move it"):
        Kept(path)
    assert path.read_text() == "my notes\n"
