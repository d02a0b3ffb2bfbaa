"""Whole vectors do what the plain functions do, overflow and all."""

import numba
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gencomp import compiled
from gencomp.predictors.mix import vectors
from gencomp.predictors.mix.vectors import VECTOR, Int32Array

compiled.by_numba()  # with the library, numba does not know the package's vectors before it is asked for


@numba.njit
def weigh(weights: Int32Array, inputs: Int32Array, shift: int, count: int) -> int:
    return vectors.weigh(weights, inputs, shift, count)


@numba.njit
def weigh_fresh(weights: Int32Array, inputs: Int32Array, shift: int) -> int:
    return vectors.weigh_fresh(weights, inputs, shift)


@numba.njit
def train(weights: Int32Array, inputs: Int32Array, error: int, shift: int, count: int) -> None:
    vectors.train(weights, inputs, error, shift, count)


rows = st.integers(0, 9).flatmap(
    lambda blocks: st.tuples(
        *[
            st.lists(st.integers(-bound, bound - 1), min_size=blocks * VECTOR, max_size=blocks * VECTOR).map(
                lambda row: np.array(row + [7] * VECTOR, dtype=np.int32)
            )
            for bound in (1 << 31, 1 << 11)
        ]
    )
)


@given(rows, st.integers(1, 20))
def test_sums_are_the_plain_ones(pair: tuple[Int32Array, Int32Array], shift: int) -> None:
    weights, inputs = pair
    for count in range(0, len(weights) + 1, VECTOR):
        assert weigh(weights, inputs, shift, count) == vectors._weigh(weights, inputs, shift, count)
    assert weigh_fresh(weights, inputs, shift) == vectors._weigh_fresh(weights, inputs, shift)


@given(rows, st.integers(-(1 << 20) + 1, (1 << 20) - 1), st.integers(1, 20))
def test_learning_is_the_plain_one(pair: tuple[Int32Array, Int32Array], error: int, shift: int) -> None:
    weights, inputs = pair
    count = len(weights) - VECTOR
    expected, got = weights.copy(), weights.copy()
    vectors._train(expected, inputs, error, shift, count)
    train(got, inputs, error, shift, count)
    assert (got == expected).all()
    assert (got[count:] == weights[count:]).all()


def test_a_known_sum() -> None:
    weights = np.full(VECTOR, 3 << 16, dtype=np.int32)
    assert weigh(weights, np.arange(VECTOR, dtype=np.int32), 16, VECTOR) == 3 * sum(range(VECTOR))
