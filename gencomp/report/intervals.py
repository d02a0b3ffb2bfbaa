"""The picture of nested intervals: a column per symbol, each a magnified part of the one before it."""

from html import escape

from gencomp.equivalence.explain import Explanation, Step, elided

_HEIGHT = 360
_COLUMN = 120
_BAR = 64
_TOP = 56
_LEFT = 70
_SMALLEST = 7.0  # pixels: the smallest readable letters; a thinner segment has no label inside
_COLORS = ("#cfe3f7", "#e3eefb")
_CHOSEN = "#f6b26b"


def interval_svg(explanation: Explanation) -> str:
    """Return an SVG picture of every step: its segments, the chosen one, its bounds, and the bits certain by then."""
    columns = len(explanation.steps)
    width = _LEFT + max(1, columns) * (_BAR + _COLUMN) + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{_TOP + _HEIGHT + 84}" '
        f'viewBox="0 0 {width} {_TOP + _HEIGHT + 84}" font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{_TOP + _HEIGHT + 84}" fill="white"/>',
    ]
    for column, step in enumerate(explanation.steps):
        parts += _column(explanation, column, step)
    code = " ".join(explanation.code[start : start + 8] for start in range(0, len(explanation.code), 8))
    parts.append(_text(_LEFT, _TOP + _HEIGHT + 70, f"code: {code}  ({len(explanation.code)} bits)", 'font-size="15"'))
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def _text(x: float, y: float, text: str, attributes: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {attributes}>{escape(text)}</text>'


def _column(explanation: Explanation, column: int, step: Step) -> list[str]:
    x = _LEFT + column * (_BAR + _COLUMN)
    total = int(step.cdf[-1])

    def y(value: int) -> float:
        return _TOP + _HEIGHT * (1 - value / total)  # 0 at the bottom, as on an axis

    label = explanation.labels[step.symbol]
    parts = [_text(x, 22, f"{column + 1}: {label}", 'font-size="15" font-weight="bold"')]
    parts.append(_text(x, 40, f"p = {step.probability(step.symbol):.4g}", 'fill="#555"'))
    for symbol in range(len(step.cdf) - 1):
        start, stop = int(step.cdf[symbol]), int(step.cdf[symbol + 1])
        chosen = symbol == step.symbol
        if not chosen and (stop - start) * _HEIGHT < 0.2 * total:
            continue  # too thin to see
        color = _CHOSEN if chosen else _COLORS[symbol % 2]
        parts.append(
            f'<rect x="{x}" y="{y(stop):.2f}" width="{_BAR}" height="{max(0.5, y(start) - y(stop)):.2f}" '
            f'fill="{color}" stroke="white" stroke-width="0.5"/>'
        )
        tall = y(start) - y(stop)
        middle = (y(start) + y(stop)) / 2
        if tall >= _SMALLEST:  # a label that fits, if need be in smaller letters
            size = min(12.0, tall)
            look = f'text-anchor="middle" font-size="{size:.1f}"'
            parts.append(_text(x + _BAR / 2, middle + 0.35 * size, explanation.labels[symbol], look))
        elif chosen:  # beside the bar, since there is no room inside
            height = min(max(middle + 4, _TOP + 10), _TOP + _HEIGHT - 2)
            parts.append(_text(x + _BAR + 4, height, explanation.labels[symbol]))
    parts.append(f'<rect x="{x}" y="{_TOP}" width="{_BAR}" height="{_HEIGHT}" fill="none" stroke="#333"/>')
    below, above = elided(*step.before.decimals())
    parts.append(_text(x - 4, _TOP - 4, above, 'text-anchor="end" fill="#555"'))
    parts.append(_text(x - 4, _TOP + _HEIGHT + 13, below, 'text-anchor="end" fill="#555"'))
    low, high = int(step.cdf[step.symbol]), int(step.cdf[step.symbol + 1])
    for value, end in ((high, _TOP), (low, _TOP + _HEIGHT)):
        parts.append(
            f'<line x1="{x + _BAR}" y1="{y(value):.2f}" x2="{x + _BAR + _COLUMN}" y2="{end}" stroke="#b45f06" '
            'stroke-dasharray="4 3"/>'
        )
    if column == len(explanation.steps) - 1:
        below, above = elided(*step.after.decimals())
        for end, bound in ((_TOP - 4, above), (_TOP + _HEIGHT + 13, below)):
            parts.append(_text(x + _BAR + _COLUMN - 4, end, bound, 'text-anchor="end" fill="#b45f06"'))
    bits = step.after.certain_bits()
    shown = bits if len(bits) <= 14 else "…" + bits[-13:]
    parts.append(_text(x, _TOP + _HEIGHT + 28, f"certain: {shown or 'no bit yet'}", 'fill="#555"'))
    return parts
