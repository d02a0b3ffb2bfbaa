"""The integer network: KB/s both ways, what each part of a step takes, and the speed of products.

    python benchmarks/inference.py [WEIGHTS.safetensors] [--bytes 4000] [--repeat 30]

Without a file, it takes random weights of the default size. Times are of this thread's CPU, the best and the median of
the repeats in one run: on a shared machine, the best shows what the code can do. A part is timed alone, with its data
in the cache. In a whole step, the line "together", the parts push each other's weights out of the processor's L2 cache.
"""

import argparse
import functools
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from texts import text_of

from gencomp.compiled import lean_kernel
from gencomp.cores import usable_cores
from gencomp.inference.arithmetic import add_rescaled, mix_with_before, normalise, scan, square_positive
from gencomp.inference.products import LIST_AHEAD, list_pairs, multiply, multiply_listed, pack
from gencomp.inference.recurrent import Memory, Network, Shape, embed, has_bias, new_memory, step
from gencomp.inference.weights import quantise, save_weights
from gencomp.predictors.recurrent import Recurrent
from gencomp.predictors.recurrent.coding import probability

Measured = tuple[float, float]


def timed(action: Callable[[], object], repeat: int, per: int) -> Measured:
    """Return the best and the median CPU time of ``action`` in microseconds, divided by ``per``."""
    action()
    times = []
    for _ in range(repeat):
        start = time.thread_time_ns()
        action()
        times.append((time.thread_time_ns() - start) / 1e3 / per)
    return min(times), statistics.median(times)


def random_parameters(shape: Shape) -> dict[str, np.ndarray]:
    """Return float parameters for which about a fifth of the feed-forward units are active."""
    rng = np.random.default_rng(0)
    parameters = {"tables": rng.normal(0, 0.5, (shape.rows, shape.embedding))}
    for name, (outputs, inputs) in shape.matrices().items():
        parameters[f"{name}.weight"] = rng.normal(0, 1 / np.sqrt(inputs), (outputs, inputs))
        if has_bias(name):
            parameters[f"{name}.bias"] = rng.normal(-0.8 if name.endswith("up") else 0.0, 0.3, outputs)
    for layer in range(shape.layers):
        for part in ("gates_shift", "up_shift"):
            parameters[f"layers.{layer}.{part}"] = rng.uniform(0, 0.5, shape.width)
    return {name: array.astype(np.float32) for name, array in parameters.items()}


@lean_kernel
def steps(network: Network, memory: Memory, data: np.ndarray) -> None:
    for index in range(data.shape[0]):
        step(network, memory, data[index])


@lean_kernel
def embeddings(network: Network, memory: Memory, data: np.ndarray) -> None:
    for index in range(data.shape[0]):
        embed(network, memory, data[index])


@lean_kernel
def decisions(network: Network, memory: Memory, data: np.ndarray) -> int:
    total = 0
    for index in range(data.shape[0]):
        for depth in range(8):
            total += probability(network, memory, (np.int64(data[index]) | 256) >> (8 - depth))
    return total


@lean_kernel
def dense_products(network: Network, memory: Memory, data: np.ndarray) -> None:
    sizes, weights, inputs, sums = network.sizes, network.weights, memory.inputs, memory.sums
    width, hidden, inner = sizes[0], sizes[1], sizes[2]
    size = sizes[4] * network.plan.shape[0]
    for _ in range(data.shape[0]):
        multiply(weights, 0, inputs[:size], sums[:width])
        at = width * size
        for _ in range(sizes[3]):
            multiply(weights, at, inputs[:width], sums[: 3 * hidden])
            at += 3 * hidden * width
            multiply(weights, at, inputs[:hidden], sums[:width])
            at += width * hidden
            multiply(weights, at, inputs[:width], sums[:inner])
            at += 2 * inner * width


@lean_kernel
def sparse_products(network: Network, memory: Memory, squares: np.ndarray, data: np.ndarray) -> None:
    sizes = network.sizes
    width, inner = sizes[0], sizes[2]
    layer = (4 * sizes[1] + 2 * inner) * width
    for _ in range(data.shape[0]):
        for number in range(sizes[3]):
            count = list_pairs(squares, memory.pairs)
            at = width * sizes[4] * network.plan.shape[0] + (number + 1) * layer - inner * width
            multiply_listed(network.weights, at, squares, memory.pairs, count, memory.sums[:width])


@lean_kernel
def rest(network: Network, memory: Memory, squares: np.ndarray, data: np.ndarray) -> None:
    sizes, sums, numbers = network.sizes, memory.sums, network.numbers
    width, hidden, inner = sizes[0], sizes[1], sizes[2]
    for _ in range(data.shape[0]):
        for layer in range(sizes[3]):
            for _ in range(2):
                normalise(memory.stream, memory.normed)
                mix_with_before(memory.normed, memory.before[:width], network.shares[:width], memory.inputs[:width])
                add_rescaled(sums, numbers[:width], memory.stream)
            scan(
                sums[: 3 * hidden],
                numbers[: 3 * hidden],
                numbers[: 3 * hidden],
                memory.hidden[:hidden],
                network.bits[layer, 0],
                memory.inputs[:hidden],
            )
            square_positive(
                sums[:inner], numbers[:inner], numbers[:inner], network.bits[layer, 1], network.bits[layer, 2], squares
            )
        normalise(memory.stream, memory.normed)


def step_parts(recurrent: Recurrent, data: np.ndarray, repeat: int) -> None:
    """Print a row for each part of a step."""
    network, shape = recurrent.loaded.network, recurrent.loaded.shape
    memory = new_memory(network)
    steps(network, memory, data)
    squares = memory.inputs[: shape.feed_forward].copy()
    pairs = int(list_pairs(squares, memory.pairs))
    print(
        f"the last squares: {np.count_nonzero(squares) / len(squares):.0%} not 0, {2 * pairs / len(squares):.0%} pairs"
    )
    scratch = new_memory(network)
    rows = {
        "rows of tables": lambda: embeddings(network, scratch, data),
        "dense products": lambda: dense_products(network, scratch, data),
        "products with squares": lambda: sparse_products(network, scratch, squares, data),
        "norms, gates, squares": lambda: rest(network, scratch, squares.copy(), data),
        "eight decisions": lambda: decisions(network, memory, data),
        "a step together, without decisions": lambda: steps(network, memory, data),
    }
    for name, action in rows.items():
        best, median = timed(action, repeat, len(data))
        print(f"{name:<36}{best:8.2f} us a byte, median {median:.2f}")


@lean_kernel
def repeated_product(weights: np.ndarray, vector: np.ndarray, sums: np.ndarray, times: int) -> None:
    for _ in range(times):
        multiply(weights, 0, vector, sums)


@lean_kernel
def repeated_list(weights: np.ndarray, vector: np.ndarray, pairs: np.ndarray, sums: np.ndarray, times: int) -> None:
    for _ in range(times):
        count = list_pairs(vector, pairs)
        multiply_listed(weights, 0, vector, pairs, count, sums)


def product_rows(repeat: int) -> None:
    """Print how fast a 192 x 512 matrix is multiplied by a vector, with all inputs and with zeros left out."""
    rng = np.random.default_rng(0)
    outputs, inputs, times = 192, 512, 200
    weights = pack(rng.integers(-127, 128, (outputs, inputs)).astype(np.int8))
    vector, sums = rng.integers(-32767, 32768, inputs).astype(np.int16), np.zeros(outputs, np.int32)
    best, median = timed(functools.partial(repeated_product, weights, vector, sums, times), repeat, times)
    products = outputs * inputs / 1e3
    print(f"all inputs: {products / best:6.1f} products a ns, median {products / median:.1f}")
    for share in (0.05, 0.1, 0.2, 0.4, 1.0):
        vector = np.where(rng.random(inputs) < share, 1000, 0).astype(np.int16)
        pairs, sums = np.zeros(inputs // 2 + LIST_AHEAD, np.int32), np.zeros(outputs, np.int32)
        best, median = timed(functools.partial(repeated_list, weights, vector, pairs, sums, times), repeat, times)
        print(f"{share:4.0%} of the inputs not 0: {best:.2f} us, median {median:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="?", type=Path)
    parser.add_argument("--bytes", type=int, default=4000)
    parser.add_argument("--repeat", type=int, default=30)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.weights
        if path is None:
            path = Path(folder) / "random.safetensors"
            save_weights(path, Shape(), quantise(random_parameters(Shape()), Shape()))
        recurrent = Recurrent(str(path))
        name, text = text_of(None)
        text = text[: arguments.bytes]
        print(
            f"{platform.processor() or platform.machine()}, {usable_cores()} cores, Python {platform.python_version()}"
        )
        print(f"{path.name}: {recurrent.loaded.shape}")
        payload = recurrent.encode_block(text)
        assert recurrent.decode_block(payload, len(text)) == text
        for way, action in {
            "encode": lambda: recurrent.encode_block(text),
            "decode": lambda: recurrent.decode_block(payload, len(text)),
        }.items():
            best, median = timed(action, arguments.repeat, len(text))
            print(f"{way} {name}, {len(text):,} bytes: {1e3 / best:.1f} KB/s, median {1e3 / median:.1f}")
        step_parts(recurrent, np.frombuffer(text, np.uint8), arguments.repeat)
    product_rows(arguments.repeat)


if __name__ == "__main__":
    main()
