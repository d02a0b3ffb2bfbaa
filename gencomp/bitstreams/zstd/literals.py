"""What the literals of a block cost (RFC 8878, section 3.1.1.3.1): raw, one byte repeated, or by a Huffman code."""

import numpy as np

from gencomp.bitstreams.zstd.huffman import (
    CODE_MODE,
    HUFFMAN_ROW,
    PARENT,
    WORDS,
    build_code,
    keep_code,
    old_code_bits,
)
from gencomp.bitstreams.zstd.layout import LAZY, LITERAL_LENGTH, MATCH_LENGTH, ULTRA
from gencomp.bitstreams.zstd.memory import Bytes, Tables, copy_to
from gencomp.compiled import Integer, lean_kernel, part, step
from gencomp.protocols import IntArray

RAW, REPEATED, COMPRESSED, TREELESS = range(4)
_SINGLE_STREAM = 256  # fewer literals are one stream, others four
_PREFER_OLD = 1024  # for so many literals or fewer, fast strategies reuse the old code without trying a new one
_SAMPLE, _SAMPLES = 4096, 10  # [SUSPECT_INCOMPRESSIBLE_SAMPLE_SIZE, ..._RATIO]
_MANY_LITERALS = 20  # literals a sequence from which on they may be noise [SUSPECT_UNCOMPRESSIBLE_LITERAL_RATIO]

# what literals cost: their kind, bits, and bytes at least and at most, since four streams are filled up one by one
KIND, LITERAL_BITS, LEAST_BYTES, MOST_BYTES = range(4)


@step
def least_gain(size: Integer, strategy: Integer) -> Integer:
    """Return how many bytes have to be saved for anything to be compressed [ZSTD_minGain]."""
    return (size >> (strategy - 1 if strategy >= ULTRA else 6)) + 2


@step
def _uncompressed(size: Integer, kind: Integer, costs: IntArray) -> None:
    header = 1 + (size > 31) + (size > 4095)
    costs[KIND] = kind
    costs[LEAST_BYTES] = costs[MOST_BYTES] = header + (size if kind == RAW else 1)
    costs[LITERAL_BITS] = 8 * costs[LEAST_BYTES]


@step
def stream_bytes(
    buffer: Bytes,
    begin: Integer,
    sequences: Tables,
    first: Integer,
    last: Integer,
    total: Integer,
    words: IntArray,
) -> Integer:
    """Return the bytes of the four streams of ``total`` literals, which lie between the matches from ``begin`` on.

    ``words`` (256,) are the lengths of the literals' words in bits.
    """
    quarter = (total + 3) // 4
    size, taken = 0, 0
    bits: Integer = 1
    at: Integer = begin
    row = first
    run = np.int64(sequences[row, LITERAL_LENGTH]) if row < last else total
    while taken < total:
        if run == 0:
            at += sequences[row, MATCH_LENGTH]
            row += 1
            run = np.int64(sequences[row, LITERAL_LENGTH]) if row < last else total
            continue
        bits += words[buffer[at]]
        at += 1
        run -= 1
        taken += 1
        if taken % quarter == 0 or taken == total:
            size += (bits + 7) >> 3
            bits = 1
    return size


@part
def _looks_like_noise(
    buffer: Bytes, begin: Integer, sequences: Tables, first: Integer, last: Integer, total: Integer, counts: IntArray
) -> Integer:
    """Tell whether no byte is frequent in the first and the last _SAMPLE literals."""
    most = 0
    for side in range(2):
        counts[:256] = 0
        skip = 0 if side == 0 else total - _SAMPLE
        taken: Integer = np.int64(0)
        at, row = begin, first
        run = np.int64(sequences[row, LITERAL_LENGTH]) if row < last else total
        while taken < skip + _SAMPLE:
            if run == 0:
                at += sequences[row, MATCH_LENGTH]
                row += 1
                run = np.int64(sequences[row, LITERAL_LENGTH]) if row < last else total
                continue
            jump = min(run, skip - taken)
            if jump <= 0:
                counts[buffer[at]] += 1
                jump = 1
            at += jump
            run -= jump
            taken += jump
        largest: Integer = np.int64(0)
        for symbol in range(256):
            largest = max(largest, counts[symbol])
        most += largest
    return most <= ((2 * _SAMPLE) >> 7) + 4


@lean_kernel
def literals_cost(
    buffer: Bytes,
    begin: Integer,
    sequences: Tables,
    first: Integer,
    last: Integer,
    counts: IntArray,
    total: Integer,
    strategy: Integer,
    before: IntArray,
    after: IntArray,
    scratch: IntArray,
    exact: Integer,
    costs: IntArray,
) -> None:
    """Set ``costs`` for ``total`` literals, which ``counts`` (256,) counts [ZSTD_compressLiterals].

    They begin at ``begin``, between the matches of rows ``first`` to ``last``. ``before`` and ``after`` are the codes
    of the block before and of this one, (HUFFMAN_ROW,). If ``exact``, ``after`` is set, and the bytes are exact.
    """
    # In one piece: zstd weighs an old code, a new one and none in this order, and stops as soon as it knows.
    if exact:
        copy_to(after, before)
    if total < 8 << min(9 - strategy, 3):
        _uncompressed(total, RAW, costs)
        return
    rows = last - first
    suspect = rows == 0 or total // rows >= _MANY_LITERALS
    suspect &= total >= _SAMPLE * _SAMPLES
    if suspect and _looks_like_noise(buffer, begin, sequences, first, last, total, scratch[PARENT]):
        _uncompressed(total, RAW, costs)
        return
    highest, most = 255, np.int64(0)
    while (counts[highest] | counts[highest - 1] | counts[highest - 2] | counts[highest - 3]) == 0:
        highest -= 4
    while counts[highest] == 0:
        highest -= 1
    for symbol in range(256):
        most = max(most, counts[symbol])
    if most == total:
        _uncompressed(total, REPEATED, costs)
        return
    if most <= (total >> 7) + 4:
        _uncompressed(total, RAW, costs)
        return
    old = old_code_bits(before, counts, highest)
    prefer_old = strategy < LAZY and total <= _PREFER_OLD
    use_old, bits, told, told_size, present = False, 0, 0, 0, 0
    if prefer_old and old >= 0:
        use_old = True
    else:
        present, bits, told, told_size = build_code(counts, highest, total, strategy >= ULTRA, scratch)
        if told_size < 0:
            _uncompressed(total, RAW, costs)
            return
        if old >= 0 and (old >> 3 <= told_size + (bits >> 3) or told_size + 12 >= total):
            use_old = True
        elif told_size + 12 >= total:
            _uncompressed(total, RAW, costs)
            return
    if use_old:
        bits, told, told_size = old, 0, 0
    four = total >= _SINGLE_STREAM
    header = 3 + (total >= 1 << 10) + (total >= 1 << 14)
    if not four:
        least = most_bytes = told_size + ((bits + 1 + 7) >> 3)
    else:
        least, most_bytes = told_size + 6 + ((bits + 4 + 7) >> 3), told_size + 6 + ((bits + 4 + 28) >> 3)
    limit = total - least_gain(total, strategy)
    if four and (exact or least < limit <= most_bytes):
        if not use_old:
            keep_code(present, highest, scratch, scratch[PARENT])
            words = scratch[PARENT, WORDS:HUFFMAN_ROW]
        else:
            words = before[WORDS:HUFFMAN_ROW]
        least = told_size + 6 + stream_bytes(buffer, begin, sequences, first, last, total, words)
        most_bytes = least
    if least >= limit:
        _uncompressed(total, RAW, costs)
        return
    costs[KIND] = TREELESS if use_old else COMPRESSED
    costs[LITERAL_BITS] = 8 * header + told + bits + (8 * 6 + 4 if four else 1)
    costs[LEAST_BYTES], costs[MOST_BYTES] = header + least, header + most_bytes
    if exact and not use_old:
        if four:
            copy_to(after, scratch[PARENT])
        else:
            keep_code(present, highest, scratch, after)
        after[CODE_MODE] = 1
