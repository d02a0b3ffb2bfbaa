"""Coding a block's tokens in lanes of an integer model: encoded by whole windows, decoded step by step.

The payload is that of :mod:`~gencomp.predictors.language.coding`: contiguous parts of the block, with a range coder's
stream each. A distribution has the weights of the model's ids, then those of escapes and the separator
(:mod:`~gencomp.predictors.language.tokens`), in units of 2^-30. Escapes and separator together weigh 2^18, or 2^29
after one of them.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from gencomp.coding.quantize import bound_of, default_precision, scale_of
from gencomp.coding.range_coder import (
    MAX_BYTES_PER_SYMBOL,
    TOP,
    WINDOW_BYTES,
    corrupt_stream,
    decode_begin,
    decode_end,
    decode_step,
    decode_target,
    encode_end,
    encode_step,
)
from gencomp.coding.varint import read_varint, varint
from gencomp.compiled import Integer, lean_kernel
from gencomp.errors import CorruptDataError
from gencomp.inference.products import Int32Array
from gencomp.inference.rows import fill_weights
from gencomp.predictors.language.coding import lane_lengths, lanes_for
from gencomp.predictors.language.exact import ExactModel
from gencomp.predictors.language.tokens import ESCAPES
from gencomp.progress import advance
from gencomp.protocols import IntArray

ByteArray = npt.NDArray[np.uint8]

ESCAPE_BITS, ESCAPE_BITS_AFTER_ONE = 18, 29  # log2 of what all escapes weigh together, of 2^30
_ESCAPED = ESCAPES + 1  # with the separator
_RUN = 64  # weights that a search for a symbol skips at a time


@lean_kernel
def fill_token_weights(logits: Int32Array, follows_escape: Integer, weights: Int32Array) -> None:
    """Write the weights of ids, by their ``logits`` (V,), and those of escapes into ``weights`` (V + 257,)."""
    size = logits.shape[0]
    escapes = np.int64(1) << (ESCAPE_BITS_AFTER_ONE if follows_escape else ESCAPE_BITS)
    fill_weights(logits, (np.int64(1) << 30) - escapes, weights[:size])
    for j in range(_ESCAPED):
        weights[size + j] = np.int32(escapes // _ESCAPED)


@lean_kernel
def _sum(weights: Int32Array) -> Integer:
    """Return the sum of ``weights``, which must be below 2^31."""
    total = np.int32(0)
    for j in range(weights.shape[0]):
        total = np.int32(total + weights[j])
    return np.int64(total)


@lean_kernel
def fill_intervals(
    logits: Int32Array, symbols: IntArray, escaped: IntArray, weights: Int32Array, precision: Integer, out: IntArray
) -> None:
    """Write each symbol's interval in its cdf into ``out`` (n, 2); ``logits`` (n, V) predict ``symbols`` (n,).

    ``escaped`` (n,) says whether the symbol before was an escape; ``weights`` (V + 257,) is scratch.
    """
    for row in range(symbols.shape[0]):
        fill_token_weights(logits[row], escaped[row], weights)
        symbol = symbols[row]
        scale = scale_of(_sum(weights), weights.shape[0], precision)
        below = _sum(weights[:symbol])
        out[row, 0] = bound_of(symbol, below, scale, precision)
        out[row, 1] = np.int64(1) << precision
        if symbol + 1 < weights.shape[0]:
            out[row, 1] = bound_of(symbol + 1, below + np.int64(weights[symbol]), scale, precision)


@lean_kernel
def _encode_intervals(intervals: IntArray, precision: Integer, out: ByteArray, state: IntArray) -> None:
    """Encode the ``intervals`` (n, 2) of symbols; ``state`` is low, width and position."""
    low, width, position = state[0], state[1], state[2]
    for row in range(intervals.shape[0]):
        low, width, position = encode_step(low, width, out, position, intervals[row, 0], intervals[row, 1], precision)
    state[0], state[1], state[2] = low, width, position


@lean_kernel
def _symbol_of(weights: Int32Array, target: Integer, precision: Integer) -> tuple[Integer, Integer, Integer]:
    """Return (symbol, cdf[symbol], cdf[symbol + 1]) with cdf[symbol] <= target < cdf[symbol + 1]."""
    size = weights.shape[0]
    scale = scale_of(_sum(weights), size, precision)
    symbol = 0
    below: Integer = np.int64(0)
    while symbol + _RUN < size:  # whole runs first
        run = _sum(weights[symbol : symbol + _RUN])
        if target < bound_of(symbol + _RUN, below + run, scale, precision):
            break
        symbol += _RUN
        below += run
    low = bound_of(symbol, below, scale, precision)
    while symbol < size - 1:
        below += np.int64(weights[symbol])
        high = bound_of(symbol + 1, below, scale, precision)
        if target < high:
            return symbol, low, high
        symbol += 1
        low = high
    return symbol, low, np.int64(1) << precision


@lean_kernel
def _decode_rows(
    state: IntArray,
    data: ByteArray,
    bounds: IntArray,
    logits: Int32Array,
    escaped: IntArray,
    weights: Int32Array,
    precision: Integer,
    symbols: IntArray,
) -> None:
    """Decode the next symbol of each of the first n lanes into ``symbols`` (n,).

    A lane's stream is ``data[bounds[lane] : bounds[lane + 1]]``; its row of ``state`` is low, width, offset, position.
    """
    for lane in range(symbols.shape[0]):
        fill_token_weights(logits[lane], escaped[lane], weights)
        stream = data[bounds[lane] : bounds[lane + 1]]
        low, width, offset, position = state[lane, 0], state[lane, 1], state[lane, 2], state[lane, 3]
        symbol, start, stop = _symbol_of(weights, decode_target(width, offset, precision), precision)
        low, width, offset, position = decode_step(low, width, offset, position, stream, start, stop, precision)
        state[lane, 0], state[lane, 1], state[lane, 2], state[lane, 3] = low, width, offset, position
        symbols[lane] = symbol


def encode_tokens(model: ExactModel, symbols: IntArray, shortest: int, threads: int = 1) -> bytes:
    """Return the payload that codes ``symbols`` (n,): ids of the model, and escapes.

    ``threads`` lanes are read at a time, on which the payload does not depend.
    """
    lanes = lanes_for(len(symbols), model.batch, shortest)
    parts = np.split(symbols, np.cumsum(lane_lengths(len(symbols), lanes))[:-1])

    def encode(part: IntArray) -> bytes:
        return _coded(_intervals(model, part, len(symbols)), precision)

    precision = default_precision(model.vocabulary_size + _ESCAPED)
    if model.torch_device is not None:
        from gencomp.predictors.language.exact_torch import token_intervals

        found = token_intervals(
            model,
            parts,
            (1 << ESCAPE_BITS, 1 << ESCAPE_BITS_AFTER_ONE),
            _ESCAPED,
            precision,
            lambda read: advance(read / len(symbols)),
        )
        streams = [_coded(rows, precision) for rows in found]
    elif threads == 1 or lanes == 1:
        streams = [encode(part) for part in parts]
    else:
        with ThreadPoolExecutor(threads) as pool:
            streams = list(pool.map(encode, parts))
    return b"".join(varint(len(stream)) for stream in streams[:-1]) + b"".join(streams)


def _intervals(model: ExactModel, symbols: IntArray, count: int) -> IntArray:
    """Return the intervals, int64 (n, 2), of a lane's ``symbols`` (n,); the block has ``count``, for the progress."""
    size = model.vocabulary_size
    is_escaped = symbols >= size
    text = np.where(is_escaped, model.start, symbols)
    follows = np.append(False, is_escaped)[: len(symbols)].astype(np.int64)
    precision = default_precision(size + _ESCAPED)
    weights = np.empty(size + _ESCAPED, dtype=np.int32)
    intervals = np.empty((len(symbols), 2), dtype=np.int64)

    def visit(first: int, logits: Int32Array) -> None:
        last = first + len(logits)
        rows = slice(first, last)
        fill_intervals(logits, symbols[rows], follows[rows], weights, precision, intervals[rows])
        advance(len(logits) / count)

    if len(symbols):
        model.windows(text, visit)
    return intervals


def _coded(intervals: IntArray, precision: int) -> bytes:
    """Return the range coder's stream for ``intervals`` (n, 2)."""
    out = np.empty(len(intervals) * MAX_BYTES_PER_SYMBOL + WINDOW_BYTES, dtype=np.uint8)
    state = np.array([0, TOP, 0], dtype=np.int64)
    _encode_intervals(intervals, precision, out, state)
    length, _ = encode_end(int(state[0]), int(state[1]), out, int(state[2]))
    return out[: int(length)].tobytes()


def decode_tokens(model: ExactModel, payload: bytes, count: int, shortest: int) -> IntArray:
    """Return the ``count`` symbols of a payload.

    Raises :class:`~gencomp.errors.CorruptDataError` on a payload that no encoder wrote with this model.
    """
    lanes = lanes_for(count, model.batch, shortest)
    lengths = lane_lengths(count, lanes)
    starts = np.cumsum(lengths) - lengths
    data, bounds, state = _opened(payload, lanes)
    size = model.vocabulary_size
    precision = default_precision(size + _ESCAPED)
    weights = np.empty(size + _ESCAPED, dtype=np.int32)
    symbols = np.empty(count, dtype=np.int64)
    follows = np.zeros(lanes, dtype=np.int64)
    row = np.zeros(lanes, dtype=np.int64)
    lockstep = model.begin(lanes, int(lengths[0])) if count else None
    for step in range(int(lengths[0])):
        assert lockstep is not None
        active = int((lengths > step).sum())
        _decode_rows(state, data, bounds, lockstep.logits, follows, weights, precision, row[:active])
        if (state[:active, 2] < 0).any():
            raise corrupt_stream()
        symbols[starts[:active] + step] = row[:active]
        follows[:] = row >= size
        if step + 1 < lengths[0]:
            lockstep.feed(np.where(row >= size, model.start, row))
        advance(active / count)
    for lane, (low, width, offset, position) in enumerate(state.tolist()):
        if not decode_end(low, width, offset, position, int(bounds[lane + 1] - bounds[lane])):
            raise CorruptDataError("a lane's stream does not end with its symbols")
    return symbols


def _opened(payload: bytes, lanes: int) -> tuple[ByteArray, IntArray, IntArray]:
    """Return a payload's bytes, the bounds of its streams, (lanes + 1,), and the decoders' states, (lanes, 4)."""
    sizes, position = [], 0
    for _ in range(lanes - 1):
        size, position = read_varint(payload, position)
        sizes.append(size)
    if position + sum(sizes) > len(payload):  # in Python's integers, since sizes may be 2^62
        raise corrupt_stream()
    bounds = np.append(np.cumsum([position, *sizes]), len(payload)).astype(np.int64)
    data = np.frombuffer(payload, dtype=np.uint8)
    pairs = zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
    return data, bounds, np.array([decode_begin(data[slice(*pair)]) for pair in pairs], dtype=np.int64)
