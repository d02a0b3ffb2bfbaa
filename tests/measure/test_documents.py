"""Documents from every kind of file, what models charge for them, and significance."""

import json
from pathlib import Path

import numpy as np
import pytest

from gencomp.cli.main import run
from gencomp.equivalence.conditional import code_length
from gencomp.errors import DatasetError
from gencomp.measure.documents import PRESETS, Setting, characters_of, compare, measure, paired_bootstrap, windows
from gencomp.modalities import documents as read
from gencomp.modalities.documents import Document

TEXTS = ["To be, or not to be", "that is the question:", "Whether 'tis nobler in the mind — to suffer"]


@pytest.fixture
def jsonl(tmp_path: Path) -> Path:
    path = tmp_path / "texts.jsonl"
    path.write_text(
        "".join(json.dumps({"doc": {"text": text}, "year": 1600 + n}) + "\n" for n, text in enumerate(TEXTS))
    )
    return path


def test_documents_of_every_kind(tmp_path: Path, jsonl: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    expected = [text.encode() for text in TEXTS]
    (tmp_path / "array.json").write_text(json.dumps([{"text": text} for text in TEXTS]))
    (tmp_path / "lines.txt").write_text("\n".join(TEXTS) + "\n")
    (tmp_path / "parts.txt").write_text("\n%%\n".join(TEXTS) + "\n%%\n")
    pyarrow.parquet.write_table(pyarrow.table({"text": TEXTS, "kind": [1, 1, 2]}), tmp_path / "texts.parquet")
    kinds = [
        read.json_field(jsonl, "doc.text"),
        read.json_field(tmp_path / "array.json", "text"),
        read.lines(tmp_path / "lines.txt"),
        read.read("separated", str(tmp_path / "parts.txt"), separator=r"\n%%\n"),
        read.parquet_column(tmp_path / "texts.parquet", "text"),
    ]
    for documents in kinds:
        assert [document.data for document in documents] == expected
    assert [document.label for document in read.json_field(jsonl, "doc.text", "year")] == ["1600", "1601", "1602"]
    assert [document.label for document in read.parquet_column(tmp_path / "texts.parquet", "text", "kind")][2] == "2"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": "a"}\n{"other": 1}\n', "line 2: there is no field 'text'; there are 'other'"),
        ('{"text": "a"}\n{"text": 7}\n', "line 2: the field 'text' is a number, expected a string"),
        ('{"text": null}\n', "line 1: the field 'text' is null, expected a string"),
        ('["text"]\n', "item 1: expected an object with the field 'text', found str"),
        ('{"text": "a"}\n{"text"\n', "line 2: it is not JSON"),
        ("[1,", "is not JSON"),
        ("[" * 100_000, "is not JSON"),  # more levels than the parser takes
        ('{"text": ' + "[" * 100_000, "line 1: it is not JSON"),
    ],
)
def test_a_field_that_is_missing_is_named(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "texts.json"
    path.write_text(content)
    with pytest.raises(DatasetError, match=message):
        read.json_field(path, "text")


def test_parquet_that_does_not_fit(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    path = tmp_path / "t.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a", None], "number": [1, 2]}), path)
    for column, message in (("texts", "no column 'texts'"), ("number", "of type int64"), ("text", "row 2")):
        with pytest.raises(DatasetError, match=message):
            read.parquet_column(path, column)
    (tmp_path / "no.parquet").write_bytes(b"no parquet at all")
    with pytest.raises(DatasetError, match="is not a Parquet file"):
        read.parquet_column(tmp_path / "no.parquet", "text")


def test_windows_cover_a_text_once() -> None:
    for size in (1, 9, 10, 11, 57, 100):
        parts = windows(size, Setting(10, 3))
        assert [place for _, first, last in parts for place in range(first, last)] == list(range(size))
        assert all(last - begin <= 10 for begin, _, last in parts)
        assert all(begin == first - 7 for begin, first, _ in parts[1:])
    assert windows(57, Setting()) == [(0, 0, 57)]


def test_rows_are_conditional_code_lengths(book: bytes) -> None:
    documents = [Document("a", book[:900]), Document("b", "naïve — café".encode()), Document("c", b"\xff\xfe")]
    rows = measure("books", ["counts:2", "gzip"], documents)
    first = rows[0]
    assert (first.model, first.document, first.window, first.stride, first.unit) == (
        "counts:2",
        "a",
        None,
        None,
        "bytes",
    )
    assert first.bits == code_length("counts:2", book[:900])
    assert first.words == len(book[:900].split())
    assert rows[1].characters == 12
    assert rows[1].per(rows[1].words) == rows[1].bits / 3
    assert rows[2].characters is None
    whole = rows[3]
    assert (whole.document, whole.documents, whole.characters) == (None, 3, None)
    assert whole.bits == pytest.approx(sum(row.bits for row in rows[:3]))
    assert rows[4].model == "gzip"
    assert rows[4].window == 32_768
    windowed = measure("books", ["counts:2"], documents[:1], Setting(300, 100))
    assert (windowed[0].window, windowed[0].stride) == (300, 100)
    assert windowed[0].bits > first.bits  # which saw all of it
    expected = code_length("counts:2", book[:300])
    expected += sum(code_length("counts:2", book[at : at + 100], book[at - 200 : at]) for at in range(300, 900, 100))
    assert windowed[0].bits == pytest.approx(expected)


def test_the_settings_of_public_benchmarks() -> None:
    assert {"block-1900": Setting(1900, 512), "fresh-documents": Setting()} == PRESETS
    for window, stride in ((1, None), (10, 10), (10, 0), (None, 5)):
        with pytest.raises(ValueError, match=r"window|stride"):
            Setting(window, stride)


@pytest.mark.thorough
def test_a_language_model_gets_the_window_as_its_own(book: bytes) -> None:
    pytest.importorskip("torch")
    rows = measure("books", ["transformer"], [Document("a", book[:300])], Setting(64, 16))
    assert rows[0].model == "transformer?context=64&stride=16"
    assert (rows[0].window, rows[0].stride, rows[0].unit) == (64, 16, "bytes")
    assert measure("books", ["transformer"], [Document("a", book[:300])])[0].window == 512


def test_paired_bootstrap_finds_what_is_there() -> None:
    rng = np.random.default_rng(3)
    sizes = rng.integers(500, 1500, 60)
    noise = rng.normal(0, 40, 60)
    difference, low, high, p = paired_bootstrap(noise + 0.1 * sizes, sizes)
    assert low < difference < high
    assert low > 0
    assert p < 0.001
    _, low, high, p = paired_bootstrap(noise - noise.mean(), sizes)
    assert low < 0 < high
    assert p > 0.5
    assert paired_bootstrap(np.array([3.0]), np.array([10])) == (0.3, None, None, None)
    # an interval covers the truth as often as it says
    covered = 0
    for _ in range(40):
        _, low, high, _ = paired_bootstrap(rng.normal(5, 30, 30), np.full(30, 100))
        covered += low <= 0.05 <= high
    assert covered >= 33


def test_models_are_compared_over_the_same_documents(book: bytes) -> None:
    documents = [Document(str(start), book[start : start + 400]) for start in range(0, 8000, 400)]
    rows = measure("book", ["gzip", "counts:2"], documents)
    [found] = compare(rows)
    assert (found.model, found.other) == ("counts:2", "gzip")
    assert found.difference > 0
    assert found.low > 0
    assert found.p < 0.01
    assert characters_of("é".encode()) == 1


def test_the_command_line(tmp_path: Path, jsonl: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["-o", str(tmp_path / "out"), "-q"]
    field = f"{jsonl}:doc.text"
    assert run(["evaluate", "--json", field, "-m", "counts:2", "-m", "gzip", "--format", "latex", *out]) == 0
    latex = capsys.readouterr().out
    assert r"\begin{tabular}{llrrrrrrr}" in latex
    assert r"\bottomrule" in latex
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "table.md", "table.tex", "documents.csv", "documents.json", "lengths.jsonl"
    }  # fmt: skip
    document = json.loads((tmp_path / "out" / "documents.json").read_text())
    assert len(document["rows"]) == 8
    assert {"bits_per_byte", "bits_per_character", "bits_per_word", "window", "stride"} <= set(document["rows"][0])
    assert document["comparisons"][0]["p"] is not None
    before = (tmp_path / "out" / "lengths.jsonl").read_bytes()
    assert run(["evaluate", "--json", field, "-m", "counts:2", "--format", "csv", *out]) == 0
    assert (tmp_path / "out" / "lengths.jsonl").read_bytes() == before  # nothing is computed again
    assert capsys.readouterr().out.splitlines()[4].startswith("texts.jsonl:doc.text,counts:2,,3,")
    (tmp_path / "parts.txt").write_text("one\n\n\n\ntwo two\n\n")
    parts = ["--text", str(tmp_path / "parts.txt"), "--separator", r"\n\n"]
    assert run(["evaluate", *parts, "-m", "counts:2", "--preset", "block-1900", *out]) == 0
    captured = capsys.readouterr()
    assert "1 empty documents are left out, the first is 2" in captured.err
    assert "1,900 bytes" in captured.out
    for arguments, code, message in (
        (["--json", "texts.jsonl"], 2, "expected FILE:FIELD"),
        (["--json", f"{jsonl}:doc.txt"], 1, "there is no field 'doc.txt'"),
        (["--json", field, "--window", "9", "--stride", "9"], 2, "stride from 1 to window - 1"),
        (["--separator", "x"], 2, "--separator splits a text"),
        (["--text", str(jsonl), "--window", "9"], 2, "--window and --stride are for documents"),
        (["--json", field, "--preset", "in-context"], 2, "is for chunks"),
        (["--json", field, "--preset", "block-1900", "--window", "9"], 2, "sets the window"),
        (["--json", field, "--chunk-size", "9"], 2, "documents are measured by themselves"),
        (["--json", field, "--per-file", "9"], 2, "--per-file does not apply to documents"),
        (["--json", field, "--jobs", "2"], 2, "--jobs does not apply to documents"),
    ):
        assert run(["evaluate", *arguments, *out]) == code, arguments
        assert message in capsys.readouterr().err
