"""LZMA2 in the .xz container, by the standard library: what `xz` and Python's ``lzma.compress`` write."""

import lzma
from dataclasses import dataclass
from typing import Any, ClassVar

from gencomp.arguments import as_bytes
from gencomp.budget import Cost
from gencomp.compressors import checks
from gencomp.compressors.checks import check_end, check_output, check_range, corrupt
from gencomp.compressors.lzma import encoder_cost

MIN_DICTIONARY_BITS = 12


@dataclass(frozen=True)
class Xz:
    """LZMA2 as an .xz file; ``preset`` 0 to 9 is liblzma's search effort, ``extreme`` its slower variant.

    The paper's LZMA2. For what the model knows, ``lzma`` tells more: this container takes 60 bytes or more, rounds
    to four bytes, and LZMA2 stores what it cannot shorten. The dictionary is no larger than the data needs.
    """

    preset: int = 9
    extreme: bool = False

    resolution: ClassVar[str] = "byte"

    def __post_init__(self) -> None:
        check_range("preset", self.preset, 0, 9)

    @property
    def window(self) -> int:
        """The farthest that a match can reach back, in bytes."""
        return 1 << self._dictionary_bits

    @property
    def _dictionary_bits(self) -> int:
        return (18, 20, 21, 22, 22, 23, 23, 24, 25, 26)[self.preset]  # the presets' own (xz(1))

    def compress(self, data: bytes) -> bytes:
        data = as_bytes(data)
        preset = self.preset | (lzma.PRESET_EXTREME if self.extreme else 0)
        bits = min(max(MIN_DICTIONARY_BITS, (len(data) - 1).bit_length()), self._dictionary_bits)
        filters: list[dict[str, Any]] = [{"id": lzma.FILTER_LZMA2, "preset": preset, "dict_size": 1 << bits}]
        return lzma.compress(data, lzma.FORMAT_XZ, filters=filters)

    def decompress(self, blob: bytes) -> bytes:
        blob = as_bytes(blob, "the code")
        stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=checks.MAX_OUTPUT)
        try:
            data = stream.decompress(blob, checks.MAX_OUTPUT)
        except (lzma.LZMAError, EOFError) as error:
            raise corrupt("xz", error) from error
        check_output("xz", stream.eof, len(data))
        check_end("xz", stream.eof, stream.unused_data)
        return data

    def call_cost(self, size: int) -> Cost:
        bits = min(max(MIN_DICTIONARY_BITS, size.bit_length()), self._dictionary_bits)
        return encoder_cost(bits, size, extreme=self.extreme)

    def code_length(self, data: bytes) -> float:
        return 8.0 * len(self.compress(data))
