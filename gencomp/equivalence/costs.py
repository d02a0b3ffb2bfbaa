"""What each byte of a text costs where it stands, in one pass, piece by piece as it becomes known."""

import time
from collections.abc import Iterator

import numpy as np

from gencomp.arguments import as_bytes
from gencomp.budget import Cost
from gencomp.cores import candidate_pool
from gencomp.equivalence.adapt import Model, as_predictor, native
from gencomp.equivalence.capabilities import block_cost, charge, charges_at_once, grow, parse_of, sharing_of, state_cost
from gencomp.equivalence.predictor import CodeLengthPredictor
from gencomp.phrases import Parse
from gencomp.protocols import Compressor, FloatArray, Predictor, PrefixScoring, SequenceScoring

PIECE = 64  # bytes
_PIECE_SECONDS = 0.1  # aimed at for a piece: progress is seen soon, and stopping takes no longer
_FIRST = 8  # bytes of the first piece, while nothing is known of their speed
_AT_ONCE = 8  # least number of bytes compressed side by side
_CANDIDATES = 256
_CALL_SECONDS = 1e-4  # of the interpreter, for each byte
_SHARED_SECONDS = 5e-3  # for each byte, with a codec that keeps its work on the bytes before


def costs(model: Model, data: bytes, *, given: bytes = b"", normalized: bool = False) -> FloatArray:
    """Return what each byte of ``data`` costs in bits after ``given`` and the bytes before it, float64 (n,).

    For a predictor that is -log2 p, for a codec what the byte adds to its code: a copy costs where it begins, the rest
    of it is free, and a byte that completes a copy may shorten the code. The sum is what ``data`` adds to the code of
    ``given``. With ``normalized``, a codec is asked for all 256 candidates at each byte, and the cost is -log2 of the
    byte's probability among them, as in :func:`gencomp.score`; that takes up to 256 times as long.
    """
    pieces = list(stream_costs(model, data, given=given, normalized=normalized))
    return np.concatenate([np.empty(0, np.float64), *pieces])


def stream_costs(
    model: Model, data: bytes, *, given: bytes = b"", normalized: bool = False, piece: int = PIECE
) -> Iterator[FloatArray]:
    """Yield what :func:`costs` returns in arrays of ``piece`` bytes at most, each as soon as it is known.

    Where bytes take long, pieces are shorter, so that one comes about every 0.1 seconds.
    Raises ``ValueError`` on a piece below 1 byte.
    """
    if piece < 1:
        raise ValueError(f"a piece must have at least 1 byte, got {piece}")
    data, given = as_bytes(data), as_bytes(given, "what is given")
    predictor = as_predictor(model)
    if isinstance(predictor, CodeLengthPredictor) and not normalized:
        return _growths(predictor.compressor, data, given, piece)
    return _charges(predictor, data, given, piece)


def _charges(predictor: Predictor, data: bytes, given: bytes, piece: int) -> Iterator[FloatArray]:
    if not data:
        return
    if isinstance(predictor, SequenceScoring) and not charges_at_once(predictor.begin()):
        (found,) = predictor.sequence_code_lengths([given + data])  # a parallel pass over all of it
        for start in range(len(given), len(given) + len(data), piece):
            yield np.asarray(found[start : start + piece], dtype=np.float64)
        return
    state = predictor.begin(given)
    if charges_at_once(state):
        for start in range(0, len(data), piece):
            yield charge(state, data[start : start + piece])
        return
    sizes, start = _Sizes(piece, least=1), 0
    while start < len(data):
        with sizes as size:
            found = charge(state, data[start : start + size])
        yield found
        start += size


class _Sizes:
    """How many bytes to take next: about 0.1 seconds' worth, from ``least`` to ``most``. The ``with`` body is timed."""

    def __init__(self, most: int, least: int) -> None:
        self._most, self._least = most, min(least, most)
        self._size = min(_FIRST, most)
        self._began = 0.0

    def __enter__(self) -> int:
        self._began = time.perf_counter()
        return self._size

    def __exit__(self, *error: object) -> None:
        took = time.perf_counter() - self._began
        if took > _PIECE_SECONDS:
            self._size = max(self._least, self._size // 2)
        elif took < _PIECE_SECONDS / 2:
            self._size = min(self._most, 2 * self._size)


def _growths(codec: Compressor, data: bytes, given: bytes, piece: int) -> Iterator[FloatArray]:
    start = 0
    if isinstance(codec, PrefixScoring):
        scorer = codec.begin_scoring(given)
        before = float(scorer.code_lengths([b""])[0])
        sizes = _Sizes(piece, least=1)
        while start < len(data):
            with sizes as size:
                lengths = grow(scorer, data[start : start + size])
            yield np.diff(lengths, prepend=before)
            before = float(lengths[-1])
            start += size
        return
    whole, before = given + data, codec.code_length(given)
    sizes, start = _Sizes(piece, least=_AT_ONCE), len(given)
    while start < len(whole):
        with sizes as size:
            ends = range(start + 1, min(start + size, len(whole)) + 1)
            texts = [whole[:end] for end in ends]
            lengths = np.array([before, *candidate_pool().map(codec.code_length, texts)], np.float64)
        before = float(lengths[-1])
        yield np.diff(lengths)
        start += size


def parse(model: Model, data: bytes) -> Parse:
    """Return how a codec, a spec or an object, cuts ``data`` into literals and copies, with the bits of each.

    Only gzip, zlib, zstd and lzma tell; others raise ``ValueError``.

        >>> [(phrase.position, phrase.length, phrase.distance) for phrase in parse("gzip", b"abcabcabcabc").phrases]
        [(0, 1, 0), (1, 1, 0), (2, 1, 0), (3, 1, 0), (4, 8, 3)]
    """
    return parse_of(native(as_predictor(model)), data)


def costs_cost(predictor: Predictor, size: int, *, normalized: bool = False) -> Cost:
    """Return what :func:`costs` of ``size`` bytes takes at most; 0 where the model does not tell."""
    state = state_cost(predictor, size)
    if isinstance(predictor, CodeLengthPredictor):
        step = state.step
        if not normalized:
            step = step / _CANDIDATES + _CALL_SECONDS
            if sharing_of(predictor.compressor):  # other codecs compress each byte with all bytes before it
                step = min(step, _SHARED_SECONDS)
        return Cost(state.held + state.scratch, state.begin + size * step, size * state.kept)
    cost = block_cost(predictor, size, size)
    return Cost(cost.memory, cost.work + size * _CALL_SECONDS, cost.kept)
