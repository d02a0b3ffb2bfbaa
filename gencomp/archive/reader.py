"""From an archive back to bytes: every length checked before it is believed, every block before it is passed on."""

import hashlib
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import BinaryIO

from gencomp.archive.models import check_canary, load_described
from gencomp.archive.pipeline import Latest, ordered_map
from gencomp.archive.writer import Progress, checked_threads
from gencomp.coding.container import (
    BLOCK_BYTES,
    BLOCK_SYNC,
    CHECK_BYTES,
    HEADER_BYTES,
    MAGIC,
    TRAILER_BYTES,
    TRAILER_SYNC,
    BlockHeader,
    BlockType,
    Header,
    Trailer,
    content_check,
    parse_block_header,
    parse_fixed_header,
    parse_header,
    parse_trailer,
    written_check,
)
from gencomp.equivalence.adapt import Model
from gencomp.equivalence.capabilities import decode_block
from gencomp.errors import ArchiveError, CorruptDataError, ModelMismatchError, OutputLimitError
from gencomp.progress import ByteProgress, listening
from gencomp.protocols import Predictor


@dataclass(frozen=True)
class CodedBlock:
    """A block as it stands in the archive; ``payload`` is empty where it was skipped."""

    header: BlockHeader
    payload: bytes
    content_check: bytes


@dataclass(frozen=True)
class Member:
    """A member's header, every block's, and its trailer."""

    header: Header
    blocks: tuple[BlockHeader, ...]
    trailer: Trailer


class MemberReader:
    """Reads one member from a stream, which need not be seekable: the header at once, then blocks, then the trailer."""

    def __init__(self, source: BinaryIO, start: bytes) -> None:
        self._source = source
        fixed = start + self._read(HEADER_BYTES - len(start))
        length, _ = parse_fixed_header(fixed)
        rest = self._read(length + CHECK_BYTES)
        self.header = parse_header(fixed, rest[:length], rest[length:])
        self.blocks: list[BlockHeader] = []
        self.trailer: Trailer | None = None
        self._size = self.header.size

    def _read(self, count: int) -> bytes:
        """Return ``count`` bytes, fewer only at the end of the stream."""
        parts = []
        while count:
            part = self._source.read(count)
            if not part:
                break
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def read_blocks(self, *, payloads: bool = True) -> Iterator[CodedBlock]:
        """Yield the blocks, their bytes checked against what was written, then check the trailer.

        Without ``payloads``, and where the stream is seekable, they are skipped. Raises
        :class:`~gencomp.errors.ArchiveError`.
        """
        skip = not payloads and self._source.seekable()
        while True:
            number = len(self.blocks)
            sync = self._read(len(BLOCK_SYNC))
            if sync == TRAILER_SYNC:
                break
            if sync != BLOCK_SYNC:
                state = "cut short" if len(sync) < len(BLOCK_SYNC) else "damaged"
                raise ArchiveError(f"the archive is {state}: no block {number} and no trailer at byte {self._size}")
            header = parse_block_header(self.header, number, sync + self._read(BLOCK_BYTES - len(sync)))
            size = header.coded_length + 2 * CHECK_BYTES
            if skip:
                self._source.seek(header.coded_length, 1)
            body = self._read(2 * CHECK_BYTES if skip else size)
            if len(body) < (2 * CHECK_BYTES if skip else size):
                raise ArchiveError(f"the archive is cut short in block {number}: {len(body)} of {size} bytes")
            payload = b"" if skip else body[: header.coded_length]
            content, written = body[-2 * CHECK_BYTES : -CHECK_BYTES], body[-CHECK_BYTES:]
            if not skip and written_check(self.header.key, number, payload, content) != written:
                raise ArchiveError(f"the archive is damaged: the payload of block {number} fails its check")
            self.blocks.append(header)
            self._size += BLOCK_BYTES + size
            yield CodedBlock(header, payload, content)
        self.trailer = parse_trailer(self.header.key, sync + self._read(TRAILER_BYTES - len(sync)))
        self._size += TRAILER_BYTES
        raw_total = sum(block.raw_length for block in self.blocks)
        if (self.trailer.raw_total, self.trailer.member_size, self.trailer.block_count) != (
            raw_total,
            self._size,
            len(self.blocks),
        ):
            raise ArchiveError("the archive is damaged: the trailer's totals are not those of its blocks")


def open_members(source: BinaryIO) -> Iterator[MemberReader]:
    """Yield a reader for each member; the caller reads one to its end before it asks for the next."""
    start = _read_start(source)
    if not start:
        raise ArchiveError("not a gencomp archive: it is empty")
    while start:
        yield MemberReader(source, start)
        start = _read_start(source)
        if start and start != MAGIC:
            raise ArchiveError(f"bytes that are no archive follow the archive: {start.hex(' ')}")


def _read_start(source: BinaryIO) -> bytes:
    start = b""
    while len(start) < len(MAGIC):
        part = source.read(len(MAGIC) - len(start))
        if not part:
            break
        start += part
    return start


def list_members(source: BinaryIO) -> list[Member]:
    """Return every member's headers and totals, without decoding and, in a seekable file, without reading payloads."""
    members = []
    for reader in open_members(source):
        for _ in reader.read_blocks(payloads=False):
            pass
        assert reader.trailer is not None
        members.append(Member(reader.header, tuple(reader.blocks), reader.trailer))
    return members


def read_archive(
    source: BinaryIO,
    write: Callable[[bytes], object],
    *,
    model: Model | None = None,
    threads: int | None = None,
    max_output: int | None = None,
    try_anyway: bool = False,
    progress: Progress | None = None,
) -> int:
    """Pass the content of all members to ``write``, block by block, each after its check; return its size in bytes.

    ``model``, a spec or an object, is needed only for models of other packages or one's own, and must be the archive's
    own. ``try_anyway`` decodes with a model that computes otherwise here, as its canary or its revision says: each
    block's check then judges what comes out. Raises
    :class:`~gencomp.errors.ArchiveError` on damage, :class:`~gencomp.errors.ModelMismatchError` on a missing or
    different model, :class:`~gencomp.errors.OutputLimitError` before more than ``max_output`` bytes are decoded.
    """
    total = 0
    for reader in open_members(source):
        decoder = _BlockDecoder(reader.header, model, progress, try_anyway)
        digest = hashlib.sha256()
        limit = None if max_output is None else max_output - total
        blocks = _within(reader.read_blocks(), limit)
        for content in ordered_map(decoder, blocks, checked_threads(threads)):
            write(content)
            digest.update(content)
            total += len(content)
        assert reader.trailer is not None
        if digest.digest() != reader.trailer.sha256:
            raise ArchiveError("the archive is damaged: the content's SHA-256 is not the trailer's")
    return total


def _within(blocks: Iterator[CodedBlock], limit: int | None) -> Iterator[CodedBlock]:
    """Pass the blocks on; raise before the first whose content would go past ``limit`` bytes."""
    total = 0
    for block in blocks:
        total += block.header.raw_length
        if limit is not None and total > limit:
            raise OutputLimitError("the content is larger than the limit (--max-output); nothing more is decoded")
        yield block


class _BlockDecoder:
    """Decodes blocks of one member; the model is looked up, and refused, when the member is opened."""

    def __init__(self, header: Header, chosen: Model | None, progress: Progress | None, try_anyway: bool) -> None:
        self._progress = progress
        self._key = header.key
        self._latest: Latest[tuple[BlockType, int, bytes], bytes] = Latest()
        description = header.metadata.get("model")
        self._model: Predictor | None = None
        if description is not None:
            if not isinstance(description, dict):
                raise ArchiveError("the archive is invalid: its metadata describes no model")
            self._model = load_described(description, chosen, try_anyway=try_anyway)
            self._description = description
            self._agrees = Lock()
            self._checked = try_anyway

    def __call__(self, block: CodedBlock) -> bytes:
        header = block.header
        item = (header.type, header.raw_length, block.payload)
        content = self._latest.find(item)
        done = ByteProgress(header.raw_length, 1, self._progress)
        if content is None:
            # a payload that is refused is still what was written: then the model is not what wrote it
            with suppress(CorruptDataError), listening(done.step):
                content = self._decode(header, block.payload)
        if content is None or content_check(self._key, header.number, content) != block.content_check:
            if header.type is BlockType.MODEL:
                raise ModelMismatchError(
                    f"block {header.number} is undamaged but decodes to other bytes: the model computes otherwise here"
                )
            raise ArchiveError(f"the archive is damaged: the content of block {header.number} fails its check")
        self._latest.keep(item, content)
        done.finish()
        return content

    def _decode(self, header: BlockHeader, payload: bytes) -> bytes:
        if header.type is BlockType.STORED:
            return payload
        if header.type is BlockType.DEFLATE:
            stream = zlib.decompressobj(-15)
            try:
                content = stream.decompress(payload, header.raw_length + 1)
            except zlib.error as error:
                raise CorruptDataError(str(error)) from error
            if not stream.eof or stream.unused_data:
                raise CorruptDataError("the deflate stream does not end with its block")
            return content
        if self._model is None:
            raise ArchiveError(f"block {header.number} needs a model, and the archive names none")
        with self._agrees:  # computed once, and only if a block needs the model
            if not self._checked:
                check_canary(self._description, self._model)
                self._checked = True
        return decode_block(self._model, payload, header.raw_length)
