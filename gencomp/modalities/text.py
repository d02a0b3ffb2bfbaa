"""Text as it is, as characters for people to read, and in seven bits for models that know only ASCII."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gencomp.arguments import as_bytes
from gencomp.modalities.source import find_files, read_each, read_plain


class SevenBits(NamedTuple):
    """Bytes below 128, and the number of bits lost, which a measurement adds to the code length."""

    data: bytes
    lost_bits: int


def read(where: str | Path, limit: int | None = None) -> bytes:
    """Return the bytes of a file, or of a folder's or pattern's files one after the other, at most ``limit``.

    Raises what a strict :func:`read_readable` raises.
    """
    return read_readable(where, limit, strict=True)[0]


def read_readable(where: str | Path, limit: int | None = None, *, strict: bool = False) -> tuple[bytes, list[str]]:
    """Return the bytes of all files that can be read, as :func:`read` does, and one line for each that cannot.

    Raises ``OSError`` and :class:`~gencomp.errors.DatasetError` where ``where`` names no file; with ``strict``, also
    for the first file that cannot be read.
    """
    parts: list[bytes] = []
    skipped: list[str] = []
    size = 0
    for path in find_files(where):
        left = None if limit is None else limit - size
        found, refused = read_each([path], partial(read_plain, limit=left), strict=strict)
        parts += found
        skipped += refused
        size += sum(map(len, found))
        if limit is not None and size >= limit:
            break
    return b"".join(parts), skipped


def chunks(data: bytes, size: int, *, keep_last: bool = False) -> Iterator[bytes]:
    """Yield ``data`` in pieces of ``size`` bytes; an incomplete last one only with ``keep_last``.

    Raises ``ValueError`` on a size below 1.
    """
    if size < 1:
        raise ValueError(f"a chunk must have at least 1 byte, got {size}")
    data = as_bytes(data)
    for start in range(0, len(data) if keep_last else len(data) - size + 1, size):
        yield data[start : start + size]


def to_text(data: bytes) -> str:
    """Return ``data`` decoded as UTF-8, with U+FFFD for what is not."""
    return data.decode("utf-8", "replace")


def clear_top_bits(data: bytes) -> SevenBits:
    """Return text for a model that reads only ASCII: bytes from 128 on lose their top bit, and each costs one bit.

    This is the paper's charge (Delétang et al. 2024, section 3.1). It leaves out the cost of saying which bytes these
    are; where there are none, as in most English text, it is right.
    """
    values = np.frombuffer(as_bytes(data), dtype=np.uint8)
    return SevenBits((values & 0x7F).tobytes(), int(np.count_nonzero(values & 0x80)))


def halve(data: bytes) -> SevenBits:
    """Return image or audio bytes for a model that reads only ASCII: shifted right by one, one lost bit each."""
    data = as_bytes(data)
    return SevenBits((np.frombuffer(data, dtype=np.uint8) >> 1).tobytes(), len(data))
