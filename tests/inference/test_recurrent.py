"""The kernels against their definitions: in int64, exactly, at the extremes too; in floating point, nearly."""

import subprocess
import sys

import numpy as np
import pytest

from gencomp.inference.arithmetic import BIAS_LIMIT
from gencomp.inference.recurrent import NODES, Network, Shape, logit, new_memory, new_network, step
from gencomp.inference.weights import check, expected, quantise
from tests.networks import (
    SMALL_SHAPE,
    counted_parameters,
    dequantised,
    float_bits,
    float_logits,
    integer_logits,
    random_parameters,
)

LARGEST = Shape(
    224, 512, 512, 1, 64, (("order1", 256), *((f"order{n}", 8) for n in (2, 3, 4, 5, 6)), ("word", 9), ("words", 9))
)


def kernel_logits(network: Network, data: bytes) -> np.ndarray:
    memory = new_memory(network)
    logits = np.zeros((len(data), NODES), np.int64)
    for index, byte in enumerate(b"\0" + data[:-1]):
        step(network, memory, byte)
        logits[index, 1:] = [logit(network, memory, node) for node in range(1, NODES)]
    return logits


def extreme_arrays(shape: Shape, seed: int) -> dict[str, np.ndarray]:
    """Return arrays of the largest and smallest numbers that a file may hold, in runs, and of their mixtures."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for name, (kind, size, low, high) in expected(shape).items():
        if name == "bits":
            arrays[name] = np.array([[rng.choice([9, 14]), rng.choice([8, 12])] for _ in range(shape.layers)], kind)
        elif seed % 3 == 0:
            arrays[name] = np.full(size, rng.choice([low, high]), kind)
        elif seed % 3 == 1:
            arrays[name] = rng.choice(np.array([low, high], np.int64), size).astype(kind)
        else:
            arrays[name] = rng.integers(low, high, size, endpoint=True).astype(kind)
    check(shape, arrays)
    return arrays


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("shape", [SMALL_SHAPE, LARGEST], ids=["small", "largest"])
@pytest.mark.every(3)
def test_no_weights_overflow(shape: Shape, seed: int) -> None:
    arrays = extreme_arrays(shape, seed)
    data = bytes([255] * 3 + [0, 97, 98, 32, 65] * 3)
    found = kernel_logits(new_network(shape, arrays), data)
    assert (found[:, 1:] == integer_logits(arrays, shape, data)[:, 1:]).all()


@pytest.mark.parametrize("spread", [0.3, 1.0, 4.0])
def test_the_kernel_is_its_definition(spread: float, book: bytes) -> None:
    arrays = quantise(random_parameters(SMALL_SHAPE, seed=3, spread=spread), SMALL_SHAPE)
    found = kernel_logits(new_network(SMALL_SHAPE, arrays), book[:60])
    assert (found[:, 1:] == integer_logits(arrays, SMALL_SHAPE, book[:60])[:, 1:]).all()


def test_integers_are_near_floating_point(book: bytes) -> None:
    """What fixed point costs beside the rounded weights, and both together."""
    shape = Shape(64, 64, 128, 2, 16, (("order1", 256), ("order2", 500), ("word", 500)))
    parameters, data = counted_parameters(shape, book), book[:300]
    arrays = quantise(parameters, shape)
    near = kernel_logits(new_network(shape, arrays), data) / 256
    rounded, exact = (float_logits(weights, shape, data) for weights in (dequantised(arrays, shape), parameters))
    cost, cost_rounded, cost_exact = (float_bits(logits, data).mean() for logits in (near, rounded, exact))
    print(
        f"integers minus floating point: {cost - cost_rounded:+.5f} bits/byte with the same rounded weights, "
        f"{cost - cost_exact:+.5f} in all, of {cost_exact:.3f}"
    )
    assert np.sqrt(((near - rounded)[:, 1:] ** 2).mean()) < 0.01
    assert abs(cost - cost_rounded) < 0.001
    assert abs(cost - cost_exact) < 0.03
    assert cost < 6  # so that it says something


@pytest.mark.thorough
def test_plain_python_is_the_same_network(book: bytes) -> None:
    """Without a compiler numpy warns of every scalar that overflows: there is none, at the extremes either."""
    script = """
import sys, numpy as np
from tests.inference.test_recurrent import *
found = [kernel_logits(new_network(SMALL_SHAPE, extreme_arrays(SMALL_SHAPE, seed)), b"B \\xff") for seed in range(2)]
arrays = quantise(random_parameters(SMALL_SHAPE, seed=3), SMALL_SHAPE)
found.append(kernel_logits(new_network(SMALL_SHAPE, arrays), b"one two"))
sys.stdout.buffer.write(np.concatenate(found).astype("<i8").tobytes())
"""
    runs = [
        subprocess.run(
            [sys.executable, "-W", "error", "-c", script], capture_output=True, check=False, env={**env, "PATH": ""}
        )
        for env in ({"NUMBA_DISABLE_JIT": "1"}, {"NUMBA_DISABLE_JIT": "0"})
    ]
    assert [run.stderr for run in runs] == [b"", b""]
    assert runs[0].stdout == runs[1].stdout
    assert len(runs[0].stdout) == 8 * NODES * 13


def test_biases_may_be_as_large_as_files_allow() -> None:
    arrays = quantise(random_parameters(SMALL_SHAPE), SMALL_SHAPE)
    arrays["head.bias"][:] = -BIAS_LIMIT
    assert (kernel_logits(new_network(SMALL_SHAPE, arrays), b"a")[:, 1:] == -2815).all()
    arrays["head.bias"][:] = -BIAS_LIMIT - 1
    with pytest.raises(ValueError, match=r"head.bias has numbers from -536870913 to -536870913, expected -536870912"):
        check(SMALL_SHAPE, arrays)
