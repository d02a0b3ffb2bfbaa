"""Short texts to begin with, each of which shows something different."""

import base64
import math

_POEM = """How doth the little crocodile
  Improve his shining tail,
And pour the waters of the Nile
  On every golden scale!

How cheerfully he seems to grin,
  How neatly spread his claws,
And welcome little fishes in
  With gently smiling jaws!
"""

_CODE = """def largest(items):
    best = items[0]
    for item in items:
        if item > best:
            best = item
    return best


def smallest(items):
    best = items[0]
    for item in items:
        if item < best:
            best = item
    return best
"""

# the first 240 bases of the phage phi X 174, whose DNA genome was the first to be sequenced (Sanger et al. 1977)
_DNA = (
    "GAGTTTTATCGCTTCCATGACGCAGAAGTTAACACTTTCGGATATTTCTGATGAGTCGAAAAATTATCTTGATAAAGCAGGAATTACTACTGCTTGTTTA"
    "CGAATTAAATCGAAGTGGACTGCTGGCGGAAAATGAGAAAATTCGACCTATCCTTGCGCAGCTCGAGAAGCTCTTACTTTGCGACCTTTCGCCATCAACT"
    "AACGATTCTGTCAAAAACTGACGCGTTGGATGAGGAGAAG"
)

_TWO_LANGUAGES = """All human beings are born free and equal in dignity and rights. They are endowed with reason and \
conscience and should act towards one another in a spirit of brotherhood.

Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und Gewissen begabt und \
sollen einander im Geiste der Brüderlichkeit begegnen.
"""


def _image_rows() -> bytes:
    """Return four rows of 64 grey pixels: a soft light that moves to the right."""
    return bytes(
        round(96 + 88 * math.exp(-(((x - 20 - 6 * y) / 14) ** 2)) + 8 * math.sin(x / 2))
        for y in range(4)
        for x in range(64)
    )


def _example(name: str, text: bytes, note: str) -> dict[str, str]:
    return {"name": name, "text": base64.b64encode(text).decode("ascii"), "note": note}


EXAMPLES = [
    _example("a poem", _POEM.encode(), "Lewis Carroll, 1865. Endings that rhyme surprise less than beginnings."),
    _example("code", _CODE.encode(), "The second function copies the first: gzip points back at it."),
    _example("DNA", _DNA.encode(), "Four letters cost two bits each, and no model here knows how to save much."),
    _example("image rows", _image_rows(), "Four rows of 64 grey pixels; no text, so bytes are shown as numbers."),
    _example("two languages", _TWO_LANGUAGES.encode(), "The language changes halfway: look where the cost goes up."),
    _example("repeats", b"abcabcabcabcabcabcabcabc", "After three bytes, one copy says the rest."),
]
