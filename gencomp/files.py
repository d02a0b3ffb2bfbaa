"""Reading and writing in full, and new files that appear complete or not at all.

One call of ``read`` or ``write`` may move fewer bytes than asked for: pipes and raw files do so, and a descriptor that
somebody has set to non-blocking moves none at all until it is ready. :func:`read_fully` and :func:`write_fully` go on
until everything is done; all reads and writes of a user's bytes go through them.
"""

import errno
import io
import os
import select
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

_PIECE = 1 << 24  # bytes asked for at a time: a buffered reader allocates them all, however few there are
_NAP_SECONDS = 0.01
_ACCESS_LIST = "system.posix_acl_access"

# temporary files being written, to be removed where the process ends without unwinding
_unfinished: set[str] = set()


def read_fully(source: BinaryIO, size: int | None = None) -> bytes:
    """Return ``size`` bytes of ``source``, fewer only at its end; if ``size`` is None, all that is left."""
    parts = []
    missing = size
    while missing is None or missing > 0:
        part = _read_some(source, _PIECE if missing is None else min(missing, _PIECE))
        if not part:
            break
        parts.append(part)
        if missing is not None:
            missing -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _read_some(source: BinaryIO, size: int) -> bytes:
    """Return 1 to ``size`` bytes, or none at the end; wait for a source that has none yet."""
    while True:
        try:
            part: bytes | str | None = source.read(size)
        except BlockingIOError:
            part = None
        if isinstance(part, str):
            raise TypeError("a stream of bytes is expected, got one of text; open the file in binary mode")
        if part is not None:
            return part
        _await(source, writing=False)


def expanded(path: str | os.PathLike[str]) -> Path:
    """Return ``path`` with ``~`` replaced by the user's home folder. Raises ``OSError`` if it cannot be a path."""
    name = os.fspath(path)
    if "\0" in name:
        raise OSError(errno.EINVAL, "it contains a zero byte, which no path may", name)
    try:
        return Path(name).expanduser()
    except RuntimeError:
        raise FileNotFoundError(errno.ENOENT, "there is no such user here, or they have no home folder", name) from None


def read_file(path: str | os.PathLike[str]) -> bytes:
    """Return all bytes of a file, or of a pipe or device."""
    with Path(path).open("rb") as file:
        return read_fully(file)


def write_fully(sink: BinaryIO, data: bytes) -> int:
    """Write all of ``data``; return its length. Raises ``OSError`` where it does not arrive, as on a full disk."""
    left: bytes | memoryview = data
    while len(left):
        try:
            written = cast("int | None", sink.write(left))
        except BlockingIOError as error:  # the buffer is full, with some of the bytes in it
            written = getattr(error, "characters_written", 0)
            if not written:
                _await(sink, writing=True)
        else:
            if written is None and not isinstance(sink, io.RawIOBase):
                break  # a caller's own object, whose write returns no count
            if written is None:
                _await(sink, writing=True)
            elif written <= 0:
                raise OSError(errno.EIO, "it takes no more bytes", getattr(sink, "name", None))
        left = memoryview(left)[written or 0 :]
    return len(data)


def flush_fully(sink: Any) -> None:
    """Flush a stream of bytes or text, waiting whenever it is not ready."""
    while True:
        try:
            sink.flush()
        except BlockingIOError:
            _await(sink, writing=True)
        else:
            return


def in_full(write: Callable[[bytes], object]) -> Callable[[bytes], object]:
    """Return ``write`` itself, or, for a stream's method, a function that writes to that stream in full."""
    sink = getattr(write, "__self__", None)
    if not isinstance(sink, io.IOBase):
        return write
    return lambda data: write_fully(cast(BinaryIO, sink), data)


def _await(stream: Any, *, writing: bool) -> None:
    """Wait until ``stream`` can be read or written; for an object without a descriptor, wait a moment."""
    try:
        descriptor = stream.fileno()
    except (AttributeError, OSError, ValueError):
        descriptor = -1
    if descriptor < 0 or not hasattr(select, "poll"):
        time.sleep(_NAP_SECONDS)
        return
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT if writing else select.POLLIN)
    poll.poll()


class WholeWriter(io.BufferedIOBase):
    """The bytes of a text stream, such as stdout, written in full: what ``print`` writes through it arrives or raises.

    Python's own text layer ignores how many bytes a raw stream takes, as it does under ``PYTHONUNBUFFERED=1``.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        with self._named():
            return write_fully(self._stream.buffer, bytes(data))

    def flush(self) -> None:
        with self._named():
            flush_fully(self._stream)

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Put the stream's name into an error."""
        try:
            yield
        except OSError as error:
            if error.filename is None and error.strerror is not None:
                error.filename = self.name
            raise

    def fileno(self) -> int:
        return int(self._stream.fileno())

    def isatty(self) -> bool:
        return bool(self._stream.isatty())

    @property
    def name(self) -> str:
        name = getattr(self._stream, "name", None)
        return name.strip("<>") if isinstance(name, str) else "stdout"  # a stand-in's may be a number


def check_new(path: Path, *, overwrite: bool) -> None:
    """Raise ``OSError`` if :func:`new_file` would: before doing the work whose result ``path`` is to hold."""
    if not _is_special(path):
        _checked(path, overwrite)


@contextmanager
def new_file(path: Path, *, overwrite: bool = False, like: int | None = None) -> Iterator[BinaryIO]:
    """Open ``path`` for writing; it appears, complete and synced, when the block ends without an exception.

    Until then the bytes are in a temporary file (mode 0600) of the same folder, which is removed on any exception,
    so that what was there stays. ``like``, the descriptor of an open file, gives the new file that one's times, mode,
    owner and group as far as the system permits; a file that takes the place of another keeps that one's mode and
    owner. At no moment can anybody read it who may not read the file that it is modelled on. A device or pipe is
    written directly; a symbolic link is followed. Raises ``FileExistsError`` if the file exists and ``overwrite`` is
    not set, and other ``OSError`` as usual.
    """
    if _is_special(path):
        with path.open("wb") as device:
            yield device
        return
    with new_name(path, overwrite=overwrite, like=like) as temporary, temporary.open("wb") as file:
        yield file


def _is_special(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()


@contextmanager
def new_name(path: Path, *, overwrite: bool = False, like: int | None = None) -> Iterator[Path]:
    """Do as :func:`new_file` for code that opens files by name: yield the temporary file's, empty at first.

    A device or pipe is its own name.
    """
    if _is_special(path):
        yield path
        return
    path = _checked(path, overwrite)
    times = None if like is None else os.fstat(like)  # before it is read
    descriptor, name = tempfile.mkstemp(prefix=".gencomp.", suffix=".part", dir=path.parent)
    os.close(descriptor)
    _unfinished.add(name)
    try:
        yield Path(name)
        if times is not None:
            os.utime(name, ns=(times.st_atime_ns, times.st_mtime_ns))
        with open(name, "rb") as file:  # noqa: PTH123 - the name that mkstemp gave
            _make_like(file.fileno(), like if like is not None or not path.exists() else path)
            os.fsync(file.fileno())
        _publish(name, path, overwrite)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(name)
        raise
    finally:
        _unfinished.discard(name)


def discard_unfinished() -> None:
    """Remove the temporary files of this process: for one that is about to end at once."""
    for name in tuple(_unfinished):
        with suppress(OSError):
            os.unlink(name)


def _checked(path: Path, overwrite: bool) -> Path:
    """Return the place that ``path`` stands for; raise ``OSError`` where no file may be made there."""
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
    return path


def _make_like(descriptor: int, model: int | Path | None) -> None:
    """Give an open file of mode 0600 the group, mode, access list and owner of ``model``, or what the umask says.

    Where the group or the list cannot be kept, the file's group and everybody else get only what the model allows both
    its group and everybody: no one gains access that the model denies. The owner comes last, since a file that has been
    given away cannot be changed any more.
    """
    if not hasattr(os, "fchmod"):  # Windows
        return
    if model is None:
        os.fchmod(descriptor, 0o666 & ~_umask())
        return
    wanted, found = os.stat(model), os.fstat(descriptor)
    mode = wanted.st_mode & 0o777
    same_group = found.st_gid == wanted.st_gid or _permitted(os.fchown, descriptor, -1, wanted.st_gid)
    if not same_group or not _has_list_of(descriptor, model):
        shared = (mode >> 3) & mode & 0o007
        mode = (mode & 0o700) | (shared << 3) | shared
    os.fchmod(descriptor, mode)
    if found.st_uid != wanted.st_uid:
        _permitted(os.fchown, descriptor, wanted.st_uid, -1)


def _has_list_of(descriptor: int, model: int | Path) -> bool:
    """Give the file the access control list of ``model``, or remove one inherited from its folder; return success.

    Where there is a list, the mode's group bits are its mask, the most that any group or named user may do (acl(5)).
    """
    if not hasattr(os, "getxattr"):
        return True
    try:
        wanted = os.getxattr(model, _ACCESS_LIST)
    except OSError:  # it has none, or its file system has none
        _permitted(os.removexattr, descriptor, _ACCESS_LIST)
        return True
    return _permitted(os.setxattr, descriptor, _ACCESS_LIST, wanted)


def _permitted(change: Callable[..., None], *arguments: Any) -> bool:
    """Make the change; return whether the system permits it."""
    try:
        change(*arguments)
    except OSError:
        return False
    return True


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
    return FileExistsError(errno.EEXIST, "it exists already; replace it with overwrite=True", str(path))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
