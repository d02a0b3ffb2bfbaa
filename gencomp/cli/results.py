"""Folders of results, which do not overwrite a user's own files, and text that is a result itself."""

import errno
import sys
from collections.abc import Iterable
from pathlib import Path

from gencomp.cli.console import show


def check_folder(folder: Path, journal: str, names: Iterable[str], *, force: bool) -> None:
    """Refuse a folder that holds files with the results' ``names``, unless its ``journal`` shows that they are ours.

    Raises ``FileExistsError``, before anything is measured.
    """
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(errno.EEXIST, "it is a file; name a folder with -o", str(folder))
    if force or (folder / journal).exists():
        return
    for name in names:
        if (folder / name).exists():
            raise FileExistsError(
                errno.EEXIST,
                "it exists, and no experiment wrote it; name another folder with -o, or overwrite it with -f",
                str(folder / name),
            )


def show_text(text: str, *, as_data: bool) -> None:
    """Print lines to stdout: data as they are, unless it is a terminal, which no character in them may steer."""
    if as_data and not sys.stdout.isatty():
        sys.stdout.write(text)
        return
    for line in text.removesuffix("\n").split("\n"):
        show(line)
