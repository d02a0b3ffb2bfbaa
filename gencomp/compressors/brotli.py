"""Brotli, by the package brotli."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import brotli

from gencomp.arguments import as_bytes
from gencomp.bitstreams.brotli_walk import used_bits
from gencomp.budget import Cost
from gencomp.compressors.checks import check_end, check_range, corrupt, in_pieces

_PIECE = 1 << 6  # bytes of a code decoded at a time; a few may hold 2^24

_MODES = {"generic": brotli.MODE_GENERIC, "text": brotli.MODE_TEXT, "font": brotli.MODE_FONT}


@dataclass(frozen=True)
class Brotli:
    """Brotli (RFC 7932); ``quality`` 0 to 11, ``window_bits`` 10 to 24, ``mode`` generic, text or font.

    Its built-in dictionary of 122,784 bytes of common words and markup acts as a context that other codecs lack.
    """

    quality: int = 11
    window_bits: int = 22
    mode: Literal["generic", "text", "font"] = "generic"

    resolution: ClassVar[str] = "bit"
    causal: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_range("quality", self.quality, 0, 11)
        check_range("window_bits", self.window_bits, 10, 24)
        if self.mode not in _MODES:
            raise ValueError(f"mode must be one of {', '.join(_MODES)}, got {self.mode!r}")

    @property
    def window(self) -> int:
        """The farthest that a match can reach back, in bytes (RFC 7932, section 9.1)."""
        return (1 << self.window_bits) - 16

    def compress(self, data: bytes) -> bytes:
        data = as_bytes(data)
        return bytes(brotli.compress(data, mode=_MODES[self.mode], quality=self.quality, lgwin=self.window_bits))

    def decompress(self, blob: bytes) -> bytes:
        blob = as_bytes(blob, "the code")
        stream = brotli.Decompressor()
        try:
            data, rest = in_pieces("brotli", stream.process, stream.is_finished, blob, _PIECE)
        except brotli.error as error:
            raise corrupt("brotli", error) from error
        check_end("brotli", stream.is_finished(), rest)
        return data

    def call_cost(self, size: int) -> Cost:
        if self.quality >= 10:
            return Cost((64 << 20) + 64 * size, 4e-3 + 1.5e-5 * size)
        # the hash tables of the middle qualities are cleared for the data's size, up to all of them
        return Cost((64 << 20) + 16 * size, 4e-4 + 1.2e-5 * min(size, 4096) + 2e-6 * size)

    def code_length(self, data: bytes) -> float:
        data = as_bytes(data)
        return float(used_bits(self.compress(data), data))

    def environment(self) -> Mapping[str, str]:
        return {"brotli": brotli.__version__}
