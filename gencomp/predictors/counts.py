"""Adaptive order-k counts of bytes, blended from the longest context down, in integers.

The model is a trie of the contexts seen: a string's node counts how often the string's last byte followed the rest.
After a context of length k, a byte with count c out of n has the probability of interpolated Kneser-Ney smoothing
(Chen and Goodman 1999, sections 2.7 and 4.1),

    p_k(byte) = (c - discount(c)) / n  +  (sum of the discounts / n) * p_{k-1}(byte)          p_{-1} = 1/256

The discounts are the escape mass, of which every byte gets a share at every order, so no probability is 0. They were
chosen, in sixteenths, on the first 10^6 bytes of enwik8. Counts are updated from the longest context down to the first
in which the byte is not new ("update exclusion", Moffat 1990). So a lower order counts in how many longer contexts a
byte appeared: these are Kneser and Ney's continuation counts.
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
    cdf_from_weights,
    code_lengths_of_cdf,
    default_precision,
    interval_of_weights,
    symbol_of_weights,
)
from gencomp.compiled import Integer, lean_kernel
from gencomp.protocols import FloatArray, IntArray

MAX_ORDER = 16
ALPHABET_SIZE = 256
PRECISION = default_precision(ALPHABET_SIZE)
MASS = (1 << 32) - ALPHABET_SIZE  # the weights' sum, before each gets 1 more
COUNT_UNIT = 16  # parts of an occurrence
# discounts of the counts 1, 2 and above, in these parts; none exceeds its count's own 16, 32, 48, ... parts
DISCOUNT_1, DISCOUNT_2, DISCOUNT_3 = 13, 16, 18

# a node is a row of int32; row 0 is the root, the empty context, so 0 means "none" in CHILD and NEXT
SYMBOL, COUNT, NEXT, CHILD, TOTAL = range(5)
NODE_FIELDS = 5
MAX_NODES = (1 << 31) - 1

# cache misses: seconds that they add to a byte, once the model has read COLD_SIZE bytes
COLD_SECONDS, COLD_SIZE = 1.5e-4, 1 << 17

# the model's cursor: number of nodes, length of the context so far, then the node of each order's context
USED, DEPTH, CONTEXTS = range(3)

NodeArray = npt.NDArray[np.int32]


class Tree(NamedTuple):
    """The model after a context."""

    nodes: NodeArray  # (n, NODE_FIELDS)
    cursor: IntArray  # (CONTEXTS + max_order + 1,)
    max_order: Integer
    weights: IntArray  # (ALPHABET_SIZE,) scratch


@lean_kernel
def _predict(tree: Tree) -> None:
    """Write the blend of the cursor's contexts into the weights: each is at least 1, and their sum at most 2^32.

    ``mass`` is what this order and those below share, MASS at first. An order takes at most total * COUNT_UNIT * unit
    of it, which is no more than there is, since discounts only take away. What is left is spread over all bytes, at
    most mass / ALPHABET_SIZE + 1 each: the sum is at most MASS + ALPHABET_SIZE.
    """
    nodes, cursor, weights = tree.nodes, tree.cursor, tree.weights
    weights[:] = 0
    mass: Integer = MASS
    for order in range(cursor[DEPTH], -1, -1):
        node = cursor[CONTEXTS + order]
        total = np.int64(nodes[node, TOTAL])
        if total == 0:
            continue
        unit = mass // (COUNT_UNIT * total)
        child = nodes[node, CHILD]
        while child != 0:
            count = np.int64(nodes[child, COUNT])
            discount = DISCOUNT_1 if count == 1 else DISCOUNT_2 if count == 2 else DISCOUNT_3
            share = (COUNT_UNIT * count - discount) * unit
            weights[nodes[child, SYMBOL]] += share
            mass -= share
            child = nodes[child, NEXT]
    floor = mass // ALPHABET_SIZE + 1
    for symbol in range(ALPHABET_SIZE):
        weights[symbol] += floor


@lean_kernel
def _update(tree: Tree, symbol: Integer) -> None:
    """Count ``symbol`` in the contexts, the longest first, and append it to each.

    A node's children are a list with the most recent first. There must be room for ``max_order`` + 1 more nodes.
    """
    nodes, cursor, max_order = tree.nodes, tree.cursor, tree.max_order
    depth = cursor[DEPTH]
    counted = False  # whether a longer context knew the symbol
    for order in range(depth, -1, -1):
        node = cursor[CONTEXTS + order]
        before = np.int32(0)
        child = nodes[node, CHILD]
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
            nodes[child, NEXT] = nodes[node, CHILD]
            nodes[node, CHILD] = child
        elif before != 0:
            nodes[before, NEXT] = nodes[child, NEXT]
            nodes[child, NEXT] = nodes[node, CHILD]
            nodes[node, CHILD] = child
        if new or not counted:
            nodes[child, COUNT] += 1
            nodes[node, TOTAL] += 1
        counted = counted or not new
        if order < max_order:
            cursor[CONTEXTS + order + 1] = child
    if depth < max_order:
        cursor[DEPTH] = depth + 1


@lean_kernel
def _interval(tree: Tree, symbol: Integer) -> tuple[Integer, Integer]:
    _predict(tree)
    return interval_of_weights(tree.weights, symbol, PRECISION)


@lean_kernel
def _symbol_at(tree: Tree, target: Integer) -> tuple[Integer, Integer, Integer]:
    _predict(tree)
    return symbol_of_weights(tree.weights, target, PRECISION)


LOOPS = make_loops(__name__, _interval, _symbol_at, _update, PRECISION)


def _checked_rows(count: int) -> int:
    """Return ``count``; raise ``MemoryError`` if links, which are int32, cannot number so many nodes."""
    if count > MAX_NODES:
        raise MemoryError(f"{count:,} nodes are needed, at most {MAX_NODES:,} can be: use a lower order or less data")
    return count


def _new_tree(order: int, symbols: int) -> Tree:
    """Return an empty model with room for ``symbols`` updates. Raises ``MemoryError``."""
    nodes = np.empty((_checked_rows(1 + symbols * (order + 1)), NODE_FIELDS), dtype=np.int32)
    nodes[0] = 0
    cursor = np.zeros(CONTEXTS + order + 1, dtype=np.int64)
    cursor[USED] = 1
    return Tree(nodes, cursor, order, np.empty(ALPHABET_SIZE, dtype=np.int64))


@dataclass(frozen=True)
class Counts:
    """Counts of bytes after contexts of up to ``order`` bytes, 0 to 16."""

    order: int = 6

    revision: ClassVar[int] = 1
    spec_argument: ClassVar[str] = "order"

    def __post_init__(self) -> None:
        if not 0 <= self.order <= MAX_ORDER:
            raise ValueError(f"order must be from 0 to {MAX_ORDER}, got {self.order}")

    @property
    def alphabet_size(self) -> int:
        return ALPHABET_SIZE

    def begin(self, context: Sequence[int] = ()) -> "CountsState":
        data = bytes(as_context(context))
        tree = _new_tree(self.order, len(data) + 16)
        LOOPS.observe(data, tree)
        return CountsState(tree)

    def _step_seconds(self) -> float:
        """Return the seconds of a byte: each order may search 256 children, twice."""
        return 2e-6 + 1.5e-6 * (self.order + 1)

    def state_cost(self, size: int) -> StateCost:
        held = (size + 64) * (self.order + 1) * NODE_FIELDS * 4
        step = self._step_seconds() + COLD_SECONDS * min(1.0, size / COLD_SIZE)
        return StateCost(held, held, 1e-4 + size * step, 5e-4)

    def block_cost(self, size: int, coded: int) -> Cost:
        """Return what a block takes; at most ``coded`` of its bytes miss the caches, since predictable ones repeat."""
        nodes = (size + 1) * (self.order + 1) * NODE_FIELDS * 4
        cold = min(size, coded) * COLD_SECONDS * min(1.0, size / COLD_SIZE)
        return Cost(nodes + 6 * size, 1e-3 + size * self._step_seconds() + cold)

    def encode_block(self, data: bytes) -> bytes:
        data = as_bytes(data)
        return LOOPS.encode(data, _new_tree(self.order, len(data)))

    def decode_block(self, payload: bytes, size: int) -> bytes:
        return LOOPS.decode(payload, size, _new_tree(self.order, size))


class CountsState:
    """The trie after a context, and the node of each order's context."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def cdf(self) -> IntArray:
        _predict(self._tree)
        return cdf_from_weights(self._tree.weights, PRECISION)

    def code_lengths(self) -> FloatArray:
        return code_lengths_of_cdf(self.cdf())

    def update(self, symbol: int) -> None:
        symbol = as_symbol(symbol)
        self._reserve(1)
        _update(self._tree, symbol)

    def charge(self, data: bytes) -> FloatArray:
        data = as_bytes(data)
        self._reserve(len(data))
        return LOOPS.charge(data, self._tree)

    def _reserve(self, symbols: int) -> None:
        """Make room for the nodes that ``symbols`` updates may add."""
        tree = self._tree
        used = int(tree.cursor[USED])
        needed = symbols * (tree.max_order + 1)
        if used + needed > len(tree.nodes):
            rows = _checked_rows(2 * used + needed + 64)
            more = np.empty((rows - used, NODE_FIELDS), dtype=np.int32)
            self._tree = tree._replace(nodes=np.concatenate([tree.nodes[:used], more]))

    def copy(self) -> Self:
        nodes, cursor, max_order, weights = self._tree
        return type(self)(Tree(nodes[: int(cursor[USED]) + 64].copy(), cursor.copy(), max_order, weights.copy()))
