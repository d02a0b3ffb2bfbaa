"""What each byte costs, what may come next, how a codec cut the text, and states along a text that is edited."""

import contextlib
import math
import threading
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gencomp
from gencomp.bitstreams.deflate_walk import code_words, walk
from gencomp.bitstreams.zstd_parse import walk as zstd_walk
from gencomp.budget import Budget
from gencomp.compressors.zstd import Zstd
from gencomp.equivalence import checkpoints
from gencomp.equivalence.adapt import as_compressor, as_predictor
from gencomp.equivalence.candidates import Candidates
from gencomp.equivalence.checkpoints import Checkpoints
from gencomp.equivalence.costs import costs, costs_cost, stream_costs
from gencomp.errors import BudgetError, CorruptDataError
from gencomp.phrases import Parse
from tests.strategies import data, fewer

CODECS = ("gzip", "zlib?level=1", "zstd", "lzma", "bz2", "xz")
PREDICTORS = ("counts:2", "mix:1", "rnn", "uniform")


@pytest.mark.parametrize("spec", CODECS)
def test_a_codecs_costs_are_what_its_code_grows_by(spec: str, book: bytes) -> None:
    text, codec = book[:300], as_compressor(spec)
    found = costs(spec, text)
    ends = np.cumsum(found) + codec.code_length(b"")
    assert len(found) == 300
    for place in (0, 1, 63, 64, 150, 299):
        assert ends[place] == pytest.approx(codec.code_length(text[: place + 1]), abs=1e-6)
    after = costs(spec, text[200:], given=text[:200])
    assert after == pytest.approx(found[200:], abs=1e-6)


@pytest.mark.parametrize("spec", PREDICTORS)
def test_a_predictors_costs_are_minus_log2_p(spec: str, book: bytes) -> None:
    text, found = book[:80], costs(spec, book[:80])
    state = as_predictor(spec).begin()
    for place, symbol in enumerate(text):
        if not spec.startswith("mix"):  # whose block coder learns within a byte, where a state cannot
            assert found[place] == pytest.approx(float(state.code_lengths()[symbol]), abs=0.05)
        state.update(symbol)
    assert found.sum() == pytest.approx(as_compressor(spec).code_length(text), abs=8 * 4)
    pieces = list(stream_costs(spec, text, piece=7))
    assert [len(piece) for piece in pieces] == [7] * 11 + [3]
    assert np.concatenate(pieces) == pytest.approx(found, abs=0.01)


def test_normalized_costs_are_those_of_a_score(book: bytes) -> None:
    text = book[:60]
    assert costs("gzip", text, normalized=True) == pytest.approx(gencomp.score("gzip", text).costs)
    assert len(costs("gzip", b"")) == len(costs("counts", b"")) == 0
    with pytest.raises(ValueError, match="at least 1 byte"):
        stream_costs("gzip", text, piece=0)


def test_what_would_take_hours_is_known_before() -> None:
    slow = costs_cost(as_predictor("brotli"), 1 << 16)
    with pytest.raises(BudgetError, match="the limit is 60 seconds"):
        Budget(work=60).check(slow, "65,536 bytes")
    gzip = as_predictor("gzip")
    assert costs_cost(gzip, 2048).work < 10 < costs_cost(gzip, 2048, normalized=True).work
    assert costs_cost(as_predictor("mix"), 2048).work < 10
    assert costs_cost(as_predictor("lzma"), 30_000).work < 300  # it takes two seconds


def test_candidates_have_an_order_and_a_kraft_sum() -> None:
    candidates = gencomp.candidates("gzip", b"abcabcab")
    assert candidates.top(1) == [ord("c")]
    assert candidates.probabilities.sum() == pytest.approx(1)
    assert candidates.kraft_sum == pytest.approx(float(np.exp2(-candidates.charged).sum()))
    tied = Candidates(np.array([2.0, 1.0, 2.0]), np.array([2.0, 1.0, 2.0]))
    assert tied.top(5) == [1, 0, 2]
    with pytest.raises(ValueError, match="k must be at least 1"):
        tied.top(0)
    assert gencomp.candidates("counts:1", b"aaaa").kraft_sum == pytest.approx(1, abs=1e-6)


def written(parse: Parse, text: bytes) -> bytes:
    """Return what the phrases write, the literals taken from ``text``."""
    out = bytearray()
    for phrase in parse.phrases:
        assert phrase.position == len(out)
        for place in range(phrase.length):
            out.append(text[len(out)] if phrase.is_literal else out[phrase.source + place])
    return bytes(out)


PARSING = ("gzip", "gzip?level=1", "zlib", "lzma", "lzma?preset=0&lc=0&lp=2", "zstd", "zstd?level=1&checksum=true")


@pytest.mark.parametrize("spec", PARSING)
def test_a_parse_writes_the_text_and_adds_up(spec: str, book: bytes) -> None:
    noise = np.random.default_rng(1).bytes(400)
    for text in (b"", b"a", b"abcabcabcabcabc", book[:3000], noise, bytes(2000), noise + book[:100] + noise):
        parse = gencomp.parse(spec, text)
        assert written(parse, text) == text
        assert parse.code_length == pytest.approx(as_compressor(spec).code_length(text), abs=1e-6)
        assert [block.start for block in parse.blocks[1:]] == [block.stop for block in parse.blocks[:-1]]
        assert (parse.blocks[0].start, parse.blocks[-1].stop) == (0, len(text))
        assert all(
            phrase.bits > 0 or spec.startswith("zstd") for phrase in parse.phrases
        )  # it may have one symbol only


@given(data, st.sampled_from([1, 3, 9, 19]))
@fewer(2)
def test_zstds_phrases_write_any_data(text: bytes, level: int) -> None:
    codec = Zstd(level)
    parse = codec.parse(text)
    assert written(parse, text) == text
    assert parse.code_length == codec.code_length(text)


def long_text(kind: str, book: bytes) -> bytes:
    rng = np.random.default_rng(5)
    return {
        "letters": lambda: rng.choice(np.frombuffer(b"ACGT", np.uint8), 40_000).tobytes(),
        "zeros": lambda: rng.bytes(3000) + bytes(300_000) + book[:20_000],
        "book": lambda: book,
        "repeated": lambda: book[:9000] * 20,
    }[kind]()


PAIRS = {("letters", Zstd(16)), ("book", Zstd(6, window_log=12))}


@pytest.mark.parametrize(
    ("kind", "codec"),
    [
        pytest.param(kind, codec, marks=() if (kind, codec) in PAIRS else pytest.mark.thorough)
        for kind in ("letters", "zeros", "book", "repeated")
        for codec in (Zstd(1), Zstd(6, window_log=12), Zstd(16))
    ],
)
def test_zstds_blocks_follow_one_another(kind: str, codec: Zstd, book: bytes) -> None:
    """Tables and distances live on from block to block, and long texts have several streams of literals."""
    text = long_text(kind, book)
    parse = codec.parse(text)
    assert written(parse, text) == text
    assert parse.code_length == codec.code_length(text)
    assert [block.start for block in parse.blocks[1:]] == [block.stop for block in parse.blocks[:-1]]


def test_zstd_repeats_distances(book: bytes) -> None:
    assert any(phrase.repeated for phrase in Zstd(19).parse(book[:20_000]).phrases)


@given(st.integers(0, 500), st.integers(0, 7), st.booleans())
def test_a_damaged_zstd_frame_is_refused_or_read(place: int, bit: int, cut: bool) -> None:
    text = b"the quick brown fox, the quicker brown dog; a lazy fox and a lazier dog, quick quick" * 3
    frame = bytearray(Zstd(19).compress(text))
    place %= len(frame)
    frame[place] ^= 1 << bit
    with contextlib.suppress(CorruptDataError):
        zstd_walk(bytes(frame[:place] if cut else frame), text)


@given(data)
@fewer(4)
def test_a_walk_follows_zlib_through_any_data(text: bytes) -> None:
    for level, strategy in ((1, zlib.Z_DEFAULT_STRATEGY), (9, zlib.Z_FIXED), (6, zlib.Z_HUFFMAN_ONLY)):
        stream = zlib.compressobj(level, zlib.DEFLATED, -15, 8, strategy)
        raw = stream.compress(text) + stream.flush()
        phrases, blocks, bits = walk(raw)
        assert written(Parse(phrases, blocks, 0), text) == text
        assert len(raw) == -(-bits // 8)


def test_lzma_tells_of_repeated_distances(book: bytes) -> None:
    table = b"".join(b"%s,%d\n" % (name, index % 7) for index, name in enumerate(book[:1500].split()))
    phrases = gencomp.parse("lzma", table).phrases
    last: list[int] = []
    assert any(phrase.repeated for phrase in phrases)
    for phrase in phrases:
        if phrase.repeated:
            assert phrase.distance in last[-4:]
        if not phrase.is_literal:
            last = [distance for distance in last if distance != phrase.distance] + [phrase.distance]


def test_stored_blocks_and_several_blocks_have_their_borders() -> None:
    noise = np.random.default_rng(2).bytes(40_000)
    blocks = gencomp.parse("gzip", noise).blocks
    assert {block.kind for block in blocks} == {"stored"}
    assert len(blocks) > 1
    assert all(len(block.codes) == 0 for block in blocks)
    fixed = gencomp.parse("gzip", b"hello hello").blocks[0]
    assert (fixed.kind, fixed.codes[0], fixed.codes[256]) == ("fixed", "00110000", "0000000")


def test_the_rfcs_example_of_a_code() -> None:
    """RFC 1951, section 3.2.2: the lengths (3, 3, 3, 3, 3, 2, 4, 4) of ABCDEFGH."""
    words = code_words((3, 3, 3, 3, 3, 2, 4, 4))
    assert [words[symbol] for symbol in range(8)] == ["010", "011", "100", "101", "110", "00", "1110", "1111"]


@pytest.mark.parametrize(
    "stream", [b"", b"\x07", b"\x01\x01\x00\x01\x00a", b"\x4b\x04", b"\x03\x02", b"\x05\xe0\x81\x08\0\0"]
)
def test_what_is_no_deflate_stream_is_an_error(stream: bytes) -> None:
    with pytest.raises(CorruptDataError, match="not a"):
        walk(stream)


@given(st.binary(max_size=40))
def test_any_bytes_are_walked_or_refused(stream: bytes) -> None:
    try:
        phrases, _, bits = walk(stream)
    except CorruptDataError:
        return
    assert bits <= 8 * len(stream)
    expected = zlib.decompressobj(-15).decompress(stream)
    assert sum(phrase.length for phrase in phrases) == len(expected)


def test_a_model_without_phrases_says_so() -> None:
    with pytest.raises(ValueError, match="gzip, zlib, zstd and lzma do"):
        gencomp.parse("mix", b"abc")


@pytest.mark.parametrize("spec", ["gzip", "counts:2", "lzma"])
def test_checkpoints_are_the_states_of_a_text(spec: str, book: bytes) -> None:
    predictor = as_predictor(spec)
    points = Checkpoints(predictor)
    text = book[:1700]
    for context in (text, text[:600], text[:700] + b"!" + text[700:], b"", text[:256], text[:257]):
        assert points.at(context).code_lengths() == pytest.approx(predictor.begin(context).code_lengths())
    state = points.at(text[:512])
    state.update(65)
    assert points.at(text[:512]).code_lengths() == pytest.approx(predictor.begin(text[:512]).code_lengths())


def test_checkpoints_read_a_text_once_and_keep_to_their_memory(book: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = as_predictor("counts:1")
    began: list[int] = []

    class Noting:
        alphabet_size = 256

        def begin(self, context: bytes = b"") -> object:
            began.append(len(context))
            return predictor.begin(context)

    points = Checkpoints(Noting())  # type: ignore[arg-type]
    for size in range(1000, 1300):
        points.at(book[:size])
    assert len(began) == 1
    small = Checkpoints(predictor, memory=3 << 16)
    for size in range(0, 20_000, 2000):
        small.at(book[:size])
    assert len(small) <= 3
    monkeypatch.setattr(checkpoints, "_MOST", 5)
    many = Checkpoints(predictor)
    for size in range(0, 20_000, 2000):
        many.at(book[:size])
    assert len(many) == 5


def test_checkpoints_serve_several_threads(book: bytes) -> None:
    predictor = as_predictor("gzip")
    points, wrong = Checkpoints(predictor), []

    def ask(shift: int) -> None:
        for size in range(300 + shift, 900, 97):
            found = points.at(book[:size]).code_lengths()
            if not np.allclose(found, predictor.begin(book[:size]).code_lengths()):
                wrong.append(size)

    threads = [threading.Thread(target=ask, args=(shift,)) for shift in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_costs_of_a_mixture_of_kinds_are_finite(book: bytes) -> None:
    for spec in ("ensemble:gzip,counts", "lookahead:gzip"):
        found = costs(spec, book[:6])
        assert all(math.isfinite(cost) and cost >= 0 for cost in found)
