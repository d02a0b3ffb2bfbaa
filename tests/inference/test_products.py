"""Products against numpy's int64, at the extremes too, compiled and plain."""

from typing import Any

import numpy as np
import pytest

from gencomp.inference import products
from gencomp.inference.products import (
    LIST_AHEAD,
    MAX_INPUTS,
    dot,
    list_pairs,
    multiply,
    multiply_listed,
    pack,
)

SHAPES = [(32, 2), (32, 32), (64, 64), (96, 34), (192, 336), (224, 512)]


def random_case(outputs: int, inputs: int, rows: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(outputs * inputs)
    matrix = rng.integers(-128, 128, (outputs, inputs)).astype(np.int8)
    return matrix, rng.integers(-32767, 32768, (rows, inputs)).astype(np.int16)


def exact(matrix: np.ndarray, vectors: np.ndarray) -> list[list[int]]:
    return (vectors.astype(np.int64) @ matrix.T.astype(np.int64)).tolist()


def product(matrix: np.ndarray, vector: np.ndarray) -> list[int]:
    sums = np.zeros(len(matrix), np.int32)
    before = np.arange(7, dtype=np.int8)
    multiply(np.concatenate([before, pack(matrix)]), 7, vector, sums)
    return sums.tolist()


@pytest.mark.parametrize(("outputs", "inputs"), SHAPES)
def test_products_are_exact(outputs: int, inputs: int) -> None:
    matrix, vectors = random_case(outputs, inputs)
    assert product(matrix, vectors[0]) == exact(matrix, vectors)[0]


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_largest_sum_fits(sign: int) -> None:
    matrix = np.full((64, MAX_INPUTS), -128, np.int8)
    vectors = np.full((1, MAX_INPUTS), sign * 32767, np.int16)
    assert product(matrix, vectors[0]) == exact(matrix, vectors)[0]
    assert abs(exact(matrix, vectors)[0][0]) == MAX_INPUTS * 128 * 32767 < 2**31
    assert dot(matrix.reshape(-1), MAX_INPUTS, vectors[0]) == exact(matrix, vectors)[0][1]


@pytest.mark.parametrize(("outputs", "inputs"), SHAPES)
@pytest.mark.parametrize("density", [0.0, 0.1, 0.6, 1.0])
def test_zeros_are_left_out(outputs: int, inputs: int, density: float) -> None:
    matrix, vectors = random_case(outputs, inputs)
    vectors[np.random.default_rng(1).random(vectors.shape) >= density] = 0
    sums = np.full(outputs, 7, np.int32)
    pairs = np.zeros(inputs // 2 + LIST_AHEAD, np.int32)
    count = list_pairs(vectors[0], pairs)
    assert pairs[:count].tolist() == np.flatnonzero(vectors[0].reshape(-1, 2).any(1)).tolist()
    multiply_listed(pack(matrix), 0, vectors[0], pairs, count, sums)
    assert sums.tolist() == exact(matrix, vectors)[0]


def test_dot_products_are_exact() -> None:
    matrix, vectors = random_case(32, 192)
    rows = [int(dot(matrix.reshape(-1), 192 * row, vectors[0])) for row in range(32)]
    assert rows == exact(matrix, vectors)[0]


@pytest.mark.parametrize("shape", [(33, 32), (32, 31), (32, 514)])
def test_shapes_that_do_not_fit_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=f"has {shape[0]} outputs and {shape[1]} inputs; expected"):
        pack(np.zeros(shape, np.int8))


def test_plain_python_does_the_same() -> None:
    matrix, vectors = random_case(96, 64, 4)
    weights, sums = pack(matrix), np.zeros((4, 96), np.int32)
    for first, (outputs, block, listed) in {
        0: (64, products._plain_block(64), products._plain_list(64)),
        64: (32, products._plain_block(32), products._plain_list(32)),
    }.items():
        for row in range(4):
            block(weights, first * 64, vectors[row], sums[row], first)
            again = np.zeros(outputs, np.int32)
            listed(weights, first * 64, vectors[row], np.arange(36, dtype=np.int32), 32, again, 0)
            assert again.tolist() == sums[row, first : first + outputs].tolist()
    assert sums.tolist() == exact(matrix, vectors)
    assert products._plain_dot(matrix.reshape(-1), 64, vectors[0]) == exact(matrix, vectors)[0][1]


@pytest.mark.thorough
def test_pointers_need_not_say_what_they_point_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """LLVM's pointers are opaque, and llvmlite's will be one day: instructions are made for either kind."""
    import numba
    from llvmlite import ir
    from numba.extending import intrinsic

    from gencomp.compiled.llvm import data_of
    from gencomp.inference import product_instructions

    if numba.config.DISABLE_JIT:
        pytest.skip("nothing is compiled")

    def opaque_data(context: Any, builder: Any, signature: Any, arguments: Any, k: int) -> Any:
        return builder.bitcast(data_of(context, builder, signature, arguments, k), ir.PointerType())

    monkeypatch.setattr(product_instructions, "data_of", opaque_data)
    block = intrinsic(product_instructions.block_product(64))
    listed = intrinsic(product_instructions.list_product(64))
    matrix, vectors = random_case(64, 32)
    weights, pairs, sums = pack(matrix), np.arange(20, dtype=np.int32), np.zeros((2, 64), np.int32)

    @numba.njit(_nrt=False)
    def both(weights: Any, inputs: Any, pairs: Any, sums: Any) -> None:
        block(weights, 0, inputs, sums[0], 0)
        listed(weights, 0, inputs, pairs, 16, sums[1], 0)

    both(weights, vectors[0], pairs, sums)
    assert sums.tolist() == 2 * exact(matrix, vectors)
