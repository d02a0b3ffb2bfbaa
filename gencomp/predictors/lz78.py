"""LZ78 as a sequential predictor: the counts along its own parsing, in integers.

The tree is that of Ziv and Lempel (1978): it begins as a root; each phrase of the data walks from the root as far as
the tree goes and adds one node where it leaves it. At each node stands how often each byte followed there, and the
next byte's probability is (Feder 1991; Sagan and Weissman 2024, "A Family of LZ78-based Universal Sequential
Probability Assignments")

    p(byte | node) = (count(byte) + gamma) / (sum of counts + 256 gamma)

A node that no byte has followed yet says 1/256: each phrase pays for that once, which is what LZ78 pays for its new
symbol. As in the code, a phrase's end forgets the context.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from gencomp.arguments import as_bytes, as_context, as_symbol
from gencomp.budget import Cost, StateCost
from gencomp.coding.quantize import (
    bound_of,
    cdf_from_weights,
    code_lengths_of_cdf,
    default_precision,
    scale_of,
    symbol_of_weights,
)
from gencomp.coding.range_coder import (
    MAX_BYTES_PER_SYMBOL,
    TOP,
    WINDOW_BYTES,
    corrupt_stream,
    decode_begin,
    decode_end,
    decode_step,
    decode_target,
    encode_end,
    encode_step,
)
from gencomp.compiled import Integer, lean_kernel
from gencomp.protocols import FloatArray, IntArray

ALPHABET_SIZE = 256
PRECISION = default_precision(ALPHABET_SIZE)
COUNT_UNIT = 256  # one occurrence; gamma is given in parts of it
MAX_COUNT = 1 << 30  # of a node: then all its counts are halved, so that weights stay below 2^40

# a node is a row of int32; 0 is the root, and stands for "none" in CHILD and NEXT
SYMBOL, COUNT, NEXT, CHILD, TOTAL = range(5)
NODE_FIELDS = 5
# the cursor: number of nodes, the node of the phrase so far
USED, HERE = range(2)

NodeArray = npt.NDArray[np.int32]
ByteArray = npt.NDArray[np.uint8]


@lean_kernel
def _fill_weights(nodes: NodeArray, cursor: IntArray, gamma: Integer, weights: IntArray) -> None:
    """Write the weights after the phrase so far, (256,) int64; their sum is at most 2^40."""
    weights[:] = gamma
    child = nodes[cursor[HERE], CHILD]
    while child != 0:
        weights[nodes[child, SYMBOL]] += COUNT_UNIT * np.int64(nodes[child, COUNT])
        child = nodes[child, NEXT]


@lean_kernel
def _interval(nodes: NodeArray, cursor: IntArray, gamma: Integer, symbol: Integer) -> tuple[Integer, Integer]:
    """Return (cdf[symbol], cdf[symbol + 1]) after the phrase so far, from the bytes that are in the tree alone."""
    here = cursor[HERE]
    below: Integer = gamma * symbol
    weight: Integer = gamma
    child = nodes[here, CHILD]
    while child != 0:
        other = nodes[child, SYMBOL]
        if other < symbol:
            below += COUNT_UNIT * np.int64(nodes[child, COUNT])
        elif other == symbol:
            weight += COUNT_UNIT * np.int64(nodes[child, COUNT])
        child = nodes[child, NEXT]
    scale = scale_of(COUNT_UNIT * np.int64(nodes[here, TOTAL]) + ALPHABET_SIZE * gamma, ALPHABET_SIZE, PRECISION)
    start = bound_of(symbol, below, scale, PRECISION)
    if symbol == ALPHABET_SIZE - 1:
        return start, 1 << PRECISION
    return start, bound_of(symbol + 1, below + weight, scale, PRECISION)


@lean_kernel
def _halve(nodes: NodeArray, node: Integer) -> None:
    total = np.int32(0)
    child = nodes[node, CHILD]
    while child != 0:
        nodes[child, COUNT] = (nodes[child, COUNT] + 1) >> 1
        total += nodes[child, COUNT]
        child = nodes[child, NEXT]
    nodes[node, TOTAL] = total


@lean_kernel
def _update(nodes: NodeArray, cursor: IntArray, symbol: Integer) -> None:
    """Count ``symbol`` here and walk on; a byte that is new here becomes a node and ends the phrase.

    Children are kept with the most recent first, where the next search starts. ``nodes`` must have room for one more.
    """
    here = cursor[HERE]
    before = np.int32(0)
    child = nodes[here, CHILD]
    while child != 0 and nodes[child, SYMBOL] != symbol:
        before = child
        child = nodes[child, NEXT]
    new = child == 0
    if new:
        child = np.int32(cursor[USED])
        cursor[USED] += 1
        nodes[child, SYMBOL] = symbol
        nodes[child, COUNT] = 0
        nodes[child, CHILD] = 0
        nodes[child, TOTAL] = 0
    elif before != 0:
        nodes[before, NEXT] = nodes[child, NEXT]
    if new or before != 0:
        nodes[child, NEXT] = nodes[here, CHILD]
        nodes[here, CHILD] = child
    nodes[child, COUNT] += 1
    nodes[here, TOTAL] += 1
    if nodes[here, TOTAL] >= MAX_COUNT:
        _halve(nodes, here)
    cursor[HERE] = 0 if new else child


@lean_kernel
def _observe(data: ByteArray, nodes: NodeArray, cursor: IntArray, gamma: Integer, shares: IntArray) -> None:
    """Read ``data``; write each byte's share of 2^precision into ``shares`` (n,) where that is not empty."""
    for index in range(data.shape[0]):
        if shares.shape[0]:
            start, stop = _interval(nodes, cursor, gamma, np.int64(data[index]))
            shares[index] = stop - start
        _update(nodes, cursor, data[index])


@lean_kernel
def _encode(data: ByteArray, nodes: NodeArray, cursor: IntArray, gamma: Integer, out: ByteArray) -> Integer:
    low, width, position = 0, TOP, 0
    for index in range(data.shape[0]):
        symbol = np.int64(data[index])
        start, stop = _interval(nodes, cursor, gamma, symbol)
        low, width, position = encode_step(low, width, out, position, start, stop, PRECISION)
        _update(nodes, cursor, symbol)
    return encode_end(low, width, out, position)[0]


@lean_kernel
def _decode(
    payload: ByteArray, nodes: NodeArray, cursor: IntArray, gamma: Integer, weights: IntArray, data: ByteArray
) -> bool:
    low, width, offset, position = decode_begin(payload)
    for index in range(data.shape[0]):
        _fill_weights(nodes, cursor, gamma, weights)
        symbol, start, stop = symbol_of_weights(weights, decode_target(width, offset, PRECISION), PRECISION)
        low, width, offset, position = decode_step(low, width, offset, position, payload, start, stop, PRECISION)
        if offset < 0:
            return False
        data[index] = symbol
        _update(nodes, cursor, symbol)
    return decode_end(low, width, offset, position, payload.shape[0])


def _new_tree(symbols: int) -> tuple[NodeArray, IntArray]:
    """Return (nodes, cursor) of a root, with room for ``symbols`` updates."""
    nodes = np.empty((1 + symbols, NODE_FIELDS), dtype=np.int32)
    nodes[0] = 0
    return nodes, np.array([1, 0], dtype=np.int64)


_BYTE_SECONDS = 3e-5  # of a byte, on a slow machine


@dataclass(frozen=True)
class Lz78:
    """The sequential probability assignment over LZ78's tree.

    ``gamma``, 1 to 4096, is what each byte has before it occurs, in 256ths of an occurrence: 128 is the 1/2 of
    Krichevsky and Trofimov. The default is the best of the powers of two on the first 10^6 bytes of enwik8.
    """

    gamma: int = 2

    revision: ClassVar[int] = 1
    spec_argument: ClassVar[str] = "gamma"

    def __post_init__(self) -> None:
        if not 1 <= self.gamma <= 4096:
            raise ValueError(f"gamma must be from 1 to 4096 (256ths of an occurrence), got {self.gamma}")

    @property
    def alphabet_size(self) -> int:
        return ALPHABET_SIZE

    def state_cost(self, size: int) -> StateCost:
        """Return what a state takes: a node for each byte at most."""
        held = 4 * NODE_FIELDS * (2 * size + 64)
        return StateCost(held, held, 1e-4 + size * _BYTE_SECONDS, 5e-4)

    def block_cost(self, size: int, coded: int) -> Cost:
        """Return what a block takes."""
        return Cost(4 * NODE_FIELDS * (size + 64) + 6 * size + coded, 1e-3 + size * _BYTE_SECONDS)

    def begin(self, context: Sequence[int] = ()) -> "Lz78State":
        data = np.frombuffer(bytes(as_context(context)), dtype=np.uint8)
        nodes, cursor = _new_tree(len(data) + 16)
        _observe(data, nodes, cursor, self.gamma, np.empty(0, dtype=np.int64))
        return Lz78State(self.gamma, nodes, cursor)

    def encode_block(self, data: bytes) -> bytes:
        data = as_bytes(data)
        nodes, cursor = _new_tree(len(data))
        out = np.empty(len(data) * MAX_BYTES_PER_SYMBOL + WINDOW_BYTES, dtype=np.uint8)
        size = _encode(np.frombuffer(data, dtype=np.uint8), nodes, cursor, self.gamma, out)
        return out[:size].tobytes()

    def decode_block(self, payload: bytes, size: int) -> bytes:
        payload = as_bytes(payload, "the code")
        nodes, cursor = _new_tree(size)
        weights = np.empty(ALPHABET_SIZE, dtype=np.int64)
        data = np.empty(size, dtype=np.uint8)
        if not _decode(np.frombuffer(payload, dtype=np.uint8), nodes, cursor, self.gamma, weights, data):
            raise corrupt_stream()
        return data.tobytes()


class Lz78State:
    """The tree after a context, and where the phrase so far stands in it."""

    def __init__(self, gamma: int, nodes: NodeArray, cursor: IntArray) -> None:
        self._gamma = gamma
        self._nodes = nodes
        self._cursor = cursor

    def cdf(self) -> IntArray:
        weights = np.empty(ALPHABET_SIZE, dtype=np.int64)
        _fill_weights(self._nodes, self._cursor, self._gamma, weights)
        return cdf_from_weights(weights, PRECISION)

    def code_lengths(self) -> FloatArray:
        return code_lengths_of_cdf(self.cdf())

    def charge(self, data: bytes) -> FloatArray:
        data = as_bytes(data)
        self._reserve(len(data))
        shares = np.empty(len(data), dtype=np.int64)
        _observe(np.frombuffer(data, dtype=np.uint8), self._nodes, self._cursor, self._gamma, shares)
        return np.asarray(PRECISION - np.log2(shares))

    def update(self, symbol: int) -> None:
        symbol = as_symbol(symbol)
        self._reserve(1)
        _update(self._nodes, self._cursor, symbol)

    def _reserve(self, symbols: int) -> None:
        """Make room for ``symbols`` more nodes."""
        used = int(self._cursor[USED])
        if used + symbols > len(self._nodes):
            more = np.empty((symbols + used // 2 + 64, NODE_FIELDS), dtype=np.int32)
            self._nodes = np.concatenate([self._nodes[:used], more])

    def copy(self) -> Self:
        used = int(self._cursor[USED])
        return type(self)(self._gamma, self._nodes[: used + 16].copy(), self._cursor.copy())
