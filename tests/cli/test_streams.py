"""What goes in and out through standard streams of every kind: all of it, or an error and an exit code."""

import array
import fcntl
import io
import json
import os
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import gencomp
from gencomp.cli.main import run
from gencomp.cli.play import _read_start
from tests.cli.test_cli import cli, fails, shorten_the_demo  # noqa: F401
from tests.conftest import ROOT

COMMAND = [sys.executable, "-m", "gencomp"]
FAST = ("-m", "counts:1")

ROWS = [
    {"dataset": "x", "modality": "text", "model": "gzip", "chunk_size": 1, "length": None, "raw_bytes": 1}
    | {"raw_rate": 0.5, "adjusted_rate": 0.5, "bits_per_byte": 4.0, "parameters": 0, "data_size": 1}
]

# every command that writes to stdout
WRITERS = [
    ("compress", "-q", "-c", "file", *FAST),
    ("decompress", "-q", "-c", "file.gcz"),
    ("sample", "-q", "-n", "3", *FAST),
    ("sample", "-q", "-n", "3", "-o", "-", *FAST),
    ("sample", "-q", "-n", "3", "--json", *FAST),
    ("score", "file", "--limit", "3", *FAST),
    ("score", "file", "--limit", "3", "--json", *FAST),
    ("score", "file", "--limit", "3", "--heat-map", *FAST),
    ("explain", "ab", "-m", "uniform"),
    ("info", "file.gcz"),
    ("info", "--json", "file.gcz"),
    ("test", "file.gcz"),
    ("list",),
    ("list", "--json"),
    ("report", "rows.json", "-o", "-"),
    ("--version",),
    ("--help",),
    ("compress", "--help"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_bytes(b"some text, some more text; " * 9)
    (tmp_path / "file.gcz").write_bytes(gencomp.compress(b"some text; " * 99, "counts:1"))
    (tmp_path / "rows.json").write_text(json.dumps(ROWS))
    return tmp_path


class Stdin:
    """What a command sees of stdin."""

    def __init__(self, buffer: io.BufferedIOBase | io.RawIOBase) -> None:
        self.buffer = buffer


class Short(io.RawIOBase):
    """A raw stdout that takes seven bytes at a time, as a pipe that is nearly full."""

    def __init__(self) -> None:
        self.taken = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(memoryview(data)[:7])  # type: ignore[arg-type]
        self.taken += part
        return len(part)


def output(
    monkeypatch: pytest.MonkeyPatch,
    raw: io.RawIOBase,
    *arguments: str,
    encoding: str = "utf-8",
    errors: str = "strict",
) -> int:
    """Run a command with stdout as ``PYTHONUNBUFFERED=1`` makes it: text right on a raw stream."""
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding, errors, write_through=True))  # type: ignore[type-var]
        code = run(arguments)
        sys.stdout.detach()
    return code


@pytest.mark.parametrize("arguments", WRITERS, ids=" ".join)
@pytest.mark.every(2)
def test_all_of_it_arrives(arguments: tuple[str, ...], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    buffered, raw = io.BytesIO(), Short()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", io.TextIOWrapper(buffered, encoding="utf-8"))
        assert run(arguments) == 0
        sys.stdout.flush()
        expected = buffered.getvalue()
    assert len(expected) > 2
    assert output(monkeypatch, raw, *arguments) == 0
    assert bytes(raw.taken) == expected


@pytest.mark.parametrize("arguments", WRITERS, ids=" ".join)
@pytest.mark.every(2)
def test_a_full_disk_is_told(
    arguments: tuple[str, ...], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with io.FileIO("/dev/full", "w") as raw:
        assert output(monkeypatch, raw, *arguments) == 1
    assert "No space left on device" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", WRITERS, ids=" ".join)
@pytest.mark.every(2)
def test_a_reader_that_is_gone_is_an_exit_code(
    arguments: tuple[str, ...], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with io.FileIO(writing, "w") as raw:
        assert output(monkeypatch, raw, *arguments) == 1
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("encoding", ["ascii", pytest.param("cp1252", marks=pytest.mark.thorough)])
@pytest.mark.parametrize("arguments", [*WRITERS, pytest.param(("demo",), marks=pytest.mark.thorough)], ids=" ".join)
@pytest.mark.every(2)
def test_any_encoding_of_stdout(
    arguments: tuple[str, ...], encoding: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if arguments == ("demo",):
        shorten_the_demo(monkeypatch)
    raw = Short()
    assert output(monkeypatch, raw, *arguments, encoding=encoding) == 0
    if "--json" in arguments:
        json.loads(raw.taken.decode(encoding))


def test_letters_that_stdout_lacks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Good data with any name: lines show an escape, JSON its own kind of escape."""
    name = "Ω—é\udcff.gcz"
    (folder / "file.gcz").rename(folder / name)
    for encoding in ("ascii", "cp1252", "utf-8"):
        raw = Short()
        assert output(monkeypatch, raw, "test", name, encoding=encoding) == 0
        assert raw.taken.decode(encoding).endswith("\\udcff.gcz: ok, 1,089 bytes\n")
        raw = Short()
        assert output(monkeypatch, raw, "info", "--json", name, encoding=encoding) == 0
        assert json.loads(raw.taken.decode(encoding))["file"] == name
        raw = Short()
        prompt = "é" * 20
        arguments = ("sample", "-q", "-n", "2", "--top-k", "1", "--prompt", prompt, "--json", *FAST)
        assert output(monkeypatch, raw, *arguments, encoding=encoding) == 0
        assert json.loads(raw.taken.decode(encoding))["text"] == "é"


@pytest.mark.parametrize("format_", ["markdown", "csv", "json"])
@pytest.mark.every(3)
def test_rows_are_kept_when_stdout_fails(
    format_: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = ("evaluate", "--text", "file", "--chunk-size", "50", *FAST, "-j", "1", "-q", "--format", format_)
    with io.FileIO("/dev/full", "w") as raw:
        assert output(monkeypatch, raw, *text, "-o", "out") == 1
    assert "No space left" in capsys.readouterr().err
    assert {"rows.csv", "rows.json", "table.md"} <= {path.name for path in (folder / "out").iterdir()}
    assert len(json.loads((folder / "out/rows.json").read_text())) == 1
    for encoding, errors in (("ascii", "strict"), ("ascii", "surrogateescape"), ("cp1252", "strict")):
        raw = Short()
        assert output(monkeypatch, raw, *text, "-o", "out", encoding=encoding, errors=errors) == 0
        assert b"counts:1" in raw.taken


def waiting_in(pipe: int) -> int:
    """Return how many bytes wait in a pipe to be read."""
    number = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, number)
    return number[0]


def await_pipe(pipe: int, condition: Callable[[int], bool], seconds: float) -> None:
    """Wait until what waits in a pipe is as it should be, or so many seconds, and a little longer."""
    deadline = time.monotonic() + seconds
    while not condition(waiting_in(pipe)) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)


def fed_in_pieces(writing: int, pieces: list[bytes], pause: float) -> threading.Thread:
    """Write each piece when the one before has been read, or after ``pause`` seconds."""

    def feed() -> None:
        with os.fdopen(writing, "wb", buffering=0) as sink:
            for piece in pieces:
                sink.write(piece)
                await_pipe(writing, lambda waiting: waiting == 0, pause)

    thread = threading.Thread(target=feed)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("arguments", "check"),
    [
        (("compress", "-q", *FAST), lambda out, content: gencomp.decompress(out) == content),
        (("score", "-", "--limit", "0", "--json", *FAST), lambda out, content: json.loads(out)["raw_bytes"] == 300),
    ],
)
@pytest.mark.every(2)
def test_a_stdin_that_does_not_block(arguments: tuple[str, ...], check: Callable[[bytes, bytes], bool]) -> None:
    """Whoever shares a pipe may have set it so; a pause is no end."""
    content = bytes(range(100)) * 3
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with subprocess.Popen([*COMMAND, *arguments], stdin=reading, stdout=subprocess.PIPE, cwd=ROOT) as running:
        os.close(reading)
        feeding = fed_in_pieces(writing, [content[:100], content[100:200], content[200:]], 20)
        assert running.stdout is not None
        out = running.stdout.read()
        feeding.join()
    assert running.returncode == 0
    assert check(out, content)


def test_a_text_to_play_with_may_come_with_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    for raw in (False, True):
        with monkeypatch.context() as patch, os.fdopen(os.dup(reading), "rb", buffering=0 if raw else -1) as source:
            patch.setattr(sys, "stdin", Stdin(source))
            feeding = fed_in_pieces(os.dup(writing), [b"so", b"me ", b"text"], 0.1)
            assert _read_start("-", 8) == (b"some tex", "stdin", None)
            feeding.join()
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.every(2)
def test_a_stdout_that_does_not_block(unbuffered: str, folder: Path) -> None:
    """A reader that pauses gets everything; one that goes away is an error."""
    noise = os.urandom(400_000)
    (folder / "noise").write_bytes(noise)
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    arguments = ["compress", "-q", "-c", "noise", "-m", "counts:0"]
    with subprocess.Popen([*COMMAND, *arguments], stdout=writing, env=environment) as running:
        os.close(writing)
        with os.fdopen(reading, "rb") as source:
            first = source.read(10)
            await_pipe(reading, lambda waiting: waiting >= 1 << 15, 20)  # no room for all that is to come
            archive = first + source.read()
    assert running.returncode == 0
    assert gencomp.decompress(archive) == noise


@pytest.mark.parametrize("arguments", [("compress", "-q", "-c", "file", *FAST), ("info", "file.gcz")])
@pytest.mark.every(2)
def test_unbuffered_output_of_a_process(arguments: tuple[str, ...], folder: Path) -> None:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "cp1252"}
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*COMMAND, *arguments], stdout=full, stderr=subprocess.PIPE, env=environment, check=False)
    assert done.returncode == 1
    assert b"No space left on device" in done.stderr


@pytest.mark.parametrize("how", ["2>&-", "2>/dev/full"])
@pytest.mark.every(2)
def test_success_without_a_stderr_is_success(how: str, folder: Path) -> None:
    line = f"{sys.executable} -m gencomp compress -m counts:1 file -o done.gcz {how}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, cwd=folder, check=False)
    assert (done.returncode, done.stdout) == (0, b"")
    assert gencomp.decompress((folder / "done.gcz").read_bytes()) == (folder / "file").read_bytes()


# runs main() with imports that take their time, and tells when it is in one
SLOW_IMPORT = """
import sys, time
from gencomp.cli.main import main
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            print("importing", file=sys.stderr, flush=True)
            try:
                time.sleep(60)
            except BaseException:  # as some modules do
                print("swallowed", file=sys.stderr, flush=True)
                time.sleep(60)
        return None
sys.meta_path.insert(0, Slow())
sys.argv = ["gencomp", "compress", "-f", "file", "-m", "counts:1"]
main()
"""


@pytest.mark.parametrize(
    ("name", "number", "word"),
    [
        pytest.param("typer", signal.SIGINT, "interrupted", marks=pytest.mark.thorough),
        pytest.param("numpy", signal.SIGINT, "interrupted", marks=pytest.mark.thorough),
        ("gencomp.archive.randomness", signal.SIGTERM, "terminated"),
    ],
)
def test_a_signal_amid_imports_is_one_line(name: str, number: int, word: str, folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    heed = lambda: signal.signal(number, signal.SIG_DFL)  # noqa: E731
    with subprocess.Popen(
        [sys.executable, "-c", SLOW_IMPORT.format(name=name)],
        stderr=subprocess.PIPE,
        preexec_fn=heed
        if number != signal.SIGINT
        else lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
    ) as running:
        assert running.stderr is not None
        assert running.stderr.readline() == b"importing\n"
        running.send_signal(number)
        rest = running.stderr.read().decode()
    assert running.returncode == 128 + number
    assert rest == f"gencomp: {word}\n"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_an_import_while_a_file_is_written_leaves_none_behind(tmp_path: Path) -> None:
    """The temporary file goes too, where a signal ends the process amid an import."""
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from gencomp.cli import main\n"
        "from gencomp.files import new_file\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'not_there': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "signal.signal(signal.SIGINT, main._on_signal)\n"
        "with new_file(Path('made')):\n"
        "    import not_there\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, cwd=tmp_path, env=environment, check=False
    )
    assert (done.returncode, done.stderr) == (130, b"gencomp: interrupted\n")
    assert list(tmp_path.iterdir()) == []
