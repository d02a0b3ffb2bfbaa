"""Direction 1: a predictor and an arithmetic coder make a compressor."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gencomp.arguments import as_bytes
from gencomp.budget import Budget
from gencomp.coding.container import BLOCK_FRAMING_BYTES, MAX_EXPANSION
from gencomp.coding.varint import read_varint, varint
from gencomp.equivalence.capabilities import decode_block, encode_block, environment_of, payload_cost
from gencomp.errors import CorruptDataError
from gencomp.protocols import Predictor


@dataclass(frozen=True)
class ArithmeticCompressor:
    """A predictor of bytes as a compressor: arithmetic coding within 2 bits of -log2 p(data).

    The code is the data's length as a varint, then the coded stream. It neither names the model nor checks itself; for
    files, there is :func:`gencomp.compress`. Raises ``ValueError`` for any alphabet but the 256 bytes, and
    :class:`~gencomp.errors.BudgetError` instead of decoding what would take more than 4 GiB of memory.
    """

    predictor: Predictor

    def __post_init__(self) -> None:
        if self.predictor.alphabet_size != 256:
            raise ValueError(
                f"a compressor of bytes needs 256 symbols, the predictor has {self.predictor.alphabet_size}"
            )

    def compress(self, data: bytes) -> bytes:
        data = as_bytes(data)
        return varint(len(data)) + encode_block(self.predictor, data)

    def decompress(self, blob: bytes) -> bytes:
        blob = as_bytes(blob, "the code")
        size, start = read_varint(blob, 0)
        payload = blob[start:]
        if size > MAX_EXPANSION * (len(payload) + BLOCK_FRAMING_BYTES):
            raise CorruptDataError(f"{len(payload)} coded bytes claim to hold {size}")
        Budget().check_memory(4 * size + payload_cost(self.predictor, payload, size).memory, f"{size:,} bytes")
        return decode_block(self.predictor, payload, size)

    def code_length(self, data: bytes) -> float:
        return 8.0 * len(self.compress(data))

    def environment(self) -> Mapping[str, Any]:
        return environment_of(self.predictor)
