"""gcz: a filter that behaves like gzip, for tar's ``--use-compress-program`` and for pipes."""

from gencomp.cli import start  # isort: skip - before everything else

import sys
from collections.abc import Sequence

_DECOMPRESS = ("-d", "--decompress", "--uncompress")


def translated(words: Sequence[str]) -> list[str]:
    """Return the gencomp command line that ``gcz`` with these words stands for: quiet, and by default stdin to stdout.

    >>> translated(["-9"]), translated(["-d"])
    (['compress', '-q', '-9'], ['decompress', '-q'])
    """
    rest = [word for word in words if word not in _DECOMPRESS]
    return ["compress" if len(rest) == len(words) else "decompress", "-q", *rest]


def main() -> None:
    """The console script."""
    start.main(translated(sys.argv[1:]))
