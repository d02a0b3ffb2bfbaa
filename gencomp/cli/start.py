"""The command's first moment, for the entry points to import, and nothing else.

Importing this module sets what Ctrl-C does, before the imports that take most of a start-up: it ends the process with
the same line and exit code as later, when :func:`gencomp.cli.main.main` has set its own handlers. So this module and
the two packages around it import nothing that the interpreter has not loaded already; ``signal`` itself would bring
``enum``.
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


if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:  # background jobs of a shell ignore it
    _signal.signal(_signal.SIGINT, _interrupted)


def main(arguments: "Sequence[str] | None" = None) -> None:
    """The console script; ``arguments`` are by default the process's own."""
    import gc

    # imports would make 70 collections, which find nothing and take a twentieth of a short command's time
    gc.set_threshold(20_000)
    # numpy's OpenBLAS starts its threads when it is loaded; each would look for work for 2^26 cycles before it sleeps
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")

    from gencomp.cli.main import main

    main(arguments)
