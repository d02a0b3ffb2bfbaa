"""What zlib itself says about the length of its streams: exact to the bit, with the standard library alone."""

import zlib
from collections.abc import Sequence
from typing import Self

import numpy as np

from gencomp.bitstreams.zlib_constants import SYMBOLS_PER_BLOCK
from gencomp.protocols import IntArray

_RAW = -15  # zlib's wbits of a stream without a header, 15 bits of window
_EMPTY_BLOCK_BITS = 10  # of an empty static block: its type, and the code word of END_BLOCK


def raw_stream(level: int, data: bytes) -> bytes:
    """Return zlib's deflate stream of ``data`` in one call, without header."""
    stream = zlib.compressobj(level, zlib.DEFLATED, _RAW)
    return stream.compress(data) + stream.flush()


class ZlibSizer:
    """A raw deflate stream after a prefix; a suffix is tried on a copy of zlib's state.

    When zlib slides its window depends on how it is fed, so a prefix fed in pieces may, rarely, be coded differently
    than in one piece. ``ZlibSizer(level, data).bits([b""])`` is what one call of zlib gives.
    """

    def __init__(self, level: int, prefix: bytes = b"") -> None:
        self._stream = zlib.compressobj(level, zlib.DEFLATED, _RAW)
        self._read = 0
        self._written = 0
        self.feed(prefix)

    def bits(self, suffixes: Sequence[bytes]) -> IntArray:
        """Return the bits of the stream that ends after each suffix, int64 (n,), the last byte not filled up."""
        return np.array([self._bits_with(suffix) for suffix in suffixes], dtype=np.int64)

    def grow(self, data: bytes) -> IntArray:
        """Append ``data``; return the bits of the stream that ends after each of its bytes, int64 (n,)."""
        bits = np.empty(len(data), dtype=np.int64)
        for place in range(len(data)):
            self.feed(data[place : place + 1])
            bits[place] = self._bits_with(b"")
        return bits

    def feed(self, data: bytes) -> None:
        self._written += len(self._stream.compress(data))
        self._read += len(data)

    def copy(self) -> Self:
        twin = type(self).__new__(type(self))
        twin._stream, twin._read, twin._written = self._stream.copy(), self._read, self._written
        return twin

    def _bits_with(self, suffix: bytes) -> int:
        """Return the exact bits of the raw stream that ends after ``suffix``.

        Z_BLOCK closes the block to the bit. Z_FINISH then adds an empty static block, which is, in order of
        transmission, a 1, a 1 and eight zeros. So the last bit that is set in the output is the second of these ten.
        """
        trial = self._stream.copy()
        before = trial.compress(suffix)
        whole = trial.copy() if self._may_close_early(suffix) else None
        tail = before + trial.flush(zlib.Z_BLOCK) + trial.flush()
        size = len(tail.rstrip(b"\0"))
        bits = 8 * (self._written + size - 1) + tail[size - 1].bit_length() - 2
        if whole is not None and (bits + 7) // 8 < self._written + len(before + whole.flush()):
            # the data ended with a full block, after which a real stream has the empty one, too
            return bits + _EMPTY_BLOCK_BITS
        return bits

    def _may_close_early(self, suffix: bytes) -> bool:
        size = self._read + len(suffix)
        return size == 0 or size >= SYMBOLS_PER_BLOCK
