"""The archive format's bytes, as ``docs/FORMAT.md`` lays them out. Knows no model: it packs, parses and checks.

A file is one or more members; a member is a header, blocks, and a trailer. Everything is little-endian. Small members,
in :mod:`gencomp.coding.small`, have one block at most and a shorter frame.
"""

import hashlib
import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from gencomp.coding.metadata import MAX_METADATA_BYTES
from gencomp.errors import ArchiveError

MAGIC = b"\x8bGCZ\r\n\x1a\n"
MAJOR, MINOR = 1, 0
KNOWN_INCOMPATIBLE_FLAGS = 0
MAX_BLOCK_SIZE = 1 << 24
CHECK_BYTES = 8
# raw bytes that one byte of block, framing included, may claim at most: bounds the work of a forged file
MAX_EXPANSION = 1 << 16

_HEADER = struct.Struct("<8sBBHHHIII")
_BLOCK = struct.Struct("<4sBBBBIII")
_TRAILER = struct.Struct("<4sQQI32sI4s")
_NUMBER = struct.Struct("<Q")
_CRC = struct.Struct("<I")
HEADER_BYTES, BLOCK_BYTES, TRAILER_BYTES = _HEADER.size, _BLOCK.size, _TRAILER.size
BLOCK_FRAMING_BYTES = BLOCK_BYTES + 2 * CHECK_BYTES
BLOCK_SYNC = b"\x8bBLK"
TRAILER_SYNC = b"\x8bSUM"
END_MAGIC = b"\x8bEND"
VERIFIED = 1


class BlockType(IntEnum):
    """How a block's payload is coded."""

    STORED = 1
    MODEL = 2
    DEFLATE = 3


class Transform(IntEnum):
    """What was done to a block's bytes before the model, and is undone after it."""

    NONE = 0
    CALLS = 1  # gencomp.coding.calls


@dataclass(frozen=True)
class Header:
    """What a member says of itself; ``key`` (8 bytes, none in a small member) binds the blocks to it."""

    metadata: Mapping[str, Any]
    block_size: int
    minor: int
    key: bytes
    size: int


@dataclass(frozen=True)
class BlockHeader:
    """One block's place and lengths."""

    number: int
    type: BlockType
    verified: bool
    raw_length: int
    coded_length: int
    transform: Transform = Transform.NONE


@dataclass(frozen=True)
class Trailer:
    """A member's totals; ``sha256`` is cut to CHECK_BYTES in a small member."""

    raw_total: int
    member_size: int
    block_count: int
    sha256: bytes


def canonical_json(metadata: Mapping[str, Any]) -> bytes:
    """Return the one encoding of ``metadata`` that a header may hold: sorted keys, no spaces, ASCII."""
    return json.dumps(metadata, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode(
        "ascii"
    )


def _blake2b(*parts: bytes, key: bytes = b"") -> bytes:
    digest = hashlib.blake2b(digest_size=CHECK_BYTES, key=key)
    for part in parts:
        digest.update(part)
    return digest.digest()


def metadata_text(metadata: Mapping[str, Any]) -> bytes:
    """Return the canonical JSON of ``metadata``. Raises ``ValueError`` where it is longer than MAX_METADATA_BYTES."""
    text = canonical_json(metadata)
    if len(text) > MAX_METADATA_BYTES:
        raise ValueError(f"metadata must be at most {MAX_METADATA_BYTES} bytes, got {len(text)}")
    return text


def checked_metadata(text: bytes) -> Mapping[str, Any]:
    """Return the metadata whose canonical JSON ``text`` is. Raises :class:`ArchiveError`."""
    try:
        metadata = json.loads(text)
        canonical = isinstance(metadata, dict) and canonical_json(metadata) == text
    except (ValueError, RecursionError):
        canonical = False
    if not canonical:
        raise ArchiveError("the archive is invalid: its metadata is not canonical JSON")
    return dict(metadata)


def pack_header(metadata: Mapping[str, Any], block_size: int) -> tuple[bytes, bytes]:
    """Return (header with metadata and check, the member's key)."""
    text = metadata_text(metadata)
    fixed = _HEADER.pack(MAGIC, MAJOR, MINOR, 0, 0, 0, len(text), block_size, 0)[:-4]
    fixed += _CRC.pack(zlib.crc32(fixed))
    key = _blake2b(fixed, text)
    return fixed + text + key, key


def parse_fixed_header(fixed: bytes) -> tuple[int, int]:
    """Check a header's first HEADER_BYTES; return (metadata length, block size). Raises :class:`ArchiveError`."""
    if not fixed.startswith(MAGIC[: len(fixed)]) or not fixed:
        hint = ""
        if fixed[:4] == MAGIC[:4]:
            hint = "; its line ends were changed on the way: transfer it as binary"
        raise ArchiveError(f"not a gencomp archive: it starts with {fixed[:8].hex(' ')}, not {MAGIC.hex(' ')}{hint}")
    if len(fixed) < HEADER_BYTES:
        raise ArchiveError(f"the archive is cut short: {len(fixed)} of the header's {HEADER_BYTES} bytes")
    _, major, _, incompatible, _, reserved, length, block_size, crc = _HEADER.unpack(fixed)
    if crc != zlib.crc32(fixed[:-4]):
        raise ArchiveError("the archive is damaged: the header fails its CRC-32")
    if major != MAJOR or incompatible & ~KNOWN_INCOMPATIBLE_FLAGS:
        raise ArchiveError(
            f"the archive has format {major}, flags {incompatible:#06x}; this gencomp reads format {MAJOR}: "
            "install a newer one"
        )
    if reserved or length > MAX_METADATA_BYTES or not 1 <= block_size <= MAX_BLOCK_SIZE:
        raise ArchiveError(f"the archive is invalid: metadata of {length} bytes, blocks of {block_size} bytes")
    return length, block_size


def parse_header(fixed: bytes, text: bytes, check: bytes) -> Header:
    """Return the header of ``fixed`` bytes that :func:`parse_fixed_header` accepted, metadata and check."""
    length, block_size = parse_fixed_header(fixed)
    if len(text) + len(check) < length + CHECK_BYTES:
        raise ArchiveError("the archive is cut short inside its metadata")
    if _blake2b(fixed, text) != check:
        raise ArchiveError("the archive is damaged: the metadata fails its check")
    return Header(checked_metadata(text), block_size, fixed[9], check, len(fixed) + len(text) + len(check))


def _block_crc(key: bytes, number: int, fixed: bytes) -> int:
    return zlib.crc32(fixed, zlib.crc32(key + _NUMBER.pack(number)))


def content_check(key: bytes, number: int, content: bytes) -> bytes:
    """Return the 8-byte check that says "these are the bytes that were compressed"."""
    return _blake2b(_NUMBER.pack(number), content, key=key)


def written_check(key: bytes, number: int, payload: bytes, content: bytes) -> bytes:
    """Return the 8-byte check of payload and content check: "these are the bytes that were written"."""
    return _blake2b(_NUMBER.pack(number), payload, content, key=key)


def pack_block(key: bytes, block: BlockHeader, payload: bytes, content: bytes) -> bytes:
    """Return a whole block; ``content`` is only checked, ``payload`` is written."""
    flags = VERIFIED if block.verified else 0
    fixed = _BLOCK.pack(BLOCK_SYNC, block.type, flags, block.transform, 0, block.raw_length, len(payload), 0)[:-4]
    fixed += _CRC.pack(_block_crc(key, block.number, fixed))
    check = content_check(key, block.number, content)
    return b"".join([fixed, payload, check, written_check(key, block.number, payload, check)])


def parse_block_header(header: Header, number: int, fixed: bytes) -> BlockHeader:
    """Return the header of block ``number``, its lengths within bounds. Raises :class:`ArchiveError`."""
    if len(fixed) < BLOCK_BYTES:
        raise ArchiveError(f"the archive is cut short in the header of block {number}")
    _, kind, flags, transform, reserved, raw_length, coded_length, crc = _BLOCK.unpack(fixed)
    if crc != _block_crc(header.key, number, fixed[:-4]):
        raise ArchiveError(f"the archive is damaged: the header of block {number} fails its CRC-32")
    is_known = kind in BlockType.__members__.values() and transform in Transform.__members__.values()
    if not is_known or flags & ~VERIFIED or reserved:
        raise ArchiveError(
            f"block {number} has type {kind}, flags {flags:#04x}, transform {transform}: install a newer gencomp"
        )
    type_ = BlockType(kind)
    if transform and type_ is not BlockType.MODEL:
        raise ArchiveError(f"block {number} is invalid: transform {transform} without a model")
    fits = coded_length == raw_length if type_ is BlockType.STORED else coded_length < raw_length
    bounded = raw_length <= MAX_EXPANSION * (coded_length + BLOCK_FRAMING_BYTES)
    if not 1 <= raw_length <= header.block_size or not fits or not bounded:
        raise ArchiveError(f"block {number} is invalid: {coded_length} bytes that claim to hold {raw_length}")
    return BlockHeader(number, type_, bool(flags & VERIFIED), raw_length, coded_length, Transform(transform))


def pack_trailer(key: bytes, trailer: Trailer) -> bytes:
    """Return the TRAILER_BYTES of a member's end."""
    body = _TRAILER.pack(
        TRAILER_SYNC, trailer.raw_total, trailer.member_size, trailer.block_count, trailer.sha256, 0, b""
    )[:-8]
    return body + _CRC.pack(zlib.crc32(body, zlib.crc32(key))) + END_MAGIC


def member_size(data: bytes) -> int:
    """Return the bytes of a member, as ``data``, its last TRAILER_BYTES, say; 0 where they are no trailer."""
    return int(_TRAILER.unpack(data)[2]) if len(data) == TRAILER_BYTES and data.startswith(TRAILER_SYNC) else 0


def parse_trailer(key: bytes, data: bytes) -> Trailer:
    """Return the trailer; raise :class:`ArchiveError` where it is damaged or cut short."""
    if len(data) < TRAILER_BYTES:
        raise ArchiveError(f"the archive is cut short: {len(data)} of the trailer's {TRAILER_BYTES} bytes")
    _, raw_total, member_size, block_count, sha256, crc, end = _TRAILER.unpack(data)
    if crc != zlib.crc32(data[:-8], zlib.crc32(key)) or end != END_MAGIC:
        raise ArchiveError("the archive is damaged: the trailer fails its CRC-32")
    return Trailer(raw_total, member_size, block_count, sha256)
