"""A small member, as ``docs/FORMAT.md`` lays it out: one block or none, and nothing that a small file need not pay for.

A member of 2 KB has 136 bytes of frame and as many of metadata; a small one has about 40 in all.
"""

import hashlib
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gencomp.coding.container import (
    CHECK_BYTES,
    MAGIC,
    BlockHeader,
    BlockType,
    Header,
    Transform,
    checked_metadata,
    metadata_text,
)
from gencomp.coding.metadata import MAX_METADATA_BYTES, packed, unpacked
from gencomp.coding.varint import read_varint, varint
from gencomp.errors import ArchiveError, CorruptDataError

MAX_SMALL = 1 << 16  # bytes of content
MINOR = 1  # of the format that has small members

_MARK = MAGIC[:4]
_SMALL = 0x80  # of the byte after the mark, where a full member's magic has a carriage return
_TYPE, _VERIFIED, _TRANSFORM_SHIFT, _UNKNOWN = 0x03, 0x04, 3, 0x60
_MAX_LENGTH_BYTES = 3  # of each length: below 2^21
_CRC_BYTES = 4


@dataclass(frozen=True)
class SmallMember:
    """A small member whose bytes are those that were written; ``block`` is None where the content is empty."""

    header: Header
    block: BlockHeader | None
    payload: bytes
    check: bytes
    size: int


def short_check(content: bytes) -> bytes:
    """Return the first CHECK_BYTES of the content's SHA-256, as ``sha256sum`` prints it."""
    return hashlib.sha256(content).digest()[:CHECK_BYTES]


def is_small(start: bytes) -> bool:
    """Return whether a small member starts with these bytes, five or more."""
    return len(start) > len(_MARK) and start.startswith(_MARK) and bool(start[len(_MARK)] & _SMALL)


def pack_small(metadata: Mapping[str, Any], block: BlockHeader | None, payload: bytes, content: bytes) -> bytes:
    """Return a whole member of ``content``, at most MAX_SMALL bytes, that ``block`` codes as ``payload``.

    Without ``block`` both are empty.
    """
    kind = _SMALL
    if block is not None:
        kind |= block.type | (_VERIFIED if block.verified else 0) | (block.transform << _TRANSFORM_SHIFT)
    model = packed(metadata_text(metadata))
    lengths = b"".join(map(varint, (len(model), len(content), len(payload))))
    body = b"".join([_MARK, bytes([kind]), lengths, model, payload, short_check(content)])
    return body + zlib.crc32(body).to_bytes(_CRC_BYTES, "little")


def read_small(start: bytes, read: Callable[[int], bytes]) -> SmallMember:
    """Return the member that ``start`` and what ``read(count)`` returns after it are; all of it is read and checked.

    ``read`` returns fewer bytes only at the end. Raises :class:`~gencomp.errors.ArchiveError`.
    """
    head = len(_MARK) + 1
    data = start
    lengths = []
    at = head
    for _ in range(3):
        end = at
        while end - at < _MAX_LENGTH_BYTES and (end == at or data[end - 1] & 0x80):
            if end == len(data):
                data += read(1)
            if end == len(data):
                raise ArchiveError(f"the archive is cut short: {len(data)} bytes, before the end of its lengths")
            end += 1
        try:
            length, at = read_varint(data[:end], at)
        except CorruptDataError as error:
            raise ArchiveError("the archive is damaged: a length in its header is too long") from error
        lengths.append(length)
    packed_length, raw_length, coded_length = lengths
    if packed_length > MAX_METADATA_BYTES or max(raw_length, coded_length) > MAX_SMALL:
        raise ArchiveError(
            f"the archive is invalid: a small member of {raw_length} bytes in {coded_length}, metadata in "
            f"{packed_length}; each is at most {MAX_SMALL}"
        )
    size = at + packed_length + coded_length + CHECK_BYTES + _CRC_BYTES
    data += read(max(0, size - len(data)))
    if len(data) < size:
        raise ArchiveError(f"the archive is cut short: {len(data)} of {size} bytes")
    if zlib.crc32(data[: size - _CRC_BYTES]).to_bytes(_CRC_BYTES, "little") != data[size - _CRC_BYTES : size]:
        raise ArchiveError("the archive is damaged: it fails its CRC-32")
    model, payload = data[at : at + packed_length], data[at + packed_length : size - CHECK_BYTES - _CRC_BYTES]
    header = Header(checked_metadata(unpacked(model)), MAX_SMALL, MINOR, b"", at + packed_length)
    block = _block(data[head - 1], raw_length, coded_length)
    return SmallMember(header, block, payload, data[size - CHECK_BYTES - _CRC_BYTES : size - _CRC_BYTES], size)


def _block(kind: int, raw_length: int, coded_length: int) -> BlockHeader | None:
    """Return what the byte after the mark and the lengths say of the block."""
    type_, transform = kind & _TYPE, (kind & ~_UNKNOWN & ~_SMALL) >> _TRANSFORM_SHIFT
    if kind & _UNKNOWN or transform not in Transform.__members__.values():
        raise ArchiveError(f"the archive is of a small form {kind:#04x}: install a newer gencomp")
    if not raw_length:
        if kind != _SMALL or coded_length:
            raise ArchiveError(f"the archive is invalid: {coded_length} bytes, of form {kind:#04x}, of no content")
        return None
    fits = coded_length == raw_length if type_ == BlockType.STORED else coded_length < raw_length
    if not type_ or not fits or (transform and type_ != BlockType.MODEL):
        raise ArchiveError(
            f"the archive is invalid: {coded_length} bytes, of form {kind:#04x}, that claim to hold {raw_length}"
        )
    return BlockHeader(0, BlockType(type_), bool(kind & _VERIFIED), raw_length, coded_length, Transform(transform))
