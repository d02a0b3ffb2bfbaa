"""Context tree weighting (Willems, Shtarkov and Tjalkens 1995) of bytes, in integers.

A byte is eight binary decisions. Each has a context tree of its own (Tjalkens, Volf and Willems 1997, "A context-tree
weighting method for text generating sources"), whose nodes are the last d bytes, 0 <= d <= depth. For a node with
counts a of zeros and b of ones, the estimate and the weighted probability are

    P_e(1 after a zeros, b ones) = (b + alpha) / (a + b + 2 alpha)            alpha = 1/2: Krichevsky and Trofimov
    P_w = P_e at the full depth, else P_e / 2 + (product of the children's P_w) / 2

so the code mixes all context trees up to the depth, and gives less weight to trees with more leaves. Beside its counts,
a node keeps only w = P_e / (P_e + product of the children's P_w), 1/2 at first. Along the path of the current contexts

    p(bit | d) = w * P_e(bit | counts) + (1 - w) * p(bit | d + 1)
    w becomes w * P_e(bit | counts) / p(bit | d)

Nodes are in a hash table that grows as needed; where a node lies in it affects no probability. Once the table has its
full size, no nodes are added, and a path ends at the first missing node.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from gencomp.arguments import as_bytes, as_context, as_symbol
from gencomp.budget import Cost, StateCost
from gencomp.coding.quantize import cdf_from_weights, code_lengths_of_cdf
from gencomp.coding.range_coder import (
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
MAX_DEPTH = 16
NODE_BYTES = 16
MAX_COUNT = 65_535  # when a node's zeros or ones reach this, both are halved
PRECISION = 20  # bits of a decision's probability
ONE = 1 << PRECISION
# the least probability of a bit, in units of 2^-20: a byte costs at least 0.0002 bits, so that what a block decodes to
# is bounded by its length
LEAST = 16
WEIGHT_BITS = 30  # of a node's w; its products with a probability stay at or below 2^50
WHOLE = 1 << WEIGHT_BITS
WEIGHT_MARGIN = 1 << 10  # w and 1 - w sink no lower, where rounding would hide small changes
ALPHA_UNIT = 16  # parts of an occurrence
BYTES_PER_SYMBOL = 24  # at least what 8 decisions of at most 20 bits write
MASS = 1 << 38  # the sum of a cdf's 256 weights

# a node is a row of int64: its key, 0 for an empty slot, and its value, w << 32 | zeros << 16 | ones
KEY, VALUE = range(2)
WEIGHT_SHIFT, COUNT_BITS, COUNT_MASK = 32, 16, 0xFFFF
FRESH = (WHOLE // 2) << WEIGHT_SHIFT
NIBBLE = 4  # decisions whose nodes lie together, for each context
# a key is the context (exact up to 5 bytes, then a hash of 46 bits), its depth, and the byte's bits so far after a 1
DEPTH_BITS, PLACE_BITS, CONTEXT_BITS = 5, 8, 46
EXACT_DEPTH = 5
# odd factors of the hashes: see :func:`_find_contexts` and :func:`_hashed` for their bounds
_SPREAD = 52_967
_FACTOR_LOW, _FACTOR_HIGH, _FACTOR_MIXED = 1_640_531_527, 2_135_587_861, 1_540_483_477
# the registers: nodes so far, how many there may be, position in the coded data, the coder's low, width, offset
USED, MOST, POSITION, LOW, WIDTH, OFFSET = range(6)
REGISTERS = 6
CHARGE, ENCODE, DECODE = range(3)

ByteArray = npt.NDArray[np.uint8]


@lean_kernel
def _find_contexts(recent: ByteArray, contexts: IntArray) -> None:
    """Write the keys of the last 0, 1, ... bytes, with 0 for the place in the byte; ``recent`` has the last byte first.

    A context is exact up to EXACT_DEPTH bytes, 40 bits; a longer one is a hash of CONTEXT_BITS. _SPREAD is below 2^16,
    so its product with 46 bits is below 2^62.
    """
    context: Integer = np.int64(0)
    contexts[0] = 0
    for depth in range(1, contexts.shape[0]):
        byte = np.int64(recent[depth - 1])
        if depth <= EXACT_DEPTH:
            context |= byte << (8 * (depth - 1))
        else:
            context = ((context ^ (context >> (CONTEXT_BITS // 2))) * _SPREAD + byte + 1) & ((1 << CONTEXT_BITS) - 1)
        contexts[depth] = (context << (DEPTH_BITS + PLACE_BITS)) | (depth << PLACE_BITS)


@lean_kernel
def _hashed(key: Integer) -> Integer:
    """Return a hash, below 2^43, of a key below 2^59: its halves times odd factors, mixed, times another factor.

    The factors are below 2^31. They multiply numbers below 2^30, 2^29 and 2^31, so sums and products are below 2^62.
    """
    low, high = key & ((1 << 30) - 1), key >> 30
    mixed = low * _FACTOR_LOW + high * _FACTOR_HIGH
    mixed ^= mixed >> 29
    return ((mixed & ((1 << 31) - 1)) * _FACTOR_MIXED) >> 19


@lean_kernel
def _find_bases(contexts: IntArray, prefix: Integer, bases: IntArray) -> None:
    """Write where the nodes of each context's next nibble begin, to be reduced to a table's size.

    ``prefix`` is 0 for a byte's first nibble, and 16 + the first nibble for the second.
    """
    for depth in range(contexts.shape[0]):
        bases[depth] = _hashed(contexts[depth] | prefix)


@lean_kernel
def _slot_of(table: IntArray, base: Integer, key: Integer) -> Integer:
    """Return the slot of ``key``, or the empty slot for it, by linear probing."""
    mask = table.shape[0] - 1
    slot = base & mask
    while table[slot, KEY] != 0 and table[slot, KEY] != key:
        slot = (slot + 1) & mask
    return slot


@lean_kernel
def _estimate(value: Integer, alpha: Integer) -> Integer:
    """Return P_e of a 1, from 1 to ONE - 1."""
    zeros, ones = (value >> COUNT_BITS) & COUNT_MASK, value & COUNT_MASK
    share = ((ALPHA_UNIT * ones + alpha) << PRECISION) // (ALPHA_UNIT * (zeros + ones) + 2 * alpha)
    return min(max(share, 1), ONE - 1)


@lean_kernel
def _predict(
    table: IntArray,
    contexts: IntArray,
    bases: IntArray,
    place: Integer,
    within: Integer,
    alpha: Integer,
    full: bool,
    path: IntArray,
) -> Integer:
    """Return the probability of a 1, from LEAST to ONE - LEAST; fill ``path`` (depth + 1, 3) on the way.

    A row of ``path`` is a depth's (slot, P_e of a 1, probability of a 1 by the greater depths); P_e is -1 after the
    path's end. A missing node has seen nothing, nor has any below it; in a ``full`` table, the path ends before it.
    """
    depth = contexts.shape[0] - 1
    last = depth
    for d in range(depth + 1):
        path[d, 0] = _slot_of(table, bases[d] + within, contexts[d] | place)
        path[d, 1] = -1
        if full and table[path[d, 0], KEY] == 0:
            last = d - 1
            break
    below: Integer = np.int64(ONE >> 1)
    for d in range(last, -1, -1):
        slot = path[d, 0]
        value = table[slot, VALUE] if table[slot, KEY] != 0 else np.int64(FRESH)
        estimate = _estimate(value, alpha)
        path[d, 1] = estimate
        path[d, 2] = below
        if d == last:
            below = estimate
        else:
            weight = value >> WEIGHT_SHIFT
            below = (weight * estimate + (WHOLE - weight) * below) >> WEIGHT_BITS
            below = min(max(below, 1), ONE - 1)
    return min(max(below, LEAST), ONE - LEAST)


@lean_kernel
def _learn(
    table: IntArray,
    contexts: IntArray,
    bases: IntArray,
    place: Integer,
    within: Integer,
    bit: Integer,
    path: IntArray,
    registers: IntArray,
) -> None:
    """Count ``bit`` at every node of the path that :func:`_predict` took, and move the weights by Bayes' rule."""
    depth = contexts.shape[0] - 1
    for d in range(depth + 1):
        estimate = path[d, 1]
        if estimate < 0:
            break
        key = contexts[d] | place
        slot = path[d, 0]
        if table[slot, KEY] != key:  # the node is missing, and one added before it on this path may have its slot
            slot = _slot_of(table, bases[d] + within, key)
            table[slot, KEY] = key
            table[slot, VALUE] = FRESH
            registers[USED] += 1
        value = table[slot, VALUE]
        weight, zeros, ones = value >> WEIGHT_SHIFT, (value >> COUNT_BITS) & COUNT_MASK, value & COUNT_MASK
        if d < depth and path[d + 1, 1] >= 0:
            here = estimate if bit else ONE - estimate
            below = path[d, 2] if bit else ONE - path[d, 2]
            both = max(1, (weight * here + (WHOLE - weight) * below) >> WEIGHT_BITS)
            if weight <= WHOLE // 2:  # of w and 1 - w the smaller is multiplied: its relative error stays small
                weight = max((weight * here + both // 2) // both, WEIGHT_MARGIN)
            else:
                weight = WHOLE - max(((WHOLE - weight) * below + both // 2) // both, WEIGHT_MARGIN)
            weight = min(max(weight, WEIGHT_MARGIN), WHOLE - WEIGHT_MARGIN)
        if bit:
            ones += 1
        else:
            zeros += 1
        if max(zeros, ones) == MAX_COUNT:
            zeros, ones = (zeros + 1) >> 1, (ones + 1) >> 1
        table[slot, VALUE] = (weight << WEIGHT_SHIFT) | (zeros << COUNT_BITS) | ones


@lean_kernel
def _run(
    table: IntArray,
    registers: IntArray,
    recent: ByteArray,
    alpha: Integer,
    scratch: tuple[IntArray, IntArray, IntArray],
    task: Integer,
    data: ByteArray,
    start: Integer,
    code: ByteArray,
    shares: FloatArray,
) -> Integer:
    """Read ``data`` from ``start`` on; return where it stopped: at the end, or where the table or ``code`` must grow.

    ``task``: CHARGE writes the product of each byte's eight probabilities into ``shares`` (n,), unless that is empty.
    ENCODE writes ``code``. DECODE reads ``code`` and writes ``data``, and returns -1 on a stream that no encoder wrote.
    """
    # In one piece: the coder's interval stays in the processor's registers.
    contexts, bases, path = scratch
    low, width, offset, position = registers[LOW], registers[WIDTH], registers[OFFSET], registers[POSITION]
    levels = contexts.shape[0]
    index = start
    while index < data.shape[0]:
        full = registers[USED] > registers[MOST] - 8 * levels
        # a byte adds at most 8 nodes a level, and at most three quarters of the slots may be taken
        if not full and 4 * (registers[USED] + 8 * levels) > 3 * table.shape[0]:
            break
        if task == ENCODE and position + BYTES_PER_SYMBOL + WINDOW_BYTES > code.shape[0]:
            break
        _find_contexts(recent, contexts)
        _find_bases(contexts, 0, bases)
        symbol = np.int64(data[index]) if task != DECODE else np.int64(0)
        place: Integer = np.int64(1)
        within: Integer = np.int64(1)
        share = 1.0
        for step in range(8):
            if step == NIBBLE:
                _find_bases(contexts, place, bases)
                within = np.int64(1)
            ones = _predict(table, contexts, bases, place, within, alpha, full, path)
            split = ONE - ones
            if task == DECODE:
                bit = np.int64(decode_target(width, offset, PRECISION) >= split)
                first, last = (split, ONE) if bit else (0, split)
                low, width, offset, position = decode_step(low, width, offset, position, code, first, last, PRECISION)
                if offset < 0:
                    return -1
            else:
                bit = (symbol >> (7 - step)) & 1
                if task == ENCODE:
                    first, last = (split, ONE) if bit else (0, split)
                    low, width, position = encode_step(low, width, code, position, first, last, PRECISION)
                elif shares.shape[0]:
                    share *= (ones if bit else split) / ONE
            _learn(table, contexts, bases, place, within, bit, path, registers)
            place = (place << 1) | bit
            within = (within << 1) | bit
        if task == DECODE:
            data[index] = place & 0xFF
        elif task == CHARGE and shares.shape[0]:
            shares[index] = share
        for d in range(recent.shape[0] - 1, 0, -1):
            recent[d] = recent[d - 1]
        if recent.shape[0]:
            recent[0] = place & 0xFF
        index += 1
    registers[LOW], registers[WIDTH], registers[OFFSET], registers[POSITION] = low, width, offset, position
    return index


@lean_kernel
def _fill_weights(
    table: IntArray,
    registers: IntArray,
    recent: ByteArray,
    alpha: Integer,
    scratch: tuple[IntArray, IntArray, IntArray],
    masses: IntArray,
    weights: IntArray,
) -> None:
    """Write the next byte's ``weights`` (256,) int64, which sum to MASS; ``masses`` (256,) int64 is scratch."""
    contexts, bases, path = scratch
    full = registers[USED] > registers[MOST] - 8 * contexts.shape[0]
    _find_contexts(recent, contexts)
    _find_bases(contexts, 0, bases)
    masses[1] = MASS
    for place in range(1, 256):
        level = 0
        while place >> (level + 1):
            level += 1
        within = place
        if level >= NIBBLE:
            shift = level - NIBBLE
            within = (1 << shift) | (place & ((1 << shift) - 1))
            _find_bases(contexts, place >> shift, bases)
        ones = _predict(table, contexts, bases, np.int64(place), np.int64(within), alpha, full, path)
        upper = (masses[place] >> PRECISION) * ones
        children = (masses[place] - upper, upper)
        for bit in range(2):
            child = 2 * place + bit
            if child < 256:
                masses[child] = children[bit]
            else:
                weights[child - 256] = children[bit]


@lean_kernel
def _rehash(old: IntArray, table: IntArray) -> None:
    """Move every node of ``old`` into ``table``, which is larger and empty."""
    for slot in range(old.shape[0]):
        key = old[slot, KEY]
        if key == 0:
            continue
        place = key & 0xFF
        level = 0
        while place >> (level + 1):
            level += 1
        prefix, within = np.int64(0), place
        if level >= NIBBLE:
            shift = level - NIBBLE
            prefix, within = place >> shift, (1 << shift) | (place & ((1 << shift) - 1))
        new = _slot_of(table, _hashed(((key >> PLACE_BITS) << PLACE_BITS) | prefix) + within, key)
        table[new, KEY] = key
        table[new, VALUE] = old[slot, VALUE]


_CONTEXT_SECONDS = 1e-5  # seconds a byte and context, on a slow machine


@dataclass(frozen=True)
class Ctw:
    """Context tree weighting over the last ``depth`` bytes, 0 to 16.

    ``alpha``, 1 to 128, is the count of a zero and of a one before they occur, in 16ths of an occurrence. 8 is the 1/2
    of Krichevsky and Trofimov, for which their bounds hold; less suits text, where most decisions are certain. The
    default is the best power of two on the first 10^6 bytes of enwik8. ``memory``, 1 to 4096, is the most that the
    nodes take, in MiB, rounded down to a power of two: the default holds the nodes of some 2 MB of text.
    """

    depth: int = 6
    alpha: int = 2
    memory: int = 256

    revision: ClassVar[int] = 1
    spec_argument: ClassVar[str] = "depth"

    def __post_init__(self) -> None:
        if not 0 <= self.depth <= MAX_DEPTH:
            raise ValueError(f"depth must be from 0 to {MAX_DEPTH} bytes, got {self.depth}")
        if not 1 <= self.alpha <= 128:
            raise ValueError(f"alpha must be from 1 to 128 (16ths of an occurrence), got {self.alpha}")
        if not 1 <= self.memory <= 4096:
            raise ValueError(f"memory must be from 1 to 4096 MiB, got {self.memory}")

    @property
    def alphabet_size(self) -> int:
        return ALPHABET_SIZE

    def state_cost(self, size: int) -> StateCost:
        """Return what a state takes: at most eight nodes a byte and context, in a table that doubles."""
        held, step = self._table_bytes(size), self._byte_seconds
        return StateCost(held, held, 1e-4 + size * step, 33 * step + 5e-4)

    def block_cost(self, size: int, coded: int) -> Cost:
        """Return what a block takes."""
        return Cost(2 * self._table_bytes(size) + 3 * size + coded, 1e-3 + size * self._byte_seconds)

    @property
    def _byte_seconds(self) -> float:
        return _CONTEXT_SECONDS * (self.depth + 2)

    def _table_bytes(self, size: int) -> int:
        return min(self.memory << 20, (1 << 16) + 4 * 8 * NODE_BYTES * (self.depth + 1) * size)

    def begin(self, context: Sequence[int] = ()) -> "CtwState":
        state = CtwState(self)
        state.read(np.frombuffer(bytearray(as_context(context)), dtype=np.uint8), CHARGE)
        return state

    def encode_block(self, data: bytes) -> bytes:
        data = as_bytes(data)
        state = CtwState(self)
        code = state.read(
            np.frombuffer(bytearray(data), dtype=np.uint8), ENCODE, np.empty(len(data) // 2 + 1024, dtype=np.uint8)
        )
        low, width, position = (int(state.registers[name]) for name in (LOW, WIDTH, POSITION))
        return code[: encode_end(low, width, code, position)[0]].tobytes()

    def decode_block(self, payload: bytes, size: int) -> bytes:
        state = CtwState(self)
        registers = state.registers
        code = np.frombuffer(bytearray(as_bytes(payload, "the code")), dtype=np.uint8)
        registers[LOW], registers[WIDTH], registers[OFFSET], registers[POSITION] = decode_begin(code)
        data = np.empty(size, dtype=np.uint8)
        state.read(data, DECODE, code)
        low, width, offset, position = (int(registers[name]) for name in (LOW, WIDTH, OFFSET, POSITION))
        if not decode_end(low, width, offset, position, len(code)):
            raise corrupt_stream()
        return data.tobytes()


class CtwState:
    """The trees after a context. ``copy`` shares the table until one of the two learns."""

    def __init__(self, model: Ctw) -> None:
        self._model = model
        self._table = np.zeros((1 << 12, 2), dtype=np.int64)
        self._recent = np.zeros(model.depth, dtype=np.uint8)
        self._shared = False
        levels = model.depth + 1
        self._scratch = (
            np.empty(levels, dtype=np.int64),
            np.empty(levels, dtype=np.int64),
            np.empty((levels, 3), dtype=np.int64),
        )
        self.registers = np.zeros(REGISTERS, dtype=np.int64)
        self.registers[WIDTH] = TOP
        slots = 1 << (((model.memory << 20) // NODE_BYTES).bit_length() - 1)
        self.registers[MOST] = 3 * slots // 4

    def read(
        self, data: ByteArray, task: int, code: ByteArray | None = None, shares: FloatArray | None = None
    ) -> ByteArray:
        """Do ``task`` for ``data`` (n,); the table and ``code`` grow as needed. Return ``code``, which may be longer.

        Raises :class:`~gencomp.errors.CorruptDataError` on a stream that no encoder wrote.
        """
        code = np.empty(0, dtype=np.uint8) if code is None else code
        shares = np.empty(0, dtype=np.float64) if shares is None else shares
        if self._shared and len(data):
            self._table, self._shared = self._table.copy(), False
        place = 0
        while True:
            model = (self._table, self.registers, self._recent, self._model.alpha, self._scratch)
            place = int(_run(*model, task, data, place, code, shares))
            if place < 0:
                raise corrupt_stream()
            if task == ENCODE and int(self.registers[POSITION]) + BYTES_PER_SYMBOL + WINDOW_BYTES > len(code):
                code = np.concatenate([code, np.empty(len(code) + BYTES_PER_SYMBOL, dtype=np.uint8)])
            elif place == len(data):
                return code
            else:
                larger = np.zeros((2 * len(self._table), 2), dtype=np.int64)
                _rehash(self._table, larger)
                self._table = larger

    def cdf(self) -> IntArray:
        weights, masses = np.empty(ALPHABET_SIZE, dtype=np.int64), np.empty(ALPHABET_SIZE, dtype=np.int64)
        _fill_weights(self._table, self.registers, self._recent, self._model.alpha, self._scratch, masses, weights)
        return cdf_from_weights(weights)

    def code_lengths(self) -> FloatArray:
        return code_lengths_of_cdf(self.cdf())

    def charge(self, data: bytes) -> FloatArray:
        data = as_bytes(data)
        shares = np.empty(len(data), dtype=np.float64)
        self.read(np.frombuffer(bytearray(data), dtype=np.uint8), CHARGE, shares=shares)
        return np.asarray(-np.log2(shares))

    def update(self, symbol: int) -> None:
        symbol = as_symbol(symbol)
        self.read(np.array([symbol], dtype=np.uint8), CHARGE)

    def copy(self) -> Self:
        twin = type(self)(self._model)
        twin._table, twin._recent, twin.registers = self._table, self._recent.copy(), self.registers.copy()
        self._shared = twin._shared = True
        return twin
