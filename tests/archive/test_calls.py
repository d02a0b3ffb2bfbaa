"""Machine code is modelled with the places that its calls go to, and comes back to the byte, as all else does."""

import hashlib
import io

import numpy as np
import pytest

import gencomp
from gencomp.archive import writer
from gencomp.archive.models import describe
from gencomp.archive.reader import summarize_members
from gencomp.coding import calls
from gencomp.coding.calls import has_calls, with_distances, with_places
from gencomp.coding.container import (
    BlockHeader,
    BlockType,
    Trailer,
    Transform,
    pack_block,
    pack_header,
    pack_trailer,
)
from gencomp.equivalence.adapt import as_predictor
from gencomp.errors import ArchiveError, ModelMismatchError
from tests.golden.make import machine_code

CODE = machine_code(400)
# what instructions begin with, and what stands at their end: of such bytes everything overlaps everything
BYTES = np.array([0xE8, 0xE9, 0xFF, 0, 0x15, 0x25, 0x48, 0x4C, 0x8B, 0x8D, 0x05, 0x0D, 0x63, 7], dtype=np.uint8)


def transforms_of(archive: bytes) -> dict[Transform, int]:
    (member,) = summarize_members(io.BytesIO(archive))
    return dict(member.transforms)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("e8 01 00 00 00", "e8 00 00 16 00"),  # a call from 16 to the 1st byte after it, at 21: 22
        ("e9 fb ff ff ff", "e9 00 00 10 ff"),  # a jump to itself
        ("e8 eb ff ff ff", "e8 00 00 00 ff"),  # to the block's beginning
        ("e8 e0 ff ff ff", "e8 ff ff f5 ff"),  # before it, modulo 2^24
        ("e8 01 00 00 01", "e8 01 00 00 01"),  # too far
        ("ff 15 02 00 00 00", "ff 15 00 00 18 00"),
        ("ff 35 02 00 00 00", "ff 35 02 00 00 00"),
        ("48 8b 05 03 00 00 00", "48 8b 05 00 00 1a 00"),
        ("4c 8d 3d 03 00 00 00", "4c 8d 3d 00 00 1a 00"),
        ("48 8b 45 03 00 00 00", "48 8b 45 03 00 00 00"),  # beside another register
    ],
)
def test_what_is_replaced(before: str, after: str) -> None:
    data = bytes(16) + bytes.fromhex(before) + bytes(16)
    assert with_places(data) == bytes(16) + bytes.fromhex(after) + bytes(16)


@pytest.mark.parametrize("run", ["compiled", "plain"])
def test_all_bytes_come_back(run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if run == "plain":
        for name in ("to_places", "to_distances", "operand_at"):
            kernel = getattr(calls, name)
            monkeypatch.setattr(calls, name, getattr(kernel, "py_func", kernel))
    rng = np.random.default_rng(8)
    changed = 0
    for number in range(6000 if run == "compiled" else 300):
        data = rng.choice(BYTES, int(rng.integers(80))).tobytes() if number % 8 else rng.bytes(200)
        placed = with_places(data)
        assert len(placed) == len(data)
        assert with_distances(placed) == data
        assert with_places(with_distances(data)) == data
        changed += placed != data
    assert changed > (2000 if run == "compiled" else 100)


def test_compiled_and_plain_agree() -> None:
    rng = np.random.default_rng(9)
    data = np.frombuffer(CODE + rng.choice(BYTES, 500).tobytes(), dtype=np.uint8)
    for kernel in (calls.to_places, calls.to_distances):
        one, other = data.copy(), data.copy()
        kernel(one)
        getattr(kernel, "py_func", kernel)(other)
        assert (one == other).all()
        assert (one != data).any()


def test_a_buffer_that_is_read_only_is_left_alone() -> None:
    content = bytes(CODE)
    with_places(content)
    assert content == machine_code(400)


def samples() -> dict[str, bytes]:
    rng = np.random.default_rng(4)
    words = np.cumsum(rng.integers(-300, 300, 40_000)).astype("<i2")
    record = rng.bytes(19) + b"\xe8\x10\x20\x30\0" + rng.bytes(8)
    return {
        "nothing": b"",
        "short": b"\xe8\0\0\0\0",
        "text": gencomp.data.alice()[:50_000],
        "samples": words.tobytes(),
        "noise": rng.bytes(100_000),
        "records": record * 2000,
        "counters": np.arange(0, 10_000_000, 0xE8, dtype="<i4").tobytes(),
        "few calls": machine_code(20),
        "as places": with_places(CODE),  # done already
    }


@pytest.mark.parametrize("name", samples())
@pytest.mark.every(2)
def test_other_data_is_left_as_it_is(name: str) -> None:
    data = samples()[name]
    assert not has_calls(data)
    assert transforms_of(gencomp.compress(data, "counts:1")) == {}


def test_machine_code_is_found() -> None:
    assert has_calls(CODE)
    assert has_calls(gencomp.data.alice()[:30_000] + CODE)


@pytest.mark.parametrize("model", ["mix:1", "mix:5", "counts:2"])
def test_archives_of_machine_code_are_smaller(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = machine_code(1000)
    archive = gencomp.compress(data, model, verify=True)
    assert transforms_of(archive) == {Transform.CALLS: 1}
    assert gencomp.decompress(archive) == data
    monkeypatch.setattr(writer, "has_calls", lambda content: False)
    plain = gencomp.compress(data, model)
    assert transforms_of(plain) == {}
    assert gencomp.decompress(plain) == data
    assert len(archive) < 0.7 * len(plain)


def test_each_block_chooses() -> None:
    text = gencomp.data.alice()[:4096]
    data = text + machine_code(1000)[:4096] + text
    archive = gencomp.compress(data, "counts:2", block_size=4096)
    assert transforms_of(archive) == {Transform.CALLS: 1}
    assert gencomp.decompress(archive) == data


def test_equal_payloads_of_either_kind_are_not_taken_for_one_another() -> None:
    """What a block's bytes were, transformed or not, is part of what a kept result is known by."""
    model = as_predictor("counts:2")
    payload = model.encode_block(with_places(CODE))
    header, key = pack_header({"model": describe(model)}, 1 << 20)
    contents = (CODE, with_places(CODE), CODE)
    blocks = [
        pack_block(key, BlockHeader(number, BlockType.MODEL, False, len(CODE), len(payload), kind), payload, content)
        for number, (kind, content) in enumerate(
            zip((Transform.CALLS, Transform.NONE, Transform.CALLS), contents, strict=True)
        )
    ]
    archive = header + b"".join(blocks)
    digest = hashlib.sha256(b"".join(contents)).digest()
    archive += pack_trailer(key, Trailer(3 * len(CODE), len(archive) + 64, 3, digest))
    assert gencomp.decompress(archive, threads=1) == b"".join(contents)


def forged(kind: BlockType, transform: int, payload: bytes, content: bytes) -> bytes:
    header, key = pack_header({"model": describe(as_predictor("counts:2"))}, 1 << 20)
    block = BlockHeader(0, kind, False, len(content), len(payload), transform)  # type: ignore[arg-type]
    return header + pack_block(key, block, payload, content)


def test_what_is_not_known_is_refused() -> None:
    payload = as_predictor("counts:2").encode_block(CODE)
    with pytest.raises(ArchiveError, match=r"block 0 has type 2, flags 0x00, transform 2: install a newer gencomp"):
        gencomp.decompress(forged(BlockType.MODEL, 2, payload, CODE))
    with pytest.raises(ArchiveError, match="block 0 is invalid: transform 1 without a model"):
        gencomp.decompress(forged(BlockType.STORED, 1, CODE, CODE))
    with pytest.raises(ModelMismatchError, match="block 0 is undamaged but decodes to other bytes"):
        gencomp.decompress(forged(BlockType.MODEL, 1, payload, CODE))  # it was not transformed
