import os
import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gencomp.bitstreams.deflate import DeflateSizer
from gencomp.bitstreams.huffman import WORK_SHAPE, code_lengths
from gencomp.bitstreams.zlib_stream import ZlibSizer, raw_stream
from gencomp.compressors.deflate import Gzip, Zlib
from gencomp.data import alice
from tests.strategies import fewer

BYTES = [bytes([symbol]) for symbol in range(256)]
LEVELS = range(1, 10)
# zlib's quick parse, its lazy one, and the longest search
SOME_LEVELS = [level if level in (1, 4, 9) else pytest.param(level, marks=pytest.mark.thorough) for level in LEVELS]

levels = st.sampled_from(LEVELS)
runs = st.builds(lambda unit, count: unit * count, st.binary(min_size=1, max_size=8), st.integers(1, 300))
few_symbols = st.text(alphabet="ab\n", max_size=300).map(str.encode)
pieces = st.one_of(st.binary(max_size=100), runs, few_symbols)
copied = st.lists(pieces, max_size=4).flatmap(lambda known: st.lists(st.sampled_from([b"", *known]), max_size=8))
data = st.one_of(pieces, copied.map(b"".join))


def bits_of(level: int, whole: bytes) -> int:
    """Return what one call of zlib gives."""
    [bits] = ZlibSizer(level, whole).bits([b""])
    assert (bits + 7) // 8 == len(raw_stream(level, whole))
    return bits


def few(seed: int, size: int, symbols: int = 64) -> bytes:
    return bytes(random.Random(seed).choices(range(symbols), k=size))


@given(levels, data, st.lists(data, max_size=5))
def test_suffixes_cost_what_zlib_takes(level: int, prefix: bytes, suffixes: list[bytes]) -> None:
    bits = DeflateSizer(level, prefix).bits(suffixes)
    assert bits.tolist() == [bits_of(level, prefix + suffix) for suffix in suffixes]


@given(levels, data, data)
def test_every_next_byte_costs_what_zlib_takes(level: int, prefix: bytes, grown: bytes) -> None:
    sizer, zlib_sizer = DeflateSizer(level, prefix), ZlibSizer(level, prefix)
    for byte in [b"", *(grown[i : i + 1] for i in range(min(3, len(grown))))]:
        sizer.feed(byte)
        zlib_sizer.feed(byte)
        assert sizer.bits(BYTES).tolist() == zlib_sizer.bits(BYTES).tolist()


@given(levels, st.lists(data, max_size=6), data)
def test_pieces_make_no_difference(level: int, fed: list[bytes], suffix: bytes) -> None:
    sizer = DeflateSizer(level)
    for piece in fed:
        sizer.feed(piece)
        sizer.bits([suffix, b"x"])
    assert sizer.bits([suffix]).tolist() == DeflateSizer(level, b"".join(fed)).bits([suffix]).tolist()


@given(levels, data, data)
def test_copies_go_on_independently(level: int, prefix: bytes, other: bytes) -> None:
    sizer = DeflateSizer(level, prefix)
    before = sizer.bits([b"", b"a", other])
    twin = sizer.copy()
    twin.feed(other)
    twin.bits([other])
    assert sizer.bits([b"", b"a", other]).tolist() == before.tolist()
    assert twin.bits([b"a"]).tolist() == [bits_of(level, prefix + other + b"a")]


@given(levels, data, st.lists(st.tuples(st.integers(0, 7), st.one_of(data, st.just(alice()[:1500]))), max_size=12))
def test_copies_of_copies_are_what_they_have_been_fed(
    level: int, prefix: bytes, steps: list[tuple[int, bytes]]
) -> None:
    family = [(prefix, DeflateSizer(level, prefix))]
    for place, fed in steps:
        whole, sizer = family[place % len(family)]
        twin = sizer.copy()
        twin.feed(fed)
        family.append((whole + fed, twin))
        if len(family) > 4:
            family.pop(place % 4)  # and leave its arrays to the next copy
    for whole, sizer in family:
        assert sizer.bits([b"", b"a", b"ab"]).tolist() == [bits_of(level, whole + end) for end in (b"", b"a", b"ab")]


@pytest.mark.parametrize("level", SOME_LEVELS)
def test_a_book_as_it_grows(level: int) -> None:
    book = alice()
    sizer = DeflateSizer(level)
    sizes = [0, 1, 2, 3, 300, 2048, 16_000, 32_506, 40_000, 65_274, 65_275, 65_536, 100_000, 131_072, len(book)]
    for start, end in zip(sizes, sizes[1:] + [len(book)], strict=True):
        suffix = book[start:end][:300]
        assert sizer.bits([b"", suffix]).tolist() == [
            bits_of(level, book[:start]),
            bits_of(level, book[:start] + suffix),
        ]
        sizer.feed(book[start:end])


def test_no_data_is_an_empty_block() -> None:
    assert DeflateSizer(9).bits([b""]).tolist() == [10]


@pytest.mark.parametrize("level", [1, 6])
def test_a_block_of_all_its_symbols_is_followed_by_an_empty_one(level: int) -> None:
    noise = random.Random(1).randbytes(3 * 16383 + 10)
    sizer = DeflateSizer(level, noise[:16370])
    for size in range(16370, 16400):
        assert sizer.bits([b"", noise[size : size + 20]]).tolist() == [
            bits_of(level, noise[:size]),
            bits_of(level, noise[: size + 20]),
        ]
        assert sizer.bits(BYTES[::16]).tolist() == ZlibSizer(level, noise[:size]).bits(BYTES[::16]).tolist()
        sizer.feed(noise[size : size + 1])


@pytest.mark.parametrize("level", SOME_LEVELS)
@pytest.mark.parametrize("distance", [32505, 32506, 32507])
@pytest.mark.every(2)
def test_matches_reach_almost_a_window_back(level: int, distance: int) -> None:
    whole = few(1, distance) + few(1, 20) + few(2, 10)
    sizer = DeflateSizer(level, whole[: distance + 2])
    assert sizer.bits([whole[distance + 2 : size] for size in range(distance + 2, len(whole))]).tolist() == [
        bits_of(level, whole[:size]) for size in range(distance + 2, len(whole))
    ]


@pytest.mark.parametrize("level", [1, 4, 9])
def test_the_first_byte_of_the_buffer_is_never_found(level: int) -> None:
    slide = 32768 + 32506  # zlib moves its buffer by 32768 here, if it has too little ahead
    start = few(0, slide)
    whole = start + start[32768 : 32768 + 12] + few(40, 300)
    sizer = DeflateSizer(level, whole[: slide - 5])
    lengths = {size: sizer.bits([whole[slide - 5 : size]])[0] for size in [slide + 12, 65535, 65536, 65540]}
    assert lengths == {size: bits_of(level, whole[:size]) for size in lengths}
    assert lengths[65536] == lengths[65535]  # a byte more, and the match can begin where it should


@pytest.mark.parametrize("level", [3, 9])
def test_codes_stop_at_fifteen_bits(level: int) -> None:
    weights = [1, 1]
    while sum(weights) < 16_000:
        weights.append(weights[-1] + weights[-2])
    shuffled = [symbol for symbol, weight in enumerate(weights) for _ in range(weight)]
    random.Random(1).shuffle(shuffled)
    symbols = bytes(shuffled)
    for size in [len(symbols), 9000, 3000]:
        assert DeflateSizer(level, bytes(symbols[:size])).bits([b""]).tolist() == [
            bits_of(level, bytes(symbols[:size]))
        ]


@pytest.mark.parametrize("seed", range(10))
def test_codes_for_code_lengths_stop_at_seven_bits(seed: int) -> None:
    rng = random.Random(seed)
    counts = [1, 1, 2, 3, 5, 8, 13, 21, 34]  # symbols with codes of 2, 3, ... bits
    weights = [2.0**-length for length, count in enumerate(counts, 2) for _ in range(count)]
    whole = bytes(rng.choices(rng.sample(range(256), len(weights)), weights=weights, k=9000))
    assert DeflateSizer(9, whole).bits([b"", b"a"]).tolist() == [bits_of(9, whole), bits_of(9, whole + b"a")]


@given(st.lists(st.one_of(st.just(0), st.integers(1, 4), st.integers(1, 3000)), min_size=19, max_size=286))
def test_a_code_is_complete_and_no_longer_than_it_says(counts: list[int]) -> None:
    lengths = np.zeros(len(counts), np.int64)
    highest, bits = code_lengths(np.array(counts, np.int64), lengths, np.zeros(WORK_SHAPE, np.int64))
    assert sum(2.0**-n for n in lengths if n > 0) == 1
    assert max(lengths) <= (7 if len(counts) == 19 else 15)
    assert highest == max(symbol for symbol, n in enumerate(lengths) if n > 0)
    assert bits == sum(count * n for count, n in zip(counts, lengths, strict=True))


@pytest.mark.parametrize("compressor", [Gzip(1), Gzip(), Zlib(6)])
def test_code_lengths_fill_up_to_the_bytes_of_the_compressor(compressor: Gzip | Zlib) -> None:
    book = alice()
    state = compressor.begin_scoring(book[:5000])
    for suffix, bits in zip(
        [b"", b"a", book[5000:7000]], state.code_lengths([b"", b"a", book[5000:7000]]), strict=True
    ):
        assert -(-bits // 8) == len(compressor.compress(book[:5000] + suffix))


@pytest.mark.thorough
def test_compiled_and_plain_python_agree() -> None:
    script = """
from gencomp.bitstreams.deflate import DeflateSizer
from gencomp.data import alice
from tests.strategies import fewer
for level in (2, 6, 9):
    sizer = DeflateSizer(level, alice()[:600])
    sizer.feed(b"aaaaaaaaaaa")
    print(sizer.bits([b"", b"a", b"b", b"e", b" the Rabbit" * 3]).tolist())
"""
    command = [sys.executable, "-W", "error::RuntimeWarning", "-c", script]
    outputs = {
        subprocess.run(command, env=os.environ | {"NUMBA_DISABLE_JIT": jit}, capture_output=True, check=True).stdout
        for jit in "01"
    }
    assert len(outputs) == 1


@given(data=data, level=st.sampled_from([1, 4, 9]))
@fewer(2)
def test_growing_is_feeding_byte_by_byte(data: bytes, level: int) -> None:
    sizer, other, library = DeflateSizer(level, data[:9]), DeflateSizer(level, data[:9]), ZlibSizer(level, data[:9])
    found = sizer.grow(data)
    assert found.tolist() == library.grow(data).tolist()
    for place in range(0, len(data), 7):
        twin = other.copy()
        twin.feed(data[: place + 1])
        assert found[place] == twin.bits([b""])[0]
    assert sizer.bits([b"", b"ab"]).tolist() == DeflateSizer(level, data[:9] + data).bits([b"", b"ab"]).tolist()
