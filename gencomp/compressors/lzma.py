"""LZMA1 as a raw stream, by the standard library's liblzma."""

import lzma
from dataclasses import dataclass
from typing import Any, ClassVar

from gencomp.compressors.checks import check_end, check_range, corrupt

MIN_DICTIONARY_BITS = 12
MAX_DICTIONARY_BITS = 30


@dataclass(frozen=True)
class Lzma:
    """LZMA1 without the .xz container, which pads to four bytes and adds its own checks.

    ``preset`` 0 to 9 is liblzma's search effort, ``extreme`` its slower variant; ``lc``, ``lp`` and ``pb`` are the
    numbers of literal context, literal position and position bits (lc + lp <= 4). ``dictionary_bits`` is log2 of
    the dictionary's size; by default it is the smallest that holds the data, since presets allocate up to 64 MiB,
    up to the preset's own.

    The code is one byte, the dictionary's bits, and the stream with its end marker.
    """

    preset: int = 9
    extreme: bool = False
    lc: int = 3
    lp: int = 0
    pb: int = 2
    dictionary_bits: int | None = None

    resolution: ClassVar[str] = "byte"

    def __post_init__(self) -> None:
        check_range("preset", self.preset, 0, 9)
        for name in ("lc", "lp", "pb"):
            check_range(name, getattr(self, name), 0, 4)
        if self.lc + self.lp > 4:
            raise ValueError(f"lc + lp must be at most 4, got {self.lc} + {self.lp}")
        if self.dictionary_bits is not None:
            check_range("dictionary_bits", self.dictionary_bits, MIN_DICTIONARY_BITS, MAX_DICTIONARY_BITS)

    @property
    def window(self) -> int:
        """The farthest that a match can reach back, in bytes."""
        if self.dictionary_bits is not None:
            return 1 << self.dictionary_bits
        return 1 << (18, 20, 21, 22, 22, 23, 23, 24, 25, 26)[self.preset]  # the presets' own (lzma(7))

    def _filters(self, dictionary_bits: int) -> list[dict[str, Any]]:
        preset = self.preset | (lzma.PRESET_EXTREME if self.extreme else 0)
        return [
            {
                "id": lzma.FILTER_LZMA1,
                "preset": preset,
                "dict_size": 1 << dictionary_bits,
                "lc": self.lc,
                "lp": self.lp,
                "pb": self.pb,
            }
        ]

    def compress(self, data: bytes) -> bytes:
        bits = min(max(MIN_DICTIONARY_BITS, (len(data) - 1).bit_length()), self.window.bit_length() - 1)
        return bytes([bits]) + lzma.compress(data, lzma.FORMAT_RAW, filters=self._filters(bits))

    def decompress(self, blob: bytes) -> bytes:
        if not blob or not MIN_DICTIONARY_BITS <= blob[0] <= MAX_DICTIONARY_BITS:
            raise corrupt("LZMA", "no dictionary size before it")
        stream = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=self._filters(blob[0]))
        try:
            data = stream.decompress(blob[1:])
        except (lzma.LZMAError, EOFError) as error:
            raise corrupt("LZMA", error) from error
        check_end("LZMA", stream.eof, stream.unused_data)
        return data

    def code_length(self, data: bytes) -> float:
        return 8.0 * len(self.compress(data))
