"""From a stream of bytes to an archive: a member whose blocks are coded independently."""

import hashlib
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from itertools import chain
from typing import BinaryIO

from gencomp.archive.models import MAX_PROBED, check_describable, describe
from gencomp.archive.pipeline import Latest, ordered_map
from gencomp.archive.randomness import looks_random
from gencomp.budget import DEFAULT_MEMORY, Budget, Cost, Meter
from gencomp.coding.calls import has_calls, with_distances, with_places
from gencomp.coding.container import (
    MAX_BLOCK_SIZE,
    BlockHeader,
    BlockType,
    Trailer,
    Transform,
    pack_block,
    pack_header,
    pack_trailer,
)
from gencomp.coding.small import MAX_SMALL, pack_small
from gencomp.cores import at_most, usable_cores
from gencomp.equivalence.adapt import as_predictor
from gencomp.equivalence.capabilities import (
    DEFAULT_BLOCK_SIZE,
    block_cost,
    block_size_of,
    check_size,
    content_cost,
    decode_block,
    encode_block,
    fingerprint_cost,
    has_lanes,
    lanes_of,
    parameter_count_of,
    payload_cost,
    revision_of,
    suited,
)
from gencomp.files import read_fully, write_fully
from gencomp.progress import ByteProgress, listening
from gencomp.protocols import Predictor
from gencomp.registry import SMALL_INPUT, models_for_size

MIN_BLOCK_SIZE = 1 << 10
MAX_THREADS = 256  # each holds up to two blocks

Progress = Callable[[int], None]


@dataclass
class WriteSummary:
    """What became of the data: raw and archive bytes, blocks by type, one line for each block that the model failed.

    ``work`` is what decoding takes at most, in seconds of one core, as :mod:`gencomp.budget` estimates it.
    """

    raw_total: int = 0
    archive_size: int = 0
    blocks: Counter[BlockType] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    work: float = 0.0


@dataclass(frozen=True)
class _CodedBlock:
    content: bytes
    type: BlockType
    payload: bytes
    verified: bool
    failure: str | None
    transform: Transform = Transform.NONE


def read_blocks(source: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield ``source`` in pieces of ``size`` bytes, the last one shorter, however short its reads are."""
    while block := read_fully(source, size):
        yield block
        if len(block) < size:
            return


def _size_or_more(blocks: Iterator[bytes], limit: int) -> tuple[int, Iterator[bytes]]:
    """Return the size of all blocks, or of as many as are more than ``limit`` bytes; and all blocks again."""
    read: list[bytes] = []
    size = 0
    while size <= limit and (block := next(blocks, b"")):
        read.append(block)
        size += len(block)
    return size, chain(read, blocks)


def checked_threads(threads: int | None) -> int:
    """Return the number of blocks to work on at a time: the cores' where None. Raises ``ValueError``."""
    if threads is None:
        return usable_cores()
    if not 1 <= threads <= MAX_THREADS:
        raise ValueError(f"threads must be from 1 to {MAX_THREADS}, got {threads}")
    return threads


class _BlockCoder:
    """Codes blocks by the shortest of the model's code, deflate's and the bytes themselves; tells ``progress``."""

    def __init__(self, model: Predictor, verify: bool, progress: Progress | None, cores: int) -> None:
        self._model, self._verify, self._progress, self._cores = model, verify, progress, cores
        self._latest: Latest[bytes, _CodedBlock] = Latest()

    def __call__(self, content: bytes) -> _CodedBlock:
        done = ByteProgress(len(content), 2 if self._verify else 1, self._progress)
        block = self._latest.find(content)
        if block is None:
            with listening(done.step), at_most(self._cores):
                block = _shortest(self._model, content, self._verify)
            if block.failure is None:
                self._latest.keep(content, block)
        done.finish()
        return block


def _shortest(model: Predictor, content: bytes, verify: bool) -> _CodedBlock:
    """Return the shortest code. Whatever goes wrong in the model costs compression, never data."""
    if looks_random(content):
        return _CodedBlock(content, BlockType.STORED, content, False, None)
    failure = None
    payload = None
    transform = Transform.CALLS if has_calls(content) else Transform.NONE
    try:
        payload = encode_block(model, with_places(content) if transform else content)
        if verify and undone(decode_block(model, payload, len(content)), transform) != content:
            failure, payload = "the model's code does not decode to the same bytes", None
    except Exception as error:  # of any kind: the block is coded without the model
        failure, payload = f"{type(error).__name__}: {error}", None
    deflater = zlib.compressobj(6, zlib.DEFLATED, -15)
    deflated = deflater.compress(content) + deflater.flush()
    choices = [(BlockType.STORED, content), (BlockType.DEFLATE, deflated)]
    if payload is not None:
        choices.append((BlockType.MODEL, payload))
    # on a tie the earlier, simpler one: min keeps the first
    type_, best = min(choices, key=lambda choice: len(choice[1]))
    if type_ is not BlockType.MODEL:
        return _CodedBlock(content, type_, best, False, failure)
    return _CodedBlock(content, type_, best, verify, failure, transform)


def undone(content: bytes, transform: Transform) -> bytes:
    """Return a block's bytes as they were before ``transform``."""
    return with_distances(content) if transform is Transform.CALLS else content


_COPIES = 4  # of a block's bytes, as content and as code, before, while and after it is coded


def _block_cost(model: Predictor, size: int) -> Cost:
    """Return what a block of ``size`` bytes takes at most."""
    return block_cost(model, size, size).beside(_COPIES * size)


def _within(contents: Iterator[bytes], model: Predictor, meter: Meter, verify: bool) -> Iterator[bytes]:
    """Pass the blocks on; raise before the first that would take more than is allowed, which pays for the canary."""
    for number, content in enumerate(contents):
        if not number and revision_of(model) is None:
            meter.add(fingerprint_cost(model), "the probe of the model", 0)
        cost = content_cost(model, content).beside(_COPIES * len(content))
        meter.add(cost + cost if verify else cost, f"block {number} of {len(content):,} bytes", 0)
        yield content


def write_archive(
    source: BinaryIO,
    sink: BinaryIO,
    model: Predictor | None,
    *,
    block_size: int | None = None,
    threads: int | None = None,
    verify: bool | None = None,
    max_memory: int | None = None,
    max_work: float | None = None,
    progress: Progress | None = None,
) -> WriteSummary:
    """Write one member with everything that ``source`` holds; memory is bounded by the blocks under way.

    Without a ``model``, :func:`~gencomp.registry.models_for_size` names some, once that many bytes have been read: the
    smallest of their archives is written.
    ``block_size`` is in bytes, 2^10 to 2^24, by default the model's choice, 2^22 for most; a block starts from an empty
    context. Where it is not given, up to 64 KiB make a small member, whose frame has some 40 bytes instead of some 250.
    ``threads`` blocks are coded at
    a time; the archive is the same whatever their number. ``verify`` decodes each block at once: by default for
    models that depend on their environment, not for integer ones. ``max_memory`` in bytes, 4 GiB by default as for
    readers, lowers the number of blocks at a time; ``max_work`` in seconds of one core, without limit by default, is
    for the whole, by the estimates of :mod:`gencomp.budget`. ``progress`` is called with numbers of raw bytes as
    they are done, from the threads that do them. Raises ``ValueError`` where the data's size does not fit the model's
    options, and :class:`~gencomp.errors.BudgetError` before a block that would take more than is allowed: the archive
    is cut short then.
    """
    if block_size is not None and not MIN_BLOCK_SIZE <= block_size <= MAX_BLOCK_SIZE:
        raise ValueError(f"block_size must be from {MIN_BLOCK_SIZE} to {MAX_BLOCK_SIZE} bytes, got {block_size}")
    may_be_small = block_size is None
    if block_size is None:
        block_size = DEFAULT_BLOCK_SIZE if model is None else block_size_of(model)
    blocks = read_blocks(source, block_size)
    if model is None:
        size, blocks = _size_or_more(blocks, SMALL_INPUT)
        models = [as_predictor(spec) for spec in models_for_size(size)]
        if len(models) > 1:
            limits = partial(write_archive, max_memory=max_memory, max_work=max_work)
            write = partial(limits, block_size=None if may_be_small else block_size, threads=threads, verify=verify)
            return _write_smallest(write, b"".join(blocks), sink, models, progress)
        (model,) = models
    budget = Budget(DEFAULT_MEMORY if max_memory is None else max_memory, max_work)
    first = next(blocks, b"")
    blocks = chain([first] if first else [], blocks)
    fits = partial(check_size, model)  # what is found need not fit
    found = suited(model, first)
    if _block_cost(found, block_size).memory <= budget.memory:
        model = found
    if verify is None:
        verify = revision_of(model) is None
    cores = checked_threads(threads)
    threads = budget.threads(_block_cost(model, block_size).memory, cores)
    meter = Meter(budget, unbounded=True)
    check_describable(model)
    summary = WriteSummary()
    digest = hashlib.sha256()
    key = b""
    described: dict[str, object] | None = None

    def prepared(contents: Iterator[bytes]) -> Iterator[bytes]:
        """Pass the blocks on, the model ready before the first: one that cannot be is no matter of a block."""
        nonlocal described
        for number, content in enumerate(contents):
            if not number:
                parameter_count_of(model)  # weights are loaded now
                described = None if has_lanes(model) else describe(model)
            yield content

    contents = prepared(_within(blocks, model, meter, verify))
    coded = ordered_map(_BlockCoder(model, verify, progress, cores), contents, threads)
    held: _CodedBlock | None = None

    last: _CodedBlock | None = None

    def emit(block: _CodedBlock, pack: Callable[[BlockHeader, bytes, bytes], bytes]) -> None:
        nonlocal last
        number = sum(summary.blocks.values())
        lengths = len(block.content), len(block.payload)
        header = BlockHeader(number, block.type, block.verified, *lengths, block.transform)
        summary.archive_size += write_fully(sink, pack(header, block.payload, block.content))
        summary.raw_total += len(block.content)
        summary.blocks[block.type] += 1
        digest.update(block.content)
        if block.type is BlockType.MODEL and block is not last:
            summary.work += payload_cost(model, block.payload, len(block.content)).work
        last = block
        if block.failure is not None:
            summary.failures.append(f"block {number} is {block.type.name.lower()}: {block.failure}")

    # The first block waits for a second: a member of one block that the model did not help names no model.
    for block in coded:
        if not key and held is not None:
            key = _begin(sink, summary, {"model": described or _described(model, held, block)}, block_size)
            emit(held, partial(pack_block, key))
        if key:
            emit(block, partial(pack_block, key))
        held = block
    if not key:
        needs_model = held is not None and held.type is BlockType.MODEL
        entry = (described or _described(model, held)) if held is not None and needs_model else None
        if may_be_small and (held is None or len(held.content) <= MAX_SMALL):
            fits(0 if held is None else len(held.content))
            if held is None:
                summary.archive_size = write_fully(sink, pack_small({"model": None}, None, b"", b""))
            else:
                emit(held, partial(pack_small, {"model": entry}))
            return summary
        key = _begin(sink, summary, {"model": entry}, block_size)
        if held is not None:
            emit(held, partial(pack_block, key))
    fits(summary.raw_total)
    size = summary.archive_size + len(pack_trailer(key, Trailer(0, 0, 0, bytes(32))))
    trailer = Trailer(summary.raw_total, size, sum(summary.blocks.values()), digest.digest())
    summary.archive_size += write_fully(sink, pack_trailer(key, trailer))
    return summary


def _write_smallest(
    write: Callable[..., WriteSummary],
    content: bytes,
    sink: BinaryIO,
    models: Sequence[Predictor],
    progress: Progress | None,
) -> WriteSummary:
    """Write the smallest of the archives that ``write`` makes of ``content`` with the models, the first of equal ones.

    ``progress`` hears of the first model, which takes the most time.
    """
    made = []
    for model in models:
        archive = BytesIO()
        summary = write(BytesIO(content), archive, model, progress=progress)
        made.append((archive.getvalue(), summary))
        progress = None
    smallest, summary = min(made, key=lambda pair: len(pair[0]))
    write_fully(sink, smallest)
    return summary


def _described(model: Predictor, *blocks: _CodedBlock) -> dict[str, object]:
    """Return the header's entry for ``model``, whose canary probes what these, the first blocks, need of it."""
    counts = {lanes_of(model, block.payload, len(block.content)) for block in blocks if block.type is BlockType.MODEL}
    return describe(model, sorted(count for count in counts if count is not None)[:MAX_PROBED])


def _begin(sink: BinaryIO, summary: WriteSummary, metadata: dict[str, object], block_size: int) -> bytes:
    header, key = pack_header(metadata, block_size)
    summary.archive_size += write_fully(sink, header)
    return key
