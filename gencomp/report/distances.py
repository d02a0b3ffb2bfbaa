"""Distances as a picture and as a page: a heat map with its rows in the order of the tree beside it."""

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from gencomp.extras import require
from gencomp.measure.distance import SYMMETRIC, Distances, order_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LONGEST_NAME = 28


def check_extra() -> None:
    """Raise :class:`~gencomp.errors.MissingExtraError` unless the packages for the picture and page are installed."""
    require("report", "matplotlib", "scipy", "jinja2")


def short(name: str) -> str:
    """Return a name that fits beside a figure."""
    return name if len(name) <= _LONGEST_NAME else "…" + name[1 - _LONGEST_NAME :]


def picture(found: Distances) -> bytes:
    """Return the clustered heat map with its tree (average linkage) as a PNG."""
    check_extra()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    count = len(found.names)
    figure = Figure(figsize=(6.5 + 0.22 * count, 2.2 + 0.24 * count), layout="constrained")
    FigureCanvasAgg(figure)
    draw(figure, found)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    return buffer.getvalue()


def draw(figure: "Figure", found: Distances) -> None:
    """Draw the tree and the heat map into ``figure``."""
    from scipy.cluster.hierarchy import dendrogram

    tree, order = order_of(found.matrix)
    names = [short(found.names[place]) for place in order]
    left, right = figure.subplots(1, 2, width_ratios=(1, 2.2))
    dendrogram(
        tree, orientation="left", labels=[short(name) for name in found.names], ax=left, color_threshold=0,
        above_threshold_color="0.3",
    )  # fmt: skip
    left.invert_yaxis()
    left.set_xlabel(found.form)
    left.tick_params(axis="y", labelsize=8)
    for side in ("top", "right", "left"):
        left.spines[side].set_visible(False)
    values = found.matrix[np.ix_(order, order)]
    others = values[~np.eye(len(values), dtype=bool)]  # a text's distance to itself would stretch the scale
    low, high = float(others.min()), float(others.max())
    image = right.imshow(values, cmap="viridis", aspect="auto", interpolation="nearest", vmin=low, vmax=high)
    figure.colorbar(image, ax=right, shrink=0.8)
    right.set_xticks(range(len(names)), names, rotation=90, fontsize=8)
    right.set_yticks([])
    if found.form not in SYMMETRIC:
        right.set_ylabel("after")
    if len(names) <= 16:
        middle = (low + high) / 2
        for row, line in enumerate(values.tolist()):
            for column, value in enumerate(line):
                color = "black" if value > middle else "white"
                right.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7, color=color)
    figure.suptitle(f"{found.form}, {' + '.join(found.models)}")


def page(found: Distances, drawn: bytes, made: dict[str, Any] | None = None) -> str:
    """Return the page with the picture, as ``drawn``, and the tables; ``made`` says how they came about."""
    from gencomp import __version__
    from gencomp.measure.distance import FRAMING
    from gencomp.report.figures import data_uri
    from gencomp.report.made import made_of
    from gencomp.report.page import render

    check_extra()
    rows = zip(found.names, found.matrix.tolist(), strict=True)
    return render(
        "distances.html.j2",
        title="Distances",
        made=made_of(made),
        version=__version__,
        models=" + ".join(found.models),
        form=found.form,
        framing=FRAMING,
        warnings=found.warnings,
        picture=data_uri("image/png", drawn),
        columns=list(found.names),
        table_rows=[_line(name, [(value, 4) for value in row]) for name, row in rows],
        length_rows=[
            _line(name, [(size, 0), (float(bits), 1), (float(bits) / size, 4)])
            for name, size, bits in zip(found.names, found.sizes, found.alone, strict=True)
        ],
    )


def _line(name: str, cells: list[tuple[float, int]]) -> dict[str, Any]:
    return {"name": name, "end": False, "words": [], "cells": cells}
