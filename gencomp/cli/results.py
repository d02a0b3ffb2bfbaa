"""Folders of results, which are not written over what is somebody's own, and text that is a result itself."""

import errno
import sys
from collections.abc import Iterable
from pathlib import Path

from gencomp.cli.console import show


def check_folder(folder: Path, journal: str, names: Iterable[str], *, force: bool) -> None:
    """Refuse a folder that holds files of the results' ``names``, unless its ``journal`` says that they are ours.

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
                "it is there, and no experiment wrote it; name another folder with -o, or overwrite it with -f",
                str(folder / name),
            )


def show_text(text: str, *, as_data: bool) -> None:
    """Print lines to stdout: data as they are, unless that is a terminal, which no letter of them shall steer."""
    if as_data and not sys.stdout.isatty():
        sys.stdout.write(text)
        return
    for line in text.removesuffix("\n").split("\n"):
        show(line)
