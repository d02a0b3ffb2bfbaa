"""Where a bzip2 stream ends, to the bit.

A stream ends in a mark of 48 bits, 32 bits of CRC, and up to seven zeros that fill the last byte. (There is no
standard; the mark is the square root of pi in binary-coded decimal.) So the mark stands at one of eight places before
the end. It is found without decoding: it cannot stand at two of them, since it agrees with no shift of itself by one to
seven bits.
"""

END_MARK = 0x177245385090
MARK_BITS, CRC_BITS = 48, 32


def used_bits(stream: bytes) -> int:
    """Return the bits of a bzip2 stream up to the end of its CRC. Raises ``ValueError`` where it has no end mark."""
    tail = int.from_bytes(stream[-(MARK_BITS + CRC_BITS) // 8 - 1 :], "big")
    for filling in range(8):
        if ((tail >> (filling + CRC_BITS)) & ((1 << MARK_BITS) - 1)) == END_MARK and (tail & ((1 << filling) - 1)) == 0:
            return 8 * len(stream) - filling
    raise ValueError(f"expected a bzip2 stream, found {len(stream)} bytes without its end mark")
