"""Where data comes from: a file, a folder or a glob pattern, each file plain or compressed."""

import bz2
import glob
import lzma
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import zstandard

from gencomp.errors import DatasetError, GencompError
from gencomp.files import expanded, read_fully

T = TypeVar("T")

_PIECE = 1 << 16  # bytes read at a time


@dataclass(frozen=True)
class _Format:
    """A format of compressed files: one or more streams, one after the other.

    ``new`` makes a decompressor for one stream. If ``padding`` is not 0, zeros may follow a stream, in multiples of it.
    Nothing else may.
    """

    new: Callable[[], Any]
    padding: int = 0


_FORMATS = {
    # .xz file format 1.2, sections 2 and 2.2: streams, and stream padding in units of four bytes
    ".xz": _Format(lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ), padding=4),
    # RFC 1952, section 2.2; zeros fill the last block of a tape (gzip's manual, "Using gzip on tapes")
    ".gz": _Format(lambda: zlib.decompressobj(zlib.MAX_WBITS | 16), padding=1),
    ".bz2": _Format(bz2.BZ2Decompressor),
    # RFC 8878, section 3.1: frames, skippable ones among them
    ".zst": _Format(lambda: zstandard.ZstdDecompressor().decompressobj()),
}
COMPRESSED_SUFFIXES = tuple(_FORMATS)


def find_files(where: str | Path) -> list[Path]:
    """Return the files that ``where`` names, sorted: one file, those in a folder at any depth, or those of a glob.

    Hidden files of a folder are left out. Raises ``FileNotFoundError``, or :class:`DatasetError` on a folder without
    files, a pattern that matches none, or one that is not valid.
    """
    path = expanded(where)
    if path.is_dir():
        inside = (file for file in path.rglob("*") if file.is_file())
        files = [file for file in inside if not any(part.startswith(".") for part in file.relative_to(path).parts)]
    elif path.exists() or not glob.has_magic(str(where)):
        path.stat()
        files = [path]
    else:
        anchor = Path(path.anchor)
        try:
            files = [file for file in anchor.glob(str(path.relative_to(anchor))) if file.is_file()]
        except (ValueError, NotImplementedError) as error:
            raise DatasetError(f"{where} is not a pattern of files: {error}") from error
    if not files:
        raise DatasetError(f"{where}: no files there; name a file, a folder that holds some, or a pattern for them")
    return sorted(files)


def read_plain(path: str | Path, limit: int | None = None) -> bytes:
    """Return a file's bytes, at most ``limit``; of .xz, .gz, .bz2 and .zst, all streams are unpacked.

    Raises ``OSError``, or :class:`DatasetError` where a compressed file is damaged, cut short, or followed by anything
    that its format does not allow. Beyond ``limit`` bytes nothing is checked.
    """
    path = Path(path)
    packing = _FORMATS.get(path.suffix.lower())
    with path.open("rb") as file:
        if packing is None:
            return read_fully(file, limit)
        try:
            return _unpacked(file, packing, limit)
        except (lzma.LZMAError, EOFError, zlib.error, zstandard.ZstdError) as error:
            raise _does_not_unpack(path, error) from error
        except OSError as error:
            if error.errno is not None:
                raise
            raise _does_not_unpack(path, error) from error  # bz2 raises it for bad data


def _does_not_unpack(path: Path, reason: object) -> DatasetError:
    return DatasetError(f"{path}: it does not unpack as {path.suffix}: {reason}")


def _unpacked(file: BinaryIO, packing: _Format, limit: int | None) -> bytes:
    """Return what a compressed file holds, at most ``limit`` bytes. Raises what its decompressors raise."""
    parts: list[bytes] = []
    size = 0
    packed = read_fully(file, _PIECE)
    if not packed:
        raise EOFError("it is empty")
    while packed:
        stream = packing.new()
        while not stream.eof:
            packed = packed or read_fully(file, _PIECE)
            if not packed:
                raise EOFError("it ends early")
            parts.append(stream.decompress(packed))
            packed = b""
            size += len(parts[-1])
            if limit is not None and size >= limit:
                return b"".join(parts)[:limit]
        packed = _after_padding(file, stream.unused_data, packing.padding)
    return b"".join(parts)


def _after_padding(file: BinaryIO, packed: bytes, unit: int) -> bytes:
    """Return the bytes after the zeros that follow a stream, none at the file's end; check the number of zeros."""
    zeros = 0
    while packed := packed or read_fully(file, _PIECE):
        rest = packed.lstrip(b"\0") if unit else packed
        zeros += len(packed) - len(rest)
        packed = rest
        if rest:
            break
    if zeros and zeros % unit:
        raise EOFError(f"{zeros} zero bytes follow a stream, expected a multiple of {unit}")
    return packed


def read_each(paths: Iterable[Path], read: Callable[[Path], T], *, strict: bool) -> tuple[list[T], list[str]]:
    """Return what ``read`` returns for each file, and one line for each file that it cannot read.

    With ``strict`` the first such file raises: :class:`DatasetError` or ``OSError``.
    """
    items, skipped = [], []
    for path in paths:
        try:
            items.append(read(path))
        except (DatasetError, OSError) as error:
            if strict:
                raise
            skipped.append(str(error) if isinstance(error, GencompError) else f"{path}: {error.strerror or error}")
    return items, skipped
