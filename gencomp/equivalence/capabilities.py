"""One function for each capability of :mod:`gencomp.protocols`: the fast way where an object has it, else a plain one.

No caller asks an object what it can do.
"""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Self

import numpy as np

from gencomp.arguments import as_bytes, as_pieces
from gencomp.budget import Cost, StateCost
from gencomp.coding.quantize import cdf_from_code_lengths
from gencomp.coding.range_coder import RangeDecoder, RangeEncoder
from gencomp.cores import candidate_pool, candidate_threads
from gencomp.phrases import Parse
from gencomp.protocols import (
    Blocked,
    BlockEstimating,
    CallEstimating,
    Charging,
    ChunkScoring,
    Compressor,
    ConditionalSharing,
    ContentEstimating,
    Environment,
    Fingerprinted,
    FingerprintEstimating,
    FloatArray,
    FusedCoding,
    Growing,
    IntArray,
    IntegerState,
    Laned,
    Ordered,
    PackedRevision,
    Parsing,
    Predictor,
    PredictorState,
    PrefixScoring,
    Resolving,
    Revision,
    Savable,
    ScorerState,
    SequenceScoring,
    SizeChecking,
    Sliding,
    Spending,
    StateEstimating,
    Suiting,
    Tokenized,
    TokenScoring,
    Windowed,
)

# of an archive, in bytes: blocks of 1 MiB would cost 6 % on 3 MB of enwik8; files above 4 MiB fill two cores
DEFAULT_BLOCK_SIZE = 1 << 22

_CANDIDATES = 256
_CALL_SECONDS = 1e-4  # of the interpreter and the pool, for each candidate


class RecompressingScorer:
    """Fallback of prefix scoring: compress prefix + suffix anew for each suffix, on all cores."""

    def __init__(self, compressor: Compressor, prefix: bytes) -> None:
        self._compressor = compressor
        self._prefix = prefix

    def code_lengths(self, suffixes: Sequence[bytes]) -> FloatArray:
        texts = [self._prefix + suffix for suffix in as_pieces(suffixes, "a suffix")]
        lengths = candidate_pool().map(self._compressor.code_length, texts)
        return np.fromiter(lengths, dtype=np.float64, count=len(texts))

    def feed(self, data: bytes) -> None:
        self._prefix += as_bytes(data)

    def copy(self) -> Self:
        return type(self)(self._compressor, self._prefix)


def begin_scoring(compressor: Compressor, prefix: bytes = b"") -> ScorerState:
    """Return ``compressor`` after ``prefix``, ready to price suffixes."""
    prefix = as_bytes(prefix, "the prefix")
    if isinstance(compressor, PrefixScoring):
        return compressor.begin_scoring(prefix)
    return RecompressingScorer(compressor, prefix)


def grow(scorer: ScorerState, data: bytes) -> FloatArray:
    """Append ``data`` to what ``scorer`` has read; return the code length after each of its bytes, float64 (n,)."""
    data = as_bytes(data)
    if isinstance(scorer, Growing):
        return scorer.grow(data)
    lengths = np.empty(len(data), dtype=np.float64)
    for place in range(len(data)):
        scorer.feed(data[place : place + 1])
        lengths[place] = scorer.code_lengths([b""])[0]
    return lengths


def state_cdf(state: PredictorState) -> IntArray:
    """Return the integer cdf that ``state`` is coded with: its own, or its code lengths quantised."""
    if isinstance(state, IntegerState):
        return state.cdf()
    return cdf_from_code_lengths(state.code_lengths())


def encode_block(predictor: Predictor, data: bytes) -> bytes:
    """Return the arithmetic code of ``data`` from an empty context, without its length."""
    data = as_bytes(data)
    if isinstance(predictor, FusedCoding):
        return predictor.encode_block(data)
    encoder = RangeEncoder()
    state = predictor.begin()
    for symbol in data:
        encoder.encode(symbol, state_cdf(state))
        state.update(symbol)
    return encoder.finish()


def decode_block(predictor: Predictor, payload: bytes, size: int) -> bytes:
    """Return the ``size`` bytes that ``payload`` codes, calling the model as the encoder did, in the same order.

    Raises :class:`~gencomp.errors.CorruptDataError` unless the payload ends exactly there.
    """
    payload = as_bytes(payload, "the code")
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

    For measurements: the fast way may differ in the last bits of a float from what is encoded.
    """
    texts = as_pieces(texts, "a text")
    if isinstance(predictor, SequenceScoring):
        return list(predictor.sequence_code_lengths(texts))
    return [charge(predictor.begin(), text) for text in texts]


def charge(state: PredictorState, data: bytes) -> FloatArray:
    """Append ``data`` to ``state``; return -log2 p of each byte in its place, float64 (n,) in bits."""
    data = as_bytes(data)
    if isinstance(state, Charging):
        return state.charge(data)
    code_lengths = np.empty(len(data), dtype=np.float64)
    for position, symbol in enumerate(data):
        code_lengths[position] = state.code_lengths()[symbol]
        state.update(symbol)
    return code_lengths


def charges_at_once(state: PredictorState) -> bool:
    """Return whether :func:`charge` is one compiled pass."""
    return isinstance(state, Charging)


def spend(state: PredictorState, data: bytes) -> float:
    """Append ``data`` to ``state``; return -log2 p of all of it, in bits."""
    data = as_bytes(data)
    return state.spend(data) if isinstance(state, Spending) else float(charge(state, data).sum())


def chunk_code_lengths(predictor: Predictor, chunks: Sequence[bytes]) -> FloatArray:
    """Return what each chunk costs in bits after an empty context, float64 (n,), for measurements.

    That is -log2 p(chunk) where the predictor scores chunks or sequences. Otherwise it is the length of the chunk's
    arithmetic code without framing: at most 2 bits more, then rounded up to whole bytes.
    """
    chunks = as_pieces(chunks, "a chunk")
    if isinstance(predictor, ChunkScoring):
        return predictor.chunk_code_lengths(chunks)
    if isinstance(predictor, SequenceScoring):
        lengths = [float(costs.sum()) for costs in predictor.sequence_code_lengths(chunks)]
    else:
        lengths = [8.0 * len(encode_block(predictor, chunk)) for chunk in chunks]
    return np.array(lengths, dtype=np.float64)


def token_scoring_of(model: object) -> TokenScoring | None:
    """Return ``model`` if it tells what the tokens of a text cost, else None."""
    return model if isinstance(model, TokenScoring) else None


def token_counts(model: object, texts: Sequence[bytes]) -> Sequence[int] | None:
    """Return how many tokens each text is to ``model``; None where it reads bytes."""
    return model.token_counts(texts) if isinstance(model, Tokenized) else None


def context_and_stride_of(model: object) -> tuple[int, int] | None:
    """Return the window of ``model`` and its stride, in its own symbols; None where it has none."""
    return model.context_and_stride() if isinstance(model, Sliding) else None


def parameter_count_of(model: object) -> int:
    """Return how many trained parameters a decoder needs; 0 for a model without any."""
    # not isinstance, for the reason that revision_of gives
    count: int = getattr(model, "parameter_count", 0)
    return count


def revision_of(model: object) -> Revision | None:
    """Return the revision of a model whose archives decode on any machine, else None."""
    # not isinstance: before Python 3.12 that computes the property too, which asks every model inside for its own
    revision: Revision | None = getattr(model, "revision", None)
    return revision


def packed_revision_of(model: object) -> int | None:
    """Return the revision as archives of gencomp 0.1 hold it: one number; None where they have none of ``model``."""
    if isinstance(model, PackedRevision):
        return model.packed_revision()
    revision = revision_of(model)
    return revision if isinstance(revision, int) else None


def environment_of(model: object) -> Mapping[str, Any]:
    """Return the libraries and settings that ``model``'s output depends on; empty for integer models."""
    return model.environment() if isinstance(model, Environment) else {}


# whose code is the fingerprint of a model that has none of its own
_PROBE = b"canary, a canary"


def fingerprint_of(model: Predictor, lanes: Sequence[int] = ()) -> bytes:
    """Return bytes that change when ``model`` computes other distributions than before.

    ``lanes`` are the numbers of lanes that its blocks have, where :func:`lanes_of` tells: only these are probed.
    """
    if lanes and isinstance(model, Laned):
        return model.lane_fingerprint(lanes)
    return model.fingerprint() if isinstance(model, Fingerprinted) else encode_block(model, _PROBE)


def state_cost(model: object, size: int) -> StateCost:
    """Return what a state of a predictor, or a codec's scorer, takes after ``size`` bytes at most; 0 if it is unknown.

    A codec that tells only the cost of a call makes 256 of them a step, one for each candidate, on all threads.
    """
    if isinstance(model, StateEstimating):
        return model.state_cost(size)
    if not isinstance(model, CallEstimating):
        return StateCost()
    call = model.call_cost(size + 1)
    step = _CANDIDATES * (call.work + _CALL_SECONDS)
    return StateCost(size, candidate_threads() * call.memory, step, step, _CANDIDATES * call.kept)


def block_cost(model: Predictor, size: int, coded: int) -> Cost:
    """Return what coding ``size`` bytes into ``coded`` bytes, or back, takes at most; 0 where it is unknown."""
    if isinstance(model, BlockEstimating):
        return model.block_cost(size, coded)
    return state_cost(model, size).block(state_cost(model, 0), size)


def content_cost(model: Predictor, content: bytes) -> Cost:
    """Return what coding a block takes, once it is there: at most what :func:`block_cost` says of its size."""
    if isinstance(model, ContentEstimating):
        return model.content_cost(content)
    return block_cost(model, len(content), len(content))


def payload_cost(model: Predictor, payload: bytes, size: int) -> Cost:
    """Return what decoding a block of ``size`` bytes takes, once its code is there."""
    if isinstance(model, ContentEstimating):
        return model.payload_cost(payload, size)
    return block_cost(model, size, len(payload))


def fingerprint_cost(model: Predictor) -> Cost:
    """Return what :func:`fingerprint_of` takes at most."""
    if isinstance(model, FingerprintEstimating):
        return model.fingerprint_cost()
    return block_cost(model, len(_PROBE), len(_PROBE))


def has_lanes(model: object) -> bool:
    """Return whether :func:`lanes_of` may tell a number of lanes."""
    return isinstance(model, Laned)


def lanes_of(model: object, payload: bytes, size: int) -> int | None:
    """Return how many lanes a block of ``size`` bytes with this payload has; None where no float depends on it."""
    return model.lanes_of(payload, size) if isinstance(model, Laned) else None


def check_size(model: object, size: int) -> None:
    """Raise ``ValueError`` if data of ``size`` bytes does not fit the options of ``model``."""
    if isinstance(model, SizeChecking):
        model.check_size(size)


def block_size_of(model: object) -> int:
    """Return the default size of an archive's blocks in bytes."""
    return model.block_size if isinstance(model, Blocked) else DEFAULT_BLOCK_SIZE


def suited(model: Predictor, data: bytes) -> Predictor:
    """Return ``model`` with the options that suit ``data``, where it has such, else itself."""
    return model.suited_to(data) if isinstance(model, Suiting) else model


def save_state(state: PredictorState, path: str | PathLike[str]) -> None:
    """Write ``state`` to a file; raise ``ValueError`` where its predictor cannot read it back."""
    if not isinstance(state, Savable):
        raise ValueError("this model's states cannot be saved; those of mix, best and rnn can")
    state.save(path)


def parses(model: object) -> bool:
    """Return whether :func:`parse_of` tells how ``model`` cuts data."""
    return isinstance(model, Parsing)


def parse_of(model: object, data: bytes) -> Parse:
    """Return how a codec cuts ``data`` into literals and copies. Raises ``ValueError`` where it does not tell."""
    if not isinstance(model, Parsing):
        raise ValueError("this model does not tell of literals and copies; gzip, zlib, zstd and lzma do")
    return model.parse(as_bytes(data))


def window_of(model: object) -> int | None:
    """Return how many bytes back ``model`` can look; None where it does not tell or has no bound."""
    return model.window if isinstance(model, Windowed) else None


def resolution_of(model: object) -> str:
    """Return how fine code lengths are: ``fraction``, ``bit`` or ``byte``, as a compressor declares.

    ``exact`` for a predictor, whose code lengths are -log2 p; ``unknown`` for a compressor that does not tell.
    """
    if isinstance(model, Resolving):
        return model.resolution
    return "exact" if isinstance(model, Predictor) else "unknown"


def is_causal(model: object) -> bool:
    """Return whether ``model`` codes data in order; True where it does not tell."""
    return model.causal if isinstance(model, Ordered) else True


def copies_state(model: object) -> bool:
    """Return whether ``model`` after a prefix can be copied; otherwise the prefix is coded anew with each suffix."""
    if isinstance(model, ConditionalSharing) and not model.shares_work():
        return False
    return isinstance(model, Predictor | PrefixScoring)


def sharing_of(model: object) -> str:
    """Return for which settings and sizes ``model`` keeps its work on a prefix; empty where that depends on neither."""
    return model.sharing if isinstance(model, ConditionalSharing) and model.shares_work() else ""
