"""What a model charges for data: as a code, and byte by byte as a predictor."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from gencomp import markup
from gencomp.arguments import as_bytes
from gencomp.equivalence.adapt import Model, as_compressor, as_predictor, label_of, native
from gencomp.equivalence.candidates import candidates_of
from gencomp.equivalence.capabilities import copies_state, resolution_of
from gencomp.equivalence.conditional import code_lengths
from gencomp.equivalence.read_before import warn_if_read
from gencomp.protocols import FloatArray, IntArray
from gencomp.units import bits_per_byte

DEFAULT_CHUNK_SIZE = 2048
TOPS = (1, 5, 10)  # for each k of these, a record tells how often the true byte is among the k likeliest


@dataclass(frozen=True)
class Score:
    """A model on data. All lengths are in bits.

    ``spec`` names the model, or its class where no spec stands for the object. ``code_length`` is that of the whole
    data, ``framing_bits`` the part of it that an empty message takes, too.

    The arrays, each (n,), are about the first n bytes, in chunks of ``chunk_size`` that start from an empty context.
    ``costs``, float64, are -log2 p(byte | chunk so far); ``kraft_sums``, float64, the sums over the 256 candidates of
    2^-(what the candidate adds to the code), 1 for a true code; ``entropies``, float64, those of the normalised
    distributions. ``distinct_lengths``, int64, count the different code lengths among the candidates; ``cheaper`` and
    ``ties``, int64, the candidates charged less than the true byte, and those charged the same, itself included.

    ``resolution`` is how fine the model's code lengths are: ``fraction``, ``bit``, ``byte``, ``exact`` or ``unknown``.
    ``shares_work`` tells whether candidates are priced from a state after the prefix, rather than each compressed with
    it. ``data`` are the first n bytes. ``raw_characters`` counts the characters of the whole data, None if it is not
    UTF-8.
    """

    spec: str
    raw_bytes: int
    code_length: float
    framing_bits: float
    chunk_size: int
    costs: FloatArray
    kraft_sums: FloatArray
    entropies: FloatArray
    distinct_lengths: IntArray
    cheaper: IntArray
    ties: IntArray
    resolution: str
    shares_work: bool = True
    data: bytes = field(default=b"", repr=False)
    raw_characters: int | None = None

    @property
    def bits_per_byte(self) -> float:
        """The bits of the whole code, framing included, per byte of the data; 0 for no data."""
        return bits_per_byte(self.code_length, self.raw_bytes)

    @property
    def bits_per_character(self) -> float | None:
        """The same per character; None for data that is not UTF-8."""
        return None if self.raw_characters is None else bits_per_byte(self.code_length, self.raw_characters)

    @property
    def log_loss(self) -> float:
        """The mean of ``costs``: bits per byte as a predictor; 0 for no data."""
        return float(self.costs.mean()) if len(self.costs) else 0.0

    def top(self, k: int) -> float:
        """Return how often the true byte is among the ``k`` likeliest, from 0 to 1, as if ties were broken at random.

        Raises ``ValueError`` on k below 1.
        """
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        hits = np.clip((k - self.cheaper) / self.ties, 0.0, 1.0) if len(self.ties) else np.zeros(1)
        return float(hits.mean())

    def record(self) -> dict[str, object]:
        """Return the score as plain data for JSON, the arrays rounded to 10^-6."""
        return {
            "model": self.spec,
            "raw_bytes": self.raw_bytes,
            "code_length_bits": self.code_length,
            "framing_bits": self.framing_bits,
            "bits_per_byte": self.bits_per_byte,
            "bits_per_character": self.bits_per_character,
            "chunk_size": self.chunk_size,
            "scored_bytes": len(self.costs),
            "log_loss": self.log_loss,
            "costs": [round(cost, 6) for cost in self.costs.tolist()],
            "kraft_sums": [round(value, 6) for value in self.kraft_sums.tolist()],
            "entropies": [round(value, 6) for value in self.entropies.tolist()],
            "distinct_lengths": self.distinct_lengths.tolist(),
            "cheaper": self.cheaper.tolist(),
            "ties": self.ties.tolist(),
            "top": {str(k): round(self.top(k), 6) for k in TOPS},
            "resolution": self.resolution,
            "shares_work": self.shares_work,
        }

    def _repr_html_(self) -> str:
        """Return the figures and the coloured bytes for a notebook."""
        rows: list[list[str | int | float]] = [["raw bytes", self.raw_bytes]]
        if self.raw_characters not in (None, self.raw_bytes):
            rows.append(["characters", self.raw_characters or 0])
        rows += [
            ["code length, bits", self.code_length],
            ["of them framing", self.framing_bits],
            ["bits/byte, framing and all", self.bits_per_byte],
        ]
        if self.raw_characters not in (None, self.raw_bytes):
            rows.append(["bits/character", self.bits_per_character or 0.0])
        if len(self.costs):
            rows.append([f"log-loss of the first {len(self.costs):,} bytes, bits/byte", self.log_loss])
            rows.append(["Kraft sum, median", float(np.median(self.kraft_sums))])
        parts = [markup.table(self.spec, (), rows)]
        if len(self.costs):
            parts += [markup.legend(), markup.heat(self.data, self.costs.tolist())]
        return markup.piece(*parts)


def score_many(model: Model, texts: Sequence[bytes]) -> FloatArray:
    """Return what each of ``texts`` costs in bits, alone, under a spec or an object of either kind: float64 (n,).

    A codec's framing is left out. Language models read many texts at a time; other models use all cores.
    """
    return code_lengths(model, [(b"", text) for text in texts])


def score(
    model: Model, data: bytes, *, limit: int | None = DEFAULT_CHUNK_SIZE, chunk_size: int = DEFAULT_CHUNK_SIZE
) -> Score:
    """Return the :class:`Score` of ``model``, a spec or an object of either kind, on ``data``.

    ``limit`` bounds the bytes that are scored one by one, since a compressor is asked for 256 code lengths at each;
    None means all. Raises ``ValueError`` on a chunk size below 1 or a limit below 0.
    """
    if chunk_size < 1:
        raise ValueError(f"chunk_size must be at least 1 byte, got {chunk_size}")
    if limit is not None and limit < 0:
        raise ValueError(f"limit must be at least 0 bytes, got {limit}")
    data = as_bytes(data)
    predictor = as_predictor(model)
    compressor = as_compressor(native(predictor))
    warn_if_read(label_of(predictor), data)
    costs: list[float] = []
    asked: list[tuple[float, float, int, int, int]] = []
    part = data[:limit]
    for start in range(0, len(part), chunk_size):
        state = predictor.begin()
        for symbol in part[start : start + chunk_size]:
            candidates = candidates_of(state)
            costs.append(float(candidates.code_lengths[symbol]))
            of_symbol = (candidates.cheaper(symbol), candidates.ties(symbol))
            asked.append((candidates.kraft_sum, candidates.entropy, candidates.distinct_lengths, *of_symbol))
            state.update(symbol)
    kraft_sums, entropies, distinct, cheaper, ties = np.array(asked, dtype=np.float64).reshape(-1, 5).T
    return Score(
        label_of(predictor),
        len(data),
        compressor.code_length(data),
        compressor.code_length(b""),
        chunk_size,
        np.array(costs, dtype=np.float64),
        kraft_sums,
        entropies,
        distinct.astype(np.int64),
        cheaper.astype(np.int64),
        ties.astype(np.int64),
        resolution_of(native(predictor)),
        copies_state(native(predictor)),
        part,
        _characters(data),
    )


def _characters(data: bytes) -> int | None:
    """Return the number of characters of ``data``; None if it is not UTF-8."""
    try:
        return len(data.decode("utf-8"))
    except UnicodeDecodeError:
        return None
