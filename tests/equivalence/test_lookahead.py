import numpy as np
import pytest

import gencomp
from gencomp.archive.models import check_canary, describe, load_described
from gencomp.coding.logarithm import UNIT
from gencomp.equivalence.capabilities import (
    begin_scoring,
    decode_block,
    encode_block,
    environment_of,
    revision_of,
    state_cdf,
)
from gencomp.equivalence.lookahead import Lookahead, spans_after
from gencomp.equivalence.predictor import CANDIDATES


def test_two_bytes_and_full_width_are_the_whole_sum(wiki: bytes) -> None:
    """M(b) is the sum of 2^-L(prefix b c) over all 256 bytes c, nothing estimated."""
    prefix = wiki[:500]
    state = Lookahead("zlib", horizon=2, width=256, spans=0).begin(prefix)
    marginal = state.marginal() / UNIT
    scorer = begin_scoring(gencomp.load("zlib"), prefix)
    for symbol in (10, 32, 101, 200):
        lengths = scorer.code_lengths([bytes([symbol, after]) for after in range(256)])
        expected = lengths.min() - np.log2(np.exp2(lengths.min() - lengths).sum())
        assert marginal[symbol] == pytest.approx(expected, abs=1e-3)


def test_one_byte_is_the_plain_predictor(wiki: bytes) -> None:
    plain = gencomp.as_predictor("gzip").begin(wiki[:300]).code_lengths()
    looking = gencomp.load("lookahead:gzip?horizon=1").begin(wiki[:300]).code_lengths()
    likely = plain < 12  # the cdf's floor shortens the longest
    assert looking[likely] == pytest.approx(plain[likely], abs=0.02)


def test_spans_follow_the_longest_common_end_first() -> None:
    assert spans_after(b"xabcD1 yabcE2 zbcF3 abc", 2, 3) == [b"E2", b"D1", b"F3"]
    assert spans_after(b"xabcD1 yabcE2 zbcF3 abc", 2, 1) == [b"E2"]
    assert spans_after(b"ababab", 5, 1) == [b"ababa"]  # into itself, as LZ77 copies
    assert spans_after(b"", 4, 4) == spans_after(b"a", 4, 4) == spans_after(b"ab", 4, 4) == []


def test_looking_further_sees_what_a_byte_begins(book: bytes) -> None:
    """The first bytes of a match cost as much as literals; only the sum over what follows tells them apart."""
    gzip, looking = gencomp.as_predictor("gzip"), gencomp.load("lookahead:gzip?width=8&spans=4")
    local, further = [], []
    for place in range(3000, 9000, 300):
        context = book[place - 1000 : place]
        local.append(gzip.begin(context).code_lengths()[book[place]])
        further.append(looking.begin(context).code_lengths()[book[place]])
    assert np.mean(further) < np.mean(local)


def test_a_state_is_its_context() -> None:
    model = gencomp.load("lookahead:gzip?horizon=3&width=2&spans=2")
    state = model.begin(b"the cat sat on the ")
    before = state_cdf(state)
    fork = state.copy()
    fork.update(ord("c"))
    assert (state_cdf(state) == before).all()
    assert (state_cdf(fork) == state_cdf(model.begin(b"the cat sat on the c"))).all()


@pytest.mark.parametrize(
    "spec", ["lookahead:gzip?horizon=3&width=2&spans=1", "lookahead:[zlib+level=1]?horizon=2&width=1"]
)
def test_archives_decode(spec: str) -> None:
    """By the model: an archive would be deflated, and come back, whatever the model did."""
    data, model = b"the cat sat on the mat", gencomp.as_predictor(spec)
    payload = encode_block(model, data)
    assert decode_block(model, payload, len(data)) == data
    assert load_described(describe(model)) == model
    check_canary(describe(model), model)


def test_a_codec_that_recompresses_works_too() -> None:
    model = gencomp.load("lookahead:[zstd+level=1]?horizon=3&width=1&spans=1")
    lengths = model.begin(b"abcabcabcab").code_lengths()
    assert np.exp2(-lengths).sum() == pytest.approx(1)


def test_archives_depend_on_the_codec() -> None:
    model = gencomp.load("lookahead:gzip")
    assert revision_of(model) is None
    assert environment_of(model) == environment_of(gencomp.load("gzip"))
    assert (model.window, model.resolution) == (32768, "bit")
    assert gencomp.spec_of(model) == "lookahead"
    assert len(CANDIDATES) == model.alphabet_size


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("lookahead:mix", "is a predictor"),
        ("lookahead:gzip,zlib", "expected one codec"),
        ("lookahead:gzip?horizon=0", "horizon must be from 1 to 64"),
        ("lookahead:gzip?width=257", "width must be from 1 to 256"),
        ("lookahead:gzip?spans=-1", "spans must be from 0 to 256"),
        ("lookahead:nothing", "unknown model or codec"),
    ],
)
def test_wrong_specs_are_refused(spec: str, message: str) -> None:
    with pytest.raises(gencomp.GencompError, match=message):
        gencomp.load(spec)
