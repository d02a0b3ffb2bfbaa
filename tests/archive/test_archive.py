"""Archives: lossless, bounded, and every kind of damage refused with its own message."""

import hashlib
import io
import os
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gencomp
from gencomp.archive import models, reader, writer
from gencomp.archive.reader import list_members, read_archive
from gencomp.archive.writer import write_archive
from gencomp.budget import DEFAULT_MEMORY, DEFAULT_WORK
from gencomp.coding import container
from gencomp.coding.container import BlockHeader, BlockType, Trailer, pack_block, pack_header, pack_trailer
from gencomp.equivalence.adapt import as_predictor
from gencomp.equivalence.capabilities import block_cost, decode_block, encode_block
from gencomp.errors import ArchiveError, ModelMismatchError, OutputLimitError
from gencomp.protocols import Predictor
from tests.strategies import data, fewer

NOISE = np.random.default_rng(0).integers(0, 256, 70_000, dtype=np.uint8).tobytes()


@given(data=data, blocks=st.integers(1, 3), threads=st.integers(1, 3))
@fewer(2)
def test_round_trip(data: bytes, blocks: int, threads: int) -> None:
    content = (data * 40)[: 1024 * blocks]
    archive = gencomp.compress(content, "counts:2", block_size=1024, threads=threads)
    assert gencomp.decompress(archive, threads=threads) == content
    assert len(archive) <= len(content) * 1.001 + 300 + 36 * blocks


@pytest.mark.parametrize("model", ["uniform", "counts", "counts:0", "gzip", "zstd?level=1"])
def test_every_model_makes_archives(model: str, wiki: bytes) -> None:
    """And none of its blocks is saved by deflate because the model does not decode it."""
    content = wiki[:60] if model in ("gzip", "zstd?level=1") else wiki
    sink = io.BytesIO()
    assert write_archive(io.BytesIO(content), sink, as_predictor(model), verify=True).failures == []
    assert gencomp.decompress(sink.getvalue()) == content


def test_a_model_block_of_a_codec(wiki: bytes) -> None:
    """A codec read as a predictor decodes a block, after its canary has agreed."""
    model = as_predictor("zlib?level=6")
    description = models.describe(model)
    assert description["spec"] == "zlib?level=6"
    assert description["numeric"] == "environment"
    assert "zlib" in description["environment"]
    assert len(description["canary"]) == 16
    block = (BlockType.MODEL, encode_block(model, wiki[:90]), wiki[:90])
    assert gencomp.decompress(forged({"model": description}, [block])) == wiki[:90]


@pytest.mark.parametrize("size", [0, 1, 1000, 70_000])
def test_incompressible_data_is_stored(size: int) -> None:
    archive = gencomp.compress(NOISE[:size], "counts:1")
    assert len(archive) <= size * 1.001 + 300
    (member,) = list_members(io.BytesIO(archive))
    assert member.header.metadata == {"model": None}
    assert [block.type for block in member.blocks] == ([BlockType.STORED] if size else [])


def test_the_archive_is_the_same_for_any_number_of_threads(book: bytes) -> None:
    archives = {gencomp.compress(book, "counts:3", block_size=1 << 14, threads=threads) for threads in (1, 2, 5)}
    assert len(archives) == 1


def test_a_stream_that_trickles(book: bytes) -> None:
    class Trickle(io.RawIOBase):
        def __init__(self, content: bytes) -> None:
            self.rest = content

        def readable(self) -> bool:
            return True

        def read(self, count: int = -1) -> bytes:
            part, self.rest = self.rest[: min(count, 777)], self.rest[min(count, 777) :]
            return part

    sink = io.BytesIO()
    write_archive(Trickle(book), sink, as_predictor("counts:1"), block_size=1 << 15)  # type: ignore[arg-type]
    assert sink.getvalue() == gencomp.compress(book, "counts:1", block_size=1 << 15)
    content = io.BytesIO()
    read_archive(Trickle(sink.getvalue()), content.write)  # type: ignore[arg-type]
    assert content.getvalue() == book
    assert len(list_members(Trickle(sink.getvalue()))[0].blocks) == 5  # type: ignore[arg-type]


def test_members_join(book: bytes) -> None:
    first, second = gencomp.compress(book[:3000]), gencomp.compress(NOISE[:100])
    assert gencomp.decompress(first + second + gencomp.compress(b"")) == book[:3000] + NOISE[:100]
    assert [member.trailer.raw_total for member in list_members(io.BytesIO(first + second))] == [3000, 100]


def test_every_flipped_bit_is_refused(wiki: bytes) -> None:
    archive = gencomp.compress(wiki[:500] + NOISE[:60], "counts:2", block_size=1024)
    for position in range(len(archive)):
        damaged = bytearray(archive)
        damaged[position] ^= 1 << position % 8
        with pytest.raises(ArchiveError):
            gencomp.decompress(bytes(damaged))


def test_every_truncation_is_refused(wiki: bytes) -> None:
    archive = gencomp.compress(wiki[:500], "counts:2")
    for size in range(len(archive)):
        with pytest.raises(ArchiveError, match="cut short|it is empty"):
            gencomp.decompress(archive[:size])


@given(junk=st.binary(max_size=200))
def test_junk_is_refused(junk: bytes) -> None:
    with pytest.raises(ArchiveError):
        gencomp.decompress(junk)
    with pytest.raises(ArchiveError):
        gencomp.decompress(container.MAGIC + junk)


def test_what_follows_an_archive_is_an_archive_or_refused(wiki: bytes) -> None:
    archive = gencomp.compress(wiki)
    with pytest.raises(ArchiveError, match="follow the archive: 00"):
        gencomp.decompress(archive + b"\0")
    with pytest.raises(ArchiveError, match="cut short"):
        gencomp.decompress(archive + container.MAGIC)


def test_text_mode_damage_is_named(wiki: bytes) -> None:
    with pytest.raises(ArchiveError, match="transfer it as binary"):
        gencomp.decompress(gencomp.compress(wiki, block_size=1 << 20).replace(b"\r\n", b"\n"))


def test_blocks_are_bound_to_their_place(book: bytes) -> None:
    archive = gencomp.compress(book[:3072], "counts:1", block_size=1024)
    (member,) = list_members(io.BytesIO(archive))
    start = member.header.size
    sizes = [block.coded_length + container.BLOCK_FRAMING_BYTES for block in member.blocks]
    first, second = archive[start : start + sizes[0]], archive[start + sizes[0] : start + sizes[0] + sizes[1]]
    rest = archive[start + sizes[0] + sizes[1] :]
    with pytest.raises(ArchiveError, match="header of block 0 fails its CRC-32"):
        gencomp.decompress(archive[:start] + second + first + rest)
    with pytest.raises(ArchiveError, match="header of block 1 fails its CRC-32"):
        gencomp.decompress(archive[:start] + first + first + rest)
    with pytest.raises(ArchiveError, match="block 2 fails its CRC-32|totals are not those"):
        gencomp.decompress(archive[:start] + first + second + rest[sizes[2] :])


def forged(
    metadata: dict[str, object], blocks: list[tuple[BlockType, bytes, bytes]], block_size: int = 1 << 20
) -> bytes:
    """Return an archive whose checks are all right, whatever its blocks claim."""
    archive, key = pack_header(metadata, block_size)
    for number, (kind, payload, content) in enumerate(blocks):
        archive += pack_block(key, BlockHeader(number, kind, False, len(content), len(payload)), payload, content)
    raw = b"".join(content for _, _, content in blocks)
    size = len(archive) + container.TRAILER_BYTES
    return archive + pack_trailer(key, Trailer(len(raw), size, len(blocks), hashlib.sha256(raw).digest()))


INTEGER = {"model": {"spec": "counts:6", "numeric": "integer", "revision": 1}}


def test_a_model_that_computes_otherwise_is_named(book: bytes) -> None:
    payload = encode_block(as_predictor("counts:2"), book[:2000])
    with pytest.raises(ModelMismatchError, match="undamaged but decodes to other bytes"):
        gencomp.decompress(forged(INTEGER, [(BlockType.MODEL, payload, book[:2000])]))


@pytest.mark.parametrize(
    ("description", "complaint"),
    [
        ({"spec": "counts:6", "numeric": "integer", "revision": 99}, "revision 99 of 'counts:6'; this gencomp has"),
        ({"spec": "future:9b", "numeric": "integer", "revision": 1}, "needs the model 'future:9b', which is not here"),
        ({"spec": "counts:77", "numeric": "integer", "revision": 1}, "which is not here: counts: order must be"),
        ({"numeric": "integer"}, "names no model"),
        ({"spec": "uniform?alphabet_size=3", "numeric": "integer", "revision": 1}, "has 3 symbols; bytes need 256"),
    ],
)
def test_a_missing_or_different_model_is_refused_before_the_first_block(
    description: dict[str, object], complaint: str
) -> None:
    written: list[bytes] = []
    archive = forged({"model": description}, [(BlockType.STORED, b"x", b"x")])
    with pytest.raises(ModelMismatchError, match=complaint):
        read_archive(io.BytesIO(archive), written.append)
    assert written == []


@pytest.mark.parametrize(
    ("description", "complaint"),
    [
        (
            {"spec": "zlib?level=9", "numeric": "environment", "environment": {"zlib": "9.9"}, "canary": "0" * 16},
            "computes differently here: made with zlib 9.9, found zlib",
        ),
        ({"spec": "zlib?level=9", "numeric": "environment", "canary": ""}, "made with an unnamed environment"),
    ],
)
def test_a_canary_is_asked_before_a_model_decodes(description: dict[str, object], complaint: str) -> None:
    with pytest.raises(ModelMismatchError, match=complaint):
        gencomp.decompress(forged({"model": description}, [(BlockType.MODEL, b"x", b"content")]))
    stored = forged({"model": description}, [(BlockType.STORED, b"x", b"x")])
    assert gencomp.decompress(stored) == b"x"  # and not computed where no block needs the model


def test_the_users_model_must_be_the_archives(wiki: bytes) -> None:
    archive = gencomp.compress(wiki, "counts:6")
    assert gencomp.decompress(archive, model="counts") == wiki
    with pytest.raises(ModelMismatchError, match="was made with model='counts:6', not 'counts:2'"):
        gencomp.decompress(archive, model="counts:2")


@pytest.mark.parametrize(
    ("metadata", "block", "complaint"),
    [
        ({"model": None}, (BlockType.MODEL, b"x", b"abc"), "needs a model, and the archive names none"),
        ({"model": [1]}, (BlockType.STORED, b"abc", b"abc"), "describes no model"),
        ({"model": None}, (BlockType.STORED, b"ab", b"abc"), "2 bytes that claim to hold 3"),
        ({"model": None}, (BlockType.DEFLATE, b"abc", b"abc"), "3 bytes that claim to hold 3"),
        ({"model": None}, (BlockType.DEFLATE, b"ab", b"abc"), "content of block 0 fails"),
        ({"model": None}, (BlockType.STORED, b"", b""), "0 bytes that claim to hold 0"),
        ({"model": None}, (BlockType.STORED, bytes(2000), bytes(2000)), "2000 bytes that claim to hold 2000"),
    ],
)
def test_forged_blocks_are_refused(
    metadata: dict[str, object], block: tuple[BlockType, bytes, bytes], complaint: str
) -> None:
    with pytest.raises(ArchiveError, match=complaint):
        gencomp.decompress(forged(metadata, [block], block_size=1024))


def test_a_small_block_cannot_ask_for_much_work() -> None:
    archive, key = pack_header(INTEGER, container.MAX_BLOCK_SIZE)
    claim = BlockHeader(0, BlockType.MODEL, False, container.MAX_BLOCK_SIZE, 1)
    archive += pack_block(key, claim, b"x", b"")
    with pytest.raises(ArchiveError, match="1 bytes that claim to hold 16777216"):
        gencomp.decompress(archive)


def test_a_deflate_bomb_in_a_block_stops_at_its_length() -> None:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = deflater.compress(bytes(1 << 24)) + deflater.flush()
    archive, key = pack_header({"model": None}, 1 << 20)
    archive += pack_block(key, BlockHeader(0, BlockType.DEFLATE, False, len(bomb) + 1, len(bomb)), bomb, b"")
    with pytest.raises(ArchiveError, match="content of block 0 fails its check"):
        gencomp.decompress(archive)


def test_newer_formats_say_so(wiki: bytes) -> None:
    archive = bytearray(gencomp.compress(wiki, block_size=1 << 20))
    for offset, value in ((8, 2), (10, 1)):
        newer = bytearray(archive)
        newer[offset] = value
        newer[24:28] = struct.pack("<I", zlib.crc32(newer[:24]))
        with pytest.raises(ArchiveError, match="install a newer one"):
            gencomp.decompress(bytes(newer))


@pytest.mark.parametrize(
    "text", [b'{"model": null}', b'{"model":null', b"[1]", b'{"a":1,"a":2}', b"[" * 5000, b'{"a":NaN}']
)
def test_metadata_that_is_not_canonical_is_refused(text: bytes) -> None:
    fixed = container._HEADER.pack(container.MAGIC, 1, 0, 0, 0, 0, len(text), 1024, 0)[:-4]
    fixed += struct.pack("<I", zlib.crc32(fixed))
    with pytest.raises(ArchiveError, match="not canonical JSON"):
        gencomp.decompress(fixed + text + container._blake2b(fixed, text))


def test_max_output_is_obeyed_exactly(book: bytes) -> None:
    archive = gencomp.compress(book[:4000], "counts:1", block_size=1024) + gencomp.compress(b"more")
    assert len(gencomp.decompress(archive, max_output=4004)) == 4004
    for limit in (4003, 4000, 3999, 1024, 0):
        written: list[bytes] = []
        with pytest.raises(OutputLimitError):
            read_archive(io.BytesIO(archive), written.append, max_output=limit)
        assert sum(map(len, written)) <= limit


def test_only_checked_blocks_come_out(book: bytes) -> None:
    archive = bytearray(gencomp.compress(book[:4096], "counts:1", block_size=1024))
    (member,) = list_members(io.BytesIO(bytes(archive)))
    place = member.header.size + sum(b.coded_length + container.BLOCK_FRAMING_BYTES for b in member.blocks[:2]) + 30
    archive[place] ^= 1
    written: list[bytes] = []
    with pytest.raises(ArchiveError, match="payload of block 2"):
        read_archive(io.BytesIO(bytes(archive)), written.append)
    assert b"".join(written) == book[:2048]


class Failing:
    """A predictor that fails in one way or another; it has the spec of ``counts``."""

    alphabet_size = 256
    revision = 1

    def __init__(self, mode: str) -> None:
        self.mode = mode

    def begin(self, context: object = ()) -> None:
        raise AssertionError

    def encode_block(self, data: bytes) -> bytes:
        if self.mode == "nan":
            raise ValueError("code lengths must not be NaN")
        if self.mode == "memory":
            raise MemoryError
        if self.mode == "index":
            raise IndexError("a bug")
        return b"short"

    def decode_block(self, payload: bytes, size: int) -> bytes:
        return bytes(size)


@pytest.mark.parametrize("mode", ["nan", "memory", "index", "wrong"])
def test_nothing_is_lost_to_a_model_that_fails(mode: str, book: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "predictor_spec", lambda model, full: "counts:6")
    sink = io.BytesIO()
    summary = write_archive(io.BytesIO(book[:3000]), sink, Failing(mode), verify=True)  # type: ignore[arg-type]
    assert summary.blocks == {BlockType.DEFLATE: 1}
    assert len(summary.failures) == 1
    assert {"nan": "NaN", "memory": "MemoryError", "index": "a bug", "wrong": "does not decode"}[
        mode
    ] in summary.failures[0]
    assert gencomp.decompress(sink.getvalue()) == book[:3000]


@pytest.mark.parametrize(
    ("model", "size"),
    [
        (None, 1 << 22),
        ("counts:1", 1 << 22),
        ("mix:6", 1 << 22),
        ("mix:7", 1 << 24),
        ("mix:9", 1 << 24),
        ("mix:9?expert=counts:1", 1 << 22),
        ("best:9", 1 << 22),
    ],
)
def test_the_model_chooses_the_size_of_blocks(wiki: bytes, model: str | None, size: int) -> None:
    """Large ones only where a reader takes a block by default, whatever is in it."""
    archive = gencomp.compress(NOISE, model)
    assert list_members(io.BytesIO(archive))[0].header.block_size == size
    cost = block_cost(as_predictor(model or "mix"), size, 1).beside(4 * size)
    assert size == 1 << 22 or (cost.work < DEFAULT_WORK and cost.memory < DEFAULT_MEMORY // 4)
    assert list_members(io.BytesIO(gencomp.compress(wiki, model, block_size=2048)))[0].header.block_size == 2048


def test_verified_blocks_are_marked(wiki: bytes) -> None:
    for verify, expected in ((True, True), (None, False)):
        archive = gencomp.compress(wiki, "counts", verify=verify)
        assert list_members(io.BytesIO(archive))[0].blocks[0].verified is expected


def test_a_model_of_another_alphabet_is_refused() -> None:
    with pytest.raises(ValueError, match="needs 256 symbols, this one has 300"):
        gencomp.compress(b"x", "uniform?alphabet_size=300")


def test_threads_out_of_bounds_are_refused() -> None:
    for threads in (0, -1, 257):
        with pytest.raises(ValueError, match="threads must be from 1 to 256"):
            gencomp.compress(b"x", threads=threads)


@pytest.mark.parametrize("size", [0, 1023, (1 << 24) + 1])
def test_block_sizes_out_of_bounds_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="block_size must be from"):
        gencomp.compress(b"x", block_size=size)


def test_memory_is_bounded_by_the_blocks_under_way() -> None:
    """A source is read only as far as blocks are taken: 2 a thread, and the one that is held."""

    class Counting(io.RawIOBase):
        taken = 0

        def read(self, count: int = -1) -> bytes:
            self.taken += count
            return b"a" * count if self.taken <= 20 << 10 else b""

    source, most = Counting(), 0

    class Sink(io.BytesIO):
        blocks = 0

        def write(self, part: bytes) -> int:  # type: ignore[override]
            nonlocal most
            if part.startswith(container.BLOCK_SYNC):
                self.blocks += 1
                most = max(most, source.taken // 1024 - self.blocks)
            return super().write(part)

    write_archive(source, Sink(), as_predictor("uniform"), block_size=1024, threads=2)  # type: ignore[arg-type]
    assert 1 <= most <= 2 * 2 + 2


def test_the_canary_depends_on_the_model() -> None:
    assert models.canary(as_predictor("zlib")) != models.canary(as_predictor("bz2"))


@pytest.mark.slow
def test_every_bit_of_a_larger_archive(book: bytes) -> None:
    archive = gencomp.compress(book[:6000] + os.urandom(500), "counts:3", block_size=2048)
    for position in range(len(archive) * 8):
        damaged = bytearray(archive)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(ArchiveError):
            gencomp.decompress(bytes(damaged))


def test_blocks_that_repeat_need_the_model_once(book: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    data = book[:2000] + bytes(10 * 1024) + book[2000:4096]
    asked: list[bytes] = []

    def counted(model: Predictor, content: bytes) -> bytes:
        asked.append(content)
        return encode_block(model, content)

    monkeypatch.setattr(writer, "encode_block", counted)
    archive = gencomp.compress(data, "counts", block_size=1024, threads=1)
    assert asked.count(bytes(1024)) == 1
    assert archive == gencomp.compress(data, "counts", block_size=1024, threads=2)
    decoded: list[bytes] = []

    def counted_back(model: Predictor, payload: bytes, size: int) -> bytes:
        decoded.append(decode_block(model, payload, size))
        return decoded[-1]

    monkeypatch.setattr(reader, "decode_block", counted_back)
    assert gencomp.decompress(archive, threads=1) == data
    assert decoded.count(bytes(1024)) == 1
    assert gencomp.decompress(archive, threads=2) == data


def test_a_repeated_payload_with_another_check_is_refused(book: bytes) -> None:
    """A result that is kept is still held against each block's own check."""
    payload = encode_block(as_predictor("counts"), book[:1024])
    header, key = pack_header({"model": models.describe(as_predictor("counts"))}, 1024)
    blocks = [
        pack_block(key, BlockHeader(number, BlockType.MODEL, False, 1024, len(payload)), payload, content)
        for number, content in enumerate((book[:1024], book[1024:2048]))
    ]
    with pytest.raises(ModelMismatchError, match="block 1 is undamaged but decodes to other bytes"):
        read_archive(io.BytesIO(header + b"".join(blocks)), lambda content: None, threads=1)


@pytest.mark.slow
def test_sizes_over_32_bits(book: bytes) -> None:
    """Zeros with text at the start, around 2^31, around 2^32 and at the end, never in memory as a whole."""
    size = (1 << 32) + 12_345
    pieces = {0: book[:9000], (1 << 31) - 500: book[:3000], (1 << 32) - 700: book[:5000], size - 7: b"the end"}

    class Sparse(io.RawIOBase):
        place = 0

        def read(self, count: int = -1) -> bytes:
            start, self.place = self.place, min(size, self.place + count)
            content = bytearray(self.place - start)
            for at, piece in pieces.items():
                for index in range(max(at, start), min(at + len(piece), self.place)):
                    content[index - start] = piece[index - at]
            return bytes(content)

    digest, source = hashlib.sha256(), Sparse()
    while part := source.read(1 << 24):
        digest.update(part)
    back, sink = hashlib.sha256(), io.BytesIO()
    summary = write_archive(Sparse(), sink, as_predictor("mix:1"))  # type: ignore[arg-type]
    assert summary.raw_total == size
    sink.seek(0)
    assert list_members(sink)[0].trailer.raw_total == size
    sink.seek(0)
    assert read_archive(sink, back.update) == size
    assert back.digest() == digest.digest()
