"""gencomp explain: arithmetic coding, step by step."""

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gencomp.cli.console import show
from gencomp.cli.options import DEFAULT_SPEC, ForceOption, usage

if TYPE_CHECKING:
    from gencomp.equivalence.explain import Explanation

MAX_BYTES = 64
_DIGITS = 64  # of a number, in one line
_SMALL_ALPHABET = 8  # up to this many symbols, each one's probability has a column


def explain(
    text: Annotated[str, typer.Argument(help="A short text, up to 64 bytes of UTF-8.")] = "AIXI",
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "--compressor",
            "-m",
            metavar="SPEC",
            help="Model or codec. [default: for AIXI the paper's example, else the default model]",
        ),
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE.svg", help="Draw the intervals.")
    ] = None,
    force: ForceOption = False,
) -> None:
    """Show arithmetic coding step by step.

    Each symbol of TEXT narrows an interval; bits go out as soon as they are certain.
    """
    from gencomp.equivalence.adapt import as_predictor
    from gencomp.equivalence.explain import PAPER_TEXT, explain_paper
    from gencomp.equivalence.explain import explain as explain_data
    from gencomp.files import check_new, new_file, write_fully
    from gencomp.report.intervals import interval_svg

    data = text.encode("utf-8", "surrogateescape")
    if len(data) > MAX_BYTES:
        raise usage(f"TEXT has {len(data)} bytes; at most {MAX_BYTES} can be shown")
    if output is not None and not output.endswith(".svg"):
        raise usage(f"-o draws an SVG picture; give a name that ends in .svg, got {output!r}")
    if output is not None:
        check_new(Path(output), overwrite=force)
    if model is None and text == PAPER_TEXT:
        explanation = explain_paper()
    else:
        explanation = explain_data(as_predictor(model or DEFAULT_SPEC), data)
    _print_steps(explanation)
    if output is not None:
        with new_file(Path(output), overwrite=force) as file:
            write_fully(file, interval_svg(explanation).encode())


def _print_steps(explanation: "Explanation") -> None:
    small = len(explanation.labels) <= _SMALL_ALPHABET
    rows = _small_rows(explanation) if small else _rows(explanation)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        show("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    width = explanation.steps[-1].after.width if explanation.steps else Fraction(1)
    if explanation.steps and not small:  # a small alphabet's table has all digits
        low, high = explanation.steps[-1].after.decimals()
        _show_long("from", low)
        _show_long("to", high)
    show(f"ideal  {_bits(width):.2f} bits: -log2 of the last interval's width")
    _show_long("code", explanation.code, f" ({len(explanation.code)} bits): the shortest binary interval inside it")


def _show_long(name: str, digits: str, note: str = "") -> None:
    """Show digits, and a note on them, in as many lines as they take."""
    parts = [digits[at : at + _DIGITS] for at in range(0, len(digits), _DIGITS)] or [""]
    if len(parts[-1] + note) <= _DIGITS + 8:
        parts[-1] += note
    else:
        parts.append(note.lstrip())
    for number, part in enumerate(parts):
        show(f"{'' if number else name:<6} {part}")


def _small_rows(explanation: "Explanation") -> list[list[str]]:
    """Return the table of a small alphabet: every symbol's probability, and the interval before and after."""
    rows = [
        ["step", "symbol", "interval before"]
        + [f"p({label})" for label in explanation.labels]
        + ["interval after", "certain bits"]
    ]
    for number, step in enumerate(explanation.steps, 1):
        probabilities = [f"{step.probability(symbol):.2f}" for symbol in range(len(explanation.labels))]
        before, after = ("[{}, {})".format(*interval.decimals()) for interval in (step.before, step.after))
        label, bits = explanation.labels[step.symbol], step.after.certain_bits() or "-"
        rows.append([str(number), label, before, *probabilities, after, bits])
    return rows


def _rows(explanation: "Explanation") -> list[list[str]]:
    """Return the table for bytes, 80 columns wide: the digits, and the bits that each step adds."""
    from gencomp.equivalence.explain import elided

    rows = [["step", "symbol", "p(symbol)", "bits", "interval after", "bits certain now"]]
    told = 0
    for number, step in enumerate(explanation.steps, 1):
        probability = step.probability(step.symbol)
        bits = step.after.certain_bits()
        low, high = elided(*step.after.decimals())
        cost = f"{_bits(Fraction(probability)):.2f}"
        label = explanation.labels[step.symbol]
        rows.append([str(number), label, f"{probability:.4g}", cost, f"[{low}, {high})", bits[told:] or "-"])
        told = len(bits)
    return rows


def _bits(probability: Fraction) -> float:
    from math import log2

    return log2(probability.denominator) - log2(probability.numerator)
