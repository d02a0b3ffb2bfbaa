"""The walkers of bzip2, LZMA, zstd and Brotli streams, against the real codecs."""

import bz2
import contextlib
import lzma
import math
import os
import random
import subprocess
import sys
import threading

import brotli
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gencomp.bitstreams import brotli_walk, bzip2_end, lzma_state, zstd_frame
from gencomp.bitstreams.lzma_walk import LzmaWalker
from gencomp.compressors import lzma as lzma_compressor
from gencomp.compressors.brotli import Brotli
from gencomp.compressors.bz2 import Bz2
from gencomp.compressors.lzma import ExactLzmaScorer, Lzma, LzmaScorer
from gencomp.compressors.zstd import Zstd
from tests.strategies import data, fewer

BYTES = [bytes([symbol]) for symbol in range(256)]


def mixed(seed: int, book: bytes, size: int) -> bytes:
    """Return text, noise, runs and few symbols, one after the other."""
    rng = random.Random(seed)
    pieces, length = [], 0
    while length < size:
        start = rng.randrange(len(book))
        piece = rng.choice(
            [
                book[start : start + rng.randint(1, 900)],
                rng.randbytes(rng.randint(1, 300)),
                bytes([rng.randrange(256)]) * rng.randint(1, 500),
                bytes(rng.choices(range(rng.randint(1, 30)), k=400)),
            ]
        )
        pieces.append(piece)
        length += len(piece)
    return b"".join(pieces)[:size]


def flipped(blob: bytes, bit: int) -> bytes:
    """Return ``blob`` with one bit changed, the lowest of the last byte being bit 0."""
    return (int.from_bytes(blob, "big") ^ 1 << bit).to_bytes(len(blob), "big")


@given(data=data, level=st.integers(1, 9))
def test_bzip2_ends_at_the_last_bit_that_matters(data: bytes, level: int) -> None:
    blob = Bz2(level).compress(data)
    filling = 8 * len(blob) - bzip2_end.used_bits(blob)
    assert 0 <= filling < 8
    for bit in range(filling):
        assert bz2.decompress(flipped(blob, bit)) == data
    with pytest.raises(OSError, match="."):
        bz2.decompress(flipped(blob, filling))


def test_bzip2_ends_after_several_blocks(book: bytes) -> None:
    blob = Bz2(1).compress(book * 2)
    assert 0 <= 8 * len(blob) - bzip2_end.used_bits(blob) < 8


def test_the_end_mark_of_bzip2_does_not_overlap_with_itself() -> None:
    mark, width = bzip2_end.END_MARK, bzip2_end.MARK_BITS
    assert not any(mark >> shift == mark & (1 << width - shift) - 1 for shift in range(1, 8))


@pytest.mark.parametrize("blob", [b"", b"BZh9", bytes(30)])
def test_bzip2_without_its_end_is_refused(blob: bytes) -> None:
    with pytest.raises(ValueError, match="end mark"):
        bzip2_end.used_bits(blob)


properties = st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)).filter(lambda p: p[0] + p[1] <= 4)


@given(data=data, preset=st.sampled_from([0, 6, 9]), properties=properties)
@fewer(2)
def test_lzma_lengths_round_up_to_the_stream(data: bytes, preset: int, properties: tuple[int, int, int]) -> None:
    compressor = Lzma(preset, False, *properties)
    assert math.ceil(compressor.code_length(data) / 8) == len(compressor.compress(data))


@pytest.mark.parametrize("compressor", [Lzma(), Lzma(0), Lzma(6, True, 0, 2, 0), Lzma(dictionary_bits=12)])
@pytest.mark.every(2)
def test_lzma_lengths_of_long_data(compressor: Lzma, book: bytes) -> None:
    for sample in (book, mixed(1, book, 60_000), bytes(200_000), random.Random(1).randbytes(50_000)):
        assert math.ceil(compressor.code_length(sample) / 8) == len(compressor.compress(sample))


def test_lzma_lengths_tell_fractions_of_bits() -> None:
    # by hand: a byte for the dictionary, 32 bits of flush, and the end marker's 42 decisions, all still even
    empty = 8 + 32 + 42
    # a literal has one decision that it is one and eight for its bits; the second begins with the same five bits, of
    # which the coder has learnt (1024 + 32 of 2048), and goes on with the other sixth
    second = 1 + 5 * math.log2(2048 / 1056) + math.log2(2048 / 992) + 2
    lengths = [Lzma().code_length(sample) for sample in (b"", b"\r", b"\r\n")]
    assert lengths == pytest.approx([empty, empty + 9, empty + 9 + second], abs=0.001)


def test_lzma_walks_do_not_depend_on_what_was_walked_before(book: bytes) -> None:
    compressor = Lzma()
    samples = [book[:3000] + byte for byte in BYTES[::16]] + [b"", b"other", book[5000:5100], book[:2999]]
    walker = compressor.walker()
    random.Random(1).shuffle(samples)
    for group in (samples[:1], samples[1:9], samples[9:], samples):
        found = walker.bits([compressor.stream(sample) for sample in group], [len(sample) for sample in group])
        fresh = [compressor.walker().bits([compressor.stream(sample)], [len(sample)])[0] for sample in group]
        assert found.tolist() == fresh


def test_lzma_streams_that_do_not_fit_are_refused(book: bytes) -> None:
    stream = Lzma().stream(book[:500])
    for damaged, size in ((stream[:-1], 500), (stream + b"\0", 500), (stream, 499), (flipped(stream, 1500), 500)):
        with pytest.raises(ValueError, match="LZMA1"):
            LzmaWalker(3, 0, 2).bits([damaged], [size])


@pytest.mark.skipif(not lzma_state.is_available(), reason="liblzma's functions are out of reach")
@pytest.mark.parametrize("preset", [0, 6, 9 | lzma.PRESET_EXTREME])
def test_lzma_goes_on_from_a_kept_state(preset: int, book: bytes) -> None:
    encoder = lzma_state.LzmaEncoder(preset, 16, 3, 0, 2)
    filters = [{"id": lzma.FILTER_LZMA1, "preset": preset, "dict_size": 1 << 16}]
    sample = mixed(2, book, 30_000)
    for cut in (0, 1, 5000, 20_000):
        encoder = lzma_state.LzmaEncoder(preset, 16, 3, 0, 2)
        encoder.feed(sample[: cut // 2])
        encoder.feed(sample[cut // 2 : cut])
        kept = encoder.save()
        for suffix in (b"", b"e", sample[cut : cut + 300], sample[cut:]):
            encoder.restore(kept)
            expected = lzma.compress(sample[:cut] + suffix, lzma.FORMAT_RAW, filters=filters)
            assert encoder.finish(suffix) == expected
    encoder.restart()
    assert encoder.finish(sample) == lzma.compress(sample, lzma.FORMAT_RAW, filters=filters)


@pytest.mark.parametrize("kept", [True, False])
def test_lzma_scores_from_the_empty_prefix_on(kept: bool, book: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    compressor = Lzma()
    monkeypatch.setattr(lzma_compressor, "is_available", lambda: kept and lzma_state.is_available())
    state, prefix = ExactLzmaScorer(compressor, b""), b""
    for more in (b"", b"a", book[:4094], b"b", b"c", book[:4000], book[500:700], b"d"):  # past 2^12 and 2^13 bytes
        state.feed(more)
        prefix += more
        twin = state.copy()
        for scorer in (state, twin):
            found = scorer.code_lengths(BYTES[60:64]).tolist()
            assert found == [compressor.code_length(prefix + byte) for byte in BYTES[60:64]]


@pytest.mark.parametrize("kept", [True, False])
def test_lzma_scores_after_long_prefixes(kept: bool, book: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    compressor = Lzma(6)
    monkeypatch.setattr(lzma_compressor, "is_available", lambda: kept and lzma_state.is_available())
    sample = mixed(3, book, 16_500)
    state = ExactLzmaScorer(compressor, sample[:9000])
    assert state.code_lengths(BYTES[:2]).tolist() == [compressor.code_length(sample[:9000] + b) for b in BYTES[:2]]
    state.feed(sample[9000:16_382])  # the dictionary doubles within the suffixes
    twin = state.copy()
    twin.feed(b"elsewhere")
    suffixes = [b"", b"a", b"ab", b"abc", b"abcd"]
    expected = [compressor.code_length(sample[:16_382] + suffix) for suffix in suffixes]
    assert state.code_lengths(suffixes).tolist() == expected
    assert twin.code_lengths([b"", b"a"])[1] == compressor.code_length(sample[:16_382] + b"elsewherea")
    assert state.code_lengths(suffixes).tolist() == expected
    state.feed(b"ab")
    assert state.code_lengths(suffixes[:1]).tolist() == expected[2:3]


@pytest.mark.parametrize("scorer", [LzmaScorer, ExactLzmaScorer])
def test_states_of_one_lzma_prefix_may_be_used_by_several_threads(
    scorer: type[LzmaScorer | ExactLzmaScorer], book: bytes
) -> None:
    compressor = Lzma(1)
    states = [scorer(compressor, book[:9000])]
    states[0].code_lengths(BYTES[:2])
    states += [states[0].copy() for _ in range(3)]
    for state, byte in zip(states, BYTES, strict=False):
        state.feed(byte)
    found: dict[int, list[float]] = {}

    def work(index: int) -> None:
        found[index] = states[index].code_lengths([b"x", b"y"]).tolist()

    workers = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for index in range(4):
        prefix = book[:9000] + BYTES[index]
        assert found[index] == [compressor.code_length(prefix + suffix) for suffix in (b"x", b"y")]


@given(data=data, level=st.sampled_from([1, 3, 9, 19]), checksum=st.booleans())
def test_zstd_frames_use_their_bits(data: bytes, level: int, checksum: bool) -> None:
    frame = Zstd(level, checksum=checksum).compress(data)
    bits, bitstreams = zstd_frame.used_bits(frame)
    assert 0 <= 8 * len(frame) - bits <= 7 * bitstreams


@pytest.mark.parametrize("level", [1, 3, 19])
@pytest.mark.every(2)
def test_zstd_frames_of_several_blocks(level: int, book: bytes) -> None:
    for sample in (book * 3, mixed(1, book, 300_000), random.Random(1).randbytes(200_000), bytes(300_000)):
        frame = Zstd(level).compress(sample)
        bits, bitstreams = zstd_frame.used_bits(frame)
        assert 0 <= 8 * len(frame) - bits <= 7 * bitstreams


def test_zstd_raw_and_repeated_blocks_are_whole_bytes() -> None:
    noise = random.Random(1).randbytes(1000)
    for sample in (b"", b"a", noise, b"a" * 100_000):
        frame = Zstd().compress(sample)
        assert zstd_frame.used_bits(frame)[0] <= 8 * len(frame)
    assert zstd_frame.used_bits(Zstd().compress(noise)) == (8 * len(Zstd().compress(noise)), 0)


def test_zstd_frames_that_do_not_end_are_refused(book: bytes) -> None:
    frame = Zstd().compress(book[:5000])
    for damaged in (b"", frame[:3], frame[:-1], frame + b"\0", b"\0" + frame[1:]):
        with pytest.raises(ValueError, match="zstd frame"):
            zstd_frame.used_bits(damaged)


def test_a_kept_zstd_context_writes_what_a_new_one_does(book: bytes) -> None:
    samples = [mixed(seed, book, 500) for seed in range(20)]
    kept = [Zstd().compress(sample) for sample in samples]
    for sample, frame in zip(samples, kept, strict=True):
        Zstd(3).compress(sample)  # another context takes its place
        assert Zstd().compress(sample) == frame


@given(data=data, quality=st.sampled_from([0, 1, 3, 5, 9, 11]), window_bits=st.sampled_from([10, 16, 17, 22]))
@fewer(2)
def test_brotli_is_walked_to_its_end(data: bytes, quality: int, window_bits: int) -> None:
    blob = brotli.compress(data, quality=quality, lgwin=window_bits)
    assert -(-brotli_walk.used_bits(blob, data) // 8) == len(blob)


@pytest.mark.parametrize("mode", ["generic", "text", "font"])
@pytest.mark.parametrize("quality", [2, 5, 10])
def test_brotli_of_long_data(mode: str, quality: int, book: bytes) -> None:
    samples = [book[:40_000], mixed(1, book, 30_000), bytes(100_000), "naïve café — ₤ 漢字 ".encode() * 99]
    if quality < 10:
        samples.append(random.Random(1).randbytes(150_000))
    for sample in samples:
        blob = Brotli(quality, mode=mode).compress(sample)
        assert -(-brotli_walk.used_bits(blob, sample) // 8) == len(blob)


def test_brotli_streams_in_pieces(book: bytes) -> None:
    stream = brotli.Compressor(quality=5)  # a flush adds metadata, and the last meta-block is empty
    blob = stream.process(book[:3000]) + stream.flush() + stream.process(book[3000:9000]) + stream.finish()
    assert -(-brotli_walk.used_bits(blob, book[:9000]) // 8) == len(blob)


def test_brotli_takes_words_of_its_dictionary() -> None:
    sample = b" the government. The Information, (e.g. http://www.example.com/) because of the University of </script>"
    for quality in (10, 11):
        blob = brotli.compress(sample * 2, quality=quality)
        assert -(-brotli_walk.used_bits(blob, sample * 2) // 8) == len(blob)


def test_brotli_streams_of_something_else_are_refused(book: bytes) -> None:
    sample = book[:3000]
    blob = brotli.compress(sample)
    cases = [
        (blob[:-1], sample),
        (blob + b"\0", sample),
        (blob, sample[:-1]),
        (blob, sample[:-1] + b"\0"),
        (b"", sample),
        (flipped(blob, 9000 % (8 * len(blob))), sample),
    ]
    for stream, held in cases:
        with pytest.raises(ValueError, match="Brotli stream"):
            brotli_walk.used_bits(stream, held)


@given(junk=st.binary(max_size=60), data=st.binary(max_size=20))
def test_junk_is_refused_or_taken_but_never_crashes(junk: bytes, data: bytes) -> None:
    calls = [
        lambda: brotli_walk.used_bits(junk, data),
        lambda: zstd_frame.used_bits(junk),
        lambda: zstd_frame.used_bits(b"\x28\xb5\x2f\xfd" + junk),
        lambda: bzip2_end.used_bits(junk),
        lambda: LzmaWalker(3, 0, 2).bits([junk], [len(data)]),
    ]
    for call in calls:
        with contextlib.suppress(ValueError):
            call()


@pytest.mark.parametrize("compressor", [Bz2(), Lzma(), Zstd(), Brotli(9)])
def test_one_more_byte_is_told_apart(compressor: Bz2 | Lzma | Zstd | Brotli, book: bytes) -> None:
    lengths = np.array([compressor.code_length(book[:2000] + byte) for byte in BYTES[::5]])
    assert len(np.unique(lengths)) > 2 * len(np.unique(np.ceil(lengths / 8)))


@pytest.mark.thorough
def test_compiled_and_plain_python_agree() -> None:
    script = """
from gencomp.compressors.brotli import Brotli
from gencomp.compressors.lzma import ExactLzmaScorer, Lzma, LzmaScorer
from gencomp.compressors.zstd import Zstd
from gencomp.data import alice
for compressor in (Lzma(), Zstd(), Brotli()):
    print([compressor.code_length(alice()[:size]) for size in (0, 1, 100, 1500)])
"""
    command = [sys.executable, "-W", "error::RuntimeWarning", "-c", script]
    outputs = {
        subprocess.run(command, env=os.environ | {"NUMBA_DISABLE_JIT": jit}, capture_output=True, check=True).stdout
        for jit in "01"
    }
    assert len(outputs) == 1
