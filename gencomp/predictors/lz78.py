"""LZ78 as a sequential predictor: counts along its own parse, in integers.

The tree is that of Ziv and Lempel (1978). It begins as a root; each phrase walks from the root as far as the tree
goes, and adds one node where it leaves the tree. A node counts how often each byte followed there, and the next byte's
probability is (Feder 1991; Sagan and Weissman 2024, "A Family of LZ78-based Universal Sequential Probability
Assignments")

    p(byte | node) = (count(byte) + gamma) / (sum of counts + 256 gamma)

A new node says 1/256 of each byte. Each phrase pays for that once, as LZ78 pays for its new symbol. As in LZ78, the
end of a phrase forgets the context.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from gencomp.arguments import as_bytes, as_context, as_symbol
from gencomp.budget import Cost, StateCost
from gencomp.coding.block import make_loops
from gencomp.coding.quantize import (
    bound_of,
    cdf_from_weights,
    code_lengths_of_cdf,
    default_precision,
    scale_of,
    symbol_of_weights,
)
from gencomp.compiled import Integer, lean_kernel
from gencomp.protocols import FloatArray, IntArray

ALPHABET_SIZE = 256
PRECISION = default_precision(ALPHABET_SIZE)
COUNT_UNIT = 256  # parts of one occurrence, in which gamma is given
MAX_GAMMA = 4096
MAX_COUNT = 1 << 30  # a node whose counts sum to this much halves them, so its weights sum to less than 2^40

# a node is a row of int32; row 0 is the root, so 0 means "none" in CHILD and NEXT
SYMBOL, COUNT, NEXT, CHILD, TOTAL = range(5)
NODE_FIELDS = 5
# the cursor: number of nodes, the node of the phrase so far
USED, HERE = range(2)

NodeArray = npt.NDArray[np.int32]


class Tree(NamedTuple):
    """The model after a context."""

    nodes: NodeArray  # (n, NODE_FIELDS)
    cursor: IntArray  # (2,)
    gamma: Integer
    weights: IntArray  # (ALPHABET_SIZE,) scratch


@lean_kernel
def _predict(tree: Tree) -> None:
    """Write the weights of the next byte after the phrase so far; each is at least ``gamma``.

    Their sum is COUNT_UNIT * total + ALPHABET_SIZE * gamma, at most 2^38 + 2^20, since the node's total is below
    MAX_COUNT.
    """
    nodes, cursor, weights = tree.nodes, tree.cursor, tree.weights
    weights[:] = tree.gamma
    child = nodes[cursor[HERE], CHILD]
    while child != 0:
        weights[nodes[child, SYMBOL]] += COUNT_UNIT * np.int64(nodes[child, COUNT])
        child = nodes[child, NEXT]


@lean_kernel
def _interval(tree: Tree, symbol: Integer) -> tuple[Integer, Integer]:
    """Return (cdf[symbol], cdf[symbol + 1]) after the phrase so far; only bytes that have followed it are visited."""
    nodes, gamma, here = tree.nodes, tree.gamma, tree.cursor[HERE]
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
def _update(tree: Tree, symbol: Integer) -> None:
    """Count ``symbol`` here and walk on; a byte that is new here becomes a node and ends the phrase.

    A node's children are a list with the most recent first. There must be room for one more node.
    """
    nodes, cursor = tree.nodes, tree.cursor
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
def _symbol_at(tree: Tree, target: Integer) -> tuple[Integer, Integer, Integer]:
    _predict(tree)
    return symbol_of_weights(tree.weights, target, PRECISION)


LOOPS = make_loops(__name__, _interval, _symbol_at, _update, PRECISION)


def _new_tree(gamma: int, symbols: int) -> Tree:
    """Return a root, with room for ``symbols`` updates."""
    nodes = np.empty((1 + symbols, NODE_FIELDS), dtype=np.int32)
    nodes[0] = 0
    return Tree(nodes, np.array([1, 0], dtype=np.int64), gamma, np.empty(ALPHABET_SIZE, dtype=np.int64))


_BYTE_SECONDS = 3e-5  # seconds a byte, on a slow machine


@dataclass(frozen=True)
class Lz78:
    """The sequential probability assignment over LZ78's tree.

    ``gamma``, 1 to 4096, is each byte's count before it occurs, in 256ths of an occurrence: 128 is the 1/2 of
    Krichevsky and Trofimov. The default is the best power of two on the first 10^6 bytes of enwik8.
    """

    gamma: int = 2

    revision: ClassVar[int] = 1
    spec_argument: ClassVar[str] = "gamma"

    def __post_init__(self) -> None:
        if not 1 <= self.gamma <= MAX_GAMMA:
            raise ValueError(f"gamma must be from 1 to {MAX_GAMMA} (256ths of an occurrence), got {self.gamma}")

    @property
    def alphabet_size(self) -> int:
        return ALPHABET_SIZE

    def state_cost(self, size: int) -> StateCost:
        """Return what a state takes: at most one node a byte."""
        held = 4 * NODE_FIELDS * (2 * size + 64)
        return StateCost(held, held, 1e-4 + size * _BYTE_SECONDS, 5e-4)

    def block_cost(self, size: int, coded: int) -> Cost:
        """Return what a block takes."""
        return Cost(4 * NODE_FIELDS * (size + 64) + 6 * size + coded, 1e-3 + size * _BYTE_SECONDS)

    def begin(self, context: Sequence[int] = ()) -> "Lz78State":
        data = bytes(as_context(context))
        tree = _new_tree(self.gamma, len(data) + 16)
        LOOPS.observe(data, tree)
        return Lz78State(tree)

    def encode_block(self, data: bytes) -> bytes:
        data = as_bytes(data)
        return LOOPS.encode(data, _new_tree(self.gamma, len(data)))

    def decode_block(self, payload: bytes, size: int) -> bytes:
        return LOOPS.decode(payload, size, _new_tree(self.gamma, size))


class Lz78State:
    """The tree after a context, and the node of the phrase so far."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def cdf(self) -> IntArray:
        _predict(self._tree)
        return cdf_from_weights(self._tree.weights, PRECISION)

    def code_lengths(self) -> FloatArray:
        return code_lengths_of_cdf(self.cdf())

    def charge(self, data: bytes) -> FloatArray:
        data = as_bytes(data)
        self._reserve(len(data))
        return LOOPS.charge(data, self._tree)

    def update(self, symbol: int) -> None:
        symbol = as_symbol(symbol)
        self._reserve(1)
        _update(self._tree, symbol)

    def _reserve(self, symbols: int) -> None:
        """Make room for ``symbols`` more nodes."""
        tree = self._tree
        used = int(tree.cursor[USED])
        if used + symbols > len(tree.nodes):
            more = np.empty((symbols + used // 2 + 64, NODE_FIELDS), dtype=np.int32)
            self._tree = tree._replace(nodes=np.concatenate([tree.nodes[:used], more]))

    def copy(self) -> Self:
        nodes, cursor, gamma, weights = self._tree
        return type(self)(Tree(nodes[: int(cursor[USED]) + 16].copy(), cursor.copy(), gamma, weights.copy()))
