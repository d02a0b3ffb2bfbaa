"""The process: signals, standard streams that may be closed, one exit code.

It imports little, so that little of the start-up is unguarded; the commands are in :mod:`gencomp.cli.app`.
"""

import atexit
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn


class Terminated(BaseException):
    """SIGTERM or SIGHUP, as an exception, so that temporary files are removed on the way out."""

    def __init__(self, signum: int) -> None:
        self.signum = signum


def run(arguments: Sequence[str]) -> int:
    """Run one command line; return its exit code. No exception escapes; ``--traceback`` prints its traceback."""
    from gencomp.cli.app import run

    return run(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the process, by default with its own arguments."""
    _handle_signals(_on_signal)
    try:
        _open_closed_streams()
        code = run(sys.argv[1:] if arguments is None else arguments)
        _handle_signals(_leave)  # from here on nobody catches an exception, least of all Python at its own end
    except KeyboardInterrupt:  # a second one, while the first was being dealt with
        _leave(signal.SIGINT)
    except Terminated as stop:
        _leave(stop.signum)
    _settle(sys.stdout)
    _settle(sys.stderr)
    if code:
        os._exit(code)  # worker threads may be in the middle of a block: do not wait for them
    _end()


def _end() -> None:
    """End the process, but do not free each module and array for itself: a sixth of a short command's time.

    What was registered for the end is called. If threads still run, Python waits for them, as it always does; under a
    profiler or a debugger, or with ``python -i``, there is more to come.
    """
    threading: Any = sys.modules.get("threading")
    monitoring: Any = getattr(sys, "monitoring", None)  # Python 3.12's profilers use it
    watched = sys.getprofile() or sys.gettrace() or (monitoring and any(map(monitoring.get_tool, range(6))))
    if watched or sys.flags.interactive or (threading is not None and threading.active_count() > 1):
        return
    atexit._run_exitfuncs()
    _settle(sys.stdout)
    _settle(sys.stderr)
    os._exit(0)


def _handle_signals(handler: Callable[[int, FrameType | None], object]) -> None:
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores it
            signal.signal(number, handler)


def _on_signal(signum: int, frame: FrameType | None) -> NoReturn:
    """Raise an exception; but during an import, where others may catch or print it, end the process at once."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib."):
            _leave(signum)
        frame = frame.f_back
    if signum == signal.SIGINT:
        raise KeyboardInterrupt
    raise Terminated(signum)


def _leave(signum: int, frame: FrameType | None = None) -> NoReturn:
    """Remove unfinished files and end the process at once."""
    files: Any = sys.modules.get("gencomp.files")
    if hasattr(files, "discard_unfinished"):  # it may be half imported
        files.discard_unfinished()
    word = "interrupted" if signum == signal.SIGINT else "terminated"
    with suppress(OSError):
        os.write(2, f"gencomp: {word}\n".encode())
    os._exit(128 + signum)


def _open_closed_streams() -> None:
    """Give each closed standard stream a stand-in with its own descriptor, before another file takes that.

    Reading stdin and writing to stdout are errors then; what would go to stderr is lost.
    """
    for name, way, mode in (("stdin", os.O_WRONLY, "r"), ("stdout", os.O_RDONLY, "w"), ("stderr", os.O_WRONLY, "w")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, way)
            os.set_inheritable(descriptor, True)  # for workers, which open files too
            setattr(sys, name, os.fdopen(descriptor, mode))


def _settle(stream: Any) -> None:
    """Empty a stream that nobody reads: Python would try to flush it at its end, and change the exit code."""
    try:
        stream.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
