"""Training data: any bytes, cut into a part to learn from and a held-out part; sequences are drawn step by step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gencomp.modalities.text import read_readable


@dataclass(frozen=True)
class Corpus:
    """Symbols to learn from, and held-out ones.

    ``training`` and ``held_out`` (n,) are bytes, uint8, or tokens, int32. ``training_bytes`` and ``held_out_bytes``
    count the bytes that they came from, for losses in bits per byte.
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
    """Return (training, held-out) bytes: files, folders and patterns are concatenated, and the end is held out.

    Files compressed with gzip, bzip2, xz or zstd are decompressed. Only the first ``limit`` bytes are taken.
    ``left_out`` is told of each file that cannot be read; without it, the first such file raises ``OSError`` or
    :class:`~gencomp.errors.DatasetError`. So does an empty folder. Raises ``ValueError`` unless the held-out part is at
    most half of the data.
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
            f"the held-out part must be from 1 byte to half the data, got {held_out:,} of {len(data):,} bytes; "
            f"give more data, or hold out less, such as held_out={max(1, len(data) // 10)}"
        )
    return data[:-held_out], data[-held_out:]


def read_sources(
    paths: Sequence[Path],
    held_out: int,
    limit: int | None = None,
    *,
    left_out: Callable[[str], object] | None = None,
) -> tuple[list[bytes], dict[str, bytes]]:
    """Return the bytes to learn from of each path, and the held-out end of each, by its name.

    Each path is read as by :func:`read_corpus`. Raises ``ValueError`` if two have the same name.
    """
    training, holding_out = [], {}
    for path in paths:
        if path.name in holding_out:
            raise ValueError(f"two sources are named {path.name}; rename one of them")
        learnt, holding_out[path.name] = read_corpus([path], held_out, limit, left_out=left_out)
        training.append(learnt)
    return training, holding_out


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
