"""Measurements on disk as they come in, so that a run that was killed goes on where it was."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import numpy as np

from gencomp.errors import DatasetError
from gencomp.evaluation.measure import Batch, Measured
from gencomp.protocols import FloatArray

FILE = "journal.jsonl"
_BEGINNING = b'{"cell": "'  # of every line


class Journal:
    """One line of JSON a batch. A cell's key tells everything that its figures depend on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: dict[str, dict[int, Measured]] = {}
        known = path.read_bytes() if path.exists() else b""
        whole = known.rfind(b"\n") + 1  # a run that was killed while it wrote leaves a part of a line
        for line in known[:whole].splitlines():
            with suppress(ValueError, KeyError, TypeError, RecursionError):  # a damaged line is measured again
                cell, start, measured = _parsed(line)
                self._lines.setdefault(cell, {})[start] = measured
        if not self._lines and known and (whole or not _BEGINNING.startswith(known[: len(_BEGINNING)])):
            raise DatasetError(f"{path} is no journal of an experiment; move it, or name another folder with -o")
        self._file = path.open("ab")
        self._file.truncate(whole)

    @classmethod
    @contextmanager
    def open(cls, folder: Path) -> Iterator[Self]:
        """Yield the journal of a folder, which is made where it is missing.

        Raises :class:`DatasetError` while another run writes there.
        """
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as lock:
            if not _locked(lock.fileno()):
                raise DatasetError(
                    f"{folder}: another run is writing there; wait for it or name another folder with -o"
                )
            journal = cls(folder / FILE)
            try:
                yield journal
            finally:
                journal._file.close()

    def add(self, batch: Batch, measured: Measured) -> None:
        """Write down a batch; it is on disk on return."""
        entry = {"cell": batch.cell, "start": batch.start, "seconds": measured.seconds}
        line = json.dumps(entry | {"lengths": [int(bits) if bits == int(bits) else bits for bits in measured.lengths]})
        self._file.write(line.encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._lines.setdefault(batch.cell, {})[batch.start] = measured

    def lengths(self, cell: str, size: int) -> FloatArray:
        """Return what is known of a cell of ``size`` chunks: code lengths in bits, float64 (size,), else NaN."""
        known = np.full(size, np.nan)
        for start, measured in self._lines.get(cell, {}).items():
            known[start : start + len(measured.lengths)] = measured.lengths
        return known

    def seconds(self, cell: str) -> float:
        """Return the time that a cell's batches took, added up."""
        return sum(measured.seconds for measured in self._lines.get(cell, {}).values())


def _parsed(line: bytes) -> tuple[str, int, Measured]:
    """Return the cell, the place and the measurements of a line. Raises ``ValueError``, ``KeyError``, ``TypeError``."""
    entry = json.loads(line)
    cell, start, lengths, seconds = (entry[key] for key in ("cell", "start", "lengths", "seconds"))
    numbers = (start, seconds, *lengths)
    if not isinstance(cell, str) or type(start) is not int or not all(type(n) in (int, float) for n in numbers):
        raise ValueError("no measurement")
    return cell, start, Measured(tuple(lengths), seconds)


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
