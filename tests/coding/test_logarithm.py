import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gencomp.coding.logarithm import UNIT, code_length_of_sum, fixed_point, log2_of


@given(st.integers(1, (1 << 62) - 1))
def test_log2_is_the_logarithm_rounded_down(value: int) -> None:
    assert log2_of(value) / UNIT == pytest.approx(np.log2(float(value)), abs=2 / UNIT)
    assert log2_of(value) == log2_of.py_func(value)


@given(st.integers(0, 61))
def test_log2_of_powers_is_exact(exponent: int) -> None:
    assert log2_of(1 << exponent) == exponent * UNIT


@given(st.lists(st.floats(0, 25), min_size=1, max_size=300))
def test_a_sum_of_probabilities_as_a_code_length(lengths: list[float]) -> None:
    code_lengths = fixed_point(np.array(lengths))
    expected = -np.log2(np.exp2(-np.array(lengths)).sum())
    assert code_length_of_sum(code_lengths) / UNIT == pytest.approx(expected, abs=1e-4)
    assert code_length_of_sum(code_lengths) == code_length_of_sum.py_func(code_lengths)
