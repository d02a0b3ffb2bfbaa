"""PPMd variant H, by the package pyppmd (extra ``ppmd``)."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import ClassVar

import pyppmd

from gencomp.arguments import as_bytes
from gencomp.budget import Cost
from gencomp.coding.varint import read_varint, varint
from gencomp.compressors.checks import check_range, corrupt

_CHECK_BYTES = 4  # of the CRC-32
_PIECE = 1 << 14  # bytes encoded at a time
_LEAK_BYTES = 20_000  # that a call does not give back


@dataclass(frozen=True)
class Ppmd:
    """PPMd variant H (Shkarin 2001), as in 7-Zip; ``order`` 2 to 64, ``memory`` in MiB.

    The code is the data's length as a varint, the CRC-32 of what follows, and the range coder's stream, which has
    no end of its own. The check comes first because pyppmd's decoder is not safe on bytes that its encoder did not
    write: it accepts any, and truncated ones can crash the process.
    """

    order: int = 16
    memory: int = 64

    window: ClassVar[None] = None
    resolution: ClassVar[str] = "byte"
    causal: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_range("order", self.order, 2, 64)
        check_range("memory", self.memory, 1, 2047)

    def compress(self, data: bytes) -> bytes:
        data = as_bytes(data)
        if not data:
            return varint(0) + bytes(_CHECK_BYTES)
        encoder = pyppmd.Ppmd7Encoder(self.order, self.memory << 20)
        # pyppmd 1.3.1 can lose a byte if a call's output outgrows its first buffer of 32 KiB; no call comes near that
        pieces = (data[start : start + _PIECE] for start in range(0, len(data), _PIECE))
        stream = b"".join(bytes(encoder.encode(piece)) for piece in pieces) + bytes(encoder.flush())
        return varint(len(data)) + zlib.crc32(stream).to_bytes(_CHECK_BYTES, "little") + stream

    def decompress(self, blob: bytes) -> bytes:
        blob = as_bytes(blob, "the code")
        size, start = read_varint(blob, 0)
        check, stream = blob[start : start + _CHECK_BYTES], blob[start + _CHECK_BYTES :]
        if check != zlib.crc32(stream).to_bytes(_CHECK_BYTES, "little") or bool(size) != bool(stream):
            raise corrupt("PPMd", "its bytes fail their CRC-32")
        if not size:
            return b""
        try:
            data = bytes(pyppmd.Ppmd7Decoder(self.order, self.memory << 20).decode(stream, size))
        except (OverflowError, MemoryError) as error:
            raise corrupt("PPMd", f"it claims to hold {size} bytes") from error
        if len(data) != size:
            raise corrupt("PPMd", f"it claims to hold {size} bytes, and holds {len(data)}")
        return data

    def call_cost(self, size: int) -> Cost:
        # pyppmd 1.3.1 does not free an encoder's own structure
        return Cost((self.memory << 20) + 2 * size, 3e-4 + 3e-6 * size, kept=_LEAK_BYTES)

    def code_length(self, data: bytes) -> float:
        return 8.0 * len(self.compress(data))

    def environment(self) -> Mapping[str, str]:
        return {"pyppmd": metadata.version("pyppmd")}
