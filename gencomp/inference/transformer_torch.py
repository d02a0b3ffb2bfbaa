"""The pass of :mod:`gencomp.inference.transformer` in torch, on a GPU or a CPU, with the same bits.

All numbers are integers. Sums of products are computed by floating-point matrix products. These are exact in any order
as long as each partial sum is an integer that the type holds: up to 2^53 in float64, 2^24 in float32. Everything else
is int64, within the bounds that the kernels state. So a pass gives what the kernels give, whatever the device, the
batch and the order of sums.

On a GPU with few float64 units, products with weights are computed in float32. Inputs of 16 bits are cut into two
bytes, and rows into spans of SPAN numbers, whose products with int8 weights sum to at most 127 * 255 * SPAN < 2^24.
TF32 has a significand of 11 bits and must be off; :class:`TorchNetwork` refuses to run where it is on.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gencomp.coding.quantize import SCALE_BITS
from gencomp.inference.rows import (
    CACHE_BITS,
    EPSILON_BITS,
    GAIN_BITS,
    INNER_BITS,
    INNER_LIMIT,
    INPUT_BITS,
    POLYNOMIAL,
    SHARE_BITS,
    STREAM_BITS,
    STREAM_LIMIT,
)
from gencomp.inference.tables import GATE_BITS, GATE_END, GATE_STEPS, ROTATION_BITS
from gencomp.inference.tiles import unpacked_rows
from gencomp.inference.transformer import (
    BEFORE_GATES,
    BEFORE_HEADS,
    CENTRED,
    DENOMINATOR_BITS,
    DOWN,
    EXTRA,
    FEED_FORWARD,
    GATED,
    GROUPS,
    HEAD,
    HEAD_BITS,
    HEAD_NORMS,
    HEADS,
    LAYERS,
    LEAST_POWER,
    MATRICES,
    NORMS,
    OUT,
    PARALLEL,
    QKV,
    QUERY_BITS,
    ROTATED,
    SCORE_LIMIT,
    SUM_BITS,
    UP,
    Network,
)

SPAN = 512  # numbers of a row: 127 * 255 * 512 < 2^24
_MOST_NUMBERS = 1 << 24  # of a tensor in a step, int64; about ten such tensors are held at a time
# compute capabilities of GPUs that multiply float64 at least half as fast as float32
_FAST_DOUBLES = {(6, 0), (7, 0), (8, 0), (9, 0), (10, 0)}


class TorchCache(NamedTuple):
    """Keys and values of n texts, int16 (layers, n, groups, positions, d); shifts are int32, without the axis d."""

    keys: Tensor
    key_shifts: Tensor
    values: Tensor
    value_shifts: Tensor


def bit_lengths(values: Tensor) -> Tensor:
    """Return how many bits each of ``values`` >= 0 has."""
    powers = 1 << torch.arange(63, device=values.device)
    return torch.bucketize(values, powers, right=True)


def peak_bits(rows: Tensor) -> Tensor:
    """Return how many bits the largest absolute value of each row has: (..., n) to (..., 1)."""
    return bit_lengths(rows.abs().amax(-1, keepdim=True))


def shifted_down(values: Tensor, shifts: Tensor) -> Tensor:
    """Return ``values`` / 2^shift, rounded, for shifts from 0 to 62."""
    return (values + ((torch.ones_like(shifts) << shifts) >> 1)) >> shifts


def shifted(values: Tensor, shifts: Tensor, limit: int) -> Tensor:
    """Return ``values`` / 2^shift, rounded, within ``limit``, as the kernels' ``shifted``; shifts may be negative."""
    up, down = (-shifts).clamp(0, 46), shifts.clamp(0, 61)
    most = limit >> up
    return shifted_down(values, down).clamp(-most, most) << up


def quantised(rows: Tensor, bits: int, least: int) -> tuple[Tensor, Tensor]:
    """Return ``rows`` / 2^s, rounded, within 2^bits - 1, and s (..., 1), as the kernels' ``quantise``."""
    lengths = peak_bits(rows)
    shifts = torch.where(lengths == 0, max(0, least), (lengths - bits).clamp(min=least))
    limit = (1 << bits) - 1
    return shifted_down(rows, shifts.clamp(min=0)).clamp(-limit, limit) << (-shifts).clamp(0, 62), shifts


def square_roots(values: Tensor) -> Tensor:
    """Return the square roots of ``values`` < 2^62, rounded down; a float64's root is off by at most one."""
    roots = values.double().sqrt().long()
    roots = roots - (roots * roots > values).long()
    return roots + ((roots + 1) * (roots + 1) <= values).long()


def normalised(
    rows: Tensor, gains: Tensor, biases: Tensor, bits: int, epsilon: int, bits_in: int, is_centred: bool
) -> Tensor:
    """Return each row over its root mean square, times gains, plus biases, as the kernels' ``normalise``."""
    # the numbers below are those of rows.normalise
    size = rows.shape[-1]
    if is_centred:
        rows = rows - (rows.sum(-1, keepdim=True) + (size >> 1)).div(size, rounding_mode="floor")
    shifts = (peak_bits(rows) - 24).clamp(min=-10)
    rows = shifted_down(rows, shifts.clamp(min=0)) << (-shifts).clamp(min=0)
    down = (EPSILON_BITS - 2 * bits_in + 2 * shifts).clamp(max=62)
    mean_square = (rows * rows).sum(-1, keepdim=True).div(size, rounding_mode="floor") + (
        torch.full_like(down, epsilon) >> down
    )
    roots = square_roots(mean_square << 12).clamp(min=1)
    reciprocals = torch.full_like(roots, 1 << 54).div(roots, rounding_mode="floor")
    return ((rows * reciprocals + (1 << 23)) >> 24) * gains + biases


def rotated(heads: Tensor, turned: Tensor) -> Tensor:
    """Rotate pairs of ``heads`` (..., T, H, d) by the angles of ``turned`` (T, n, 2), as the kernels' ``rotate``."""
    half = turned.shape[-2]
    cosines, sines = turned[:, None, :, 0], turned[:, None, :, 1]
    one, other, rest = heads[..., :half], heads[..., half : 2 * half], heads[..., 2 * half :]
    rounding = 1 << (ROTATION_BITS - 1)
    parts = (
        (one * cosines - other * sines + rounding) >> ROTATION_BITS,
        (other * cosines + one * sines + rounding) >> ROTATION_BITS,
        rest,
    )
    return torch.cat(parts, -1)


def gated(values: Tensor, table: Tensor) -> Tensor:
    """Return v g(v), Q16, as the kernels' ``gated``."""
    sizes = values.abs()
    shift = INNER_BITS - GATE_STEPS
    places = (sizes >> shift).clamp(max=GATE_END << GATE_STEPS)
    low, high = table[places], table[places + 1]
    gates = low + (((high - low) * (sizes & ((1 << shift) - 1))) >> shift)
    gates = torch.where(values < 0, (1 << GATE_BITS) - gates, gates)
    return (values * gates + (1 << (GATE_BITS - 1))) >> GATE_BITS


def powers_of_two(fractions: Tensor) -> Tensor:
    """Return 2^f for f = ``fractions`` / 2^15, Q30, as the kernels' ``power_of_two``."""
    found = torch.full_like(fractions, POLYNOMIAL[-1])
    for coefficient in POLYNOMIAL[-2::-1]:
        found = coefficient + ((found * fractions) >> 15)
    return (1 << 30) + ((found + 1) >> 1) * fractions


def exponentials(logits: Tensor) -> Tensor:
    """Return 2^(x - largest x) in Q30 for the rows of ``logits`` (n, V), Q16, as the kernels' ``fill_exponentials``."""
    below = (logits - logits.amax(-1, keepdim=True)).clamp(min=-(40 << 16))
    return powers_of_two((below & 0xFFFF) >> 1) >> (-(below >> 16)).clamp(max=31)


class TorchNetwork:
    """A network on a device of torch, which reads windows of several texts at once.

    ``carrier`` is the type in which products with weights are computed: "float64", or "float32" if that is faster.
    """

    def __init__(self, network: Network, device: str, carrier: str | None = None) -> None:
        self.sizes = [int(size) for size in network.sizes]
        self.device = torch.device(device)
        self.carrier = getattr(torch, carrier or _carrier(self.device))
        self._matrices = [tuple(map(int, row)) for row in network.matrices]
        self._weights = [
            self._moved(unpacked_rows(network.weights, start, outputs, inputs))
            for start, _, outputs, inputs, _ in self._matrices
        ]
        self._multipliers = self._moved(network.multipliers).long()
        self._biases = self._moved(network.biases)
        self._gains, self._norm_biases = self._moved(network.gains).long(), self._moved(network.norm_biases)
        self._gain_bits = [int(bits) for bits in network.gain_bits]
        self._head_gains = self._moved(network.head_gains).long()
        self._head_gain_bits = [int(bits) for bits in network.head_gain_bits]
        self._epsilon, self._score_factor = int(network.epsilon[0]), int(network.score_factor[0])
        self._embedding, self._positions = self._moved(network.embedding), self._moved(network.positions)
        self._embedding_bits = [int(bits) for bits in network.embedding_bits]
        self._table, self._turned = self._moved(network.table).long(), self._moved(network.turned).long()

    def _moved(self, array: "np.ndarray[Any, Any]") -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

    def new_cache(self, texts: int, positions: int) -> TorchCache:
        """Return an empty cache for ``texts`` texts of ``positions`` positions."""
        shape = (self.sizes[LAYERS], texts, self.sizes[GROUPS], positions)
        shifts = [torch.zeros(shape, dtype=torch.int32, device=self.device) for _ in range(2)]
        numbers = [torch.zeros((*shape, self.sizes[HEAD]), dtype=torch.int16, device=self.device) for _ in range(2)]
        return TorchCache(numbers[0], shifts[0], numbers[1], shifts[1])

    def multiply(
        self, number: int, inputs: Tensor, shifts: Tensor, bits: int, limit: int, added: Tensor | int = 0
    ) -> Tensor:
        """Return matrix ``number`` times ``inputs`` (n, K) with ``shifts`` (n, 1), in Q``bits``, plus ``added``.

        As the kernels' ``multiply``; int64 (n, outputs).
        """
        _, at, outputs, _, scale = self._matrices[number]
        totals = _products(self._weights[number], inputs, self.carrier)
        factors, biases = self._multipliers[at : at + outputs], self._biases[at : at + outputs]
        by = shifts + scale - bits
        up, down = (-by).clamp(0, 46), by.clamp(0, 61)
        products = totals * factors
        most = STREAM_LIMIT >> up
        # only products that are raised are clamped first
        raised = torch.where(up > 0, products.clamp(-most, most) << up, products)
        return (shifted_down(raised, down) + biases + added).clamp(-limit, limit)

    def _normed(self, number: int, stream: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``stream`` (n, D), normed by norm ``number``, as a product's inputs and their fractional bits."""
        bits = self._gain_bits[number]
        normed = normalised(
            stream,
            self._gains[number],
            self._norm_biases[number],
            bits,
            self._epsilon,
            STREAM_BITS,
            bool(self.sizes[CENTRED]),
        )
        inputs, shifts = quantised(normed, INPUT_BITS, -62)
        return inputs, GAIN_BITS + bits - shifts

    def _embedded(self, tokens: Tensor, begin: int) -> Tensor:
        """Return the embeddings of ``tokens`` (n, T) at positions from ``begin`` on."""
        shift = torch.tensor(self._embedding_bits[0] - STREAM_BITS, device=self.device)
        stream = shifted(self._embedding[tokens].long(), shift, STREAM_LIMIT)
        if len(self._positions):
            shift = torch.tensor(self._embedding_bits[1] - STREAM_BITS, device=self.device)
            places = self._positions[begin : begin + tokens.shape[1]].long()
            stream = (stream + shifted(places, shift, STREAM_LIMIT)).clamp(-STREAM_LIMIT, STREAM_LIMIT)
        return stream

    def read(self, cache: TorchCache, tokens: Tensor, begin: int) -> Tensor:
        """Read ``tokens`` (n, T) of all n texts at positions from ``begin`` on; return the streams, (n, T, D)."""
        texts, length = tokens.shape
        stream = self._embedded(tokens, begin).flatten(0, 1)
        for layer in range(self.sizes[LAYERS]):
            matrix, norm = MATRICES * layer, NORMS * layer
            second = self._normed(norm + BEFORE_GATES, stream) if self.sizes[PARALLEL] else None
            inputs = self._normed(norm + BEFORE_HEADS, stream)
            wide = self.multiply(matrix + QKV, *inputs, INNER_BITS, INNER_LIMIT)
            heads = self._attended(cache, layer, wide.unflatten(0, (texts, length)), begin).flatten(0, 1)
            inputs, shifts = quantised(heads, INPUT_BITS, -62)
            stream = self.multiply(matrix + OUT, inputs, HEAD_BITS - shifts, STREAM_BITS, STREAM_LIMIT, stream)
            if second is None:
                second = self._normed(norm + BEFORE_GATES, stream)
            wide = self.multiply(matrix + UP, *second, INNER_BITS, INNER_LIMIT)
            inputs, shifts = self._activated(wide)
            stream = self.multiply(matrix + DOWN, inputs, shifts, STREAM_BITS, STREAM_LIMIT, stream)
        return stream.unflatten(0, (texts, length))

    def logits(self, streams: Tensor) -> Tensor:
        """Return the logits after ``streams`` (n, D), exponents of two in Q16: int64 (n, V)."""
        last = len(self._matrices) - 1
        inputs = self._normed(NORMS * (last // MATRICES), streams)
        return self.multiply(last, *inputs, INNER_BITS, INNER_LIMIT)

    def _activated(self, wide: Tensor) -> tuple[Tensor, Tensor]:
        """Return the activations of ``wide`` (n, F or 2 F) as a product's inputs and their fractional bits."""
        size = self.sizes[FEED_FORWARD]
        row = gated(wide[:, :size], self._table)
        bits = INNER_BITS
        if self.sizes[GATED]:
            row, bits = row * wide[:, size:], 2 * INNER_BITS
        inputs, shifts = quantised(row, INPUT_BITS, -62)
        return inputs, bits - shifts

    def _prepared(self, heads: Tensor, number: int, begin: int) -> Tensor:
        """Norm by head norm ``number``, and rotate, heads of queries or keys (n, T, H, d)."""
        if self.sizes[HEAD_NORMS]:
            bits = self._head_gain_bits[number]
            zeros = torch.zeros_like(self._head_gains[number])
            heads = normalised(heads, self._head_gains[number], zeros, bits, self._epsilon, INNER_BITS, False)
            heads = shifted(heads, torch.tensor(GAIN_BITS + bits - INNER_BITS, device=self.device), INNER_LIMIT)
        if self.sizes[ROTATED]:
            heads = rotated(heads, self._turned[begin : begin + heads.shape[1]])
        return heads

    def _attended(self, cache: TorchCache, layer: int, wide: Tensor, begin: int) -> Tensor:
        """Return the attention's results, Q24 (n, T, H d); the keys and values of ``wide`` go into the cache."""
        heads, groups, size = (self.sizes[k] for k in (HEADS, GROUPS, HEAD))
        inner, shared = heads * size, groups * size
        texts, length = wide.shape[:2]
        end = begin + length
        queries = self._prepared(wide[..., :inner].unflatten(-1, (heads, size)), 2 * layer, begin)
        keys = self._prepared(wide[..., inner : inner + shared].unflatten(-1, (groups, size)), 2 * layer + 1, begin)
        values = wide[..., inner + shared :].unflatten(-1, (groups, size))
        for numbers, kept, shifts in (
            (keys, cache.keys, cache.key_shifts),
            (values, cache.values, cache.value_shifts),
        ):
            found, by = quantised(numbers, CACHE_BITS, 0)
            kept[layer, :, :, begin:end] = found.transpose(1, 2).short()
            shifts[layer, :, :, begin:end] = by.squeeze(-1).transpose(1, 2).int()
        scaled = (queries * self._score_factor + (1 << 29)) >> 30
        query, query_shifts = quantised(scaled, self.sizes[QUERY_BITS], 0)
        # (n, G, H / G, T, ...): heads of a group are neighbours
        query = query.transpose(1, 2).unflatten(1, (groups, -1))
        query_shifts = query_shifts.transpose(1, 2).unflatten(1, (groups, -1))
        past = [part[layer, :, :, :end] for part in cache]
        step = max(1, _MOST_NUMBERS // (texts * heads * end))
        parts = []
        for first in range(0, length, step):
            last = min(length, first + step)
            places = torch.arange(begin + first, begin + last, device=self.device)
            parts.append(_attend(query[..., first:last, :], query_shifts[..., first:last, :], past, places))
        found = torch.cat(parts, -2)  # (n, G, H / G, T, d)
        return found.flatten(1, 2).transpose(1, 2).flatten(2)


def _attend(queries: Tensor, query_shifts: Tensor, past: list[Tensor], places: Tensor) -> Tensor:
    """Return the attention of ``queries`` (n, G, h, T, d) at ``places`` (T,), Q24, as the kernels' ``attend``."""
    keys, key_shifts, values, value_shifts = past
    end = keys.shape[2]
    is_seen = torch.arange(end, device=places.device) <= places[:, None]  # (T, C)
    # queries have at most 15 bits and keys 11: sums are below 2^31
    sums = (queries.double() @ keys.double().transpose(-1, -2)[:, :, None]).long()
    shifts = key_shifts.long()[:, :, None, None]
    down = EXTRA - (query_shifts - INNER_BITS)
    scores = ((sums << (shifts + EXTRA)) + ((torch.ones_like(down) << down) >> 1)) >> down
    scores = torch.where(is_seen, scores.clamp(-SCORE_LIMIT, SCORE_LIMIT), -SCORE_LIMIT)
    below = scores - scores.amax(-1, keepdim=True)
    whole = (below >> 16).clamp(min=LEAST_POWER)
    mantissas = torch.where(is_seen, powers_of_two((below & 0xFFFF) >> 1), 0)
    denominators = (mantissas >> (-whole).clamp(max=31)).sum(-1, keepdim=True)
    grades = whole + value_shifts.long()[:, :, None, None]
    top = torch.where(is_seen, grades, LEAST_POWER).amax(-1, keepdim=True)
    shares = ((mantissas >> (30 - SHARE_BITS + top - grades).clamp(0, 31)) + 1) >> 1
    shares = shares.clamp(max=(1 << SHARE_BITS) - 1)
    # shares have 15 bits and values 11: sums over 2^20 positions are below 2^46
    added = (shares.double() @ values.double()[:, :, None]).long()
    cut = (peak_bits(added) - SUM_BITS).clamp(min=0)
    reciprocals = torch.full_like(denominators, 1 << DENOMINATOR_BITS).div(denominators, rounding_mode="floor")
    return shifted((added >> cut) * reciprocals, DENOMINATOR_BITS - HEAD_BITS - cut - top, STREAM_LIMIT)


def _products(weights: Tensor, inputs: Tensor, carrier: torch.dtype) -> Tensor:
    """Return ``inputs`` (n, K), within 2^15, times ``weights`` (outputs, K) int8: int64 (n, outputs), below 2^37."""
    if carrier == torch.float64:
        return (inputs.double() @ weights.double().T).long()
    if torch.get_float32_matmul_precision() != "highest":
        raise RuntimeError("float32 products must not be TF32's here: torch.set_float32_matmul_precision('highest')")
    totals = torch.zeros((len(inputs), len(weights)), dtype=torch.int64, device=inputs.device)
    for first in range(0, inputs.shape[1], SPAN):
        part, matrix = inputs[:, first : first + SPAN], weights[:, first : first + SPAN].float().T
        high, low = part >> 8, part & 255
        totals += ((high.float() @ matrix).long() << 8) + (low.float() @ matrix).long()
    return totals


def _carrier(device: torch.device) -> str:
    """Return the type in which products are computed on ``device``."""
    if device.type != "cuda" or torch.cuda.get_device_capability(device) in _FAST_DOUBLES:
        return "float64"
    return "float32"


def token_weights(logits: Tensor, is_after_escape: Tensor, escapes: tuple[int, int], kinds: int) -> Tensor:
    """Return the weights of ids and of ``kinds`` escapes, int64 (n, V + kinds), as ``fill_token_weights`` does.

    ``escapes`` are the weights of all escapes together, without and with an escape before them, in units of 2^-30.
    """
    powers = exponentials(logits)
    escaped = torch.where(is_after_escape, escapes[1], escapes[0])[:, None]
    factors = (((1 << 30) - escaped) << 30).div(powers.sum(-1, keepdim=True), rounding_mode="floor")
    own = escaped.div(kinds, rounding_mode="floor").expand(-1, kinds)
    return torch.cat([(powers * factors) >> 30, own], -1)


def intervals(weights: Tensor, symbols: Tensor, precision: int) -> Tensor:
    """Return the interval of each of ``symbols`` (n,) in the cdf of ``weights`` (n, A): int64 (n, 2)."""
    size = weights.shape[1]
    totals = weights.sum(-1)
    scales = torch.full_like(totals, ((1 << precision) - size) << (SCALE_BITS - precision)).div(
        totals, rounding_mode="floor"
    )
    is_below = torch.arange(size, device=weights.device) < symbols[:, None]
    below = torch.where(is_below, weights, 0).sum(-1)
    here = weights.gather(1, symbols[:, None])[:, 0]
    low = symbols + ((below * scales) >> (SCALE_BITS - precision))
    high = symbols + 1 + (((below + here) * scales) >> (SCALE_BITS - precision))
    return torch.stack([low, torch.where(symbols + 1 < size, high, 1 << precision)], -1)
