"""Many range coders side by side, for a model that predicts a batch: each call codes one symbol of each lane.

A lane's stream is what a :class:`~gencomp.coding.range_coder.RangeEncoder` writes for its symbols alone. The payload is
the length of each stream but the last, as a varint, then the streams.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from gencomp.arguments import as_bytes
from gencomp.coding.quantize import (
    IntArray,
    as_pmf_rows,
    default_precision,
    interval_of_pmf,
    invalid_pmf,
    symbol_of_pmf,
)
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

ByteArray = npt.NDArray[np.uint8]
AnyArray = npt.NDArray[Any]


@lean_kernel
def _encode_lanes(state: IntArray, out: ByteArray, symbols: AnyArray, pmf: AnyArray, precision: Integer) -> int:
    for lane in range(symbols.shape[0]):
        start, stop = interval_of_pmf(pmf[lane], symbols[lane], precision)
        if stop == 0:
            return lane
        low, width, position = encode_step(
            state[lane, 0], state[lane, 1], out[lane], state[lane, 2], start, stop, precision
        )
        state[lane, 0], state[lane, 1], state[lane, 2] = low, width, position
    return -1


@lean_kernel
def _decode_lanes(
    state: IntArray, data: ByteArray, bounds: IntArray, symbols: IntArray, pmf: AnyArray, precision: Integer
) -> int:
    for lane in range(symbols.shape[0]):
        stream = data[bounds[lane] : bounds[lane + 1]]
        low, width, offset, position = state[lane, 0], state[lane, 1], state[lane, 2], state[lane, 3]
        symbol, start, stop = symbol_of_pmf(pmf[lane], decode_target(width, offset, precision), precision)
        if stop == 0:
            return lane
        low, width, offset, position = decode_step(low, width, offset, position, stream, start, stop, precision)
        state[lane, 0], state[lane, 1], state[lane, 2], state[lane, 3] = low, width, offset, position
        symbols[lane] = symbol
    return -1


class LaneEncoder:
    """Encodes symbols of ``lanes`` independent streams."""

    def __init__(self, lanes: int) -> None:
        self._state = np.zeros((lanes, 3), dtype=np.int64)  # low, width, position
        self._state[:, 1] = TOP
        self._out = np.empty((lanes, 64), dtype=np.uint8)

    def encode(self, symbols: IntArray, pmf: npt.NDArray[np.floating]) -> None:
        """Encode the next symbol of the first k lanes: ``symbols`` (k,), ``pmf`` (k, alphabet_size) float.

        Raises ``ValueError`` on a row that is not a distribution, after which the encoder is useless.
        """
        pmf = as_pmf_rows(pmf)
        self._reserve()
        bad = _encode_lanes(self._state, self._out, symbols, pmf, default_precision(pmf.shape[1]))
        if bad >= 0:
            raise invalid_pmf(pmf[bad])

    def _reserve(self) -> None:
        """Make room for one more symbol and the tail in every lane, doubling."""
        needed = int(self._state[:, 2].max()) + MAX_BYTES_PER_SYMBOL + WINDOW_BYTES
        if needed > self._out.shape[1]:
            more = np.empty((len(self._out), max(needed, self._out.shape[1])), dtype=np.uint8)
            self._out = np.ascontiguousarray(np.hstack([self._out, more]))

    def finish(self) -> bytes:
        """Return the payload: the lengths, then the streams."""
        streams = []
        for (low, width, position), out in zip(self._state.tolist(), self._out, strict=True):
            size, _ = encode_end(low, width, out, position)
            streams.append(out[: int(size)].tobytes())
        return b"".join(varint(len(stream)) for stream in streams[:-1]) + b"".join(streams)


class LaneDecoder:
    """Reads what a :class:`LaneEncoder` of as many lanes wrote, given the same probabilities in the same order."""

    def __init__(self, payload: bytes, lanes: int) -> None:
        payload = as_bytes(payload, "the code")
        sizes = []
        position = 0
        for _ in range(lanes - 1):
            size, position = read_varint(payload, position)
            sizes.append(size)
        if position + sum(sizes) > len(payload):  # in Python's integers: sizes of 2^62 do not wrap around
            raise corrupt_stream()
        self._bounds = np.append(np.cumsum([position, *sizes]), len(payload)).astype(np.int64)
        self._data = np.frombuffer(payload, dtype=np.uint8)
        self._state = np.array([decode_begin(self._data[slice(*span)]) for span in self._spans()], dtype=np.int64)

    def _spans(self) -> list[tuple[int, int]]:
        return list(zip(self._bounds[:-1].tolist(), self._bounds[1:].tolist(), strict=True))

    def decode(self, pmf: npt.NDArray[np.floating]) -> IntArray:
        """Return the next symbol, (k,) int64, of the first k lanes under ``pmf`` (k, alphabet_size) float.

        Raises :class:`~gencomp.errors.CorruptDataError` as soon as a stream cannot have been written with these
        probabilities, and ``ValueError`` on a row that is not a distribution.
        """
        pmf = as_pmf_rows(pmf)
        symbols = np.empty(len(pmf), dtype=np.int64)
        bad = _decode_lanes(self._state, self._data, self._bounds, symbols, pmf, default_precision(pmf.shape[1]))
        if bad >= 0:
            raise invalid_pmf(pmf[bad])
        if (self._state[: len(pmf), 2] < 0).any():
            raise corrupt_stream()
        return symbols

    def finish(self) -> None:
        """Check that every stream ends here, to the bit; raise :class:`~gencomp.errors.CorruptDataError` if not."""
        for (low, width, offset, position), (start, stop) in zip(self._state.tolist(), self._spans(), strict=True):
            if not decode_end(low, width, offset, position, stop - start):
                raise CorruptDataError("a lane's stream does not end with its symbols")
