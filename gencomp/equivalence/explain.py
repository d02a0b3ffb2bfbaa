"""Arithmetic coding step by step: the intervals as exact fractions, the bits as they become certain.

They are the coder's own. It computes in 56 bits and loses a little at each step, under 10^-5 bits, so after a few bytes
the exact products would give other bits than the code has.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from gencomp import markup
from gencomp.arguments import as_bytes
from gencomp.coding.quantize import cdf_from_weights
from gencomp.coding.range_coder import RangeEncoder
from gencomp.equivalence.adapt import Model, as_predictor
from gencomp.equivalence.capabilities import state_cdf
from gencomp.labels import byte_label
from gencomp.protocols import IntArray

_SHOWN = 64  # steps in a notebook
_SHOWN_BITS = 512


@dataclass(frozen=True)
class Interval:
    """[low, low + width), a part of [0, 1)."""

    low: Fraction
    width: Fraction

    @property
    def high(self) -> Fraction:
        return self.low + self.width

    def decimals(self) -> tuple[str, str]:
        """Return both ends in decimal, with at least 4 places, and enough for two digits of the width."""
        places = 4
        while self.width * 10**places < 10:
            places += 1
        return _decimal(self.low, places), _decimal(self.high, places)

    def certain_bits(self) -> str:
        """Return the bits that every number of the interval starts with."""
        bits = ""
        low, high = self.low, self.high
        while True:
            if high <= Fraction(1, 2):
                bits += "0"
                low, high = 2 * low, 2 * high
            elif low >= Fraction(1, 2):
                bits += "1"
                low, high = 2 * low - 1, 2 * high - 1
            else:
                return bits


def _decimal(value: Fraction, places: int) -> str:
    """Return ``value``, from 0 to 1, exactly rounded to ``places`` decimals, without trailing zeros."""
    scaled = round(value * 10**places)
    whole, rest = divmod(scaled, 10**places)
    return f"{whole}.{rest:0{places}}".rstrip("0").rstrip(".")


def elided(low: str, high: str, most: int = 8) -> tuple[str, str]:
    """Return the ends from :meth:`Interval.decimals`, with ``…`` for a long common beginning."""
    shared = 0
    while shared < min(len(low), len(high)) and low[shared] == high[shared]:
        shared += 1
    if shared <= most:
        return low, high
    return f"…{low[shared - 3 :]}", f"…{high[shared - 3 :]}"


@dataclass(frozen=True)
class Step:
    """One symbol: the interval before and after it, and the cdf (alphabet_size + 1,) that split it."""

    symbol: int
    before: Interval
    after: Interval
    cdf: IntArray

    def probability(self, symbol: int) -> float:
        return (int(self.cdf[symbol + 1]) - int(self.cdf[symbol])) / int(self.cdf[-1])


@dataclass(frozen=True)
class Explanation:
    """All steps, and the code that the real coder gave; ``code`` is a string of 0 and 1."""

    labels: Sequence[str]
    steps: Sequence[Step]
    code: str

    def _repr_html_(self) -> str:
        """Return the steps as a table for a notebook: each symbol's part of the interval as a bar inside [0, 1)."""
        rows: list[list[str | int | float]] = []
        told = 0
        for number, step in enumerate(self.steps[:_SHOWN], 1):
            probability = step.probability(step.symbol)
            low, high = elided(*step.after.decimals())
            bits = step.after.certain_bits()
            part = markup.Raw(markup.bar(probability))
            cost = float(-np.log2(probability))
            row: list[str | int | float] = [number, self.labels[step.symbol], probability, part, cost]
            rows.append([*row, f"[{low}, {high})", bits[told:] or "–"])
            told = len(bits)
        heads = ("step", "symbol", "probability", "", "bits", "interval after", "bits certain now")
        caption = f"Arithmetic coding: {len(self.steps):,} symbols in {len(self.code):,} bits"
        if len(self.steps) > _SHOWN:
            caption += f", the first {_SHOWN} of them shown"
        code = self.code if len(self.code) <= _SHOWN_BITS else self.code[:_SHOWN_BITS] + "…"
        return markup.piece(markup.table(caption, heads, rows), markup.table("", (), [["code", code]]))


# The paper's Figure 1 and appendix A: P(A), P(I), P(X) in hundredths at each step of "AIXI". (Its appendix prints
# P(I | A) once as 0.3; its intervals need the 0.6 that stands here.)
PAPER_TEXT = "AIXI"
PAPER_LABELS = ("A", "I", "X")
PAPER_PROBABILITIES = ((45, 30, 25), (20, 60, 20), (20, 45, 35), (60, 20, 20))

_WHOLE = Interval(Fraction(0), Fraction(1))


def explain_paper() -> Explanation:
    """Return the paper's own example, which ends with the code 0101010."""
    symbols = [PAPER_LABELS.index(letter) for letter in PAPER_TEXT]
    cdfs = (cdf_from_weights(np.array(row), precision=30) for row in PAPER_PROBABILITIES)
    return _explain(symbols, lambda _: next(cdfs), PAPER_LABELS)


def explain(model: Model, data: bytes, context: bytes = b"") -> Explanation:
    """Return how ``data`` is coded after ``context`` under ``model``, a spec or an object, step by step."""
    predictor = as_predictor(model)
    state = predictor.begin(as_bytes(context, "the context"))

    def cdf_after(symbol: int | None) -> IntArray:
        if symbol is not None:
            state.update(symbol)
        return state_cdf(state)

    return _explain(as_bytes(data), cdf_after, [byte_label(symbol) for symbol in range(predictor.alphabet_size)])


def _explain(symbols: Sequence[int], cdf_after: Callable[[int | None], IntArray], labels: Sequence[str]) -> Explanation:
    encoder = RangeEncoder()

    def steps() -> Iterator[Step]:
        before = _WHOLE
        previous = None
        for symbol in symbols:
            cdf = cdf_after(previous)
            encoder.encode(symbol, cdf)
            low, width, exponent = encoder.interval
            after = Interval(Fraction(low, 1 << exponent), Fraction(width, 1 << exponent))
            yield Step(symbol, before, after, cdf)
            before, previous = after, symbol

    taken = list(steps())
    code = "".join(f"{byte:08b}" for byte in encoder.finish())
    return Explanation(labels, taken, code[: encoder.num_bits])


def step_records(explanation: Explanation) -> list[dict[str, Any]]:
    """Return each step as plain data: the symbol, its part of 2^precision, and all symbols' lengths in bits."""
    records = []
    for step in explanation.steps:
        precision = int(step.cdf[-1]).bit_length() - 1
        lengths = precision - np.log2(np.diff(step.cdf))
        records.append(
            {
                "symbol": step.symbol,
                "start": int(step.cdf[step.symbol]),
                "stop": int(step.cdf[step.symbol + 1]),
                "precision": precision,
                "lengths": [round(float(length), 3) for length in lengths],
            }
        )
    return records


def coder_record(explanation: Explanation) -> dict[str, Any]:
    """Return the coder's steps for JSON: the interval as integers over 2^exponent, in text since they may be long."""
    last = explanation.steps[-1].after if explanation.steps else None
    exponent = last.low.denominator.bit_length() - 1 if last else 0
    if last:
        exponent = max(exponent, last.high.denominator.bit_length() - 1)
    return {
        "labels": [explanation.labels[step.symbol] for step in explanation.steps],
        "shares": [
            [int(step.cdf[step.symbol]), int(step.cdf[step.symbol + 1]), int(step.cdf[-1])]
            for step in explanation.steps
        ],
        "certain": [step.after.certain_bits() for step in explanation.steps],
        "exponent": exponent,
        "low": str(int(last.low * 2**exponent)) if last else "0",
        "high": str(int(last.high * 2**exponent)) if last else "1",
        "code": explanation.code,
    }
