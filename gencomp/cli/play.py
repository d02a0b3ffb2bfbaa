"""gencomp play: the live page, from a server on this machine."""

import base64
import os
import sys
import threading
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from gencomp.cli.console import note, show
from gencomp.cli.options import MaxMemoryOption, MaxWorkOption, usage

DEFAULT_MODELS = ("gzip", "mix", "rnn")


def play(
    file: Annotated[str | None, typer.Argument(metavar="[FILE]", help="The text to begin with; - is stdin.")] = None,
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "--compressor",
            "-m",
            metavar="SPEC",
            help="A column; may be given several times. [default: gzip, mix, rnn]",
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Listen on this port. [default: a free one]")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address only.")] = False,
    max_memory: MaxMemoryOption = None,
    max_work: MaxWorkOption = None,
) -> None:
    """Open a live page that shows what compressors think of a text.

    A local server, on 127.0.0.1 only, provides the page; no other host is contacted. Ctrl-C ends it.
    """
    from gencomp.budget import Budget
    from gencomp.compiled import watching
    from gencomp.play.desk import MAX_MEMORY, MAX_TEXT, MAX_WORK, Desk
    from gencomp.play.server import Server

    text, name, size = _read_start(file, MAX_TEXT)
    if file is not None and size is None:
        note(f"note: the page takes {MAX_TEXT:,} bytes at most, and shows the first ones of {name}")
    budget = Budget(MAX_MEMORY if max_memory is None else max_memory, MAX_WORK if max_work is None else max_work)
    desk = Desk(budget)
    for spec in models or ():
        desk.open(spec)  # reports a wrong one
    start = {
        "text": None if text is None else base64.b64encode(text).decode("ascii"),
        "name": name,
        "cut": file is not None and size is None,
        "models": list(models or DEFAULT_MODELS),
    }
    server = Server(desk, start, port)
    try:
        with watching(server.compilations.told):
            show(f"The page is at {server.url}")
            show("Ctrl-C ends it.")
            sys.stdout.flush()
            if not no_browser:
                threading.Thread(target=_open_browser, args=(server.url,), daemon=True).start()
            server.serve_forever(poll_interval=0.2)
    except KeyboardInterrupt:
        show()
    finally:
        server.server_close()
        server.jobs.close(1.0)
    # Python's normal exit would pull its modules away from threads that still compile or cannot be interrupted
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _read_start(file: str | None, most: int) -> tuple[bytes | None, str, int | None]:
    """Return the file's first ``most`` bytes, its name, and its size, or None if it has more."""
    from gencomp.files import read_fully

    if file is None:
        return None, "", 0
    if file == "-":
        text, name = read_fully(sys.stdin.buffer, most + 1), "stdin"
    else:
        if Path(file).is_dir():
            raise usage(f"{file} is a folder; give a file")
        with Path(file).open("rb") as stream:
            text, name = read_fully(stream, most + 1), Path(file).name
    name = name.encode("utf-8", "backslashreplace").decode()  # a file's name may not be UTF-8
    return text[:most], name, len(text) if len(text) <= most else None


def _open_browser(url: str) -> None:
    """Open the page if there is a screen; a browser in the terminal would hide our own output."""
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        note("note: there is no screen here to open a browser on; open the address yourself")
        return
    try:
        opened = webbrowser.open(url)
    except (webbrowser.Error, OSError):
        opened = False
    if not opened:
        note("note: no browser could be opened; open the address yourself")
