"""gzip and zlib: one deflate bitstream (RFC 1951) in two wrappings, by the standard library's zlib."""

import functools
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from gencomp.arguments import as_bytes, as_pieces
from gencomp.bitstreams.deflate import DeflateSizer
from gencomp.bitstreams.deflate_walk import walk
from gencomp.bitstreams.zlib_stream import ZlibSizer, raw_stream
from gencomp.budget import StateCost
from gencomp.compressors import checks
from gencomp.compressors.checks import check_end, check_output, check_range, corrupt
from gencomp.phrases import Parse
from gencomp.protocols import FloatArray


@functools.cache
def _is_reproduced(level: int) -> bool:
    """Return whether the sizer gives the lengths of the installed zlib; a fork such as zlib-ng parses differently."""
    words = b"the cat sat on the mat, the dog sat on the log; "
    probe = words * 3 + bytes(number * number % 251 for number in range(700)) + words * 2
    suffixes = [b"", b"t", b"z", words]
    for size in (0, 1, 150, len(probe)):
        if (DeflateSizer(level, probe[:size]).bits(suffixes) != ZlibSizer(level, probe[:size]).bits(suffixes)).any():
            return False
    return True


class _DeflateScorer:
    """A raw deflate stream after a prefix, and the bits of the wrapping around it."""

    def __init__(self, sizer: DeflateSizer | ZlibSizer, framing_bits: int) -> None:
        self._sizer = sizer
        self._framing_bits = framing_bits

    def code_lengths(self, suffixes: Sequence[bytes]) -> FloatArray:
        bits = self._sizer.bits(as_pieces(suffixes, "a suffix"))
        return np.asarray(self._framing_bits + bits, dtype=np.float64)

    def feed(self, data: bytes) -> None:
        self._sizer.feed(as_bytes(data))

    def grow(self, data: bytes) -> FloatArray:
        """Append ``data``; return the code length after each of its bytes, float64 (n,) in bits."""
        return np.asarray(self._framing_bits + self._sizer.grow(as_bytes(data)), dtype=np.float64)

    def copy(self) -> Self:
        return type(self)(self._sizer.copy(), self._framing_bits)


@dataclass(frozen=True)
class _Deflate:
    level: int = 9

    name: ClassVar[str]
    wbits: ClassVar[int]
    framing_bytes: ClassVar[int]
    window: ClassVar[int] = 1 << 15
    resolution: ClassVar[str] = "bit"
    causal: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_range("level", self.level, 1, 9)

    def compress(self, data: bytes) -> bytes:
        data = as_bytes(data)
        stream = zlib.compressobj(self.level, zlib.DEFLATED, self.wbits)
        return stream.compress(data) + stream.flush()

    def decompress(self, blob: bytes) -> bytes:
        blob = as_bytes(blob, "the code")
        stream = zlib.decompressobj(self.wbits)
        try:
            data = stream.decompress(blob, checks.MAX_OUTPUT)
        except zlib.error as error:
            raise corrupt(self.name, error) from error
        check_output(self.name, stream.eof, len(data))
        check_end(self.name, stream.eof, stream.unused_data)
        return data

    def code_length(self, data: bytes) -> float:
        data = as_bytes(data)
        return float(8 * self.framing_bytes + ZlibSizer(self.level, data).bits([b""])[0])

    def begin_scoring(self, prefix: bytes = b"") -> _DeflateScorer:
        """Return the state after ``prefix``; code lengths are exact to the bit, the last byte not filled up."""
        sizer = DeflateSizer if _is_reproduced(self.level) else ZlibSizer
        return _DeflateScorer(sizer(self.level, as_bytes(prefix, "the prefix")), 8 * self.framing_bytes)

    def parse(self, data: bytes) -> Parse:
        """Return the literals and copies of this codec's stream of ``data``, and its blocks with their codes."""
        phrases, blocks, _ = walk(raw_stream(self.level, as_bytes(data)))
        return Parse(phrases, blocks, 8 * self.framing_bytes)

    def state_cost(self, size: int) -> StateCost:
        return StateCost(1 << 20, 4 << 20, 5e-3 + 3e-6 * size, 2.5e-2)

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
