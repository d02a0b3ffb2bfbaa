"""PPMd variant H, by the package pyppmd (extra ``ppmd``)."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import ClassVar

import pyppmd

from gencomp.coding.varint import read_varint, varint
from gencomp.compressors.checks import check_range, corrupt


@dataclass(frozen=True)
class Ppmd:
    """PPMd variant H (Shkarin 2001), as in 7-Zip; ``order`` 2 to 64, ``memory`` in MiB.

    The code is the data's length as a varint and the range coder's stream, which has no end of its own.
    """

    order: int = 16
    memory: int = 64

    window: ClassVar[None] = None
    resolution: ClassVar[str] = "byte"

    def __post_init__(self) -> None:
        check_range("order", self.order, 2, 64)
        check_range("memory", self.memory, 1, 2047)

    def compress(self, data: bytes) -> bytes:
        if not data:
            return varint(0)
        encoder = pyppmd.Ppmd7Encoder(self.order, self.memory << 20)
        return varint(len(data)) + bytes(encoder.encode(data)) + bytes(encoder.flush())

    def decompress(self, blob: bytes) -> bytes:
        size, start = read_varint(blob, 0)
        try:
            decoder = pyppmd.Ppmd7Decoder(self.order, self.memory << 20)
            data = bytes(decoder.decode(blob[start:], size)) if size else b""
        except (pyppmd.PpmdError, ValueError, OverflowError, MemoryError, SystemError) as error:
            raise corrupt("PPMd", error) from error
        if self.compress(data) != blob:  # its decoder accepts any bytes
            raise corrupt("PPMd", f"{len(data)} of {size} bytes decoded, and they have another code")
        return data

    def code_length(self, data: bytes) -> float:
        return 8.0 * len(self.compress(data))

    def environment(self) -> Mapping[str, str]:
        return {"pyppmd": metadata.version("pyppmd")}
