"""Where data comes from: a file, a folder or a glob pattern, each file plain or compressed."""

import bz2
import glob
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

from gencomp.errors import DatasetError, GencompError

T = TypeVar("T")

COMPRESSED_SUFFIXES = (".xz", ".gz", ".bz2", ".zst")


def find_files(where: str | Path) -> list[Path]:
    """Return the files that ``where`` names, sorted: one file, those in a folder at any depth, those of a glob.

    Hidden files of a folder are left out. Raises ``FileNotFoundError``, or :class:`DatasetError` where a folder or
    pattern holds no file.
    """
    path = Path(where).expanduser()
    if path.is_dir():
        inside = (file for file in path.rglob("*") if file.is_file())
        files = [file for file in inside if not any(part.startswith(".") for part in file.relative_to(path).parts)]
    elif path.exists() or not glob.has_magic(str(where)):
        path.stat()
        files = [path]
    else:
        anchor = Path(path.anchor)
        files = [file for file in anchor.glob(str(path.relative_to(anchor))) if file.is_file()]
    if not files:
        raise DatasetError(f"{where}: no files there; name a file, a folder that holds some, or a pattern of theirs")
    return sorted(files)


def read_plain(path: str | Path, limit: int | None = None) -> bytes:
    """Return a file's bytes, at most ``limit``; .xz, .gz, .bz2 and .zst are unpacked.

    Raises ``OSError``, or :class:`DatasetError` where a compressed file is damaged.
    """
    path = Path(path)
    try:
        with _open_plain(path) as file:
            return file.read() if limit is None else _read_up_to(file, limit)
    except (lzma.LZMAError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DatasetError(f"{path}: it does not unpack as {path.suffix}: {error}") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise DatasetError(f"{path}: it does not unpack as {path.suffix}: {error}") from error  # bz2's way to say so


def _open_plain(path: Path) -> BinaryIO:
    suffix = path.suffix.lower()
    if suffix == ".xz":
        return cast(BinaryIO, lzma.open(path))
    if suffix == ".gz":
        return cast(BinaryIO, gzip.open(path))
    if suffix == ".bz2":
        return cast(BinaryIO, bz2.open(path))
    if suffix == ".zst":
        return _open_zstandard(path)
    return path.open("rb")


def _open_zstandard(path: Path) -> BinaryIO:
    """Return the unpacked file; whole in memory, so that damage shows as one kind of error."""
    import io

    import zstandard

    with path.open("rb") as file:
        packed = file.read()
    data = b""
    while packed:  # one frame after the other
        stream = zstandard.ZstdDecompressor().decompressobj()
        try:
            data += stream.decompress(packed)
        except zstandard.ZstdError as error:
            raise EOFError(str(error)) from error
        if not stream.eof:
            raise EOFError("it ends early")
        packed = stream.unused_data
    return io.BytesIO(data)


def _read_up_to(file: BinaryIO, limit: int) -> bytes:
    """Return ``limit`` bytes, fewer only at the file's end."""
    parts = []
    while limit > 0 and (part := file.read(limit)):
        parts.append(part)
        limit -= len(part)
    return b"".join(parts)


def read_each(paths: Iterable[Path], read: Callable[[Path], T], *, strict: bool) -> tuple[list[T], list[str]]:
    """Return what ``read`` makes of each file, and one line for each file that it cannot read.

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
