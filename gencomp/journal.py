"""Results on disk as they come in, a line of JSON each, so that a run that was killed goes on where it was."""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gencomp.errors import DatasetError


class JsonLines:
    """A file that only grows. What :meth:`add` was given is on disk when it returns, or the line is not there at all.

    ``accept`` is called with the record of each line that is found. It raises ``ValueError``, ``KeyError`` or
    ``TypeError`` on one that is not its own: such a line, as a damaged disk leaves it, counts as not there.
    ``beginning`` is what every line begins with, ``what`` names the file. Without a ``path`` nothing is kept.

    Raises :class:`DatasetError` on a file that holds something else, and leaves it as it is.
    """

    def __init__(self, path: Path | None, accept: Callable[[Any], object], *, beginning: str, what: str) -> None:
        self._path = path
        if path is None or not path.exists():
            return
        known = path.read_bytes()
        whole = known.rfind(b"\n") + 1
        lines = [line for line in known[:whole].splitlines() if line.strip()]
        accepted = sum([_is_accepted(line, accept) for line in lines])
        rest = known[whole:]  # what a run that was killed has left of a line
        is_line = _is_accepted(rest, accept)
        begun = beginning.encode()
        if not accepted and not is_line and (lines or not begun.startswith(rest[: len(begun)])):
            raise DatasetError(f"{path} is no {what}; move it, or name another folder")
        if is_line:
            _append(path, b"\n")
        elif rest:
            os.truncate(path, whole)

    def add(self, records: Iterable[object]) -> None:
        """Write down some records; they are on disk on return."""
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
    """Keep other runs out of ``folder``, which is made where it is missing.

    Raises :class:`DatasetError` while another run is in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        if not _locked(lock.fileno()):
            raise DatasetError(f"{folder}: another run is writing there; wait for it, or name another folder")
        yield


def _locked(descriptor: int) -> bool:
    """Take the lock that ends with this process; where the system has none, say that it was free."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
