"""A network of your own, from any library, as a predictor of bytes, coded in lockstep lanes."""

import copy
import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from gencomp.arguments import as_bytes, as_context, as_symbol
from gencomp.coding.quantize import cdf_from_pmf
from gencomp.errors import CorruptDataError
from gencomp.predictors.language.coding import decode_symbols, encode_symbols, lanes_for
from gencomp.protocols import FloatArray, IntArray

SYMBOLS = 256
_PROBE_STEPS = 24


class Network(Protocol):
    """Several texts in lockstep, empty at first: one call predicts the next byte of each."""

    def probabilities(self) -> npt.NDArray[np.floating[Any]]:
        """Return p(byte | text so far) of each lane, float32 or float64 (lanes, 256)."""

    def feed(self, symbols: npt.NDArray[np.int64]) -> None:
        """Append one byte to each lane, int64 (lanes,)."""


class NetworkPredictor:
    """A network as a predictor: blocks are cut into up to ``batch`` lanes of at least ``lane`` bytes.

    ``begin(lanes)`` returns a :class:`Network` of that many empty texts, the same each time. Encoder and decoder make
    the same calls in the same order, so a block decodes wherever these give the same floats. The archive keeps a
    fingerprint of such floats and of ``weights``: bytes or text that identify the network, such as a checksum of its
    weights. A state is a network of one lane, copied by its ``copy()``, or by ``copy.deepcopy`` if it has none. No spec
    names this predictor: whoever decodes must pass the same one.

    Raises ``ValueError`` on options out of range, and where the network returns no distribution.
    """

    def __init__(
        self, begin: Callable[[int], Network], *, batch: int = 16, lane: int = 1024, weights: bytes | str = b""
    ) -> None:
        for name, value, most in (("batch", batch, 4096), ("lane", lane, 1 << 20)):
            if not 1 <= value <= most:
                raise ValueError(f"{name} must be from 1 to {most}, got {value}")
        self._begin = begin
        self.batch = batch
        self.lane = lane
        self._weights = weights.encode() if isinstance(weights, str) else as_bytes(weights, "weights")

    @property
    def alphabet_size(self) -> int:
        return SYMBOLS

    def begin(self, context: Sequence[int] = ()) -> "NetworkState":
        state = NetworkState(self._checked(1))
        for symbol in as_context(context):
            state.update(symbol)
        return state

    def encode_block(self, data: bytes) -> bytes:
        symbols = np.frombuffer(as_bytes(data), dtype=np.uint8).astype(np.int64)
        return encode_symbols(self._checked, symbols, self.batch, self.lane)

    def decode_block(self, payload: bytes, size: int) -> bytes:
        return decode_symbols(self._checked, payload, size, self.batch, self.lane).astype(np.uint8).tobytes()

    def lanes_of(self, payload: bytes, size: int) -> int:
        """Return how many lanes a block of ``size`` bytes has."""
        return lanes_for(size, self.batch, self.lane)

    def fingerprint(self) -> bytes:
        return self.lane_fingerprint([1, self.batch])

    def lane_fingerprint(self, lanes: Sequence[int]) -> bytes:
        """Return a digest of 16 bytes of the floats of a probe: a few steps with each number of ``lanes``."""
        if not lanes or not 1 <= min(lanes) <= max(lanes) <= self.batch:
            raise CorruptDataError(f"the blocks claim {list(lanes)} lanes, expected 1 to batch={self.batch}")
        hasher = hashlib.blake2b(self._weights, digest_size=16)
        for count in sorted(set(lanes)):
            network = self._checked(count)
            for step in range(_PROBE_STEPS):
                hasher.update(np.ascontiguousarray(network.probabilities()).tobytes())
                network.feed((np.arange(count, dtype=np.int64) + 7 * step) % SYMBOLS)
        return hasher.digest()

    def _checked(self, lanes: int) -> "_Checked":
        return _Checked(self._begin(lanes), lanes)


class _Checked:
    """A network whose rows are checked before the coder sees them."""

    def __init__(self, network: Network, lanes: int) -> None:
        self._network = network
        self._lanes = lanes

    def probabilities(self) -> npt.NDArray[Any]:
        rows = np.asarray(self._network.probabilities())
        if rows.shape != (self._lanes, SYMBOLS) or rows.dtype not in (np.float32, np.float64):
            raise ValueError(
                f"the network returned {rows.dtype}{list(rows.shape)}; expected probabilities, float32 or float64 "
                f"[{self._lanes}, {SYMBOLS}]"
            )
        return rows

    def feed(self, symbols: npt.NDArray[np.int64]) -> None:
        self._network.feed(symbols)

    def copy(self) -> "_Checked":
        own = getattr(self._network, "copy", None)
        return _Checked(copy.deepcopy(self._network) if own is None else own(), self._lanes)


class NetworkState:
    """A network of one lane, after a context."""

    def __init__(self, network: _Checked) -> None:
        self._network = network

    def code_lengths(self) -> FloatArray:
        row = self._network.probabilities()[0].astype(np.float64)
        row = np.maximum(row, np.finfo(np.float64).tiny)
        return np.asarray(np.maximum(-np.log2(row / row.sum()), 0.0))

    def cdf(self) -> IntArray:
        """Return the integer cdf of the network's own probabilities."""
        return cdf_from_pmf(self._network.probabilities()[0])

    def update(self, symbol: int) -> None:
        self._network.feed(np.array([as_symbol(symbol)], dtype=np.int64))

    def copy(self) -> Self:
        return type(self)(self._network.copy())
