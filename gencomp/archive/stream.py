"""Archives as file objects, as :func:`gzip.open` gives them: whole, or not there."""

import io
import os
import queue
import threading
import warnings
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from types import TracebackType
from typing import Any, BinaryIO, Literal, Self, cast, overload

from gencomp.archive.reader import stream_archive
from gencomp.archive.writer import write_archive
from gencomp.arguments import as_bytes
from gencomp.equivalence.adapt import Model, as_predictor
from gencomp.errors import GencompWarning
from gencomp.files import expanded, flush_fully, new_file
from gencomp.protocols import Predictor

_PIECE = 1 << 16  # bytes that are passed on to the coder at a time
_WAITING = 64  # pieces that may wait for it
_NAP_SECONDS = 0.1
_MODES = ("r", "w", "x")

Place = str | os.PathLike[str] | BinaryIO
BinaryMode = Literal["r", "rb", "w", "wb", "x", "xb"]
TextMode = Literal["rt", "wt", "xt"]


@overload
def open(  # noqa: A001 - as gzip.open is
    place: Place,
    mode: BinaryMode = ...,
    model: Model | None = ...,
    *,
    encoding: str | None = ...,
    errors: str | None = ...,
    newline: str | None = ...,
    block_size: int | None = ...,
    threads: int | None = ...,
    max_output: int | None = ...,
    max_memory: int | None = ...,
    max_work: float | None = ...,
) -> BinaryIO: ...
@overload
def open(  # noqa: A001
    place: Place,
    mode: TextMode,
    model: Model | None = ...,
    *,
    encoding: str | None = ...,
    errors: str | None = ...,
    newline: str | None = ...,
    block_size: int | None = ...,
    threads: int | None = ...,
    max_output: int | None = ...,
    max_memory: int | None = ...,
    max_work: float | None = ...,
) -> io.TextIOWrapper: ...
def open(  # noqa: A001
    place: Place,
    mode: str = "rb",
    model: Model | None = None,
    *,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    block_size: int | None = None,
    threads: int | None = None,
    max_output: int | None = None,
    max_memory: int | None = None,
    max_work: float | None = None,
) -> Any:
    """Open an archive as a file object of its content, binary or, with ``t`` in the mode, text.

    ``place`` is a path, or a binary file object, which stays open. ``mode`` is ``r`` to read, ``w`` to write, ``x`` to
    write where there is no file yet; ``b`` is the default. ``encoding`` (UTF-8 by default), ``errors`` and ``newline``
    are those of :class:`io.TextIOWrapper`. ``model`` and the other options are those of :func:`gencomp.compress` and
    :func:`gencomp.decompress`.

    What is written appears under its name when the object is closed, complete and checked; until then, and where the
    ``with`` block ends with an exception, or the object is forgotten instead of closed, what was there before stays.
    Reading checks every block before it gives its bytes. Both take memory for the blocks under way only. A reader can
    seek: backwards it begins anew. Raises ``ValueError`` on another mode, :class:`OSError` as usual, and, also while
    reading, what :func:`gencomp.decompress` raises.

        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with open(f"{folder}/a.gcz", "wt", "counts:1") as file:
        ...         _ = file.write("to be or not to be")
        ...     with open(f"{folder}/a.gcz", "rt") as file:
        ...         file.read()
        'to be or not to be'
    """
    text = "t" in mode
    way = mode.replace("t", "", 1).replace("b", "", 1)
    if way not in _MODES or (text and "b" in mode):
        raise ValueError(f"mode must be r, w or x, with b or t behind it, got {mode!r}")
    if not text and (encoding, errors, newline) != (None, None, None):
        raise ValueError(f"encoding, errors and newline are of text: take mode {way + 't'!r}")
    if way == "r":
        limits = {"max_output": max_output, "max_memory": max_memory, "max_work": max_work}
        binary: Any = io.BufferedReader(ArchiveReader(place, model=model, threads=threads, **limits), _PIECE)
    else:
        coding = {"block_size": block_size, "threads": threads, "max_memory": max_memory, "max_work": max_work}
        binary = ArchiveWriter(place, model, exclusive=way == "x", **coding)
    return _Text(binary, encoding or "utf-8", errors, newline) if text else binary


class ArchiveReader(io.RawIOBase):
    """The content of an archive, raw: :func:`open` puts a buffer before it."""

    def __init__(self, place: Place, **options: Any) -> None:
        self._owned = not hasattr(place, "read")
        path = expanded(cast(Any, place)) if self._owned else None
        self._source = path.open("rb") if path is not None else cast(BinaryIO, place)
        self.name = str(path) if path is not None else getattr(place, "name", "")
        self._options = options
        self._start = self._source.tell() if self._source.seekable() else None
        self._begin()

    def _begin(self) -> None:
        self._pieces: Iterator[bytes] = stream_archive(self._source, **self._options)
        self._left = memoryview(b"")
        self._position = 0
        self._failure: Exception | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._start is not None

    def readinto(self, buffer: Any) -> int:
        self._check_open()
        while not len(self._left):
            if self._failure is not None:  # asked again, it says so again: the end it is not
                raise self._failure
            try:
                self._left = memoryview(next(self._pieces))
            except StopIteration:
                return 0
            except Exception as error:
                self._failure = error
                raise
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        self._position += size
        return size

    def tell(self) -> int:
        self._check_open()
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to a place in the content; backwards by reading from the beginning again."""
        self._check_open()
        if self._start is None:
            raise io.UnsupportedOperation("the archive comes from a stream that cannot be read again")
        if whence == 2:
            while self._skip(1 << 20):
                pass
        target = offset + (0, self._position, self._position)[whence]
        if target < 0:
            raise ValueError(f"the content has no place {target}")
        if target < self._position:
            self._source.seek(self._start)
            self._begin()
        while self._position < target and self._skip(target - self._position):
            pass
        return self._position

    def _skip(self, size: int) -> int:
        return self.readinto(bytearray(min(size, 1 << 20)))

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("the archive is closed")

    def close(self) -> None:
        if not self.closed and self._owned:
            self._source.close()
        super().close()


class _DiscardedError(Exception):
    """Nobody wants the archive any more."""


class _Coding:
    """The thread that codes, what it is given, and the file that is to appear.

    It knows nothing of the object that its user writes to: that can be forgotten, and then this gives up.
    """

    def __init__(self, sink: BinaryIO, file: AbstractContextManager[BinaryIO] | None, name: str) -> None:
        self.name = name
        self.done = False
        self.failure: BaseException | None = None
        self._sink = sink
        self._file = file
        self._pieces: queue.Queue[bytes | None] = queue.Queue(_WAITING)
        self._stopped = threading.Event()
        self._left = b""
        self._ended = False

    def start(self, predictor: Predictor | None, options: dict[str, Any]) -> None:
        self._thread = threading.Thread(target=self._code, args=(predictor, options), daemon=True)
        self._thread.start()

    def _code(self, predictor: Predictor | None, options: dict[str, Any]) -> None:
        try:
            write_archive(cast(BinaryIO, self), self._sink, predictor, **options)
        except BaseException as error:  # the thread has nobody to tell but the next call
            self.failure = error
        finally:
            self._stopped.set()

    def read(self, size: int) -> bytes:
        """Return the next bytes to code, none at the end: :func:`write_archive` asks, in the thread."""
        while not self._left and not self._ended:
            try:
                piece = self._pieces.get(timeout=_NAP_SECONDS)
            except queue.Empty:
                piece = b""
            if self._stopped.is_set():
                raise _DiscardedError
            self._ended = piece is None
            self._left = piece or b""
        part, self._left = self._left[:size], self._left[size:]
        return part

    def give(self, piece: bytes | None) -> None:
        """Pass on bytes, or None for the end. Raises what the coder has met with in those before."""
        while not self._stopped.is_set():
            with suppress(queue.Full):
                self._pieces.put(piece, timeout=_NAP_SECONDS)
                return
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self.failure is not None:
            failure = self.failure
            self.discard()
            raise failure

    def finish(self) -> None:
        """Wait for the coder; then let the file appear. Raises where it does not."""
        try:
            self._thread.join()
            self._raise_failure()
        except BaseException:  # interrupted, while the last blocks are coded
            self.discard()
            raise
        self.done = True
        if self._file is None:
            flush_fully(self._sink)
        else:
            self._file.__exit__(None, None, None)

    def discard(self) -> None:
        """Stop the coder; nothing appears."""
        if self.done:
            return
        self.done = True
        self._stopped.set()
        self._thread.join()
        if self._file is not None:
            with suppress(_DiscardedError):
                self._file.__exit__(_DiscardedError, _DiscardedError(), None)


def _forgotten(coding: _Coding) -> None:
    """Give up an archive whose writer is gone, or was never closed when the program ends."""
    if not coding.done:
        coding.discard()
        warnings.warn(f"{coding.name} was not closed: nothing is written to it", GencompWarning, stacklevel=2)


class ArchiveWriter(io.BufferedIOBase):
    """An archive that is being written; a thread codes what has been given, while more is."""

    def __init__(self, place: Place, model: Model | None, *, exclusive: bool, **options: Any) -> None:
        predictor = None if model is None else as_predictor(model)
        file: AbstractContextManager[BinaryIO] | None = None
        if hasattr(place, "write"):
            sink = cast(BinaryIO, place)
            self.name = str(getattr(place, "name", ""))
        else:
            path = expanded(cast(Any, place))
            self.name = str(path)
            file = new_file(path, overwrite=not exclusive)
            sink = file.__enter__()
        self._held = bytearray()
        self._written = 0
        self._coding = _Coding(sink, file, self.name)
        self._coding.start(predictor, options)
        weakref.finalize(self, _forgotten, self._coding)

    def writable(self) -> bool:
        return True

    @property
    def closed(self) -> bool:
        return self._coding.done

    def tell(self) -> int:
        return self._written

    def write(self, data: Any) -> int:
        """Take bytes in. Raises what the coder has met with in those before."""
        self._check_open()
        data = as_bytes(data)
        self._held += data
        self._written += len(data)
        whole = len(self._held) // _PIECE * _PIECE
        for start in range(0, whole, _PIECE):
            self._coding.give(bytes(self._held[start : start + _PIECE]))
        del self._held[:whole]
        return len(data)

    def flush(self) -> None:
        """Do nothing: what a block holds is coded when the block is full, or at the end."""
        self._check_open()

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("the archive is closed")

    def close(self) -> None:
        """Code what is left; then the archive appears under its name. Raises where it does not."""
        if self.closed:
            return
        if self._held:
            self._coding.give(bytes(self._held))
            self._held.clear()
        self._coding.give(None)
        self._coding.finish()

    def discard(self) -> None:
        """Give up: what was there before stays, and nothing of what was written here."""
        self._coding.discard()

    def __enter__(self) -> Self:
        self._check_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def __del__(self) -> None:
        """Do not close, as other files do then: half of what was meant would appear. :func:`_forgotten` gives up."""


class _Text(io.TextIOWrapper):
    """Text in front of an archive: what it holds of a text that is given up is given up too."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and isinstance(self.buffer, ArchiveWriter):
            self.buffer.discard()
        super().__exit__(kind, error, trace)

    def __del__(self) -> None:
        """Leave it to the archive: closing now would publish what may be half a text."""
