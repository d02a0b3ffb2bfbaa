"""Time the live page's questions: costs of a text, costs after one more byte, and candidates.

    python benchmarks/play.py [--models gzip mix rnn ...] [--sizes 2048 30000] [--repeat 5] [--seconds 20] [FILE]
    python benchmarks/play.py --browser

Figures are medians, after a first call that compiles. For a new text, "first" is the time until the first costs are
there, "caret" until those around the caret, at the end of the text, and "all" until the last ones. "typed" is the time
for all costs after a byte was inserted in the middle, "appended" after one at the end; both profit from what is known
of the beginning. "near" is the time for candidates near a place already asked about, "far" at a new place. What takes
longer than ``--seconds`` is given up and marked with >; what the page refuses, by its limit of five minutes, is marked
with x. The figures exclude network and browser.

``--browser`` measures the page in headless Chromium, with gzip and mix: the milliseconds from a key press to the last
colour drawn, and from a move of the pointer to the candidates, as medians of 15.
"""

import argparse
import math
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from gencomp.data import alice
from gencomp.play.desk import Desk
from gencomp.play.server import Server

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.chromium import chromium, find_chromium

MODELS = ("gzip", "mix", "rnn", "lzma", "zstd?level=3", "zstd", "bz2")
NAMES = ("first", "caret", "all", "typed", "appended", "far", "near")
PRESSES = 15


def seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def costs_times(desk: Desk, spec: str, text: bytes, most: float) -> tuple[float, float, float]:
    """Return the seconds until the first piece of costs, until those of the last bytes, and until all.

    Infinity means later than ``most``, NaN never.
    """
    started, first, caret, seen = time.perf_counter(), math.nan, math.nan, 0
    for event in desk.costs(spec, text, caret=len(text)):
        now = time.perf_counter() - started
        if event["event"] == "limit":
            return first, caret, math.nan
        if event["event"] == "costs":
            first = now if math.isnan(first) else first
            seen = event["start"] + len(event["costs"])
        if seen == len(text) and math.isnan(caret):
            caret = now
        if event["event"] != "end" and now > most:
            return first, caret, math.inf
    return first, caret, time.perf_counter() - started


def row(spec: str, texts: list[bytes], most: float) -> dict[str, float]:
    """Return the medians for one model, to which each of ``texts`` is new; a slow model gets only two texts."""
    desk = Desk()
    found: dict[str, list[float]] = {name: [] for name in NAMES}
    for number, text in enumerate(texts):
        middle = len(text) // 2
        first, caret, whole = costs_times(desk, spec, text, most)
        slow = not whole < most
        typed = whole if slow else costs_times(desk, spec, text[:middle] + b"e" + text[middle:], most)[2]
        appended = whole if slow else costs_times(desk, spec, text + b"e", most)[2]
        far = seconds(lambda text=text: desk.candidates(spec, text, len(text) - 40, {}))
        near = seconds(lambda text=text: desk.candidates(spec, text, len(text) - 20, {}))
        if number or slow:  # the first compiles
            for name, value in zip(found, (first, caret, whole, typed, appended, far, near), strict=True):
                found[name].append(value)
        if slow and number:
            break
    return {name: statistics.median(values) for name, values in found.items()}


def written(value: float, most: float) -> str:
    """Return seconds as milliseconds for the table."""
    if math.isnan(value):
        return "x"
    return f">{1000 * most:.0f}" if math.isinf(value) else f"{1000 * value:.1f}"


def models_table(models: list[str], sizes: list[int], repeat: int, most: float, source: bytes) -> None:
    print("milliseconds" + " " * 8 + "".join(f"{name:>10}" for name in NAMES))
    for size in sizes:
        step = max(1, (len(source) - size) // (repeat + 1))
        texts = [source[place * step : place * step + size] for place in range(repeat + 1)]
        print(f"{size:,} bytes")
        for spec in models:
            figures = row(spec, texts, most)
            print(f"  {spec:<18}" + "".join(f"{written(value, most):>10}" for value in figures.values()), flush=True)


def browser_table(sizes: list[int], source: bytes) -> None:
    ready = "document.body.dataset.ready && app.columns.every(c => c.done && !c.frame)"
    typing = """new Promise(resolve => {
        const started = performance.now();
        const editor = document.getElementById('editor');
        editor.setRangeText('e', POSITION, POSITION, 'end');
        editor.dispatchEvent(new Event('input'));
        const look = () => app.columns.every(c => c.done && !c.frame) ? resolve(performance.now() - started)
            : requestAnimationFrame(look);
        requestAnimationFrame(look);
    })"""
    hovering = """new Promise(resolve => {
        const started = performance.now();
        app.hover(POSITION);
        const look = () => app.columns.every(c => c.answer?.position === POSITION)
            ? resolve(performance.now() - started) : requestAnimationFrame(look);
        requestAnimationFrame(look);
    })"""
    server = Server(Desk(), {"text": "", "name": "", "cut": False, "models": ["gzip", "mix"]})
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as profile, chromium(Path(profile)) as page:
        page.open(server.url)
        page.wait(ready, 300)
        for size in sizes:
            text = list(source[5000 : 5000 + size])
            page.run(f"app.setText(Uint8Array.from({text}), 0)")
            page.wait(ready, 300)
            for name, script, places in (
                ("typed at the end", typing, [size] * PRESSES),
                ("typed in the middle", typing, [size // 2] * PRESSES),
                ("typed at the beginning", typing, [10] * PRESSES),
                ("candidates", hovering, [size // 3 + 17 * place for place in range(PRESSES)]),
            ):
                times = [page.run(script.replace("POSITION", str(place))) for place in places]
                print(
                    f"{size:>7,} bytes  {name:<24}{statistics.median(times):8.0f} ms, at most {max(times):.0f}",
                    flush=True,
                )
    server.shutdown()
    server.server_close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, help="the text; by default the book that comes with the package")
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--sizes", nargs="+", type=int, default=[2048, 30_000])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long to wait for one text at most")
    parser.add_argument("--browser", action="store_true")
    arguments = parser.parse_args()
    source = arguments.file.read_bytes() if arguments.file else alice()
    if not arguments.browser:
        models_table(arguments.models, arguments.sizes, arguments.repeat, arguments.seconds, source)
    elif find_chromium() is None:
        raise SystemExit("no Chromium found")
    else:
        browser_table(arguments.sizes, source)


if __name__ == "__main__":
    main()
