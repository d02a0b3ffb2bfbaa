"""The bits that a Zstandard frame uses (RFC 8878): all but what fills its bitstreams up to whole bytes.

A frame is bytes with bitstreams among them: tables of probabilities (section 4.1.1), Huffman weights (4.2.1), up to
four streams of literals, and the sequences (3.1.1.3), each filled up with zeros. Those that are read backwards end in
a marker bit, which counts, since a decoder needs it. Headers, raw blocks and repeated ones are whole bytes. So

    8 * bytes - bits = the zeros of all fillings, at most 7 for each bitstream.

Nothing has to be decoded but the tables of probabilities, which do not say how long they are.
"""

import numpy as np
import numpy.typing as npt

from gencomp.compiled import Integer, kernel
from gencomp.protocols import IntArray

Bytes = npt.NDArray[np.uint8]

# registers of a walk: the next byte; zeros that fill up; bitstreams seen; 1 if this is not a frame
AT, FILLING, BITSTREAMS, BAD = range(4)

MAGIC = 0xFD2FB528
RAW, REPEATED, COMPRESSED, TREELESS = range(4)
PREDEFINED, ONE_SYMBOL, OWN_TABLE, SAME_TABLE = range(4)


@kernel
def _little(frame: Bytes, at: Integer, size: Integer) -> Integer:
    """Return the ``size`` bytes at ``at`` as a number, the lowest first; bytes past the end are zeros."""
    value = np.int64(0)
    for i in range(size - 1, -1, -1):
        value <<= 8
        if at + i < len(frame):
            value |= np.int64(frame[at + i])
    return value


@kernel
def _backward_stream(frame: Bytes, registers: IntArray, end: Integer) -> None:
    """Take the bitstream from the position to ``end``; above the marker, its last byte has zeros."""
    if end <= registers[AT] or end > len(frame) or frame[end - 1] == 0:
        registers[BAD] = 1
        return
    last = np.int64(frame[end - 1])
    registers[BITSTREAMS] += 1
    while last < 128:
        last <<= 1
        registers[FILLING] += 1
    registers[AT] = end


@kernel
def _probabilities(frame: Bytes, registers: IntArray) -> None:
    """Take a table of probabilities (section 4.1.1), which ends when their sum is reached."""
    at = registers[AT]
    accuracy = (_little(frame, at, 1) & 15) + 5
    bit, remaining, symbols = 4, (1 << accuracy) + 1, 0
    while remaining > 1 and symbols < 256:
        width = 1
        while 1 << width <= remaining:
            width += 1
        value = (_little(frame, at + (bit >> 3), 4) >> (bit & 7)) & ((1 << width) - 1)
        spare = (1 << width) - 1 - remaining  # so many values take one bit less
        if (value & ((1 << (width - 1)) - 1)) < spare:
            value &= (1 << (width - 1)) - 1
            bit += width - 1
        else:
            if value >= 1 << (width - 1):
                value -= spare
            bit += width
        probability = value - 1  # -1 stands for less than one unit, which takes one place, too
        remaining -= abs(probability)
        symbols += 1
        if probability == 0:
            more = 3
            while more == 3 and symbols < 256:
                more = (_little(frame, at + (bit >> 3), 2) >> (bit & 7)) & 3
                bit += 2
                symbols += more
    if remaining != 1 or at + ((bit + 7) >> 3) > len(frame):
        registers[BAD] = 1
        return
    registers[AT] = at + ((bit + 7) >> 3)
    registers[FILLING] += -bit & 7
    registers[BITSTREAMS] += 1


@kernel
def _huffman_weights(frame: Bytes, registers: IntArray) -> None:
    """Take a description of a Huffman code (section 4.2.1)."""
    header = _little(frame, registers[AT], 1)
    registers[AT] += 1
    if header >= 128:
        weights = header - 127
        registers[AT] += (weights + 1) // 2
        registers[FILLING] += 4 * (weights & 1)
        registers[BITSTREAMS] += 1
        return
    end = registers[AT] + header
    _probabilities(frame, registers)
    _backward_stream(frame, registers, end)


@kernel
def _literals(frame: Bytes, registers: IntArray) -> None:
    """Take the literals section of a block (section 3.1.1.3.1)."""
    at = registers[AT]
    first = _little(frame, at, 1)
    kind, form = first & 3, (first >> 2) & 3
    if kind in (RAW, REPEATED):
        header = 1 if (form & 1) == 0 else 2 if form == 1 else 3
        size = first >> 3 if header == 1 else _little(frame, at, header) >> 4
        registers[AT] = at + header + (size if kind == RAW else 1)
        return
    header = 3 if form < 2 else form + 2
    width = 10 if form < 2 else 14 if form == 2 else 18
    coded = (_little(frame, at, header) >> (4 + width)) & ((1 << width) - 1)
    registers[AT] = at + header
    end = registers[AT] + coded
    if kind == COMPRESSED:
        _huffman_weights(frame, registers)
    if form != 0:  # four streams, the sizes of three before them
        table = registers[AT]
        registers[AT] += 6
        for i in range(3):
            _backward_stream(frame, registers, registers[AT] + _little(frame, table + 2 * i, 2))
    _backward_stream(frame, registers, end)


@kernel
def _sequences(frame: Bytes, registers: IntArray, end: Integer) -> None:
    """Take the sequences section of a block that ends at ``end`` (section 3.1.1.3.2)."""
    first = _little(frame, registers[AT], 1)
    registers[AT] += 1 if first < 128 else 2 if first < 255 else 3
    if first == 0:
        return
    modes = _little(frame, registers[AT], 1)
    registers[AT] += 1
    for shift in (6, 4, 2):
        mode = (modes >> shift) & 3
        if mode == ONE_SYMBOL:
            registers[AT] += 1
        elif mode == OWN_TABLE:
            _probabilities(frame, registers)
    _backward_stream(frame, registers, end)


@kernel
def _frame(frame: Bytes, registers: IntArray) -> None:
    """Take one whole frame (section 3.1.1)."""
    descriptor = _little(frame, 4, 1)
    one_segment = (descriptor >> 5) & 1
    sizes = descriptor >> 6
    registers[AT] = 5 + (1 - one_segment) + (0, 1, 2, 4)[descriptor & 3]
    registers[AT] += (one_segment, 2, 4, 8)[sizes]
    last = 0
    while not last and registers[AT] < len(frame) and not registers[BAD]:
        header = _little(frame, registers[AT], 3)
        last, kind, size = header & 1, (header >> 1) & 3, header >> 3
        registers[AT] += 3
        if kind == COMPRESSED:
            end = registers[AT] + size
            _literals(frame, registers)
            _sequences(frame, registers, end)
            registers[BAD] |= registers[AT] != end
        else:
            registers[AT] += size if kind == RAW else 1
    registers[AT] += 4 * ((descriptor >> 2) & 1)
    registers[BAD] |= last == 0 or registers[AT] != len(frame) or _little(frame, 0, 4) != MAGIC


def used_bits(frame: bytes) -> tuple[int, int]:
    """Return the bits that a frame uses, and the number of its bitstreams.

    Raises ``ValueError`` unless it is one complete frame.
    """
    registers = np.zeros(4, np.int64)
    _frame(np.frombuffer(frame, np.uint8), registers)
    if registers[BAD]:
        raise ValueError(f"expected one complete zstd frame, found {len(frame)} bytes that are not")
    return 8 * len(frame) - int(registers[FILLING]), int(registers[BITSTREAMS])
