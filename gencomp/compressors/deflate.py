"""gzip and zlib: one deflate bitstream (RFC 1951) in two wrappings, by the standard library's zlib."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from gencomp.compressors.checks import check_range, corrupt
from gencomp.protocols import FloatArray

# zlib closes a block of its own accord once it holds this many symbols (memLevel 8)
_SYMBOLS_PER_BLOCK = 16383


class _DeflateScorer:
    """A raw deflate stream after a prefix; a suffix is tried on a copy of zlib's state."""

    def __init__(self, stream: "zlib._Compress", framing_bits: int, read: int = 0, written: int = 0) -> None:
        self._stream = stream
        self._framing_bits = framing_bits
        self._read = read
        self._written = written

    def _bits_with(self, suffix: bytes) -> int:
        """Return the exact bits of the raw stream that ends after ``suffix``.

        Z_BLOCK closes the block to the bit. Z_FINISH then adds an empty static block, in order of transmission a 1, a 1
        and eight zeros: the last bit set in the output is the second of these ten.
        """
        trial = self._stream.copy()
        before = trial.compress(suffix)
        whole = trial.copy() if self._may_close_early(suffix) else None
        tail = before + trial.flush(zlib.Z_BLOCK) + trial.flush()
        size = len(tail.rstrip(b"\0"))
        bits = 8 * (self._written + size - 1) + tail[size - 1].bit_length() - 2
        if whole is not None and (bits + 7) // 8 < self._written + len(before + whole.flush()):
            return bits + 10  # the data ended with a full block: a real stream has the empty one too
        return bits

    def _may_close_early(self, suffix: bytes) -> bool:
        size = self._read + len(suffix)
        return size == 0 or size >= _SYMBOLS_PER_BLOCK

    def code_lengths(self, suffixes: Sequence[bytes]) -> FloatArray:
        return np.array([self._framing_bits + self._bits_with(suffix) for suffix in suffixes], dtype=np.float64)

    def feed(self, data: bytes) -> None:
        self._written += len(self._stream.compress(data))
        self._read += len(data)

    def copy(self) -> Self:
        return type(self)(self._stream.copy(), self._framing_bits, self._read, self._written)


@dataclass(frozen=True)
class _Deflate:
    level: int = 9

    name: ClassVar[str]
    wbits: ClassVar[int]
    framing_bytes: ClassVar[int]
    window: ClassVar[int] = 1 << 15
    resolution: ClassVar[str] = "bit"

    def __post_init__(self) -> None:
        check_range("level", self.level, 1, 9)

    def compress(self, data: bytes) -> bytes:
        stream = zlib.compressobj(self.level, zlib.DEFLATED, self.wbits)
        return stream.compress(data) + stream.flush()

    def decompress(self, blob: bytes) -> bytes:
        stream = zlib.decompressobj(self.wbits)
        try:
            data = stream.decompress(blob) + stream.flush()
        except zlib.error as error:
            raise corrupt(self.name, error) from error
        if not stream.eof or stream.unused_data:
            raise corrupt(self.name, "it ends early" if not stream.eof else "bytes follow its end")
        return data

    def code_length(self, data: bytes) -> float:
        return float(self.begin_scoring(data).code_lengths([b""])[0])

    def begin_scoring(self, prefix: bytes = b"") -> _DeflateScorer:
        """Return the state after ``prefix``; code lengths are exact to the bit, the last byte not filled up."""
        scorer = _DeflateScorer(zlib.compressobj(self.level, zlib.DEFLATED, -15), 8 * self.framing_bytes)
        scorer.feed(prefix)
        return scorer

    def environment(self) -> Mapping[str, str]:
        return {"zlib": zlib.ZLIB_RUNTIME_VERSION}


@dataclass(frozen=True)
class Gzip(_Deflate):
    """gzip (RFC 1952), ``level`` 1 to 9; header without time or name, so the same data gives the same bytes."""

    name: ClassVar[str] = "gzip"
    wbits: ClassVar[int] = 31
    framing_bytes: ClassVar[int] = 18


@dataclass(frozen=True)
class Zlib(_Deflate):
    """zlib (RFC 1950), ``level`` 1 to 9."""

    name: ClassVar[str] = "zlib"
    wbits: ClassVar[int] = 15
    framing_bytes: ClassVar[int] = 6
