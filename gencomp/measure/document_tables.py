"""Rows of documents as Markdown, LaTeX, CSV and JSON."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict

from gencomp.evaluation.tables import latex_table, table
from gencomp.measure.documents import Comparison, DocumentRow

_TITLES = ["data", "model", "documents", "window", "stride", "bits/byte", "bits/char", "bits/word", "bits/token"]
_COMPARED = ["data", "model", "against", "less bits/byte", "95 % from", "to", "p"]


def _number(value: float | None, digits: int = 4) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _lines(rows: Sequence[DocumentRow]) -> list[list[str]]:
    lines = []
    for row in rows:
        if row.document is not None:
            continue
        window = "all" if row.window is None else f"{row.window:,} {row.unit}"
        lines.append(
            [
                row.dataset,
                row.model,
                f"{row.documents:,}",
                window,
                "–" if row.stride is None else f"{row.stride:,}",
                _number(row.per(row.raw_bytes)),
                _number(row.per(row.characters)),
                _number(row.per(row.words), 2),
                _number(row.per(row.tokens), 3),
            ]
        )
    return lines


def _compared(comparisons: Sequence[Comparison]) -> list[list[str]]:
    return [
        [
            found.dataset,
            found.model,
            found.other,
            _number(found.difference),
            _number(found.low),
            _number(found.high),
            "–" if found.p is None else f"{found.p:.2g}",
        ]
        for found in comparisons
    ]


def to_markdown(rows: Sequence[DocumentRow], comparisons: Sequence[Comparison]) -> str:
    """Return tables of each model's row for all documents, and of the comparisons."""
    parts = [table(_TITLES, _lines(rows))]
    if comparisons:
        parts += [
            "The best model against each other one, by the paired bootstrap over documents.",
            table(_COMPARED, _compared(comparisons), words=3),
        ]
    return "\n\n".join(parts) + "\n"


def to_latex(rows: Sequence[DocumentRow], comparisons: Sequence[Comparison]) -> str:
    """Return the same as ``tabular`` environments, for LaTeX's package booktabs."""
    parts = [latex_table(_TITLES, _lines(rows))]
    if comparisons:
        parts.append(latex_table(_COMPARED, _compared(comparisons), words=3))
    return "\n".join(parts)


def to_csv(rows: Sequence[DocumentRow], comparisons: Sequence[Comparison] = ()) -> str:
    """Return CSV: a line for each model and document, and one for all of a model's, where ``document`` is empty."""
    records = [row.record() for row in rows]
    file = io.StringIO()
    writer = csv.DictWriter(file, list(records[0]) if records else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return file.getvalue()


def to_json(rows: Sequence[DocumentRow], comparisons: Sequence[Comparison]) -> str:
    """Return JSON: ``rows`` and ``comparisons``."""
    document = {"rows": [row.record() for row in rows], "comparisons": [asdict(found) for found in comparisons]}
    return json.dumps(document, indent=1) + "\n"
