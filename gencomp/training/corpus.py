"""Training data: bytes of any kind, cut into a part to learn from and a held-out part, and drawn by step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gencomp.modalities.text import read_readable

SymbolArray = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Corpus:
    """Symbols to learn from and held-out ones, and how many bytes each stands for.

    ``training`` and ``held_out`` are ids, (n,), uint8 for bytes and int32 for tokens; ``*_bytes`` count the bytes
    that they came from, so that losses can be told in bits per byte.
    """

    training: npt.NDArray[np.integer]
    held_out: npt.NDArray[np.integer]
    training_bytes: int
    held_out_bytes: int


def read_corpus(
    paths: Sequence[Path],
    held_out: int,
    limit: int | None = None,
    *,
    left_out: Callable[[str], object] | None = None,
) -> tuple[bytes, bytes]:
    """Return (training, held-out) bytes: files, folders and patterns one after another, their end held out.

    Files compressed with gzip, bzip2, xz or zstd are read as what they hold. ``limit`` takes only that many bytes
    from the start. ``left_out`` is told of each file that cannot be read; without it, the first one raises
    ``OSError`` or :class:`~gencomp.errors.DatasetError`, as a folder does that holds nothing. Raises ``ValueError``
    where too little is left to learn from.
    """
    parts: list[bytes] = []
    for path in paths:
        known = sum(map(len, parts))
        if limit is not None and known >= limit:
            break
        part, skipped = read_readable(path, None if limit is None else limit - known, strict=left_out is None)
        parts.append(part)
        if left_out is not None:
            for line in skipped:
                left_out(line)
    data = b"".join(parts)
    if not 0 < held_out <= len(data) // 2:
        raise ValueError(
            f"the held-out part must be from 1 byte to half the data, got {held_out:,} of {len(data):,} bytes"
        )
    return data[:-held_out], data[-held_out:]


def sequences(
    symbols: npt.NDArray[np.integer], count: int, length: int, *, seed: int, step: int
) -> npt.NDArray[np.int64]:
    """Return ``count`` sequences (count, length) int64 from random places, the same for the same seed and step."""
    rng = np.random.default_rng([seed, step])
    starts = rng.integers(0, len(symbols) - length + 1, count)
    return np.asarray(symbols[starts[:, None] + np.arange(length)], dtype=np.int64)


def held_out_sequences(symbols: npt.NDArray[np.integer], count: int, length: int) -> npt.NDArray[np.int64]:
    """Return at most ``count`` sequences (n, length) int64, evenly spread over ``symbols``, without overlap."""
    whole = len(symbols) // length
    if not whole:
        raise ValueError(f"the held-out part has {len(symbols)} symbols; one sequence takes {length}")
    chosen = np.unique(np.linspace(0, whole - 1, min(count, whole)).astype(np.int64))
    return np.asarray(symbols[(chosen * length)[:, None] + np.arange(length)], dtype=np.int64)
