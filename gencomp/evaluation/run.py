"""Running an experiment: cells of chunks go in batches through a pool, into the journal, and become rows."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gencomp.equivalence.adapt import as_predictor, native, predictor_spec
from gencomp.equivalence.capabilities import parameter_count_of
from gencomp.equivalence.identity import kept_under, versions_of
from gencomp.equivalence.read_before import has_read, note_of
from gencomp.errors import DatasetError
from gencomp.evaluation.experiment import ChunkSize, Experiment
from gencomp.evaluation.journal import Journal
from gencomp.evaluation.measure import GROUP, Batch, code_lengths, measure
from gencomp.evaluation.rows import WHOLE, Row, interval, total_code_length
from gencomp.executors import Pool, finished
from gencomp.modalities.dataset import Chunks, Dataset
from gencomp.protocols import Predictor

BATCH_SECONDS = 0.5  # a cluster's task costs milliseconds: few tasks, but none that takes long to redo
BATCH_BYTES = 4 << 20
NOTES_SHOWN = 5
_LOOKED_AT = 16  # chunks that are searched for text that a model has read
HEADER_PROBE = b"\0"  # as in the paper, the header is what one zero byte takes


@dataclass(frozen=True)
class Facts:
    """What the rows say about a model besides its figures; ``identity`` is all that its code lengths depend on."""

    spec: str
    full_spec: str
    header_bits: float
    parameters: int
    versions: dict[str, Any]
    identity: str


@dataclass(frozen=True)
class Cell:
    """One model on one dataset, cut in one way; ``key`` names it in the journal."""

    dataset: Dataset
    chunk_size: ChunkSize
    length: int | None
    facts: Facts
    data: Chunks
    key: str


@dataclass(frozen=True)
class Reports:
    """Callbacks: ``begin`` with (all bytes, bytes known already), ``advance`` with bytes, ``note`` with lines."""

    begin: Callable[[int, int], None]
    advance: Callable[[int], None]
    note: Callable[[str], None]


def facts_of(model: str) -> Facts:
    """Load a model once and return what there is to say about it. Raises :class:`GencompError`."""
    predictor = as_predictor(model)
    loaded = native(predictor)
    header = 0.0 if isinstance(loaded, Predictor) else float(code_lengths(loaded, [HEADER_PROBE])[0])
    return Facts(
        predictor_spec(predictor),
        predictor_spec(predictor, full=True),
        header,
        parameter_count_of(loaded),
        versions_of(predictor),
        kept_under(predictor),
    )


def cells_of(experiment: Experiment, note: Callable[[str], None]) -> list[Cell]:
    """Read the datasets and return every cell. ``note`` is told of conversions and of files left out."""
    for dataset in experiment.datasets:
        dataset.check_paths()  # before models are loaded, which may take long
    models = [facts_of(model) for model in experiment.models]
    cells = []
    for dataset in experiment.datasets:
        said: set[str] = set()
        reads: dict[Dataset, Chunks] = {}
        for size in experiment.chunk_sizes:
            cut = replace(dataset, chunk_size=size) if isinstance(size, int) else dataset
            if cut not in reads:
                reads[cut] = cut.read()
            read = reads[cut]
            lines = [f"left out: {line}" for line in read.skipped]
            if read.skipped:
                lines.append(f"files that could not be read, and were left out: {len(read.skipped)}")
            lines += read.notes[:NOTES_SHOWN]
            if len(read.notes) > NOTES_SHOWN:
                lines.append(f"{len(read.notes)} such conversions in all")
            for line in lines:
                if line not in said:
                    note(f"{dataset.name}: {line}")
                    said.add(line)
            lines = [
                note_of(facts.spec, dataset.name)
                for facts in models
                if dataset.modality == "text" and has_read(facts.spec, b"".join(read.chunks[:_LOOKED_AT]))
            ]
            for line in lines:
                if line not in said:
                    note(f"{dataset.name}: {line}")
                    said.add(line)
            for length in experiment.lengths or (None,):
                data = _cut(dataset, read, size, length)
                digest = _digest(data.chunks)
                for facts in models:
                    key = hashlib.sha256(f"{facts.identity}\n{digest}".encode()).hexdigest()[:24]
                    cells.append(Cell(cut, size, length, facts, data, key))
    return cells


def _cut(dataset: Dataset, read: Chunks, size: ChunkSize, length: int | None) -> Chunks:
    """Return a cell's chunks: as they were read, joined into one, or the first ``length`` bytes of each."""
    if size == WHOLE:
        return Chunks((b"".join(read.chunks),), (sum(read.raw_sizes),), (sum(read.lost_bits),))
    if length is None:
        return read
    if (dataset.seven_bits and dataset.modality == "text") or dataset.vocabulary is not None:
        raise ValueError(f"{dataset.name}: lengths need text as it is; leave out seven_bits and vocabulary")
    longest = max(read.raw_sizes)
    if length > longest:
        raise DatasetError(f"{dataset.name}: no chunk has {length} bytes; the longest has {longest}")
    chunks = tuple(chunk[:length] for chunk in read.chunks)
    sizes = tuple(map(len, chunks))
    return Chunks(chunks, sizes, sizes if dataset.seven_bits else (0,) * len(chunks))  # each byte has lost a bit


def _digest(chunks: Sequence[bytes]) -> str:
    """Return a SHA-256 of the chunks and their boundaries, in hexadecimal."""
    total = hashlib.sha256()
    for chunk in chunks:
        total.update(len(chunk).to_bytes(8, "little") + chunk)
    return total.hexdigest()


class _Batches:
    """The batches left to do, the longest cells first; their sizes aim at a fixed time as speeds become known."""

    def __init__(self, cells: Sequence[Cell], journal: Journal, pool: Pool) -> None:
        self._pool = pool
        self._seconds_per_byte: dict[str, float] = {}
        self._unique = {cell.key: cell for cell in cells}
        self._cells = sorted(self._unique.values(), key=lambda cell: -max(cell.data.raw_sizes))
        self._missing = {
            cell.key: np.flatnonzero(np.isnan(journal.lengths(cell.key, len(cell.data.chunks)))) for cell in self._cells
        }
        self.raw_bytes = sum(sum(cell.data.raw_sizes) for cell in self._cells)
        self.known_bytes = self.raw_bytes - sum(
            cell.data.raw_sizes[place] for cell in self._cells for place in self._missing[cell.key]
        )

    def learn(self, batch: Batch, seconds: float) -> None:
        """Learn how long a batch took. The fastest one counts: a busy machine must not make all batches small."""
        speed = seconds / max(1, sum(map(len, batch.chunks)))
        self._seconds_per_byte[batch.model] = min(speed, self._seconds_per_byte.get(batch.model, speed))

    def raw_bytes_of(self, batch: Batch) -> int:
        """Return the bytes of raw data in a batch."""
        return sum(self._unique[batch.cell].data.raw_sizes[batch.start : batch.start + len(batch.chunks)])

    def __iter__(self) -> Iterator[Batch]:
        for cell in self._cells:
            missing = self._missing[cell.key]
            while len(missing):
                start = int(missing[0])
                run = int(np.argmax(missing != np.arange(start, start + len(missing)))) or len(missing)
                count = min(run, self._size(cell, len(missing)))
                yield Batch(cell.key, start, cell.facts.full_spec, cell.data.chunks[start : start + count])
                missing = missing[count:]

    def _size(self, cell: Cell, left: int) -> int:
        """Return how many chunks the next batch takes: whole groups, and a fair share of what is left."""
        mean_bytes = max(1.0, sum(map(len, cell.data.chunks)) / len(cell.data.chunks))
        speed = self._seconds_per_byte.get(cell.facts.full_spec)
        wanted = GROUP if speed is None else BATCH_SECONDS / max(speed * mean_bytes, 1e-9)
        wanted = min(wanted, BATCH_BYTES / mean_bytes, left / (2 * self._pool.workers))
        return max(1, int(wanted / GROUP)) * GROUP


def run(experiment: Experiment, folder: Path, pool: Pool, reports: Reports) -> list[Row]:
    """Measure what the journal in ``folder`` does not have yet, and return the experiment's rows in its order.

    Raises :class:`GencompError`; what has been measured by then is in the journal.
    """
    with Journal.open(folder) as journal:
        cells = cells_of(experiment, reports.note)
        batches = _Batches(cells, journal, pool)
        reports.begin(batches.raw_bytes, batches.known_bytes)
        for batch, measured in finished(pool, measure, batches):
            journal.add(batch, measured)
            batches.learn(batch, measured.seconds)
            reports.advance(batches.raw_bytes_of(batch))
        return [row for cell in cells for row in _rows(cell, journal, experiment)]


def _rows(cell: Cell, journal: Journal, experiment: Experiment) -> Iterator[Row]:
    data, header = cell.data, cell.facts.header_bits
    raw_sizes, lost_bits = np.array(data.raw_sizes, dtype=np.int64), np.array(data.lost_bits, dtype=np.int64)
    raw_bytes, lost = int(raw_sizes.sum()), int(lost_bits.sum())
    lengths = journal.lengths(cell.key, len(raw_sizes))
    low, high = interval(lengths - header + lost_bits, raw_sizes, header, experiment.seed)
    for data_size in experiment.data_sizes or (raw_bytes,):
        yield Row(
            dataset=cell.dataset.name,
            modality=cell.dataset.modality,
            model=cell.facts.spec,
            chunk_size=cell.chunk_size,
            length=cell.length,
            chunks=len(raw_sizes),
            raw_bytes=raw_bytes,
            code_length=total_code_length(lengths, header, lost),
            header_bits=header,
            lost_bits=lost,
            parameters=cell.facts.parameters,
            data_size=data_size,
            low=low,
            high=high,
            seconds=journal.seconds(cell.key),
            versions=cell.facts.versions,
            entropy_rate=cell.dataset.entropy_rate,
        )
