"""Small pieces of HTML, for notebooks and pages: bytes coloured by their cost, tables, bars.

Incoming text is escaped here, and nowhere else. Every piece stands alone: no script, no style sheet, nothing to load.
Coloured letters bring their own background, and everything else takes the page's colours, so that it can be read on
dark and light pages alike.
"""

from collections.abc import Iterator, Sequence
from html import escape

from gencomp.labels import visible

# Background and ink for costs of 0, 1, ... 8 bits and more. Each step is darker than the one before, so that nobody
# needs to tell hues apart, and each pair has a contrast of at least 4.5 : 1.
HEAT = (
    ("#fdfcf3", "#111111"),
    ("#f7efb9", "#111111"),
    ("#eadb85", "#111111"),
    ("#a9c98d", "#111111"),
    ("#6db39b", "#111111"),
    ("#3f98a2", "#0a0a0a"),
    ("#2f6f96", "#ffffff"),
    ("#2b4a85", "#ffffff"),
    ("#231f5c", "#ffffff"),
)
MOST_CHARACTERS = 500  # of a text that a notebook shows
_BAR = "#3f98a2"
_CELL = "padding: 1px 10px 1px 0; text-align: {}; vertical-align: top"


def heat_step(bits: float) -> int:
    """Return a cost's index in :data:`HEAT`: its whole bits, at most 8."""
    return min(len(HEAT) - 1, max(0, int(bits)))


def characters(data: bytes) -> Iterator[tuple[int, int, str]]:
    """Yield (start, stop, text) for each UTF-8 character; text is empty for a byte that belongs to none.

    It is also empty for the bytes of characters that cannot be shown, such as control characters other than newline and
    tab.
    """
    start = 0
    while start < len(data):
        stop, text = start + 1, ""
        for size in range(1, 5):
            try:
                text = data[start : start + size].decode("utf-8")
            except UnicodeDecodeError:
                continue
            if len(text) == 1 and (text.isprintable() or text in "\n\t"):
                stop = start + size
            else:
                text = ""
            break
        yield start, stop, text
        start = stop


def byte_text(data: bytes) -> str:
    """Return how bytes that form no character are shown: in hexadecimal."""
    return f"‹{data.hex().upper()}›"


def heat(data: bytes, costs: Sequence[float], most: int | None = MOST_CHARACTERS) -> str:
    """Return ``data`` as coloured text; ``costs`` has the bits of each byte.

    ``most`` characters are shown, or all if None. A character's bits appear when the pointer rests on it.
    """
    parts: list[str] = []
    shown = 0
    for start, stop, text in characters(data[: len(costs)]):
        if most is not None and len(parts) >= most:
            break
        bits = float(sum(costs[start:stop]))
        background, ink = HEAT[heat_step(bits)]
        look = escape(byte_text(data[start:stop]) if not text else "↵\n" if text == "\n" else text)
        parts.append(f'<span style="background:{background};color:{ink}" title="{bits:.2f} bits">{look}</span>')
        shown = stop
    rest = f"<p>… {len(costs) - shown:,} more bytes</p>" if shown < len(costs) else ""
    style = "white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.6; font-family: monospace"
    return f'<pre style="{style}">{"".join(parts)}</pre>{rest}'


def legend() -> str:
    """Return the scale of :func:`heat`."""
    names = [*map(str, range(len(HEAT) - 1)), f"{len(HEAT) - 1}+"]
    steps = (
        f'<span style="background:{background};color:{ink};padding:1px 7px">{name}</span>'
        for name, (background, ink) in zip(names, HEAT, strict=True)
    )
    return f'<p style="margin: 4px 0">bits: {"".join(steps)}</p>'


def bar(share: float) -> str:
    """Return a bar that fills ``share``, from 0 to 1, of its width."""
    width = 100 * min(1.0, max(0.0, share))
    return f'<div style="width:12em"><div style="width:{width:.1f}%;height:0.8em;background:{_BAR}"></div></div>'


class Raw(str):
    """HTML that goes into a table as it is."""

    __slots__ = ()


def table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[str | int | float]]) -> str:
    """Return a table; text is set left, numbers right, and a :class:`Raw` cell is HTML already."""
    parts = [f'<table><caption style="text-align: left">{escape(visible(caption))}</caption>']
    if heads:
        kinds = rows[0] if rows else heads
        cells = (
            f'<th scope="col" style="{_style(kind)}">{_cell(head)}</th>'
            for head, kind in zip(heads, kinds, strict=True)
        )
        parts.append(f"<thead><tr>{''.join(cells)}</tr></thead>")
    parts.append("<tbody>")
    for row in rows:
        parts.append("<tr>" + "".join(f'<td style="{_style(cell)}">{_cell(cell)}</td>' for cell in row) + "</tr>")
    parts.append("</tbody></table>")
    return "".join(parts)


def _style(cell: str | int | float) -> str:
    return _CELL.format("left" if isinstance(cell, str) else "right")


def _cell(cell: str | int | float) -> str:
    if isinstance(cell, Raw):
        return cell
    if isinstance(cell, str):
        return escape(visible(cell))
    return f"{cell:,}" if isinstance(cell, int) else f"{cell:,.3f}"


def piece(*parts: str) -> str:
    """Return the parts as one piece for a notebook."""
    return f'<div class="gencomp" style="overflow-x: auto">{"".join(parts)}</div>'
