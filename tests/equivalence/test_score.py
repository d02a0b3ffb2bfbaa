import numpy as np
import pytest

import gencomp
from gencomp.equivalence.read_before import has_read
from gencomp.equivalence.score import score
from gencomp.errors import GencompWarning


def test_a_predictors_costs_add_up_to_its_code(wiki: bytes) -> None:
    result = score("counts:2", wiki, limit=None, chunk_size=len(wiki))
    assert result.costs.sum() == pytest.approx(result.code_length, abs=40)
    assert result.kraft_sums == pytest.approx(np.ones(len(wiki)))
    assert result.log_loss == pytest.approx(result.bits_per_byte, abs=0.01)


def test_the_uniform_model_takes_eight_bits(wiki: bytes) -> None:
    result = score("uniform", wiki)
    assert (result.costs == 8.0).all()
    assert (result.distinct_lengths == 1).all()


def test_a_codecs_log_loss_exceeds_its_charge_by_the_kraft_sums(wiki: bytes) -> None:
    """Telescoping: -log2 p(byte) = growth of the code + log2 of the Kraft sum, at every position."""
    gzip = gencomp.load("gzip")
    part = wiki[:60]
    result = score("gzip", wiki, limit=60)
    growth = gzip.code_length(part) - gzip.code_length(b"")
    assert result.costs.sum() == pytest.approx(growth + np.log2(result.kraft_sums).sum())
    assert result.distinct_lengths.min() >= 1
    assert result.code_length == gzip.code_length(wiki)
    assert result.framing_bits == 18 * 8 + 10


def test_ranks_ties_and_entropies(wiki: bytes) -> None:
    uniform = score("uniform", wiki[:50])
    assert (uniform.cheaper == 0).all()
    assert (uniform.ties == 256).all()
    assert uniform.top(64) == 0.25  # ties are broken by chance
    assert uniform.entropies == pytest.approx(np.full(50, 8.0))
    state = gencomp.as_predictor("counts:2").begin(wiki[:49])
    last = score("counts:2", wiki[:50])
    assert last.cheaper[49] == (state.code_lengths() < state.code_lengths()[wiki[49]]).sum()
    assert last.top(256) == 1.0
    with pytest.raises(ValueError, match="k must be"):
        last.top(0)
    assert score("gzip", b"").top(3) == 0.0


def test_chunks_start_anew(wiki: bytes) -> None:
    whole = score("counts", wiki[:64] * 2, limit=None, chunk_size=64)
    assert whole.costs[:64].tolist() == whole.costs[64:].tolist()


def test_no_data() -> None:
    result = score("gzip", b"")
    assert (result.log_loss, result.bits_per_byte, len(result.costs)) == (0.0, 0.0, 0)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="chunk_size"):
        score("counts", b"x", chunk_size=0)
    with pytest.raises(ValueError, match="limit"):
        score("counts", b"x", limit=-1)


def test_a_model_is_not_measured_in_silence_on_what_it_has_read(book: bytes, wiki: bytes) -> None:
    with pytest.warns(GencompWarning, match="has read this text"):
        score("mix:1?prime=english", book[1000:3000], limit=0)
    assert has_read("ensemble:counts:1,mix?prime=english", book[500:900])
    assert not has_read("mix?prime=english", wiki)
    assert not has_read("mix", book)
    assert not has_read("tests.Object", book)
    score("mix:1?prime=english", wiki, limit=0)  # no warning
