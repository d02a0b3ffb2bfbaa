"""Comparisons: prompts, tasks that are kept, the same rows however the work is shared out."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gencomp.comparison.compare import Contender, Plan, Work, compare, shuffled, slow_contenders
from gencomp.comparison.prompts import (
    Prompt,
    image_prompt,
    loudest,
    read_audio,
    read_image,
    shrunk,
    text_prompt,
)
from gencomp.comparison.strategies import parse_strategy
from gencomp.comparison.tasks import Judge, Measure, Walk, decoded
from gencomp.equivalence.adapt import as_predictor
from gencomp.equivalence.explain import explain
from gencomp.errors import DatasetError, SpecError
from gencomp.executors import open_pool
from gencomp.modalities.audio import to_wav
from gencomp.modalities.image import Raster, to_png


def gradient(width: int = 24, height: int = 14) -> Raster:
    rows, columns = np.indices((height, width))
    return Raster(width, height, (rows * 7 + columns * 5).astype(np.uint8).tobytes())


def small_plan(book: bytes) -> Plan:
    prompts = [
        text_prompt("book", book, offset=100, given=200, length=20),
        image_prompt("gradient", gradient()),
        Prompt("audio", "sine", ((bytes(range(100, 160)), bytes(range(160, 200))),)),
    ]
    contenders = [Contender("counts:2", "bytes"), Contender("gzip", "bytes?top_k=4", ("text",))]
    return Plan(prompts, contenders, {"text": 2}, judge="counts:2", steps=5)


@pytest.fixture(scope="module")
def document(book: bytes) -> dict[str, Any]:
    return compare(small_plan(book))


def untimed(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if "second" not in key} for row in document["rows"]]


def test_rows_are_those_that_were_planned(document: dict[str, Any], book: bytes) -> None:
    who = [(row["modality"], row["model"], row["seed"]) for row in document["rows"]]
    ends = [(kind, name, None) for kind in ("text", "image", "audio") for name in ("truth", "shuffled")]
    models = [("text", name, seed) for name in ("counts:2", "gzip") for seed in (0, 1)]
    assert who == [*ends, *models, ("image", "counts:2", 0), ("audio", "counts:2", 0)]
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    truth, noise = document["rows"][:2]
    assert decoded(truth["parts"]) == (book[300:320],)
    assert sorted(decoded(noise["parts"])[0]) == sorted(book[300:320])
    assert truth["bits_per_byte"] < noise["bits_per_byte"]
    image = next(row for row in document["rows"] if row["modality"] == "image" and row["model"] == "truth")
    assert (image["mean_absolute_error"], image["psnr"], image["ssim"]) == (0.0, None, pytest.approx(1.0))
    assert all(row["bytes"] == {"text": 20, "image": 12 * 14, "audio": 40}[row["modality"]] for row in document["rows"])


def test_two_processes_give_the_same_rows_and_nothing_is_done_twice(
    document: dict[str, Any], book: bytes, tmp_path: Path
) -> None:
    plan = small_plan(book)
    work = Work(tmp_path / "work.jsonl")
    with open_pool(2) as pool:
        assert untimed(compare(plan, work, pool)) == untimed(document)
    with (tmp_path / "work.jsonl").open("a") as file:
        file.write('{"key": "half a li')  # the machine stopped
    told: list[tuple[int, int]] = []
    again = compare(plan, Work(tmp_path / "work.jsonl"), progress=lambda done, added: told.append((done, added)))
    assert untimed(again) == untimed(document)
    assert all(done == added for done, added in told), "something was computed again"


def test_what_takes_long_is_told_before(book: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = Prompt("audio", "sound.wav", ((book[:300], book[300:340]),))
    plan = Plan([prompt], [Contender("gzip", "bytes"), Contender("brotli", "bytes")], {})
    assert list(slow_contenders(plan, Work())) == []
    monkeypatch.setattr("gencomp.comparison.compare.SLOW", 1.0)  # 40 steps of some 100 ms, and of under a millisecond
    (line,) = slow_contenders(plan, Work())
    assert re.fullmatch(
        r"brotli takes about [\d.]+ seconds to continue sound.wav; after Ctrl-C, --resume goes on", line
    )
    work = Work()
    quick = Plan([prompt], [Contender("counts:1", "bytes")], {})
    monkeypatch.setattr("gencomp.comparison.compare.SLOW", -1.0)
    assert len(list(slow_contenders(quick, work))) == 1
    compare(quick, work)
    monkeypatch.setattr("gencomp.comparison.compare.SLOW", 0.0)
    assert list(slow_contenders(quick, work)) == []  # it is done


def test_rows_of_an_image_alone_or_in_context(book: bytes) -> None:
    raster = gradient(8, 3)
    alone, above = (image_prompt("gradient", raster, rows) for rows in ("independent", "above"))
    halves = [(raster.row(row)[:4], raster.row(row)[4:]) for row in range(3)]
    assert alone.contexts(alone.truth) == halves
    assert above.contexts(above.truth)[2] == (raster.data[:20], raster.data[20:])
    assert above.whole(above.truth) == raster.data


def test_shrinking_takes_means() -> None:
    assert shrunk(Raster(4, 2, bytes([0, 2, 10, 20, 4, 6, 30, 40])), 2) == Raster(2, 1, bytes([3, 25]))
    assert shrunk(gradient(), 96) == gradient()
    with pytest.raises(ValueError, match="at least 2"):
        shrunk(gradient(), 1)


def test_prompts_of_files(tmp_path: Path) -> None:
    (tmp_path / "image.png").write_bytes(to_png(gradient().data, 24, 14))
    prompt = read_image(str(tmp_path / "image.png"), width=12, rows="above")
    assert (prompt.width, len(prompt.pieces), prompt.joined) == (12, 7, True)
    (tmp_path / "sound.wav").write_bytes(to_wav(bytes(range(200))))
    prompt = read_audio(str(tmp_path / "sound.wav"), offset=10, given=20, length=30)
    assert prompt.pieces == ((bytes(range(10, 30)), bytes(range(30, 60))),)
    with pytest.raises(DatasetError, match="200 bytes, fewer than the offset of 100, the prompt of 80 and the 30 to"):
        read_audio(str(tmp_path / "sound.wav"), offset=100, given=80, length=30)
    with pytest.raises(ValueError, match="the length at least 1"):
        text_prompt("text", b"abc", length=0)


def test_the_loudest_place() -> None:
    samples = bytes([128] * 50 + [128, 200, 60, 129] + [128] * 50)
    assert loudest(samples, 2) == 51
    assert loudest(samples, 4) == 50
    assert loudest(bytes([128] * 9), 3) == 0
    assert loudest(b"\x00", 3) == 0


def test_shuffled_keeps_the_bytes_and_the_pieces() -> None:
    prompt = image_prompt("gradient", gradient())
    parts = shuffled(prompt)
    assert [len(part) for part in parts] == [12] * 14
    assert sorted(b"".join(parts)) == sorted(b"".join(prompt.truth))
    assert parts != prompt.truth


def test_own_code_length_is_what_the_codec_adds(book: bytes) -> None:
    from gencomp.compressors.deflate import Gzip

    prompt = text_prompt("book", book, given=300, length=30)
    result = Judge(prompt, "uniform", prompt.truth, "gzip").run()
    expected = (Gzip().code_length(book[:330]) - Gzip().code_length(book[:300])) / 30
    assert result["own_bits_per_byte"] == expected
    assert result["bits_per_byte"] == 8.0
    assert Measure(prompt, "uniform", prompt.truth).run() == {"entropy": 8.0, "log_loss": 8.0, "bytes": 30}


def test_a_walk_is_the_coders(book: bytes) -> None:
    prompt = text_prompt("book", book, given=100, length=10)
    walk = Walk(prompt, "counts:2", 6).run()
    explanation = explain(as_predictor("counts:2"), book[100:106], book[:100])
    low, width, exponent = 0, 1 << 56, 56
    for record, step in zip(walk["steps"], explanation.steps, strict=True):
        unit = width >> record["precision"]  # as the coder does, and the page
        low, width = low + unit * record["start"], unit * (record["stop"] - record["start"])
        while width < 1 << 48:
            low, width, exponent = low << 8, width << 8, exponent + 8
        assert (step.after.low * 2**exponent, step.after.width * 2**exponent) == (low, width)
        assert record["lengths"][record["symbol"]] == pytest.approx(-np.log2(step.probability(step.symbol)), abs=1e-3)
    assert walk["code"] == explanation.code


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("byte", "did you mean bytes"),
        ("bytes:3", "unknown strategy"),
        ("bytes?heat=1", "no option 'heat'"),
        ("bytes?temperature=0", "above 0"),
        ("bytes?top_k=many", "invalid literal"),
        ("bytes?alphabet=latin", "all or seen"),
        ("bytes?horizon=3", "looks ahead"),
    ],
)
def test_strategies_that_cannot_be(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse_strategy(text)


def test_plans_that_cannot_be(book: bytes) -> None:
    prompt = text_prompt("book", book)
    with pytest.raises(ValueError, match="nothing to continue"):
        Plan([], [Contender("gzip", "bytes")], {})
    with pytest.raises(ValueError, match="no model"):
        Plan([prompt], [], {})
    with pytest.raises(ValueError, match="256 symbols"):
        compare(Plan([prompt], [Contender("uniform?alphabet_size=3", "bytes")], {}))
