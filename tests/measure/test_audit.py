"""Audits accept what is a predictor, and refuse what is not, each with its own message."""

import io
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gencomp.cli.main import run
from gencomp.equivalence.adapt import as_predictor
from gencomp.measure.audit import Verdict, audit
from gencomp.measure.subjects import CommandPredictor, SubjectError, TablePredictor, read_table
from gencomp.predictors.counts import Counts, CountsState
from gencomp.registry import entries

SPECS = [entry.name for entry in entries() if entry.extra is None and entry.name not in ("ensemble", "lookahead")]
SPECS += ["ensemble:gzip,counts", "counts:0", "ctw:2", "mix:1"]
LIMITS = {
    "zstd": 8,
    "brotli": 4,
    "ensemble:gzip,counts": 12,
    "lzma": 12,
    "xz": 8,
    "bz2": 12,
    "gzip": 40,
    "zlib": 40,
}


def refuted(verdict: Verdict) -> list[str]:
    return [finding.check for finding in verdict.findings if finding.passed is False]


USUAL = {"counts", "mix:1", "gzip"}  # a kind of state each


@pytest.mark.parametrize(
    "spec", [pytest.param(spec, marks=() if spec in USUAL else pytest.mark.thorough) for spec in SPECS]
)
def test_every_predictor_is_accepted(spec: str, book: bytes) -> None:
    verdict = audit(as_predictor(spec), book[: LIMITS.get(spec, 40 if spec in USUAL else 200)])
    assert verdict.accepted, verdict.record()
    assert verdict.scored_bytes == verdict.data_bytes
    assert verdict.archive_bytes is not None


def test_lookahead_is_accepted(book: bytes) -> None:
    assert audit(as_predictor("lookahead:zlib+level=6"), book[:8]).accepted


class _Counts:
    """A sound predictor to break: order-1 counts as floats."""

    alphabet_size = 256

    def begin(self, context: Sequence[int] = ()) -> Any:
        return Counts(1).begin(context)


class _Wrapped:
    """A state that says what ``said`` makes of the sound one's code lengths, at one place."""

    def __init__(self, state: CountsState, position: int, said: Any) -> None:
        self.state, self.position, self.said = state, position, said

    def code_lengths(self) -> np.ndarray:
        return self.said(self.position, self.state.code_lengths())

    def update(self, symbol: int) -> None:
        self.state.update(symbol)
        self.position += 1

    def copy(self) -> "_Wrapped":
        return _Wrapped(self.state.copy(), self.position, self.said)


class _Saying(_Counts):
    def __init__(self, said: Any) -> None:
        self.said = said

    def begin(self, context: Sequence[int] = ()) -> Any:
        return _Wrapped(Counts(1).begin(context), len(bytes(context)), self.said)


def _costs(text: bytes) -> np.ndarray:
    return Counts(1).begin().charge(text)


class _Leaks(_Counts):
    """Knows the next byte's parity: half of the bytes become twice as likely."""

    def sequence_code_lengths(self, texts: Sequence[bytes]) -> list[np.ndarray]:
        def scored(text: bytes) -> np.ndarray:
            costs = _costs(text)
            for place in range(len(text) - 1):
                costs[place] -= text[place + 1] % 2 * 0.5  # of the byte after it
            return costs

        return [scored(text) for text in texts]


class _UpdatesFirst(_Counts):
    """Counts each byte before it says what that byte costs: no future byte is seen, but the byte itself is."""

    def sequence_code_lengths(self, texts: Sequence[bytes]) -> list[np.ndarray]:
        found = []
        for text in texts:
            state, costs = Counts(1).begin(), []
            for place, symbol in enumerate(text):
                after = Counts(1).begin(text[:place] + bytes([symbol]) + text[max(0, place - 1) : place])
                costs.append(after.code_lengths()[symbol])
                state.update(symbol)
            found.append(np.array(costs))
        return found


class _DependsOnBatches(_Counts):
    """As a kernel that pads: in a batch, all texts but the longest cost a little less."""

    def sequence_code_lengths(self, texts: Sequence[bytes]) -> list[np.ndarray]:
        longest = max(map(len, texts))
        return [_costs(text) * (1.0 if len(text) == longest else 0.97) for text in texts]


class _DecodesToOthers(_Counts):
    def encode_block(self, data: bytes) -> bytes:
        return Counts(1).encode_block(data)

    def decode_block(self, payload: bytes, size: int) -> bytes:
        data = bytearray(Counts(1).decode_block(payload, size))
        data[7] ^= 32
        return bytes(data)


def _sums_to_101(position: int, lengths: np.ndarray) -> np.ndarray:
    return lengths - np.log2(1.01) if position == 37 else lengths


def _zero(position: int, lengths: np.ndarray) -> np.ndarray:
    if position != 21:
        return lengths
    chances = np.exp2(-lengths)
    chances[b"CHAPTER I"[0]] = 0.0
    with np.errstate(divide="ignore"):
        return -np.log2(chances / chances.sum())


BROKEN = [
    (_Leaks(), "causal", "it looks ahead"),
    (
        _Saying(_sums_to_101),
        "sums",
        "position 37: the probabilities sum to 1.01, not to 1 (1 of 90 positions; normalised",
    ),
    (_UpdatesFirst(), "itself", "it sees the byte before it scores it"),
    (_DependsOnBatches(), "batches", "bits in a batch of 5"),
    (_Saying(_zero), "zeros", "position 21: the byte 67 came, and had probability 0"),
    (_DecodesToOthers(), "archive", "position 7: its code decodes to other bytes"),
]


def chapter(book: bytes) -> bytes:
    """Return data with a C at position 21, which one of the broken predictors takes for impossible."""
    return book[book.index(b"CHAPTER I") - 21 :][:90]


@pytest.mark.parametrize(("predictor", "check", "message"), BROKEN, ids=[check for _, check, _ in BROKEN])
@pytest.mark.every(2)
def test_what_is_broken_is_refused(predictor: Any, check: str, message: str, book: bytes) -> None:
    verdict = audit(predictor, chapter(book))
    assert not verdict.accepted
    found = {finding.check: finding for finding in verdict.findings if finding.passed is False}
    assert check in found, verdict.record()
    assert message in found[check].message


def test_what_they_are_made_of_is_sound(book: bytes) -> None:
    assert audit(_Counts(), chapter(book)).accepted


def test_what_changes_from_run_to_run_is_refused(book: bytes) -> None:
    rng = np.random.default_rng(0)

    def noisy(position: int, lengths: np.ndarray) -> np.ndarray:
        weights = np.exp2(-lengths) * rng.uniform(0.9, 1.1, 256)
        return -np.log2(weights / weights.sum())

    assert "runs" in refuted(audit(_Saying(noisy), book[:40]))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (lambda position, lengths: np.where(np.arange(256) == 9, np.nan, lengths), "NaN among the code lengths"),
        (lambda position, lengths: lengths[:255], "(255,) values among the code lengths"),
    ],
)
def test_rows_that_are_none_are_refused(said: Any, message: str, book: bytes) -> None:
    verdict = audit(_Saying(said), book[:10])
    assert not verdict.accepted
    assert message in verdict.findings[0].message


def test_a_claim_is_held_against_the_archive(book: bytes) -> None:
    data = book[:600]
    claimed = 8 * len(Counts().encode_block(data)) / len(data)
    assert audit(Counts(), data, claim=claimed).accepted
    verdict = audit(Counts(), data, claim=claimed / 2)
    assert refuted(verdict) == ["archive"]
    assert "the claim is" in verdict.findings[-1].message


PROGRAM = """
import sys
counts = [1] * 256
for line in sys.stdin:
    words = line.split()
    if words[0] == "byte":
        counts[int(words[1])] += 1
    BREAK
    print(" ".join(str(count / sum(counts)) for count in counts), flush=True)
"""
SOUND = "pass"
BREAKS = [
    ("import os; os._exit(3) if sum(counts) > 260 else None", "the command ended with code 3 at position 5"),
    (
        "assert sum(counts) < 258, 'too much'",
        "ended with code 1 at position 2: AssertionError: too much",
    ),
    ("import time; time.sleep(60 if sum(counts) > 258 else 0)", "no answer within 1 s at position 3"),
    ("counts = counts[:255]", "gave 255 probabilities at position 0; expected 256"),
    ("counts[7] = float('nan')", "gave byte 0 the probability nan at position 0"),
    ("counts[7] = -1", "gave byte 7 the probability -0.00"),
    ("print('hello', flush=True)", "answered 'hello' at position 0; expected 256 probabilities"),
    ("print('1 ' * 40000, end='', flush=True); import time; time.sleep(9)", "has no end of line"),
]


def _program(folder: Path, body: str) -> str:
    path = folder / "model.py"
    path.write_text(PROGRAM.replace("BREAK", body))
    return f"{sys.executable} {path}"


def test_a_sound_program_is_accepted(tmp_path: Path, book: bytes) -> None:
    verdict = audit(CommandPredictor(_program(tmp_path, SOUND), 20.0), book[:30])
    assert verdict.accepted, verdict.record()


@pytest.mark.parametrize(("body", "message"), BREAKS)
@pytest.mark.every(3)
def test_a_program_that_fails_is_one_line(body: str, message: str, tmp_path: Path, book: bytes) -> None:
    verdict = audit(CommandPredictor(_program(tmp_path, body), 1.0 if "sleep" in body else 20.0), book[:20])
    assert not verdict.accepted
    assert message in verdict.findings[-1].message
    position = verdict.findings[-1].position
    assert verdict.scored_bytes == position  # what was scored until then is kept


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(SubjectError, match="cannot be started: No such file"):
        CommandPredictor("/nowhere/at-all").begin()


def test_a_table_is_held_against_the_data(tmp_path: Path, book: bytes) -> None:
    data, rows = book[:25], []
    state = Counts(0).begin()
    for symbol in data:
        rows.append(np.exp2(-state.code_lengths()))
        state.update(symbol)
    table = np.array(rows)
    np.save(tmp_path / "table.npy", table)
    verdict = audit(read_table(tmp_path / "table.npy"), data)
    assert verdict.accepted
    assert {finding.check: finding.passed for finding in verdict.findings}["causal"] is None
    (tmp_path / "table.csv").write_text("\n".join(",".join(map(repr, row.tolist())) for row in table))
    assert audit(read_table(tmp_path / "table.csv"), data).bits == pytest.approx(verdict.bits)
    table[3] *= 1.5
    assert refuted(audit(TablePredictor(table), data)) == ["sums"]
    assert (
        "has 25 rows, none for position 25"
        in audit(read_table(tmp_path / "table.npy"), data + b"x").findings[0].message
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("one.txt", "0.5\n0.25\n", "line 1: 1 numbers, expected 256; one probability says nothing of the other 255"),
        ("words.txt", " ".join(["a"] * 256), "could not convert string to float"),
    ],
)
def test_tables_of_another_kind(name: str, content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(SubjectError, match=message):
        read_table(tmp_path / name)
    np.save(tmp_path / "flat.npy", np.ones(9))
    with pytest.raises(SubjectError, match="expected a row of 256 numbers for each byte"):
        read_table(tmp_path / "flat.npy")


def numpy_file(table: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, table, allow_pickle=True)
    return file.getvalue()


def numpy_archive() -> bytes:
    file = io.BytesIO()
    np.savez(file, a=np.zeros(3))
    return file.getvalue()


ROWS = numpy_file(np.full((3, 256), 1 / 256))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a .npy file"),
        (b"PK\x03\x04, or so", "is not a .npy file"),
        (numpy_archive(), "is not a .npy file"),
        (b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535, "is not a .npy file"),
        (ROWS[:-5], "has 6,139 bytes of numbers but claims 6,144"),
        (ROWS + b"x", "has 6,145 bytes of numbers but claims 6,144"),
        (ROWS.replace(b"(3, 256), }          ", b"(3000000000, 256), } "), "claims 6,144,000,000,000"),
        (ROWS.replace(b"(3, 256), ", b"(-3, 256),"), "claims -6,144"),
        (numpy_file(np.zeros((2, 256), dtype=complex)), "is complex128[2, 256]; expected a row of 256 numbers"),
        (numpy_file(np.array([[None] * 256])), "is object[1, 256]; expected a row of 256 numbers"),
    ],
)
def test_numpy_files_of_another_kind(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "table.npy").write_bytes(content)
    with pytest.raises(SubjectError, match=re.escape(message)) as refused:
        read_table(tmp_path / "table.npy")
    assert "\n" not in str(refused.value)


def test_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], book: bytes
) -> None:
    (tmp_path / "text").write_bytes(book[:300])
    assert run(["audit", "counts:2", "--data", str(tmp_path / "text"), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["accepted"] is True
    assert record["scored_bytes"] == 300
    assert record["first_offending_position"] is None
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cheat.py").write_text(
        "from gencomp.predictors.counts import Counts\n"
        "class Cheat:\n"
        "    alphabet_size = 256\n"
        "    def begin(self, context=()):\n"
        "        return Cheat.State(Counts(0).begin(context))\n"
        "    class State:\n"
        "        def __init__(self, inner): self.inner = inner\n"
        "        def code_lengths(self): return self.inner.code_lengths() / 2\n"
        "        def update(self, symbol): self.inner.update(symbol)\n"
        "        def copy(self): return Cheat.State(self.inner.copy())\n"
    )
    assert run(["audit", "--object", "cheat:Cheat", "--data", "text"]) == 1
    out = capsys.readouterr().out
    assert "NO   sums to 1 at every position" in out
    assert "refused: cheat:Cheat's bits are not those of a code" in out
    for arguments, message in (
        ([], "name one subject"),
        (["gzip", "--table", "x"], "name one subject"),
        (["--object", "cheat"], "--object takes MODULE:NAME"),
        (["--object", "nowhere:x"], "nowhere:x cannot be loaded: ModuleNotFoundError"),
        (["gzip", "--claim", "-1"], "--claim is in bits per byte"),
        (["gzip", "--timeout", "0"], "--timeout must be above 0"),
        (["gzip", "--timeout", "nan"], "--timeout must be above 0"),
        (["gzip", "--timeout", "inf"], "--timeout must be above 0"),
        (["gzip", "--timeout", "9"], "--timeout goes with --command"),
    ):
        assert run(["audit", *arguments, "--data", "text"]) == 2
        assert message in capsys.readouterr().err
    (tmp_path / "empty").write_bytes(b"")
    assert run(["audit", "gzip", "--data", "empty"]) == 1
    assert "there is nothing to audit on" in capsys.readouterr().err
