"""Lengths as LEB128: seven bits a byte, least significant first, the top bit set on all but the last."""

from gencomp.errors import CorruptDataError

MAX_VARINT_BYTES = 9  # below 2^63


def varint(value: int) -> bytes:
    """Return ``value``, 0 <= value < 2^63, in as few bytes as it takes."""
    encoded = bytearray()
    while value >= 0x80:
        encoded.append((value & 0x7F) | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """Return (value, position after it). Raises :class:`CorruptDataError` where it is cut short or too long."""
    value = 0
    for index in range(MAX_VARINT_BYTES):
        if position + index >= len(data):
            break
        byte = data[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, position + index + 1
    raise CorruptDataError("a length is cut short or longer than 9 bytes")
