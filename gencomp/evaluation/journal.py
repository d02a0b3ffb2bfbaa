"""An experiment's measurements on disk: batches of cells."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np

from gencomp.evaluation.measure import Batch, Measured
from gencomp.journal import JsonLines, only_writer
from gencomp.protocols import FloatArray

FILE = "journal.jsonl"


class Journal:
    """A line per batch. A cell's key covers everything that its figures depend on."""

    def __init__(self, path: Path) -> None:
        self._known: dict[str, dict[int, Measured]] = {}
        self._lines = JsonLines(path, self._accept, beginning='{"cell": "', what="journal of an experiment")
        path.touch()  # marks the folder as an experiment's before anything is measured

    @classmethod
    @contextmanager
    def open(cls, folder: Path) -> Iterator[Self]:
        """Yield the journal of a folder, which is made if it is missing.

        Raises :class:`~gencomp.errors.DatasetError` while another run writes there.
        """
        with only_writer(folder):
            yield cls(folder / FILE)

    def _accept(self, entry: Any) -> None:
        cell, start, lengths, seconds = (entry[key] for key in ("cell", "start", "lengths", "seconds"))
        numbers = (start, seconds, *lengths)
        if not isinstance(cell, str) or type(start) is not int or not all(type(n) in (int, float) for n in numbers):
            raise ValueError("no measurement")
        self._known.setdefault(cell, {})[start] = Measured(tuple(lengths), seconds)

    def add(self, batch: Batch, measured: Measured) -> None:
        """Write a batch; it is on disk on return."""
        entry = {"cell": batch.cell, "start": batch.start, "seconds": measured.seconds}
        lengths = [int(bits) if bits == int(bits) else bits for bits in measured.lengths]
        self._lines.add([entry | {"lengths": lengths}])
        self._known.setdefault(batch.cell, {})[batch.start] = measured

    def lengths(self, cell: str, size: int) -> FloatArray:
        """Return the code lengths of a cell of ``size`` chunks in bits, float64 (size,); NaN where not yet known."""
        known = np.full(size, np.nan)
        for start, measured in self._known.get(cell, {}).items():
            known[start : start + len(measured.lengths)] = measured.lengths
        return known

    def seconds(self, cell: str) -> float:
        """Return the time that a cell's batches took together."""
        return sum(measured.seconds for measured in self._known.get(cell, {}).values())
