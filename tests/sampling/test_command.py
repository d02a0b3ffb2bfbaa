"""gencomp sample's and score's own words: explanations, copy rates, notes, interruption."""

import base64
import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import gencomp
from gencomp.cli import sample_notes
from gencomp.cli.main import run
from gencomp.cli.sample_notes import Reporter
from gencomp.data import alice
from gencomp.sampling.draw import Draw

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], wiki: bytes) -> Command:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompt").write_bytes(wiki[:600])

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(arguments)
        sys.stdout.flush()
        return code, *capfd.readouterr()

    return call


SAMPLE = ("sample", "--compressor", "gzip", "--prompt-file", "prompt", "-n")


def test_explain_shows_each_step(command: Command, wiki: bytes) -> None:
    code, out, err = command(*SAMPLE, "2", "--top-k", "1", "--explain")
    assert code == 0
    state = gencomp.as_predictor("gzip").begin(wiki[:600])
    best = int(state.code_lengths().argmin())
    assert out.encode()[0] == best
    assert err.count("Kraft sum") == 2
    assert err.count("<- drawn") == 2
    assert f"p {2 ** -state.code_lengths()[best]:.5f}" in err


def test_without_a_prompt_something_readable_is_continued(command: Command) -> None:
    code, out, err = command("sample", "-n", "60")
    assert code == 0
    prompt = b"The history of the city begins in the "
    assert out.encode() == gencomp.sample("rnn", prompt=prompt, length=60, temperature=0.7)
    assert "rnn continues 'The history of the city begins in the ', at temperature 0.7; --prompt '' starts" in err
    code, out, err = command("sample", "-m", "counts:2", "-n", "40")
    book = alice().replace(b"\r", b"")[:8192]
    opening = book[: book.rindex(b"\n\n") + 2]
    alphabet = tuple(sorted(set(opening)))
    assert out.encode() == gencomp.sample("counts:2", prompt=opening, length=40, temperature=0.7, alphabet=alphabet)
    assert f"a book's first {len(opening):,} bytes, at temperature 0.7, with the bytes that occur in it" in err
    drawn = command("sample", "-m", "counts:2", "--json", "--prompt", "", "-n", "9", "--seed", "4")
    record = json.loads(drawn[1])
    assert base64.b64decode(record["base64"]) == gencomp.sample("counts:2", length=9, seed=4)
    assert "no prompt is given" not in drawn[2]
    assert (
        "at temperature 1;"
        in command("sample", "-m", "uniform", "-n", "1", "--temperature", "1", "--alphabet", "all")[2]
    )


def test_explain_shows_what_is_drawn_from(command: Command, wiki: bytes) -> None:
    options = ("--temperature", "0.5", "--top-k", "3", "--alphabet", "seen")
    record = json.loads(command(*SAMPLE, "2", *options, "--explain", "--json")[1])
    first = record["steps"][0]["candidates"]
    lengths = gencomp.as_predictor("gzip").begin(wiki[:600]).code_lengths()
    weights = Draw(0.5, 3, None, tuple(sorted(set(wiki[:600])))).weights(lengths)
    for row in first:
        assert row["drawn_with"] == int(weights[row["byte"]]) / int(weights.sum())
    assert sum(row["drawn_with"] for row in first[:3]) == pytest.approx(1)
    err = command(*SAMPLE, "2", *options, "--explain")[2]
    assert err.count("3 bytes to draw from") == 2
    assert f"drawn with p {first[0]['drawn_with']:.5f}" in err


def test_among_equals_what_can_be_printed_is_shown(command: Command) -> None:
    code, _, err = command("sample", "-m", "uniform", "--prompt", "", "-n", "1", "--explain")
    assert code == 0
    assert [f"{name!r} " in err for name in ' !"#$'] == [True] * 5
    assert "x00" not in err


def test_json_has_the_steps_and_the_copies(command: Command) -> None:
    record = json.loads(command(*SAMPLE, "3", "--explain", "--json")[1])
    assert [step["drawn"] for step in record["steps"]] == list(record["text"].encode())
    assert {"kraft_sum", "entropy", "distinct_lengths", "candidates"} <= record["steps"][0].keys()
    assert record["copies"]["at_least"] == 8


@pytest.mark.parametrize("strategy", ["lookahead", "beam", "particles"])
def test_strategies(command: Command, strategy: str, wiki: bytes) -> None:
    options = ("--strategy", strategy, "--horizon", "3", "--width", "2", "--seed", "1")
    code, out, err = command(*SAMPLE, "4", *options)
    assert code == 0
    sampled = gencomp.sample("gzip", prompt=wiki[:600], length=4, strategy=strategy, horizon=3, width=2, seed=1)
    assert out.encode() == sampled
    assert "copied: " in err
    assert ("effective sample size" in err) == (strategy == "particles")
    record = json.loads(command(*SAMPLE, "4", *options, "--json")[1])
    assert (record["horizon"], record["width"]) == (3, 2)
    assert len(record.get("searches", [])) == (0 if strategy == "lookahead" else 2)


def test_search_explains_itself(command: Command) -> None:
    err = command(*SAMPLE, "3", "--strategy", "beam", "--width", "3", "--explain")[2]
    assert err.count(" bits  b'") == 3


def test_what_ties_is_said(command: Command, wiki: bytes) -> None:
    assert (
        "hardly tells"
        in command("sample", "-m", "zlib", "--prompt", "a", "-n", "1")[2]
        + command("sample", "-m", "bz2", "--prompt", "a", "-n", "1")[2]
    )
    assert command(*SAMPLE, "1", "-q")[2] == ""
    assert "only one byte" in command("sample", "-m", "gzip", "--prompt", "aa", "--alphabet", "seen", "-n", "1")[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--strategy", "deep"), "'deep'"),
        (("--horizon", "0"), "--horizon must be at least 1"),
        (("--width", "0"), "--width must be at least 1"),
        (("--max-copy", "0"), "--max-copy must be at least 1"),
        (("--own-window", "-1"), "--own-window must be at least 0"),
        (("--horizon", "4"), "needs a strategy"),
        (("--strategy", "beam", "--top-p", "0.5"), "top_k and top_p"),
        (("--strategy", "lookahead", "-m", "counts"), "is a predictor"),
        (("--temperature", "nan"), "temperature must be above 0"),
    ],
)
def test_usage_errors(command: Command, options: tuple[str, ...], message: str) -> None:
    code, out, err = command(*SAMPLE, "1", *options)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("output", [(), ("--json",), ("-o", "drawn")])
def test_ctrl_c_keeps_what_has_been_drawn(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: tuple[str, ...]
) -> None:
    def interrupt(self: Reporter) -> None:
        self.done = getattr(self, "done", 0) + 1
        if self.done == 4:
            raise KeyboardInterrupt

    expected = command(*SAMPLE, "3", "-q")[1]
    with monkeypatch.context() as patch:
        patch.setattr(Reporter, "stepped", interrupt)
        code, out, err = command(*SAMPLE, "1000", *output)
    assert code == 130
    assert "Traceback" not in err
    if output == ("--json",):
        record = json.loads(out)
        assert record["interrupted"]
        out = record["text"]
    assert ((tmp_path / "drawn").read_text() if "drawn" in output else out) == expected


def test_a_long_search_says_how_long(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_notes, "ESTIMATE_AFTER", 0.0)
    monkeypatch.setattr(sample_notes, "WORTH_A_NOTE", 0.0)
    assert "to go for 20 bytes; Ctrl-C keeps what has been drawn" in command(*SAMPLE, "20")[2]
    assert [sample_notes.duration(seconds) for seconds in (40, 600, 7200)] == ["40 s", "10 min", "2.0 h"]


def test_a_long_step_says_how_long_the_rest_takes_at_least(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    told = threading.Event()
    tell = Reporter._tell_of_long_step

    def tell_and_wake(self: Reporter) -> None:
        tell(self)
        told.set()

    def wait(self: Reporter, *_: object) -> None:
        assert told.wait(60)

    monkeypatch.setattr(sample_notes, "LONG_STEP", 0.05)
    monkeypatch.setattr(Reporter, "_tell_of_long_step", tell_and_wake)
    monkeypatch.setattr(Reporter, "choosing", wait)
    assert "the rest over 1 s; Ctrl-C keeps what has been drawn" in command(*SAMPLE, "20")[2]
    assert command(*SAMPLE, "1", "-q")[2] == ""


def test_score_tells_about_ranks_and_ties(command: Command) -> None:
    out = command("score", "-m", "gzip", "prompt", "--limit", "30")[1]
    for word in ("entropy", "in the top 5", "resolution", "ties"):
        assert word in out
    record = json.loads(command("score", "-m", "gzip", "prompt", "--limit", "30", "--json")[1])
    assert len(record["entropies"]) == len(record["ties"]) == len(record["cheaper"]) == 30
    assert 0 <= record["top"]["1"] <= record["top"]["5"] <= record["top"]["10"] <= 1
