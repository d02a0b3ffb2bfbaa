"""Figures as SVG inside a page, without fonts and colours of their own, so that they follow the page's theme."""

import base64
import io
import re
import warnings
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from gencomp.errors import GencompWarning
from gencomp.labels import plot_label, visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

SERIES = 8  # colours in the style sheet, from --series-0 on
# the colours that matplotlib is given, and what replaces them in the page
_INK, _LINE = "#010203", "#040506"
_SERIES = [f"#0a0b{number:02x}" for number in range(SERIES)]
_COLORS = {_INK: "currentColor", _LINE: "var(--line)"} | {
    color: f"var(--series-{number})" for number, color in enumerate(_SERIES)
}
_NAMESPACES = {"": "http://www.w3.org/2000/svg", "xlink": "http://www.w3.org/1999/xlink"}
_MARKERS = "osD^vPX*"
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _LINE,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": _LINE,
    "grid.linewidth": 0.6,
    "xtick.color": _LINE,
    "ytick.color": _LINE,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "legend.frameon": False,
}

Pixels = npt.NDArray[np.uint8]


@contextmanager
def _figure(width: float, height: float) -> "Iterator[Figure]":
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        yield Figure(figsize=(width, height), layout="constrained")


def _svg(figure: "Figure", label: str) -> str:
    """Return the figure as an ``svg`` element; ``label`` is read aloud, and keeps its ids apart from other figures'."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": visible(label)}), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about characters that its font lacks
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _themed(buffer.getvalue(), visible(label))


def _themed(text: str, label: str) -> str:
    """Return matplotlib's SVG as an element of the page, without its own sizes, ids, fonts and colours.

    What is not as expected stays as it is. Should our colours not be found, a warning says so, since the figure will
    not follow the page's theme.
    """
    for prefix, address in _NAMESPACES.items():
        ElementTree.register_namespace(prefix, address)
    root = ElementTree.fromstring(text)
    used = set(re.findall(r"#([\w.:-]+)", " ".join(value for part in root.iter() for value in part.attrib.values())))
    found = set()

    def name_of(color: "re.Match[str]") -> str:
        name = _COLORS.get(color.group().lower())
        if name is None:
            return color.group()
        found.add(name)
        return name

    for part in root.iter():
        for child in [child for child in part if str(child.tag).endswith("}metadata")]:
            part.remove(child)
        if part.get("id") not in used:  # the names of groups, the same in every figure
            part.attrib.pop("id", None)
        for key, value in part.attrib.items():
            if key == "style":
                value = re.sub(r"(font: [\d.]+px|font-family:) [^;]*", r"\1 var(--sans)", value)
            if not key.endswith("href"):
                part.set(key, re.sub(r"#[0-9A-Fa-f]{6}\b", name_of, value))
    if "currentColor" not in found:
        warnings.warn(
            "this version of matplotlib writes colours in another way, so figures do not follow the page's theme",
            GencompWarning,
            stacklevel=4,
        )
    for key in ("width", "height"):
        root.attrib.pop(key, None)
    root.attrib |= {"role": "img", "aria-label": label}
    box = root.get("viewBox", "").replace(",", " ").split()
    if len(box) == 4:
        root.set("style", f"max-width: {round(float(box[2]) * 96 / 72)}px")
    return ElementTree.tostring(root, encoding="unicode")


def dots(label: str, axis: str, rows: dict[str, list[float]], ends: Mapping[str, float]) -> str:
    """Return a line per name with a dot for each of its values, and a vertical line for each of ``ends``."""
    with _figure(7, 0.9 + 0.34 * len(rows)) as figure:
        axes = figure.subplots()
        for place, values in enumerate(reversed(list(rows.values()))):
            axes.plot(values, [place] * len(values), "o", color=_SERIES[1], markersize=6, alpha=0.75)
            axes.plot([float(np.mean(values))], [place], "|", color=_INK, markersize=16, markeredgewidth=2)
        for name, value in ends.items():
            axes.axvline(value, color=_INK, linewidth=1.2, linestyle=(0, (4, 3)))
            axes.annotate(
                plot_label(name), (value, 1.0), (4, 2), xycoords=("data", "axes fraction"), textcoords="offset points"
            )
        axes.set_yticks(range(len(rows)), [plot_label(name) for name in reversed(rows)])
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.grid(visible=False, axis="y")
        axes.set_xlim(left=0)
        axes.set_xlabel(plot_label(axis))
        return _svg(figure, label)


def intervals(
    label: str,
    axis: str,
    rows: Mapping[str, tuple[float | None, ...]],
    others: Mapping[str, float],
) -> str:
    """Return a line per name with a dot at its value, and a bar between its bounds if it has them.

    ``rows`` are (value, low, high); ``others``, such as somebody else's figures, are hollow dots.
    """
    with _figure(7, 0.9 + 0.34 * len(rows)) as figure:
        axes = figure.subplots()
        for place, (name, (value, low, high)) in enumerate(reversed(list(rows.items()))):
            if low is not None and high is not None:
                axes.plot([low, high], [place, place], color=_SERIES[1], linewidth=3, solid_capstyle="butt", alpha=0.6)
            if value is not None:
                axes.plot([value], [place], "o", color=_SERIES[1], markersize=6)
            if name in others:
                axes.plot([others[name]], [place], "o", markerfacecolor="none", markeredgecolor=_INK, markersize=7)
        axes.set_yticks(range(len(rows)), [plot_label(name) for name in reversed(list(rows))])
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.grid(visible=False, axis="y")
        axes.set_xlim(left=0)
        axes.set_xlabel(plot_label(axis))
        return _svg(figure, label)


def curves(
    label: str,
    axes_labels: tuple[str, str],
    series: Mapping[str, Sequence[tuple[float, float]]],
    log_base: int | None = None,
) -> str:
    """Return curves through (x, y) points with a legend; with ``log_base``, x has a logarithmic scale."""
    with _figure(7, 3.4) as figure:
        axes = figure.subplots()
        for number, (name, points) in enumerate(series.items()):
            axes.plot(
                *zip(*points, strict=True),
                color=_SERIES[number % SERIES],
                linewidth=1.8,
                linestyle="-" if number < SERIES else "--",
                marker=_MARKERS[number % len(_MARKERS)],
                markevery=max(1, len(points) // 6),
                markersize=5,
                label=plot_label(name),
            )
        if log_base is not None:
            axes.set_xscale("log", base=log_base)
        axes.set_xlabel(plot_label(axes_labels[0]))
        axes.set_ylabel(plot_label(axes_labels[1]))
        axes.set_ylim(bottom=0)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        return _svg(figure, label)


def bars(label: str, axis: str, groups: Mapping[str, Mapping[str, float]]) -> str:
    """Return groups of horizontal bars, with a bar for each name in a group; all groups have the same names."""
    names = list(next(iter(groups.values())))
    with _figure(7, 0.9 + 0.26 * len(groups) * len(names)) as figure:
        axes = figure.subplots()
        thickness = 0.8 / len(names)
        for number, name in enumerate(names):
            places = [-group + 0.4 - thickness * (number + 0.5) for group in range(len(groups))]
            axes.barh(
                places,
                [group[name] for group in groups.values()],
                thickness * 0.9,
                color=_SERIES[number % SERIES],
                label=plot_label(name),
            )
        axes.set_yticks([-group for group in range(len(groups))], [plot_label(name) for name in groups])
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(plot_label(axis))
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        return _svg(figure, label)


def spectrogram(label: str, decibels: npt.NDArray[np.float64], rate: int, hop: int, frame: int, given: int) -> str:
    """Return a picture of (frames, bins) in dB over time and frequency; a line ends the ``given`` samples."""
    with _figure(4.4, 2.3) as figure:
        axes = figure.subplots()
        start = 500 * (frame - hop) / rate  # a column is centred on its frame
        end = start + 1000 * len(decibels) * hop / rate
        axes.imshow(
            decibels.T,
            origin="lower",
            aspect="auto",
            extent=(start, end, 0.0, rate / 2000),
            cmap="magma",
            vmin=-70,
            vmax=-15,
            interpolation="nearest",
        )
        axes.axvline(1000 * given / rate, color="white", linewidth=1.4, linestyle=(0, (4, 2)))
        axes.grid(visible=False)
        axes.set_xlabel("ms")
        axes.set_ylabel("kHz")
        return _svg(figure, label)


def data_uri(kind: str, data: bytes) -> str:
    """Return a URI that contains ``data`` of this media type."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
