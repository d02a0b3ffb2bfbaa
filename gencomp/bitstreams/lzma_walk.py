"""What an LZMA1 stream costs, to a fraction of a bit: the interval that its range coder ends in.

This is a decoder's walk over a raw stream with an end marker (the LZMA specification; there is no RFC). Each decision
narrows the coder's interval by its current probability. When less than 2^24 is left, a byte is shifted out. After s
such bytes, with a range of r left, the code's length is

    8 s + 32 - log2(r) bits, and the 32 bits by which the encoder names a point in the interval.

The stream, whose first byte is always zero, is this length rounded up to whole bytes. The logarithm is computed in
integers, rounded up to 1/65536 bit, so that it is the same on any machine.
"""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from gencomp.bitstreams.lzma import constants as lzma
from gencomp.bitstreams.lzma import probabilities as prob
from gencomp.bitstreams.lzma.state import after_literal, after_match, after_rep, after_short_rep, dist_state
from gencomp.bitstreams.similar_blocks import copy_to
from gencomp.compiled import Integer, fragment, kernel, lean_kernel
from gencomp.protocols import IntArray

Bytes = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.int16]

# registers of a walk
RANGE, CODE, AT, SHIFTS, STATE, SIZE, ENDED = range(7)
REP = 7  # the four last distances, less one
REGISTERS = 11

END_DISTANCE = (1 << 32) - 1
LONGEST_SYMBOL = 24  # bytes: 22 decisions of 6.1 bits at most, as probabilities are 31/2048 or more, and 26 direct bits
FRACTION_BITS = 16
FLUSH_BITS = 32
FIRST_BYTES = 5  # a zero, and the code's first four
LITERAL_KIND, MATCH_KIND, REPEAT_KIND = range(3)  # of a symbol; a repeat's distance is one of the last four


class Walk(NamedTuple):
    """A decoder somewhere in a stream: probabilities in 1/2048, int16; registers, int64; the data so far, uint8."""

    probabilities: Probabilities
    registers: IntArray
    data: Bytes


@kernel
def _start(walk: Walk) -> None:
    walk.probabilities[:] = lzma.PROB_INIT
    registers = walk.registers
    registers[:] = 0
    registers[RANGE] = (1 << 32) - 1


@fragment
def _normalise(registers: IntArray, stream: Bytes) -> None:
    """Shift the next byte in if the range is below RC_TOP_VALUE (rc_normalize)."""
    if registers[RANGE] < lzma.RC_TOP_VALUE:
        registers[RANGE] <<= lzma.RC_SHIFT_BITS
        registers[CODE] = (registers[CODE] << lzma.RC_SHIFT_BITS) | np.int64(stream[registers[AT]])
        registers[AT] += 1
        registers[SHIFTS] += 1


@fragment
def _bit(probabilities: Probabilities, registers: IntArray, stream: Bytes, index: Integer) -> Integer:
    """Read a bit by the probability at ``index`` that it is 0, which learns from it (rc_bit).

    Before and after, 0 <= code < range < 2^32, code being the stream's value less the interval's lower end.
    """
    # as the step that takes the time, it keeps the range and the code in local variables
    width, code = registers[RANGE], registers[CODE]
    if width < lzma.RC_TOP_VALUE:
        width <<= lzma.RC_SHIFT_BITS
        code = (code << lzma.RC_SHIFT_BITS) | np.int64(stream[registers[AT]])
        registers[AT] += 1
        registers[SHIFTS] += 1
    probability = np.int64(probabilities[index])
    bound = (width >> lzma.RC_BIT_MODEL_TOTAL_BITS) * probability
    if code < bound:
        probabilities[index] = probability + ((lzma.RC_BIT_MODEL_TOTAL - probability) >> lzma.RC_MOVE_BITS)
        registers[RANGE], registers[CODE] = bound, code
        return 0
    probabilities[index] = probability - (probability >> lzma.RC_MOVE_BITS)
    registers[RANGE], registers[CODE] = width - bound, code - bound
    return 1


@kernel
def _tree(probabilities: Probabilities, registers: IntArray, stream: Bytes, base: Integer, bits: Integer) -> Integer:
    """Read ``bits`` bits, the highest first, each by those before it."""
    node = 1
    for _ in range(bits):
        node = (node << 1) | _bit(probabilities, registers, stream, base + node)
    return node - (1 << bits)


@kernel
def _reverse_tree(
    probabilities: Probabilities, registers: IntArray, stream: Bytes, base: Integer, bits: Integer
) -> Integer:
    node, value = 1, 0
    for i in range(bits):
        bit = _bit(probabilities, registers, stream, base + node)
        node = (node << 1) | bit
        value |= bit << i
    return value


@kernel
def _direct(probabilities: Probabilities, registers: IntArray, stream: Bytes, bits: Integer) -> Integer:
    """Read bits of probability 1/2, the highest first."""
    value = 0
    for _ in range(bits):
        _normalise(registers, stream)
        registers[RANGE] >>= 1
        bit = registers[CODE] >= registers[RANGE]
        if bit:
            registers[CODE] -= registers[RANGE]
        value = (value << 1) | bit
    return value


@kernel
def _length(probabilities: Probabilities, registers: IntArray, stream: Bytes, base: Integer, phase: Integer) -> Integer:
    shortest = lzma.MATCH_LEN_MIN
    if not _bit(probabilities, registers, stream, base + prob.LEN_CHOICE):
        low = base + prob.LEN_LOW + lzma.LEN_LOW_SYMBOLS * phase
        return shortest + _tree(probabilities, registers, stream, low, lzma.LEN_LOW_BITS)
    shortest += lzma.LEN_LOW_SYMBOLS
    if not _bit(probabilities, registers, stream, base + prob.LEN_CHOICE2):
        middle = base + prob.LEN_MID + lzma.LEN_MID_SYMBOLS * phase
        return shortest + _tree(probabilities, registers, stream, middle, lzma.LEN_MID_BITS)
    shortest += lzma.LEN_MID_SYMBOLS
    return shortest + _tree(probabilities, registers, stream, base + prob.LEN_HIGH, lzma.LEN_HIGH_BITS)


@kernel
def _distance(probabilities: Probabilities, registers: IntArray, stream: Bytes, length: Integer) -> Integer:
    slots = prob.DIST_SLOT + lzma.DIST_SLOTS * dist_state(length)
    slot = _tree(probabilities, registers, stream, slots, lzma.DIST_SLOT_BITS)
    if slot < lzma.DIST_MODEL_START:
        return slot
    bits = (slot >> 1) - 1
    distance = (2 | (slot & 1)) << bits
    if slot < lzma.DIST_MODEL_END:
        return distance + _reverse_tree(probabilities, registers, stream, prob.DIST_SPECIAL + distance - slot - 1, bits)
    distance += _direct(probabilities, registers, stream, bits - lzma.ALIGN_BITS) << lzma.ALIGN_BITS
    return distance + _reverse_tree(probabilities, registers, stream, prob.DIST_ALIGN, lzma.ALIGN_BITS)


@kernel
def _literal(walk: Walk, stream: Bytes, lc: Integer, lp: Integer) -> None:
    probabilities, registers, data = walk.probabilities, walk.registers, walk.data
    size, state = registers[SIZE], registers[STATE]
    before = np.int64(data[size - 1]) if size > 0 else 0
    coder = prob.LITERAL + lzma.LITERAL_CODER_SIZE * (((size & ((1 << lp) - 1)) << lc) + (before >> (8 - lc)))
    node = 1
    if state >= lzma.LIT_STATES:  # after a match: while the bits are those of the byte that it would have gone on with
        matched = np.int64(data[size - registers[REP] - 1])
        while node < 256:
            matched <<= 1
            expected = matched & 256
            bit = _bit(probabilities, registers, stream, coder + 256 + expected + node)
            node = (node << 1) | bit
            if bit != expected >> 8:
                break
    while node < 256:
        node = (node << 1) | _bit(probabilities, registers, stream, coder + node)
    data[size] = node - 256
    registers[SIZE] = size + 1
    registers[STATE] = after_literal(state)


@kernel
def _matched_length(probabilities: Probabilities, registers: IntArray, stream: Bytes, phase: Integer) -> Integer:
    """Read a match; its distance becomes the first of the four. Return its length, 0 for the end marker."""
    state = registers[STATE]
    if not _bit(probabilities, registers, stream, prob.IS_REP + state):
        for i in range(lzma.REPS - 1, 0, -1):
            registers[REP + i] = registers[REP + i - 1]
        length = _length(probabilities, registers, stream, prob.MATCH_LEN, phase)
        registers[REP] = _distance(probabilities, registers, stream, length)
        registers[STATE] = after_match(state)
        return 0 if registers[REP] == END_DISTANCE else length
    if not _bit(probabilities, registers, stream, prob.IS_REP0 + state):
        if not _bit(probabilities, registers, stream, prob.IS_REP0_LONG + lzma.POS_STATES_MAX * state + phase):
            registers[STATE] = after_short_rep(state)
            return 1
    else:
        which = 1
        if _bit(probabilities, registers, stream, prob.IS_REP1 + state):
            which = 2 + _bit(probabilities, registers, stream, prob.IS_REP2 + state)
        distance = registers[REP + which]
        for i in range(which, 0, -1):
            registers[REP + i] = registers[REP + i - 1]
        registers[REP] = distance
    registers[STATE] = after_rep(state)
    return _length(probabilities, registers, stream, prob.REP_LEN, phase)


@kernel
def _symbol(walk: Walk, stream: Bytes, lc: Integer, lp: Integer, pb: Integer) -> Integer:
    """Read one symbol; return False on bad data."""
    probabilities, registers, data = walk.probabilities, walk.registers, walk.data
    size = registers[SIZE]
    phase = size & ((1 << pb) - 1)
    if not _bit(probabilities, registers, stream, prob.IS_MATCH + lzma.POS_STATES_MAX * registers[STATE] + phase):
        if size == len(data):
            return False
        _literal(walk, stream, lc, lp)
        return True
    length = _matched_length(probabilities, registers, stream, phase)
    if length == 0:
        _normalise(registers, stream)  # as a decoder does last, and the encoder before it flushes
        registers[ENDED] = 1
        return True
    distance = registers[REP] + 1
    if distance > size or size + length > len(data):
        return False
    for i in range(size, size + length):
        data[i] = data[i - distance]
    registers[SIZE] = size + length
    return True


@lean_kernel
def minus_log2(width: Integer) -> Integer:
    """Return 32 - log2(width) in 1/65536 bit, rounded up, for 2^24 <= width < 2^32."""
    # unlike in coding.logarithm, the mantissa has 31 fractional bits, and the result is rounded up
    whole = 31
    while width >> whole == 0:
        whole -= 1
    # in [2^31, 2^32): the carry of its square is the next bit of the logarithm; the square of its half is below 2^62
    mantissa = width << (31 - whole)
    logarithm = whole
    for _ in range(FRACTION_BITS):
        mantissa = ((mantissa >> 1) * (mantissa >> 1)) >> 29
        logarithm <<= 1
        if mantissa >> 32:
            logarithm += 1
            mantissa >>= 1
    return (32 << FRACTION_BITS) - logarithm


@kernel
def _walk_on(walk: Walk, stream: Bytes, stop: Integer, lc: Integer, lp: Integer, pb: Integer) -> Integer:
    """Read symbols up to the end marker or until ``stop`` bytes are read; return False on bad data.

    ``stream`` has LONGEST_SYMBOL spare bytes after its end.
    """
    registers = walk.registers
    if registers[AT] == 0:
        for i in range(1, FIRST_BYTES):
            registers[CODE] = (registers[CODE] << lzma.RC_SHIFT_BITS) | np.int64(stream[i])
        registers[AT] = FIRST_BYTES
    while not registers[ENDED] and registers[AT] < stop:
        if not _symbol(walk, stream, lc, lp, pb):
            return False
    return True


@kernel
def _trace(walk: Walk, stream: Bytes, lc: Integer, lp: Integer, pb: Integer, found: IntArray) -> Integer:
    """Write each symbol's position, length, distance and kind, and where it ends in 1/65536 bit, to ``found`` (n, 5).

    Returns the number of symbols without the end marker; -1 on bad data. ``stream`` has LONGEST_SYMBOL spare bytes
    after its end.
    """
    registers, stop = walk.registers, len(stream) - LONGEST_SYMBOL
    for i in range(1, FIRST_BYTES):
        registers[CODE] = (registers[CODE] << lzma.RC_SHIFT_BITS) | np.int64(stream[i])
    registers[AT] = FIRST_BYTES
    count = np.int64(0)
    while True:
        position = registers[SIZE]
        if registers[AT] > stop or not _symbol(walk, stream, lc, lp, pb):
            return -1
        if registers[ENDED]:
            return count
        if count == len(found):
            return -1
        state, row = registers[STATE], found[count]
        row[0], row[1] = position, registers[SIZE] - position
        row[2] = 0 if state < lzma.LIT_STATES else registers[REP] + 1
        is_match = state in (lzma.STATE_LIT_MATCH, lzma.STATE_NONLIT_MATCH)
        row[3] = LITERAL_KIND if state < lzma.LIT_STATES else MATCH_KIND if is_match else REPEAT_KIND
        row[4] = ((8 * registers[SHIFTS]) << FRACTION_BITS) + minus_log2(registers[RANGE])
        count += 1


@kernel
def _common(streams: Bytes, ends: IntArray, trunk: Bytes, common: IntArray) -> Integer:
    """Write how many bytes each stream shares with the first; return how many the first shares with ``trunk``."""
    begin, first = 0, ends[0]
    for i in range(len(ends)):
        limit = min(first, ends[i] - begin)
        at = 0
        while at < limit and streams[at] == streams[begin + at]:
            at += 1
        common[i] = at
        begin = ends[i] + LONGEST_SYMBOL
    at = 0
    while at < min(first, len(trunk)) and streams[at] == trunk[at]:
        at += 1
    return at


@kernel
def _charges(
    trial: Walk, trunk: Walk, streams: Bytes, ends: IntArray, common: IntArray, properties: IntArray, found: IntArray
) -> None:
    """Write the code length of each stream in 1/65536 bit and the size of its data to ``found`` (n, 2), -1 if bad.

    ``streams`` holds them one after the other, each with LONGEST_SYMBOL spare bytes; stream i ends at ``ends[i]`` and
    shares its first ``common[i]`` bytes with what ``trunk`` has walked over.
    """
    lc, lp, pb = properties
    registers, shared = trial.registers, trunk.registers[SIZE]
    begin, other = 0, False
    for i in range(len(ends)):
        stream = streams[begin : ends[i] + LONGEST_SYMBOL]
        if trunk.registers[AT] <= common[i]:
            if other:
                copy_to(trial.data[:shared], trunk.data[:shared])
                other = False
            copy_to(trial.probabilities, trunk.probabilities)
            copy_to(registers, trunk.registers)
        else:
            _start(trial)
            other = True
        found[i] = -1
        if (
            _walk_on(trial, stream, len(stream), lc, lp, pb)
            and registers[ENDED]
            and registers[AT] == ends[i] - begin
            and registers[CODE] == 0
        ):
            found[i, 0] = ((8 * registers[SHIFTS] + FLUSH_BITS) << FRACTION_BITS) + minus_log2(registers[RANGE])
            found[i, 1] = registers[SIZE]
        begin = ends[i] + LONGEST_SYMBOL


class LzmaWalker:
    """A walker over raw LZMA1 streams, which walks only once over what they have in common at the beginning."""

    def __init__(self, lc: int, lp: int, pb: int) -> None:
        self._properties = np.array([lc, lp, pb], np.int64)
        probabilities = np.empty(prob.LITERAL + (lzma.LITERAL_CODER_SIZE << (lc + lp)), np.int16)
        self._trunk = Walk(probabilities, np.empty(REGISTERS, np.int64), np.empty(0, np.uint8))
        self._walked = np.empty(0, np.uint8)
        _start(self._trunk)

    def copy(self) -> Self:
        """Return a walker that goes on independently of this one."""
        twin = type(self)(*self._properties)
        twin._trunk = Walk(self._trunk.probabilities.copy(), self._trunk.registers.copy(), self._trunk.data.copy())
        twin._walked = self._walked
        return twin

    def bits(self, streams: Sequence[bytes], sizes: Sequence[int]) -> npt.NDArray[np.float64]:
        """Return the code length of each stream in bits, float64 (n,), multiples of 1/65536.

        Raises ``ValueError`` unless the streams are complete, end where they should and hold ``sizes`` bytes.
        """
        if not streams:
            return np.empty(0)
        spare = bytes(LONGEST_SYMBOL)
        joined = np.frombuffer(b"".join(part for stream in streams for part in (stream, spare)), np.uint8)
        ends = np.cumsum([len(stream) + LONGEST_SYMBOL for stream in streams], dtype=np.int64) - LONGEST_SYMBOL
        common = np.empty(len(streams), np.int64)
        if _common(joined, ends, self._walked, common) < len(self._walked):
            _start(self._trunk)
        self._go_on(joined, int(np.sort(common)[len(common) // 8]) if len(common) > 1 else 0, max(sizes))
        trunk, found = self._trunk, np.empty((len(streams), 2), np.int64)
        trial = Walk(np.empty_like(trunk.probabilities), np.empty_like(trunk.registers), trunk.data.copy())
        _charges(trial, trunk, joined, ends, common, self._properties, found)
        for size, stream, walked in zip(sizes, streams, found[:, 1], strict=True):
            if size != walked:
                raise ValueError(f"expected an LZMA1 stream of {size} bytes, found {walked} in {len(stream)} bytes")
        return np.asarray(found[:, 0] / (1 << FRACTION_BITS), dtype=np.float64)

    def trace(self, stream: bytes, size: int) -> npt.NDArray[np.int64]:
        """Return what each symbol of one stream writes, int64 (n, 5).

        The columns are the position, the length, the distance (0 for a literal), the kind, and the code length up to
        the symbol's end in 1/65536 bit, without what the encoder flushes. Raises ``ValueError`` as :meth:`bits` does.
        """
        walk = Walk(np.empty_like(self._trunk.probabilities), np.empty(REGISTERS, np.int64), np.empty(size, np.uint8))
        _start(walk)
        found = np.empty((size, 5), np.int64)
        spare = np.frombuffer(stream + bytes(LONGEST_SYMBOL), np.uint8)
        lc, lp, pb = self._properties
        count = _trace(walk, spare, lc, lp, pb, found) if len(stream) >= FIRST_BYTES else -1
        if count < 0 or walk.registers[SIZE] != size:
            raise ValueError(f"expected an LZMA1 stream of {size} bytes, found another in {len(stream)} bytes")
        return found[:count]

    def _go_on(self, stream: Bytes, shared: int, size: int) -> None:
        """Walk over the ``shared`` bytes that most streams begin with; make room for ``size`` bytes of data."""
        if size > len(self._trunk.data):
            room = np.empty(size * 5 // 4 + 1024, np.uint8)
            room[: len(self._trunk.data)] = self._trunk.data
            self._trunk = self._trunk._replace(data=room)
        if not _walk_on(self._trunk, stream, shared - LONGEST_SYMBOL, *self._properties):
            _start(self._trunk)
        self._walked = stream[: self._trunk.registers[AT]].copy()
