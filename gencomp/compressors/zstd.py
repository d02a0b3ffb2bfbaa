"""Zstandard, by the package zstandard."""

import functools
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import zstandard

from gencomp.arguments import as_bytes, as_pieces
from gencomp.bitstreams.zstd.frame import size_class
from gencomp.bitstreams.zstd.sizer import ZstdSizer, sizer_memory
from gencomp.bitstreams.zstd_frame import used_bits
from gencomp.bitstreams.zstd_parse import walk
from gencomp.budget import Cost, StateCost
from gencomp.compressors.checks import check_end, check_range, corrupt, in_pieces
from gencomp.cores import candidate_pool, candidate_threads
from gencomp.phrases import Parse
from gencomp.protocols import FloatArray, IntArray

CHECKED_VERSION = (1, 5, 7)  # of the library whose decisions the sizer makes
_PROBE_SIZES = ((0, 1, 150, 1100, 4000), (17_000, 40_000), (140_000,), (270_000,))  # of each class of sizes
_ROOM_BYTES = 3 << 20  # that each thread keeps for the parse of a suffix
_PIECE = 1 << 10  # bytes of a code decoded at a time; a block may take 4 and hold 2^17

_contexts = threading.local()


@functools.cache
def _probe_text(size: int) -> bytes:
    """Return ``size`` bytes of repeated words and noise."""
    generator = np.random.default_rng(8878)
    letters = generator.integers(97, 123, 3000, dtype=np.uint8).tobytes()
    starts, ends = generator.integers(0, 2900, size // 6 + 1), generator.integers(2, 9, size // 6 + 1)
    words = [letters[start : start + length] for start, length in zip(starts.tolist(), ends.tolist(), strict=True)]
    noise = generator.bytes(size // 20)
    return (b" ".join(words[: len(words) // 2]) + noise + b" ".join(words[len(words) // 3 :]))[:size]


@functools.cache
def is_reproduced(level: int, sizes: int) -> bool:
    """Return whether the sizer gives the lengths of the installed library for one class of sizes.

    Another version may take other parameters, or decide otherwise.
    """
    codec = Zstd(level)
    for size in _PROBE_SIZES[sizes]:
        prefix = _probe_text(size)
        suffixes = [b"", b"e", b"\xff", prefix[size // 3 : size // 3 + 50]][: 4 if sizes < 2 else 2]
        found = codec.sizer(prefix).bits(suffixes)
        for suffix, bits in zip(suffixes, found.tolist(), strict=True):
            if bits >= 0 and bits != used_bits(codec.compress(prefix + suffix))[0]:
                return False
    return True


@dataclass(frozen=True)
class Zstd:
    """Zstandard (RFC 8878); ``level`` 1 to 22, ``window_log`` 10 to 27 (by default the level's), ``checksum``.

    Code lengths count the bits that a frame uses, without the zeros that fill up its bitstreams, up to seven for each
    (:mod:`gencomp.bitstreams.zstd_frame`).
    """

    level: int = 19
    window_log: int | None = None
    checksum: bool = False

    resolution: ClassVar[str] = "bit"
    causal: ClassVar[bool] = True
    sharing: ClassVar[str] = "levels 1 to 12 up to 4 MiB, 13 to 22 up to 64 KiB"

    def __post_init__(self) -> None:
        check_range("level", self.level, 1, zstandard.MAX_COMPRESSION_LEVEL)
        if self.window_log is not None:
            check_range("window_log", self.window_log, 10, 27)

    @property
    def window(self) -> int:
        """The farthest that a match can reach back, in bytes."""
        if self.window_log is not None:
            return 1 << self.window_log
        return 1 << zstandard.ZstdCompressionParameters.from_level(self.level).window_log

    def compress(self, data: bytes) -> bytes:
        data = as_bytes(data)
        return self._context(len(data)).compress(data)

    def _context(self, size: int) -> zstandard.ZstdCompressor:
        """Return this thread's context for ``size`` bytes; it is kept, since all candidates have one size."""
        key = (self, size)
        if getattr(_contexts, "key", None) != key:
            parameters = self._parameters(size)
            _contexts.key, _contexts.context = key, zstandard.ZstdCompressor(compression_params=parameters)
        context: zstandard.ZstdCompressor = _contexts.context
        return context

    def _parameters(self, size: int) -> zstandard.ZstdCompressionParameters:
        options = {} if self.window_log is None else {"window_log": self.window_log}
        return zstandard.ZstdCompressionParameters.from_level(
            self.level, source_size=size, write_checksum=self.checksum, **options
        )

    def decompress(self, blob: bytes) -> bytes:
        blob = as_bytes(blob, "the code")
        stream = zstandard.ZstdDecompressor().decompressobj()
        try:
            data, rest = in_pieces("zstd", stream.decompress, lambda: stream.eof, blob, _PIECE)
        except zstandard.ZstdError as error:
            raise corrupt("zstd", error) from error
        check_end("zstd", stream.eof, stream.unused_data + rest)
        return data

    def call_cost(self, size: int) -> Cost:
        seconds = 1.5e-6 if self.level > 12 else 5e-7 if self.level > 4 else 1e-7
        return Cost(self._parameters(size).estimated_compression_context_size() + 2 * size, 2e-4 + seconds * size)

    def state_cost(self, size: int) -> StateCost:
        """Return what a scorer takes: a sizer, which copies mostly share, or else the library's work on candidates."""
        memory = sizer_memory(self.level, self.window_log, size + 1) if self.shares_work() else None
        if memory is None:
            call = self.call_cost(size + 1)
            step = 256 * (call.work + 1e-4)
            return StateCost(size, candidate_threads() * call.memory, step, step, 256 * call.kept)
        held, is_optimal = memory
        seconds, step = (8e-6, 0.1 + 2e-6 * size) if is_optimal else (4e-6, 2e-2)
        return StateCost(held, _ROOM_BYTES, 5e-3 + seconds * size, step)

    def code_length(self, data: bytes) -> float:
        return float(used_bits(self.compress(data))[0])

    def parse(self, data: bytes) -> Parse:
        """Return the literals and copies of this codec's frame of ``data``."""
        data = as_bytes(data)
        return Parse(*walk(self.compress(data), data))

    def sizer(self, prefix: bytes = b"") -> ZstdSizer:
        """Return a sizer that prices suffixes after ``prefix`` as the library's CHECKED_VERSION does."""
        return ZstdSizer(self.level, self.window_log, self.checksum, prefix)

    def begin_scoring(self, prefix: bytes = b"") -> "ZstdScorer":
        """Return the state after ``prefix``; code lengths are those of :meth:`code_length`."""
        prefix = as_bytes(prefix, "the prefix")
        return ZstdScorer(self, prefix, self.sizer(prefix))

    def shares_work(self) -> bool:
        """Return whether suffixes are priced from the prefix's parse, as the installed library would."""
        return zstandard.ZSTD_VERSION == CHECKED_VERSION or is_reproduced(self.level, 0)

    def environment(self) -> Mapping[str, str]:
        return {"zstd": ".".join(map(str, zstandard.ZSTD_VERSION))}


class ZstdScorer:
    """zstd after a prefix, which is parsed once; what the sizer cannot price as the library does is compressed."""

    def __init__(self, codec: Zstd, prefix: bytes, sizer: ZstdSizer) -> None:
        self._codec = codec
        self._prefix = prefix
        self._sizer = sizer

    def code_lengths(self, suffixes: Sequence[bytes]) -> FloatArray:
        suffixes = as_pieces(suffixes, "a suffix")
        lengths = set(map(len, suffixes))
        sizes = {length: size_class(len(self._prefix) + length) for length in lengths}
        if all(is_reproduced(self._codec.level, one) for one in set(sizes.values())):
            bits = self._sizer.bits(suffixes)
        else:
            bits = np.full(len(suffixes), -1, np.int64)
            sure = {length for length, one in sizes.items() if is_reproduced(self._codec.level, one)}
            places = [place for place, suffix in enumerate(suffixes) if len(suffix) in sure]
            bits[places] = self._sizer.bits([suffixes[place] for place in places])
        self._compress_rest(bits, suffixes)
        return bits.astype(np.float64)

    def _compress_rest(self, bits: IntArray, suffixes: Sequence[bytes]) -> None:
        rest = np.flatnonzero(bits < 0).tolist()
        if rest:
            wholes = (self._prefix + suffixes[place] for place in rest)
            bits[rest] = list(candidate_pool().map(self._codec.code_length, wholes))

    def feed(self, data: bytes) -> None:
        data = as_bytes(data)
        self._prefix += data
        self._sizer.feed(data)

    def copy(self) -> Self:
        return type(self)(self._codec, self._prefix, self._sizer.copy())
