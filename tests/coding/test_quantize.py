import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gencomp.coding import quantize
from gencomp.coding.quantize import (
    cdf_from_code_lengths,
    cdf_from_pmf,
    cdf_from_weights,
    code_lengths_of_cdf,
    default_precision,
    weights_of_code_lengths,
)

weights = st.lists(st.integers(0, 1 << 30), min_size=2, max_size=300).filter(any)


def assert_is_cdf(cdf: np.ndarray, alphabet_size: int, precision: int) -> None:
    assert cdf.shape == (alphabet_size + 1,)
    assert cdf[0] == 0
    assert cdf[-1] == 1 << precision
    assert (np.diff(cdf) >= 1).all()


@given(weights=weights, precision=st.integers(10, 30))
def test_any_weights_give_a_strictly_increasing_cdf(weights: list[int], precision: int) -> None:
    cdf = cdf_from_weights(np.array(weights), precision)
    assert_is_cdf(cdf, len(weights), precision)
    shares = np.array(weights) / sum(weights) * ((1 << precision) - len(weights))
    # each frequency is its share of the mass, plus the floor of 1, to within rounding at both bounds
    assert (np.abs(np.diff(cdf) - 1 - shares) <= 2 + 2.0**-20 * (1 << precision)).all()


@given(weights=weights)
def test_kernels_equal_plain_python(weights: list[int]) -> None:
    row = np.array(weights, dtype=np.int64)
    compiled, plain = np.empty(len(row) + 1, np.int64), np.empty(len(row) + 1, np.int64)
    quantize.fill_cdf(row, 20, compiled)
    quantize.fill_cdf.py_func(row, 20, plain)
    assert (compiled == plain).all()
    for symbol in {0, len(row) // 2, len(row) - 1}:
        interval = quantize.interval_of_weights(row, symbol, 20)
        assert interval == (compiled[symbol], compiled[symbol + 1])
        for target in (compiled[symbol], compiled[symbol + 1] - 1):
            assert quantize.symbol_of_weights(row, target, 20) == (symbol, *interval)


@given(st.lists(st.floats(0, 1, width=32), min_size=2, max_size=400).filter(lambda row: sum(row) > 0.1))
def test_float_rows_are_quantised_the_same_way_by_every_path(values: list[float]) -> None:
    for dtype in (np.float32, np.float64):
        pmf = (np.array(values) / sum(values)).astype(dtype)
        cdf = cdf_from_pmf(pmf, 20)
        assert_is_cdf(cdf, len(pmf), 20)
        assert (cdf == cdf_from_weights((pmf.astype(np.float64) * 2**30).astype(np.int64), 20)).all()
        for symbol in {0, len(pmf) // 3, len(pmf) - 1}:
            interval = (cdf[symbol], cdf[symbol + 1])
            assert quantize.interval_of_pmf(pmf, symbol, 20) == interval
            assert quantize.interval_of_pmf.py_func(pmf, symbol, 20) == interval
            for target in (cdf[symbol], cdf[symbol + 1] - 1):
                assert quantize.symbol_of_pmf(pmf, target, 20) == (symbol, *interval)
                assert quantize.symbol_of_pmf.py_func(pmf, target, 20) == (symbol, *interval)


@given(st.floats(0, 70))
def test_weights_of_code_lengths_are_powers_of_two(bits: float) -> None:
    weight = int(weights_of_code_lengths(np.array([bits]))[0])
    expected = 2.0 ** (30 - bits)
    # rounding to 1/65536 bit moves a power by up to 5.3 in 10^6; truncation to an integer takes up to 2
    assert abs(weight - expected) <= 6e-6 * expected + 2


def test_whole_bits_are_exact() -> None:
    assert weights_of_code_lengths(np.arange(31.0)).tolist() == [1 << 30 - bits for bits in range(31)]
    assert weights_of_code_lengths(np.array([np.inf]))[0] == 0


def test_code_lengths_round_trip_through_a_cdf() -> None:
    code_lengths = np.array([1.0, 2.0, 3.0, 3.0])
    cdf = cdf_from_code_lengths(code_lengths, 24)
    assert code_lengths_of_cdf(cdf) == pytest.approx(code_lengths, abs=1e-5)


def test_ties_are_tied() -> None:
    assert len(set(np.diff(cdf_from_code_lengths(np.full(256, 8.0))).tolist())) == 1


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ([0.5, np.nan], "sum to 1"),
        ([0.5, 0.4], "sum 0.9"),
        ([1.5, -0.5], "lie in"),
        ([np.inf, 0.0], "lie in"),
    ],
)
def test_no_distribution_is_refused(row: list[float], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        cdf_from_pmf(np.array(row))


def test_other_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="not be negative"):
        cdf_from_weights(np.array([3, -1]))
    with pytest.raises(ValueError, match="sum must be"):
        cdf_from_weights(np.array([0, 0]))
    with pytest.raises(ValueError, match="sum must be"):
        cdf_from_weights(np.array([1 << 62, 1 << 62]))
    with pytest.raises(ValueError, match="Kraft sum of 1"):
        cdf_from_code_lengths(np.array([1.0, 3.0]))
    with pytest.raises(ValueError, match="NaN"):
        cdf_from_code_lengths(np.array([1.0, np.nan]))
    with pytest.raises(ValueError, match="alphabet_size"):
        cdf_from_weights(np.ones(1))
    with pytest.raises(ValueError, match="precision"):
        cdf_from_weights(np.ones(4), 31)
    with pytest.raises(ValueError, match="need a precision"):
        cdf_from_weights(np.ones(300), 8)


def test_precision_leaves_room_for_the_largest_alphabets() -> None:
    assert default_precision(2) == 16
    assert default_precision(256) == 20
    assert default_precision(1 << 18) == 30
    assert_is_cdf(cdf_from_weights(np.ones(1 << 18)), 1 << 18, 30)
