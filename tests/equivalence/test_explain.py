import xml.etree.ElementTree as ElementTree
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gencomp.coding.range_coder import RangeDecoder
from gencomp.equivalence.adapt import as_predictor
from gencomp.equivalence.explain import Interval, elided, explain, explain_paper
from gencomp.report.intervals import interval_svg
from tests.strategies import fewer


def test_the_papers_example() -> None:
    explanation = explain_paper()
    bounds = [(float(step.after.low), float(step.after.high)) for step in explanation.steps]
    expected = [(0, 0.45), (0.09, 0.36), (0.2655, 0.36), (0.3222, 0.3411)]
    # the coder's units of 2^-30 of an interval, rounded down, take up to 2^-24 of it at each step
    assert [value for pair in bounds for value in pair] == pytest.approx(
        [value for pair in expected for value in pair], abs=4 * 2**-24
    )
    assert explanation.code == "0101010"
    assert [step.after.certain_bits() for step in explanation.steps] == ["0", "0", "010", "01010"]


def test_decimals_are_exact_and_tell_the_ends_apart() -> None:
    for model, text in (("counts:1", b"hello hello hello hello"), ("gzip", b"aaaaaaaaaaaa")):
        for step in explain(model, text).steps:
            low, high = step.after.decimals()
            places = max(len(low), len(high)) - 2
            assert Fraction(low) < Fraction(high)
            for written, exact in ((low, step.after.low), (high, step.after.high)):
                assert abs(Fraction(written) - exact) <= Fraction(1, 2 * 10**places) * 10
                assert abs(Fraction(written) - exact) < step.after.width / 10
            short = elided(low, high)
            assert max(map(len, short)) < 16
            assert all(one.endswith(two.removeprefix("…")) for one, two in zip((low, high), short, strict=True))
    assert Interval(Fraction(1, 3), Fraction(1, 3)).decimals() == ("0.3333", "0.6667")
    assert Interval(Fraction(0), Fraction(1)).decimals() == ("0", "1")


@pytest.mark.parametrize("model", ["counts:1", "gzip", "uniform"])
def test_long_codes_begin_with_what_was_certain_at_each_step(model: str) -> None:
    text = b"hello hello hello, and so on and so forth and so on and so forth; and then?"
    explanation = explain(model, text)
    code = Fraction(int(explanation.code, 2), 2 ** len(explanation.code))
    for step in explanation.steps:
        assert explanation.code.startswith(step.after.certain_bits())
        assert step.before.low <= step.after.low <= code < step.after.high <= step.before.high
        share = step.after.width / step.before.width
        exact = Fraction(step.probability(step.symbol))
        assert exact * (1 - Fraction(1, 10**5)) <= share <= exact


@given(st.binary(max_size=30))
@fewer(4)
def test_the_code_is_the_coders_and_lies_in_the_interval(data: bytes) -> None:
    predictor = as_predictor("counts:1")
    explanation = explain(predictor, data)
    certain = explanation.steps[-1].after.certain_bits() if data else ""
    assert explanation.code.startswith(certain)
    padded = explanation.code + "0" * (-len(explanation.code) % 8)
    decoder = RangeDecoder(int(padded or "0", 2).to_bytes(len(padded) // 8, "big"))
    assert [int(decoder.decode(1, step.cdf)[0]) for step in explanation.steps] == list(data)
    decoder.finish()


def test_the_picture_is_well_formed_and_shows_every_step() -> None:
    for explanation in (explain_paper(), explain(as_predictor("gzip"), b"<&>"), explain(as_predictor("counts"), b"")):
        root = ElementTree.fromstring(interval_svg(explanation))
        texts = [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]
        assert sum(text.startswith("certain:") for text in texts) == len(explanation.steps)
        assert any(f"({len(explanation.code)} bits)" in text for text in texts)


def test_a_thin_part_is_named_beside_its_bar() -> None:
    """Of 256 bytes alike none has room for a letter; the one that comes is named nevertheless."""
    root = ElementTree.fromstring(interval_svg(explain(as_predictor("uniform"), b"hi")))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count("h") == texts.count("i") == 1
    sizes = [
        float(element.get("font-size", "12"))
        for element in ElementTree.fromstring(interval_svg(explain(as_predictor("counts:1"), b"hello")))
        if (element.text or "") in tuple("helo")
    ]
    assert sizes
    assert min(sizes) >= 7
