"""The LZMA sizer against the streams that liblzma writes."""

import os
import random
import subprocess
import sys
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gencomp.bitstreams.lzma import sizer as lzma_sizer
from gencomp.compressors import lzma as lzma_compressor
from gencomp.compressors.lzma import ExactLzmaScorer, Lzma, LzmaScorer
from gencomp.data import alice
from gencomp.equivalence.capabilities import copies_state, state_cost
from gencomp.equivalence.predictor import CANDIDATES
from tests.bitstreams.test_walkers import mixed
from tests.strategies import fewer

PRESETS = [Lzma(preset) for preset in range(10)] + [Lzma(preset, True) for preset in (0, 3, 5, 6)]

compressors = st.builds(
    lambda preset, extreme, properties, bits: Lzma(preset, extreme, *properties, bits),
    st.integers(0, 9),
    st.sampled_from([False, False, True]),
    st.sampled_from([(3, 0, 2), (3, 0, 0), (0, 2, 1), (4, 0, 4), (0, 4, 0), (1, 3, 2)]),
    st.sampled_from([None, None, 12, 16]),
)
runs = st.builds(lambda unit, count: unit * count, st.binary(min_size=1, max_size=8), st.integers(1, 300))
few_symbols = st.text(alphabet="ab\n", max_size=300).map(str.encode)
pieces = st.one_of(st.binary(max_size=100), runs, few_symbols)
copied = st.lists(pieces, max_size=4).flatmap(lambda known: st.lists(st.sampled_from([b"", *known]), max_size=8))
data = st.one_of(pieces, copied.map(b"".join))


def of_liblzma(compressor: Lzma, prefix: bytes, suffixes: list[bytes]) -> list[float]:
    """Return the lengths of the streams that liblzma writes."""
    streams = [compressor.stream(prefix + suffix) for suffix in suffixes]
    sizes = [len(prefix) + len(suffix) for suffix in suffixes]
    return [lzma_compressor.HEADER_BITS + bits for bits in compressor.walker().bits(streams, sizes).tolist()]


def grown_copies(seed: int, text: bytes, size: int) -> bytes:
    """Return bytes and copies of earlier ones, from 1 to 600 bytes long, near and far."""
    rng = random.Random(seed)
    out = bytearray(text[: rng.randint(1, 60)])
    while len(out) < size:
        start = max(0, len(out) - int(len(out) ** rng.random()) - 1)
        out += out[start : start + rng.choice([2, 3, 5, 20, 100, 600])] * rng.choice([1, 1, 4])
        out += rng.choice([b"", rng.randbytes(rng.randint(1, 3)), text[len(out) : len(out) + rng.randint(0, 60)]])
    return bytes(out[:size])


@given(compressors, data, st.lists(data, max_size=5))
def test_suffixes_cost_what_liblzma_takes(compressor: Lzma, prefix: bytes, suffixes: list[bytes]) -> None:
    assert LzmaScorer(compressor, prefix).code_lengths(suffixes).tolist() == of_liblzma(compressor, prefix, suffixes)


@given(compressors, data, st.lists(st.tuples(st.integers(0, 7), data), max_size=8))
@fewer(2)
def test_copies_of_copies_are_what_they_have_been_fed(
    compressor: Lzma, prefix: bytes, steps: list[tuple[int, bytes]]
) -> None:
    family = [(prefix, LzmaScorer(compressor, prefix))]
    for place, fed in steps:
        whole, scorer = family[place % len(family)]
        twin = scorer.copy()
        twin.feed(fed)
        family.append((whole + fed, twin))
        if len(family) > 4:
            family.pop(place % 4)
    for whole, scorer in family:
        ends = [b"", b"a", b"ab", whole[-3:]]
        assert scorer.code_lengths(ends).tolist() == of_liblzma(compressor, whole, ends)


# each match finder, the quick parse and the optimal one, and the longest search
USUAL = (Lzma(0), Lzma(3), Lzma(4), Lzma(6), Lzma(9), Lzma(6, True))


@pytest.mark.parametrize(
    "compressor",
    [pytest.param(preset, marks=() if preset in USUAL else pytest.mark.thorough) for preset in PRESETS],
    ids=str,
)
@pytest.mark.every(2)
def test_every_next_byte_costs_what_liblzma_takes(compressor: Lzma, book: bytes) -> None:
    rng = random.Random(compressor.preset)
    texts = [book[700:], mixed(compressor.preset, book, 3000), grown_copies(compressor.preset, book, 3000)]
    for text in texts:
        size = rng.randint(20, 1500)
        scorer = LzmaScorer(compressor, text[:size])
        for at in (size, size + 7):
            scorer.feed(text[size:at])
            size = at
            third = slice(at % 3, None, 3)  # liblzma takes a while for all 256
            found = scorer.code_lengths(CANDIDATES)[third]
            assert found.tolist() == of_liblzma(compressor, text[:at], [*CANDIDATES[third]])


@pytest.mark.parametrize("compressor", [Lzma(), Lzma(0), Lzma(3), Lzma(4), Lzma(6, True)], ids=str)
@pytest.mark.every(2)
def test_long_data_as_it_grows(compressor: Lzma, book: bytes) -> None:
    sample = grown_copies(1, book, 40_000) + mixed(2, book, 20_000) + book[:10_000] + bytes(800)
    scorer = LzmaScorer(compressor, b"")
    sizes = [0, 1, 2, 3, 300, 4095, 4097, 20_000, 40_000, 61_000, 70_500, len(sample)]
    for start, end in pairwise(sizes):
        scorer.feed(sample[start:end])
        suffixes = [b"", b"a", sample[end : end + 40], sample[end - 50 : end - 10]]
        assert scorer.code_lengths(suffixes).tolist() == of_liblzma(compressor, sample[:end], suffixes)


@pytest.mark.parametrize("compressor", [Lzma(0, dictionary_bits=12), Lzma(6, dictionary_bits=13)], ids=str)
def test_matches_reach_no_further_than_the_dictionary(compressor: Lzma) -> None:
    size = compressor.window
    text = random.Random(1).randbytes(size + 30) * 2
    for end in (size + 5, size + 29, size + 40, len(text)):
        ends = [b"", text[end % size : end % size + 10], text[end - size : end - size + 9]]
        found = LzmaScorer(compressor, text[:end]).code_lengths(ends)
        assert found.tolist() == of_liblzma(compressor, text[:end], ends)


def test_the_hash_grows_with_the_dictionary(book: bytes) -> None:
    compressor = Lzma(9)
    text = (book * 2)[: (1 << 17) - 20]
    scorer = LzmaScorer(compressor, text)
    suffixes = [book[5000 : 5000 + size] for size in (1, 19, 20, 21, 60)]
    assert scorer.code_lengths(suffixes).tolist() == of_liblzma(compressor, text, suffixes)
    scorer.feed(book[5000:5060])
    assert scorer.code_lengths([b"", b"x"]).tolist() == of_liblzma(compressor, text + book[5000:5060], [b"", b"x"])


@pytest.mark.parametrize("compressor", PRESETS, ids=str)
def test_suffixes_of_no_data_are_streams_of_their_own(compressor: Lzma) -> None:
    suffixes = [b"", b"a", b"d" * 19, b"d" * 300, b"abcabcabcabd" * 5]
    assert LzmaScorer(compressor, b"").code_lengths(suffixes).tolist() == of_liblzma(compressor, b"", suffixes)


def test_suffixes_may_be_long(book: bytes) -> None:
    suffixes = [book[9000 : 9000 + size] for size in (4096, 4097, 9000)] + [b"x"]
    scorer = LzmaScorer(Lzma(), book[:9000])
    for _ in range(2):
        assert scorer.code_lengths(suffixes).tolist() == of_liblzma(Lzma(), book[:9000], suffixes)


@pytest.mark.parametrize("compressor", [Lzma(), Lzma(1)], ids=str)
def test_copies_part_when_they_have_read_much(compressor: Lzma, book: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lzma_sizer, "LOG", 3000)
    first = LzmaScorer(compressor, book[:3000])
    first.code_lengths([b"x"])
    second = first.copy()
    for at in range(3000, 3300, 20):
        first.feed(book[at : at + 20])
        second.feed(book[at + 900 : at + 920])
        assert first.code_lengths([b"x"]).tolist() == of_liblzma(compressor, book[: at + 20], [b"x"])
        other = book[:3000] + book[3900 : at + 920]
        assert second.code_lengths([b"x"]).tolist() == of_liblzma(compressor, other, [b"x"])


def test_another_liblzma_is_noticed(book: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    compressor = Lzma(2)
    monkeypatch.setattr(lzma_compressor, "_reproduced", {})
    monkeypatch.setattr(lzma_compressor, "CHECKED_VERSION", "another")
    assert isinstance(compressor.begin_scoring(b"a"), LzmaScorer)
    assert copies_state(compressor)
    effort_of = lzma_compressor.effort_of
    monkeypatch.setattr(lzma_compressor, "effort_of", lambda *preset: effort_of(*preset)._replace(depth=1, nice=8))
    monkeypatch.setattr(lzma_compressor, "_reproduced", {})
    assert not copies_state(compressor)
    state = compressor.begin_scoring(book[:500])
    assert isinstance(state, ExactLzmaScorer)
    assert state.code_lengths([b"", b"x"]).tolist() == of_liblzma(compressor, book[:500], [b"", b"x"])


@pytest.mark.thorough
def test_compiled_and_plain_python_agree() -> None:
    script = """
from gencomp.compressors.lzma import Lzma, LzmaScorer
from gencomp.data import alice
for compressor in (Lzma(0), Lzma(9)):
    scorer = LzmaScorer(compressor, alice()[:120])
    scorer.feed(b"aaaaaaaaaaa")
    twin = scorer.copy()
    twin.feed(b" the Rabbit")
    for each in (scorer, twin):
        print(each.code_lengths([b"", *(bytes([byte]) for byte in b"abcdefgh "), b" the Rabbit" * 3]).tolist())
"""
    command = [sys.executable, "-W", "error::RuntimeWarning", "-c", script]
    outputs = {
        subprocess.run(command, env=os.environ | {"NUMBA_DISABLE_JIT": jit}, capture_output=True, check=True).stdout
        for jit in "01"
    }
    assert len(outputs) == 1


@pytest.mark.parametrize("compressor", [Lzma(0), Lzma(2), Lzma(6), Lzma(9), Lzma(9, True), Lzma(6, lc=0, lp=4)])
@pytest.mark.parametrize(
    "size", [0, 70_000, *(pytest.param(size, marks=pytest.mark.thorough) for size in (3000, 300_000))]
)
def test_a_state_takes_about_what_is_said(compressor: Lzma, size: int) -> None:
    """Estimates are neither below what is taken nor far above: who asks is refused too early then."""
    text = (alice() * 2)[: size + 40]
    cost = state_cost(compressor, size)
    LzmaScorer(compressor, b"warm").code_lengths(CANDIDATES)
    tracemalloc.start()
    scorer = LzmaScorer(compressor, text[:size])
    lengths = scorer.code_lengths([b"x"])
    held, height = tracemalloc.get_traced_memory()
    copies = [scorer.copy() for _ in range(8)]
    for at, copy in enumerate(copies):
        copy.feed(text[size : size + at * 5])
        copy.code_lengths([b"x"])
    each = tracemalloc.get_traced_memory()[0] / (1 + len(copies))
    tracemalloc.stop()
    assert lengths[0] > 0
    assert held <= cost.held + cost.scratch
    assert each <= cost.held <= 4 * max(held, each) + (7 << 20) * compressor.extreme
    assert height <= cost.held + cost.scratch + (1 << 20)
    assert cost.step < 0.3
