"""One contract for every compressor of the registry: a new codec needs no new test."""

import contextlib
import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gencomp.equivalence.capabilities import begin_scoring, resolution_of, window_of
from gencomp.errors import CorruptDataError
from gencomp.protocols import Compressor
from gencomp.registry import entries, load, resolve, spec_of
from tests.strategies import data, fewer

FOR_PIXELS_AND_SAMPLES = {"png", "webp", "flac"}  # they shorten text too, but less
NAMES = [entry.name for entry in entries() if entry.kind == "compressor"]
ALL = pytest.mark.parametrize("name", NAMES)


@ALL
@given(data=data)
def test_round_trip(name: str, data: bytes) -> None:
    compressor = load(name)
    assert compressor.decompress(compressor.compress(data)) == data


@ALL
@pytest.mark.every(2)
def test_round_trip_of_a_book(name: str, book: bytes) -> None:
    compressor = load(name)
    code = compressor.compress(book)
    assert len(code) < (0.95 if name in FOR_PIXELS_AND_SAMPLES else 0.4) * len(book)
    assert compressor.decompress(code) == book


@ALL
@given(data=data)
def test_the_same_data_gives_the_same_code(name: str, data: bytes) -> None:
    assert load(name).compress(data) == load(name).compress(data)


@ALL
@given(data=data)
def test_code_length_is_that_of_the_code(name: str, data: bytes) -> None:
    compressor = load(name)
    length, size = compressor.code_length(data), len(compressor.compress(data))
    # zstd fills up each of its bitstreams; tests/bitstreams counts them
    assert math.ceil(length / 8) == size or (name == "zstd" and 0 <= 8 * size - length <= 7 * 10)
    resolution = resolution_of(compressor)
    assert length % {"byte": 8, "bit": 1, "fraction": 2**-16}[resolution] == 0


@ALL
@given(prefix=data, suffixes=st.lists(st.binary(max_size=5), min_size=1, max_size=4))
@fewer(2)
def test_scoring_suffixes_equals_compressing_them(name: str, prefix: bytes, suffixes: list[bytes]) -> None:
    compressor = load(name)
    state = begin_scoring(compressor, prefix)
    expected = [compressor.code_length(prefix + suffix) for suffix in suffixes]
    assert state.code_lengths(suffixes).tolist() == expected


@ALL
@given(prefix=data, first=st.binary(max_size=9), second=st.binary(max_size=9))
@fewer(2)
def test_scorer_feeds_and_copies(name: str, prefix: bytes, first: bytes, second: bytes) -> None:
    compressor = load(name)
    state = begin_scoring(compressor, prefix)
    fork = state.copy()
    state.feed(first)
    fork.feed(second)
    assert state.code_lengths([second])[0] == compressor.code_length(prefix + first + second)
    assert fork.code_lengths([b""])[0] == compressor.code_length(prefix + second)


@ALL
@given(data=data, cut=st.integers(1, 20), tail=st.binary(min_size=1, max_size=4))
def test_an_incomplete_or_overlong_code_is_refused(name: str, data: bytes, cut: int, tail: bytes) -> None:
    compressor = load(name)
    code = compressor.compress(data)
    for damaged in (code[: max(0, len(code) - cut)], code + tail):
        with pytest.raises(CorruptDataError):
            compressor.decompress(damaged)


@ALL
@given(junk=st.binary(max_size=60))
def test_junk_is_refused_or_is_a_code(name: str, junk: bytes) -> None:
    compressor = load(name)
    with contextlib.suppress(CorruptDataError):
        compressor.decompress(junk)


@ALL
def test_spec_repr_and_config_rebuild_one_another(name: str) -> None:
    compressor = load(name)
    factory = type(compressor)
    assert isinstance(compressor, Compressor)
    assert spec_of(compressor) == name
    assert load(spec_of(compressor, full=True)) == compressor
    assert eval(repr(compressor), {factory.__name__: factory}) == compressor
    assert factory(**dataclasses.asdict(compressor)) == compressor
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(compressor, dataclasses.fields(factory)[0].name, 1)


@ALL
def test_every_option_has_bounds(name: str) -> None:
    factory = resolve(next(entry for entry in entries() if entry.name == name))
    for field in dataclasses.fields(factory):
        if isinstance(field.default, int) and not isinstance(field.default, bool):
            with pytest.raises(ValueError, match=field.name):
                factory(**{field.name: -1})
            with pytest.raises(ValueError, match=field.name):
                factory(**{field.name: 1 << 20})


@ALL
def test_says_how_it_looks(name: str) -> None:
    compressor = load(name)
    assert resolution_of(compressor) in ("fraction", "bit", "byte")
    window = window_of(compressor)
    assert window is None or window >= 1 << 10


def test_deflate_code_lengths_are_exact_around_full_blocks(book: bytes) -> None:
    # zlib closes a block after 16,383 symbols; random bytes are one symbol each
    noise = np.random.default_rng(0).integers(0, 256, 40_000, dtype=np.uint8).tobytes()
    for size in (16_382, 16_383, 16_384, 32_765, 32_766, 32_767):
        for level in (1, 6, 9):
            compressor = load(f"zlib?level={level}")
            for sample in (noise[:size], book[:size], noise[:100] + book[:size]):
                bits = compressor.code_length(sample)
                assert -(-int(bits) // 8) == len(compressor.compress(sample))
