"""One function for each capability of :mod:`gencomp.protocols`: the fast way where there is one, else a plain one.

No caller asks an object what it can do.
"""

import functools
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from os import PathLike
from typing import Any, Self

import numpy as np

from gencomp.coding.quantize import cdf_from_code_lengths
from gencomp.coding.range_coder import RangeDecoder, RangeEncoder
from gencomp.protocols import (
    ChunkScoring,
    Compressor,
    Environment,
    Fingerprinted,
    FloatArray,
    FusedCoding,
    IntArray,
    IntegerState,
    Laned,
    Ordered,
    Parametric,
    Portable,
    Predictor,
    PredictorState,
    PrefixScoring,
    Resolving,
    Savable,
    ScorerState,
    SequenceScoring,
    SizeChecking,
    Windowed,
)


@functools.cache
def _threads() -> Executor:
    """Return the process's pool for candidates: every codec here releases the GIL while it works."""
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="gencomp-score")


class RecompressingScorer:
    """Fallback of prefix scoring: compress prefix + suffix anew for each suffix, on all cores."""

    def __init__(self, compressor: Compressor, prefix: bytes) -> None:
        self._compressor = compressor
        self._prefix = prefix

    def code_lengths(self, suffixes: Sequence[bytes]) -> FloatArray:
        lengths = _threads().map(lambda suffix: self._compressor.code_length(self._prefix + suffix), suffixes)
        return np.fromiter(lengths, dtype=np.float64, count=len(suffixes))

    def feed(self, data: bytes) -> None:
        self._prefix += data

    def copy(self) -> Self:
        return type(self)(self._compressor, self._prefix)


def begin_scoring(compressor: Compressor, prefix: bytes = b"") -> ScorerState:
    """Return ``compressor`` after ``prefix``, ready to price suffixes."""
    if isinstance(compressor, PrefixScoring):
        return compressor.begin_scoring(prefix)
    return RecompressingScorer(compressor, prefix)


def state_cdf(state: PredictorState) -> IntArray:
    """Return the integer cdf that ``state`` is coded with: its own, or its code lengths quantised."""
    if isinstance(state, IntegerState):
        return state.cdf()
    return cdf_from_code_lengths(state.code_lengths())


def encode_block(predictor: Predictor, data: bytes) -> bytes:
    """Return the arithmetic code of ``data`` from an empty context, without its length."""
    if isinstance(predictor, FusedCoding):
        return predictor.encode_block(data)
    encoder = RangeEncoder()
    state = predictor.begin()
    for symbol in data:
        encoder.encode(symbol, state_cdf(state))
        state.update(symbol)
    return encoder.finish()


def decode_block(predictor: Predictor, payload: bytes, size: int) -> bytes:
    """Return the ``size`` bytes that ``payload`` codes: the encoder's calls of the model, in the same order.

    Raises :class:`~gencomp.errors.CorruptDataError` unless the payload ends exactly there.
    """
    if isinstance(predictor, FusedCoding):
        return predictor.decode_block(payload, size)
    decoder = RangeDecoder(payload)
    state = predictor.begin()
    data = bytearray()
    for _ in range(size):
        symbol = int(decoder.decode(1, state_cdf(state))[0])
        data.append(symbol)
        state.update(symbol)
    decoder.finish()
    return bytes(data)


def sequence_code_lengths(predictor: Predictor, texts: Sequence[bytes]) -> list[FloatArray]:
    """Return -log2 p of each byte of each text, float64 (n,) in bits, each text from an empty context.

    For measurements: the fast way may differ from what is encoded in the last bits of a float.
    """
    if isinstance(predictor, SequenceScoring):
        return list(predictor.sequence_code_lengths(texts))
    return [_stepwise_code_lengths(predictor, text) for text in texts]


def _stepwise_code_lengths(predictor: Predictor, text: bytes) -> FloatArray:
    code_lengths = np.empty(len(text), dtype=np.float64)
    state = predictor.begin()
    for position, symbol in enumerate(text):
        code_lengths[position] = state.code_lengths()[symbol]
        state.update(symbol)
    return code_lengths


def chunk_code_lengths(predictor: Predictor, chunks: Sequence[bytes]) -> FloatArray:
    """Return what each chunk costs in bits from an empty context, float64 (n,). For measurements.

    -log2 p(chunk) where the predictor scores chunks or sequences; else the length of the chunk's arithmetic code,
    without framing: at most 2 bits more, and rounded up to a byte.
    """
    if isinstance(predictor, ChunkScoring):
        return predictor.chunk_code_lengths(chunks)
    if isinstance(predictor, SequenceScoring):
        lengths = [float(costs.sum()) for costs in predictor.sequence_code_lengths(chunks)]
    else:
        lengths = [8.0 * len(encode_block(predictor, chunk)) for chunk in chunks]
    return np.array(lengths, dtype=np.float64)


def parameter_count_of(model: object) -> int:
    """Return how many trained parameters a decoder needs; 0 for a model that has none."""
    return model.parameter_count if isinstance(model, Parametric) else 0


def revision_of(model: object) -> int | None:
    """Return the revision of a model whose archives decode on any machine, else None."""
    return model.revision if isinstance(model, Portable) else None


def environment_of(model: object) -> Mapping[str, Any]:
    """Return the libraries and settings that ``model``'s output depends on; empty for integer models."""
    return model.environment() if isinstance(model, Environment) else {}


# what a model without a fingerprint of its own codes as one
_PROBE = b"canary, a canary"


def fingerprint_of(model: Predictor, lanes: Sequence[int] = ()) -> bytes:
    """Return bytes that change when ``model`` computes other distributions than before.

    ``lanes`` are the numbers of lanes that its blocks have, where :func:`lanes_of` tells: only these are probed.
    """
    if lanes and isinstance(model, Laned):
        return model.lane_fingerprint(lanes)
    return model.fingerprint() if isinstance(model, Fingerprinted) else encode_block(model, _PROBE)


def has_lanes(model: object) -> bool:
    """Return whether :func:`lanes_of` may tell a number of lanes."""
    return isinstance(model, Laned)


def lanes_of(model: object, payload: bytes, size: int) -> int | None:
    """Return how many lanes a block of ``size`` bytes with this payload has; None where that changes no float."""
    return model.lanes_of(payload, size) if isinstance(model, Laned) else None


def check_size(model: object, size: int) -> None:
    """Raise ``ValueError`` if data of ``size`` bytes does not fit the options of ``model``."""
    if isinstance(model, SizeChecking):
        model.check_size(size)


def save_state(state: PredictorState, path: str | PathLike[str]) -> None:
    """Write ``state`` to a file; raise ``ValueError`` where its predictor reads none."""
    if not isinstance(state, Savable):
        raise ValueError("this model's states are not saved; mix has states that are")
    state.save(path)


def window_of(model: object) -> int | None:
    """Return how many bytes back ``model`` can look; None where it does not say or has no bound."""
    return model.window if isinstance(model, Windowed) else None


def resolution_of(model: object) -> str:
    """Return how finely code lengths tell: ``fraction``, ``bit`` or ``byte``, as a compressor says of itself.

    ``exact`` for a predictor, whose code lengths are -log2 p; ``unknown`` for a compressor that does not say.
    """
    if isinstance(model, Resolving):
        return model.resolution
    return "exact" if isinstance(model, Predictor) else "unknown"


def is_causal(model: object) -> bool:
    """Return whether ``model`` takes data in its order; True where it does not say."""
    return model.causal if isinstance(model, Ordered) else True


def copies_state(model: object) -> bool:
    """Return whether ``model`` after a prefix can be copied; otherwise the prefix is taken anew with each suffix."""
    return isinstance(model, Predictor | PrefixScoring)
