"""Small recurrent networks for tests, and what they compute by definition: in floating point and in int64."""

import functools
import math
from pathlib import Path

import numpy as np

from gencomp.data import alice
from gencomp.inference.contexts import context_rows, make_plan, new_context
from gencomp.inference.recurrent import NODES, SCALES, Shape, has_bias
from gencomp.inference.weights import quantise, save_weights
from tests.conftest import ROOT

SMALL_SHAPE = Shape(32, 32, 64, 2, 6, (("order1", 256), ("order2", 100), ("order6", 33), ("words", 50)))
Parameters = dict[str, np.ndarray]
# for each number of fractional bits of a square, the largest number in Q12 whose square fits int16
LARGEST_SQUARED = {
    bits: max(n for n in range(1 << 16) if (n * n + (1 << (23 - bits))) >> (24 - bits) <= 32767)
    for bits in range(8, 13)
}


def random_parameters(shape: Shape, seed: int = 0, spread: float = 1.0) -> Parameters:
    """Return float parameters of about the sizes that training gives; ``spread`` widens them."""
    rng = np.random.default_rng(seed)
    parameters = {"tables": rng.normal(0, 0.5, (shape.rows, shape.embedding)) * rng.lognormal(0, 1, (shape.rows, 1))}
    for name, (outputs, inputs) in shape.matrices().items():
        parameters[f"{name}.weight"] = rng.normal(0, spread / np.sqrt(inputs), (outputs, inputs))
        if has_bias(name):
            parameters[f"{name}.bias"] = rng.normal(0, 0.3, outputs)
    for layer in range(shape.layers):
        for part in ("gates_shift", "up_shift"):
            parameters[f"layers.{layer}.{part}"] = rng.uniform(-1, 1, shape.width)
        forget = slice(shape.hidden, 2 * shape.hidden)
        parameters[f"layers.{layer}.gates.bias"][forget] = np.linspace(-1.5, 3.2, shape.hidden)
        parameters[f"layers.{layer}.up.bias"] -= 0.8  # about a fifth of the units are on
    return {name: array.astype(np.float32) for name, array in parameters.items()}


def float_logits(parameters: Parameters, shape: Shape, data: bytes) -> np.ndarray:
    """Return the logits in nats of all nodes, float64 (n, 256), before each byte: the definition, in floating point."""
    weights = {name: array.astype(np.float64) for name, array in parameters.items()}
    seen = np.frombuffer(b"\0" + data[:-1], np.uint8)
    rows = context_rows(seen, new_context(), make_plan(shape.tables))
    embedded = weights["tables"][rows].reshape(len(rows), -1)
    hidden = [np.zeros(shape.hidden) for _ in range(shape.layers)]
    before = {(layer, part): np.zeros(shape.width) for layer in range(shape.layers) for part in ("gates", "up")}

    def norm(x: np.ndarray) -> np.ndarray:
        return x / np.sqrt((x * x).mean() + 1e-5)

    def shifted(x: np.ndarray, layer: int, part: str) -> np.ndarray:
        now, then = norm(x), before[layer, part]
        before[layer, part] = now
        mixed = now + np.clip(weights[f"layers.{layer}.{part}_shift"], -1, 1) * (then - now)
        return np.clip(mixed, -(16 - 2.0**-11), 16 - 2.0**-11)

    def gate(x: np.ndarray) -> np.ndarray:
        t = np.clip(x / 4, -1, 1)
        return 0.5 + 0.5 * t * (2 - np.abs(t))

    logits = np.zeros((len(rows), NODES))
    for index, e in enumerate(embedded):
        x = weights["input.weight"] @ e
        for layer in range(shape.layers):
            at = f"layers.{layer}"
            z, f, o = np.split(
                weights[f"{at}.gates.weight"] @ shifted(x, layer, "gates") + weights[f"{at}.gates.bias"], 3
            )
            z = np.clip(z, -64, 64)
            hidden[layer] = z + gate(f) * (hidden[layer] - z)
            x = x + weights[f"{at}.out.weight"] @ np.clip(hidden[layer] * gate(o), -16, 16)
            u = weights[f"{at}.up.weight"] @ shifted(x, layer, "up") + weights[f"{at}.up.bias"]
            x = x + weights[f"{at}.down.weight"] @ np.clip(u, 0, 128**0.5) ** 2
        logits[index] = weights["head.weight"] @ norm(x) + weights["head.bias"]
    return np.clip(logits, -11, 11)


def dequantised(arrays: Parameters, shape: Shape) -> Parameters:
    """Return the float parameters that integer ``arrays`` stand for; the scale of tables is in the input's weights."""
    numbers = np.concatenate([arrays["tables"] & 15, arrays["tables"] >> 4], axis=1) - 8.0
    parameters = {"tables": numbers * SCALES[arrays["scales"]][:, None]}
    for name in shape.matrices():
        inputs = {"input": 0, "head": 11, "gates": 11, "up": 11}.get(name.split(".")[-1])
        if inputs is None:
            inputs = int(arrays["bits"][int(name.split(".")[1]), int(name.endswith(".down"))])
        outputs = 8 if name == "head" else 12
        scales = arrays[f"{name}.multiplier"][:, None] * 2.0 ** (inputs - outputs - 32)
        parameters[f"{name}.weight"] = arrays[f"{name}.weight"] * scales
        if has_bias(name):
            parameters[f"{name}.bias"] = arrays[f"{name}.bias"] * 2.0**-outputs
    shifts = {name: arrays[name] * 2.0**-14 for name in arrays if name.endswith("_shift")}
    return parameters | shifts


def float_bits(logits: np.ndarray, data: bytes) -> np.ndarray:
    """Return what each byte costs in bits under the ``logits`` (n, 256) before it, float64 (n,)."""
    marked = np.frombuffer(data, np.uint8).astype(np.int64) | 256
    total = np.zeros(len(marked))
    for depth in range(8):
        chosen = logits[np.arange(len(marked)), marked >> (8 - depth)]
        total += np.logaddexp(0, np.where((marked >> (7 - depth)) & 1, -chosen, chosen)) / np.log(2)
    return total


def integer_logits(arrays: Parameters, shape: Shape, data: bytes) -> np.ndarray:
    """Return the logits in 1/256 nats of all nodes, int64 (n, 256), before each byte: the definition, in int64.

    Every number that the kernels hold in fewer bits is checked to fit there.
    """
    wide = {name: array.astype(np.int64) for name, array in arrays.items()}
    numbers = np.concatenate([wide["tables"] & 15, wide["tables"] >> 4], axis=1) - 8
    tables = fits(numbers * SCALES[wide["scales"]][:, None].astype(np.int64), 15)
    rows = context_rows(np.frombuffer(b"\0" + data[:-1], np.uint8), new_context(), make_plan(shape.tables))
    hidden = [np.zeros(shape.hidden, np.int64) for _ in range(shape.layers)]
    before = {
        (layer, part): np.zeros(shape.width, np.int64) for layer in range(shape.layers) for part in ("gates", "up")
    }

    def product(name: str, inputs: np.ndarray) -> np.ndarray:
        total = fits(wide[f"{name}.weight"] @ fits(inputs, 15), 31)
        rescaled = fits((total * wide[f"{name}.multiplier"] + (1 << 31)) >> 32, 30, inclusive=True)
        return fits(rescaled + wide[f"{name}.bias"], 31) if has_bias(name) else rescaled

    def norm(x: np.ndarray) -> np.ndarray:
        root = math.isqrt((int((x * x).sum()) // len(x) << 8) + 42950)
        shift = min(32, 14 + root.bit_length())
        return fits((x * ((1 << (shift + 15)) // root) + (1 << (shift - 1))) >> shift, 15)

    def shifted(x: np.ndarray, layer: int, part: str) -> np.ndarray:
        now, then = norm(x), before[layer, part]
        before[layer, part] = now
        change = fits(fits((then - now) * wide[f"layers.{layer}.{part}_shift"], 31) + 8192, 31) >> 14
        return np.clip(now + change, -32767, 32767)

    def gate(x: np.ndarray) -> np.ndarray:
        t = np.clip(x, -16384, 16384)
        return 16384 + (fits(t * (32768 - np.abs(t)), 31) >> 14)

    def added(x: np.ndarray, more: np.ndarray) -> np.ndarray:
        return np.clip(fits(x + more, 31), -(2**27) + 1, 2**27 - 1)

    logits = np.zeros((len(rows), NODES), np.int64)
    for index, chosen in enumerate(rows):
        x = added(np.zeros(shape.width, np.int64), product("input", tables[chosen].ravel()))
        for layer in range(shape.layers):
            outputs, squares = (int(bits) for bits in wide["bits"][layer])
            at = f"layers.{layer}"
            z, f, o = np.split(product(f"{at}.gates", shifted(x, layer, "gates")), 3)
            z = fits(np.clip(z, -(2**18) + 1, 2**18 - 1) << 12, 30)
            hidden[layer] = fits(z + ((fits(hidden[layer] - z, 31) * gate(f) + 16384) >> 15), 30)
            shown = (hidden[layer] * gate(o) + (1 << (38 - outputs))) >> (39 - outputs)
            x = added(x, product(f"{at}.out", np.clip(fits(shown, 31), -32767, 32767)))
            u = product(f"{at}.up", shifted(x, layer, "up"))
            half = 1 << (23 - squares)
            largest = LARGEST_SQUARED[squares]
            r = fits(np.clip(u, 0, largest) ** 2 + half, 31) >> (24 - squares)
            x = added(x, product(f"{at}.down", r))
        logits[index] = np.clip(product("head", norm(x)), -2815, 2815)
    return logits


def fits(numbers: np.ndarray, bits: int, *, inclusive: bool = False) -> np.ndarray:
    """Return ``numbers``, which must be below 2^bits in absolute value."""
    assert np.abs(numbers).max() < (1 << bits) + inclusive
    return numbers


def counted_parameters(shape: Shape, text: bytes) -> Parameters:
    """Return parameters of a network that has counted a text's bytes, and so compresses; contexts change a little."""
    parameters = random_parameters(shape, seed=7)
    marked = np.frombuffer(text, np.uint8).astype(np.int64) | 256
    ones, zeros = np.full((2, NODES), len(text) / 500)  # no byte is rarer than 2^-20
    for depth in range(8):
        bit = (marked >> (7 - depth)) & 1
        ones += np.bincount(marked >> (8 - depth), bit, NODES)
        zeros += np.bincount(marked >> (8 - depth), 1 - bit, NODES)
    parameters["head.weight"] *= np.float32(0.1)
    parameters["head.bias"] = np.log(ones / zeros).astype(np.float32)
    return parameters


@functools.cache
def small_network() -> Path:
    """Return a file of weights, at the same place in every process of a run of tests."""
    path = ROOT / ".pytest_cache" / "networks" / "small.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_weights(path, SMALL_SHAPE, quantise(counted_parameters(SMALL_SHAPE, alice()), SMALL_SHAPE), overwrite=True)
    return path
