"""What data costs after other data: one notion for codecs and predictors."""

import numpy as np
import pytest

import gencomp
from gencomp.equivalence.adapt import as_predictor, native
from gencomp.equivalence.capabilities import charge, encode_block, spend
from gencomp.equivalence.conditional import beyond_window, code_length, code_lengths, mixture
from gencomp.registry import load

CODECS = ["gzip", "zlib?level=6", "lzma", "bz2", "zstd?level=3", "brotli?quality=5", "xz"]
PREDICTORS = ["uniform", "counts:3", "lz78", "ctw:3", "mix:1", "mix:5", "mix?freeze=true", "mix:1?prime=english"]
PREDICTORS += ["ensemble:counts:1,counts:3", "mix:1?expert=counts"]


@pytest.mark.parametrize("spec", CODECS)
def test_a_codecs_difference_is_without_its_framing(spec: str, book: bytes) -> None:
    codec = load(spec)
    given, data = book[:3000], book[3000:3300]
    assert code_length(spec, data, given) == codec.code_length(given + data) - codec.code_length(given)
    assert code_length(codec, data) == codec.code_length(data) - codec.code_length(b"")
    assert code_length(spec, b"", given) == 0.0


@pytest.mark.parametrize("spec", PREDICTORS)
def test_a_predictors_is_what_its_states_say(spec: str, book: bytes) -> None:
    given, data = book[:700], book[700:760]
    state, expected = as_predictor(spec).begin(given), 0.0
    for symbol in data:
        expected += float(state.code_lengths()[symbol])
        state.update(symbol)
    assert code_length(spec, data, given) == pytest.approx(expected, rel=0.01, abs=1.0)


@pytest.mark.parametrize("spec", ["counts", "lz78", "ctw", "mix", "mix:1"])
def test_charges_are_what_the_coder_writes(spec: str, book: bytes) -> None:
    """The fused code of the same bytes is at most 2 bits and a byte's filling longer."""
    data = book[:5000]
    charged = charge(as_predictor(spec).begin(), data)
    assert charged.shape == (5000,)
    written = 8 * len(encode_block(as_predictor(spec), data))
    tolerance = 0.02 * written if spec.startswith("mix") else 1.0  # a block's tables are of another size
    assert charged.sum() - tolerance <= written <= charged.sum() + 10 + tolerance


@pytest.mark.parametrize("spec", ["counts", "mix", "mix:1", "mix?freeze=true", "mix:1?expert=counts"])
def test_what_is_spent_is_what_is_charged(spec: str, book: bytes) -> None:
    data = book[700:6000] if spec in ("counts", "mix:1") else book[700:900]
    together, alone = as_predictor(spec).begin(book[:700]), as_predictor(spec).begin(book[:700])
    assert spend(together, data) == pytest.approx(float(charge(alone, data).sum()), abs=0.1)
    assert together.code_lengths().tolist() == alone.code_lengths().tolist()


def test_a_chain_adds_up(book: bytes) -> None:
    for spec in ("counts", "ctw", "mix:1"):
        parts = code_length(spec, book[:300]) + code_length(spec, book[300:500], book[:300])
        assert parts == pytest.approx(code_length(spec, book[:500]), rel=1e-6)


def test_batches_are_single_calls(book: bytes) -> None:
    pairs = [(book[start : start + 500], book[begin : begin + 200]) for start in (0, 900) for begin in (50, 7000, 9000)]
    pairs += [(b"", book[:40]), (book[:500], b"")]
    for spec in ("gzip", "lzma", "counts:2", "mix:1", "lz78"):
        told: list[int] = []
        together = code_lengths(spec, pairs, told.append)
        assert sum(told) == len(pairs)
        assert together.tolist() == [code_length(spec, data, given) for given, data in pairs]
    assert code_lengths("gzip", []).shape == (0,)


def test_reading_a_state_leaves_the_shared_one_alone(book: bytes) -> None:
    state = as_predictor("mix").begin(book[:400])
    twin = state.copy()
    costs = charge(state, book[400:500])
    assert charge(twin, book[400:500]).tolist() == costs.tolist()


def test_an_adapter_is_seen_through(book: bytes) -> None:
    gzip = load("gzip")
    expected = code_length(gzip, book[:90], book[90:400])
    assert code_length(gencomp.CodeLengthPredictor(gzip), book[:90], book[90:400]) == expected
    assert native(as_predictor(gzip)) is gzip


def test_a_mixture_is_a_code() -> None:
    one, other = np.array([3.0, 10.0]), np.array([5.0, 2.0])
    mixed = mixture([one, other])
    assert mixed.tolist() == pytest.approx([-np.log2((2.0**-3 + 2.0**-5) / 2), -np.log2((2.0**-10 + 2.0**-2) / 2)])
    assert mixture([one]).tolist() == one.tolist()


def test_a_window_that_is_too_small_is_noticed(book: bytes) -> None:
    assert beyond_window("gzip", [(book[:40_000], b"x")]) == (32_768, 40_001)
    assert beyond_window("gzip", [(book[:20_000], book[:10])]) is None
    assert beyond_window("mix", [(book, book)]) is None
