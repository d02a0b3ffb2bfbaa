"""The command's first moment: what the entry points import, and nothing else may.

Importing this module sets what Ctrl-C does, before the imports that take most of a start-up: until
:func:`gencomp.cli.main.main` has handlers of its own, it ends the process, with the line and the exit code that it has
later. So this module and the two packages around it import nothing that the interpreter has not loaded already;
``signal`` itself would bring ``enum``.
"""

import _signal  # type: ignore[import-not-found]
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def _interrupted(signum: int, frame: object) -> None:
    try:
        os.write(2, b"gencomp: interrupted\n")
    finally:
        os._exit(128 + signum)


if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:  # a job in a shell's background ignores it
    _signal.signal(_signal.SIGINT, _interrupted)


def main(arguments: "Sequence[str] | None" = None) -> None:
    """The console script; ``arguments`` are the process's own unless others are given."""
    from gencomp.cli.main import main

    main(arguments)
