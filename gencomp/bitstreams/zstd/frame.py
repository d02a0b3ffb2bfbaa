"""The parameters of a level for data of some size, and what a frame's header costs (RFC 8878, section 3.1.1.1)."""

from functools import lru_cache

import zstandard

from gencomp.bitstreams.zstd.layout import GREEDY, LARGEST_BLOCK, LAZY2, TREE_LAZY2

_LEAST_WINDOW_LOG, _LEAST_HASH_LOG = 10, 6
_LARGEST_ROW_HASH = 24  # bits of a hash that choose a row
_SMALLEST_ROWS_WINDOW = 15  # log2; rows are not used in smaller windows


@lru_cache(maxsize=64)
def _level(level: int, size: int, window_log: int | None) -> tuple[int, ...]:
    options = {} if window_log is None else {"window_log": window_log}
    told = zstandard.ZstdCompressionParameters.from_level(level, source_size=size, **options)
    return (
        told.window_log,
        told.chain_log,
        told.hash_log,
        told.search_log,
        told.min_match,
        told.target_length,
        told.strategy,
    )


def parameters_of(level: int, size: int, window_log: int | None) -> tuple[int, ...]:
    """Return the library's parameters for ``size`` bytes, PARAMETERS numbers.

    They are those of the level, fitted to the size once more [ZSTD_adjustCParams_internal].
    """
    window, chain, hashes, searches, shortest, target, strategy = _level(level, size, window_log)
    needed = max(size - 1, (1 << _LEAST_HASH_LOG) - 1).bit_length()
    window = min(window, needed)
    hashes = min(hashes, window + 1)
    chain -= max(chain - (strategy >= TREE_LAZY2) - window, 0)
    window = max(window, _LEAST_WINDOW_LOG)
    rows = GREEDY <= strategy <= LAZY2
    if rows:
        hashes = min(hashes, _LARGEST_ROW_HASH + min(max(searches, 4), 6))
    rows = rows and window >= _SMALLEST_ROWS_WINDOW
    return window, chain, hashes, searches, shortest, target, strategy, int(rows)


def largest_block(size: int, window_log: int) -> int:
    """Return how many bytes of ``size`` a block can hold."""
    return min(LARGEST_BLOCK, max(1, min(size, 1 << window_log)))


def header_bytes(size: int, window_log: int) -> int:
    """Return the bytes of a frame's header, magic number included."""
    one_segment = size <= 1 << window_log
    size_bytes = 1 if one_segment and size < 256 else 0
    if size >= 256:
        size_bytes = 2 if size < 65536 + 256 else 4
    return 4 + 1 + (not one_segment) + size_bytes  # magic number, descriptor, window, size


def size_class(size: int) -> int:
    """Return which of the library's four tables of levels is for data of ``size`` bytes, 0 for the smallest data."""
    return sum(size > limit for limit in (16 << 10, 128 << 10, 256 << 10))
