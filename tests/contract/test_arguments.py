"""What the public calls take: bytes and buffers of bytes, whole numbers of the alphabet, nothing that only seems so."""

import ctypes
from array import array
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gencomp
from gencomp.arguments import as_bytes, as_context, as_symbol
from gencomp.coding.lanes import LaneDecoder
from gencomp.coding.range_coder import RangeDecoder
from gencomp.equivalence.adapt import as_compressor, as_predictor
from gencomp.equivalence.capabilities import (
    begin_scoring,
    charge,
    chunk_code_lengths,
    decode_block,
    encode_block,
    sequence_code_lengths,
    spend,
    state_cdf,
)
from gencomp.equivalence.conditional import code_length
from gencomp.modalities import audio, image, text
from gencomp.protocols import Charging
from gencomp.registry import entries, load
from tests.networks import small_network

DATA = b"to be or not to be, that is the question\0\xff" * 3
CODECS = [entry.name for entry in entries() if entry.kind == "compressor"]
NETWORKS = {"rnn": f"rnn:{small_network()}", "best": f"best:1?weights={small_network()}"}
PREDICTORS = [
    NETWORKS.get(entry.name, entry.name) for entry in entries() if entry.kind == "predictor" and entry.extra != "lm"
]
EVERY_CODEC = pytest.mark.parametrize("codec", [*CODECS, "counts:2"])
EVERY_PREDICTOR = pytest.mark.parametrize("name", [*PREDICTORS, "gzip", "bz2"], ids=lambda name: name.partition("/")[0])

# the same bytes in other clothes
BUFFERS = [
    bytearray(DATA),
    memoryview(DATA),
    memoryview(bytes(byte for pair in zip(DATA, DATA, strict=True) for byte in pair))[::2],  # with gaps
    np.frombuffer(DATA, dtype=np.uint8),
    np.frombuffer(DATA, dtype=np.uint8).reshape(3, -1),
    array("B", DATA),
    (ctypes.c_ubyte * len(DATA)).from_buffer_copy(DATA),
]
NO_BYTES = [
    None,
    "text",
    5,
    1.5,
    True,
    array("I", range(20)),
    array("d", [1.0]),
    memoryview(array("H", range(9))),
    np.arange(20),
    np.ones(4, dtype=np.bool_),
    np.uint8(3),
    np.array(["text"]),
]


def refuses(call: Callable[[Any], object], *values: Any) -> None:
    for value in values:
        with pytest.raises(TypeError, match=r"must be|expected|whole number"):
            call(value)


@EVERY_CODEC
def test_codecs_take_any_buffer_of_bytes(codec: str) -> None:
    compressor = as_compressor(codec)
    code, length = compressor.compress(DATA), compressor.code_length(DATA)
    scorer = begin_scoring(compressor, DATA)
    expected = scorer.code_lengths([DATA[:5]])
    for buffer in BUFFERS:
        assert compressor.compress(buffer) == code
        assert compressor.code_length(buffer) == length
        twin = begin_scoring(compressor, buffer)
        assert twin.code_lengths([memoryview(DATA)[:5]]) == expected
    assert compressor.decompress(bytearray(code)) == DATA
    assert type(compressor.decompress(memoryview(code))) is bytes
    scorer.feed(bytearray(b"abc"))
    assert scorer.code_lengths([b""])[0] == compressor.code_length(DATA + b"abc")


@EVERY_CODEC
def test_codecs_refuse_all_else(codec: str) -> None:
    compressor = as_compressor(codec)
    others = [*NO_BYTES, [1, 2]]
    refuses(compressor.compress, *others)
    refuses(compressor.code_length, *others)
    refuses(compressor.decompress, *others)
    refuses(lambda prefix: begin_scoring(compressor, prefix), *others)
    scorer = begin_scoring(compressor, b"so")
    before = scorer.code_lengths([b"me"]).tolist()
    refuses(scorer.feed, *others)
    refuses(lambda suffix: scorer.code_lengths([b"a", suffix]), *others)
    refuses(scorer.code_lengths, "me", b"me")
    assert scorer.code_lengths([b"me"]).tolist() == before


@EVERY_PREDICTOR
def test_predictors_take_symbols_of_any_kind(name: str) -> None:
    predictor = as_predictor(name)
    context = b"abra"
    expected = state_cdf(predictor.begin(context)).tolist()
    numbers = list(context)
    for same in (
        bytearray(context),
        memoryview(context),
        numbers,
        tuple(numbers),
        deque(numbers),
        np.array([*context], np.uint8),
    ):
        assert state_cdf(predictor.begin(same)).tolist() == expected
    assert state_cdf(predictor.begin(range(97, 98))).tolist() == state_cdf(predictor.begin(b"a")).tolist()
    state = predictor.begin(context)
    twin = state.copy()
    state.update(97)
    twin.update(np.int64(97))
    assert state_cdf(state).tolist() == state_cdf(twin).tolist()


@EVERY_PREDICTOR
def test_predictors_refuse_all_else(name: str) -> None:
    predictor = as_predictor(name)
    refuses(predictor.begin, *NO_BYTES, ["a"], [1.5], [True], [np.float64(1.0)], {1, 2})
    for outside in (-1, 256, np.int64(-1), 1 << 70):
        with pytest.raises(ValueError, match="must lie in"):
            predictor.begin([97, outside])
    state = predictor.begin(b"ab")
    before = state_cdf(state).tolist()
    refuses(state.update, None, "a", b"a", 1.5, 97.0, np.float64(97), True, np.True_, [97])
    for outside in (-1, 256, np.uint16(256), 1 << 70):
        with pytest.raises(ValueError, match="must lie in"):
            state.update(outside)
    assert state_cdf(state).tolist() == before
    state.update(99)
    assert state_cdf(state).tolist() == state_cdf(predictor.begin(b"abc")).tolist()


@pytest.mark.parametrize(
    "name",
    ["uniform", "counts:2", "mix:1", "gzip", "lz78", "ctw", *NETWORKS.values()],
    ids=lambda name: name.partition("/")[0],
)
def test_blocks_are_bytes(name: str) -> None:
    predictor = as_predictor(name)
    data = DATA[:12]
    payload = encode_block(predictor, data)
    for buffer in (bytearray(data), np.frombuffer(data, dtype=np.uint8)):
        assert encode_block(predictor, buffer) == payload
    assert decode_block(predictor, bytearray(payload), len(data)) == data
    refuses(lambda other: encode_block(predictor, other), *NO_BYTES)
    refuses(lambda other: decode_block(predictor, other, 3), *NO_BYTES)
    refuses(lambda other: chunk_code_lengths(predictor, [other]), *NO_BYTES)
    refuses(lambda other: sequence_code_lengths(predictor, [other]), *NO_BYTES)


def test_conditional_code_lengths_are_of_bytes() -> None:
    for model in ("zlib", "counts:1"):
        expected = code_length(model, DATA, DATA[:9])
        for buffer in BUFFERS:
            assert code_length(model, buffer, memoryview(DATA)[:9]) == expected
        refuses(lambda data, model=model: code_length(model, data), *NO_BYTES)
        refuses(lambda given, model=model: code_length(model, DATA, given), *NO_BYTES)


@pytest.mark.parametrize("name", ["counts:1", "lz78", "ctw", "mix:1", NETWORKS["rnn"], "gzip"])
def test_what_a_state_is_charged_for_is_bytes(name: str) -> None:
    predictor = as_predictor(name)
    expected = charge(predictor.begin(b"a"), DATA[:5]).tolist()
    assert charge(predictor.begin(b"a"), bytearray(DATA[:5])).tolist() == expected
    state = predictor.begin(b"a")
    refuses(lambda data: charge(state, data), *NO_BYTES)
    if isinstance(state, Charging):
        refuses(state.charge, *NO_BYTES)
    refuses(lambda data: spend(state, data), *NO_BYTES)
    assert charge(state, DATA[:5]).tolist() == expected


def test_the_packages_own_calls() -> None:
    archive = gencomp.compress(DATA, "counts:1")
    total = gencomp.score("zlib", DATA, limit=3).code_length
    drawn = gencomp.sample("counts:1", prompt=DATA, prime=DATA[:4], length=4)
    for buffer in BUFFERS:
        assert gencomp.compress(buffer, "counts:1") == archive
        assert gencomp.score("zlib", buffer, limit=3).code_length == total
        assert gencomp.sample("counts:1", prompt=buffer, prime=memoryview(DATA)[:4], length=4) == drawn
    assert gencomp.decompress(bytearray(archive)) == DATA
    others = [*NO_BYTES, [1, 2]]
    refuses(lambda data: gencomp.compress(data, "counts:1"), *others)
    refuses(gencomp.decompress, *others)
    refuses(lambda data: gencomp.score("zlib", data), *others)
    refuses(lambda data: gencomp.sample("counts:1", prompt=data, length=1), *others)
    refuses(lambda data: gencomp.sample("counts:1", prime=data, length=1), *others)
    refuses(lambda some: gencomp.sample("counts:1", prompt=b"a", length=1, alphabet=some), "ab", (1.5,), (True,))
    for outside in ((-1,), (256,)):
        with pytest.raises(ValueError, match="symbol"):
            gencomp.sample("counts:1", prompt=b"a", length=1, alphabet=outside)


def test_decoders_and_files_of_media() -> None:
    others = [other for other in NO_BYTES if other is not None]
    refuses(RangeDecoder, None, *others)
    refuses(lambda payload: LaneDecoder(payload, 2), None, *others)
    refuses(lambda data: audio.to_wav(data), None, *others)
    refuses(lambda data: image.to_png(data, 1, 1), None, *others)
    refuses(lambda data: list(text.chunks(data, 1)), None, *others)
    refuses(text.clear_top_bits, None, *others)
    refuses(text.halve, None, *others)
    samples = np.frombuffer(DATA, dtype=np.uint8)
    assert audio.to_wav(samples) == audio.to_wav(DATA)
    assert image.to_png(samples, len(DATA), 1) == image.to_png(DATA, len(DATA), 1)


def test_a_stream_of_text_is_refused() -> None:
    import io

    from gencomp.archive.writer import write_archive

    with pytest.raises(TypeError, match="a stream of bytes is expected, got one of text"):
        write_archive(io.StringIO("text"), io.BytesIO(), load("counts:1"))  # type: ignore[arg-type]


def test_other_alphabets() -> None:
    uniform = load("uniform?alphabet_size=1000")
    uniform.begin([999]).update(999)
    with pytest.raises(ValueError, match=r"\[0, 1000\), got 1000"):
        uniform.begin([1000])
    with pytest.raises(ValueError, match=r"\[0, 1000\), got 1000"):
        uniform.begin().update(1000)
    with pytest.raises(ValueError, match=r"\[0, 4\), got 97"):
        load("uniform?alphabet_size=4").begin(b"a")
    assert as_context([300], 1000) == [300]
    assert as_symbol(3, 4) == 3


def test_what_is_said_helps() -> None:
    with pytest.raises(TypeError, match="got str; encode it first"):
        as_bytes("text")
    with pytest.raises(
        TypeError, match=r"got array of items 'I', 4 bytes each; give bytes\(numbers\), or the .tobytes"
    ):
        as_bytes(array("I", [1]))
    with pytest.raises(TypeError, match="got None"):
        gencomp.compress(None)  # type: ignore[arg-type]
