"""Results written to disk as they come in, a line of JSON each, so that a run that was killed can go on."""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gencomp.errors import DatasetError


class JsonLines:
    """A file that only grows. When :meth:`add` returns, its records are on disk; a line cut short counts as absent.

    ``accept`` is called with the record of each line found. It raises ``ValueError``, ``KeyError`` or ``TypeError`` on
    one that is not its own, such as a damaged disk leaves; that line counts as absent, too. ``beginning`` is what every
    line begins with, ``what`` names the kind of file. Without a ``path`` nothing is kept.

    Raises :class:`DatasetError` on a file of something else, and leaves it as it is.
    """

    def __init__(self, path: Path | None, accept: Callable[[Any], object], *, beginning: str, what: str) -> None:
        self._path = path
        if path is None or not path.exists():
            return
        known = path.read_bytes()
        whole = known.rfind(b"\n") + 1
        lines = [line for line in known[:whole].splitlines() if line.strip()]
        accepted = sum([_is_accepted(line, accept) for line in lines])
        rest = known[whole:]  # the part of a line that a killed run has left
        is_line = _is_accepted(rest, accept)
        begun = beginning.encode()
        if not accepted and not is_line and (lines or not begun.startswith(rest[: len(begun)])):
            raise DatasetError(f"{path} is not a {what}; move it, or name another folder")
        if is_line:
            _append(path, b"\n")
        elif rest:
            os.truncate(path, whole)

    def add(self, records: Iterable[object]) -> None:
        """Write records; they are on disk on return."""
        if self._path is not None:
            _append(self._path, "".join(json.dumps(record) + "\n" for record in records).encode())


def _is_accepted(line: bytes, accept: Callable[[Any], object]) -> bool:
    try:
        accept(json.loads(line))
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
    return True


def _append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Keep other runs out of ``folder``, and make it if it is missing.

    Raises :class:`DatasetError` while another run is using it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        if not _locked(lock.fileno()):
            raise DatasetError(f"{folder}: another run is writing there; wait for it, or name another folder")
        yield


def _locked(descriptor: int) -> bool:
    """Take a lock that ends with this process; return whether it was free, or true on a system without locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
