"""Integer networks from a float Transformer's tensors: rounded the same way everywhere, with every bound checked.

The tensors come from a :class:`Source` in rows, of which only a few at a time are held as floats. Rounding takes single
IEEE divisions and multiplications, whose results are the same on every machine.
"""

import dataclasses
import math
import zlib
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from gencomp.compiled.aligned import aligned_zeros
from gencomp.errors import GencompError
from gencomp.inference.products import Int16Array, Int32Array
from gencomp.inference.rows import (
    CACHE_BITS,
    EPSILON_BITS,
    GAIN_BITS,
    INNER_BITS,
    INPUT_BITS,
    MAX_EPSILON,
    MAX_NORM_BIAS,
    MAX_WIDTH,
    MULTIPLIER_BITS,
    STREAM_BITS,
    STREAM_LIMIT,
)
from gencomp.inference.tables import GATES, frequencies, gate_table, log2_e, rotations, score_factor
from gencomp.inference.tiles import BLOCK, Int64Array, pack_rows, packed_size, padded
from gencomp.inference.transformer import Network

FloatRows = npt.NDArray[np.float32]

MAX_INPUTS = 1 << 15  # of a matrix: with int8 and int16, sums stay below 2^37
MAX_HEAD = 512
MAX_LAYERS = 512
MAX_VOCABULARY = 1 << 20
_PIECE = 1 << 18  # numbers of a matrix that are floats at a time
_KEPT_ROWS = 1 << 12  # of an embedding
_ROW_BYTES, _SUM_BYTES = 256, 4  # of a kept row, beside its numbers; of the check of a row
_LOG2_E_BITS = 40
_LEAST_PEAK = np.float32(2.0**-100)


class TransformerError(GencompError):
    """A model that the integer kernels do not take, because of an option, a shape or a number."""

    exit_code = 4


class Source(Protocol):
    """A float model's tensors, by the names of :meth:`Form.expected`."""

    def rows(self, name: str, first: int, last: int) -> FloatRows:
        """Return rows [first, last) of a matrix (outputs, inputs), or these numbers of a vector, float32."""


@dataclasses.dataclass(frozen=True)
class Form:
    """The form of a decoder-only Transformer: all but its weights.

    Sizes are ``width`` D, ``layers`` L, ``heads`` H of ``head_size`` d, ``groups`` G of heads that share keys and
    values, ``feed_forward`` F, and ``vocabulary`` V. ``activation`` is one of
    :data:`~gencomp.inference.tables.GATES`; if ``gated``, a second matrix multiplies it. Norms are ``centred``
    (LayerNorm) or not (RMSNorm), with ``epsilon``. ``rotated`` numbers of each head rotate with the position, by
    frequencies of ``base``, divided by ``factors``. ``learned`` is the number of positions with embeddings. With
    ``parallel``, both branches of a layer read the same stream; with ``tied``, the output's matrix is the embedding;
    with ``head_norms``, queries and keys are normed. ``biases`` are the kinds of matrices that have biases.

    Raises :class:`TransformerError` on sizes beyond the kernels' bounds.
    """

    width: int
    layers: int
    heads: int
    groups: int
    head_size: int
    feed_forward: int
    vocabulary: int
    activation: str
    gated: bool
    centred: bool
    epsilon: float
    rotated: int
    base: float = 10000.0
    factors: tuple[float, ...] | None = None
    learned: int = 0
    parallel: bool = False
    tied: bool = False
    head_norms: bool = False
    biases: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        limits = {
            "width": MAX_WIDTH,
            "layers": MAX_LAYERS,
            "heads": MAX_INPUTS,
            "groups": MAX_INPUTS,
            "head_size": MAX_HEAD,
            "feed_forward": MAX_INPUTS,
            "vocabulary": MAX_VOCABULARY,
        }
        for name, limit in limits.items():
            size = getattr(self, name)
            if type(size) is not int or not 1 <= size <= limit:
                raise TransformerError(f"its {name} is {size!r}, expected 1 to {limit:,}")
        if self.width < 2 or self.heads % self.groups or self.head_size % 2 or self.heads * self.head_size > MAX_INPUTS:
            raise TransformerError(
                f"it has {self.heads} heads of {self.head_size} numbers in {self.groups} groups, expected heads that "
                f"divide into groups, an even size, and at most {MAX_INPUTS:,} numbers"
            )
        if not 0 <= self.rotated <= self.head_size or self.rotated % 2:
            raise TransformerError(
                f"{self.rotated} of {self.head_size} numbers of a head rotate, expected an even number of them"
            )
        if self.activation not in GATES:
            raise TransformerError(f"its activation is {self.activation!r}, expected one of {', '.join(GATES)}")
        for name, value, least, most in (
            ("epsilon", self.epsilon, 0.0, MAX_EPSILON / (1 << EPSILON_BITS)),
            ("base of rotations", self.base, 1.0, 1e12),
        ):
            if not (isinstance(value, float) and least <= value <= most):
                raise TransformerError(f"its {name} is {value!r}, expected {least:g} to {most:.4g}")
        if self.factors is not None and (
            len(self.factors) != self.rotated // 2 or not all(2**-20 <= factor <= 2**20 for factor in self.factors)
        ):
            raise TransformerError("its factors of frequencies must be one for each pair, from 2^-20 to 2^20")

    def matrices(self) -> dict[str, tuple[tuple[str, ...], int, int]]:
        """Return the parts, outputs and inputs of each of the kernels' matrices, in order."""
        inner = self.heads * self.head_size
        shared = self.groups * self.head_size
        found: dict[str, tuple[tuple[str, ...], int, int]] = {}
        for layer in range(self.layers):
            at = f"layers.{layer}."
            found[f"{at}qkv"] = ((f"{at}q", f"{at}k", f"{at}v"), inner + 2 * shared, self.width)
            found[f"{at}o"] = ((f"{at}o",), self.width, inner)
            parts = (f"{at}gate", f"{at}up") if self.gated else (f"{at}up",)
            found[f"{at}up"] = (parts, self.feed_forward * len(parts), self.width)
            found[f"{at}down"] = ((f"{at}down",), self.width, self.feed_forward)
        found["head"] = (("embedding" if self.tied else "head",), self.vocabulary, self.width)
        return found

    def outputs_of(self, part: str) -> int:
        """Return how many outputs the part of a matrix has that is called ``part``."""
        kind = part.rpartition(".")[2]
        inner, shared = self.heads * self.head_size, self.groups * self.head_size
        sizes = {"q": inner, "k": shared, "v": shared, "gate": self.feed_forward, "up": self.feed_forward}
        return sizes.get(kind, self.vocabulary if kind in ("embedding", "head") else self.width)

    def expected(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each tensor that the model has, by its name."""
        shapes: dict[str, tuple[int, ...]] = {"embedding": (self.vocabulary, self.width), "norm": (self.width,)}
        for parts, _, inputs in self.matrices().values():
            for part in parts:
                shapes[part] = (self.outputs_of(part), inputs)
                if part.rpartition(".")[2] in self.biases:
                    shapes[f"{part}.bias"] = (self.outputs_of(part),)
        for layer in range(self.layers):
            for norm in ("norm1", "norm2"):
                shapes[f"layers.{layer}.{norm}"] = (self.width,)
            if self.head_norms:
                for norm in ("q_norm", "k_norm"):
                    shapes[f"layers.{layer}.{norm}"] = (self.head_size,)
        if self.centred:
            norms = [name for name in shapes if name == "norm" or name.endswith(("norm1", "norm2"))]
            shapes |= {f"{name}.bias": (self.width,) for name in norms}
        if self.learned:
            shapes["positions"] = (self.learned, self.width)
        return shapes

    @property
    def query_bits(self) -> int:
        """How many bits queries may have so that their products with keys sum to less than 2^31."""
        limit = ((1 << 31) - 1) // (((1 << CACHE_BITS) - 1) * self.head_size)
        return min(INPUT_BITS, (limit + 1).bit_length() - 1)

    @property
    def weight_count(self) -> int:
        """How many weights the padded matrices have: the bytes that a step reads."""
        return sum(packed_size(outputs, inputs) for _, outputs, inputs in self.matrices().values())

    def network_bytes(self, positions: int) -> int:
        """Return what the network and the rows of its embedding that are kept take, in bytes."""
        rows = min(self.vocabulary, _KEPT_ROWS) * (2 * self.width + _ROW_BYTES) + _SUM_BYTES * self.vocabulary
        tables = 2 * self.learned * self.width + 4 * positions * self.rotated
        return self.weight_count + rows + tables + 12 * sum(outputs for _, outputs, _ in self.matrices().values())

    def position_bytes(self) -> int:
        """Return what the cache takes for each position of a lane, in bytes."""
        return self.layers * self.groups * (2 * (self.head_size + padded(self.head_size, 16)) + 8)


def _checked(source: Source, name: str, first: int, last: int) -> FloatRows:
    """Return rows of a tensor; raise :class:`TransformerError` on a number that is not finite."""
    found = np.ascontiguousarray(source.rows(name, first, last), dtype=np.float32)
    if not np.isfinite(np.abs(found).max(initial=0.0)):  # max returns NaN if there is one
        raise TransformerError(f"the model's tensor {name} has numbers that are not finite; the file is damaged")
    return found


def _exponent(peak: float) -> int:
    """Return e with 2^(e - 1) <= peak < 2^e; 0 for 0."""
    return math.frexp(peak)[1] if peak > 0.0 else 0


def _filled(scales: npt.NDArray[np.float64], bits: int, most: int) -> tuple[npt.NDArray[np.int64], int]:
    """Return ``scales`` in fixed point, int64 below 2^``bits``, and their fractional bits, at most ``most``."""
    fraction = min(most, bits - _exponent(float(np.abs(scales).max(initial=0.0))))
    limit = (1 << bits) - 1
    return np.clip(np.rint(np.ldexp(scales, fraction)), -limit, limit).astype(np.int64), fraction


class Embedding:
    """An embedding (count, width) in int16 with ``bits`` fractional bits: rows are made when a token asks for them.

    A text has few of a vocabulary's tokens, so the source is read again for each row, and the latest are kept. A check
    of each row, taken when all of them were read, says that the source is still the same. ``made`` counts rows.
    """

    def __init__(self, source: Source, name: str, count: int, width: int) -> None:
        self._source, self._name, self._shape = source, name, (count, width)
        self._sums = np.zeros(count, dtype=np.uint32)
        self._kept: dict[int, Int16Array] = {}
        self.made = 0
        peak = 0.0
        for first, last in self._pieces():
            piece = _checked(source, name, first, last)
            peak = max(peak, float(np.abs(piece).max()))
            self._sums[first:last] = [zlib.crc32(row) for row in piece]
        self.bits = INPUT_BITS - _exponent(peak)

    def _pieces(self) -> Iterator[tuple[int, int]]:
        count, width = self._shape
        step = max(1, _PIECE // width)
        for first in range(0, count, step):
            yield first, min(count, first + step)

    def rows(self, tokens: Int64Array) -> Int16Array:
        """Return the rows of ``tokens`` (n,), int16 (n, width).

        Raises :class:`TransformerError` where the source has changed.
        """
        found = np.empty((len(tokens), self._shape[1]), dtype=np.int16)
        for place, token in enumerate(tokens.tolist()):
            row = self._kept.get(token)
            if row is None:
                row = self._made(token, token + 1)[0]
                if len(self._kept) >= _KEPT_ROWS:
                    self._kept.clear()
                self._kept[token] = row
                self.made += 1
            found[place] = row
        return found

    def table(self) -> Int16Array:
        """Return all rows."""
        found = np.empty(self._shape, dtype=np.int16)
        for first, last in self._pieces():
            found[first:last] = self._made(first, last)
        return found

    def _made(self, first: int, last: int) -> Int16Array:
        numbers = _checked(self._source, self._name, first, last)
        if any(zlib.crc32(row) != check for row, check in zip(numbers, self._sums[first:last], strict=True)):
            raise TransformerError(
                f"its tensor {self._name} is not what it was when it was first read; "
                "leave a model's file as it is while it is in use"
            )
        limit = (1 << INPUT_BITS) - 1
        return np.clip(np.rint(np.ldexp(numbers, self.bits)), -limit, limit).astype(np.int16)


def _bias(source: Source, name: str, size: int, bits: int, limit: int) -> Int64Array:
    found = np.rint(np.ldexp(_checked(source, name, 0, size).astype(np.float64), bits))
    if np.abs(found).max() > limit:
        raise TransformerError(
            f"the model's tensor {name} reaches {float(np.abs(found).max()) * 2.0**-bits:.3g}, beyond the kernels"
        )
    return found.astype(np.int64)


def new_network(form: Form, source: Source, positions: int) -> Network:
    """Return the network of a model for up to ``positions`` positions.

    Raises :class:`TransformerError` where a number is not finite or beyond the kernels' bounds.
    """
    network, embedding = lean_network(form, source, positions)
    return network._replace(embedding=embedding.table())


def lean_network(form: Form, source: Source, positions: int) -> tuple[Network, Embedding]:
    """Return a network without rows of its embedding, which are read from the source while it is used, and these.

    Raises what :func:`new_network` does.
    """
    if form.learned and positions > form.learned:
        raise TransformerError(f"it has {form.learned} positions, {positions} are asked for")
    matrices = form.matrices()
    weights = aligned_zeros(form.weight_count).view(np.int8)
    numbers = sum(outputs for _, outputs, _ in matrices.values())
    multipliers, biases = np.zeros(numbers, dtype=np.int32), np.zeros(numbers, dtype=np.int64)
    matrix_places, at, number = [], 0, 0
    for name, (parts, outputs, inputs) in matrices.items():
        scales = np.zeros(outputs, dtype=np.float64)
        size = packed_size(outputs, inputs)
        _pack(form, source, parts, outputs, inputs, weights[at : at + size], scales)
        if name == "head":
            scales = scales * (log2_e(_LOG2_E_BITS) / (1 << _LOG2_E_BITS))
        found, bits = _filled(scales, MULTIPLIER_BITS, 200)
        multipliers[number : number + outputs] = found
        target = STREAM_BITS if name.endswith((".o", ".down")) else INNER_BITS
        row = number
        for part in parts:
            rows = form.outputs_of(part)
            if part.rpartition(".")[2] in form.biases:
                if name == "head":
                    raise TransformerError("its output has biases, which the kernels do not take")
                biases[row : row + rows] = _bias(source, f"{part}.bias", rows, target, STREAM_LIMIT)
            row += rows
        matrix_places.append((at, number, outputs, inputs, bits))
        at += size
        number += outputs
    gains, norm_biases, gain_bits = _norms(form, source)
    head_gains, head_bits = _head_norms(form, source)
    embedding = Embedding(source, "embedding", form.vocabulary, form.width)
    learned, learned_bits = np.zeros((0, form.width), dtype=np.int16), 0
    if form.learned:
        places = Embedding(source, "positions", positions, form.width)
        learned, learned_bits = places.table(), places.bits
    sizes = (form.width, form.layers, form.heads, form.groups, form.head_size, form.feed_forward, form.vocabulary)
    kinds = (form.rotated, form.centred, form.gated, form.parallel, form.head_norms, form.query_bits)
    turning = frequencies(form.base, form.rotated, form.factors) if form.rotated else []
    network = Network(
        sizes=np.array([*sizes, *map(int, kinds)], dtype=np.int64),
        weights=weights,
        matrices=np.array(matrix_places, dtype=np.int64),
        multipliers=multipliers,
        biases=biases,
        gains=gains,
        norm_biases=norm_biases,
        gain_bits=gain_bits,
        head_gains=head_gains,
        head_gain_bits=head_bits,
        zeros=np.zeros(form.head_size, dtype=np.int64),
        epsilon=np.array([int(np.rint(np.ldexp(form.epsilon, EPSILON_BITS)))], dtype=np.int64),
        embedding=np.zeros((0, form.width), dtype=np.int16),
        positions=learned,
        embedding_bits=np.array([embedding.bits, learned_bits], dtype=np.int64),
        table=gate_table(form.activation),
        turned=rotations(turning, positions),
        score_factor=np.array([score_factor(form.head_size)], dtype=np.int64),
    )
    return network, embedding


def _pack(
    form: Form,
    source: Source,
    parts: Sequence[str],
    outputs: int,
    inputs: int,
    packed: npt.NDArray[np.int8],
    scales: npt.NDArray[np.float64],
) -> None:
    """Write a matrix in int8 into ``packed``, and the scale of each output's weights into ``scales`` (outputs,)."""
    held = np.zeros((0, inputs), dtype=np.int8)  # rows that do not fill a block yet
    done = row = 0
    step = max(BLOCK, _PIECE // inputs)
    for part in parts:
        rows = form.outputs_of(part)
        for first in range(0, rows, step):
            piece = _checked(source, part, first, min(rows, first + step))
            peaks = np.abs(piece).max(axis=1)
            is_some = peaks > _LEAST_PEAK  # other rows count as zeros
            steps = np.where(is_some, peaks, np.float32(np.inf)) / np.float32(127)
            scales[row : row + len(piece)] = np.where(is_some, steps, np.float32(0))
            row += len(piece)
            held = np.concatenate([held, np.rint(piece / steps[:, None]).astype(np.int8)])
            whole = len(held) if row == outputs else (len(held) // BLOCK) * BLOCK
            pack_rows(held[:whole], packed, done, outputs)
            done += whole
            held = held[whole:]


def _norms(form: Form, source: Source) -> tuple[Int32Array, Int64Array, Int64Array]:
    names = [f"layers.{layer}.norm{k}" for layer in range(form.layers) for k in (1, 2)] + ["norm"]
    gains = np.zeros((len(names), form.width), dtype=np.int32)
    biases = np.zeros((len(names), form.width), dtype=np.int64)
    bits = np.zeros(len(names), dtype=np.int64)
    for k, name in enumerate(names):
        found = _checked(source, name, 0, form.width).astype(np.float64)
        gains[k], bits[k] = _filled(found, GAIN_BITS, GAIN_BITS)
        if form.centred:
            biases[k] = _bias(source, f"{name}.bias", form.width, GAIN_BITS + int(bits[k]), MAX_NORM_BIAS)
    return gains, biases, bits


def _head_norms(form: Form, source: Source) -> tuple[Int32Array, Int64Array]:
    if not form.head_norms:
        return np.zeros((0, form.head_size), dtype=np.int32), np.zeros(0, dtype=np.int64)
    gains = np.zeros((2 * form.layers, form.head_size), dtype=np.int32)
    bits = np.zeros(2 * form.layers, dtype=np.int64)
    for layer in range(form.layers):
        for k, name in enumerate(("q_norm", "k_norm")):
            found = _checked(source, f"layers.{layer}.{name}", 0, form.head_size).astype(np.float64)
            gains[2 * layer + k], bits[2 * layer + k] = _filled(found, GAIN_BITS, GAIN_BITS)
    return gains, bits
