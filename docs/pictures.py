"""Draw docs/pictures/costs.svg: a sentence, coloured by what three models charge for each letter."""

from html import escape
from pathlib import Path

import gencomp
from gencomp.markup import HEAT, heat_step

TARGET = Path(__file__).parent / "pictures" / "costs.svg"
TEXT = b"The cat sat on the mat. The dog sat on the mat."
MODELS = ("gzip", "mix", "rnn")
_STEP, _LINE, _LEFT, _TOP = 14, 34, 60, 12


def picture() -> str:
    """Return the SVG. Every letter has its own background, so that it can be read on light and dark pages."""
    width, height = _LEFT + _STEP * len(TEXT) + 150, _TOP + _LINE * len(MODELS) + 46
    label = "One sentence, coloured by what gzip, mix and rnn charge for each letter"
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{label}" font-family="monospace" '
        'font-size="16">',
        f'<rect width="{width}" height="{height}" rx="8" fill="#ffffff"/>',
    ]
    for row, model in enumerate(MODELS):
        y = _TOP + _LINE * row
        costs = gencomp.costs(model, TEXT)
        parts.append(f'<text x="10" y="{y + 21}" fill="#1b1d22">{model}</text>')
        for place, (symbol, bits) in enumerate(zip(TEXT.decode(), costs.tolist(), strict=True)):
            parts.append(_letter(_LEFT + _STEP * place, y, symbol, bits))
        total = f"{costs.sum():.0f} bits"
        parts.append(f'<text x="{_LEFT + _STEP * len(TEXT) + 12}" y="{y + 21}" fill="#1b1d22">{total}</text>')
    y = _TOP + _LINE * len(MODELS) + 6
    parts.append(f'<text x="10" y="{y + 20}" fill="#565a63" font-size="13">bits a letter</text>')
    for step in range(len(HEAT)):
        parts.append(_letter(_LEFT + 60 + 26 * step, y, f"{step}{'+' * (step == len(HEAT) - 1)}", step, 26))
    return "\n".join([*parts, "</svg>", ""])


def _letter(x: int, y: int, text: str, bits: float, width: int = _STEP) -> str:
    ground, ink = HEAT[heat_step(bits)]
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="28" fill="{ground}"/>'
        f'<text x="{x + width / 2}" y="{y + 20}" text-anchor="middle" fill="{ink}">{escape(text)}</text>'
    )


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(picture(), encoding="utf-8")
