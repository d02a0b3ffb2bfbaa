"""What only a process of its own shows: signals, pipes, start-up."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT

COMMAND = [sys.executable, "-m", "gencomp"]


def process(*arguments: str, **options: object) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)  # type: ignore[call-overload]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
@pytest.mark.every(3)
def test_a_signal_leaves_nothing_half_written(number: int, code: int, tmp_path: Path, book: bytes) -> None:
    (tmp_path / "book").write_bytes(book * 40)
    (tmp_path / "book.gcz").write_bytes(b"what was there")
    heed = lambda: signal.signal(number, signal.SIG_DFL)  # noqa: E731 - shells start background jobs with SIGINT ignored
    running = process("compress", "-f", "book", cwd=tmp_path, preexec_fn=heed)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".*.part")) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert list(tmp_path.glob(".*.part")), "compression did not start"
    time.sleep(0.1)
    running.send_signal(number)
    _, err = running.communicate(timeout=60)
    assert running.returncode == code
    assert err.decode().splitlines()[-1] in ("gencomp: interrupted", "gencomp: terminated")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["book", "book.gcz"]
    assert (tmp_path / "book.gcz").read_bytes() == b"what was there"


def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    with process("sample", "--prompt", "", "-m", "uniform", "-n", "300000") as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.read(10)
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait(60) == 1


@pytest.mark.parametrize(
    ("command", "code", "complaint"),
    [
        ("list >&-", 1, "stdout: Bad file descriptor"),
        pytest.param("compress -c README.md >&-", 1, "Bad file descriptor", marks=pytest.mark.thorough),
        pytest.param("compress <&- | cat", 1, "Bad file descriptor", marks=pytest.mark.thorough),
        pytest.param("nothing 2>&-", 2, "", marks=pytest.mark.thorough),
        ("compress -q -m counts:1 README.md -o /dev/stdout | cat > /dev/null", 0, ""),
        pytest.param("list > /dev/full", 1, "No space left on device", marks=pytest.mark.thorough),
    ],
)
def test_streams_that_are_closed_or_full(command: str, code: int, complaint: str) -> None:
    line = f"set -o pipefail; {sys.executable} -m gencomp {command}"
    run = subprocess.run(["bash", "-c", line], capture_output=True, cwd=ROOT, check=False)
    assert run.returncode == code, run.stderr
    assert complaint in run.stderr.decode()
    assert b"Traceback" not in run.stderr
    assert run.stderr.count(b"gencomp: ") <= 1


# a console script, with Ctrl-C at one of its imports
INTERRUPTED_IMPORT = """
import os, signal, sys
left = {count}
def hook(event, arguments):
    global left
    if event == "import":
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGINT)
from gencomp.cli.start import main
sys.addaudithook(hook)
sys.argv = ["gencomp", "list"]
sys.exit(main())
"""
# what else happens to main(): its run() is interrupted while it tidies up, or all is done
INTERRUPTED_END = """
import atexit, os, signal, sys
import gencomp.cli.main as command
if {name!r} == "tidying":
    command.run = lambda arguments: os.kill(os.getpid(), signal.SIGINT)
else:
    command.run = lambda arguments: 0
    atexit.register(os.kill, os.getpid(), signal.SIGINT)
command.main()
"""


def heed_interrupts() -> None:
    """Undo what shells do for jobs in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def assert_interrupted(program: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, cwd=ROOT, preexec_fn=heed_interrupts, check=False
    )
    assert (run.stderr, run.returncode) == (b"gencomp: interrupted\n", 130)


@pytest.mark.parametrize(
    "count", [12, 150, *(pytest.param(count, marks=pytest.mark.thorough) for count in (1, 2, 3, 6, 40))]
)
def test_an_interrupt_at_any_import_is_one_line(count: int) -> None:
    assert_interrupted(INTERRUPTED_IMPORT.format(count=count))


@pytest.mark.parametrize("name", ["tidying", "leaving"])
@pytest.mark.every(2)
def test_an_interrupt_at_the_end_is_one_line(name: str) -> None:
    assert_interrupted(INTERRUPTED_END.format(name=name))


@pytest.mark.parametrize("thread", [True, False])
@pytest.mark.every(2)
def test_what_is_registered_for_the_end_is_done(thread: bool) -> None:
    """Though the process ends without Python's own tidying, and though a thread that still runs is waited for."""
    program = (
        "import atexit, threading; from gencomp.cli.start import main\n"
        "atexit.register(print, 'at the end')\n"
        f"if {thread}: threading.Thread(target=lambda: (threading.main_thread().join(), print('thread'))).start()\n"
        "main(['--version'])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, cwd=ROOT, check=True)
    assert run.stdout.decode().split("\n")[1:] == (["thread"] if thread else []) + ["at the end", ""]


@pytest.mark.parametrize("tool", [["-m", "cProfile", "-m"], ["-m", "trace", "--listfuncs", "--module"]])
@pytest.mark.thorough
def test_a_profiler_has_the_last_word(tool: list[str]) -> None:
    line = [sys.executable, *tool, "gencomp", "--version"]
    run = subprocess.run(line, capture_output=True, cwd=ROOT, check=True)
    assert len(run.stdout.splitlines()) > 5, run.stdout


def test_nothing_is_loaded_before_interrupts_are_handled() -> None:
    """What the first module brings with it is time in which Ctrl-C would print a traceback."""
    program = "import sys; before = set(sys.modules); import gencomp.cli.start; print(*set(sys.modules) - before)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, cwd=ROOT, check=True)
    assert set(run.stdout.decode().split()) == {"gencomp", "gencomp.cli", "gencomp.cli.start"}
    program = "import sys, gencomp.cli.app; assert 'gencomp.cli.start' not in sys.modules"  # as a library it is quiet
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_importing_loads_nothing_heavy() -> None:
    for statement in ("import gencomp", "import gencomp.cli.main"):
        run = subprocess.run([sys.executable, "-X", "importtime", "-c", statement], capture_output=True, check=True)
        loaded = set(re.findall(r"\|\s+(\w+)", run.stderr.decode()))
        assert "gencomp" in loaded
        assert not loaded & {"torch", "transformers", "numba", "matplotlib", "numpy", "rich", "zstandard", "brotli"}


def test_the_checkouts_shim_is_the_command() -> None:
    shim = Path(__file__).parent.parent.parent / "cli.py"
    run = subprocess.run([sys.executable, str(shim), "--version"], capture_output=True, check=True)
    assert run.stdout.startswith(b"gencomp ")


def test_a_terminal_is_told_apart(tmp_path: Path) -> None:
    """Under a pseudo-terminal no archive is written to it, and a missing FILE is not waited for."""
    import pty

    (tmp_path / "file").write_bytes(b"text")
    for arguments, complaint in (
        (["compress", "-c", "file"], b"not written to a terminal"),
        (["compress"], b"stdin is a terminal"),
    ):
        leader, follower = pty.openpty()
        running = subprocess.Popen(
            [*COMMAND, *arguments], stdin=follower, stdout=follower, stderr=subprocess.PIPE, cwd=tmp_path
        )
        _, err = running.communicate(timeout=60)
        os.close(follower)
        os.close(leader)
        assert running.returncode == 2
        assert complaint in err


def test_a_shell_completes_commands_and_models(tmp_path: Path) -> None:
    """As the script does that --show-completion prints: the words in the environment, the answers on lines."""
    for words, number, answers in (
        ("gencomp co", 1, ["compress", "compare"]),
        ("gencomp score -m z", 3, ["zlib", "zstd"]),
    ):
        asked = {"_GENCOMP_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(number)}
        with process(cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT), **asked}) as running:
            out, err = running.communicate(timeout=60)
        assert (running.returncode, err) == (0, b"")
        assert out.decode().split() == answers
