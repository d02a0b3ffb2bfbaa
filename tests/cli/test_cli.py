"""The command line in-process: outputs, messages, exit codes. What needs a process of its own is in test_process.py."""

import hashlib
import io
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

import gencomp
from gencomp import compiled as kernels
from gencomp.cli.main import run
from tests.golden.make import machine_code


class Result:
    def __init__(self, code: int, out: bytes, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def text(self) -> str:
        return self.out.decode()


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]):  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str, stdin: bytes = b"") -> Result:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = run(arguments)
        sys.stdout.flush()
        out, err = capfdbinary.readouterr()
        return Result(code, out, err.decode())

    return call


def fails(result: Result, code: int, *parts: str) -> None:
    """One line on stderr that says what, no output, the exit code."""
    assert result.code == code, result.err
    lines = [line for line in result.err.splitlines() if line.startswith("gencomp: ")]
    assert len(lines) == 1, result.err
    assert "Traceback" not in result.err
    for part in parts:
        assert part in lines[0]


def test_compress_and_decompress_a_file(cli, tmp_path: Path, book: bytes) -> None:
    file = tmp_path / "book.txt"
    file.write_bytes(book[:5000])
    file.chmod(0o640)
    os.utime(file, ns=(10**18, 10**18 + 7))
    result = cli("compress", "book.txt", "-m", "counts:2")
    assert result.code == 0
    assert "book.txt: 5,000 -> " in result.err
    archive = tmp_path / "book.txt.gcz"
    for path in (file, archive):
        assert (path.stat().st_mode & 0o777, path.stat().st_mtime_ns) == (0o640, 10**18 + 7)
    file.unlink()
    assert cli("decompress", "book.txt.gcz", "-q").err == ""
    assert file.read_bytes() == book[:5000]
    assert file.stat().st_mtime_ns == 10**18 + 7
    assert archive.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["book.txt", "book.txt.gcz"]


def test_streams(cli, book: bytes) -> None:
    packed = cli("compress", "-q", "-m", "counts:1", "--block-size", "2KiB", stdin=book[:5000])
    assert packed.code == 0
    assert cli("decompress", "-q", stdin=packed.out).out == book[:5000]
    assert cli("decompress", "-q", "-", "-o", "-", stdin=packed.out).out == book[:5000]


def test_levels_are_models(cli, tmp_path: Path, book: bytes) -> None:
    (tmp_path / "book").write_bytes(book[:3000])
    (tmp_path / "-1").write_bytes(b"a name like a level")
    assert cli("compress", "-q", "-2", "-c", "--", "-1").code == 0
    fails(cli("compress", "-q", "book", "--block-size", "-5"), 2, "got '-5'")
    assert cli("compress", "-q", "-2", "book").code == 0
    assert "spec mix:2" in cli("info", "book.gcz").text
    assert cli("compress", "-q", "-9", "-f", "book").code == 0
    assert "spec best:9" in cli("info", "book.gcz").text


def test_info_tells_of_transformed_blocks(cli, tmp_path: Path, book: bytes) -> None:
    (tmp_path / "code").write_bytes(book[:1024] + machine_code(400))
    assert cli("compress", "-q", "-m", "counts:1", "--block-size", "1KiB", "code").code == 0
    (member,) = json.loads(cli("info", "code.gcz", "--json").text)["members"]
    assert member["transformed_blocks"] == {"calls": member["blocks"]["model"] - 1}
    assert f"transformed_blocks  calls {member['blocks']['model'] - 1}" in cli("info", "code.gcz").text
    assert cli("test", "code.gcz").code == 0


def test_the_default_is_chosen_by_size(cli, tmp_path: Path, book: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe and a file of one content give one archive."""
    for module in ("gencomp.registry", "gencomp.archive.writer"):
        monkeypatch.setattr(f"{module}.SMALL_INPUT", 2000)
    for size, spec in ((2000, "best:5?"), (2001, "mix:5?")):
        (tmp_path / "book").write_bytes(book[:size])
        assert cli("compress", "-q", "-f", "book").code == 0
        archive = (tmp_path / "book.gcz").read_bytes()
        (member,) = json.loads(cli("info", "book.gcz", "--json").text)["members"]
        assert member["model"]["spec"].startswith(spec)
        assert cli("compress", "-q", stdin=book[:size]).out == archive
        assert cli("decompress", "-q", "-c", "book.gcz").out == book[:size]


def test_many_files_go_on_after_a_failure(cli, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"aaaa")
    (tmp_path / "b").write_bytes(b"bbbb")
    fails(cli("compress", "-q", "a", "missing", "b"), 1, "missing: No such file")
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b", "a.gcz", "b.gcz"}
    result = cli("decompress", "-c", "-q", "a.gcz", "b.gcz")
    assert result.out == b"aaaabbbb"
    assert cli("test", "a.gcz", "b.gcz").text == "a.gcz: ok, 4 bytes\nb.gcz: ok, 4 bytes\n"


def test_input_is_removed_only_on_request_and_only_after_success(cli, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"aaaa")
    assert cli("compress", "-q", "--rm", "-k", "a").code == 0
    assert (tmp_path / "a").exists()
    fails(cli("compress", "-q", "--rm", "a"), 1, "a.gcz: it exists already; replace it with -f")
    assert (tmp_path / "a").exists()
    assert cli("compress", "-q", "--rm", "-f", "a").code == 0
    assert not (tmp_path / "a").exists()
    fails(cli("decompress", "--rm", "-c", "a.gcz"), 2, "--rm needs an output file")
    fails(cli("decompress", "--rm", "a.gcz", "-o", "/dev/null"), 2, "--rm needs an output file")
    assert (tmp_path / "a.gcz").exists()


def test_an_existing_file_stays_whole(cli, tmp_path: Path, book: bytes) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    (tmp_path / "bad.gcz").write_bytes(gencomp.compress(book[:3000], "counts:1")[:-1])
    fails(cli("decompress", "bad.gcz", "-o", "target"), 1, "exists already")
    fails(cli("decompress", "bad.gcz", "-o", "target", "-f"), 3, "bad.gcz: the archive is cut short")
    assert target.read_bytes() == b"precious"
    assert not list(tmp_path.glob(".*"))


def test_empty_input_is_an_empty_archive(cli, tmp_path: Path) -> None:
    packed = cli("compress", "-q")
    assert len(packed.out) < 200
    result = cli("decompress", "-q", stdin=packed.out)
    assert (result.code, result.out) == (0, b"")


@pytest.mark.parametrize(
    ("arguments", "code", "parts"),
    [
        (["compress", "nothing"], 1, ["nothing: No such file or directory"]),
        (["compress", "folder"], 1, ["folder: Is a directory"]),
        (["compress", "file", "-o", "folder"], 1, ["folder: it is a directory; name a file"]),
        (["compress", "file", "-o", "none/x"], 1, ["none/x: its folder does not exist"]),
        (["compress", "file", "-o", "file"], 2, ["file is the input itself"]),
        (["compress", "file", "-o", "/dev/full"], 1, ["No space left on device"]),
        (["compress", "file", "-m", "gzp"], 2, ["unknown model or codec 'gzp'; did you mean gzip"]),
        (["compress", "file", "-m", "gzip?level=x"], 2, ["level must be an integer, got 'x'"]),
        (["compress", "file", "-m", ""], 2, ["has no name"]),
        (["compress", "file", "-c", "-o", "x"], 2, ["-o and -c exclude each other"]),
        (["compress", "file", "file", "-o", "x"], 2, ["-o names one file, but there are 2 inputs"]),
        (["compress", "file", "-m", "mix?width=999"], 2, ["width=999 does not fit", "rows and", "give the bytes"]),
        (["compress", "file", "--block-size", "12x"], 2, ["--block-size: expected a size such as"]),
        (["compress", "file", "--block-size", "12"], 2, ["block_size must be from 1024"]),
        (["compress", "file", "--threads", "0"], 2, ["--threads must be at least 1, got 0"]),
        (["compress", "file", "--wrong"], 2, ["No such option: --wrong"]),
        (["compress", "--m"], 2, ["--m"]),
        (["unknown"], 2, ["No such command 'unknown'"]),
        (["decompress", "file"], 1, ["its name does not end in .gcz"]),
        (["decompress", "-c", "file"], 3, ["not a gencomp archive"]),
        (["decompress", "a.gcz", "-o", "x", "-m", "counts:3"], 4, ["was made with -m 'counts:6', not 'counts:3'"]),
        (["decompress", "a.gcz", "-o", "x", "--max-output", "99"], 1, ["larger than the limit"]),
        (["test", "file"], 3, ["not a gencomp archive"]),
        (["info", "file"], 3, ["not a gencomp archive"]),
        (["sample", "--prompt", "a", "--prompt-file", "file"], 2, ["exclude each other"]),
        (["sample", "--prompt-file", "nothing"], 1, ["nothing: No such file"]),
        (["sample", "--temperature", "0"], 2, ["temperature must be above 0"]),
        (["sample", "--temperature", "nan"], 2, ["temperature must be above 0"]),
        (["sample", "--top-k", "0"], 2, ["top_k must be at least 1"]),
        (["sample", "--top-p", "2"], 2, ["top_p must be above 0"]),
        (["sample", "--prompt", "", "--alphabet", "seen"], 2, ["the alphabet is empty"]),
        (["sample", "--alphabet", "some"], 2, ["'some'"]),
        (["sample", "-n", "-1"], 2, ["--length must be at least 0, got -1"]),
        (["sample", "--seed", "-1"], 2, ["--seed must be at least 0, got -1"]),
        (["sample", "-n", "1", "-o", "file"], 1, ["file: it exists already"]),
        (["score", "nothing"], 1, ["nothing: No such file"]),
        (["score", "file", "--json", "--heat-map"], 2, ["exclude each other"]),
        (["score", "file", "--chunk-size", "0"], 2, ["chunk_size must be at least 1"]),
        (["explain", "x" * 65], 2, ["65 bytes; at most 64"]),
        (["explain", "-o", "x.png"], 2, ["ends in .svg"]),
    ],
)
def test_bad_input_is_one_line_and_an_exit_code(
    cli, tmp_path: Path, wiki: bytes, arguments: list[str], code: int, parts: list[str]
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(wiki)
    (tmp_path / "a.gcz").write_bytes(gencomp.compress(wiki, "counts:6"))
    before = sorted(path.name for path in tmp_path.iterdir())
    result = cli(*arguments)
    fails(result, code, *parts)
    assert result.out == b""
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert (tmp_path / "file").read_bytes() == wiki


def test_binary_does_not_go_to_a_terminal(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"text")
    with monkeypatch.context() as patch:
        patch.setattr(sys.stdout, "isatty", lambda: True)
        fails(cli("compress", "-c", "file"), 2, "not written to a terminal")
        assert cli("compress", "-c", "-f", "-q", "file").out.startswith(b"\x8bGCZ")


def test_info(cli, tmp_path: Path, wiki: bytes) -> None:
    (tmp_path / "a.gcz").write_bytes(gencomp.compress(wiki, "counts:6", block_size=1024, verify=True))
    result = cli("info", "a.gcz")
    assert "spec counts:6" in result.text
    record = json.loads(cli("info", "a.gcz", "--json").text)["members"][0]
    assert record["raw_bytes"] == 4096
    assert record["archive_bytes"] == (tmp_path / "a.gcz").stat().st_size
    assert record["blocks"] == {"model": 4}
    assert record["verified_blocks"] == 4
    (tmp_path / "b.gcz").write_bytes(gencomp.compress(b"") * 2)
    assert "member 2 of 2" in cli("info", "b.gcz").text


def test_metadata_cannot_steer_the_terminal(cli, tmp_path: Path) -> None:
    from gencomp.coding.container import Trailer, pack_header, pack_trailer

    header, key = pack_header({"model": {"spec": "x", "revision": "\x1b]0;title\x07\n  sha256 forged \ud800"}}, 1024)
    empty = hashlib.sha256().digest()
    (tmp_path / "a.gcz").write_bytes(header + pack_trailer(key, Trailer(0, len(header) + 64, 0, empty)))
    for result in (cli("info", "a.gcz"), cli("test", "a.gcz")):
        assert "\x1b" not in result.text + result.err
        assert "\n  sha256 forged" not in result.text + result.err
    assert "\\x1b]0;title" in cli("info", "a.gcz").text


STEERING = "\x1b]0;title\x07\x9b2J\u202e\r\n  sha256              forged"


def test_file_names_cannot_steer_the_terminal(cli, tmp_path: Path) -> None:
    """Whatever a file is called, and whatever is said of it: one line, and nothing that a terminal obeys."""
    archive = gencomp.compress(b"some text; " * 99, "counts:1")
    good, bad = f"good{STEERING}", f"bad{STEERING}"
    (tmp_path / f"{good}.gcz").write_bytes(archive)
    (tmp_path / f"{bad}.gcz").write_bytes(archive[:-1])
    (tmp_path / good).write_bytes(b"text")
    (tmp_path / "double.gcz").write_bytes(archive * 2)
    calls = [
        ("test", f"{good}.gcz"),
        ("test", f"{bad}.gcz"),
        ("info", f"{good}.gcz"),
        ("info", f"{bad}.gcz"),
        ("info", f"missing{STEERING}"),
        ("compress", "-m", "counts:1", good, "-o", f"out{STEERING}"),
        ("decompress", f"{good}.gcz", "-o", f"back{STEERING}"),
        ("decompress", f"{bad}.gcz"),
        ("score", "-m", "counts:1", "--limit", "2", good),
        ("score", "-m", f"counts{STEERING}", good),
        ("sample", "-m", "counts:1", "-n", "1", "--prompt-file", good, "-o", f"drawn{STEERING}"),
        ("sample", "-m", "counts:1", "-n", "1", "--save-state", f"state{STEERING}"),
        ("explain", f"a{STEERING}", "-m", "uniform"),
        ("evaluate", "--text", good, "--chunk-size", "2", "-m", "counts:1", "-j", "1", "-o", f"results{STEERING}"),
        ("evaluate", "--text", good, "--chunk-size", "2", "-m", "counts:1", "-j", "1", "-o", "results2"),
        ("report", f"rows{STEERING}.json"),
        (f"command{STEERING}",),
        ("compress", f"--option{STEERING}"),
    ]
    for arguments in calls:
        result = cli(*arguments)
        shown = result.text + result.err
        assert all(char.isprintable() or char == "\n" for char in shown), arguments
        assert not any(line.startswith("  sha256              forged") for line in shown.split("\n")), arguments
        assert shown, arguments
    two = cli("info", f"{good}.gcz", "double.gcz").text
    assert two.count("\ngood") == 0
    assert two.startswith("good\\x1b]0;title\\x07")
    assert "member 2 of 2" in two
    assert json.loads(cli("info", "--json", f"{good}.gcz").text)["file"] == f"{good}.gcz"


def test_a_progress_bar_shows_names_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    from gencomp.cli.console import progress_bar, step_progress

    shown = io.StringIO()
    monkeypatch.setattr(shown, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", shown)
    with progress_bar(f"[/red]lookahead:[gzip+level=6]{STEERING}", 10) as advance:
        advance(3)
    with step_progress("[/]training", 2) as report:
        report(1, 1.0, 2.0)
    assert "[/red]lookahead:[gzip+level=6]" in shown.getvalue()
    assert "]0;title" not in shown.getvalue().replace("\\x1b]0;title", "")
    assert "[/]training" in shown.getvalue()


def test_states_are_not_overwritten_unasked(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gencomp.predictors.mix import Mix

    (tmp_path / "thesis").write_bytes(b"the only copy")
    (tmp_path / "corpus").write_bytes(b"a corpus; " * 20)
    arguments = ("sample", "-q", "-n", "1", "-m", "mix:1", "--prime", "corpus", "--save-state", "thesis")
    with monkeypatch.context() as patch:
        patch.setattr(Mix, "begin", lambda *_: pytest.fail("work before the name is checked"))
        fails(cli(*arguments), 1, "thesis: it exists already; replace it with -f")
    assert (tmp_path / "thesis").read_bytes() == b"the only copy"
    fails(cli("sample", "-n", "1", "-m", "counts:1", "--save-state", "new"), 2, "this model's states cannot be saved")
    fails(cli("sample", "-n", "1", "--save-state", "a", "-o", "a"), 2, "name the same file")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus", "thesis"]
    assert cli(*arguments, "-f").code == 0
    assert cli("sample", "-q", "-n", "3", "-m", "mix?state=thesis").code == 0


def test_a_note_is_an_error_of_one_line_where_warnings_are_errors(cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with PYTHONWARNINGS=error."""
    from gencomp.predictors.counts import Counts

    monkeypatch.setattr(kernels, "_told", set())
    monkeypatch.setattr(Counts, "begin", lambda *_: kernels.warn_once("it could be faster; install a compiler"))
    fails(cli("sample", "-n", "1", "-m", "counts"), 1, "gencomp: it could be faster; install a compiler")


def test_what_is_not_the_users_fault_is_not_told_as_theirs(
    cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ``ValueError`` of gencomp's own is about an argument; one out of a library is a bug."""
    from gencomp.predictors.counts import Counts

    (tmp_path / "file").write_bytes(b"text")

    def add_two_shapes(*_: object) -> None:
        np.zeros(3) + np.zeros(4)

    def parse(*_: object) -> None:
        json.loads("{")

    def raise_of_ones_own(*_: object) -> None:
        raise ValueError("a test is no part of gencomp")

    for broken in (add_two_shapes, parse, raise_of_ones_own):
        monkeypatch.setattr(Counts, "begin", broken)
        fails(cli("sample", "-n", "1", "-m", "counts"), 5, "internal error:", "gencomp --traceback")
        fails(cli("score", "file", "-m", "counts"), 5, "internal error: ", "Error")
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    fails(cli("sample", "-n", "1", "--temperature", "-1"), 2, "temperature must be above 0")
    fails(cli("compress", "file", "--block-size", "12"), 2, "block_size must be from 1024")


def test_a_traceback_is_shown_on_request(cli, tmp_path: Path) -> None:
    result = cli("--traceback", "compress", "missing\x1b[2J")
    assert result.code == 1
    assert result.err.startswith("Traceback (most recent call last):\n")
    assert "batch.py" in result.err
    assert result.err.endswith("gencomp: missing\\x1b[2J: No such file or directory\n")
    assert "\x1b" not in result.err
    assert "Traceback" not in cli("compress", "missing").err, "the next command does not inherit it"
    (tmp_path / "book").write_bytes(b"text" * 400)
    assert cli("--traceback", "compress", "-q", "-2", "book").code == 0
    assert "spec mix:2" in cli("info", "book.gcz").text
    assert "Traceback" in cli("--traceback", "sample", "--temperature", "0").err


@pytest.mark.parametrize(
    ("arguments", "code", "parts"),
    [
        (["sample", "-n", "1", "-m", "lookahead:" + "[" * 3000 + "gzip" + "]" * 3000], 2, []),
        (["sample", "-n", "1", "-m", "ensemble:" + "ensemble:[" * 200 + "gzip" + "]" * 200], 2, []),
        (["compress", "file", "-m", "mix?expert=" + "mix%3Fexpert=" * 200 + "counts"], 2, []),
        (["evaluate", "--text", "~nosuchuser/x", "-o", "out"], 1, ["~nosuchuser/x", "no such user"]),
        (["evaluate", "--image", "~nosuchuser", "-o", "out"], 1, ["~nosuchuser", "no such user"]),
        (["evaluate", "home.toml", "-o", "out"], 1, ["~nosuchuser", "no such user"]),
        (["evaluate", "zero.toml", "-o", "out"], 1, ["zero byte"]),
        (["evaluate", "deep.toml", "-o", "out"], 2, ["deep.toml"]),
        (["evaluate", "--text", "**x", "-o", "out"], 1, ["not a pattern of files"]),
        (["compare", "--text", "~nosuchuser/x", "-o", "out"], 1, ["~nosuchuser/x", "no such user"]),
        (["distance", "~nosuchuser/x", "-o", "out"], 1, ["~nosuchuser/x", "no such user"]),
        (["classify", "--train", "~nosuchuser/x", "file"], 1, ["~nosuchuser/x", "no such user"]),
        (["compress", "file", "-m", "rnn:~nosuchuser/x"], 4, ["~nosuchuser/x", "no such user"]),
        (["sample", "-n", "1", "-m", "mix?state=a%00b"], 2, ["contains a zero byte"]),
        (["evaluate", "--random", "9" * 30, "-m", "uniform", "-o", "out"], 2, ["random data can have from 0 to"]),
        (["evaluate", "--text", "file", "--limit", "9" * 30, "-o", "out"], 1, ["not one chunk"]),
        (["evaluate", "--text", "file", "--chunk-size", "9" * 30, "-o", "out"], 1, ["not one chunk"]),
        (["evaluate", "--text", "file", "--chunk-size", "9" * 5000, "-o", "out"], 2, ["--chunk-size"]),
        (["compare", "--text", "file", "-n", "9" * 30, "-o", "out"], 1, ["4 bytes"]),
        (["compress", "file", "--block-size", "9" * 30], 2, ["block_size must be from"]),
        (["compress", "file", "-m", "counts:" + "9" * 5000], 2, ["order must be an integer"]),
        (["report", "deep.json"], 1, ["deep.json is not JSON"]),
        (["report", "latin.json"], 1, ["latin.json is not JSON"]),
    ],
)
def test_odd_input_is_no_internal_error(cli, tmp_path: Path, arguments: list[str], code: int, parts: list[str]) -> None:
    (tmp_path / "file").write_bytes(b"text")
    table = 'models = ["gzip"]\n[[datasets]]\nname = "a"\nmodality = "text"\npath = '
    (tmp_path / "home.toml").write_text(table + '"~nosuchuser/x"')
    (tmp_path / "zero.toml").write_text(table + '"a\\u0000b"')
    (tmp_path / "deep.toml").write_text("models = " + "[" * 5000)
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "latin.json").write_bytes(b'["\xff"]')
    fails(cli(*arguments), code, *parts)


def test_sample_is_the_python_call(cli, tmp_path: Path, book: bytes) -> None:
    (tmp_path / "prompt").write_bytes(book[:600])
    (tmp_path / "corpus").write_bytes(book[600:1200])
    expected = gencomp.sample("zlib", prompt=book[:600], prime=book[600:1200], length=5, seed=3, top_k=4)
    options = ["-n", "5", "--seed", "3", "--top-k", "4", "--prime", "corpus", "-m", "zlib"]
    assert cli("sample", "--prompt-file", "prompt", *options).out == expected
    assert cli("sample", "--prompt-file", "-", *options, stdin=book[:600]).out == expected
    assert cli("sample", "--prompt-file", "prompt", *options, "-o", "drawn").code == 0
    assert (tmp_path / "drawn").read_bytes() == expected
    record = json.loads(cli("sample", "--prompt-file", "prompt", *options, "--json").text)
    assert record["text"].encode() == expected
    assert record["context_bytes"] == 1200


def test_sample_streams_text_to_a_terminal(cli, monkeypatch: pytest.MonkeyPatch) -> None:
    flushes = []
    with monkeypatch.context() as patch:
        patch.setattr(sys.stdout, "isatty", lambda: True)
        flush = sys.stdout.flush
        patch.setattr(sys.stdout, "flush", lambda: (flushes.append(1), flush()))
        result = cli("sample", "--compressor", "uniform", "-n", "40", "--seed", "1")
    assert len(flushes) >= 40
    assert all(char.isprintable() or char == "\n" for char in result.text)


def test_sample_says_what_a_codec_cannot_see(cli, book: bytes) -> None:
    result = cli("sample", "-m", "brotli?window_bits=10&quality=1", "-n", "1", "--prompt-file", "-", stdin=book[:2000])
    assert "looks back 1,008 bytes; the context has 2,000" in result.err


def test_score(cli, tmp_path: Path, wiki: bytes) -> None:
    (tmp_path / "file").write_bytes(wiki)
    record = json.loads(cli("score", "--compressor", "gzip", "file", "--limit", "20", "--json").text)
    assert record["raw_bytes"] == 4096
    assert len(record["costs"]) == record["scored_bytes"] == 20
    assert record["code_length_bits"] == gencomp.load("gzip").code_length(wiki)
    table = cli("score", "file", "-m", "counts:1", "--limit", "100", "--heat-map").text
    assert "log-loss" in table
    assert "<mediawiki" in table
    assert "bits:" in table


def test_explain_shows_the_papers_example(cli, tmp_path: Path) -> None:
    result = cli("explain", "AIXI", "-o", "x.svg")
    for interval in ("[0, 0.45)", "[0.09, 0.36)", "[0.2655, 0.36)", "[0.3222, 0.3411)"):
        assert interval in result.text
    assert "code   0101010 (7 bits)" in result.text
    assert (tmp_path / "x.svg").read_text().startswith("<svg")
    assert cli("explain", "AIXI").text == cli("explain").text
    assert "code   " in cli("explain", "AIXI", "-m", "uniform").text
    before = (tmp_path / "x.svg").read_text()
    fails_with_table = cli("explain", "hello", "-m", "counts:0", "-o", "x.svg")
    assert fails_with_table.code == 1
    assert (tmp_path / "x.svg").read_text() == before


def test_explain_fits_a_terminal_and_its_bits_are_the_codes(cli) -> None:
    lines = cli("explain", "hello hello hello, and so on and so on").text.splitlines()
    assert max(map(len, lines)) <= 80
    steps = [line.split() for line in lines[1:] if line[0].isdigit()]
    assert len(steps) == 38
    assert all(step[4].strip("[,") != step[5].strip(")") for step in steps)  # no interval is empty
    certain = "".join(step[6] for step in steps).replace("-", "")
    first = next(place for place, line in enumerate(lines) if line.startswith("code"))
    code = "".join(line[7:].split(" ")[0] for line in lines[first:] if line[7:8] in ("0", "1"))
    assert code.startswith(certain)
    assert f"({len(code)} bits)" in lines[-1]


def test_no_command_is_a_question_for_help(cli) -> None:
    for arguments in ((), ("--traceback",)):
        result = cli(*arguments)
        assert (result.code, result.err) == (0, "")
        assert result.text == cli("--help").text
    assert "compress" in result.text


def test_list(cli) -> None:
    text = cli("list").text
    for entry in ("gzip", "counts", "level=9", "(the default)", "looks back 32,768 bytes"):
        assert entry in text
    assert {row["name"] for row in json.loads(cli("list", "--json").text)} >= {"gzip", "uniform"}


def test_list_names_what_is_missing(cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyppmd", None)
    monkeypatch.delitem(sys.modules, "gencomp.compressors.ppmd", raising=False)
    assert "pip install 'gencomp[ppmd]'" in cli("list").text


def test_list_tells_how_kernels_run(cli) -> None:
    text = cli("list", "--build").text
    assert f"kernels: {kernels.described()}" in text
    about = json.loads(cli("list", "--build", "--json").text)
    assert about["kernels"] == kernels.way
    assert about["stale"] == []


def test_version_and_help(cli) -> None:
    assert cli("--version").text == f"gencomp {gencomp.__version__}\n"
    assert "compress" in cli("--help").text


def shorten_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    from gencomp import data
    from gencomp.cli import demo

    beginning = data.alice()[:20_000]
    monkeypatch.setattr(data, "alice", lambda: beginning)
    monkeypatch.setattr(demo, "MODELS", ("gzip",))
    monkeypatch.setattr(demo, "DEFAULT_MODEL", "counts:1")
    monkeypatch.setattr(demo, "SAMPLE_BYTES", 9)


@pytest.mark.parametrize("short", [True, pytest.param(False, marks=pytest.mark.thorough)])
def test_demo(cli, short: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if short:
        shorten_the_demo(monkeypatch)
    text = cli("demo").text
    assert "and gzip continues" in text
    assert "identical." in text
