"""bzip2, by the standard library."""

import bz2
from dataclasses import dataclass
from typing import ClassVar

from gencomp.arguments import as_bytes
from gencomp.bitstreams.bzip2_end import used_bits
from gencomp.budget import Cost
from gencomp.compressors import checks
from gencomp.compressors.checks import check_end, check_output, check_range, corrupt


@dataclass(frozen=True)
class Bz2:
    """bzip2; ``level`` 1 to 9 is the block size in units of 100,000 bytes.

    Not causal: the transform sorts a whole block, so one more byte may change the cost of all before it.
    """

    level: int = 9

    window: ClassVar[None] = None
    resolution: ClassVar[str] = "bit"
    causal: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_range("level", self.level, 1, 9)

    def compress(self, data: bytes) -> bytes:
        data = as_bytes(data)
        return bz2.compress(data, self.level)

    def decompress(self, blob: bytes) -> bytes:
        blob = as_bytes(blob, "the code")
        stream = bz2.BZ2Decompressor()
        try:
            data = stream.decompress(blob, checks.MAX_OUTPUT)
        except OSError as error:
            raise corrupt("bzip2", error) from error
        check_output("bzip2", stream.eof, len(data))
        check_end("bzip2", stream.eof, stream.unused_data)
        return data

    def call_cost(self, size: int) -> Cost:
        return Cost(10 << 20, 4e-4 + 2e-6 * size)

    def code_length(self, data: bytes) -> float:
        return float(used_bits(self.compress(data)))
