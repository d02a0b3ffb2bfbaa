"""What shows itself in notebooks: well-formed, escaped, readable on any page, and small."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

import gencomp
from gencomp import markup
from gencomp.comparison.compare import Contender, Plan, compare
from gencomp.comparison.prompts import text_prompt
from gencomp.measure.distance import distances
from gencomp.modalities.documents import Document

HOSTILE = b"<script>alert('x')</script>&amp;\"><b onmouseover=y>\x00\x1b[31m \xe4\xbd\xa0\xe5\xa5\xbd\n\xff"


class Shown(HTMLParser):
    """The elements of a piece, its text, and the attributes that are in it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        assert self._open == [], "an element is left open"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def pieces() -> dict[str, str]:
    data = HOSTILE * 3
    prompt = text_prompt("<i>name</i>", data, given=len(HOSTILE), length=len(HOSTILE))
    comparison = compare(Plan([prompt], [Contender("counts:1", "bytes")], {"text": 2}, judge="counts:2", steps=2))
    texts = [Document("<u>one</u>", HOSTILE), Document("two", b"another text, of letters")]
    return {
        "score": gencomp.score("counts:1", data)._repr_html_(),
        "codec": gencomp.score("gzip", data, limit=20)._repr_html_(),
        "nothing": gencomp.score("counts:1", b"")._repr_html_(),
        "explanation": gencomp.explain("counts:1", data)._repr_html_(),
        "candidates": gencomp.candidates("gzip", data)._repr_html_(),
        "parse": gencomp.parse("gzip", data)._repr_html_(),
        "comparison": comparison._repr_html_(),
        "distances": distances(["counts:1"], texts)._repr_html_(),
    }


def test_what_is_shown_is_escaped_well_formed_and_small() -> None:
    for name, html in pieces().items():
        shown = Shown(html)
        allowed = {"div", "table", "caption", "thead", "tbody", "tr", "th", "td", "p", "pre", "span"}
        assert shown.elements <= allowed, name
        assert shown.attributes <= {"style", "class", "scope", "title"}, name
        assert "\x1b" not in html, name
        assert len(html) < 60_000, name
        assert "://" not in html, name


def test_the_figures_are_those_of_the_object() -> None:
    score = gencomp.score("counts:1", HOSTILE)
    text = Shown(score._repr_html_()).text
    assert f"{score.bits_per_byte:.3f}" in text
    assert "你好" in text
    assert "‹FF›" in text
    assert "<script>alert" in text  # as text
    candidates = gencomp.candidates("gzip", b"abcabcab")
    assert f"{candidates.kraft_sum:.4g}" in Shown(candidates._repr_html_()).text
    parse = gencomp.parse("gzip", b"abcabcabcabc")
    assert "4 literals and 1 copies" in Shown(parse._repr_html_()).text
    explanation = gencomp.explain("counts:1", b"hello")
    assert explanation.code in Shown(explanation._repr_html_()).text


def test_long_texts_are_cut_and_told_so() -> None:
    data = b"x" * 3000
    html = gencomp.score("counts:0", data, limit=None)._repr_html_()
    assert "2,500 more bytes" in html
    assert html.count('bits">') == markup.MOST_CHARACTERS
    assert len(gencomp.explain("counts:0", data)._repr_html_()) < 60_000
    assert markup.heat(data, [1.0] * 3000, None).count("<span") == 3000


def luminance(color: str) -> float:
    channels = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def test_the_scale_is_read_by_its_lightness_alone() -> None:
    """Contrast as WCAG 2.2 defines it."""
    grounds = [luminance(ground) for ground, _ in markup.HEAT]
    assert grounds == sorted(grounds, reverse=True)
    assert min(-np.diff(np.log(np.array(grounds) + 0.05))) > 0.1
    for ground, ink in markup.HEAT:
        light, dark = sorted((luminance(ground), luminance(ink)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5


@pytest.mark.parametrize(
    ("data", "texts"),
    [
        ("añ你😀\n".encode(), ["a", "ñ", "你", "😀", "\n"]),
        (b"\xff\xc3", ["", ""]),
        ("\u202e".encode() + b"a", ["", "", "", "a"]),
        (b"", []),
    ],
)
def test_characters(data: bytes, texts: list[str]) -> None:
    found = list(markup.characters(data))
    assert [text for *_, text in found] == texts
    assert b"".join(data[start:stop] for start, stop, _ in found) == data


def test_bits_per_character() -> None:
    text = "你好，世界".encode()
    score = gencomp.score("counts:1", text)
    assert score.raw_characters == 5
    assert score.bits_per_character == score.code_length / 5
    assert gencomp.score("counts:1", b"\xff").bits_per_character is None
    assert gencomp.score("counts:1", b"").bits_per_character == 0.0


def test_candidates_of_a_state() -> None:
    state = gencomp.as_predictor("counts:2").begin(b"abcabcab")
    asked = gencomp.candidates(state)
    assert asked.top(1) == [ord("c")]
    assert gencomp.candidates(state, b"c").top(1) == [ord("a")]
    assert gencomp.candidates(state).probabilities.tolist() == asked.probabilities.tolist()  # it was not moved
    assert asked.kraft_sum == pytest.approx(1)
    assert asked.probabilities.sum() == pytest.approx(1)
    with pytest.raises(TypeError, match="expected a spec"):
        gencomp.candidates(5)  # type: ignore[arg-type]


def test_random_bits_decode_to_a_sample() -> None:
    bits = np.random.default_rng(1).bytes(40)
    drawn = gencomp.decode_bits("counts:1", bits, prompt=b"abcabcabcabc")
    assert drawn
    assert gencomp.decode_bits("counts:1", bits, prompt=b"abcabcabcabc") == drawn


def test_no_piece_depends_on_the_pages_colours() -> None:
    """Whoever sets a background sets the ink too; all else is the page's own."""
    for html in pieces().values():
        for style in re.findall(r'style="([^"]*)"', html):
            if "height" not in style:  # bars have no text
                assert ("background" in style) == ("color:" in style.replace("background", "")), style
