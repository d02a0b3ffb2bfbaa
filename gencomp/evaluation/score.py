"""What a model charges for data: as a code, and byte by byte as a predictor."""

from dataclasses import dataclass

import numpy as np

from gencomp.equivalence.adapt import Model, as_compressor, as_predictor, native, predictor_spec
from gencomp.equivalence.predictor import CodeLengthState
from gencomp.protocols import FloatArray, IntArray
from gencomp.units import bits_per_byte

DEFAULT_CHUNK_SIZE = 2048


@dataclass(frozen=True)
class Score:
    """A model on data. All lengths are in bits.

    ``code_length`` is that of the whole data, ``framing_bits`` the part of it that an empty message takes too. The
    arrays, each (n,), are about the first n bytes, in chunks of ``chunk_size`` that start from an empty context:
    ``costs`` are -log2 p(byte | chunk so far), float64; ``kraft_sums`` are the sums over the 256 candidates of
    2^-(what the candidate adds to the code), 1 for a true code; ``distinct_lengths``, int64, count the different
    code lengths among the candidates.
    """

    spec: str
    raw_bytes: int
    code_length: float
    framing_bits: float
    chunk_size: int
    costs: FloatArray
    kraft_sums: FloatArray
    distinct_lengths: IntArray

    @property
    def bits_per_byte(self) -> float:
        return bits_per_byte(self.code_length, self.raw_bytes)

    @property
    def log_loss(self) -> float:
        """The mean of ``costs``: bits per byte as a predictor; 0 for no data."""
        return float(self.costs.mean()) if len(self.costs) else 0.0


def score(
    model: Model, data: bytes, *, limit: int | None = DEFAULT_CHUNK_SIZE, chunk_size: int = DEFAULT_CHUNK_SIZE
) -> Score:
    """Return the :class:`Score` of ``model``, a spec or an object of either kind, on ``data``.

    ``limit`` bounds the bytes that are taken one by one (a compressor is asked for 256 code lengths at each), None
    means all. Raises ``ValueError`` on a chunk size below 1 or a limit below 0.
    """
    if chunk_size < 1:
        raise ValueError(f"chunk_size must be at least 1 byte, got {chunk_size}")
    if limit is not None and limit < 0:
        raise ValueError(f"limit must be at least 0 bytes, got {limit}")
    predictor = as_predictor(model)
    compressor = as_compressor(native(predictor))
    costs, kraft_sums, distinct = [], [], []
    part = data[:limit]
    for start in range(0, len(part), chunk_size):
        state = predictor.begin()
        for symbol in part[start : start + chunk_size]:
            code_lengths = state.code_lengths()
            costs.append(code_lengths[symbol])
            if isinstance(state, CodeLengthState):
                kraft_sums.append(state.kraft_sum())
                distinct.append(len(np.unique(state.candidate_code_lengths())))
            else:  # the code lengths themselves, whose Kraft sum is 1
                kraft_sums.append(float(np.exp2(-code_lengths).sum()))
                distinct.append(len(np.unique(code_lengths)))
            state.update(symbol)
    return Score(
        predictor_spec(predictor),
        len(data),
        compressor.code_length(data),
        compressor.code_length(b""),
        chunk_size,
        np.array(costs, dtype=np.float64),
        np.array(kraft_sums, dtype=np.float64),
        np.array(distinct, dtype=np.int64),
    )
