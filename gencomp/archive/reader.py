"""From an archive back to bytes: every length checked before it is believed, every block before it is passed on."""

import hashlib
import zlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Any, BinaryIO

from gencomp.archive.models import canary_cost, check_canary, load_described, name_of
from gencomp.archive.pipeline import Latest, ordered_map
from gencomp.archive.writer import Progress, checked_threads, undone
from gencomp.budget import DEFAULT_MEMORY, DEFAULT_OUTPUT, OUTPUT_PER_BYTE, Budget, Cost, Meter
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
    Transform,
    content_check,
    member_size,
    parse_block_header,
    parse_fixed_header,
    parse_header,
    parse_trailer,
    written_check,
)
from gencomp.coding.small import is_small, read_small, short_check
from gencomp.cores import at_most
from gencomp.equivalence.adapt import Model, as_predictor, predictor_spec
from gencomp.equivalence.capabilities import block_cost, decode_block, payload_cost
from gencomp.errors import ArchiveError, CorruptDataError, ModelMismatchError, OutputLimitError
from gencomp.files import in_full, read_fully
from gencomp.progress import ByteProgress, listening
from gencomp.protocols import Predictor
from gencomp.registry import tree_of
from gencomp.specs import brief


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


@dataclass(frozen=True)
class Summary:
    """A member's header, how many blocks it has of each type, how many are verified and transformed, and so on.

    ``payload`` is the bytes of all payloads.
    """

    header: Header
    blocks: Counter[BlockType]
    verified: int
    transforms: Counter[Transform]
    payload: int
    trailer: Trailer


class MemberReader(ABC):
    """Reads one member from a stream, which need not be seekable: the header at once, then blocks, then the trailer.

    ``size`` is the bytes of the member that have been read; ``trailer`` is there when all have.
    """

    header: Header
    trailer: Trailer | None = None
    size: int

    @abstractmethod
    def read_blocks(self, *, payloads: bool = True) -> Iterator[CodedBlock]:
        """Yield the blocks, their bytes checked against what was written, then check the trailer.

        Without ``payloads``, and where the stream is seekable, they are skipped. Raises
        :class:`~gencomp.errors.ArchiveError`.
        """

    @abstractmethod
    def check(self, number: int, content: bytes) -> bytes:
        """Return the content check that block ``number`` with this content has."""


class FullMemberReader(MemberReader):
    """Reads a member of any size."""

    def __init__(self, source: BinaryIO, start: bytes) -> None:
        self._source = source
        fixed = start + self._read(HEADER_BYTES - len(start))
        length, _ = parse_fixed_header(fixed)
        rest = self._read(length + CHECK_BYTES)
        self.header = parse_header(fixed, rest[:length], rest[length:])
        self.size = self.header.size
        self._blocks = 0

    def _read(self, count: int) -> bytes:
        """Return ``count`` bytes, fewer only at the end of the stream."""
        return read_fully(self._source, count)

    def check(self, number: int, content: bytes) -> bytes:
        """Return the content check, which the member's key binds to its place."""
        return content_check(self.header.key, number, content)

    def read_blocks(self, *, payloads: bool = True) -> Iterator[CodedBlock]:
        """Yield the blocks, and skip payloads where that is asked for and the stream is seekable."""
        skip = not payloads and self._source.seekable()
        raw_total = 0
        while True:
            number = self._blocks
            sync = self._read(len(BLOCK_SYNC))
            if sync == TRAILER_SYNC:
                break
            if sync != BLOCK_SYNC:
                state = "cut short" if len(sync) < len(BLOCK_SYNC) else "damaged"
                raise ArchiveError(f"the archive is {state}: no block {number} and no trailer at byte {self.size}")
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
            self._blocks += 1
            raw_total += header.raw_length
            self.size += BLOCK_BYTES + size
            yield CodedBlock(header, payload, content)
        self.trailer = parse_trailer(self.header.key, sync + self._read(TRAILER_BYTES - len(sync)))
        self.size += TRAILER_BYTES
        totals = (self.trailer.raw_total, self.trailer.member_size, self.trailer.block_count)
        if totals != (raw_total, self.size, self._blocks):
            raise ArchiveError("the archive is damaged: the trailer's totals are not those of its blocks")


class SmallMemberReader(MemberReader):
    """Reads a small member, all of it at once."""

    def __init__(self, source: BinaryIO, start: bytes) -> None:
        member = read_small(start, partial(read_fully, source))
        self._member = member
        self.header, self.size = member.header, member.size
        raw_total, count = (0, 0) if member.block is None else (member.block.raw_length, 1)
        self.trailer = Trailer(raw_total, member.size, count, member.check)

    def check(self, number: int, content: bytes) -> bytes:
        """Return the content check: the start of its SHA-256."""
        return short_check(content)

    def read_blocks(self, *, payloads: bool = True) -> Iterator[CodedBlock]:
        """Yield the block, if there is one; it has been checked against what was written."""
        if self._member.block is not None:
            yield CodedBlock(self._member.block, self._member.payload if payloads else b"", self._member.check)


def open_members(source: BinaryIO) -> Iterator[MemberReader]:
    """Yield a reader for each member; the caller reads one to its end before it asks for the next."""
    start = read_fully(source, len(MAGIC))
    if not start:
        raise ArchiveError("not a gencomp archive: it is empty")
    while start:
        yield (SmallMemberReader if is_small(start) else FullMemberReader)(source, start)
        start = read_fully(source, len(MAGIC))
        if start and start != MAGIC and not is_small(start):
            raise ArchiveError(f"bytes that are no archive follow the archive: {start.hex(' ')}")


def list_members(source: BinaryIO) -> list[Member]:
    """Return every member's headers and totals, without decoding and, in a seekable file, without reading payloads.

    It holds the headers of all blocks at once; :func:`summarize_members` does not.
    """
    members = []
    for reader in open_members(source):
        blocks = tuple(block.header for block in reader.read_blocks(payloads=False))
        assert reader.trailer is not None
        members.append(Member(reader.header, blocks, reader.trailer))
    return members


def summarize_members(source: BinaryIO) -> Iterator[Summary]:
    """Yield every member's header, totals and numbers of blocks, as :func:`list_members` reads them."""
    for reader in open_members(source):
        blocks: Counter[BlockType] = Counter()
        transforms: Counter[Transform] = Counter()
        verified = payload = 0
        for block in reader.read_blocks(payloads=False):
            blocks[block.header.type] += 1
            verified += block.header.verified
            transforms[block.header.transform] += block.header.transform is not Transform.NONE
            payload += block.header.coded_length
        assert reader.trailer is not None
        yield Summary(reader.header, blocks, verified, +transforms, payload, reader.trailer)


def read_archive(
    source: BinaryIO,
    write: Callable[[bytes], object],
    *,
    model: Model | None = None,
    threads: int | None = None,
    max_output: int | None = None,
    max_memory: int | None = None,
    max_work: float | None = None,
    try_anyway: bool = False,
    progress: Progress | None = None,
) -> int:
    """Pass the content of all members to ``write``, block by block, each after its check; return its size in bytes.

    ``model``, a spec or an object, is needed only for models of other packages or one's own, and for those that are in
    files and folders; it must be the archive's own. ``max_output`` and ``max_memory`` are in bytes, ``max_work`` in
    seconds of one core, as :mod:`gencomp.budget` estimates them before anything is done; by default an archive may hold
    8 GiB or 256 bytes for each of its own, take 4 GiB of memory, and 400 seconds and 5 ms for each of its bytes, unless
    ``model`` names a folder or is an object that no spec names. ``try_anyway`` decodes with a model that computes
    otherwise here, as its canary, its revision or its weights' digests say: each block's check then judges what comes
    out.

    Raises :class:`~gencomp.errors.ArchiveError` on damage, :class:`~gencomp.errors.ModelMismatchError` on a missing or
    different model, :class:`~gencomp.errors.BudgetError` before more is done than is allowed, and its
    :class:`~gencomp.errors.OutputLimitError` before more than ``max_output`` bytes are decoded.
    """
    write = in_full(write)
    total = 0
    for content in stream_archive(
        source,
        model=model,
        threads=threads,
        max_output=max_output,
        max_memory=max_memory,
        max_work=max_work,
        try_anyway=try_anyway,
        progress=progress,
    ):
        write(content)
        total += len(content)
    return total


def stream_archive(
    source: BinaryIO,
    *,
    model: Model | None = None,
    threads: int | None = None,
    max_output: int | None = None,
    max_memory: int | None = None,
    max_work: float | None = None,
    try_anyway: bool = False,
    progress: Progress | None = None,
) -> Iterator[bytes]:
    """Yield the content that :func:`read_archive` writes, block by block, each after its check.

    Only at the end is the whole known to be right, or an error raised.
    """
    budget = Budget(DEFAULT_MEMORY if max_memory is None else max_memory, max_work)
    meter = Meter(budget, unbounded=_is_unbounded(model))
    output = _Output(max_output)
    output.expect(source)
    before = 0
    cores = checked_threads(threads)
    decoder: _BlockDecoder | None = None
    for reader in open_members(source):
        decoder = _BlockDecoder(reader, model, progress, decoder, cores=cores, try_anyway=try_anyway)
        digest = hashlib.sha256()
        blocks = _within(reader, decoder, meter, output, before)
        side_by_side = budget.threads(decoder.block_memory(reader.header.block_size), cores)
        for content in ordered_map(decoder, blocks, side_by_side):
            yield content
            digest.update(content)
        assert reader.trailer is not None
        before += reader.size
        if not digest.digest().startswith(reader.trailer.sha256):
            raise ArchiveError("the archive is damaged: the content's SHA-256 is not the trailer's")


def _is_unbounded(model: Model | None) -> bool:
    """Return whether the user names a language model, or gives an object that has no spec.

    Both are the user's own choice, and an archive says nothing of the work that they take; so it is not limited.
    """
    if model is None:
        return False
    if isinstance(model, str):
        return tree_of(model).holds_large
    try:
        spec = predictor_spec(as_predictor(model), full=True)
    except ValueError:
        return True
    return tree_of(spec).holds_large


class _Output:
    """What an archive may hold: ``limit`` bytes, by default in proportion to what has been read of it."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._total = 0

    def add(self, size: int, archive_bytes: int) -> None:
        """Count ``size`` bytes more; raise :class:`OutputLimitError` where they are too many."""
        self._total += size
        self._check(self._total, archive_bytes, "or more")

    def expect(self, source: BinaryIO) -> None:
        """Raise at once where the trailers of a seekable file say that it holds too much."""
        claimed = _claimed(source)
        if claimed is not None:
            self._check(*claimed, "by its trailers")

    def _check(self, total: int, archive_bytes: int, by: str) -> None:
        limit = max(DEFAULT_OUTPUT, OUTPUT_PER_BYTE * archive_bytes) if self._limit is None else self._limit
        if total > limit:
            raise OutputLimitError(
                f"the content is larger than the limit: {total:,} bytes {by}, where {limit:,} are allowed; "
                f"nothing more is decoded: allow it with max_output={total}"
            )


MAX_CLAIMS = 1000  # members whose trailers are looked at before the first is read


def _claimed(source: BinaryIO) -> tuple[int, int] | None:
    """Return (raw bytes, archive bytes) as the trailers of a seekable file say, None where they cannot be followed.

    They are claims: blocks that contradict them, like damage, are found when they are read.
    """
    if not source.seekable():
        return None
    start = source.tell()
    try:
        end = source.seek(0, 2)
        size, total = end - start, 0
        for _ in range(MAX_CLAIMS):
            if end == start:
                return total, size
            source.seek(end - TRAILER_BYTES)
            data = source.read(TRAILER_BYTES)
            if not 0 < member_size(data) <= end - start:
                return None
            source.seek(end - member_size(data))
            key = FullMemberReader(source, b"").header.key
            total += parse_trailer(key, data).raw_total
            end -= member_size(data)
    except (ArchiveError, OSError, ValueError):  # a negative offset
        pass
    finally:
        source.seek(start)
    return None


# what a block takes beside its model, for each of its bytes: payload and content here, before and after it; checks
_COPIES, _CHECK_SECONDS, _BLOCK_SECONDS = 4, 2e-8, 1e-3


def _within(
    reader: MemberReader, decoder: "_BlockDecoder", meter: Meter, output: _Output, before: int
) -> Iterator[CodedBlock]:
    """Pass the blocks on; raise before the first whose content, memory or work would be beyond the limits.

    ``before`` is how many bytes of the archive came before this member. A block like the one before costs nothing.
    """
    last = None
    for block in reader.read_blocks():
        header, read = block.header, before + reader.size
        output.add(header.raw_length, read)
        item = (header.type, header.transform, header.raw_length, block.payload)
        cost = Cost(work=_BLOCK_SECONDS + _CHECK_SECONDS * header.raw_length)
        if item != last:
            cost += decoder.cost(block)
        what = f"block {header.number} of {header.raw_length:,} bytes{decoder.by_model}"
        meter.add(cost, what if not header.number else f"the archive up to {what}", read)
        last = item
        yield block


class _BlockDecoder:
    """Decodes blocks of one member; the model is looked up, and refused, when the member is opened.

    ``before`` decodes the member before this one: where that names the same model it is taken over, with its canary.
    With ``try_anyway`` there is none.
    """

    def __init__(
        self,
        reader: MemberReader,
        chosen: Model | None,
        progress: Progress | None,
        before: "_BlockDecoder | None" = None,
        *,
        cores: int,
        try_anyway: bool = False,
    ) -> None:
        self._progress = progress
        self._cores = cores
        self._check = reader.check
        self._latest: Latest[tuple[BlockType, Transform, int, bytes], bytes] = Latest()
        description = reader.header.metadata.get("model")
        if not isinstance(description, dict | None):
            raise ArchiveError("the archive is invalid: its metadata describes no model")
        self._description: dict[str, Any] = description or {}
        self._model: Predictor | None = None
        self._agrees = Lock()
        self._checked = self._charged = try_anyway
        if description is None:
            return
        if before is not None and before._description == description:
            self._model, self._checked, self._charged = before._model, before._checked, before._charged
        else:
            self._model = load_described(description, chosen, try_anyway=try_anyway)

    @property
    def by_model(self) -> str:
        """Words for a message about a block."""
        return "" if self._model is None else f" by '{brief(name_of(self._description))}'"

    def block_memory(self, size: int) -> int:
        """Return what decoding a block of ``size`` bytes takes at most."""
        cost = Cost() if self._model is None else block_cost(self._model, size, size)
        return cost.beside(_COPIES * size).memory

    def cost(self, block: CodedBlock) -> Cost:
        """Return what decoding a block takes at most; the first one that needs the model pays for the canary."""
        header = block.header
        size = header.raw_length
        if header.type is not BlockType.MODEL or self._model is None:
            return Cost(_COPIES * size)
        cost = payload_cost(self._model, block.payload, size)
        if not self._charged:
            self._charged = True
            cost = canary_cost(self._description, self._model) + cost
        return cost.beside(_COPIES * size)

    def __call__(self, block: CodedBlock) -> bytes:
        header = block.header
        item = (header.type, header.transform, header.raw_length, block.payload)
        content = self._latest.find(item)
        done = ByteProgress(header.raw_length, 1, self._progress)
        if content is None:
            # a payload that is refused is still what was written: then the model is not what wrote it
            with suppress(CorruptDataError), listening(done.step), at_most(self._cores):
                content = self._decode(header, block.payload)
        if content is None or self._check(header.number, content) != block.content_check:
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
        return undone(decode_block(self._model, payload, header.raw_length), header.transform)
