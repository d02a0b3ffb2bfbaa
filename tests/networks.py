"""Small recurrent networks for tests, and what they compute in floating point."""

import numpy as np

from gencomp.inference.contexts import context_rows, make_plan, new_context
from gencomp.inference.recurrent import NODES, Shape, has_bias

SMALL_SHAPE = Shape(32, 32, 64, 2, 6, (("order1", 256), ("order2", 100), ("order6", 33), ("words", 50)))
Parameters = dict[str, np.ndarray]


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


def float_bits(logits: np.ndarray, data: bytes) -> np.ndarray:
    """Return what each byte costs in bits under the ``logits`` (n, 256) before it, float64 (n,)."""
    marked = np.frombuffer(data, np.uint8).astype(np.int64) | 256
    total = np.zeros(len(marked))
    for depth in range(8):
        chosen = logits[np.arange(len(marked)), marked >> (8 - depth)]
        total += np.logaddexp(0, np.where((marked >> (7 - depth)) & 1, -chosen, chosen)) / np.log(2)
    return total
