"""A decoder-only Transformer in integers: the families of Llama, GPT-2 and GPT-NeoX in one forward pass.

A pass takes *rows*: tokens at given positions of given lanes, as many as come, and adds their keys and values to the
cache before it attends. All sums are of integers, so a row's numbers do not depend on which other rows come with it: a
whole window at once and single steps of many lanes give the same bits.

Weights are int8 with a multiplier for each output, what they are multiplied with is int16 with a shift for each row,
keys and values are 11 bits with a shift for each position and head, fixed when they are written. An attention's shares
are powers of two by a polynomial, 15 bits. :mod:`gencomp.inference.rows` and :mod:`gencomp.inference.tiles` state the
bounds of each step; :mod:`gencomp.inference.transformer_weights` makes networks, and checks what the bounds ask of
them.
"""

from typing import NamedTuple

import numpy as np

from gencomp.compiled import Integer, lean_kernel
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
    bit_length,
    clamped,
    gated,
    normalise,
    power_of_two,
    quantise,
    rotate,
    shifted,
)
from gencomp.inference.tiles import (
    BLOCK,
    SMALL,
    AnyArray,
    Int64Array,
    multiply_block,
    padded,
    wide_1_16,
    wide_1_64,
)

# of Network.sizes
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
# the matrices of a layer; the output's comes after all of them
QKV, OUT, UP, DOWN, MATRICES = range(5)
# the norms of a layer; the last one comes after all of them
BEFORE_HEADS, BEFORE_GATES, NORMS = range(3)

VALUE_SPAN = 32  # positions: 32 * 32767 * 2047 < 2^31
POSITIONS = 64  # of a block of the cache
HEAD_BITS = 24  # fractional, of what heads give
_DENOMINATOR_BITS = 61
_SUM_BITS = 31
_SCORE_LIMIT = 1 << 30
_LEAST_POWER = -40
_EXTRA = 4  # bits by which a product of units and sums goes up before it comes down


class Network(NamedTuple):
    """A network as the kernels read it: L layers, D wide, H heads of d numbers in G groups, F, V.

    Matrix m of layer l is number 4 l + m, the output's 4 L; norm n of layer l is number 2 l + n, the last one's 2 L.
    """

    sizes: Int64Array  # by the names above
    weights: Int8Array  # all matrices, packed
    matrices: Int64Array  # (4 L + 1, 5): start in weights, in numbers; outputs, inputs; bits of the multipliers
    multipliers: Int32Array  # of all matrices' outputs, below 2^24
    biases: Int64Array  # the same, in the fixed point of what the product is for
    gains: Int32Array  # (2 L + 1, D)
    norm_biases: Int64Array  # (2 L + 1, D)
    gain_bits: Int64Array  # (2 L + 1,)
    head_gains: Int32Array  # (2 L, d): of queries and of keys, or (0, d)
    head_gain_bits: Int64Array  # (2 L,)
    zeros: Int64Array  # (d,)
    epsilon: Int64Array  # (1,) Q60
    embedding: Int16Array  # (V, D)
    positions: Int16Array  # (P, D) learned, or (0, D)
    embedding_bits: Int64Array  # (2,) of both
    table: Int32Array  # (2050,) of the activation
    turned: Int32Array  # (positions, rotated / 2, 2) Q30
    score_factor: Int64Array  # (1,) log2(e) / sqrt(d), Q30


class Cache(NamedTuple):
    """Keys and values of lanes: C positions, a multiple of 64, and d padded to e, a multiple of 16."""

    keys: Int16Array  # (lanes, L, G, C / 64, d / 2, 64, 2)
    key_units: Int32Array  # (lanes, L, G, C) 2^shift
    values: Int16Array  # (lanes, L, G, C / 2, e, 2)
    value_shifts: Int32Array  # (lanes, L, G, C)


class Scratch(NamedTuple):
    """Room for the rows of one pass."""

    stream: Int64Array  # (rows, D) Q20
    wide: Int64Array  # (rows, widest product)
    row: Int64Array  # (widest row,)
    inputs: Int16Array  # (rows, widest input)
    shifts: Int64Array  # (rows,)
    second: Int16Array  # (rows, D): the other branch's inputs where branches are parallel
    second_shifts: Int64Array  # (rows,)
    sums: Int32Array  # (rows, 64)
    totals: Int64Array  # (rows, 64)
    query: Int16Array  # (d,)
    scores: Int32Array  # (C,)
    grades: Int32Array  # (C,)
    shares: Int16Array  # (C,)
    values: Int32Array  # (e,)
    added: Int64Array  # (e,)


def new_cache(network: Network, lanes: int, positions: int) -> Cache:
    """Return an empty cache for ``lanes`` texts of ``positions`` positions, which are rounded up to whole blocks."""
    layers, groups, size = (int(network.sizes[k]) for k in (LAYERS, GROUPS, HEAD))
    capacity = padded(positions, POSITIONS)
    return Cache(
        keys=np.zeros((lanes, layers, groups, capacity // POSITIONS, size // 2, POSITIONS, 2), dtype=np.int16),
        key_units=np.zeros((lanes, layers, groups, capacity), dtype=np.int32),
        values=np.zeros((lanes, layers, groups, capacity // 2, padded(size, SMALL), 2), dtype=np.int16),
        value_shifts=np.zeros((lanes, layers, groups, capacity), dtype=np.int32),
    )


def grown_cache(cache: Cache, positions: int) -> Cache:
    """Return a copy of ``cache`` with room for ``positions`` positions."""
    found = []
    for part, unit in zip(cache, (POSITIONS, 1, 2, 1), strict=True):
        shape = list(part.shape)
        before = shape[3]
        shape[3] = padded(positions, POSITIONS) // unit
        more = np.zeros(shape, dtype=part.dtype)
        kept = min(before, shape[3])
        more[:, :, :, :kept] = part[:, :, :, :kept]
        found.append(more)
    return Cache(*found)


def new_scratch(network: Network, rows: int, positions: int) -> Scratch:
    """Return room for passes of up to ``rows`` rows over caches of up to ``positions`` positions."""
    width, heads, size, feed_forward = (int(network.sizes[k]) for k in (WIDTH, HEADS, HEAD, FEED_FORWARD))
    capacity = padded(positions, POSITIONS)
    widest = int(network.matrices[:-1, 2].max())
    inputs = padded(max(width, heads * size, feed_forward), 2)
    return Scratch(
        stream=np.zeros((rows, width), dtype=np.int64),
        wide=np.zeros((rows, widest), dtype=np.int64),
        row=np.zeros(max(inputs, widest), dtype=np.int64),
        inputs=np.zeros((rows, inputs), dtype=np.int16),
        shifts=np.zeros(rows, dtype=np.int64),
        second=np.zeros((rows, padded(width, 2)), dtype=np.int16),
        second_shifts=np.zeros(rows, dtype=np.int64),
        sums=np.zeros((rows, BLOCK), dtype=np.int32),
        totals=np.zeros((rows, BLOCK), dtype=np.int64),
        query=np.zeros(size, dtype=np.int16),
        scores=np.zeros(capacity, dtype=np.int32),
        grades=np.zeros(capacity, dtype=np.int32),
        shares=np.zeros(capacity, dtype=np.int16),
        values=np.zeros(padded(size, SMALL), dtype=np.int32),
        added=np.zeros(padded(size, SMALL), dtype=np.int64),
    )


@lean_kernel
def multiply(
    network: Network,
    scratch: Scratch,
    number: Integer,
    inputs: Int16Array,
    shifts: Int64Array,
    first: Integer,
    count: Integer,
    bits: Integer,
    limit: Integer,
    adds: Integer,
    out: AnyArray,
) -> None:
    """Write matrix ``number`` times rows [first, first + count) of ``inputs``, plus biases, into ``out`` (count, n).

    Row r stands for ``inputs[r]`` / 2^shifts[r]; ``out`` gets Q``bits`` within ``limit``, and ``adds`` to what it has.
    """
    start, at = network.matrices[number, 0], network.matrices[number, 1]
    outputs, columns, scale = network.matrices[number, 2], network.matrices[number, 3], network.matrices[number, 4]
    whole = (outputs + SMALL - 1) // SMALL * SMALL
    columns = (columns + 1) // 2 * 2
    o = np.int64(0)
    while o < whole:
        size = np.int64(BLOCK) if o + BLOCK <= whole else np.int64(SMALL)
        multiply_block(
            network.weights,
            start + o * columns,
            size,
            inputs,
            columns,
            first,
            count,
            scratch.sums,
            scratch.totals,
        )
        used = min(size, outputs - o)
        for row in range(count):
            shift = shifts[first + row] + scale - bits
            if shift > 0:
                right = min(shift, np.int64(61))
                half = np.int64(1) << (right - 1)
                for j in range(used):
                    product = scratch.totals[row, j] * np.int64(network.multipliers[at + o + j])
                    value = ((product + half) >> right) + network.biases[at + o + j]
                    if adds:
                        value += out[row, o + j]
                    out[row, o + j] = clamped(value, limit)
            else:
                for j in range(used):
                    product = scratch.totals[row, j] * np.int64(network.multipliers[at + o + j])
                    value = shifted(product, shift, STREAM_LIMIT) + network.biases[at + o + j]
                    if adds:
                        value += out[row, o + j]
                    out[row, o + j] = clamped(value, limit)
        o += size


@lean_kernel
def norm_rows(
    network: Network, scratch: Scratch, number: Integer, rows: Integer, inputs: Int16Array, shifts: Int64Array
) -> None:
    """Write the streams of ``rows`` rows, normed by norm ``number``, into ``inputs``."""
    width = network.sizes[WIDTH]
    bits = network.gain_bits[number]
    for row in range(rows):
        normed = scratch.row[:width]
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
def norm_head(network: Network, scratch: Scratch, number: Integer, head: Int64Array) -> None:
    """Norm a head's queries or keys, Q16, by the head's norm ``number``, in place."""
    size = head.shape[0]
    normed = scratch.row[:size]
    bits = network.head_gain_bits[number]
    normalise(head, network.head_gains[number], network.zeros, bits, network.epsilon[0], INNER_BITS, 0, normed)
    for j in range(size):
        head[j] = shifted(normed[j], GAIN_BITS + bits - INNER_BITS, INNER_LIMIT)


@lean_kernel
def remember(
    network: Network, scratch: Scratch, cache: Cache, layer: Integer, row: Integer, lane: Integer, position: Integer
) -> None:
    """Turn the keys of a row, and write them and its values into the cache."""
    heads, groups, size = network.sizes[HEADS], network.sizes[GROUPS], network.sizes[HEAD]
    turned = network.turned[position]
    block, place = position // POSITIONS, position % POSITIONS
    for group in range(groups):
        begin = (heads + group) * size
        key = scratch.wide[row, begin : begin + size]
        if network.sizes[HEAD_NORMS]:
            norm_head(network, scratch, 2 * layer + 1, key)
        if network.sizes[ROTATED] > 0:
            rotate(key, turned)
        shift = quantise(key, CACHE_BITS, 0, scratch.query)
        cache.key_units[lane, layer, group, position] = np.int32(1 << shift)
        for j in range(size):
            cache.keys[lane, layer, group, block, j >> 1, place, j & 1] = scratch.query[j]
        begin += groups * size
        shift = quantise(scratch.wide[row, begin : begin + size], CACHE_BITS, 0, scratch.query)
        cache.value_shifts[lane, layer, group, position] = np.int32(shift)
        for j in range(size):
            cache.values[lane, layer, group, position >> 1, j, position & 1] = scratch.query[j]


@lean_kernel
def attend(
    network: Network,
    scratch: Scratch,
    cache: Cache,
    layer: Integer,
    group: Integer,
    lane: Integer,
    position: Integer,
    head: Int64Array,
) -> None:
    """Attend with the queries in ``head`` (d,), Q16, to positions up to ``position``; write what comes out, Q24.

    A score is the product of query and key, at most 2^31 by their bits, times the units of both; in Q16, within 2^14.
    A share is M 2^n over the sum of them, with M in [2^30, 2^31). A value is v 2^e; the weights of a sum are
    M 2^(n + e), brought to 15 bits together.
    """
    size = head.shape[0]
    if network.sizes[HEAD_NORMS]:
        norm_head(network, scratch, 2 * layer, head)
    if network.sizes[ROTATED] > 0:
        rotate(head, network.turned[position])
    factor = network.score_factor[0]
    for j in range(size):
        head[j] = (head[j] * factor + (1 << 29)) >> 30
    query_shift = quantise(head, network.sizes[QUERY_BITS], 0, scratch.query)
    keys, units = cache.keys[lane, layer, group], cache.key_units[lane, layer, group]
    scores, grades, shares = scratch.scores, scratch.grades, scratch.shares
    count = position + 1
    for block in range((count + POSITIONS - 1) // POSITIONS):
        wide_1_64(
            keys, block * POSITIONS * size, 2 * POSITIONS, scratch.query, 0, 0, size >> 1, scores, block * POSITIONS, 0
        )
    # the sums are Q16 Q16 / (units of the query and of the key)
    down = np.int64(INNER_BITS + _EXTRA) - query_shift
    half = (np.int64(1) << down) >> 1
    largest = np.int32(-_SCORE_LIMIT)
    for t in range(count):
        score = ((np.int64(scores[t]) * np.int64(units[t])) << _EXTRA) + half >> down
        found = np.int32(clamped(score, _SCORE_LIMIT))
        scores[t] = found
        largest = max(largest, found)
    shifts = cache.value_shifts[lane, layer, group]
    denominator = np.int64(0)
    top = np.int32(_LEAST_POWER)
    for t in range(count):
        below = np.int32(scores[t] - largest)
        whole = max(np.int32(below >> np.int32(16)), np.int32(_LEAST_POWER))
        mantissa = power_of_two(np.int32(np.int32(below & np.int32(0xFFFF)) >> np.int32(1)))
        denominator += np.int64(mantissa >> min(np.int32(31), np.int32(-whole)))
        grade = np.int32(whole + shifts[t])
        scores[t] = mantissa
        grades[t] = grade
        top = max(top, grade)
    for t in range(count):
        down32 = min(np.int32(31), np.int32(np.int32(30 - SHARE_BITS) + np.int32(top - grades[t])))
        share = np.int32(np.int32(scores[t] >> down32) + np.int32(1)) >> np.int32(1)
        shares[t] = np.int16(min(np.int32(share), np.int32((1 << SHARE_BITS) - 1)))
    weigh(scratch, cache.values[lane, layer, group], count, size)
    # sum of W v = sum of M 2^(n + e) v / 2^(16 + top); over the denominator: times 2^top in units of 1
    added = scratch.added[:size]
    seen = np.int64(0)
    for j in range(size):
        seen |= abs(added[j])
    cut = max(bit_length(seen) - _SUM_BITS, np.int64(0))
    reciprocal = (np.int64(1) << _DENOMINATOR_BITS) // denominator
    shift = _DENOMINATOR_BITS - HEAD_BITS - cut - np.int64(top)
    for j in range(size):
        head[j] = shifted((added[j] >> cut) * reciprocal, shift, STREAM_LIMIT)


@lean_kernel
def weigh(scratch: Scratch, values: Int16Array, count: Integer, size: Integer) -> None:
    """Add the values of ``count`` positions times their shares up in ``scratch.added``."""
    added, shares, sums = scratch.added, scratch.shares, scratch.values
    wide = added.shape[0]
    for j in range(wide):
        added[j] = 0
    if count & 1:
        shares[count] = 0  # there is room: blocks of the cache are even
    begin = 0
    while begin < count:
        pairs = (min(VALUE_SPAN, count - begin) + 1) >> 1
        start = begin * wide
        o = 0
        while o < wide:
            if o + BLOCK <= wide:
                wide_1_64(values, start + 2 * o, 2 * wide, shares, begin, 0, pairs, sums, o, 0)
                o += BLOCK
            else:
                wide_1_16(values, start + 2 * o, 2 * wide, shares, begin, 0, pairs, sums, o, 0)
                o += SMALL
        for j in range(wide):
            added[j] += np.int64(sums[j])
        begin += VALUE_SPAN


@lean_kernel
def activate(network: Network, scratch: Scratch, rows: Integer) -> None:
    """Write the activations of ``rows`` rows of what UP gave into the inputs."""
    size = network.sizes[FEED_FORWARD]
    row = scratch.row[:size]
    for r in range(rows):
        wide = scratch.wide[r]
        if network.sizes[GATED]:
            for j in range(size):
                row[j] = gated(wide[j], network.table) * wide[size + j]
            bits = np.int64(2 * INNER_BITS)
        else:
            for j in range(size):
                row[j] = gated(wide[j], network.table)
            bits = np.int64(INNER_BITS)
        scratch.shifts[r] = bits - quantise(row, INPUT_BITS, -62, scratch.inputs[r])


@lean_kernel
def run(
    network: Network,
    scratch: Scratch,
    cache: Cache,
    tokens: Int64Array,
    lanes: Int64Array,
    positions: Int64Array,
    first: Integer,
    logits: Int32Array,
) -> None:
    """Read ``tokens`` (rows,) at ``positions`` of ``lanes``; write logits after rows from ``first`` on into ``logits``.

    Those are (rows - first, V) in powers of two, Q16. The positions before a row's own have been read, in this pass or
    before it.
    """
    sizes, rows = network.sizes, tokens.shape[0]
    heads, groups, size, width = sizes[HEADS], sizes[GROUPS], sizes[HEAD], sizes[WIDTH]
    inputs, shifts, stream = scratch.inputs, scratch.shifts, scratch.stream
    for row in range(rows):
        embed(network, tokens[row], positions[row], stream[row])
    for layer in range(sizes[LAYERS]):
        matrix = MATRICES * layer
        norm_rows(network, scratch, NORMS * layer + BEFORE_HEADS, rows, inputs, shifts)
        if sizes[PARALLEL]:
            norm_rows(network, scratch, NORMS * layer + BEFORE_GATES, rows, scratch.second, scratch.second_shifts)
        multiply(network, scratch, matrix + QKV, inputs, shifts, 0, rows, INNER_BITS, INNER_LIMIT, 0, scratch.wide)
        for row in range(rows):
            remember(network, scratch, cache, layer, row, lanes[row], positions[row])
        for group in range(groups):
            for row in range(rows):
                for head in range(group * heads // groups, (group + 1) * heads // groups):
                    part = scratch.wide[row, head * size : (head + 1) * size]
                    attend(network, scratch, cache, layer, group, lanes[row], positions[row], part)
        for row in range(rows):
            shift = quantise(scratch.wide[row, : heads * size], INPUT_BITS, -62, inputs[row])
            shifts[row] = HEAD_BITS - shift
        multiply(network, scratch, matrix + OUT, inputs, shifts, 0, rows, STREAM_BITS, STREAM_LIMIT, 1, stream)
        if sizes[PARALLEL]:
            for row in range(rows):
                for j in range(width):
                    inputs[row, j] = scratch.second[row, j]
                shifts[row] = scratch.second_shifts[row]
        else:
            norm_rows(network, scratch, NORMS * layer + BEFORE_GATES, rows, inputs, shifts)
        multiply(network, scratch, matrix + UP, inputs, shifts, 0, rows, INNER_BITS, INNER_LIMIT, 0, scratch.wide)
        activate(network, scratch, rows)
        multiply(network, scratch, matrix + DOWN, inputs, shifts, 0, rows, STREAM_BITS, STREAM_LIMIT, 1, stream)
    if first < rows:
        last = sizes[LAYERS]
        norm_rows(network, scratch, NORMS * last, rows, inputs, shifts)
        multiply(
            network, scratch, MATRICES * last, inputs, shifts, first, rows - first, INNER_BITS, INNER_LIMIT, 0, logits
        )
