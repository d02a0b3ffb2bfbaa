"""The text that a benchmark runs on if no file is named."""

import os
from pathlib import Path

from gencomp.data import alice
from gencomp.modalities import text

ENWIK8 = "text/enwik8-first-3145728.xz"


def text_of(file: Path | None, stored: str = ENWIK8) -> tuple[str, bytes]:
    """Return the name and the bytes of ``file``, else of ``$GENCOMP_DATA/stored``, else of the book in the package."""
    root = os.environ.get("GENCOMP_DATA")
    if file is None and root is not None:
        file = Path(root) / stored
    return ("alice.txt", alice()) if file is None else (file.name, text.read(file))
