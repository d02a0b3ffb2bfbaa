"""From an experiment's rows to what its page shows: tables of rates beside the paper's, curves over length and size."""

from collections.abc import Sequence
from typing import Any

from gencomp import __version__
from gencomp.errors import DatasetError
from gencomp.evaluation.paper import TABLE_1_MODELS, table_1_models
from gencomp.report import figures
from gencomp.report.made import made_of
from gencomp.report.page import render
from gencomp.report.shapes import Maybe, check_shape

Record = dict[str, Any]
_SHAPE = {
    "dataset": str,
    "modality": str,
    "model": str,
    "chunk_size": (int, str),
    "length": (int, type(None)),
    "raw_bytes": int,
    "raw_rate": float,
    "adjusted_rate": float,
    "bits_per_byte": float,
    "parameters": int,
    "data_size": int,
    "low": Maybe(float),
    "high": Maybe(float),
    "paper_raw_rate": Maybe(float),
    "bytes_per_second": Maybe(float),
    "versions": Maybe(dict),
}


def view(rows: Sequence[Record], version: str, made: Record | None = None) -> Record:
    """Return the values of the page's template; ``made`` says how the rows came about.

    Raises :class:`DatasetError` on rows of another kind.
    """
    try:
        check_shape(rows, [_SHAPE], "rows")
        if not rows:
            raise DatasetError("there are none")
        if any(row["parameters"] < 0 or (row["length"] or 1) < 1 for row in rows):
            raise DatasetError("a size is negative")
    except DatasetError as error:
        raise DatasetError(
            f"these are not the rows of an experiment: {error}; expected the rows.json that `gencomp evaluate` writes"
        ) from error
    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    told = made_of(made)
    return {
        "title": f"Rates: {told['name'] or _some(datasets)}",
        "made": told,
        "version": version,
        "sections": [_section(rows, name, number + 1) for number, name in enumerate(datasets)],
        "versions": sorted({f"{key} {value}" for row in rows for key, value in (row.get("versions") or {}).items()}),
    }


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _section(rows: Sequence[Record], dataset: str, number: int) -> Record:
    mine = [row for row in rows if row["dataset"] == dataset]
    with_paper = any("paper_raw_rate" in row for row in mine)
    lines = [_line(row, with_paper) for row in mine]
    if with_paper:
        measured = {row["model"] for row in mine}
        theirs = table_1_models(dataset)
        lines += [
            _paper_line(model, theirs[model]) for model in TABLE_1_MODELS if model in theirs and model not in measured
        ]
    heads = ["raw rate, %", *(["the paper's, %"] if with_paper else []), "95 % from", "to", "adjusted rate, %"]
    heads += ["bits/byte", "parameters", "bytes/s"]
    # without parameters, the adjusted rate is the raw rate
    if not any(row["parameters"] for row in mine):
        lines, heads = _without(lines, heads, "adjusted rate, %")
    facts = [f"{max(row['raw_bytes'] for row in mine):,} bytes of {mine[0]['modality']}"]
    words = [0, 1]
    for place, (name, default) in reversed([*enumerate((("chunks of", ""), ("first bytes", "all")))]):
        values = {line["words"][place] for line in lines if not line["end"]}
        if len(values) == 1 and len(mine) > 1:  # a column with only one value becomes a sentence
            words.remove(place)
            (value,) = values
            if value != default:
                facts.append(f"{name} {value}" + (" bytes" if value.isdecimal() else ""))
    for line in lines:
        line["words"] = [line["words"][place] for place in words]
    for head in list(heads):
        values = {line["cells"][heads.index(head)][0] for line in lines}
        if len(values) == 1 and len(lines) > 1:
            (value,) = values
            if value:
                facts.append(f"{head}: {value:,}")
            lines, heads = _without(lines, heads, head)
    return {
        "id": f"data-{number}",
        "title": dataset,
        "facts": "; ".join(facts),
        "first": ["model", *(("chunk", "first bytes")[place] for place in words)],
        "columns": heads,
        "table": lines,
        "plots": _plots(mine, dataset),
    }


def _without(lines: Sequence[Record], heads: list[str], head: str) -> tuple[list[Record], list[str]]:
    """Return the table without the column ``head``."""
    place = heads.index(head)
    cut = [{**line, "cells": line["cells"][:place] + line["cells"][place + 1 :]} for line in lines]
    return cut, heads[:place] + heads[place + 1 :]


def _line(row: Record, with_paper: bool) -> Record:
    def percent(value: float | None) -> tuple[float | None, int]:
        return (None if value is None else 100 * value, 1)

    cells = [percent(row["raw_rate"])]
    if with_paper:
        cells.append(percent(row.get("paper_raw_rate")))
    cells += [percent(row.get("low")), percent(row.get("high")), percent(row["adjusted_rate"])]
    cells += [(row["bits_per_byte"], 3), (row["parameters"], 0), (row.get("bytes_per_second"), 0)]
    return {"name": row["model"], "end": False, "words": _cut(row), "cells": cells}


def _paper_line(model: str, rate: float) -> Record:
    cells: list[tuple[float | None, int]] = [(None, 1), (100 * rate, 1), *[(None, 1)] * 6]
    return {"name": f"{model} (the paper's)", "end": True, "words": ["2048", "all"], "cells": cells}


def _cut(row: Record) -> list[str]:
    return [str(row["chunk_size"]), "all" if row["length"] is None else str(row["length"])]


def _plots(rows: Sequence[Record], dataset: str) -> list[Record]:
    plots = []
    entire = [row for row in rows if row["length"] is None]
    sizes = list(dict.fromkeys(row["chunk_size"] for row in entire))
    for size in sizes:
        found = {row["model"]: row for row in entire if row["chunk_size"] == size}
        where = "whole" if size == "whole" else f"chunks of {size} bytes" if isinstance(size, int) else str(size)
        label = f"Rates, {dataset}" + (f", {where}" if len(sizes) > 1 else "")
        figure = figures.intervals(
            label,
            "raw rate, %",
            {name: tuple(_percent(row.get(key)) for key in ("raw_rate", "low", "high")) for name, row in found.items()},
            {name: 100 * row["paper_raw_rate"] for name, row in found.items() if row.get("paper_raw_rate")},
        )
        caption = "Compressed / raw bytes, a codec's header counted once. Lines are 95 % intervals over the chunks."
        if any(row.get("paper_raw_rate") for row in found.values()):
            caption += " Hollow dots are the paper's, on its own data."
        plots.append({"svg": figure, "caption": caption if len(sizes) == 1 else f"{where}: {caption}"})
    by_length = [row for row in rows if row["length"] is not None]
    if by_length:
        curves = _curves(by_length, "length", "raw_rate", lambda row: str(row["model"]))
        label = f"Rate against length, {dataset}"
        plots.append(
            {
                "svg": figures.curves(label, ("bytes of context and data", "raw rate, %"), curves, 2),
                "caption": "The rate of each chunk's first n bytes: how a model learns from its context.",
            }
        )
    known = [row for row in by_length if row.get("entropy_rate") is not None]
    if known:
        curves = _curves(known, "length", "bits_per_byte", lambda row: str(row["model"]), 1.0)
        curves["entropy rate"] = [(x, known[0]["entropy_rate"]) for x in sorted({row["length"] for row in known})]
        plots.append(
            {
                "svg": figures.curves(f"Bits per byte against length, {dataset}", ("bytes", "bits/byte"), curves, 10),
                "caption": "What each model has needed after n bytes. No code stays below the source's entropy rate.",
            }
        )
    whole = [row for row in rows if row["length"] is None and row["chunk_size"] == rows[0]["chunk_size"]]
    by_size = [row for row in whole if row["parameters"]]
    if len({row["parameters"] for row in by_size}) > 1:
        curves = _curves(by_size, "parameters", "adjusted_rate", lambda row: f"{row['data_size']:,} bytes")
        label = f"Adjusted rate against parameters, {dataset}"
        plots.append(
            {
                "svg": figures.curves(label, ("parameters", "adjusted rate, %"), curves, 10),
                "caption": "Model and data together, by how much data shares the model's two bytes per parameter.",
            }
        )
    return plots


def _percent(value: float | None) -> float | None:
    return None if value is None else 100 * value


def _curves(
    rows: Sequence[Record], x: str, y: str, name: Any, factor: float = 100.0
) -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        found.setdefault(name(row), []).append((row[x], factor * row[y]))
    return {key: sorted(points) for key, points in found.items()}


def page(rows: Any, made: dict[str, Any] | None = None) -> str:
    """Return the page of an experiment, from the rows that :func:`gencomp.evaluation.tables.to_json` wrote.

    ``made`` says how they came about (:mod:`gencomp.report.made`). Raises :class:`~gencomp.errors.DatasetError` if they
    have another shape.
    """
    return render("evaluation.html.j2", **view(rows, __version__, made))
