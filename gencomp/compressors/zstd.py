"""Zstandard, by the package zstandard."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import zstandard

from gencomp.arguments import as_bytes
from gencomp.bitstreams.zstd_frame import used_bits
from gencomp.compressors.checks import check_end, check_range, corrupt

_contexts = threading.local()


@dataclass(frozen=True)
class Zstd:
    """Zstandard (RFC 8878); ``level`` 1 to 22, ``window_log`` 10 to 27 (by default the level's), ``checksum``.

    Code lengths count the bits that a frame uses: without the zeros that fill up each of its bitstreams, so that they
    are up to seven bits shorter for each than the frame's bytes (:mod:`gencomp.bitstreams.zstd_frame`).
    """

    level: int = 19
    window_log: int | None = None
    checksum: bool = False

    resolution: ClassVar[str] = "bit"
    causal: ClassVar[bool] = True

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
        """Return this thread's context for ``size`` bytes; it is kept, since candidates are all of one size."""
        key = (self, size)
        if getattr(_contexts, "key", None) != key:
            options = {} if self.window_log is None else {"window_log": self.window_log}
            parameters = zstandard.ZstdCompressionParameters.from_level(
                self.level, source_size=size, write_checksum=self.checksum, **options
            )
            _contexts.key, _contexts.context = key, zstandard.ZstdCompressor(compression_params=parameters)
        context: zstandard.ZstdCompressor = _contexts.context
        return context

    def decompress(self, blob: bytes) -> bytes:
        blob = as_bytes(blob, "the code")
        stream = zstandard.ZstdDecompressor().decompressobj()
        try:
            data = stream.decompress(blob)
        except zstandard.ZstdError as error:
            raise corrupt("zstd", error) from error
        check_end("zstd", stream.eof, stream.unused_data)
        return data

    def code_length(self, data: bytes) -> float:
        return float(used_bits(self.compress(data))[0])

    def environment(self) -> Mapping[str, str]:
        return {"zstd": ".".join(map(str, zstandard.ZSTD_VERSION))}
