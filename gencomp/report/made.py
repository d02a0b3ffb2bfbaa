"""How results came about: the command, the day, the version, and the experiment's name; saved beside the rows."""

import datetime
import json
import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from gencomp import __version__
from gencomp.errors import DatasetError
from gencomp.report.shapes import Maybe, check_shape

FILE = "made.json"
MADE_SHAPE = {"command": str, "date": str, "version": str, "name": Maybe(str)}


def made(arguments: Sequence[str], name: str | None = None) -> dict[str, str]:
    """Return the record of a run of ``gencomp`` with these arguments that begins now; ``name`` is the experiment's."""
    record = {
        "command": shlex.join(["gencomp", *arguments]),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "version": __version__,
    }
    return record if name is None else {**record, "name": name}


def made_of(record: dict[str, Any] | None) -> dict[str, str]:
    """Return what a page says of a record: all keys, empty where the record has none."""
    return {key: str((record or {}).get(key) or "") for key in MADE_SHAPE}


def read_made(folder: Path) -> dict[str, Any] | None:
    """Return the record of a folder of results, or None if none can be read."""
    with suppress(OSError, ValueError, RecursionError, DatasetError):
        record = json.loads((folder / FILE).read_text(encoding="utf-8"))
        check_shape(record, MADE_SHAPE, FILE)
        return dict(record)
    return None
