"""The zstd sizer against the library, and its parts against what they are made after."""

import random
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

import gencomp
from gencomp.bitstreams.zstd import fse, huffman
from gencomp.bitstreams.zstd import sizer as zstd_sizer
from gencomp.bitstreams.zstd.frame import header_bytes, size_class
from gencomp.bitstreams.zstd.sizer import ZstdSizer, sizer_memory
from gencomp.compressors import zstd
from gencomp.compressors.zstd import Zstd
from gencomp.data import alice
from gencomp.equivalence.capabilities import begin_scoring, copies_state, state_cost

BYTES = [bytes([symbol]) for symbol in range(256)]
LEVELS = range(1, zstandard.MAX_COMPRESSION_LEVEL + 1)
levels = st.sampled_from(LEVELS)

pytestmark = pytest.mark.skipif(
    zstandard.ZSTD_VERSION != zstd.CHECKED_VERSION, reason="this library may decide otherwise, which is noticed"
)

runs = st.builds(lambda unit, count: unit * count, st.binary(min_size=1, max_size=8), st.integers(1, 300))
few_symbols = st.text(alphabet="ab\n", max_size=300).map(str.encode)
text = st.integers(0, 100_000).flatmap(lambda at: st.integers(0, 900).map(lambda size: alice()[at : at + size]))
pieces = st.one_of(st.binary(max_size=100), runs, few_symbols, text)
copied = st.lists(pieces, max_size=4).flatmap(lambda known: st.lists(st.sampled_from([b"", *known]), max_size=8))
data = st.one_of(pieces, copied.map(b"".join))


def check(codec: Zstd, sizer: ZstdSizer, prefix: bytes, suffixes: list[bytes]) -> None:
    expected = [int(codec.code_length(prefix + suffix)) for suffix in suffixes]
    found = sizer.bits(suffixes).tolist()
    assert [bits if bits >= 0 else right for bits, right in zip(found, expected, strict=True)] == expected


@given(levels, data, st.lists(data, max_size=5))
def test_suffixes_cost_what_the_library_takes(level: int, prefix: bytes, suffixes: list[bytes]) -> None:
    check(Zstd(level), ZstdSizer(level, prefix=prefix), prefix, suffixes)


@given(levels, st.lists(data, max_size=6), data, st.sampled_from([None, None, 10, 12]), st.booleans())
def test_pieces_copies_and_options_make_no_difference(
    level: int, fed: list[bytes], suffix: bytes, window_log: int | None, checksum: bool
) -> None:
    codec, prefix = Zstd(level, window_log, checksum), b""
    sizer = codec.sizer()
    for piece in fed:
        twin = sizer.copy()
        sizer.feed(piece)
        prefix += piece
        twin.feed(b"something else")
        twin.bits([b"y"])
        check(codec, sizer, prefix, [suffix, b"x"])


@pytest.mark.parametrize("level", LEVELS)
def test_every_next_byte_of_a_text_that_grows(level: int) -> None:
    size, codec = 1000, Zstd(level)
    sizer = ZstdSizer(level, prefix=alice()[:size])
    for at in range(size, size + 3):
        check(codec, sizer, alice()[:at], random.Random(at).sample(BYTES, 40))
        sizer.feed(alice()[at : at + 1])


_FOLLOWERS = {
    "three bytes have come": b"down the rabbit-hole, the rabbit-hunt, a rabbit-hat; rabbit-h",
    "one has, far away": alice()[:600] + b"0123456 " + alice()[600:900] + b"012345",
    "frequencies step": alice()[:900] + b"Q=" * 255 + b"W-" * 127,
    "a run": b"some words " + b"a" * 700,
    "walks are cut short": b"".join(b"same%c" % n for n in range(250)) * 2 + b"same",
    "few bytes": b"few",
}


@pytest.mark.parametrize("level", [13, 16, 19])
@pytest.mark.parametrize("prefix", _FOLLOWERS.values(), ids=_FOLLOWERS)
@pytest.mark.every(2)
def test_all_next_bytes_whatever_has_followed_before(level: int, prefix: bytes) -> None:
    """The optimal parser is asked once for all bytes that it can not tell apart; these are texts where it can."""
    codec, sizer = Zstd(level), ZstdSizer(level, prefix=prefix[:-2])
    twin = sizer.copy()
    twin.feed(prefix[-2:])  # which begin all its suffixes
    check(codec, twin, prefix, BYTES)
    check(codec, sizer, prefix[:-2], [b"", *BYTES[90:130], *(prefix[-2:] + byte for byte in BYTES[90:130]), b"a"])


@pytest.mark.parametrize("level", [1, 3, 5, 6, 8, 10, 12, 13, 15, 17, 19])
@pytest.mark.parametrize("size", [6, 255, 1023, 2047, 16_383, 17_000, 30_000])
@pytest.mark.every(3)
def test_sizes_where_something_changes(level: int, size: int) -> None:
    prefix = alice()[40_000 : 40_000 + size]
    check(Zstd(level), ZstdSizer(level, prefix=prefix), prefix, [b"", b"e", b"\xff", b"the", alice()[50_000:50_040]])


@pytest.mark.parametrize("level", [1, 2, 3, 4, 5, 7, 9, 11])
@pytest.mark.parametrize(
    "size", [131_072, 300_000, *(pytest.param(size, marks=pytest.mark.thorough) for size in (131_071, 262_143))]
)
@pytest.mark.every(3)
def test_frames_of_several_blocks(level: int, size: int) -> None:
    prefix = (alice() + np.random.default_rng(1).bytes(30_000) + b"ab" * 9000 + alice()[::-1])[:size]
    sizer = ZstdSizer(level, prefix=prefix[:-50_000])
    sizer.bits([b"x"])
    sizer.feed(prefix[-50_000:])
    check(Zstd(level), sizer, prefix, [b"", b"e", b"\xff more"])


@pytest.mark.parametrize(
    "prefix",
    [
        b"",
        b"a" * 4000,
        bytes(3000) + b"abc" * 700,
        np.random.default_rng(2).bytes(50_000),
        b"".join(bytes([n]) * (1 << n) for n in range(14)),
        alice()[:3000] * 3,
    ],
    ids=["nothing", "one byte", "runs", "noise", "powers", "itself again"],
)
@pytest.mark.parametrize("level", [1, 3, 4, 5, 7, 9, 11, 13, 16, 19])
def test_data_of_many_kinds(level: int, prefix: bytes) -> None:
    check(Zstd(level), ZstdSizer(level, prefix=prefix), prefix, [b"", b"a", b"\0", b"zzz", prefix[:50]])


def test_seldom_is_anything_left_to_the_library() -> None:
    for level in (3, 13, 16, 19):
        assert (ZstdSizer(level, prefix=alice()[:2000]).bits(BYTES) >= 0).all()


def test_another_library_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the sizer is the one that decides otherwise; the lengths are the library's all the same."""
    monkeypatch.setattr(zstandard, "ZSTD_VERSION", (1, 6, 0))
    monkeypatch.setattr(zstd, "is_reproduced", zstd.is_reproduced.__wrapped__)
    assert copies_state(gencomp.load("zstd?level=3"))
    monkeypatch.setattr(ZstdSizer, "bits", lambda sizer, suffixes: np.full(len(suffixes), 77))
    codec = gencomp.load("zstd?level=3")
    assert not copies_state(codec)
    expected = [codec.code_length(b"some words" + suffix) for suffix in (b"", b"x")]
    assert begin_scoring(codec, b"some words").code_lengths([b"", b"x"]).tolist() == expected


def test_frame_headers(tmp_path: Path) -> None:
    for size in (0, 1, 255, 256, 65_791, 65_792, 1 << 17):
        frame = Zstd(3).compress(bytes(size))
        assert zstandard.frame_header_size(frame) == header_bytes(size, max(10, (size - 1).bit_length()))
    assert [size_class(size) for size in (0, 16_384, 16_385, 131_072, 131_073, 262_145)] == [0, 0, 1, 1, 2, 3]


@given(st.lists(st.integers(1, 5000), min_size=2, max_size=256), st.integers(0, 8))
def test_words_are_a_prefix_code_of_limited_depth(counts: list[int], zeros: int) -> None:
    row = np.zeros(256, np.int64)
    row[: len(counts)] = counts
    row[1 : 1 + zeros] = np.where(np.arange(zeros) % 2, row[1 : 1 + zeros], 0)
    highest = int(np.flatnonzero(row)[-1])
    scratch = huffman.begin_scratch()
    order = sorted(range(256), key=lambda symbol: -row[symbol])
    present = int((row > 0).sum())
    if present < 2:
        return
    kraft, bits = _built(row, highest, scratch)
    assert kraft == 1
    assert bits >= sum(-row[s] * np.log2(row[s] / row.sum()) for s in order[:present]) - 1e-6


def _built(row: np.ndarray, highest: int, scratch: np.ndarray) -> tuple[float, int]:
    from gencomp.bitstreams.zstd.literals import literals_cost

    costs, code = np.zeros(4, np.int64), np.zeros(huffman.HUFFMAN_ROW, np.int64)
    nothing = np.zeros((1, 6), np.int32)
    literals = np.repeat(np.arange(256, dtype=np.uint8), row)
    buffer = np.concatenate([literals, np.zeros(64, np.uint8)])
    literals_cost(buffer, 0, nothing, 0, 0, row, len(literals), 6, code, code.copy(), scratch, 0, costs)
    present = int((row > 0).sum())
    limited, weight = scratch[huffman.LIMITED, :present], scratch[huffman.WEIGHT, :present]
    if scratch[huffman.ORDER, 0] == 0 and not limited.any():
        return 1.0, 1 << 60  # stored raw, unseen
    assert limited.max() <= huffman.LONGEST_WORD
    return float(np.exp2(-limited.astype(float)).sum()), int((limited * weight).sum())


@given(st.lists(st.integers(0, 900), min_size=2, max_size=53).filter(lambda counts: sum(c > 0 for c in counts) > 1))
def test_tables_share_out_their_states(counts: list[int]) -> None:
    row = np.zeros(64, np.int64)
    row[: len(counts)] = counts
    highest, total = int(np.flatnonzero(row)[-1]), int(row.sum())
    table, coder = np.zeros(fse.TABLE_ROW, np.int64), np.zeros(fse.CODER_SHAPE, np.int64)
    assert fse.normalize(table, 9, row, total, highest, 1)
    units = table[fse.PROBABILITIES : fse.PROBABILITIES + highest + 1]
    assert np.abs(units).sum() == 512
    assert ((units != 0) == (row[: highest + 1] > 0)).all()
    fse.build_coder(table, coder)
    assert sorted(coder[fse.STATES, :512].tolist()) == list(range(512, 1024))


@pytest.mark.parametrize("level", [1, 3, 5, 9, 12, 15, 16, 19])
@pytest.mark.parametrize(
    "size", [0, 40_000, *(pytest.param(size, marks=pytest.mark.thorough) for size in (3000, 140_000))]
)
@pytest.mark.every(3)
def test_a_state_takes_about_what_is_said(level: int, size: int) -> None:
    """Estimates are neither below what is taken nor far above: who asks is refused too early then."""
    codec, text = Zstd(level), (alice() * 2)[:size]
    cost = state_cost(codec, size)
    if not sizer_memory(level, None, size + 1):
        assert cost.step > 1
        return
    begin_scoring(codec, b"warm").code_lengths(BYTES)
    tracemalloc.start()
    scorer = begin_scoring(codec, text)
    scorer.code_lengths([b"x"])
    held, _ = tracemalloc.get_traced_memory()
    copies = [scorer.copy() for _ in range(8)]
    for copy in copies:
        copy.feed(b"words")
        copy.code_lengths([b"x"])
    each = tracemalloc.get_traced_memory()[0] / (1 + len(copies))
    tracemalloc.stop()
    assert held <= 1.1 * cost.held + cost.scratch
    assert cost.held <= 3 * held + (1 << 18)
    assert each < 0.5 * held + (1 << 16)
    assert cost.step < 0.5


@pytest.mark.parametrize("level", [5, 9, 12, 15])
def test_blocks_that_are_closed_need_no_room_to_be_undone(level: int) -> None:
    """Their entries are logged as any others; a log as long as a block's would be kept by each thread."""
    begun = len(zstd_sizer._local.room.log)
    assert (ZstdSizer(level, prefix=(alice() * 2)[:270_000]).bits([b"x"]) >= 0).all()
    assert len(zstd_sizer._local.room.log) == begun


@pytest.mark.parametrize("level", [1, 6, 13, 19])
def test_copies_share_a_parse_until_they_have_read_much(level: int) -> None:
    codec, prefix = Zstd(level), alice()[:4000]
    first = codec.sizer(prefix)
    check(codec, first, prefix, BYTES[::16])
    family = [(prefix, first)]
    for at in range(12):
        text, sizer = family[at // 2]
        twin, piece = sizer.copy(), alice()[9000 + 7 * at :][: 1 + 5 * (at % 4)]
        twin.feed(piece)
        family.append((text + piece, twin))
    for text, sizer in reversed(family):
        check(codec, sizer, text, [b"", b"e", b"\xff", b" the"])
    first.feed(b"and so on, and more than what a copy has before it gets a parse of its own")
    check(codec, first, prefix + b"and so on, and more than what a copy has before it gets a parse of its own", [b"e"])
    for text, sizer in family[1:]:
        check(codec, sizer, text, [b"x"])


@pytest.mark.parametrize("window_log", [10, None])
@pytest.mark.parametrize("size", [1020, 16_380, 131_070])
def test_copies_where_a_block_or_a_class_of_sizes_ends(window_log: int | None, size: int) -> None:
    prefix = (alice() + alice())[:size]
    for level in (1, 4, 6):
        codec = Zstd(level, window_log)
        sizer = codec.sizer(prefix)
        sizer.bits([b"x"])
        twin = sizer.copy()
        for at in range(0, 12, 3):
            twin.feed(b"abc")
            check(codec, twin, prefix + b"abc" * (at // 3 + 1), [b"", b"e"])
        check(codec, sizer, prefix, [b"e", b"words"])


@pytest.mark.parametrize("size", [300, 6000, 45_000])
@pytest.mark.parametrize("level", [1, 5])
def test_noise_whose_literals_are_counted_once(level: int, size: int) -> None:
    prefix = np.random.default_rng(size).bytes(size)
    sizer = ZstdSizer(level, prefix=prefix)
    for _ in range(2):
        check(Zstd(level), sizer, prefix, [b"", *BYTES[::32], prefix[20:60], prefix[:300]])


@given(st.lists(st.integers(0, 400), min_size=256, max_size=256), st.integers(1, 40), st.randoms())
def test_an_order_that_is_kept_is_the_sorted_one(counts: list[int], present: int, rng: random.Random) -> None:
    """A code from counts that change a little is the code of these counts, in an order that gives the same."""
    row, kept = np.zeros(256, np.int64), huffman.begin_scratch()
    symbols = rng.sample(range(256), present + 2)
    row[symbols] = [counts[symbol] + 1 for symbol in symbols]
    for _ in range(12):
        for symbol in rng.sample(range(256), rng.choice([0, 1, 2, 3, 6])):
            row[symbol] = max(row[symbol] + rng.choice([-1, 1, 1, 5, -500]), 0)
        if (row > 0).sum() >= 2:
            assert _cost(row, kept) == _cost(row, huffman.begin_scratch())


def _cost(row: np.ndarray, scratch: np.ndarray) -> list[int]:
    from gencomp.bitstreams.zstd.literals import literals_cost

    costs = np.zeros(4, np.int64)
    nothing = np.zeros((1, 6), np.int32)
    code, after = np.zeros(huffman.HUFFMAN_ROW, np.int64), np.zeros(huffman.HUFFMAN_ROW, np.int64)
    buffer = np.repeat(np.arange(256), row).astype(np.uint8)
    data = np.concatenate([buffer, np.zeros(64, np.uint8)])
    literals_cost(data, 0, nothing, 0, 0, row, len(buffer), 1, code, after, scratch, 0, costs)
    return costs.tolist()
