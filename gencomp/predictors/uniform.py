"""No model at all: every symbol is equally likely. Other predictors are compared with this one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from gencomp.arguments import as_bytes, as_context, as_symbol
from gencomp.budget import Cost, StateCost
from gencomp.coding.quantize import cdf_from_weights, check_alphabet, default_precision
from gencomp.coding.range_coder import RangeDecoder, RangeEncoder
from gencomp.protocols import FloatArray, IntArray


@dataclass(frozen=True)
class Uniform:
    """``alphabet_size`` equally likely symbols, log2(alphabet_size) bits each."""

    alphabet_size: int = 256

    revision: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_alphabet(self.alphabet_size, default_precision(max(2, self.alphabet_size)))

    def begin(self, context: Sequence[int] = ()) -> "UniformState":
        as_context(context, self.alphabet_size)
        return UniformState(self.alphabet_size)

    def state_cost(self, size: int) -> StateCost:
        return StateCost(16 * self.alphabet_size, 0, 1e-5, 1e-4)

    def block_cost(self, size: int, coded: int) -> Cost:
        return Cost((1 << 16) + 16 * size, 1e-3 + 2e-7 * size)

    def encode_block(self, data: bytes) -> bytes:
        encoder = RangeEncoder()
        encoder.encode(np.frombuffer(as_bytes(data), dtype=np.uint8), self.begin().cdf())
        return encoder.finish()

    def decode_block(self, payload: bytes, size: int) -> bytes:
        decoder = RangeDecoder(as_bytes(payload, "the code"))
        data = decoder.decode(size, self.begin().cdf())
        decoder.finish()
        return data.astype(np.uint8).tobytes()


class UniformState:
    """The state after any context: it remembers nothing."""

    def __init__(self, alphabet_size: int) -> None:
        self._weights = np.ones(alphabet_size, dtype=np.int64)

    def code_lengths(self) -> FloatArray:
        return np.full(len(self._weights), np.log2(len(self._weights)))

    def cdf(self) -> IntArray:
        return cdf_from_weights(self._weights)

    def update(self, symbol: int) -> None:
        as_symbol(symbol, len(self._weights))

    def copy(self) -> Self:
        return self
