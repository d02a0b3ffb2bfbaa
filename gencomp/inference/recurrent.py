"""A gated recurrent network over bytes, in integers: from the last byte to the probability of the next one's bits.

For each byte read:

1. one row of each embedding table (:mod:`gencomp.inference.contexts`) gives 4-bit numbers with a scale; the rows are
   concatenated and projected to the residual stream;
2. each layer adds to it twice: a gated recurrence over the normed stream, and a feed-forward part with squared ReLU.
   The input of each is a mixture of the normed stream now and at the byte before;
3. the head gives, for each of the 255 nodes of the binary tree over a byte's bits, most significant first, the
   log-odds of a 1. Only the nodes on a byte's path are computed.

:func:`step` reads a byte, :func:`logit` answers for a node; compiled loops call both. The functions of
:mod:`~gencomp.inference.arithmetic` and :mod:`~gencomp.inference.products` state why nothing overflows, whatever the
weights are. So weights from a file need no trust once their shapes and ranges are checked.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gencomp.coding.logistic import SQUASH_LIMIT
from gencomp.compiled import Integer, fragment, lean_kernel, prefetch
from gencomp.compiled.aligned import CACHE_LINE, aligned, aligned_zeros
from gencomp.inference.arithmetic import (
    MAX_WIDTH,
    STREAM_LIMIT,
    add_rescaled,
    clamp,
    mix_with_before,
    normalise,
    rescaled,
    scan,
    square_limit,
    square_positive,
)
from gencomp.inference.contexts import ByteArray, ContextArray, make_plan, new_context, read_byte, row_of
from gencomp.inference.products import (
    AHEAD,
    LIST_AHEAD,
    MAX_INPUTS,
    SMALL,
    Int8Array,
    Int16Array,
    Int32Array,
    dot,
    list_pairs,
    multiply,
    multiply_listed,
    pack,
)
from gencomp.protocols import IntArray

NODES = 256  # of the tree over a byte's bits; node 0 is unused
MAX_LAYERS = 32
WIDTH, HIDDEN, FEED_FORWARD, LAYERS, EMBEDDING = range(5)  # of Network.sizes
GATES = 3  # outputs of the recurrence's matrix for each hidden number: a candidate and two gates
# a product leaves out pairs of zeros if at most 10 sixteenths of the pairs remain; else all pairs are faster
WORTH_LISTING = 10

SCALE_STEPS = 8  # each code's scale is 2^(1/8) times that of the code before
# the last code, 255, is the scale 2^12 - 1, since -8 times it must fit int16
TOP_SCALE_BITS, _LARGEST_SCALE = 12, 4095
_LAST_CODE = 255
_GUARD = 20  # fractional bits of the roots that scales are rounded from


@dataclass(frozen=True)
class Shape:
    """The sizes of a network; ``tables`` are pairs of a kind of context and a number of rows.

    Raises ``ValueError`` on a size beyond the kernels' bounds.
    """

    width: int = 192
    hidden: int = 192
    feed_forward: int = 512
    layers: int = 2
    embedding: int = 48
    tables: tuple[tuple[str, int], ...] = (
        ("order1", 256),
        ("order2", 8192),
        ("order3", 16384),
        ("order4", 32768),
        ("order6", 16384),
        ("word", 32768),
        ("words", 16384),
    )

    def __post_init__(self) -> None:
        limits = {"width": MAX_WIDTH, "hidden": MAX_INPUTS, "feed_forward": MAX_INPUTS}
        for name, limit in limits.items():
            size = getattr(self, name)
            if not SMALL <= size <= limit or size % SMALL:
                raise ValueError(f"{name} must be a multiple of {SMALL}, at most {limit}, got {size}")
        if not 1 <= self.layers <= MAX_LAYERS:
            raise ValueError(f"layers must be from 1 to {MAX_LAYERS}, got {self.layers}")
        make_plan(self.tables)
        if self.embedding < 2 or self.embedding % 2 or self.inputs > MAX_INPUTS:
            raise ValueError(
                f"embedding must be even, and at most {MAX_INPUTS} over all tables, "
                f"got {self.embedding} for each of {len(self.tables)} tables"
            )

    @property
    def rows(self) -> int:
        """How many rows all tables have together."""
        return sum(rows for _, rows in self.tables)

    @property
    def inputs(self) -> int:
        """How many numbers one row of each table has together."""
        return self.embedding * len(self.tables)

    def matrices(self) -> dict[str, tuple[int, int]]:
        """Return each matrix's (outputs, inputs) by its name, in the order of their use."""
        found = {"input": (self.width, self.inputs)}
        for layer in range(self.layers):
            found[f"layers.{layer}.gates"] = (GATES * self.hidden, self.width)
            found[f"layers.{layer}.out"] = (self.width, self.hidden)
            found[f"layers.{layer}.up"] = (self.feed_forward, self.width)
            found[f"layers.{layer}.down"] = (self.width, self.feed_forward)
        return found | {"head": (NODES, self.width)}


def has_bias(matrix: str) -> bool:
    """Return whether the matrix of this name has biases."""
    return matrix == "head" or matrix.endswith((".gates", ".up"))


class Network(NamedTuple):
    """A network's weights as the kernels read them.

    D, H, F, L, E, K, R are width, hidden, feed_forward, layers, embedding, the number of tables and of their rows.
    """

    sizes: IntArray  # (5,) D, H, F, L, E
    plan: IntArray  # (K, 3) the tables: see contexts.make_plan
    # (R, multiple of 16): E / 2 bytes of two numbers each, the first half of a row in the low nibbles, 8 added to each;
    # then the code of the row's scale
    tables: ByteArray
    weights: Int8Array  # each matrix packed, in the order of use; then the head's rows, unpacked
    numbers: Int32Array  # in the same order: each matrix's multipliers, and its biases if it has any
    shares: Int16Array  # (2 L D,) Q14, for each layer the token shift's of the recurrence, then of the feed-forward
    bits: IntArray  # (L, 3) fractional bits of a scan's outputs and of squares; the limit of what is squared


class Memory(NamedTuple):
    """A network's state, and scratch rows."""

    context: ContextArray  # (4,) see contexts.new_context
    hidden: Int32Array  # (L H,) Q24, the recurrences' states
    before: Int16Array  # (2 L D,) Q11, the normed streams at the byte before
    normed: Int16Array  # (D,) Q11, what the head reads
    # scratch from here on
    stream: Int32Array  # (D,) Q12
    inputs: Int16Array  # (max(E K, D, H, F),)
    sums: Int32Array  # (max(3 H, F, D),)
    pairs: Int32Array  # (max(F / 2 + LIST_AHEAD, K),) a list of pairs, or the tables' rows


def _scale_table() -> npt.NDArray[np.int32]:
    """Return the scale 2^(TOP_SCALE_BITS + (code - 255) / 8) of each code, rounded, int32 (256,); the last is 2^12 - 1.

    An eighth root is taken as three integer square roots, so that no libm takes part.
    """
    first = SCALE_STEPS * (TOP_SCALE_BITS + _GUARD) - _LAST_CODE
    powers = (1 << (first + code) for code in range(_LAST_CODE + 1))
    roots = (math.isqrt(math.isqrt(math.isqrt(power))) for power in powers)  # times 2^_GUARD
    return np.array([min(_LARGEST_SCALE, (root + (1 << (_GUARD - 1))) >> _GUARD) for root in roots], dtype=np.int32)


SCALES = _scale_table()


def new_network(shape: Shape, arrays: Mapping[str, npt.NDArray[Any]]) -> Network:
    """Return the network of checked ``arrays``: those of :func:`gencomp.inference.weights.expected`."""
    row_bytes = shape.embedding // 2 + 1
    tables = aligned_zeros(shape.rows * -(-row_bytes // 16) * 16).reshape(shape.rows, -1)
    tables[:, : row_bytes - 1] = arrays["tables"]
    tables[:, row_bytes - 1] = arrays["scales"]
    weights, numbers, shares = [], [], []
    for name in shape.matrices():
        matrix = arrays[f"{name}.weight"]
        weights.append(matrix.reshape(-1) if name == "head" else pack(matrix))
        numbers.append(arrays[f"{name}.multiplier"])
        if has_bias(name):
            numbers.append(arrays[f"{name}.bias"])
    for layer in range(shape.layers):
        shares += [arrays[f"layers.{layer}.gates_shift"], arrays[f"layers.{layer}.up_shift"]]
    bits = [(int(out), int(square), square_limit(int(square))) for out, square in arrays["bits"]]
    return Network(
        sizes=np.array([shape.width, shape.hidden, shape.feed_forward, shape.layers, shape.embedding], dtype=np.int64),
        plan=make_plan(shape.tables),
        tables=tables,
        weights=aligned(np.concatenate(weights)),
        numbers=aligned(np.concatenate(numbers)),
        shares=aligned(np.concatenate(shares)),
        bits=np.array(bits, dtype=np.int64),
    )


def new_memory(network: Network) -> Memory:
    """Return the memory of a network that has read nothing; the caller then calls :func:`step` with the byte 0."""
    width, hidden, feed_forward, layers, embedding = (int(size) for size in network.sizes)
    inputs = embedding * len(network.plan)
    return Memory(
        context=new_context(),
        hidden=np.zeros(layers * hidden, dtype=np.int32),
        before=np.zeros(2 * layers * width, dtype=np.int16),
        normed=np.zeros(width, dtype=np.int16),
        stream=np.zeros(width, dtype=np.int32),
        inputs=np.zeros(max(inputs, width, hidden, feed_forward), dtype=np.int16),
        sums=np.zeros(max(GATES * hidden, feed_forward, width), dtype=np.int32),
        pairs=np.zeros(max(feed_forward // 2 + LIST_AHEAD, len(network.plan)), dtype=np.int32),
    )


@fragment
def embed(network: Network, memory: Memory, byte: Integer) -> None:
    """Write the tables' rows after ``byte`` into the inputs: numbers from -8 to 7, times scales of at most 4095."""
    tables, plan, inputs = network.tables, network.plan, memory.inputs
    half = network.sizes[EMBEDDING] >> 1
    word, previous = read_byte(memory.context, byte)
    history = memory.context[0]
    for k in range(plan.shape[0]):
        row = plan[k, 2] + row_of(plan[k, 0], plan[k, 1], history, word, previous)
        memory.pairs[k] = row
        prefetch(tables, row * tables.shape[1])
    for k in range(plan.shape[0]):
        numbers = tables[memory.pairs[k]]
        scale = np.int32(SCALES[numbers[half]])
        low, high = inputs[2 * half * k : 2 * half * k + half], inputs[2 * half * k + half : 2 * half * (k + 1)]
        for j in range(half):
            two = np.int32(numbers[j])
            low[j] = np.int16(np.int32(np.int32(two & np.int32(15)) - np.int32(8)) * scale)
            high[j] = np.int16(np.int32(np.int32(two >> np.int32(4)) - np.int32(8)) * scale)


@fragment
def reach(weights: Int8Array, start: Integer) -> None:
    """Prefetch the start of the matrix that is used next, if the product before it does not."""
    for line in range(start, start + AHEAD, CACHE_LINE):
        prefetch(weights, line)


@lean_kernel
def step(network: Network, memory: Memory, byte: Integer) -> None:
    """Read ``byte``; afterwards :func:`logit` answers for the next one."""
    sizes, weights, numbers, shares = network.sizes, network.weights, network.numbers, network.shares
    width, hidden, feed_forward = sizes[WIDTH], sizes[HIDDEN], sizes[FEED_FORWARD]
    stream, before, inputs, sums, normed = memory.stream, memory.before, memory.inputs, memory.sums, memory.normed
    gates = GATES * hidden
    embed(network, memory, byte)
    size = sizes[EMBEDDING] * network.plan.shape[0]
    multiply(weights, 0, inputs[:size], sums[:width])
    at, number = width * size, width
    for j in range(width):
        stream[j] = clamp(rescaled(sums[j], numbers[j]), STREAM_LIMIT)
    for layer in range(sizes[LAYERS]):
        share = 2 * layer * width
        normalise(stream, normed)
        mix_with_before(normed, before[share : share + width], shares[share : share + width], inputs[:width])
        multiply(weights, at, inputs[:width], sums[:gates])
        at += gates * width
        scan(
            sums[:gates],
            numbers[number : number + gates],
            numbers[number + gates : number + 2 * gates],
            memory.hidden[layer * hidden : (layer + 1) * hidden],
            network.bits[layer, 0],
            inputs[:hidden],
        )
        number += 2 * gates
        multiply(weights, at, inputs[:hidden], sums[:width])
        at += width * hidden
        add_rescaled(sums, numbers[number : number + width], stream)
        number += width
        share += width
        normalise(stream, normed)
        mix_with_before(normed, before[share : share + width], shares[share : share + width], inputs[:width])
        multiply(weights, at, inputs[:width], sums[:feed_forward])
        at += feed_forward * width
        square_positive(
            sums[:feed_forward],
            numbers[number : number + feed_forward],
            numbers[number + feed_forward : number + 2 * feed_forward],
            network.bits[layer, 1],
            network.bits[layer, 2],
            inputs[:feed_forward],
        )
        number += 2 * feed_forward
        reach(weights, at + width * feed_forward)
        count = list_pairs(inputs[:feed_forward], memory.pairs)
        if 16 * (2 * count) <= WORTH_LISTING * feed_forward:
            multiply_listed(weights, at, inputs[:feed_forward], memory.pairs, count, sums[:width])
        else:
            multiply(weights, at, inputs[:feed_forward], sums[:width])
        at += width * feed_forward
        add_rescaled(sums, numbers[number : number + width], stream)
        number += width
    reach(weights, 0)
    normalise(stream, normed)


@lean_kernel
def logit(network: Network, memory: Memory, node: Integer) -> Integer:
    """Return ln(p / (1 - p)) of a 1 at ``node``, 1 to 255, in units of 1/256, int64 within SQUASH_LIMIT."""
    width = network.sizes[WIDTH]
    numbers = network.numbers[network.numbers.shape[0] - 2 * NODES :]
    total = dot(network.weights, network.weights.shape[0] - (NODES - node) * width, memory.normed)
    value = np.int32(rescaled(total, numbers[node]) + numbers[NODES + node])
    return np.int64(clamp(value, SQUASH_LIMIT))
