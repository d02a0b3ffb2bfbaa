"""A decoder-only Transformer in integers: the families of Llama, GPT-2 and GPT-NeoX in one forward pass.

A pass takes *rows*: any number of tokens at given positions of given lanes. It adds their keys and values to the cache
before it attends. All sums are of integers, so a row's numbers do not depend on the other rows of the pass: a whole
window at once and single steps of many lanes give the same bits.

Weights are int8 with a multiplier for each output. Inputs are int16 with a shift for each row. Keys and values have 11
bits, with a shift for each position and head that is fixed when they are written. The softmax is to the base 2, by a
polynomial, and gives shares of 15 bits. :mod:`gencomp.inference.rows` and :mod:`gencomp.inference.tiles` state each
step's bounds; :mod:`gencomp.inference.transformer_weights` makes networks, and checks them against the bounds.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gencomp.compiled import Integer, fragment, lean_kernel
from gencomp.inference.products import Int8Array, Int16Array, Int32Array
from gencomp.inference.rows import (
    CACHE_BITS,
    GAIN_BITS,
    INNER_BITS,
    INNER_LIMIT,
    INPUT_BITS,
    SHARE_BITS,
    STREAM_BITS,
    STREAM_LIMIT,
    clamped,
    gated,
    left,
    normalise,
    peak_bits,
    power_of_two,
    quantise,
    right,
    rotate,
    shifted,
)
from gencomp.inference.team import (
    CLOSED,
    NONE,
    close,
    finish,
    new_gate,
    open_phase,
    sharing,
    take,
    take_or_wait,
    wait_until_done,
)
from gencomp.inference.tiles import (
    BLOCK,
    SMALL,
    Int64Array,
    multiply_block,
    padded,
    wide_1_16,
    wide_1_64,
)

# places of Network.sizes
(
    WIDTH,
    LAYERS,
    HEADS,
    GROUPS,
    HEAD,
    FEED_FORWARD,
    VOCABULARY,
    ROTATED,
    CENTRED,
    GATED,
    PARALLEL,
    HEAD_NORMS,
    QUERY_BITS,
) = range(13)
# a layer's matrices; the output's comes after those of all layers
QKV, OUT, UP, DOWN, MATRICES = range(5)
# a layer's norms; the last one comes after those of all layers
BEFORE_HEADS, BEFORE_GATES, NORMS = range(3)

VALUE_SPAN = 32  # positions whose values are summed in int32: 32 * 32767 * 2047 < 2^31
POSITIONS = 64  # of a block of the cache
# the stages of a matrix: its inputs, its product; after a layer's first one, the keys and values, and the attention
PREPARE, PRODUCT, KEEP, ATTEND, STAGES = range(5)
PARTS, LAST_PARTS = 16, 64  # of a product, at most, which threads share
# the scratch arrays that all threads of a pass share
_SHARED = ("stream", "wide", "inputs", "shifts", "second", "second_shifts")
_LEAST_PRODUCTS = 1 << 22  # multiplications of a pass from which on helpers are worth calling
_MOST_HELPERS = 7
HEAD_BITS = 24  # fractional bits of an attention's results
DENOMINATOR_BITS = 61  # fractional bits of a denominator's reciprocal
SUM_BITS = 31  # to which a sum of values is cut before it is divided
SCORE_LIMIT = 1 << 30  # of a score: 2^14 in Q16
LEAST_POWER = -40  # smaller powers of two count as this one, which is 0 in a sum
EXTRA = 4  # bits by which a score is raised before it is shifted down


class Network(NamedTuple):
    """A network as the kernels read it; L, D, H, d, G, F, V are those of the form (``transformer_weights.Form``).

    Matrix m of layer l is number 4 l + m, the output's 4 L; norm n of layer l is number 2 l + n, the last one 2 L.
    """

    sizes: Int64Array  # by the names above
    weights: Int8Array  # all matrices, packed
    # (4 L + 1, 5) for each matrix: its start in weights and in multipliers; outputs, inputs; the multipliers' bits
    matrices: Int64Array
    multipliers: Int32Array  # of all matrices' outputs, below 2^24
    biases: Int64Array  # the same, in the fixed point of the output
    gains: Int32Array  # (2 L + 1, D)
    norm_biases: Int64Array  # (2 L + 1, D)
    gain_bits: Int64Array  # (2 L + 1,)
    head_gains: Int32Array  # (2 L, d): of queries and of keys, or (0, d)
    head_gain_bits: Int64Array  # (2 L,)
    zeros: Int64Array  # (d,)
    epsilon: Int64Array  # (1,) Q60
    embedding: Int16Array  # (V, D), or of each row of a pass
    positions: Int16Array  # (P, D) learned, or (0, D)
    embedding_bits: Int64Array  # (2,) of both
    table: Int32Array  # (2050,) of the activation
    turned: Int32Array  # (positions, rotated / 2, 2) Q30
    score_factor: Int64Array  # (1,) log2(e) / sqrt(d), Q30


class Cache(NamedTuple):
    """Keys and values of C positions, a multiple of 64; e is d padded to a multiple of 16.

    A *slot* has those of one group of one layer of one lane: (lane L + layer) G + group.
    """

    keys: Int16Array  # (slots, C d): a slot is an array (C / 64, d / 2, 64, 2), whose last axis is a pair of d
    key_shifts: Int32Array  # (slots, C)
    values: Int16Array  # (slots, C e): a slot is an array (C / 2, e, 2), whose last axis is a pair of positions
    value_shifts: Int32Array  # (slots, C)


class Scratch(NamedTuple):
    """Room for the rows of one pass."""

    stream: Int64Array  # (rows, D) Q20
    wide: Int64Array  # (rows, widest product) Q16, or Q24 after the attention
    row: Int64Array  # (widest row,)
    inputs: Int16Array  # (rows, widest input) of the next product
    shifts: Int64Array  # (rows,) fractional bits of the inputs
    second: Int16Array  # (rows, D) the feed-forward's inputs, if branches are parallel
    second_shifts: Int64Array  # (rows,)
    piece: Int64Array  # (rows, 64) outputs of the last product
    sums: Int32Array  # (rows, 64)
    totals: Int64Array  # (rows, 64)
    query: Int16Array  # (heads of a group, d)
    query_shifts: Int64Array  # (heads of a group,)
    denominators: Int64Array  # (heads of a group,)
    tops: Int64Array  # (heads of a group,)
    scores: Int32Array  # (heads of a group, C)
    grades: Int32Array  # (C,)
    shares: Int16Array  # (heads of a group, C)
    values: Int32Array  # (e,)
    added: Int64Array  # (heads of a group, e)


def new_cache(network: Network, lanes: int, positions: int) -> Cache:
    """Return an empty cache for ``lanes`` texts of ``positions`` positions, rounded up to whole blocks."""
    layers, groups, size = (int(network.sizes[k]) for k in (LAYERS, GROUPS, HEAD))
    slots, capacity = lanes * layers * groups, padded(positions, POSITIONS)
    return Cache(
        keys=np.zeros((slots, capacity * size), dtype=np.int16),
        key_shifts=np.zeros((slots, capacity), dtype=np.int32),
        values=np.zeros((slots, capacity * padded(size, SMALL)), dtype=np.int16),
        value_shifts=np.zeros((slots, capacity), dtype=np.int32),
    )


def capacity_of(cache: Cache) -> int:
    """Return how many positions a cache has room for."""
    return int(cache.key_shifts.shape[1])


def copied_cache(cache: Cache) -> Cache:
    """Return a copy."""
    return Cache(cache.keys.copy(), cache.key_shifts.copy(), cache.values.copy(), cache.value_shifts.copy())


def grown_cache(cache: Cache, positions: int) -> Cache:
    """Return a copy of ``cache`` with room for ``positions`` positions, or for fewer than it had."""
    found = []
    for part in cache:
        unit = part.shape[1] // capacity_of(cache)
        more = np.zeros((len(part), padded(positions, POSITIONS) * unit), dtype=part.dtype)
        kept = min(part.shape[1], more.shape[1])
        more[:, :kept] = part[:, :kept]
        found.append(more)
    return Cache(*found)


def new_scratch(network: Network, rows: int, positions: int) -> Scratch:
    """Return room for passes of up to ``rows`` rows over caches of up to ``positions`` positions."""
    width, heads, size, feed_forward = (int(network.sizes[k]) for k in (WIDTH, HEADS, HEAD, FEED_FORWARD))
    capacity, shared = padded(positions, POSITIONS), heads // int(network.sizes[GROUPS])
    widest = max(BLOCK, int(network.matrices[:-1, 2].max()))
    inputs = padded(max(width, heads * size, feed_forward), 2)
    return Scratch(
        stream=np.zeros((rows, width), dtype=np.int64),
        wide=np.zeros((rows, widest), dtype=np.int64),
        row=np.zeros(max(inputs, widest), dtype=np.int64),
        inputs=np.zeros((rows, inputs), dtype=np.int16),
        shifts=np.zeros(rows, dtype=np.int64),
        second=np.zeros((rows, padded(width, 2)), dtype=np.int16),
        second_shifts=np.zeros(rows, dtype=np.int64),
        piece=np.zeros((rows, BLOCK), dtype=np.int64),
        sums=np.zeros((rows, BLOCK), dtype=np.int32),
        totals=np.zeros((rows, BLOCK), dtype=np.int64),
        query=np.zeros((shared, size), dtype=np.int16),
        query_shifts=np.zeros(shared, dtype=np.int64),
        denominators=np.zeros(shared, dtype=np.int64),
        tops=np.zeros(shared, dtype=np.int64),
        scores=np.zeros((shared, capacity), dtype=np.int32),
        grades=np.zeros(capacity, dtype=np.int32),
        shares=np.zeros((shared, capacity), dtype=np.int16),
        values=np.zeros(padded(size, SMALL), dtype=np.int32),
        added=np.zeros((shared, padded(size, SMALL)), dtype=np.int64),
    )


@fragment
def scaled(total: Integer, factor: Integer, up: Integer, down: Integer) -> Integer:
    """Return ``total * factor`` * 2^up / 2^down, rounded; ``up`` or ``down`` is 0. Clamped if ``up`` is not."""
    product = np.int64(total) * np.int64(factor)
    if up > 0:
        product = clamped(product, STREAM_LIMIT >> up) << up
    return (product + ((np.int64(1) << down) >> 1)) >> down


@lean_kernel
def scale_row(
    totals: Int64Array,
    factors: Int32Array,
    biases: Int64Array,
    shift: Integer,
    limit: Integer,
    adds: Integer,
    out: Int64Array,
) -> None:
    """Write ``totals * factors`` / 2^shift, rounded, plus biases, into ``out``; with ``adds``, add it to ``out``.

    ``out`` is clamped to ``limit``. Totals are within 2^37 and factors below 2^24.
    """
    up, down = min(max(-shift, 0), 46), min(max(shift, 0), 61)
    kept = np.int64(-1) if adds else np.int64(0)
    for j in range(out.shape[0]):
        value = scaled(totals[j], factors[j], up, down) + biases[j]
        out[j] = clamped((out[j] & kept) + value, limit)


@lean_kernel
def multiply(
    network: Network,
    scratch: Scratch,
    number: Integer,
    first: Integer,
    count: Integer,
    begin: Integer,
    end: Integer,
    bits: Integer,
    limit: Integer,
    adds: Integer,
    out: Int64Array,
    origin: Integer,
) -> None:
    """Write outputs [begin, end) of matrix ``number``, for ``count`` rows of inputs from ``first`` on, into ``out``.

    ``begin`` is a multiple of BLOCK. ``out`` (count, n) begins with output ``origin``. It gets the outputs with biases,
    in Q``bits`` within ``limit``; with ``adds``, they are added to it.
    """
    start, at = network.matrices[number, 0], network.matrices[number, 1]
    outputs, columns, scale = network.matrices[number, 2], network.matrices[number, 3], network.matrices[number, 4]
    whole = ((outputs + SMALL - 1) // SMALL) * SMALL
    columns = ((columns + 1) // 2) * 2
    totals = scratch.totals
    o = np.int64(begin)
    while o < end:
        size = np.int64(BLOCK) if o + BLOCK <= whole else np.int64(SMALL)
        multiply_block(
            network.weights, start + o * columns, size, scratch.inputs, columns, first, count, scratch.sums, totals
        )
        used = min(size, outputs - o)
        factors, added = network.multipliers[at + o : at + o + used], network.biases[at + o : at + o + used]
        for row in range(count):
            shift = scratch.shifts[first + row] + scale - bits
            part = out[row, o - origin : o - origin + used]
            scale_row(totals[row], factors, added, shift, limit, adds, part)
        o += size


@lean_kernel
def norm_row(
    network: Network, scratch: Scratch, number: Integer, row: Integer, inputs: Int16Array, shifts: Int64Array
) -> None:
    """Write a row's stream, normed by norm ``number``, into ``inputs``, and its fractional bits into ``shifts``."""
    bits = network.gain_bits[number]
    normed = scratch.row[: network.sizes[WIDTH]]
    normalise(
        scratch.stream[row],
        network.gains[number],
        network.norm_biases[number],
        bits,
        network.epsilon[0],
        STREAM_BITS,
        network.sizes[CENTRED],
        normed,
    )
    shift = quantise(normed, INPUT_BITS, -62, inputs[row])
    shifts[row] = GAIN_BITS + bits - shift


@lean_kernel
def embed(network: Network, token: Integer, position: Integer, stream: Int64Array) -> None:
    """Write the embedding of a token at a position into ``stream``."""
    shift = network.embedding_bits[0] - STREAM_BITS
    for j in range(stream.shape[0]):
        stream[j] = shifted(np.int64(network.embedding[token, j]), shift, STREAM_LIMIT)
    if network.positions.shape[0] > 0:
        shift = network.embedding_bits[1] - STREAM_BITS
        for j in range(stream.shape[0]):
            stream[j] = clamped(
                stream[j] + shifted(np.int64(network.positions[position, j]), shift, STREAM_LIMIT), STREAM_LIMIT
            )


@lean_kernel
def norm_head(
    head: Int64Array, gains: Int32Array, bits: Integer, epsilon: Integer, zeros: Int64Array, normed: Int64Array
) -> None:
    """Norm a head's queries or keys, Q16, in place; ``normed`` is scratch."""
    normalise(head, gains, zeros, bits, epsilon, INNER_BITS, 0, normed)
    for j in range(head.shape[0]):
        head[j] = shifted(normed[j], GAIN_BITS + bits - INNER_BITS, INNER_LIMIT)


@lean_kernel
def put_key(key: Int16Array, position: Integer, keys: Int16Array) -> None:
    """Write a position's key (d,) into a slot's ``keys``."""
    size = key.shape[0]
    start = (position // POSITIONS) * POSITIONS * size + 2 * (position % POSITIONS)
    for j in range(size):
        keys[start + (j >> 1) * (2 * POSITIONS) + (j & 1)] = key[j]


@lean_kernel
def put_value(value: Int16Array, position: Integer, width: Integer, values: Int16Array) -> None:
    """Write a position's value (d,) into a slot's ``values``, which has ``width`` numbers for it."""
    start = (position >> 1) * (2 * width) + (position & 1)
    for j in range(value.shape[0]):
        values[start + 2 * j] = value[j]


@lean_kernel
def prepared(
    network: Network, row: Int64Array, number: Integer, count: Integer, position: Integer, normed: Int64Array
) -> None:
    """Norm by head norm ``number``, and rotate, ``count`` heads of queries or keys, one after another in ``row``."""
    size = network.sizes[HEAD]
    for k in range(count):
        head = row[k * size : (k + 1) * size]
        if network.sizes[HEAD_NORMS]:
            norm_head(
                head,
                network.head_gains[number],
                network.head_gain_bits[number],
                network.epsilon[0],
                network.zeros,
                normed[:size],
            )
        if network.sizes[ROTATED] > 0:
            rotate(head, network.turned[position])


@lean_kernel
def fill_scores(scores: Int32Array, shifts: Int32Array, base: Integer, count: Integer) -> Integer:
    """Turn ``count`` sums of products into scores, exponents of two in Q16 within 2^14, in place; return the largest.

    A sum is below 2^31 - 2^20, and its score is 2^(base + shift) times the sum; ``base`` is from -16 to 4, a shift from
    0 to 21.
    """
    highest = np.int32(0)
    for t in range(count):
        highest = max(highest, shifts[t])
    largest = np.int32(-SCORE_LIMIT)
    limit = np.int32(SCORE_LIMIT)
    if base + highest <= 0:  # as usual: all are shifted down
        start = np.int32(-base)
        for t in range(count):
            down32 = np.int32(start - shifts[t])
            half = np.int32(left(1, down32) >> np.int32(1))
            found = right(scores[t] + half, down32)
            found = min(max(found, np.int32(-limit)), limit)
            scores[t] = found
            largest = max(largest, found)
        return largest
    down = np.int64(EXTRA) - base
    rounding = (np.int64(1) << down) >> 1
    for t in range(count):
        score = ((np.int64(scores[t]) << (np.int64(shifts[t]) + EXTRA)) + rounding) >> down
        found = np.int32(clamped(score, SCORE_LIMIT))
        scores[t] = found
        largest = max(largest, found)
    return largest


@lean_kernel
def fill_mantissas(
    scores: Int32Array, grades: Int32Array, shifts: Int32Array, largest: Integer, count: Integer
) -> tuple[Integer, Integer]:
    """Write M of 2^(score - largest) = M 2^(n - 30) into ``scores``, and n + ``shifts`` into ``grades``.

    Return the sum of M 2^n, each rounded down, and the largest grade. M is in [2^30, 2^31), and n an integer.
    """
    denominator = np.int64(0)
    top = np.int32(LEAST_POWER)
    for t in range(count):
        below = np.int32(scores[t] - largest)
        whole = max(np.int32(below >> np.int32(16)), np.int32(LEAST_POWER))
        mantissa = power_of_two(np.int32(np.int32(below & np.int32(0xFFFF)) >> np.int32(1)))
        denominator += np.int64(right(mantissa, min(np.int32(31), np.int32(-whole))))
        grade = np.int32(whole + shifts[t])
        scores[t] = mantissa
        grades[t] = grade
        top = max(top, grade)
    return denominator, top


@lean_kernel
def fill_shares(mantissas: Int32Array, grades: Int32Array, top: Integer, shares: Int16Array, count: Integer) -> None:
    """Write M 2^(grade - top - 16), rounded, into ``shares`` (count,), at most 2^15 - 1."""
    for t in range(count):
        down = min(np.int32(31), np.int32(np.int32(30 - SHARE_BITS) + np.int32(top - grades[t])))
        share = np.int32(np.int32(right(mantissas[t], down) + np.int32(1)) >> np.int32(1))
        shares[t] = np.int16(min(share, np.int32((1 << SHARE_BITS) - 1)))


@lean_kernel
def attend(
    scratch: Scratch,
    cache: Cache,
    slot: Integer,
    count: Integer,
    factor: Integer,
    bits: Integer,
    heads: Int64Array,
) -> None:
    """Attend with the queries in ``heads`` (n d,), Q16, to the first ``count`` positions; write the results there, Q24.

    The n heads are of one group: a block of its keys is read from memory once for all of them, and so are values.
    ``factor`` is Q30, and makes products exponents of two; queries are quantised to ``bits`` bits. A position's share
    is M 2^n over the sum of these, with M in [2^30, 2^31). A value is v 2^e, so v is weighted by M 2^(n + e): these
    weights are brought to 15 bits together.
    """
    size = scratch.query.shape[1]
    number = heads.shape[0] // size
    for k in range(number):
        head = heads[k * size : (k + 1) * size]
        for j in range(size):
            head[j] = (head[j] * factor + (1 << 29)) >> 30
        scratch.query_shifts[k] = quantise(head, bits, 0, scratch.query[k])
    keys, capacity = cache.keys[slot], scratch.scores.shape[1]
    for first in range(0, count, POSITIONS):
        for k in range(number):
            place = k * capacity + first
            wide_1_64(
                keys, first * size, 2 * POSITIONS, scratch.query, k * size, 0, size >> 1, scratch.scores, place, 0
            )
    for k in range(number):
        scores, grades = scratch.scores[k], scratch.grades
        largest = fill_scores(scores, cache.key_shifts[slot], scratch.query_shifts[k] - INNER_BITS, count)
        denominator, top = fill_mantissas(scores, grades, cache.value_shifts[slot], largest, count)
        fill_shares(scores, grades, top, scratch.shares[k], count)
        scratch.denominators[k], scratch.tops[k] = denominator, top
    weigh(cache.values[slot], scratch.shares, number, count, scratch.values, scratch.added)
    for k in range(number):
        # ``added`` is the sum of M 2^(n + e) v / 2^(16 + top); values are Q16
        added = scratch.added[k]
        cut = max(peak_bits(added) - SUM_BITS, np.int64(0))
        reciprocal = (np.int64(1) << DENOMINATOR_BITS) // scratch.denominators[k]
        shift = DENOMINATOR_BITS - HEAD_BITS - cut - scratch.tops[k]
        for j in range(size):
            heads[k * size + j] = shifted((added[j] >> cut) * reciprocal, shift, STREAM_LIMIT)


@lean_kernel
def weigh(
    values: Int16Array, shares: Int16Array, number: Integer, count: Integer, sums: Int32Array, added: Int64Array
) -> None:
    """Write the sums of ``count`` positions' values, times each head's shares, into ``added`` (heads, e)."""
    wide, capacity = added.shape[1], shares.shape[1]
    for k in range(number):
        for j in range(wide):
            added[k, j] = 0
        if count & 1:
            shares[k, count] = 0  # completes a pair; there is room, as blocks of the cache are even
    for begin in range(0, count, VALUE_SPAN):
        pairs = (min(VALUE_SPAN, count - begin) + 1) >> 1
        start = begin * wide
        for k in range(number):
            own = k * capacity + begin
            o = np.int64(0)
            while o < wide:
                if o + BLOCK <= wide:
                    wide_1_64(values, start + 2 * o, 2 * wide, shares, own, 0, pairs, sums, o, 0)
                    o += BLOCK
                else:
                    wide_1_16(values, start + 2 * o, 2 * wide, shares, own, 0, pairs, sums, o, 0)
                    o += SMALL
            total = added[k]
            for j in range(wide):
                total[j] += np.int64(sums[j])


@lean_kernel
def activate(network: Network, scratch: Scratch, row: Integer) -> None:
    """Write the activations of a row's product UP into the inputs."""
    size = network.sizes[FEED_FORWARD]
    found, wide = scratch.row[:size], scratch.wide[row]
    bits = np.int64(INNER_BITS)
    if network.sizes[GATED]:
        for j in range(size):
            found[j] = gated(wide[j], network.table) * wide[size + j]
        bits = np.int64(2 * INNER_BITS)
    else:
        for j in range(size):
            found[j] = gated(wide[j], network.table)
    scratch.shifts[row] = bits - quantise(found, INPUT_BITS, -62, scratch.inputs[row])


@lean_kernel
def keep_keys(
    network: Network, scratch: Scratch, cache: Cache, layer: Integer, row: Integer, lane: Integer, position: Integer
) -> None:
    """Norm and rotate a row's queries and keys; write its keys and values into the cache."""
    sizes, wide = network.sizes, scratch.wide[row]
    heads, groups, size = sizes[HEADS], sizes[GROUPS], sizes[HEAD]
    inner, shared, kept = heads * size, groups * size, scratch.added.shape[1]
    prepared(network, wide[:inner], 2 * layer, heads, position, scratch.row)
    prepared(network, wide[inner : inner + shared], 2 * layer + 1, groups, position, scratch.row)
    for group in range(groups):
        slot = (lane * sizes[LAYERS] + layer) * groups + group
        begin = inner + group * size
        shift = quantise(wide[begin : begin + size], CACHE_BITS, 0, scratch.query[0])
        cache.key_shifts[slot, position] = np.int32(shift)
        put_key(scratch.query[0], position, cache.keys[slot])
        begin += shared
        shift = quantise(wide[begin : begin + size], CACHE_BITS, 0, scratch.query[0])
        cache.value_shifts[slot, position] = np.int32(shift)
        put_value(scratch.query[0], position, kept, cache.values[slot])


@lean_kernel
def attend_chunk(
    network: Network,
    scratch: Scratch,
    cache: Cache,
    layer: Integer,
    lanes: Int64Array,
    positions: Int64Array,
    chunk: Integer,
    chunks: Integer,
) -> None:
    """Attend with a chunk of the heads, all or some of a group's in one row; the results replace the queries."""
    sizes, rows = network.sizes, lanes.shape[0]
    size, groups = sizes[HEAD], sizes[GROUPS]
    heads = sizes[HEADS] // groups  # of a group
    each = rows * groups * heads // chunks
    begin = chunk * each
    group, row, head = begin // (rows * heads), (begin // heads) % rows, begin % heads
    slot = (lanes[row] * sizes[LAYERS] + layer) * groups + group
    first = group * heads + head
    part = scratch.wide[row, first * size : (first + each) * size]
    attend(scratch, cache, slot, positions[row] + 1, network.score_factor[0], sizes[QUERY_BITS], part)


@lean_kernel
def prepare_row(network: Network, scratch: Scratch, number: Integer, row: Integer) -> None:
    """Write a row's inputs of matrix ``number``."""
    sizes, part, layer = network.sizes, number % MATRICES, number // MATRICES
    norm = np.int64(-1)
    if number == network.matrices.shape[0] - 1:
        norm = NORMS * layer
    elif part == QKV:
        if sizes[PARALLEL]:
            norm_row(network, scratch, NORMS * layer + BEFORE_GATES, row, scratch.second, scratch.second_shifts)
        norm = NORMS * layer + BEFORE_HEADS
    elif part == OUT:
        inner = sizes[HEADS] * sizes[HEAD]
        shift = quantise(scratch.wide[row, :inner], INPUT_BITS, -62, scratch.inputs[row])
        scratch.shifts[row] = HEAD_BITS - shift
    elif part == DOWN:
        activate(network, scratch, row)
    elif sizes[PARALLEL]:
        for j in range(sizes[WIDTH]):
            scratch.inputs[row, j] = scratch.second[row, j]
        scratch.shifts[row] = scratch.second_shifts[row]
    else:
        norm = NORMS * layer + BEFORE_GATES
    if norm >= 0:
        norm_row(network, scratch, norm, row, scratch.inputs, scratch.shifts)


@lean_kernel
def multiply_chunk(
    network: Network,
    scratch: Scratch,
    number: Integer,
    first: Integer,
    count: Integer,
    chunk: Integer,
    chunks: Integer,
    logits: Int32Array,
) -> None:
    """Write a chunk of the outputs of matrix ``number`` for ``count`` rows from ``first`` on."""
    is_last = number == network.matrices.shape[0] - 1
    outputs, part = network.matrices[number, 2], number % MATRICES
    blocks = (outputs + BLOCK - 1) // BLOCK
    begin, stop = (blocks * chunk // chunks) * BLOCK, min(outputs, (blocks * (chunk + 1) // chunks) * BLOCK)
    bits, limit, adds, out = INNER_BITS, INNER_LIMIT, 0, scratch.wide
    if is_last:
        out = scratch.piece
    elif part in (OUT, DOWN):
        bits, limit, adds, out = STREAM_BITS, STREAM_LIMIT, 1, scratch.stream
    while begin < stop:
        end = min(stop, begin + BLOCK) if is_last else stop
        origin = begin if is_last else np.int64(0)
        # the only call for products of a pass, since compilers inline it wherever it is called
        multiply(network, scratch, number, first, count, begin, end, bits, limit, adds, out, origin)
        if is_last:
            for r in range(count):
                for j in range(begin, end):
                    logits[r, j] = np.int32(out[r, j - begin])
        begin = end


@lean_kernel
def chunks_of(network: Network, phase: Integer, rows: Integer) -> Integer:
    """Return into how many chunks a phase of ``rows`` rows is cut; 0 if there is nothing to do."""
    number, stage, last = phase // STAGES, phase % STAGES, network.matrices.shape[0] - 1
    if stage == PRODUCT:
        blocks = (network.matrices[number, 2] + BLOCK - 1) // BLOCK
        return min(blocks, np.int64(LAST_PARTS if number == last else PARTS))
    if stage != PREPARE and (number == last or number % MATRICES != QKV):
        return np.int64(0)
    if stage == ATTEND:
        # a single group of a single row is cut into its heads, so that threads can share it
        return rows * network.sizes[GROUPS if rows * network.sizes[GROUPS] > 1 else HEADS]
    return np.int64(rows)


@lean_kernel
def do_chunk(
    network: Network,
    scratch: Scratch,
    cache: Cache,
    tokens: Int64Array,
    lanes: Int64Array,
    positions: Int64Array,
    first: Integer,
    logits: Int32Array,
    phase: Integer,
    chunk: Integer,
) -> None:
    """Do a chunk of a phase: stage ``phase`` % STAGES of matrix ``phase`` // STAGES."""
    number, stage = phase // STAGES, phase % STAGES
    begin = first if number == network.matrices.shape[0] - 1 else np.int64(0)
    count = tokens.shape[0] - begin
    if stage == PRODUCT:
        multiply_chunk(network, scratch, number, begin, count, chunk, chunks_of(network, phase, count), logits)
    elif stage == ATTEND:
        chunks = chunks_of(network, phase, count)
        attend_chunk(network, scratch, cache, number // MATRICES, lanes, positions, chunk, chunks)
    elif stage == KEEP:
        keep_keys(network, scratch, cache, number // MATRICES, chunk, lanes[chunk], positions[chunk])
    else:
        row = begin + chunk
        if number == 0:
            embed(network, tokens[row], positions[row], scratch.stream[row])
        prepare_row(network, scratch, number, row)


@lean_kernel
def work(
    network: Network,
    scratch: Scratch,
    cache: Cache,
    tokens: Int64Array,
    lanes: Int64Array,
    positions: Int64Array,
    first: Integer,
    logits: Int32Array,
    gate: Int64Array,
    leads: Integer,
) -> None:
    """Do as :func:`run`, as one of the threads that share the pass: the one that ``leads``, or a helper.

    ``scratch`` has arrays of this thread's own, and those that all threads share.
    """
    last = network.matrices.shape[0] - 1
    phases = STAGES * last + (0 if first == tokens.shape[0] else PRODUCT + 1)
    opened, chunks = np.int64(-1), np.int64(0)  # the current phase and its chunks, which the leader alone tracks
    while True:
        phase, chunk = np.int64(NONE), np.int64(0)
        if leads == 0:
            phase, chunk = take_or_wait(gate)
            if phase == CLOSED:
                return
        elif chunks > 1:
            phase, chunk = take(gate)
            if phase == NONE:
                wait_until_done(gate, chunks)
                chunks = np.int64(0)
        while phase == NONE:  # on to the next one
            opened += 1
            if opened == phases:
                close(gate)
                return
            chunks = chunks_of(network, opened, tokens.shape[0] - (first if opened >= STAGES * last else np.int64(0)))
            if chunks == 1:  # the leader does it sooner than a helper would notice it
                phase = opened
            elif chunks > 1:
                open_phase(gate, opened, chunks)
                phase, chunk = take(gate)
                if phase == NONE:
                    wait_until_done(gate, chunks)
        do_chunk(network, scratch, cache, tokens, lanes, positions, first, logits, phase, chunk)
        finish(gate)


def run(
    network: Network,
    scratch: Scratch,
    cache: Cache,
    tokens: Int64Array,
    lanes: Int64Array,
    positions: Int64Array,
    first: int,
    logits: Int32Array,
) -> None:
    """Read ``tokens`` (rows,) at ``positions`` of ``lanes``; write the logits after rows ``first`` and on.

    ``logits`` (rows - first, V) are exponents of two, Q16. All positions before a row's own must have been read, in
    this pass or before it.
    """
    work(network, scratch, cache, tokens, lanes, positions, first, logits, new_gate(), 1)


class Runner:
    """Room for passes of up to ``rows`` rows over caches of up to ``positions`` positions, in one or several threads.

    ``helpers`` threads beside the caller's share a pass, where as many cores are free
    (:func:`gencomp.cores.helpers`); the numbers are the same whatever their number. ``embedded`` returns the rows of
    the embedding of tokens (n,), where the network does not hold them.
    """

    def __init__(
        self,
        network: Network,
        rows: int,
        positions: int,
        helpers: int | None = None,
        embedded: Callable[[Int64Array], Int16Array] | None = None,
    ) -> None:
        self._network = network
        self._embedded = embedded
        self._scratch = new_scratch(network, rows, positions)
        self._gate = new_gate()
        self._own = [name for name in Scratch._fields if name not in _SHARED]
        self._others: list[Scratch] = []
        self._room = rows, positions
        self._most = _MOST_HELPERS if helpers is None else helpers

    def run(
        self,
        cache: Cache,
        tokens: Int64Array,
        lanes: Int64Array,
        positions: Int64Array,
        first: int,
        logits: Int32Array,
    ) -> None:
        """Do as :func:`run`."""
        network = self._network
        if self._embedded is not None:  # a row of the embedding for each row of the pass
            network, tokens = network._replace(embedding=self._embedded(tokens)), np.arange(len(tokens))
        rest = cache, tokens, lanes, positions, first, logits, self._gate
        products = len(tokens) * len(network.weights)

        def helping(k: int) -> tuple[Any, ...]:
            return network, self._scratch_of(k), *rest, 0

        with sharing(work, self._gate, self._most if products >= _LEAST_PRODUCTS else 0, helping):
            work(network, self._scratch, *rest, 1)

    def _scratch_of(self, k: int) -> Scratch:
        """Return the arrays of helper ``k``."""
        while len(self._others) <= k:
            fresh = new_scratch(self._network, *self._room)
            shared = {name: getattr(self._scratch, name) for name in _SHARED}
            self._others.append(fresh._replace(**shared))
        return self._others[k]
