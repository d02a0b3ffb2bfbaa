"""Small members: a short frame, and every kind of damage refused as in others."""

import hashlib
import io
import json
import re
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gencomp
from gencomp.archive.reader import list_members
from gencomp.coding import metadata, small
from gencomp.coding.container import BlockHeader, BlockType, Transform, canonical_json
from gencomp.errors import ArchiveError, ModelMismatchError
from tests.strategies import data, fewer

FORMAT = Path(__file__).parents[2] / "docs" / "FORMAT.md"


def with_crc(body: bytes) -> bytes:
    return body + zlib.crc32(body).to_bytes(4, "little")


def changed(archive: bytes, at: int, value: int) -> bytes:
    """Return the archive with another byte, whose check is right all the same."""
    return with_crc(archive[:at] + bytes([value]) + archive[at + 1 : -4])


@given(data=data, model=st.sampled_from(["counts:1", "uniform", "lz78:1"]))
@fewer(2)
def test_round_trip(data: bytes, model: str) -> None:
    archive = gencomp.compress(data, model)
    assert small.is_small(archive)
    assert gencomp.decompress(archive) == data
    assert gencomp.decompress(archive + archive) == data + data
    assert len(archive) <= len(data) + 60


@pytest.mark.parametrize("model", ["best", "mix", "rnn", "counts:4"])
@pytest.mark.every(2)
def test_a_frame_of_forty_bytes(wiki: bytes, model: str) -> None:
    archive, full = (gencomp.compress(wiki, model, block_size=size) for size in (None, 1 << 20))
    frames = []
    for made in (archive, full):
        (member,) = list_members(io.BytesIO(made))
        assert gencomp.decompress(made) == wiki
        frames.append(member.trailer.member_size - member.blocks[0].coded_length)
    assert frames[0] <= 40
    assert frames[1] - frames[0] >= 110
    assert len(full) - len(archive) == frames[1] - frames[0]


def test_where_small_ends() -> None:
    for size, is_small in ((0, True), (1, True), (1 << 16, True), ((1 << 16) + 1, False)):
        content = (b"abc" * size)[:size]
        archive = gencomp.compress(content, "counts:1")
        assert small.is_small(archive) == is_small
        assert gencomp.decompress(archive) == content
        (member,) = list_members(io.BytesIO(archive))
        assert hashlib.sha256(content).digest().startswith(member.trailer.sha256)
        assert (member.trailer.raw_total, member.trailer.member_size) == (size, len(archive))


def test_small_and_full_members_follow_one_another(wiki: bytes) -> None:
    parts = [
        gencomp.compress(wiki[:size], "counts:2", block_size=block) for size in (0, 9, 2000) for block in (None, 1024)
    ]
    archive = b"".join(parts)
    assert gencomp.decompress(archive) == b"".join(wiki[:size] * 2 for size in (0, 9, 2000))
    assert len(list_members(io.BytesIO(archive))) == 6
    assert gencomp.decompress(parts[0] * 100) == b""


@pytest.mark.parametrize("model", ["counts:2", "uniform"])
def test_every_flipped_bit_and_every_cut_is_found(wiki: bytes, model: str) -> None:
    archive = gencomp.compress(wiki[:90], model)
    for at in range(8 * len(archive)):
        damaged = bytearray(archive)
        damaged[at // 8] ^= 1 << at % 8
        with pytest.raises(ArchiveError, match="damaged|cut short|not a gencomp archive|invalid|no archive follow"):
            gencomp.decompress(bytes(damaged))
    for size in range(len(archive)):
        with pytest.raises(ArchiveError, match="cut short|it is empty|not a gencomp archive"):
            gencomp.decompress(archive[:size])
        with pytest.raises(ArchiveError, match="cut short|no archive follow"):
            gencomp.decompress(archive + archive[: max(1, size)])
    with pytest.raises(ArchiveError, match="no archive follow"):
        gencomp.decompress(archive + b"trailing")


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (0xA2, "small form 0xa2: install a newer gencomp"),
        (0xC2, "small form 0xc2: install a newer gencomp"),
        (0x92, "small form 0x92: install a newer gencomp"),
        (0x80, "of form 0x80, that claim to hold 90"),
        (0x81, "that claim to hold 90"),
        (0x8B, "that claim to hold 90"),
    ],
)
def test_forms_that_are_none(wiki: bytes, form: int, message: str) -> None:
    archive = gencomp.compress(wiki[:90], "counts:2")
    assert archive[4] == 0x82
    with pytest.raises(ArchiveError, match=message):
        gencomp.decompress(changed(archive, 4, form))


def test_a_claim_of_no_content() -> None:
    empty = gencomp.compress(b"")
    for form in (0x81, 0x84, 0x88):
        with pytest.raises(ArchiveError, match="of no content"):
            gencomp.decompress(changed(empty, 4, form))


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        (b"\x04\x81\x80\x04\x00", "a small member of 65537 bytes"),
        (b"\x04\x00\x81\x80\x04", "in 65537"),
        (b"\x81\x80\x04\x00\x00", "metadata in 65537"),
        (b"\x04\xff\xff\xff\x01\x00", "a length in its header is too long"),
        (b"\x04\x80", "cut short"),
    ],
)
def test_lengths_are_checked_before_they_are_believed(lengths: bytes, message: str) -> None:
    with pytest.raises(ArchiveError, match=message):
        gencomp.decompress(b"\x8bGCZ\x81" + lengths)


def test_a_model_that_computes_otherwise_is_told_from_damage(wiki: bytes) -> None:
    archive = gencomp.compress(wiki[:90], "counts:2")
    for at in (len(archive) - 20, len(archive) - 8):  # the payload, the content check
        with pytest.raises(ModelMismatchError, match="decodes to other bytes"):
            gencomp.decompress(changed(archive, at, archive[at] ^ 1))


def test_packed_metadata() -> None:
    for digest in ("", "0123456789abcde", "0123456789abcdef", "0123456789abcdef" * 3 + "01", "8" * 40, "8" * 70_000):
        text = canonical_json({"model": {"spec": f"gguf:digest-{digest}?x=1"}})
        if len(text) <= metadata.MAX_METADATA_BYTES:
            assert metadata.unpacked(metadata.packed(text)) == text
        else:
            with pytest.raises(ArchiveError, match="metadata of 70"):
                metadata.unpacked(metadata.packed(text))
    usual = {"environment": {"weights": "1c3c17f02d9a6296"}, "numeric": "integer", "revision": 2}
    assert len(metadata.packed(canonical_json({"model": usual | {"spec": "best:5?freeze=false"}}))) == 15


@pytest.mark.parametrize(
    ("packed", "message"),
    [
        (b"", "does not end"),
        (b"\xff\xff", "no deflate stream"),
        (metadata.packed(b"{}") + b"x", "does not end with its"),
        (metadata.packed(b"{}")[:-1], "does not end with its"),
        (metadata.packed(b"\x801234567"), "ends within a digest"),
        (metadata.packed(b" " * (1 << 20)), "longer than 65536"),
        (metadata.packed(b'{"model": null}'), "not canonical JSON"),
        (metadata.packed(b'{"model":"\xff"}'), "not canonical JSON"),
        (metadata.packed(b'{"model":1}'), "describes no model"),
    ],
)
def test_metadata_that_are_none(packed: bytes, message: str) -> None:
    body = b"\x8bGCZ\x80" + bytes([len(packed) & 0x7F, 0, 0]) if len(packed) < 128 else b""
    if not body:
        body = b"\x8bGCZ\x80" + bytes([(len(packed) & 0x7F) | 0x80, len(packed) >> 7, 0, 0])
    with pytest.raises(ArchiveError, match=message):
        gencomp.decompress(with_crc(body + packed + small.short_check(b"")))


def test_flags_and_transforms_are_kept() -> None:
    header = BlockHeader(0, BlockType.MODEL, True, 300, 9, Transform.CALLS)
    archive = small.pack_small({"model": None}, header, b"123456789", bytes(300))
    (member,) = list_members(io.BytesIO(archive))
    assert member.blocks == (header,)


def test_the_dictionary_is_the_documents() -> None:
    """Both are kept: another dictionary reads other metadata."""
    (stated,) = re.findall(r"```\n(\{\"model\".*?)```", FORMAT.read_text(encoding="utf-8"), re.DOTALL)
    assert "".join(stated.split("\n")).encode().replace(b"\\x80", b"\x80") == metadata.DICTIONARY
    assert hashlib.sha256(metadata.DICTIONARY).hexdigest()[:16] == "a8f88d0748c1d01a"


def test_info_tells_what_there_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from gencomp.cli.main import run

    (tmp_path / "a.gcz").write_bytes(gencomp.compress(b"hello " * 20, "counts:2"))
    assert run(["info", "--json", str(tmp_path / "a.gcz")]) == 0
    (member,) = json.loads(capsys.readouterr().out)["members"]
    assert member["format"] == "1.1"
    assert member["sha256_start"] == hashlib.sha256(b"hello " * 20).hexdigest()[:16]
    assert "sha256" not in member
    assert member["framing_bytes"] < 45
