import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gencomp
from gencomp.sampling.draw import Draw, draw_weighted
from gencomp.sampling.generate import generate, seen_alphabet

LENGTHS = np.array([1.0, 2.0, 3.0, 4.0, 4.0])


def shares(draw: Draw) -> list[float]:
    weights = draw.weights(LENGTHS)
    return (weights / weights.sum()).round(6).tolist()


def test_plain_is_the_distribution() -> None:
    assert shares(Draw()) == [0.5, 0.25, 0.125, 0.0625, 0.0625]


def test_temperature_raises_probabilities_to_a_power() -> None:
    expected = 2.0 ** -(2 * LENGTHS)
    assert shares(Draw(temperature=0.5)) == pytest.approx(expected / expected.sum(), abs=1e-6)


def test_top_k_keeps_the_likeliest_and_the_lower_of_a_tie() -> None:
    assert shares(Draw(top_k=2)) == pytest.approx([2 / 3, 1 / 3, 0, 0, 0], abs=1e-6)
    assert shares(Draw(top_k=4))[3:] == pytest.approx([1 / 15, 0], abs=1e-6)


def test_top_p_keeps_the_fewest_with_that_mass() -> None:
    assert shares(Draw(top_p=0.5)) == [1, 0, 0, 0, 0]
    assert shares(Draw(top_p=0.51)) == pytest.approx([2 / 3, 1 / 3, 0, 0, 0], abs=1e-6)
    assert shares(Draw(top_p=1.0)) == shares(Draw())


def test_an_alphabet_restricts() -> None:
    assert shares(Draw(alphabet=(2, 4))) == pytest.approx([0, 0, 2 / 3, 0, 1 / 3], abs=1e-6)
    assert seen_alphabet(b"banana") == (97, 98, 110)


@given(
    st.lists(st.floats(0, 40), min_size=2, max_size=50),
    st.floats(0.05, 20),
    st.one_of(st.none(), st.integers(1, 60)),
    st.one_of(st.none(), st.floats(0.01, 1)),
)
def test_something_can_always_be_drawn(
    lengths: list[float], temperature: float, top_k: int | None, top_p: float | None
) -> None:
    code_lengths = np.array(lengths)
    weights = Draw(temperature, top_k, top_p).weights(code_lengths)
    assert weights.sum() > 0
    assert np.count_nonzero(weights) <= (top_k or len(weights))
    ties = code_lengths - code_lengths.min() <= temperature / 65536  # lengths are rounded to 1/65536 bit
    assert weights[ties].max() == weights.max()


def test_draws_follow_the_weights() -> None:
    rng = np.random.default_rng(3)
    draws = np.bincount([draw_weighted(np.array([1, 0, 3]), rng) for _ in range(4000)], minlength=3)
    assert draws[1] == 0
    assert draws[2] / 4000 == pytest.approx(0.75, abs=0.03)


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_a_temperature_without_meaning_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="temperature must be above 0"):
        Draw(temperature=bad)


def test_other_values_without_meaning_are_refused() -> None:
    with pytest.raises(ValueError, match="top_k"):
        Draw(top_k=0)
    with pytest.raises(ValueError, match="top_p"):
        Draw(top_p=float("nan"))
    with pytest.raises(ValueError, match="alphabet is empty"):
        Draw(alphabet=())
    with pytest.raises(ValueError, match="length"):
        gencomp.sample("counts", length=-1)


@pytest.mark.parametrize("model", ["gzip", "counts"])
def test_the_same_seed_gives_the_same_bytes(model: str, wiki: bytes) -> None:
    first, again, other = (gencomp.sample(model, length=12, prompt=wiki[:400], seed=seed) for seed in (5, 5, 6))
    assert first == again != other


def test_a_corpus_primes(book: bytes) -> None:
    text = gencomp.sample("counts", length=300, prime=book, prompt=b"Alice ", top_k=1)
    assert b"the " in text


def test_generation_is_lazy_and_updates_the_state(book: bytes) -> None:
    state = gencomp.as_predictor("counts").begin(book[:2000])
    symbols = generate(state, 1000, Draw(), np.random.default_rng(0))
    first = next(symbols)
    expected = gencomp.as_predictor("counts").begin(book[:2000] + bytes([first])).code_lengths()
    assert (state.code_lengths() == expected).all()


def test_an_empty_prompt_is_a_prompt() -> None:
    assert len(gencomp.sample("zlib", length=3)) == 3
