"""Files that somebody else named: only regular ones of a bearable size are read."""

import os
import stat
from os import PathLike
from typing import BinaryIO, cast

from gencomp.errors import GencompError

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def open_regular(path: str | PathLike[str], most: int, error: type[GencompError], what: str) -> BinaryIO:
    """Open a regular file of at most ``most`` bytes for reading; a symbolic link is followed.

    It never waits: a pipe without a writer is refused like every other file that is not regular. Raises ``error``,
    whose message says with ``what`` what was expected, and ``OSError`` if there is no such file.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            kind = next((name for test, name in _KINDS if test(status.st_mode)), "not a regular file")
            raise error(f"{os.fspath(path)} is {kind}, expected {what}: a regular file; name one")
        if status.st_size > most:
            raise error(f"{os.fspath(path)} has {status.st_size:,} bytes, {what} has at most {most:,}; name another")
        return cast(BinaryIO, os.fdopen(descriptor, "rb"))
    except BaseException:
        os.close(descriptor)
        raise
