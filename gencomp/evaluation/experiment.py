"""Experiments: datasets x models x chunk sizes x lengths, from a TOML file or options."""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from gencomp.evaluation.rows import WHOLE
from gencomp.modalities.dataset import CHUNK_SIZE, Dataset

ChunkSize = int | str


@dataclass(frozen=True)
class Experiment:
    """What to measure.

    ``chunk_sizes`` are bytes, or "whole" for a dataset's chunks as one stream. ``lengths`` are prefixes: that many
    bytes of each chunk; none means whole chunks. ``data_sizes`` (bytes) are the amounts of data that share the cost of
    the model's parameters in the adjusted rate, with a row for each; none means the data's own size. ``paper_figures``
    puts the paper's Table 1 beside rows of the same dataset name, codec and chunk size. ``seed`` is the bootstrap's.
    """

    name: str
    datasets: tuple[Dataset, ...]
    models: tuple[str, ...]
    chunk_sizes: tuple[ChunkSize, ...] = (CHUNK_SIZE, WHOLE)
    lengths: tuple[int, ...] = ()
    data_sizes: tuple[int, ...] = ()
    paper_figures: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("datasets", "models", "chunk_sizes"):
            values = getattr(self, name)
            if not values:
                raise ValueError(f"the experiment {self.name!r} has no {name}")
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, got {self.seed}")
        names = [dataset.name for dataset in self.datasets]
        if len(set(names)) < len(names):
            raise ValueError(f"two datasets have the same name; they are {', '.join(names)}")
        for size in self.chunk_sizes:
            if size != WHOLE and not _is_positive(size):
                raise ValueError(f"a chunk size is a number of bytes or {WHOLE!r}, got {size!r}")
        for name in ("lengths", "data_sizes"):
            for value in getattr(self, name):
                if not _is_positive(value):
                    raise ValueError(f"{name} are numbers of bytes, got {value!r}")
        if self.lengths and WHOLE in self.chunk_sizes:
            raise ValueError(f"lengths are taken from chunks; leave {WHOLE!r} out of chunk_sizes")

    @classmethod
    def from_toml(cls, path: Path) -> Self:
        """Return a file's experiment; paths in it are relative to its folder. Raises ``ValueError``, ``OSError``."""
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
            return cls.from_options(table, path)
        except (ValueError, RecursionError) as error:  # tomllib's, Unicode's and ours
            raise ValueError(f"{path}: {error}") from error

    @classmethod
    def from_options(cls, table: dict[str, Any], path: Path) -> Self:
        """Return the experiment of a parsed TOML file at ``path``."""
        known = [field.name for field in fields(cls)]
        for key, value in table.items():
            if key not in known:
                raise ValueError(f"an experiment has no option {key!r}; its options are {', '.join(known)}")
            wanted = {"name": str, "paper_figures": bool, "seed": int}.get(key, list)
            if type(value) is not wanted:
                raise ValueError(f"{key} must be of type {wanted.__name__}, got {value!r}")
        for key in ("datasets", "models"):
            if key not in table:
                raise ValueError(f"an experiment needs {key}; it has {', '.join(table) or 'nothing'}")
        if not all(isinstance(model, str) for model in table["models"]):
            raise ValueError(f"models are specs such as 'gzip?level=6', got {table['models']!r}")
        if not all(isinstance(dataset, dict) for dataset in table["datasets"]):
            raise ValueError("datasets are tables: [[datasets]] and then name, modality, path and so on")
        values: dict[str, Any] = {"name": path.stem}
        values |= {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
        values["datasets"] = tuple(Dataset.from_options(options, path.parent) for options in table["datasets"])
        return cls(**values)


def _is_positive(value: object) -> bool:
    return type(value) is int and value > 0
