"""Take the pictures of the live page, docs/play/*.png, in headless Chromium: python docs/screenshots.py [NAME]...

It needs Chromium and Pillow (pip install -e '.[dev]'). Each picture shows what a visitor sees after a few steps, with
colours reduced to a palette, which keeps it small.
"""

import argparse
import io
import json
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from gencomp.play.desk import Desk  # noqa: E402
from gencomp.play.server import Server  # noqa: E402
from tests.chromium import Page, chromium, find_chromium  # noqa: E402

TARGET = Path(__file__).parent / "play"
MOST_BYTES = 150_000
COLOURS = 128
WIDTH, HEIGHT = 1180, 900
READY = "document.body.dataset.ready && app.columns.every(c => c.done && !c.frame)"
WATERS = 72  # the position of the a in "waters" in the poem
WHOLE = "document.body"
SENTENCE = (
    "The river rises in the mountains in the north of the country, and flows through the city to the sea. The city was "
    "founded by the river, and the old part of the "
)


def desktop(page: Page) -> str:
    """Show the poem under three models, and what they expected in place of the a in "waters"."""
    page.run(f"document.getElementById('settings').open = false; app.setCaret({WATERS})")
    page.wait(f"app.columns.every(c => c.answer?.position === {WATERS})")
    return WHOLE


def dark(page: Page) -> str:
    """Show the same in the dark scheme."""
    desktop(page)
    return WHOLE


def phone(page: Page) -> str:
    """Show one column on a small screen."""
    page.run("app.setModels(['rnn'])")
    page.wait(READY)
    desktop(page)
    return WHOLE


def parse(page: Page) -> str:
    """Show how gzip and lzma copy one function from another."""
    example(page, "code")
    page.run("document.getElementById('settings').open = false; app.setModels(['gzip', 'lzma']); app.setParse(true)")
    page.run("app.setCaret(154); document.getElementById('blocks').open = true")
    page.wait(f"{READY} && app.columns.every(c => c.parse && c.answer?.position === 154)")
    return WHOLE


def coder(page: Page) -> str:
    """Show the interval in the poem's first line, and the last steps that led to it."""
    page.run(f"app.setCaret({25}); app.activate(app.columns[2]); document.getElementById('coder').open = true")
    page.wait("document.querySelector('#coder svg')")
    page.run("document.querySelector('#coder details').open = true")
    return "document.getElementById('coder')"


def generation(page: Page) -> str:
    """Show how a network continues a sentence, underlined with dots, and copies with their source."""
    page.run(f"app.setModels(['gzip', 'rnn']); app.setText(new TextEncoder().encode({json.dumps(SENTENCE)}), 1000)")
    page.run("document.getElementById('generator').value = 'rnn'; document.getElementById('length').value = 120")
    page.run("app.setDraw({temperature: 0.6}); document.getElementById('seed').value = 1")
    page.run("document.getElementById('go').click()")
    page.wait(f"!app.generating && app.bytes.length > {len(SENTENCE) + 100} && {READY}", 120)
    page.run("app.setCaret(app.copies[0]?.start ?? app.bytes.length)")
    page.wait("app.columns.every(c => c.answer?.position === app.caret)")
    return WHOLE


def game(page: Page) -> str:
    """Show the game after some guesses."""
    page.run("document.getElementById('game-button').click()")
    page.run("[...document.querySelectorAll('#game button')].find(b => b.textContent === 'a poem').click()")
    page.wait("app.game.rivals.every(r => r.costs.length && r.costs.every(c => c !== undefined))", 120)
    page.run("document.querySelector('#game input').focus()")
    for letters in ("e", "aois", "nt", " ", "t", "ha", "i", "l", ",s", "."):  # guesses that a reader might make
        for letter in letters:
            page.write(letter)
    while page.run("app.game.place - app.game.first") < 12:
        page.write(page.run("app.game.chars.texts[app.game.place]"))
    page.write("z")
    return "document.getElementById('game')"


def export(page: Page) -> str:
    """Show the page that "Save as a page" writes."""
    desktop(page)
    page.run("document.getElementById('coder').open = true")
    page.wait("document.querySelector('#coder svg')")
    saved = page.run("import('./export.js').then(m => m.pageText(app))")
    with tempfile.NamedTemporaryFile("w", suffix=".html", encoding="utf-8", delete=False) as file:
        file.write(saved)
    page.open(Path(file.name), WIDTH, HEIGHT)
    Path(file.name).unlink()
    return WHOLE


PICTURES: dict[str, Callable[[Page], str]] = {
    "desktop": desktop,
    "dark": dark,
    "phone": phone,
    "parse": parse,
    "coder": coder,
    "generation": generation,
    "game": game,
    "export": export,
}


def example(page: Page, name: str) -> None:
    """Choose one of the page's examples."""
    choose = "const box = document.getElementById('examples');"
    pick = f"box.value = [...box.options].find(o => o.textContent === {json.dumps(name)}).value;"
    page.run(f"(() => {{ {choose} {pick} box.dispatchEvent(new Event('change')); }})()")


@contextmanager
def served() -> Iterator[Server]:
    """Yield a server of the page as it begins without a file."""
    server = Server(Desk(), {"text": None, "name": "", "cut": False, "models": ["gzip", "mix", "rnn"]})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        server.jobs.close()


def take(page: Page, server: Server, name: str) -> bytes:
    """Return one picture as a PNG with a palette."""
    page.open("about:blank")  # the address keeps the state, and no picture may begin where another ended
    width = 390 if name == "phone" else WIDTH
    page.open(server.url, width, HEIGHT, dark=name == "dark")
    page.wait(READY, 300)
    part = PICTURES[name](page)
    page.resize(width, page.run("document.body.scrollHeight"))  # what is off the screen is not drawn
    page.wait("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")
    if page.errors:
        raise SystemExit(f"{name}: {page.errors}")
    sides = "[box.left + scrollX, box.top + scrollY, box.width, box.height]"
    return small(page.picture(*page.run(f"(box => {sides})({part}.getBoundingClientRect())")))


def small(png: bytes) -> bytes:
    """Return a picture with a palette, without dithering, since its areas are plain."""
    from PIL import Image

    picture = Image.open(io.BytesIO(png)).convert("RGB")
    found = io.BytesIO()
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(found, "PNG", optimize=True)
    return found.getvalue()


def main() -> None:
    """Take the pictures named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *PICTURES], help="only these")
    names = parser.parse_args().names or list(PICTURES)
    if find_chromium() is None:
        raise SystemExit("no Chromium found")
    TARGET.mkdir(exist_ok=True)
    with served() as server, tempfile.TemporaryDirectory() as profile, chromium(Path(profile)) as page:
        for name in names:
            png = take(page, server, name)
            if len(png) > MOST_BYTES:
                raise SystemExit(f"{name}.png has {len(png):,} bytes, and may have {MOST_BYTES:,}")
            (TARGET / f"{name}.png").write_bytes(png)
            print(f"{name}.png: {len(png):,} bytes", flush=True)


if __name__ == "__main__":
    main()
