"""Figures that follow the page's theme, whatever way matplotlib writes them in."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from gencomp.errors import GencompWarning
from gencomp.report import figures

FIGURES = {
    "dots": lambda: figures.dots('a < b & "c"', "bits", {"x": [1.0, 2.0], "y": [3.0]}, {"uniform": 8.0}),
    "curves": lambda: figures.curves("rates", ("bytes", "%"), {"gzip": [(1, 2), (4, 3)], "mix": [(1, 1), (4, 2)]}, 2),
    "bars": lambda: figures.bars("rates", "%", {"text": {"gzip": 1.0, "mix": 2.0}}),
    "spectrogram": lambda: figures.spectrogram("sound", np.zeros((5, 9)), 8000, 64, 128, 100),
}


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.every(2)
def test_a_figure_has_the_page_s_colours_and_fonts(name: str) -> None:
    text = FIGURES[name]()
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert text.startswith("<svg ")
    assert root.get("role") == "img"
    assert root.get("aria-label") == ('a < b & "c"' if name == "dots" else root.get("aria-label"))
    assert "width" not in root.attrib
    assert re.fullmatch(r"max-width: \d+px", root.get("style", ""))
    assert "currentColor" in text
    assert "var(--sans)" in text
    assert "DejaVu" not in text
    assert "metadata" not in text
    assert "#0102" not in text
    assert "#0a0b" not in text
    # what is referred to is there, under a name that no other figure has
    referred = set(re.findall(r'(?:url\(|href=")#([^)"]+)', text))
    assert referred == {part.get("id") for part in root.iter() if part.get("id")}
    assert text == FIGURES[name]()


def test_an_svg_written_otherwise() -> None:
    text = """<?xml version='1.0'?>
    <s:svg xmlns:s='http://www.w3.org/2000/svg' height='20' viewBox='0,0,72,36' width='40px'>
      <s:metadata>made by</s:metadata><s:g id='axes'><s:text fill='#010203' style='font: 10.5px Vera; stroke: #0A0B00'
      >a &lt; b</s:text></s:g></s:svg>"""
    found = figures._themed(text, "label")
    assert found.startswith("<svg ")
    assert 'viewBox="0,0,72,36"' in found
    assert "max-width: 96px" in found
    assert 'fill="currentColor"' in found
    assert "font: 10.5px var(--sans); stroke: var(--series-0)" in found
    assert "a &lt; b" in found
    for gone in ("made by", 'id="axes"', "height", " width="):
        assert gone not in found


def test_a_font_in_either_notation() -> None:
    for style in (
        "font: 10px 'DejaVu Sans', sans-serif; fill: #010203",
        "font-family: 'DejaVu Sans', x; fill: #010203",
    ):
        found = figures._themed(f'<svg xmlns="http://www.w3.org/2000/svg"><text style="{style}"/></svg>', "label")
        assert re.search(r'style="font[^;]*: (10px )?var\(--sans\); fill: currentColor"', found)


def test_colours_that_are_not_found_are_told_of() -> None:
    with pytest.warns(GencompWarning, match="writes colours in another way, so figures do not follow"):
        found = figures._themed("<svg xmlns='http://www.w3.org/2000/svg' fill='rgb(1,2,3)'/>", "label")
    assert "rgb(1,2,3)" in found
