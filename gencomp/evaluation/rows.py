"""Rows: what an experiment found, one for each dataset, model, chunk size and length."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gencomp.protocols import FloatArray, IntArray
from gencomp.units import bits_per_byte

BYTES_PER_PARAMETER = 2  # the paper's charge: float16
RESAMPLES = 1000
CONFIDENCE = 0.95
WHOLE = "whole"


@dataclass(frozen=True)
class Row:
    """One figure of an experiment and what went into it. Code lengths are in bits.

    ``code_length`` is that of all chunks, with the codec's header (``header_bits``) counted once, as in the paper, and
    the bits that a seven-bit mapping lost. ``length`` is the number of bytes taken from each chunk's start, None for
    all. ``low`` and ``high`` are the 95 % interval of the raw rate, by bootstrap over the chunks; None for a single
    one. ``data_size`` is how many bytes share the cost of the parameters: the data's own size unless the experiment
    sets another. ``seconds`` is the time on one core; everything else is the same in every run. ``entropy_rate`` is
    that of the data's source in bits per byte, if it is known.
    """

    dataset: str
    modality: str
    model: str
    chunk_size: int | str
    length: int | None
    chunks: int
    raw_bytes: int
    code_length: float
    header_bits: float
    lost_bits: int
    parameters: int
    data_size: int
    low: float | None
    high: float | None
    seconds: float
    versions: Mapping[str, Any]
    entropy_rate: float | None = None

    @property
    def bits_per_byte(self) -> float:
        return bits_per_byte(self.code_length, self.raw_bytes)

    @property
    def raw_rate(self) -> float:
        """Compressed / raw bytes."""
        return self.bits_per_byte / 8

    @property
    def excess(self) -> float | None:
        """Bits per byte above the source's entropy rate; None if that is unknown."""
        return None if self.entropy_rate is None else self.bits_per_byte - self.entropy_rate

    @property
    def adjusted_rate(self) -> float:
        """The raw rate with the model's bytes, two per parameter, added to the compressed ones."""
        return self.raw_rate + BYTES_PER_PARAMETER * self.parameters / self.data_size

    @property
    def bytes_per_second(self) -> float:
        return self.raw_bytes / self.seconds if self.seconds else float("nan")


def total_code_length(lengths: FloatArray, header_bits: float, lost_bits: int) -> float:
    """Return the sum of code lengths (n,) with the header counted once, and the lost bits charged."""
    return float(lengths.sum()) - header_bits * (len(lengths) - 1) + lost_bits


def interval(
    lengths: FloatArray, raw_sizes: IntArray, header_bits: float, seed: int
) -> tuple[float, float] | tuple[None, None]:
    """Return the 95 % percentile interval of the raw rate, with chunks drawn with replacement.

    ``lengths`` (n,) are in bits, without headers; ``raw_sizes`` (n,) in bytes; ``header_bits`` is added once.
    Neighbouring chunks of a file resemble one another, so the true interval is wider (Efron and Tibshirani 1993,
    chapter 13).
    """
    if len(lengths) < 2:
        return None, None
    generator = np.random.default_rng(seed)
    rates = np.empty(RESAMPLES)
    for number in range(RESAMPLES):
        drawn = generator.integers(0, len(lengths), len(lengths))
        rates[number] = (lengths[drawn].sum() + header_bits) / (8 * raw_sizes[drawn].sum())
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(rates, (tail, 1 - tail))
    return float(low), float(high)
