"""Where zstd splits a full block before it is parsed: where the statistics of its bytes change [zstd_preSplit.c]."""

import numpy as np

from gencomp.bitstreams.zstd.layout import LARGEST_BLOCK
from gencomp.bitstreams.zstd.memory import Bytes
from gencomp.compiled import Integer, lean_kernel, step, word
from gencomp.protocols import IntArray

# per strategy: level 0 compares only a block's ends, others each chunk, sampled ever more closely [splitLevels]
LEVELS = np.array([0, 0, 1, 2, 2, 3, 3, 4, 4, 4], dtype=np.int64)
_RATES, _HASH_BITS = (43, 11, 5, 1), (8, 9, 10, 10)
_CHUNK, _SEGMENT = 8 << 10, 512
_TABLE = 1 << 10
_RATE, _BASE, _PENALTY = 16, 14, 3  # [THRESHOLD_PENALTY_RATE, THRESHOLD_BASE, THRESHOLD_PENALTY]
EVENTS_SHAPE = (3, _TABLE)


@step
def _record(buffer: Bytes, begin: Integer, level: Integer, events: IntArray) -> Integer:
    """Count hashes of a chunk's bytes; return how many."""
    rate, bits = _RATES[level], _HASH_BITS[level]
    events[:] = 0
    for at in range(begin, begin + _CHUNK - 1, rate):
        two = word(buffer, at)
        if bits == 8:
            events[two & 0xFF] += 1
        else:
            events[(((two & 0xFFFF) * 0x9E3779B9) & 0xFFFFFFFF) >> (32 - bits)] += 1  # by Knuth's factor [hash2]
    return (_CHUNK - 1) // rate


@step
def _distance(left: IntArray, lefts: Integer, right: IntArray, rights: Integer) -> Integer:
    total = 0
    for i in range(_TABLE):
        total += abs(left[i] * rights - right[i] * lefts)
    return total


@step
def _differ(left: IntArray, lefts: Integer, right: IntArray, rights: Integer, penalty: Integer) -> Integer:
    return _distance(left, lefts, right, rights) >= lefts * rights * (_BASE + penalty) // _RATE


@step
def _count(buffer: Bytes, begin: Integer, events: IntArray) -> None:
    events[:] = 0
    for at in range(begin, begin + _SEGMENT):
        events[buffer[at]] += 1


@lean_kernel
def block_size(buffer: Bytes, begin: Integer, strategy: Integer, events: IntArray) -> Integer:
    """Return the size of the first block of the LARGEST_BLOCK bytes from ``begin`` on [ZSTD_splitBlock].

    ``events`` is scratch of EVENTS_SHAPE.
    """
    first, last, middle = events[0], events[1], events[2]
    level = LEVELS[strategy]
    if level == 0:
        _count(buffer, begin, first)
        _count(buffer, begin + LARGEST_BLOCK - _SEGMENT, last)
        if not _differ(first, _SEGMENT, last, _SEGMENT, 0):
            return LARGEST_BLOCK
        _count(buffer, begin + LARGEST_BLOCK // 2 - _SEGMENT // 2, middle)
        from_begin = _distance(first, _SEGMENT, middle, _SEGMENT)
        from_end = _distance(last, _SEGMENT, middle, _SEGMENT)
        if abs(from_begin - from_end) < _SEGMENT * _SEGMENT // 3:
            return LARGEST_BLOCK // 2
        return LARGEST_BLOCK // 4 if from_begin > from_end else LARGEST_BLOCK // 4 * 3
    total, penalty = _record(buffer, begin, level - 1, first), _PENALTY
    for at in range(_CHUNK, LARGEST_BLOCK, _CHUNK):
        new = _record(buffer, begin + at, level - 1, last)
        if _differ(first, total, last, new, penalty):
            return at
        for i in range(_TABLE):
            first[i] += last[i]
        total += new
        penalty = max(penalty - 1, 0)
    return LARGEST_BLOCK
