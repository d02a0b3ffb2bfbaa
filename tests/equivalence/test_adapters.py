"""The two adapters, and the law that they are each other's inverse."""

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gencomp
from gencomp import ArithmeticCompressor, CodeLengthPredictor, cores
from gencomp.coding.varint import varint
from gencomp.equivalence.adapt import native
from gencomp.equivalence.predictor import normalized
from gencomp.errors import CorruptDataError
from gencomp.registry import load
from tests.strategies import fewer


@pytest.mark.parametrize(
    ("name", "size"), [("gzip", 120), ("zlib?level=1", 120), ("bz2", 24), ("lzma", 24), ("zstd?level=3", 24)]
)
@pytest.mark.every(2)
def test_closing_law(name: str, size: int, wiki: bytes, book: bytes) -> None:
    """A compressor, read as a predictor, driven by an arithmetic coder, is lossless again."""
    closed = ArithmeticCompressor(CodeLengthPredictor(load(name)))
    for text in (wiki[:size], book[5000 : 5000 + size], b"", bytes(range(0, 256, 20))):
        assert closed.decompress(closed.compress(text)) == text


@given(data=st.binary(max_size=12))
@fewer(10)
def test_closing_law_on_arbitrary_bytes(data: bytes) -> None:
    closed = ArithmeticCompressor(CodeLengthPredictor(load("gzip?level=6")))
    assert closed.decompress(closed.compress(data)) == data


def test_probabilities_are_those_of_the_code_lengths(book: bytes) -> None:
    gzip = load("gzip")
    state = CodeLengthPredictor(gzip).begin(book[:500])
    lengths = np.array([gzip.code_length(book[:500] + bytes([symbol])) for symbol in range(256)])
    weights = 2.0 ** -(lengths - lengths.min())
    assert 2.0 ** -state.code_lengths() == pytest.approx(weights / weights.sum())
    growth = lengths - gzip.code_length(book[:500])
    assert state.kraft_sum() == pytest.approx((2.0**-growth).sum())


def test_all_tied_is_uniform() -> None:
    assert normalized(np.full(256, 800.0)) == pytest.approx(np.full(256, 8.0))


def test_a_repeated_text_is_expected_to_go_on(book: bytes) -> None:
    phrase = book[1000:1200]
    code_lengths = CodeLengthPredictor(load("zlib")).begin(book[:1500] + phrase[:100]).code_lengths()
    assert code_lengths[phrase[100]] < 5 < 15 < np.median(code_lengths)


@pytest.mark.parametrize("codec", ["bz2?level=1", "brotli?quality=1"])
def test_the_number_of_threads_changes_nothing(codec: str, book: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of codecs whose candidates are compressed anew, as many at a time as there are threads."""
    results, used = [], []
    factory = type(load(codec))
    code_length = factory.code_length

    def noted(self: Any, data: bytes) -> float:
        used.append(threading.get_ident())
        barrier.wait(60)  # until as many threads as there should be are at work
        return float(code_length(self, data))

    for threads in (1, 4):
        barrier = threading.Barrier(threads)
        with monkeypatch.context() as patch:
            patch.setattr(cores, "usable_cores", lambda threads=threads: threads)
            patch.setattr(cores, "_pools", {})
            patch.setattr(factory, "code_length", noted)
            state = gencomp.as_predictor(codec).begin(book[:300])
            used.clear()
            results.append(state.candidate_code_lengths().tolist())
            assert len(set(used)) == threads
            cores.candidate_pool().shutdown()
    assert results[0] == results[1]
    assert len(set(results[0])) > 2


def test_a_compressor_of_another_alphabet_is_refused() -> None:
    with pytest.raises(ValueError, match="needs 256 symbols, the predictor has 4"):
        ArithmeticCompressor(load("uniform?alphabet_size=4"))


def test_adapters_are_put_in_and_taken_out() -> None:
    gzip, counts = load("gzip"), load("counts")
    assert gencomp.as_compressor("gzip") == gzip
    assert gencomp.as_predictor("counts") == counts
    assert gencomp.as_predictor("gzip") == CodeLengthPredictor(gzip)
    assert gencomp.as_compressor("counts") == ArithmeticCompressor(counts)
    assert gencomp.as_compressor(gencomp.as_predictor(gzip)) == gzip
    assert gencomp.as_predictor(gencomp.as_compressor(counts)) == counts
    assert native(gencomp.as_predictor("gzip")) == gzip
    with pytest.raises(TypeError, match="expected a spec"):
        gencomp.as_predictor(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="expected a spec"):
        gencomp.as_compressor(3)  # type: ignore[arg-type]


def test_code_length_of_a_predictor_is_near_the_ideal(wiki: bytes) -> None:
    counts = gencomp.as_predictor("counts:3")
    state, ideal = counts.begin(), 0.0
    for symbol in wiki:
        ideal += state.code_lengths()[symbol]
        state.update(symbol)
    framing = 16  # the length, 4096, as a varint
    assert ideal <= gencomp.as_compressor("counts:3").code_length(wiki) <= ideal + framing + 2 + 7


def test_blocks_code_in_parallel_threads(book: bytes) -> None:
    """No state is shared: threads that code at once give what one alone gives."""
    compressor = gencomp.as_compressor("counts")
    texts = [book[start : start + 3000] for start in range(0, 24_000, 3000)]
    alone = [compressor.compress(text) for text in texts]
    found: dict[int, bytes] = {}
    threads = [
        threading.Thread(target=lambda number=number, text=text: found.update({number: compressor.compress(text)}))
        for number, text in enumerate(texts)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[number] for number in range(len(texts))] == alone


def test_a_damaged_code_is_refused(book: bytes) -> None:
    compressor = gencomp.as_compressor("counts:2")
    code = compressor.compress(book[:200])
    claims_too_much = varint(1 << 62) + code[2:]
    for damaged in (code[:-1], code + b"\0", b"", b"\xff", claims_too_much):
        with pytest.raises(CorruptDataError):
            compressor.decompress(damaged)
