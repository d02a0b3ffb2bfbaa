"""Curves of an experiment's rows as PNG files, drawn by matplotlib."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gencomp.evaluation.rows import Row
from gencomp.extras import require
from gencomp.files import new_name
from gencomp.labels import plot_label

BY_LENGTH, BY_PARAMETERS, EXCESS_BY_LENGTH = FILES = (
    "rate-against-length.png",
    "rate-against-parameters.png",
    "excess-against-length.png",
)


def _figure(panels: int, lines: int = 1) -> tuple[Any, list[Any]]:
    """Return a figure without a window, and its axes: ``lines`` of ``panels`` side by side."""
    require("report", "matplotlib")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5 * panels, 4 * lines), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, [figure.add_subplot(lines, panels, number + 1) for number in range(panels * lines)]


def _save(figure: Any, path: Path) -> None:
    """Write the figure, whole or not at all, with one legend below for all panels, since names may be long."""
    named = {name: line for axes in figure.axes for line, name in zip(*axes.get_legend_handles_labels(), strict=True)}
    widest = max(map(len, named), default=0)
    columns = max(1, int(figure.get_figwidth() * 10) // (widest + 8))  # about ten characters per inch
    figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=min(columns, len(named) or 1))
    with new_name(path, overwrite=True) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about characters that its font lacks
        figure.savefig(temporary, format="png", dpi=150)


def rate_against_length(rows: Sequence[Row], path: Path) -> None:
    """Draw the raw rate of chunks' first n bytes against n: a panel per dataset, a line per model (Figure 4)."""
    datasets = list(dict.fromkeys(row.dataset for row in rows))
    figure, panels = _figure(len(datasets))
    for axes, dataset in zip(panels, datasets, strict=True):
        mine = [row for row in rows if row.dataset == dataset and row.length is not None]
        for model in dict.fromkeys(row.model for row in mine):
            line = sorted((row.length, row.raw_rate) for row in mine if row.model == model and row.length is not None)
            axes.plot(*zip(*line, strict=True), marker="o", markersize=3, label=plot_label(model))
        axes.set(title=plot_label(dataset), xlabel="bytes of context and data", ylabel="raw rate", xscale="log")
        axes.set_xscale("log", base=2)
        axes.axhline(1, color="0.8", linewidth=1, zorder=0)
    _save(figure, path)


def excess_against_length(rows: Sequence[Row], path: Path) -> None:
    """Draw the bits per byte above the source's entropy rate against the bytes seen, both on logarithmic scales.

    Each source has a panel, with up to three side by side. Points at or below the entropy rate, where a short sample
    can be, are left out.
    """
    datasets = list(dict.fromkeys(row.dataset for row in rows if row.excess is not None))
    columns = min(3, len(datasets))
    figure, panels = _figure(columns, -(-len(datasets) // columns))
    for axes in panels[len(datasets) :]:
        axes.set_axis_off()
    for axes, dataset in zip(panels, datasets, strict=False):
        mine = [row for row in rows if row.dataset == dataset and row.length is not None]
        for model in dict.fromkeys(row.model for row in mine):
            line = sorted(
                (row.length, row.excess)
                for row in mine
                if row.model == model and row.length is not None and row.excess is not None and row.excess > 0
            )
            if line:
                axes.plot(*zip(*line, strict=True), marker="o", markersize=3, label=plot_label(model))
        title = f"{plot_label(dataset)} ({mine[0].entropy_rate:.4f} bits/byte)"
        axes.set(title=title, xlabel="bytes seen", ylabel="bits/byte above the entropy rate")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.grid(visible=True, color="0.9")
    _save(figure, path)


def rate_against_parameters(rows: Sequence[Row], path: Path) -> None:
    """Draw the adjusted rate against the number of parameters: a panel per dataset, a line per data size (Figure 2).

    Models without parameters are dashed horizontal lines. ``rows`` have one chunk size, and are of whole chunks.
    """
    datasets = list(dict.fromkeys(row.dataset for row in rows))
    figure, panels = _figure(len(datasets))
    for axes, dataset in zip(panels, datasets, strict=True):
        mine = [row for row in rows if row.dataset == dataset]
        for size in dict.fromkeys(row.data_size for row in mine if row.parameters):
            line = sorted(
                (row.parameters, row.adjusted_rate) for row in mine if row.parameters and row.data_size == size
            )
            axes.plot(*zip(*line, strict=True), marker="o", markersize=3, label=f"{size:,} bytes")
        flat = {row.model: row.raw_rate for row in mine if not row.parameters}
        for number, (model, rate) in enumerate(flat.items()):
            axes.axhline(rate, linestyle="--", linewidth=1, color=f"C{number + 4}", label=plot_label(model))
        axes.set(title=plot_label(dataset), xlabel="parameters", ylabel="adjusted rate", xscale="log")
    _save(figure, path)


def draw(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Draw the curves for which the rows have data; return the files."""
    drawn: list[Path] = []
    if any(row.length is not None for row in rows):
        rate_against_length(rows, folder / BY_LENGTH)
        drawn.append(folder / BY_LENGTH)
    if any(row.length is not None and row.excess is not None for row in rows):
        excess_against_length(rows, folder / EXCESS_BY_LENGTH)
        drawn.append(folder / EXCESS_BY_LENGTH)
    whole = [row for row in rows if row.length is None and row.chunk_size == rows[0].chunk_size]
    if len({row.parameters for row in whole} - {0}) > 1:
        rate_against_parameters(whole, folder / BY_PARAMETERS)
        drawn.append(folder / BY_PARAMETERS)
    return drawn
