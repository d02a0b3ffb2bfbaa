"""gencomp explain: arithmetic coding, step by step."""

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gencomp.cli.console import show
from gencomp.cli.options import DEFAULT_SPEC, ForceOption, usage

if TYPE_CHECKING:
    from gencomp.evaluation.explain import Explanation

MAX_BYTES = 64
_SMALL_ALPHABET = 8  # up to here every symbol's part of the interval has a column


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

    Each symbol of TEXT narrows an interval; the bits go out as soon as they are certain.
    """
    from gencomp.equivalence.adapt import as_predictor
    from gencomp.evaluation.explain import PAPER_TEXT, explain_paper
    from gencomp.evaluation.explain import explain as explain_data
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
    header = ["step", "symbol", "interval before"]
    header += [f"p({label})" for label in explanation.labels] if small else ["p(symbol)", "cost in bits"]
    rows = [[*header, "interval after", "certain bits"]]
    for number, step in enumerate(explanation.steps, 1):
        before, after = step.before, step.after
        probability = step.probability(step.symbol)
        if small:
            middle = [f"{step.probability(symbol):.2f}" for symbol in range(len(explanation.labels))]
        else:
            middle = [f"{probability:.4g}", f"{_bits(Fraction(probability)):.2f}"]
        digits = max(4, len(after.certain_bits()) // 3 + 3)
        rows.append(
            [
                str(number),
                explanation.labels[step.symbol],
                f"[{float(before.low):.{digits}g}, {float(before.high):.{digits}g})",
                *middle,
                f"[{float(after.low):.{digits}g}, {float(after.high):.{digits}g})",
                after.certain_bits() or "-",
            ]
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        show("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    width = explanation.steps[-1].after.width if explanation.steps else Fraction(1)
    show(f"ideal  {_bits(width):.2f} bits: -log2 of the last interval's width")
    show(f"code   {explanation.code} ({len(explanation.code)} bits): the shortest binary interval inside it")


def _bits(probability: Fraction) -> float:
    from math import log2

    return log2(probability.denominator) - log2(probability.numerator)
