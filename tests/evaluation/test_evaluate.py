import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from gencomp.cli.main import run as run_command
from gencomp.equivalence.capabilities import chunk_code_lengths, parameter_count_of, sequence_code_lengths
from gencomp.errors import DatasetError, SpecError
from gencomp.evaluation import run as running
from gencomp.evaluation.experiment import Experiment
from gencomp.evaluation.journal import FILE, Journal
from gencomp.evaluation.measure import GROUP, Batch, Measured
from gencomp.evaluation.presets import PRESETS
from gencomp.evaluation.rows import Row, interval
from gencomp.evaluation.run import Reports, run
from gencomp.evaluation.tables import to_csv, to_json, to_markdown
from gencomp.executors import LocalPool, SerialPool, open_pool
from gencomp.labels import visible
from gencomp.modalities.dataset import Dataset
from gencomp.predictors.counts import Counts
from gencomp.predictors.uniform import Uniform
from gencomp.protocols import FloatArray
from gencomp.registry import load
from tests.conftest import ROOT


def quiet() -> Reports:
    return Reports(lambda total, known: None, lambda count: None, lambda line: None)


def figures(rows: Sequence[Row]) -> list[Row]:
    """Return the rows without the one thing that differs between runs."""
    return [replace(row, seconds=0) for row in rows]


@pytest.fixture
def experiment(tmp_path: Path, book: bytes) -> Experiment:
    (tmp_path / "book.txt").write_bytes(book[:60_000])
    datasets = (
        Dataset("book", "text", str(tmp_path / "book.txt")),
        Dataset("random", "random", limit=20),
    )
    return Experiment("test", datasets, ("gzip", "xz", "bz2"))


def test_rows_are_what_a_plain_loop_finds(experiment: Experiment, tmp_path: Path, book: bytes) -> None:
    rows = run(replace(experiment, models=("gzip", "xz", "counts:2")), tmp_path / "out", SerialPool(), quiet())
    assert len(rows) == 2 * 2 * 3
    chunks = [book[start : start + 2048] for start in range(0, 60_000 // 2048 * 2048, 2048)]
    gzip, xz, counts = rows[:3]
    header = len(load("gzip").compress(b"\0"))
    expected = sum(len(load("gzip").compress(chunk)) for chunk in chunks) - header * (len(chunks) - 1)
    assert gzip.code_length == 8 * expected
    assert gzip.raw_rate == pytest.approx(expected / gzip.raw_bytes)
    assert gzip.adjusted_rate == gzip.raw_rate
    assert xz.header_bits == 8 * len(load("xz").compress(b"\0"))
    assert counts.code_length == sum(8 * len(Counts(2).encode_block(chunk)) for chunk in chunks)
    assert counts.header_bits == 0
    whole = next(row for row in rows if row.model == "gzip" and row.chunk_size == "whole")
    assert whole.code_length == 8 * len(load("gzip").compress(b"".join(chunks)))
    assert (whole.chunks, whole.low) == (1, None)
    noise = next(row for row in rows if row.dataset == "random")
    assert 1 <= noise.raw_rate < 1.01
    assert all(row.low - 1e-9 <= row.raw_rate <= row.high + 1e-9 for row in rows if row.low is not None)


def test_a_stopped_run_goes_on_where_it_was(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = figures(run(experiment, tmp_path / "whole", SerialPool(), quiet()))
    done: list[Batch] = []

    def measure_three(batch: Batch) -> Measured:
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(batch)
        return measure(batch)

    measure = running.measure
    monkeypatch.setattr(running, "measure", measure_three)
    with pytest.raises(KeyboardInterrupt):
        run(experiment, tmp_path / "out", SerialPool(), quiet())
    path = tmp_path / "out" / FILE
    finished_lines = path.read_bytes().count(b"\n")
    assert finished_lines >= 2
    path.write_bytes(path.read_bytes()[:-20])  # killed while writing the last line
    monkeypatch.setattr(running, "measure", measure)
    assert figures(run(experiment, tmp_path / "out", SerialPool(), quiet())) == expected
    monkeypatch.setattr(running, "measure", measure_three)  # would stop at once
    assert figures(run(experiment, tmp_path / "out", SerialPool(), quiet())) == expected


def test_other_data_or_another_model_is_measured_anew(experiment: Experiment, tmp_path: Path) -> None:
    known: list[int] = []
    reports = replace(quiet(), begin=lambda total, ready: known.append(ready))
    run(experiment, tmp_path / "out", SerialPool(), reports)
    other = replace(experiment, models=("gzip?level=1",), datasets=(replace(experiment.datasets[1], seed=7),))
    run(other, tmp_path / "out", SerialPool(), reports)
    run(experiment, tmp_path / "out", SerialPool(), reports)
    assert known[:2] == [0, 0]
    assert known[2] > 0


@pytest.mark.thorough
def test_several_processes_give_the_same_rows(experiment: Experiment, tmp_path: Path) -> None:
    serial = run(experiment, tmp_path / "serial", SerialPool(), quiet())
    with open_pool(2) as pool:
        assert isinstance(pool, LocalPool)
        killed = []

        def kill_once(count: int) -> None:
            if not killed:
                killed.append(next(iter(pool._executor._processes)))
                os.kill(killed[0], signal.SIGKILL)

        parallel = run(experiment, tmp_path / "parallel", pool, replace(quiet(), advance=kill_once))
    assert killed
    assert figures(parallel) == figures(serial)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_with_a_worker_killed_gives_the_same_rows(experiment: Experiment, tmp_path: Path) -> None:
    from distributed import LocalCluster

    serial = run(experiment, tmp_path / "serial", SerialPool(), quiet())
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None)
    with cluster, open_pool(1, cluster.scheduler_address) as pool:
        assert pool.workers == 2
        killed = []

        def kill_once(count: int) -> None:
            if not killed:
                killed.append(cluster.workers[0].pid)
                os.kill(killed[0], signal.SIGKILL)

        rows = run(experiment, tmp_path / "cluster", pool, replace(quiet(), advance=kill_once))
    assert killed
    assert figures(rows) == figures(serial)


def test_two_runs_do_not_share_a_folder(experiment: Experiment, tmp_path: Path) -> None:
    with Journal.open(tmp_path), pytest.raises(DatasetError, match="another run is writing there"):
        run(experiment, tmp_path, SerialPool(), quiet())


def test_the_journal_keeps_floats_to_the_last_bit(tmp_path: Path) -> None:
    lengths = (1 / 3, 8.0, 1e-17)
    with Journal.open(tmp_path) as journal:
        journal.add(Batch("cell", GROUP, "gzip", (b"",) * 3), Measured(lengths, 0.5))
    with Journal.open(tmp_path) as journal:
        assert tuple(journal.lengths("cell", GROUP + 3)[GROUP:]) == lengths
        assert np.isnan(journal.lengths("cell", GROUP + 3)[:GROUP]).all()
        assert journal.seconds("cell") == 0.5


def test_a_file_that_is_no_journal_is_left_as_it_is(tmp_path: Path) -> None:
    """Opening cuts off what a killed run left of a line; never what somebody else wrote."""
    path = tmp_path / FILE
    for content in (
        b"my notes\n",
        b"one\ntwo\n",
        b"no end of line",
        b'{"key": 1}\n',
        b'{"cell": 5}\n{"cell',
        b"\0" * 9,
    ):
        path.write_bytes(content)
        with pytest.raises(DatasetError, match="is not a journal of an experiment"), Journal.open(tmp_path):
            raise AssertionError("not reached")
        assert path.read_bytes() == content
    for content in (b"", b'{"ce', b'{"cell": "a", "start": 0, "sec'):
        path.write_bytes(content)
        with Journal.open(tmp_path):
            assert path.read_bytes() == b""


def test_a_damaged_line_of_a_journal_costs_that_line_alone(tmp_path: Path) -> None:
    with Journal.open(tmp_path) as journal:
        for start in (0, 1, 2):
            journal.add(Batch("cell", start, "gzip", (b"",)), Measured((8.0 * start,), 0.5))
    lines = (tmp_path / FILE).read_bytes().splitlines(keepends=True)
    for damaged in (b"\xff" + lines[1], lines[1].replace(b"[", b"[" * 9999), lines[1].replace(b"8", b'"8"'), b"\n"):
        (tmp_path / FILE).write_bytes(lines[0] + damaged + lines[2] + lines[1][:20])
        with Journal.open(tmp_path) as journal:
            assert journal.lengths("cell", 3).tolist() == pytest.approx([0, np.nan, 16], nan_ok=True)
            assert (tmp_path / FILE).read_bytes() == lines[0] + damaged + lines[2]


def test_other_peoples_files_are_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "out"
    folder.mkdir()
    arguments = ["evaluate", "--random", "2", "--chunk-size", "8", "-m", "uniform", "-j", "1", "-q", "-o", "out"]
    for name in ("rows.csv", "rows.json", "table.md", "rate-against-length.png"):
        (folder / name).write_bytes(b"the only copy")
        assert run_command(arguments) == 1
        assert f"{name}: it exists, and no experiment wrote it" in capsys.readouterr().err
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == {name: b"the only copy"}
        (folder / name).unlink()
    (folder / "rows.csv").write_bytes(b"an old export")
    assert run_command([*arguments, "-f"]) == 0
    assert b"uniform" in (folder / "rows.csv").read_bytes()
    assert run_command(arguments) == 0, "an experiment's own folder needs no -f"
    (tmp_path / "file").write_bytes(b"")
    assert run_command([*arguments[:-1], "file"]) == 1
    assert "it is a file; name a folder" in capsys.readouterr().err


@pytest.mark.thorough
def test_names_that_mean_something_to_matplotlib(tmp_path: Path) -> None:
    from gencomp.report.curves import draw

    versions: dict[str, str] = {}
    name = "_$x$ and $\\frac{$, \udcff 数据\na"
    made = [
        Row(name, "text", f"m{name}", 2048, length, 1, 100, 400.0, 0.0, 0, 0, 100, None, None, 1.0, versions)
        for length in (8, 16)
    ]
    assert draw(made, tmp_path)
    assert draw([replace(row, length=None, parameters=number) for number, row in enumerate(made * 2)], tmp_path)
    assert visible(name) in to_markdown(made)
    assert to_csv(made)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    generator = np.random.default_rng(0)
    held = 0
    for seed in range(20):
        lengths = generator.normal(8000, 2000, 200)
        low, high = interval(lengths, np.full(200, 2048), 0, seed)
        assert low is not None
        assert high is not None
        held += low < 8000 / 8 / 2048 < high
    assert held >= 16
    assert interval(lengths[:1], np.array([2048]), 0, 0) == (None, None)
    assert interval(lengths, np.full(200, 2048), 0, 3) == interval(lengths, np.full(200, 2048), 0, 3)


def test_lengths_are_prefixes_of_chunks(experiment: Experiment, tmp_path: Path) -> None:
    chosen = replace(experiment, chunk_sizes=(2048,), lengths=(64, 2048), models=("xz", "counts:2"))
    rows = run(chosen, tmp_path / "out", SerialPool(), quiet())
    counts = [row for row in rows if row.model == "counts:2" and row.dataset == "book"]
    assert [row.length for row in counts] == [64, 2048]
    assert counts[0].raw_bytes * 32 == counts[1].raw_bytes
    assert counts[0].raw_rate > counts[1].raw_rate
    with pytest.raises(DatasetError, match="no chunk has 4096 bytes; the longest has 2048"):
        run(replace(chosen, lengths=(4096,)), tmp_path / "out", SerialPool(), quiet())


def test_lost_bits_are_charged(tmp_path: Path) -> None:
    dataset = Dataset("noise", "random", limit=20, seven_bits=True)
    (row,) = run(Experiment("t", (dataset,), ("uniform",), (2048,)), tmp_path, SerialPool(), quiet())
    assert row.lost_bits == row.raw_bytes
    assert row.bits_per_byte == pytest.approx(8 + 1, abs=0.01)
    assert row.low is not None
    assert row.low - 1e-9 <= row.raw_rate


class _Scored(Uniform):
    """A uniform predictor with parameters that scores whole sequences."""

    parameter_count = 1000

    def sequence_code_lengths(self, texts: Sequence[bytes]) -> list[FloatArray]:
        return [np.full(len(text), 8.0) for text in texts]


def test_capabilities_and_their_fallbacks(book: bytes) -> None:
    chunks = [book[:50], book[50:80], b""]
    assert chunk_code_lengths(_Scored(), chunks).tolist() == [400, 240, 0]
    counts = Counts(2)
    (costs,) = sequence_code_lengths(counts, chunks[:1])
    assert costs.shape == (50,)
    (coded,) = chunk_code_lengths(counts, chunks[:1])
    assert costs.sum() <= coded <= costs.sum() + 2 + 8
    assert (parameter_count_of(_Scored()), parameter_count_of(counts)) == (1000, 0)


def test_parameters_are_charged_and_shared(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Uniform, "parameter_count", 1000, raising=False)
    chosen = replace(experiment, models=("uniform",), chunk_sizes=(2048,), data_sizes=(10**4, 10**6))
    small, large = run(chosen, tmp_path, SerialPool(), quiet())[:2]
    assert small.raw_rate == large.raw_rate
    assert small.adjusted_rate == pytest.approx(small.raw_rate + 2000 / 10**4)
    assert large.adjusted_rate == pytest.approx(large.raw_rate + 2000 / 10**6)
    assert "Adjusted rate" in to_markdown([small, large])
    assert "10,000" in to_markdown([small, large])


def test_tables(experiment: Experiment, tmp_path: Path) -> None:
    renamed = replace(experiment, datasets=(replace(experiment.datasets[0], name="enwik8"), experiment.datasets[1]))
    rows = run(renamed, tmp_path / "out", SerialPool(), quiet())
    records = json.loads(to_json(rows, paper=True))
    assert [record["paper_raw_rate"] for record in records[:3]] == [0.481, 0.5, None]
    table = list(csv.DictReader(io.StringIO(to_csv(rows))))
    assert [float(line["raw_rate"]) for line in table] == [row.raw_rate for row in rows]
    assert "python=" in table[0]["versions"]
    markdown = to_markdown(rows, paper=True)
    line = next(line for line in markdown.splitlines() if line.startswith("| 2048  | gzip"))
    assert "(48.1)" in line
    assert f"{100 * rows[0].raw_rate:.1f}" in line
    assert "Chinchilla 70B" in markdown
    assert "Chinchilla" not in to_markdown(rows)
    assert "header of gzip: 21 bytes" in markdown


def test_what_was_left_out_and_converted_is_said(tmp_path: Path) -> None:
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    for number in range(7):
        soundfile.write(sounds / f"{number}.wav", np.zeros((2048, 2)), 16_000)
    (sounds / "bad.wav").write_bytes(b"no sound")
    lines: list[str] = []
    dataset = Dataset("speech", "audio", str(sounds))
    chosen = Experiment("t", (dataset,), ("uniform",))
    rows = run(chosen, tmp_path / "out", SerialPool(), replace(quiet(), note=lines.append))
    assert rows[0].chunks == 7
    assert "bad.wav: not a sound file" in lines[0]
    assert lines[1].endswith("files that could not be read, and were left out: 1")
    assert lines[2].endswith("0.wav: 2 channels became their mean")
    assert lines[-1] == "speech: 7 such conversions in all"
    assert len(lines) == 8, "once, though the data was cut twice"
    with pytest.raises(DatasetError, match=r"bad\.wav"):
        run(replace(chosen, datasets=(replace(dataset, strict=True),)), tmp_path / "out", SerialPool(), quiet())


TOML = """
models = ["gzip?level=6", "uniform"]
chunk_sizes = [100, "whole"]
[[datasets]]
name = "text"
modality = "text"
path = "book.txt"
limit = 3
"""


def test_a_toml_file(tmp_path: Path, book: bytes) -> None:
    (tmp_path / "book.txt").write_bytes(book)
    (tmp_path / "try.toml").write_text(TOML)
    experiment = Experiment.from_toml(tmp_path / "try.toml")
    assert experiment.name == "try"
    rows = run(experiment, tmp_path / "out", SerialPool(), quiet())
    assert [(row.model, row.chunk_size, row.raw_bytes) for row in rows] == [
        ("gzip?level=6", 100, 300),
        ("uniform", 100, 300),
        ("gzip?level=6", "whole", 2048 * 3),
        ("uniform", "whole", 2048 * 3),
    ]


def test_the_example(tmp_path: Path) -> None:
    experiment = Experiment.from_toml(ROOT / "examples/experiment.toml")
    rows = run(replace(experiment, models=("gzip",)), tmp_path, SerialPool(), quiet())
    assert [row.dataset for row in rows[::2]] == ["book", "book in seven bits", "noise"]
    assert rows[0].code_length == rows[2].code_length, "it is ASCII"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("models", "modls", "no option 'modls'"),
        ('"whole"', '"all"', "a chunk size is a number of bytes or 'whole', got 'all'"),
        ("limit = 3", "limit = 0", "limit must be at least 1"),
        ("[100, ", "100 #", "chunk_sizes must be of type list"),
        ("[[datasets]]", "[datasets]", "datasets must be of type list"),
        ("= 3", "=", "try.toml: Invalid value"),
        ('"gzip?level=6", "uniform"', "", "has no models"),
        ('"gzip?level=6", "uniform"', "1", "models are specs"),
    ],
)
def test_what_is_wrong_in_a_file_is_said(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    (tmp_path / "try.toml").write_text(TOML.replace(old, new))
    with pytest.raises(ValueError, match=complaint):
        Experiment.from_toml(tmp_path / "try.toml")


def test_a_model_that_does_not_exist_stops_before_anything_is_measured(experiment: Experiment, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="did you mean gzip"):
        run(replace(experiment, models=("gzip", "gzp")), tmp_path, SerialPool(), quiet())
    assert (tmp_path / FILE).read_bytes() == b""


def test_presets_are_whole() -> None:
    for preset in PRESETS.values():
        experiment = preset.experiment(preset.datasets(Path("data")))
        for model in experiment.models:
            load(model)
        assert {dataset.modality for dataset in experiment.datasets} == set(preset.modalities)


def test_the_command_line_names_the_presets() -> None:
    from gencomp.cli.evaluate import _PRESETS

    assert tuple(PRESETS) == _PRESETS


def command(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "gencomp", "evaluate", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.thorough
def test_the_command_killed_and_resumed(tmp_path: Path, book: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "book.txt").write_bytes(book[:100_000])
    arguments = ("--text", str(tmp_path / "book.txt"), "-m", "brotli", "-m", "gzip", "-o", str(tmp_path / "out"))
    first = command(*arguments, "-j", "1")
    journal = tmp_path / "out" / FILE
    while first.poll() is None and not (journal.exists() and journal.read_bytes().count(b"\n") >= 2):
        time.sleep(0.02)
    first.kill()
    first.communicate()
    second = command(*arguments, "-j", "2", "--format", "json")
    output, errors = second.communicate()
    assert second.returncode == 0, errors
    assert "bytes have been measured already" in errors
    rows = json.loads(output)
    assert [row["model"] for row in rows] == ["brotli", "gzip"] * 2
    assert (tmp_path / "out/rows.json").read_text() == output
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"rows.csv", "table.md", FILE}
    assert run_command(["evaluate", *arguments, "-j", "1", "-q", "--format", "json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == rows
    assert captured.err == ""


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        ([], 2, "nothing to measure"),
        (["--preset", "table1", "--random", "1"], 2, "--preset must be one of paper-table1"),
        (["--random", "1", "--chunk-size", "big"], 2, "or whole"),
        (["--random", "0"], 2, "--random must be at least 1"),
        (["--random", "1", "--jobs", "2", "--cluster", "tcp://x:1"], 2, "give one of them"),
        (["--text", "/nowhere"], 1, "/nowhere: No such file"),
        (["missing.toml"], 1, "No such file"),
        (["x.toml", "--random", "1"], 2, "names its data itself"),
        (["--random", "1", "--format", "pdf"], 2, "--format must be one of"),
        (["--random", "1", "--per-file", "2"], 2, "--per-file is for images and sound, and there are none"),
    ],
)
def test_a_wrong_command_line_is_one_line(
    arguments: list[str], code: int, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["evaluate", *arguments, "-o", str(tmp_path / "out")]) == code
    errors = capsys.readouterr().err
    assert complaint in errors
    assert errors.count("\n") == 1


def test_a_wrong_name_is_told_before_models_are_loaded(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gencomp.evaluation.run.facts_of", lambda model: pytest.fail("a model is asked"))
    for name, error in (("nothing", FileNotFoundError), ("*.txt.gz", DatasetError)):
        wrong = Dataset("wrong", "text", str(tmp_path / name))
        with pytest.raises(error, match=re.escape(name)):
            run(replace(experiment, datasets=(*experiment.datasets, wrong)), tmp_path / "out", SerialPool(), quiet())


@pytest.fixture
def rows_of_two_lengths(experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Row]:
    monkeypatch.setattr(Uniform, "parameter_count", 1000, raising=False)
    chosen = replace(experiment, models=("uniform", "gzip"), chunk_sizes=(2048,), lengths=(64, 2048))
    return run(chosen, tmp_path / "out", SerialPool(), quiet())


def is_picture(path: Path) -> bool:
    from PIL import Image

    with Image.open(path) as image:
        image.load()
        return min(image.size) > 500


def test_curves(rows_of_two_lengths: list[Row], tmp_path: Path) -> None:
    from gencomp.report.curves import draw

    (path,) = draw(rows_of_two_lengths, tmp_path)
    assert path.name == "rate-against-length.png"
    assert is_picture(path)
    assert not draw([replace(row, parameters=0, length=None) for row in rows_of_two_lengths], tmp_path)


@pytest.mark.thorough
def test_curves_of_sizes(rows_of_two_lengths: list[Row], tmp_path: Path) -> None:
    from gencomp.report.curves import draw

    whole = [replace(row, length=None) for row in rows_of_two_lengths]
    assert not draw(whole, tmp_path)  # one size of model is no curve
    larger = [replace(row, parameters=2000) for row in whole if row.parameters]
    (path,) = draw([*whole, *larger], tmp_path)
    assert path.name == "rate-against-parameters.png"
    assert is_picture(path)
