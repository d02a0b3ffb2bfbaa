import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gencomp
from gencomp.archive.models import check_canary, describe, load_described
from gencomp.equivalence.capabilities import decode_block, encode_block, environment_of, revision_of, state_cdf
from gencomp.equivalence.ensemble import Ensemble, EnsembleState, geometric_mean, mixture, shares_of_losses
from gencomp.errors import SpecError
from gencomp.protocols import Predictor
from tests.strategies import fewer


def pmf(model: str, context: bytes) -> np.ndarray:
    return np.exp2(-gencomp.as_predictor(model).begin(context).code_lengths())


def begun(spec: str, context: bytes) -> EnsembleState:
    model = gencomp.load(spec)
    assert isinstance(model, Ensemble)
    return model.begin(context)


def test_the_arithmetic_mean(wiki: bytes) -> None:
    context = wiki[:700]
    expected = np.mean([pmf(model, context) for model in ("gzip", "counts:2", "uniform")], axis=0)
    assert pmf("ensemble:gzip,counts:2,uniform", context) == pytest.approx(expected, abs=3e-4)


def test_the_geometric_mean(wiki: bytes) -> None:
    context = wiki[:700]
    product = pmf("counts:1", context) * pmf("counts:3", context)
    expected = np.sqrt(product) / np.sqrt(product).sum()
    assert pmf("ensemble:counts:1,counts:3?mean=geometric", context) == pytest.approx(expected, abs=3e-4)


def test_the_product(wiki: bytes) -> None:
    context = wiki[:700]
    product = pmf("counts:1", context) * pmf("counts:3", context) * pmf("uniform", context)
    expected = product / product.sum()
    assert pmf("ensemble:counts:1,counts:3,uniform?mean=product", context) == pytest.approx(expected, abs=3e-4)


def test_windows_see_the_last_bytes(wiki: bytes) -> None:
    context = wiki[:900]
    expected = (pmf("gzip", context[-100:]) + pmf("gzip", context[-400:])) / 2
    assert pmf("ensemble:gzip?windows=100,400", context) == pytest.approx(expected, abs=3e-4)


def test_bayesian_weights_are_the_posterior(wiki: bytes) -> None:
    """w in proportion to 2^-(what the member charged for the last bytes)."""
    text, memory = wiki[:300], 4
    charged = []
    for spec in ("counts:0", "counts:1"):
        state = gencomp.as_predictor(spec).begin(text[:-memory])
        charged.append(0.0)
        for symbol in text[-memory:]:
            charged[-1] += state.code_lengths()[symbol]
            state.update(symbol)
    expected = 1 / (1 + 2.0 ** (charged[0] - charged[1]))
    shares = begun(f"ensemble:counts:0,counts:1?weights=bayes&memory={memory}", text).member_shares()
    assert shares[0] == pytest.approx(expected, abs=1e-3)
    assert begun("ensemble:counts:0,counts:3", text).member_shares().tolist() == [0.5, 0.5]


def test_a_short_memory_follows_a_text_that_changes(wiki: bytes) -> None:
    noise = np.random.default_rng(0).integers(0, 256, 300, dtype=np.uint8).tobytes()
    short = begun("ensemble:uniform,counts:2?weights=bayes&memory=50", wiki[:2000] + noise)
    long = begun("ensemble:uniform,counts:2?weights=bayes&memory=none", wiki[:2000] + noise)
    assert short.member_shares()[0] > 0.99
    assert long.member_shares()[0] < 0.01


@pytest.mark.parametrize(
    "options", ["weights=bayes&memory=5", "weights=bayes&memory=none", "windows=3,9", "mean=geometric", "mean=product"]
)
@given(context=st.binary(max_size=30), more=st.binary(max_size=10), symbol=st.integers(0, 255))
@fewer(4)
def test_a_state_is_its_context(options: str, context: bytes, more: bytes, symbol: int) -> None:
    model = gencomp.as_predictor(f"ensemble:counts:1,counts:2?{options}")
    state = model.begin(context)
    fork = state.copy()
    fork.update(symbol)
    for each in more:
        state.update(each)
    assert state_cdf(state).tolist() == state_cdf(model.begin(context + more)).tolist()
    assert state_cdf(fork).tolist() == state_cdf(model.begin(context + bytes([symbol]))).tolist()


@pytest.mark.parametrize(
    "spec",
    ["ensemble:gzip,counts:2?weights=bayes", "ensemble:zlib?windows=16,64&mean=geometric", "ensemble:counts:1,mix:1"],
)
def test_archives_decode(spec: str, wiki: bytes) -> None:
    """By the model: an archive would be deflated, and come back, whatever the model did."""
    data, model = wiki[:150], gencomp.as_predictor(spec)
    payload = encode_block(model, data)
    assert decode_block(model, payload, len(data)) == data
    assert load_described(describe(model)) == model
    check_canary(describe(model), model)


def test_an_ensemble_is_portable_where_its_members_are() -> None:
    portable, bound = gencomp.load("ensemble:counts:2,counts:5"), gencomp.load("ensemble:counts:2,gzip,zstd")
    assert isinstance(portable, Predictor)
    assert revision_of(portable) == (1, 1, 1)
    assert describe(portable)["numeric"] == "integer"
    assert revision_of(bound) is None
    assert set(environment_of(bound)) == {"zlib", "zstd"}
    assert describe(bound)["environment"] == environment_of(bound)


class Sure:
    """A state whose integer cdf is finer than an ensemble's, with the least frequency for all bytes but the last."""

    def cdf(self) -> np.ndarray:
        return np.append(np.arange(256), 1 << 30)


@pytest.mark.parametrize("mean", ["arithmetic", "geometric"])
def test_members_with_finer_cdfs(mean: str) -> None:
    cdf = EnsembleState(Ensemble("uniform", mean=mean), [Sure()]).cdf()
    assert cdf[-1] == 1 << 20
    assert set(np.diff(cdf)[:255].tolist()) <= {1, 2}  # once by the member, once by the ensemble


@given(st.lists(st.integers(0, 1 << 24), min_size=1, max_size=6), st.integers(0, 1 << 30))
def test_kernels_are_their_python(losses: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    frequencies = rng.integers(1, 1 << 12, (len(losses), 7))
    shares = shares_of_losses(np.array(losses))
    assert shares.tolist() == shares_of_losses.py_func(np.array(losses)).tolist()
    assert shares.min() >= 1
    assert shares.sum() <= 1 << 20
    for kernel in (mixture, geometric_mean):
        assert kernel(frequencies, shares).tolist() == kernel.py_func(frequencies, shares).tolist()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("ensemble:", "does not name models"),
        ("ensemble:gzp,mix", "unknown model or codec 'gzp'"),
        ("ensemble:gzip+level=77", "level"),
        ("ensemble:gzip?windows=0", "at least 1 byte"),
        ("ensemble:gzip?windows=big", "numbers such as"),
        ("ensemble:gzip?windows=", "numbers such as"),
        ("ensemble:gzip?memory=0", "memory must be from 1"),
        ("ensemble:gzip?mean=harmonic", "arithmetic, geometric, product"),
        ("ensemble:gzip?weights=some", "uniform, bayes"),
        ("ensemble:" + ",".join(["uniform"] * 257), "from 1 to 256 members"),
    ],
)
def test_wrong_specs_are_refused(spec: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        gencomp.load(spec)


def test_a_symbol_must_be_a_byte() -> None:
    with pytest.raises(ValueError, match=r"\[0, 256\)"):
        begun("ensemble:counts:1", b"").update(256)
