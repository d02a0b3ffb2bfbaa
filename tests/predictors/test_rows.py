"""Rows that the writer of an archive finds: named in the header where they pay, and nowhere else."""

import io

import numpy as np
import pytest

import gencomp
from gencomp.archive.reader import list_members
from gencomp.equivalence.capabilities import suited
from gencomp.errors import ModelMismatchError
from gencomp.predictors.mix import rows
from gencomp.predictors.mix.predictor import Mix
from gencomp.predictors.mix.rows import row_width

WIDTH = 376


def sparse_records(count: int, width: int = WIDTH) -> bytes:
    """Return records of a few bytes each in fields of zeros, most of them as in the record before."""
    rng = np.random.default_rng(1)
    records = np.zeros((count, width), dtype=np.uint8)
    fields = rng.choice(width, 12, replace=False)
    row = rng.integers(1, 256, 12)
    for record in records:
        changed = rng.random(12) < 0.3
        row = np.where(changed, rng.integers(1, 256, 12), row)
        record[fields] = row
    return records.tobytes()


RECORDS = sparse_records(700)


def test_the_width_of_sparse_records() -> None:
    assert row_width(RECORDS) == WIDTH
    assert row_width(sparse_records(400, 5000)) == 5000


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(1 << 18),
        np.random.default_rng(0).integers(0, 256, 1 << 18, dtype=np.uint8).tobytes(),
        RECORDS[: rows.LEAST_SIZE - 1],
        sparse_records(20_000, 16),  # what the survey finds
        b"one line of text is as long as all of the others, and that is 75 bytes.....\n" * 5000,
    ],
    ids=["empty", "zeros", "noise", "small", "short rows", "text"],
)
@pytest.mark.every(2)
def test_where_no_rows_are_sought_or_found(data: bytes) -> None:
    assert row_width(data) is None
    assert suited(Mix(1), data) == Mix(1)


@pytest.mark.parametrize("level", [1, pytest.param(5, marks=pytest.mark.thorough)])
def test_archives_name_what_was_found(level: int) -> None:
    archive = gencomp.compress(RECORDS, f"mix:{level}")
    (member,) = list_members(io.BytesIO(archive))
    assert member.header.metadata["model"]["spec"].startswith(f"mix:{level}?width={WIDTH}&")
    assert member.blocks[0].coded_length < 0.98 * len(Mix(level).encode_block(RECORDS))
    assert gencomp.decompress(archive) == RECORDS
    names = (f"mix:{level}", f"mix:{level}?width={WIDTH}", Mix(level), Mix(level, width=WIDTH))
    for named in names if level == 1 else names[:1]:
        assert gencomp.decompress(archive, model=named) == RECORDS
    for other in (f"mix:{level}?width={WIDTH + 1}", f"mix:{level + 1}", Mix(level, width=7), "mix?memory=8"):
        with pytest.raises(ModelMismatchError, match="the archive was made with model="):
            gencomp.decompress(archive, model=other)


def test_the_size_need_not_be_whole_rows() -> None:
    data = RECORDS + b"a tail"
    archive = gencomp.compress(data, "mix:1")
    assert b"width=376" in archive
    assert gencomp.decompress(archive) == data
    with pytest.raises(ValueError, match="width=376 does not fit"):
        gencomp.compress(data, "mix:1?width=376")


def test_large_blocks_have_large_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gencomp.predictors.mix.predictor.row_width", lambda data: None)  # the search takes a second
    large, medium = (bytes(1 << 22) + tail for tail in (b"x", b""))
    assert suited(Mix(7), large) == Mix(7, memory=256)
    assert suited(Mix(8), large) == Mix(8, memory=256)
    for model, data in ((Mix(9), large), (Mix(6), large), (Mix(7, memory=8), large), (Mix(7), medium)):
        assert suited(model, data) is model


def test_tables_grow_only_where_there_is_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gencomp.predictors.mix.predictor.DEFAULT_BLOCK_SIZE", 1 << 16)  # what is above it is large
    large = bytes(1 << 16) + b"x"
    for limit, spec in ((300 << 20, "mix:7?freeze"), (None, "mix:7?memory=256&")):
        archive = gencomp.compress(large, "mix:7", max_memory=limit, threads=1)
        assert list_members(io.BytesIO(archive))[0].header.metadata["model"]["spec"].startswith(spec)
    monkeypatch.setattr("gencomp.predictors.mix.predictor._machine_memory", lambda: 200 << 20)
    assert suited(Mix(7), large) == Mix(7)


def test_what_the_user_says_stays() -> None:
    for model in (Mix(1, width=188), Mix(1, sample="u8")):
        assert suited(model, RECORDS) is model


def test_a_width_that_does_not_pay_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).integers(0, 200, 1 << 18, dtype=np.uint8).tobytes()
    monkeypatch.setattr("gencomp.predictors.mix.predictor.row_width", lambda data: 100)
    assert suited(Mix(1), noise) == Mix(1)
