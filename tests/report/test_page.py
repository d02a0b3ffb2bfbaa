"""Pages: what stands in them, and, in headless Chromium, that they load, ask nobody, and do what their controls say."""

import base64
import json
import re
from collections.abc import Iterator
from fractions import Fraction
from html.parser import HTMLParser
from itertools import islice
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pytest

from gencomp.comparison.compare import Contender, Plan, compare
from gencomp.comparison.prompts import Prompt, image_prompt, text_prompt
from gencomp.equivalence.adapt import as_predictor
from gencomp.equivalence.explain import explain, explain_paper
from gencomp.errors import DatasetError
from gencomp.modalities.image import Raster
from gencomp.report.artefacts import name_of, write_artefacts
from gencomp.report.comparison import _findings
from gencomp.report.comparison import page as comparison_page
from gencomp.report.evaluation import page as evaluation_page
from gencomp.report.made import made
from tests.chromium import Page, chromium, find_chromium

STEPS = 12


@pytest.fixture(scope="module")
def document(book: bytes) -> dict[str, Any]:
    pixels = (np.indices((14, 24)).sum(axis=0) * 6).astype(np.uint8)
    samples = (128 + 60 * np.sin(np.arange(1200) / 9)).astype(np.uint8).tobytes()
    prompts = [
        text_prompt("</script><b>.txt", book, offset=1000, given=300, length=40),
        image_prompt("waves", Raster(24, 14, pixels.tobytes())),
        Prompt("audio", "sine", ((samples[:800], samples[800:]),)),
    ]
    contenders = [Contender("counts:2", "bytes"), Contender("gzip", "bytes", ("text",))]
    contenders.append(Contender("gzip", "lookahead?horizon=2&width=2", ("text",)))
    return compare(Plan(prompts, contenders, {"text": 2}, judge="counts:3", steps=STEPS))


@pytest.fixture(scope="module")
def path(document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(comparison_page(document), encoding="utf-8")
    return file


def row(model: str, length: int | None, rate: float, parameters: int) -> dict[str, Any]:
    fixed = {"dataset": "enwik8", "modality": "text", "chunk_size": 2048, "raw_bytes": 4096, "data_size": 4096}
    figures = {"raw_rate": rate, "adjusted_rate": 2 * rate, "bits_per_byte": 8 * rate, "low": 0.4, "high": 0.6}
    own = {"model": model, "length": length, "parameters": parameters, "versions": {"zlib": "1.3"}}
    paper = {"paper_raw_rate": 0.481 if model == "gzip" else None, "bytes_per_second": 1000}
    return fixed | figures | own | paper


ROWS = [
    row("gzip", None, 0.5, 0),
    row("gzip", 64, 0.9, 0),
    row("gzip", 512, 0.7, 0),
    row("transformer", None, 0.3, 10_000),
    row("transformer:b", None, 0.2, 90_000),
]


@pytest.fixture(autouse=True, scope="module")
def compiled_once() -> Iterator[None]:
    """Compile each template once for all pages."""
    kept: dict[str, Any] = {}
    compiled = jinja2.Environment.compile

    def compile_once(self: Any, source: str, *names: Any, **options: Any) -> Any:
        if source not in kept:
            kept[source] = compiled(self, source, *names, **options)
        return kept[source]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jinja2.Environment, "compile", compile_once)
        yield


@pytest.fixture(scope="module")
def rates() -> str:
    return evaluation_page(ROWS)


class References(HTMLParser):
    """All that a page could load, the elements that were opened and not closed, and its identifiers."""

    EMPTY = frozenset({"meta", "br", "img", "link", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.names: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        if tag not in self.EMPTY:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "action", "data", "poster", "srcset"):
                self.targets.append(value or "")
            if name == "id":
                self.ids.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.EMPTY:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("kind", ["comparison", "evaluation"])
def test_a_page_holds_all_it_needs(kind: str, path: Path, rates: str) -> None:
    text = path.read_text(encoding="utf-8") if kind == "comparison" else rates
    references = References(text)
    assert references.open == []
    assert len(references.ids) == len(set(references.ids))
    assert all(target.startswith(("data:", "#")) for target in references.targets), references.targets
    assert not {"link", "iframe", "object", "embed"} & set(references.names)
    assert "@import" not in text
    assert all(target.startswith("#") for target in re.findall(r"url\(['\"]?([^)'\"]+)", text))
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy.startswith("default-src &#39;none&#39;")
    assert "unsafe-eval" not in policy
    assert len(text) < 5_000_000


def test_names_from_outside_cannot_break_out(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "</script><b>" not in text
    assert text.count("</script>") == text.count("<script")


@pytest.mark.thorough
def test_the_page_is_the_same_for_the_same_rows(document: dict[str, Any], path: Path) -> None:
    assert comparison_page(json.loads(json.dumps(document))) == path.read_text(encoding="utf-8")


def test_findings_compare_lookahead_with_one_byte(document: dict[str, Any], path: Path) -> None:
    def best(strategy: str, key: str) -> float:
        return min(row[key] for row in document["rows"] if (row["model"], row["strategy"]) == ("gzip", strategy))

    text = path.read_text(encoding="utf-8")
    plain, ahead = (best(name, "own_bits_per_byte") for name in ("bytes", "lookahead?horizon=2&width=2"))
    assert f"{ahead:.2f} against {plain:.2f} bits/byte in gzip&#39;s own code" in text


def findings(rates: dict[str, float], judge: str = "mix", copied: float = 0.0) -> list[str]:
    """Return what is found where models have these rates: the truth costs 2 bits a byte, noise 6."""
    prompt = {"name": "book", "judge": judge, "modality": "text"}
    row = {"strategy": "bytes", "entropy": 6.5, "copy_rate": copied, "own_bits_per_byte": 1.0}
    generated = {name: [{**row, "model": name, "bits_per_byte": rate}] for name, rate in rates.items()}
    return _findings(prompt, generated, {"the truth": 2.0, "the truth, shuffled": 6.0})


def test_what_is_no_better_than_noise_is_never_praised() -> None:
    text = " ".join(findings({"gzip": 6.1, "lzma": 7.0}))
    assert "closest to the truth" not in text
    assert "Nothing here is better than noise to the judge: gzip (6.10) and lzma (7.00)" in text
    assert "nearly even" in text
    mixed = findings({"gzip": 6.1, "counts": 4.0})
    assert any(line.startswith("counts comes closest to the truth, with 4.00") for line in mixed)
    assert any(line.startswith("gzip (6.10): no better than the shuffled truth") for line in mixed)


def test_the_judge_is_no_competitor() -> None:
    told = findings({"mix:9": 2.1, "counts": 4.0})
    assert "mix:9 takes part itself" in told[0]
    assert any(line.startswith("counts comes closest to the truth") for line in told)
    assert "takes part" not in findings({"counts": 4.0})[0]


def test_copying_is_told() -> None:
    assert any("Cheap because copied: counts (60 %)" in line for line in findings({"counts": 1.0}, copied=0.6))
    assert not any("copied:" in line for line in findings({"counts": 1.0}, copied=0.1))


def test_a_page_says_how_it_was_made(document: dict[str, Any], no_figures: None) -> None:
    record = made(["compare", "-m", "<b>"], "paper")
    assert record["command"] == "gencomp compare -m '<b>'"
    text = comparison_page({**document, "made": record})
    assert "gencomp compare -m &#39;&lt;b&gt;&#39;" in text
    assert f"<span>{record['date']}, gencomp" in text
    assert "<h1>Rates: paper</h1>" in evaluation_page(ROWS, record)
    assert "<h1>Rates: enwik8</h1>" in evaluation_page(ROWS)
    assert "seed None" not in text


def test_an_evaluation_begins_with_charts_and_says_nothing_twice(rates: str) -> None:
    rows = [row("gzip", None, 0.5, 0), row("mix", None, 0.4, 0)]
    text = evaluation_page(rows)
    assert text.index("Rates, enwik8") < text.index("<table")
    heads = re.findall(r"<th scope=\"col\"[^>]*><button[^>]*>([^<]*)<", text)
    assert "chunk" not in heads
    assert "first bytes" not in heads
    assert "adjusted rate, %" not in heads  # there are no parameters
    assert "chunks of 2048 bytes" in text
    both = re.findall(r"<button[^>]*>([^<]*)<", rates)
    assert {"first bytes", "adjusted rate, %", "parameters"} <= set(both)
    assert "chunk" not in both


def test_other_formats_are_refused(document: dict[str, Any]) -> None:
    with pytest.raises(DatasetError, match="expected gencomp-compare 1"):
        comparison_page({**document, "format_version": 2})
    for rows in ([], [{"model": "gzip"}], ["gzip"]):
        with pytest.raises(DatasetError, match="not the rows of an experiment"):
            evaluation_page(rows)


def shapes_of(value: Any) -> Iterator[Any]:
    """Yield copies of JSON with one thing in it replaced or taken away: each key, each first item, at any depth."""
    yield from (None, -1, "text", [None], 1e999)
    if isinstance(value, dict):
        for key, inner in value.items():
            yield {other: item for other, item in value.items() if other != key}
            for changed in shapes_of(inner):
                yield {**value, key: changed}
    elif isinstance(value, list) and value:
        yield value[1:]
        for changed in shapes_of(value[0]):
            yield [changed, *value[1:]]


@pytest.mark.parametrize("share", range(3))
@pytest.mark.every(3)
def test_json_of_any_other_shape_is_refused_or_drawn(share: int, document: dict[str, Any], no_figures: None) -> None:
    """Whatever is in the file: a page, or an error that says what was expected. Never a traceback.

    Figures get what is checked before.
    """
    refusals = []
    for other in islice(shapes_of(ROWS[:2]), share, None, 3):
        try:
            evaluation_page(other)
        except DatasetError as error:
            refusals.append(str(error))
    assert len(refusals) > 15
    assert all("not the rows of an experiment" in refusal for refusal in refusals)
    small = {**document, "prompts": document["prompts"][:2]}
    small["rows"] = [row for row in document["rows"] if row["prompt"] < 2 and not row["seed"]]
    small["rows"].sort(key=lambda row: row["model"] in ("truth", "shuffled"))  # a generated one comes first
    small["walk"] = [{**document["walk"][0], "steps": document["walk"][0]["steps"][:1]}]
    assert comparison_page(small)
    refused = 0
    for other in islice(shapes_of(small), share, None, 3):
        if not isinstance(other, dict):
            continue
        try:
            comparison_page(other)
        except DatasetError:
            refused += 1
    assert refused > 50


NAME = "_$x$ and $\\frac{$, \udcff 数据\na"


@pytest.mark.thorough
def test_names_that_mean_something_to_matplotlib() -> None:
    assert evaluation_page([{**row, "dataset": NAME, "model": NAME} for row in ROWS[:3]])


@pytest.mark.thorough
def test_names_of_prompts_that_mean_something_to_matplotlib(document: dict[str, Any]) -> None:
    renamed = {**document, "prompts": [{**document["prompts"][0], "name": NAME, "judge": NAME}]}
    renamed["rows"] = [row for row in document["rows"] if row["prompt"] == 0]
    assert NAME.encode("utf-8", "backslashreplace").decode() in comparison_page(renamed)


def test_artefacts_open_as_what_they_are(document: dict[str, Any], tmp_path: Path) -> None:
    names = write_artefacts(document, tmp_path / "artefacts")
    assert names == [name_of(row) for row in document["rows"]]
    assert len(set(names)) == len(names)
    starts = {"png": b"\x89PNG", "wav": b"RIFF", "txt": b""}
    for name in names:
        assert (tmp_path / "artefacts" / name).read_bytes().startswith(starts[name[-3:]])


def test_an_evaluations_page_has_the_papers_figures_beside(rates: str) -> None:
    text = rates
    assert '<td class="figure" data-value="48.1">48.1</td>' in text
    assert "Chinchilla 70B (the paper&#39;s)" in text
    assert "Rate against length, enwik8" in text
    assert "Adjusted rate against parameters, enwik8" in text
    assert "zlib 1.3" in text


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    if find_chromium() is None:
        pytest.skip("no Chromium found: what its controls do is not checked")
    with chromium(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(browser: Page, path: Path) -> Page:
    browser.errors.clear()
    browser.requests.clear()
    browser.open(path)
    return browser


def test_no_errors_no_network_and_media_load(page: Page, path: Path) -> None:
    page.run(
        "Promise.all([...document.querySelectorAll('audio')].map(a => "
        "a.readyState >= 1 ? 0 : new Promise(done => { a.onloadedmetadata = done; a.load(); })))"
    )
    assert page.run("[...document.images].length") == 3
    assert page.run("[...document.images].every(i => i.complete && i.naturalWidth === 24)") is True
    durations = page.run("[...document.querySelectorAll('audio')].map(a => a.duration)")
    assert durations == pytest.approx([1200 / 16000] * 3, abs=1e-3)
    assert page.errors == []
    assert {url for url in page.requests if not url.startswith("data:")} == {path.as_uri()}


def test_the_policy_stops_what_is_not_in_the_page(page: Page) -> None:
    refused = page.run("fetch('https://example.org/').then(() => 'loaded', () => 'refused')")
    assert refused == "refused"
    page.run("document.body.append(Object.assign(document.createElement('script'), {text: 'window.slipped = 1'}))")
    assert page.run("window.slipped === undefined") is True


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.every(2)
def test_nothing_overflows(page: Page, width: int) -> None:
    page.resize(width, 900)
    assert page.run("document.documentElement.scrollWidth") == width
    wide = "e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.scroll, nav')"
    assert page.run(f"[...document.querySelectorAll('body *')].filter(e => {wide}).map(e => e.outerHTML)") == []


def test_a_table_sorts_both_ways_and_keeps_what_is_missing_last(page: Page) -> None:
    def column(number: int) -> list[str]:
        cells = f"[...document.querySelectorAll('#prompt-1-table tbody tr')].map(r => r.cells[{number}].dataset.value)"
        return page.run(cells)

    for direction in (1, -1):
        page.run("document.querySelectorAll('#prompt-1-table thead button')[3].click()")
        values = column(3)
        numbers = [float(value) for value in values if value]
        assert len(numbers) == 3
        assert numbers == sorted(numbers)[::direction]
        assert values[3:] == ["", ""]
    sorting = page.run("document.querySelector('#prompt-1-table [aria-sort]').getAttribute('aria-sort')")
    assert sorting == "descending"


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.every(2)
def test_each_byte_stands_above_its_cost(page: Page, width: int) -> None:
    page.resize(width, 900)
    lefts = "[...r.cells].map(c => Math.round(c.getBoundingClientRect().left))"
    rows = page.run(f"[...document.querySelectorAll('.costs tr')].map(r => {lefts})")
    assert len(rows) == 3
    assert all(row == rows[0] for row in rows)
    assert page.run("document.querySelector('.costs button').getBoundingClientRect().height") >= 36  # for a finger


@pytest.mark.thorough
def test_a_tap_and_the_keys_tell_a_characters_bits(page: Page) -> None:
    card = "document.querySelectorAll('.texts .card')[2]"
    page.run(f"{card}.querySelectorAll('.text span')[1].click()")
    title = page.run(f"{card}.querySelectorAll('.text span')[1].title")
    assert title in page.run(f"{card}.querySelector('.told').textContent")
    page.run(f"{card}.querySelector('.text').focus()")
    page.press("ArrowRight")
    title = page.run(f"{card}.querySelectorAll('.text span')[2].title")
    assert title in page.run(f"{card}.querySelector('.told').textContent")


def test_four_models_stand_in_a_row(page: Page) -> None:
    page.resize(1280, 900)
    columns = "getComputedStyle(document.querySelector('.texts')).gridTemplateColumns.split(' ').length"
    assert page.run(columns) == 4


def shown(page: Page) -> list[dict[str, str]]:
    """Return what the cards say of their intervals, a record a model."""
    script = (
        "[...document.querySelectorAll('.models .card')].map(c => ({...c.dataset, "
        "shown: c.querySelector('.bits').textContent, code: c.querySelector('.code')?.textContent ?? '', "
        "bounds: [...c.querySelectorAll('.numbers dd')].slice(0, 2).map(d => d.textContent)}))"
    )
    return page.run(script)


def test_the_walk_shows_the_exact_intervals(page: Page, document: dict[str, Any], book: bytes) -> None:
    models = [walk["model"] for walk in document["walk"]]
    explanations = [explain(as_predictor(model), book[1300 : 1300 + STEPS], book[1000:1300]) for model in models]
    page.run("document.querySelector('#walk').scrollIntoView()")
    for number in range(STEPS):
        if number:
            page.press("ArrowRight")
        for record, explanation in zip(shown(page), explanations, strict=True):
            after = explanation.steps[number].after
            unit = Fraction(1, 2 ** int(record["exponent"]))
            assert (int(record["low"]) * unit, int(record["width"]) * unit) == (after.low, after.width)
            assert record["bits"] == after.certain_bits()
            assert record["shown"] == (after.certain_bits() or "none yet")
            for text, bound in zip(record["bounds"], (after.low, after.high), strict=True):
                digits = text.removesuffix("…")
                assert 0 <= bound - Fraction(digits) < Fraction(1, 10 ** (len(digits) - 2))
    assert [record["code"] for record in shown(page)] == [explanation.code for explanation in explanations]


def test_the_papers_example_is_there(page: Page) -> None:
    page.run("document.querySelector('#walk select').value = 1")
    page.run("document.querySelector('#walk select').dispatchEvent(new Event('change'))")
    page.run("document.querySelector('#walk').scrollIntoView()")
    page.run("document.querySelectorAll('.controls button')[3].click()")
    (record,) = shown(page)
    after = explain_paper().steps[-1].after
    assert Fraction(int(record["low"]), 2 ** int(record["exponent"])) == after.low
    assert record["bounds"] == ["0.32219…", "0.34109…"] or record["bounds"][0].startswith("0.322")
    assert record["code"] == "0101010"
    assert record["shown"] == "01010"


def test_buttons_slider_and_keys_step(page: Page) -> None:
    where = "document.querySelector('.where').textContent"
    page.run("document.querySelector('#walk').scrollIntoView()")
    assert page.run(where) == f"byte 1 of {STEPS}"
    disabled = page.run("[...document.querySelectorAll('.controls button')].map(b => b.disabled)")
    assert disabled == [True, True, False, False]
    page.run("document.querySelectorAll('.controls button')[2].click()")
    assert page.run(where) == f"byte 2 of {STEPS}"
    page.press("ArrowRight")
    page.press("ArrowRight")
    page.press("ArrowLeft")
    assert page.run(where) == f"byte 3 of {STEPS}"
    slide = "(s => { s.value = 6; s.dispatchEvent(new Event('input')); })(document.querySelector('.controls input'))"
    page.run(slide)
    assert page.run(where) == f"byte 7 of {STEPS}"
    page.run("document.querySelectorAll('.costs button')[4].click()")
    assert page.run(where) == f"byte 5 of {STEPS}"
    page.run("document.querySelectorAll('.costs button')[4].focus()")
    page.press("End")
    assert page.run(where) == f"byte {STEPS} of {STEPS}"
    assert page.errors == []


@pytest.mark.thorough
def test_themes_change_the_colours(page: Page, path: Path) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.run(paper)
    page.open(path, dark=True)
    dark = page.run(paper)
    assert dark != light
    page.run("document.getElementById('theme').click()")  # light, whatever the system says
    assert page.run(paper) == light
    page.run("document.getElementById('theme').click()")
    assert page.run(paper) == dark


@pytest.mark.thorough
def test_text_can_be_read_in_both_themes(page: Page, path: Path) -> None:
    """WCAG 2.2, 1.4.3: a contrast of at least 4.5 between text and what is behind it."""

    def luminance(color: str) -> float:
        values = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
        red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    for dark in (False, True):
        page.open(path, dark=dark)
        get = "(n => { const e = document.createElement('i'); e.style.color = `var(${n})`; document.body.append(e); "
        get += "return getComputedStyle(e).color; })"
        colors = {name: page.run(f"{get}('--{name}')") for name in ("ink", "soft", "accent", "mark", "paper", "card")}
        for behind in ("paper", "card"):
            for name in ("ink", "soft", "accent", "mark"):
                lights = sorted((luminance(colors[name]), luminance(colors[behind])))
                assert (lights[1] + 0.05) / (lights[0] + 0.05) >= 4.5, (name, behind, dark)


def test_an_evaluations_page_opens(browser: Page, tmp_path: Path, rates: str) -> None:
    file = tmp_path / "rates.html"
    file.write_text(rates, encoding="utf-8")
    browser.errors.clear()
    browser.open(file, width=400)
    assert browser.errors == []
    assert browser.run("document.documentElement.scrollWidth") == 400
    assert browser.run("document.querySelectorAll('tbody tr').length") == len(ROWS) + 7


def test_data_uris() -> None:
    from gencomp.report.figures import data_uri

    assert data_uri("image/png", b"\x00\xff") == "data:image/png;base64," + base64.b64encode(b"\x00\xff").decode()
