"""Rows as CSV, JSON, Markdown and LaTeX."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from gencomp.evaluation.paper import table_1_models, table_1_rate
from gencomp.evaluation.rows import WHOLE, Row
from gencomp.labels import visible

RAW_RATE = (
    "Raw rate: compressed / raw bytes in %, with a codec's header counted once, not per chunk; ± half the 95 % "
    "interval over the chunks."
)
_COMPUTED = ("excess", "bits_per_byte", "raw_rate", "adjusted_rate", "bytes_per_second")


def record(row: Row) -> dict[str, Any]:
    """Return a row as a flat record; rates are fractions, lengths bits, sizes bytes."""
    values = {field.name: getattr(row, field.name) for field in fields(row)}
    values |= {name: getattr(row, name) for name in _COMPUTED}
    values["bytes_per_second"] = round(row.bytes_per_second) if row.seconds else None
    return values | {"seconds": round(row.seconds, 3), "versions": dict(row.versions)}


def to_json(rows: Sequence[Row], *, paper: bool = False) -> str:
    """Return a JSON array with an object per row."""
    return json.dumps([_with_paper(row, paper) for row in rows], indent=1, default=str) + "\n"


def to_csv(rows: Sequence[Row], *, paper: bool = False) -> str:
    """Return CSV with a header line; versions are one field of ``name=version`` separated by semicolons."""
    records = [_with_paper(row, paper) for row in rows]
    for values in records:
        values["versions"] = ";".join(f"{name}={version}" for name, version in values["versions"].items())
    file = io.StringIO()
    writer = csv.DictWriter(file, list(records[0]) if records else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return file.getvalue()


def _with_paper(row: Row, paper: bool) -> dict[str, Any]:
    return record(row) | ({"paper_raw_rate": table_1_rate(row)} if paper else {})


def to_markdown(rows: Sequence[Row], *, paper: bool = False) -> str:
    """Return tables of rates in percent, a line per model and cut, a column per dataset; then speeds and versions.

    With ``paper``, Table 1's figure follows ours in parentheses, and its models have lines of their own.
    """
    datasets = list(dict.fromkeys(row.dataset for row in rows))
    parts = [_sizes(rows, datasets), RAW_RATE]
    if paper:
        parts.append("In parentheses: the paper's figure for that codec, on its own 10^9 bytes of that kind of data.")
    parts.append(_pivot(rows, datasets, "raw_rate", paper))
    if any(row.parameters for row in rows):
        parts += ["Adjusted rate: with two bytes per parameter added.", _pivot(rows, datasets, "adjusted_rate")]
    if any(row.entropy_rate is not None for row in rows):
        rates = {row.dataset: row.entropy_rate for row in rows if row.entropy_rate is not None}
        known = ", ".join(f"{name} {rate:.4f}" for name, rate in rates.items())
        parts += [
            f"Bits per byte above the source's entropy rate, which is: {known}.",
            _pivot(rows, datasets, "excess"),
        ]
    parts += ["Speed on one core, in MB/s.", _pivot(rows, datasets, "bytes_per_second"), _versions(rows)]
    return "\n\n".join(parts) + "\n"


def _sizes(rows: Sequence[Row], datasets: Sequence[str]) -> str:
    lines = []
    for name in datasets:
        mine = [row for row in rows if row.dataset == name]
        chunks = max(row.chunks for row in mine)
        size = max(row.raw_bytes for row in mine)
        lines.append(f"- {visible(name)}: {size:,} bytes of {mine[0].modality}, {chunks:,} chunks")
    return "\n".join(lines)


def _pivot(rows: Sequence[Row], datasets: Sequence[str], figure: str, paper: bool = False) -> str:
    """Return one table; a cell that was not measured is a dash."""
    return table(*_pivoted(rows, datasets, figure, paper))


def _pivoted(
    rows: Sequence[Row], datasets: Sequence[str], figure: str, paper: bool = False
) -> tuple[list[str], list[list[str]]]:
    """Return the titles and lines of one table."""
    by_line: dict[tuple[str, ...], dict[str, Row]] = {}
    several_sizes = figure == "adjusted_rate" and len({(row.dataset, row.data_size) for row in rows}) > len(datasets)
    for row in rows:
        line = (_cut(row), row.model) + ((f"{row.data_size:,}",) if several_sizes else ())
        by_line.setdefault(line, {})[row.dataset] = row
    titles = ["chunk", "model", *(["data bytes"] if several_sizes else []), *datasets]
    lines = [
        [*line, *(_figure(found.get(name), figure, paper) for name in datasets)] for line, found in by_line.items()
    ]
    if paper and any(row.chunk_size == 2048 for row in rows):
        models = {name: table_1_models(name) for name in datasets}
        for model in next(iter(models.values())):
            rates = [models[name].get(model) for name in datasets]
            lines.append(["2048", model, *("–" if rate is None else f"({100 * rate:.1f})" for rate in rates)])
    return titles, lines


def _cut(row: Row) -> str:
    cut = str(row.chunk_size)
    return cut if row.length is None else f"first {row.length} of {cut}"


def _figure(row: Row | None, figure: str, paper: bool) -> str:
    if row is None:
        return "–"
    value = getattr(row, figure)
    if value is None:
        return "–"
    if figure == "bytes_per_second":
        return f"{value / 1e6:.3g}"
    if figure == "excess":
        return f"{value:.4f}"
    text = f"{100 * value:.1f}"
    if figure == "raw_rate" and row.low is not None and row.high is not None:
        text += f" ± {50 * (row.high - row.low):.1f}"
    theirs = table_1_rate(row) if paper else None
    return text if theirs is None else f"{text} ({100 * theirs:.1f})"


def table(titles: Sequence[str], lines: Sequence[Sequence[str]], words: int = 2) -> str:
    """Return a Markdown table; all columns but the first ``words`` are figures."""
    escaped = [[visible(cell).replace("|", "\\|") for cell in line] for line in (titles, *lines)]
    widths = [max(len(line[column]) for line in escaped) for column in range(len(titles))]
    rule = ["-" * (width - 1) + ":" if column >= words else "-" * width for column, width in enumerate(widths)]
    return "\n".join(
        "| "
        + " | ".join(
            cell.rjust(width) if column >= words else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        + " |"
        for line in (escaped[0], rule, *escaped[1:])
    )


_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--", "±": r"$\pm$"}
_LATEX |= {char: f"\\{char}" for char in "&%$#_{}"}


def latex(text: str) -> str:
    """Return ``text`` with characters that are special in LaTeX escaped."""
    return "".join(_LATEX.get(char, char) for char in text)


def latex_table(titles: Sequence[str], lines: Sequence[Sequence[str]], words: int = 2) -> str:
    """Return a ``tabular`` with the rules of the package booktabs; all columns but the first ``words`` are figures."""
    columns = "l" * words + "r" * (len(titles) - words)
    body = [" & ".join(map(latex, line)) + r" \\" for line in lines]
    head = " & ".join(map(latex, titles)) + r" \\"
    rules = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule", *body, r"\bottomrule"]
    return "\n".join([*rules, r"\end{tabular}"]) + "\n"


def to_latex(rows: Sequence[Row], *, paper: bool = False) -> str:
    """Return the raw rates in percent as a ``tabular``: a line per model and cut, a column per dataset."""
    datasets = list(dict.fromkeys(row.dataset for row in rows))
    titles, lines = _pivoted(rows, datasets, "raw_rate", paper)
    return latex_table(titles, lines)


def _versions(rows: Sequence[Row]) -> str:
    found = {f"{name} {version}" for row in rows for name, version in row.versions.items()}
    seen = {f"header of {row.model}: {row.header_bits / 8:.0f} bytes" for row in rows if row.header_bits}
    text = f"Versions: {', '.join(sorted(found))}."
    if any(row.chunk_size != WHOLE for row in rows) and seen:
        text += f" Counted once: {', '.join(sorted(seen))}."
    return visible(text)
