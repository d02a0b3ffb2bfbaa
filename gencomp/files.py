"""Files that are whole or not there: a new file is seen under its name only after everything is on disk."""

import bz2
import errno
import gzip
import lzma
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast


def read_plain(path: Path) -> bytes:
    """Return what a file holds, decompressed where its name ends in .gz, .bz2, .xz or .zst."""
    data = path.read_bytes()
    match path.suffix:
        case ".gz":
            return gzip.decompress(data)
        case ".bz2":
            return bz2.decompress(data)
        case ".xz":
            return lzma.decompress(data)
        case ".zst":
            import zstandard

            return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return data


@contextmanager
def new_file(path: Path, *, overwrite: bool = False, like: os.stat_result | None = None) -> Iterator[BinaryIO]:
    """Open ``path`` for writing; it appears, complete and synced, when the block ends without an exception.

    Until then the bytes are in a temporary file (mode 0600) of the same folder, which is removed on any exception,
    so that what was there stays. ``like`` gives the new file another's mode and times. A device or pipe is written
    directly; a symbolic link is followed. Raises ``FileExistsError`` where the file exists and ``overwrite`` is not
    set, and other ``OSError`` as usual.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        with path.open("wb") as device:
            yield device
        return
    if path.is_symlink():
        try:
            path = path.resolve()
        except RuntimeError:
            raise OSError(errno.ELOOP, "its symbolic links form a loop", str(path)) from None
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "it is a directory; name a file", str(path))
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "its folder does not exist; create it first", str(path))
    if path.exists() and not overwrite:
        raise _exists(path)
    descriptor, name = tempfile.mkstemp(prefix=".gencomp.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield cast(BinaryIO, file)
            file.flush()
            os.fchmod(file.fileno(), like.st_mode & 0o777 if like is not None else 0o666 & ~_umask())
            if like is not None:
                os.utime(file.fileno(), ns=(like.st_atime_ns, like.st_mtime_ns))
            os.fsync(file.fileno())
        _publish(name, path, overwrite)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(name)
        raise


def _publish(temporary: str, path: Path, overwrite: bool) -> None:
    """Give the temporary file its name; a file that has appeared there meanwhile is only replaced if ``overwrite``."""
    if overwrite:
        os.replace(temporary, path)
    else:
        try:
            os.link(temporary, path)
            os.unlink(temporary)
        except FileExistsError:
            raise _exists(path) from None
        except OSError:  # a file system without hard links
            if path.exists():
                raise _exists(path) from None
            os.replace(temporary, path)
    with suppress(OSError):  # some file systems cannot sync a folder
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _exists(path: Path) -> FileExistsError:
    return FileExistsError(errno.EEXIST, "it exists already; overwrite it with -f", str(path))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
