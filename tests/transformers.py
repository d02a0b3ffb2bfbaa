"""Small Transformers for tests, and what they compute by definition, in Python's and numpy's int64 alone."""

import math

import numpy as np

from gencomp.inference.tables import gate_table, score_factor
from gencomp.inference.transformer import Network
from gencomp.inference.transformer_weights import Form

LLAMA = Form(32, 2, 4, 2, 16, 48, 70, "silu", True, False, 1e-5, 16, tied=True)
QWEN2 = Form(
    48, 2, 3, 1, 16, 40, 33, "silu", True, False, 1e-6, 16, base=5e5, factors=(2.0,) * 8, biases=frozenset("qkv")
)
QWEN3 = Form(32, 2, 2, 1, 18, 33, 50, "silu", True, False, 1e-6, 18, head_norms=True)
GPT2 = Form(
    34, 2, 2, 2, 16, 80, 65, "gelu_tanh", False, True, 1e-5, 0, learned=96, tied=True,
    biases=frozenset(("q", "k", "v", "o", "up", "down")),
)  # fmt: skip
NEOX = Form(
    32, 2, 2, 2, 32, 64, 40, "gelu", False, True, 1e-5, 8, parallel=True,
    biases=frozenset(("q", "k", "v", "o", "up", "down")),
)  # fmt: skip
WIDE = Form(600, 1, 2, 1, 64, 1030, 40, "silu", True, False, 1e-5, 64)  # sums of more than one span
FORMS = {"llama": LLAMA, "qwen2": QWEN2, "qwen3": QWEN3, "gpt2": GPT2, "neox": NEOX, "wide": WIDE}


class Tensors:
    """Tensors of a form, drawn from ``seed``; ``spread`` widens them."""

    def __init__(self, form: Form, seed: int = 0, spread: float = 1.0) -> None:
        rng = np.random.default_rng(seed)
        self.arrays = {}
        for name, shape in form.expected().items():
            if len(shape) == 1 and not name.endswith("bias"):
                found = rng.lognormal(0.0, 0.4, shape)
            else:
                found = rng.normal(0.0, spread / math.sqrt(shape[-1]) if len(shape) == 2 else 0.1, shape)
            self.arrays[name] = found.astype(np.float32)

    def rows(self, name: str, first: int, last: int) -> np.ndarray:
        return self.arrays[name][first:last]


def float_logits(form: Form, arrays: dict[str, np.ndarray], tokens: list[int]) -> np.ndarray:
    """Return the logits in nats after each token, float64 (n, V): the definition, in floating point."""
    weights = {name: array.astype(np.float64) for name, array in arrays.items()}

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return x @ weights[name].T + weights.get(f"{name}.bias", 0.0)

    def norm(x: np.ndarray, name: str, centred: bool) -> np.ndarray:
        x = x - x.mean(-1, keepdims=True) if centred else x
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + form.epsilon) * weights[name] + weights.get(
            f"{name}.bias", 0
        )

    def turned(x: np.ndarray) -> np.ndarray:
        half = form.rotated // 2
        frequencies = form.base ** (-np.arange(half) / half) / (np.array(form.factors or (1.0,) * half))
        angles = np.arange(len(tokens))[:, None, None] * frequencies
        one, other, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
        cosine, sine = np.cos(angles), np.sin(angles)
        return np.concatenate([one * cosine - other * sine, other * cosine + one * sine, rest], -1)

    def activated(x: np.ndarray) -> np.ndarray:
        table = np.append(gate_table(form.activation)[:2049] / 2.0**30, 1.0)
        gate = np.interp(np.abs(x), np.append(np.arange(2049) / 128, 1e9), table)
        return x * np.where(x < 0, 1 - gate, gate)

    x = weights["embedding"][tokens]
    if form.learned:
        x = x + weights["positions"][: len(tokens)]
    mask = np.triu(np.full((len(tokens), len(tokens)), -np.inf), 1)
    for layer in range(form.layers):
        at = f"layers.{layer}."
        normed = norm(x, f"{at}norm1", form.centred)
        q, k, v = (linear(normed, at + name).reshape(len(tokens), -1, form.head_size) for name in "qkv")
        if form.head_norms:
            q, k = norm(q, f"{at}q_norm", False), norm(k, f"{at}k_norm", False)
        if form.rotated:
            q, k = turned(q), turned(k)
        k, v = (np.repeat(part, form.heads // form.groups, 1) for part in (k, v))
        scores = np.einsum("thd,shd->hts", q, k) / math.sqrt(form.head_size) + mask
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        attended = linear(np.einsum("hts,shd->thd", shares, v).reshape(len(tokens), -1), f"{at}o")
        before = x
        x = x + attended
        normed = norm(before if form.parallel else x, f"{at}norm2", form.centred)
        up = linear(normed, f"{at}up")
        inner = activated(linear(normed, f"{at}gate")) * up if form.gated else activated(up)
        x = x + linear(inner, f"{at}down")
    return norm(x, "norm", form.centred) @ weights.get("head", weights["embedding"]).T


def with_rounded_weights(form: Form, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return ``arrays`` with every matrix rounded to 255 levels for each output, as the network has it."""
    found = dict(arrays)
    for parts, _, _ in form.matrices().values():
        for part in parts:
            steps = np.abs(arrays[part]).max(axis=1, keepdims=True).astype(np.float64) / 127
            found["head" if part == "embedding" else part] = np.rint(arrays[part] / steps) * steps
    return found


# the definition in integers


def fits(numbers: np.ndarray, bits: int) -> np.ndarray:
    """Return ``numbers``, which must be within 2^bits in absolute value."""
    assert int(np.abs(numbers).max(initial=0)) <= 1 << bits
    return numbers


def rounded(value: int, shift: int, limit: int) -> int:
    """Return value / 2^shift, in Python's integers."""
    found = (value + (1 << shift >> 1)) >> shift if shift > 0 else value << -shift
    return max(-limit, min(limit, found))


STREAM, INNER = (1 << 46) - 1, (1 << 31) - 1


def quantised(row: list[int], bits: int, least: int) -> tuple[list[int], int]:
    seen = 0
    for value in row:
        seen |= abs(value)
    if not seen:
        return [0] * len(row), max(0, least)
    shift = max(seen.bit_length() - bits, least)
    return [rounded(value, shift, (1 << bits) - 1) for value in row], shift


def integer_logits(network: Network, form: Form, tokens: list[int]) -> np.ndarray:
    """Return the logits after each token, Q16 powers of two, (n, V): the definition, in Python's integers.

    Matrices are unpacked anew from their blocks, and every number that the kernels hold in fewer bits is checked.
    """
    gains, norm_biases = network.gains.tolist(), network.norm_biases.tolist()
    epsilon = int(network.epsilon[0])

    def matrix(number: int) -> np.ndarray:
        start, _, outputs, inputs, _ = network.matrices[number].tolist()
        rows, columns = -(-outputs // 16) * 16, -(-inputs // 2) * 2
        flat, found, row = network.weights[start : start + rows * columns], [], 0
        while row < rows:
            size = 64 if row + 64 <= rows else 16
            block = flat[row * columns : (row + size) * columns].reshape(columns // 2, size, 2)
            found.append(block.transpose(1, 0, 2).reshape(size, columns))
            row += size
        return np.concatenate(found)[:outputs, :inputs].astype(np.int64)

    matrices = [matrix(number) for number in range(len(network.matrices))]

    def product(number: int, inputs: list[int], shift: int, bits: int, limit: int) -> list[int]:
        _, at, outputs, _, scale = network.matrices[number].tolist()
        totals = fits(matrices[number] @ fits(np.array(inputs, dtype=np.int64), 15), 37).tolist()
        found = []
        for j in range(outputs):
            value = totals[j] * int(network.multipliers[at + j])
            assert abs(value) <= 1 << 61
            down = shift + scale - bits
            if down > 0:
                value = rounded(value, min(down, 61), 1 << 62)
            else:
                left = min(-down, 46)
                value = max(-(STREAM >> left), min(STREAM >> left, value)) << left
            found.append(max(-limit, min(limit, value + int(network.biases[at + j]))))
        return found

    def normed(row: list[int], gain: list[int], bias: list[int], bits_in: int, centred: bool) -> list[int]:
        mean = (sum(row) + len(row) // 2) // len(row) if centred else 0
        row = [value - mean for value in row]
        seen = 0
        for value in row:
            seen |= abs(value)
        shift = max(seen.bit_length() - 24, -10)
        row = [rounded(value, shift, 1 << 62) for value in row]
        total = sum(value * value for value in row)
        assert total <= 1 << 62
        square = total // len(row) + (epsilon >> min(60 - 2 * bits_in + 2 * shift, 62))
        root = max(1, math.isqrt(square << 12))
        found = [
            ((value * ((1 << 54) // root) + (1 << 23)) >> 24) * g + b
            for value, g, b in zip(row, gain, bias, strict=True)
        ]
        assert max(map(abs, found)) <= 1 << 62
        return found

    def norm_row(stream: list[int], number: int) -> tuple[list[int], int]:
        bits = int(network.gain_bits[number])
        row, shift = quantised(normed(stream, gains[number], norm_biases[number], 20, form.centred), 15, -62)
        return row, 24 + bits - shift

    def head(row: list[int], number: int, position: int) -> list[int]:
        if form.head_norms:
            bits = int(network.head_gain_bits[number])
            found = normed(row, network.head_gains[number].tolist(), [0] * len(row), 16, False)
            row = [rounded(value, 24 + bits - 16, INNER) for value in found]
        half = form.rotated // 2
        for j in range(half):
            cosine, sine = network.turned[position, j].tolist()
            one, other = row[j], row[j + half]
            row[j] = rounded(one * cosine - other * sine, 30, 1 << 62)
            row[j + half] = rounded(other * cosine + one * sine, 30, 1 << 62)
        return row

    def power(below: int) -> tuple[int, int]:
        f, r = (below & 0xFFFF) >> 1, 837
        for c in (3498, 15779, 45422):
            r = c + (r * f >> 15)
        return (1 << 30) + ((r + 1) >> 1) * f, max(below >> 16, -40)

    def gated(x: int) -> int:
        table = gate_table(form.activation).tolist()
        place, fraction = min(abs(x) >> 9, 2048), abs(x) & 511
        gate = table[place] + ((table[place + 1] - table[place]) * fraction >> 9)
        return (x * (gate if x >= 0 else (1 << 30) - gate) + (1 << 29)) >> 30

    size, heads, groups = form.head_size, form.heads, form.groups
    factor, shared = score_factor(size), groups * size
    caches: list[list[tuple[list[int], int, list[int], int]]] = [[] for _ in range(form.layers * groups)]
    logits = []
    for position, token in enumerate(tokens):
        stream = [rounded(v, int(network.embedding_bits[0]) - 20, STREAM) for v in network.embedding[token].tolist()]
        if form.learned:
            shift = int(network.embedding_bits[1]) - 20
            more = [rounded(v, shift, STREAM) for v in network.positions[position].tolist()]
            stream = [max(-STREAM, min(STREAM, a + b)) for a, b in zip(stream, more, strict=True)]
        for layer in range(form.layers):
            row, down = norm_row(stream, 2 * layer)
            other = norm_row(stream, 2 * layer + 1)
            wide = product(4 * layer, row, down, 16, INNER)
            for group in range(groups):
                begin = heads * size + group * size
                key = head(wide[begin : begin + size], 2 * layer + 1, position)
                value = wide[begin + shared : begin + shared + size]
                caches[layer * groups + group].append((*quantised(key, 11, 0), *quantised(value, 11, 0)))
            attended = []
            for h in range(heads):
                query = head(wide[h * size : (h + 1) * size], 2 * layer, position)
                query = [(value * factor + (1 << 29)) >> 30 for value in query]
                query, up = quantised(query, form.query_bits, 0)
                cache = caches[layer * groups + h * groups // heads]
                scores = []
                for key, shift, _, _ in cache:
                    total = sum(a * b for a, b in zip(query, key, strict=True))
                    assert abs(total) < (1 << 31) - (1 << 16)
                    scores.append(rounded(total << shift, 16 - up, 1 << 30))
                powers = [power(score - max(scores)) for score in scores]
                denominator = sum(mantissa >> min(31, -whole) for mantissa, whole in powers)
                top = max(whole + grade for (_, whole), (*_, grade) in zip(powers, cache, strict=True))
                added = [0] * size
                for (mantissa, whole), (_, _, value, grade) in zip(powers, cache, strict=True):
                    share = min(32767, ((mantissa >> min(31, 15 + top - whole - grade)) + 1) >> 1)
                    added = [a + share * v for a, v in zip(added, value, strict=True)]
                seen = 0
                for value in added:
                    seen |= abs(value)
                cut = max(seen.bit_length() - 31, 0)
                reciprocal = (1 << 61) // denominator
                attended += [rounded((value >> cut) * reciprocal, 37 - cut - top, STREAM) for value in added]
            row, shift = quantised(attended, 15, -62)
            found = product(4 * layer + 1, row, 24 - shift, 20, 1 << 62)
            stream = [max(-STREAM, min(STREAM, a + b)) for a, b in zip(stream, found, strict=True)]
            row, down = other if form.parallel else norm_row(stream, 2 * layer + 1)
            wide = product(4 * layer + 2, row, down, 16, INNER)
            inner = [gated(x) for x in wide[: form.feed_forward]]
            if form.gated:
                inner = [a * b for a, b in zip(inner, wide[form.feed_forward :], strict=True)]
            row, shift = quantised(inner, 15, -62)
            found = product(4 * layer + 3, row, (32 if form.gated else 16) - shift, 20, 1 << 62)
            stream = [max(-STREAM, min(STREAM, a + b)) for a, b in zip(stream, found, strict=True)]
        row, down = norm_row(stream, 2 * form.layers)
        logits.append(product(4 * form.layers, row, down, 16, INNER))
    return np.array(logits)
