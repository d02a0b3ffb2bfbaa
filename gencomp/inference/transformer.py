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
from gencomp.inference.tiles import (
    BLOCK,
    SMALL,
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
SCORE_LIMIT = 1 << 30
_LEAST_POWER = -40
_EXTRA = 4  # bits by which a sum goes up before it comes down


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
    """Keys and values: C positions, a multiple of 64, and d padded to e, a multiple of 16.

    A *slot* is the place of one group of one layer of one lane: (lane L + layer) G + group.
    """

    keys: Int16Array  # (slots, C d): of 64 positions after another d / 2 pairs, each of 64 positions
    key_shifts: Int32Array  # (slots, C)
    values: Int16Array  # (slots, C e): of two positions after another e pairs
    value_shifts: Int32Array  # (slots, C)


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
    slots, capacity = lanes * layers * groups, padded(positions, POSITIONS)
    return Cache(
        keys=np.zeros((slots, capacity * size), dtype=np.int16),
        key_shifts=np.zeros((slots, capacity), dtype=np.int32),
        values=np.zeros((slots, capacity * padded(size, SMALL)), dtype=np.int16),
        value_shifts=np.zeros((slots, capacity), dtype=np.int32),
    )


def capacity_of(cache: Cache) -> int:
    """Return for how many positions there is room."""
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
    capacity = padded(positions, POSITIONS)
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
        sums=np.zeros((rows, BLOCK), dtype=np.int32),
        totals=np.zeros((rows, BLOCK), dtype=np.int64),
        query=np.zeros(size, dtype=np.int16),
        scores=np.zeros(capacity, dtype=np.int32),
        grades=np.zeros(capacity, dtype=np.int32),
        shares=np.zeros(capacity, dtype=np.int16),
        values=np.zeros(padded(size, SMALL), dtype=np.int32),
        added=np.zeros(padded(size, SMALL), dtype=np.int64),
    )


@fragment
def scaled(total: Integer, factor: Integer, up: Integer, down: Integer) -> Integer:
    """Return ``total * factor`` 2^up / 2^down, rounded, of which one is 0; within STREAM_LIMIT where it goes up."""
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
    """Write ``totals * factors`` / 2^shift, rounded, plus biases, within ``limit``, into ``out``, or add it there.

    Totals are within 2^37 and factors below 2^24.
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
) -> None:
    """Write outputs [begin, end) of matrix ``number`` for ``count`` rows of the inputs into ``out``.

    ``begin`` is a multiple of BLOCK. Biases are added; ``out`` (count, n) gets Q``bits`` within ``limit``, which is
    added to what it has where ``adds``.
    """
    start, at = network.matrices[number, 0], network.matrices[number, 1]
    outputs, columns, scale = network.matrices[number, 2], network.matrices[number, 3], network.matrices[number, 4]
    whole = (outputs + SMALL - 1) // SMALL * SMALL
    columns = (columns + 1) // 2 * 2
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
            part = out[row, o - begin : o - begin + used]
            scale_row(totals[row], factors, added, shift, limit, adds, part)
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
def norm_head(
    head: Int64Array, gains: Int32Array, bits: Integer, epsilon: Integer, zeros: Int64Array, normed: Int64Array
) -> None:
    """Norm a head's queries or keys, Q16, in place; ``normed`` is scratch."""
    normalise(head, gains, zeros, bits, epsilon, INNER_BITS, 0, normed)
    for j in range(head.shape[0]):
        head[j] = shifted(normed[j], GAIN_BITS + bits - INNER_BITS, INNER_LIMIT)


@lean_kernel
def put_key(key: Int16Array, position: Integer, keys: Int16Array) -> None:
    """Write a position's keys where the tiles read them."""
    size = key.shape[0]
    start = position // POSITIONS * POSITIONS * size + 2 * (position % POSITIONS)
    for j in range(size):
        keys[start + (j >> 1) * (2 * POSITIONS) + (j & 1)] = key[j]


@lean_kernel
def put_value(value: Int16Array, position: Integer, width: Integer, values: Int16Array) -> None:
    """Write a position's values where the tiles read them; ``width`` numbers are kept of each."""
    start = (position >> 1) * (2 * width) + (position & 1)
    for j in range(value.shape[0]):
        values[start + 2 * j] = value[j]


@lean_kernel
def prepared(
    network: Network, row: Int64Array, number: Integer, count: Integer, position: Integer, normed: Int64Array
) -> None:
    """Norm and turn ``count`` heads of queries or keys, one after another in ``row``, by head norm ``number``."""
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
    """Bring sums of products to powers of two in Q16, in place, within 2^14; return the largest of ``count``.

    A sum is below 2^31 - 2^20, its score 2^(base + shift) as much; ``base`` is from -16 to 4, a shift from 0 to 21.
    """
    highest = np.int32(0)
    for t in range(count):
        highest = max(highest, shifts[t])
    largest = np.int32(-SCORE_LIMIT)
    limit = np.int32(SCORE_LIMIT)
    if base + highest <= 0:  # which is usual: no sum goes up
        start = np.int32(-base)
        for t in range(count):
            down32 = np.int32(start - shifts[t])
            half = np.int32(left(1, down32) >> np.int32(1))
            found = right(scores[t] + half, down32)
            found = min(max(found, np.int32(-limit)), limit)
            scores[t] = found
            largest = max(largest, found)
        return largest
    down = np.int64(_EXTRA) - base
    rounding = (np.int64(1) << down) >> 1
    for t in range(count):
        score = ((np.int64(scores[t]) << (np.int64(shifts[t]) + _EXTRA)) + rounding) >> down
        found = np.int32(clamped(score, SCORE_LIMIT))
        scores[t] = found
        largest = max(largest, found)
    return largest


@lean_kernel
def fill_mantissas(
    scores: Int32Array, grades: Int32Array, shifts: Int32Array, largest: Integer, count: Integer
) -> tuple[Integer, Integer]:
    """Write M of 2^(score - largest) = M 2^(n - 30) into ``scores``, n + ``shifts`` into ``grades``.

    Returns the sum of M 2^n, rounded down, and the largest grade.
    """
    denominator = np.int64(0)
    top = np.int32(_LEAST_POWER)
    for t in range(count):
        below = np.int32(scores[t] - largest)
        whole = max(np.int32(below >> np.int32(16)), np.int32(_LEAST_POWER))
        mantissa = power_of_two(np.int32(np.int32(below & np.int32(0xFFFF)) >> np.int32(1)))
        denominator += np.int64(right(mantissa, min(np.int32(31), np.int32(-whole))))
        grade = np.int32(whole + shifts[t])
        scores[t] = mantissa
        grades[t] = grade
        top = max(top, grade)
    return denominator, top


@lean_kernel
def fill_shares(mantissas: Int32Array, grades: Int32Array, top: Integer, shares: Int16Array, count: Integer) -> None:
    """Write M 2^(grade - top - 16), rounded, into ``shares``, below 2^15."""
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
    head: Int64Array,
) -> None:
    """Attend with the queries in ``head`` (d,), Q16, to the first ``count`` positions; write what comes out, Q24.

    ``factor`` is Q30, and brings products to powers of two; ``bits`` are the queries'. A share is M 2^n over the sum of
    them, with M in [2^30, 2^31). A value is v 2^e; the weights of a sum are M 2^(n + e), brought to 15 bits together.
    """
    size = head.shape[0]
    for j in range(size):
        head[j] = (head[j] * factor + (1 << 29)) >> 30
    query_shift = quantise(head, bits, 0, scratch.query)
    keys = cache.keys[slot]
    scores, grades, shares = scratch.scores, scratch.grades, scratch.shares
    for block in range((count + POSITIONS - 1) // POSITIONS):
        wide_1_64(
            keys, block * POSITIONS * size, 2 * POSITIONS, scratch.query, 0, 0, size >> 1, scores, block * POSITIONS, 0
        )
    largest = fill_scores(scores, cache.key_shifts[slot], query_shift - INNER_BITS, count)
    denominator, top = fill_mantissas(scores, grades, cache.value_shifts[slot], largest, count)
    fill_shares(scores, grades, top, shares, count)
    added = scratch.added
    weigh(cache.values[slot], shares, count, scratch.values, added)
    # the sum of W v is that of M 2^(n + e) v / 2^(16 + top); values are Q16
    cut = max(peak_bits(added) - _SUM_BITS, np.int64(0))
    reciprocal = (np.int64(1) << _DENOMINATOR_BITS) // denominator
    shift = _DENOMINATOR_BITS - HEAD_BITS - cut - np.int64(top)
    for j in range(size):
        head[j] = shifted((added[j] >> cut) * reciprocal, shift, STREAM_LIMIT)


@lean_kernel
def weigh(values: Int16Array, shares: Int16Array, count: Integer, sums: Int32Array, added: Int64Array) -> None:
    """Write the sum of ``count`` positions' values times their shares into ``added`` (e,)."""
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
    sizes, rows, last = network.sizes, tokens.shape[0], network.matrices.shape[0] - 1
    for index in range(rows):
        embed(network, tokens[index], positions[index], scratch.stream[index])
    # every product of the pass stands in one place here: compilers take it into each place where it stands
    for number in range(last + 1):
        part = number % MATRICES
        layer = number // MATRICES
        bits, limit, adds, out = INNER_BITS, INNER_LIMIT, 0, scratch.wide
        begin: Integer = np.int64(0)
        row: Integer = np.int64(0)
        count: Integer = rows
        if number == last:
            if first == rows:
                break
            norm_rows(network, scratch, NORMS * layer, rows, scratch.inputs, scratch.shifts)
            row, count = np.int64(first), rows - first
        elif part == QKV:
            if sizes[PARALLEL]:
                norm_rows(network, scratch, NORMS * layer + BEFORE_GATES, rows, scratch.second, scratch.second_shifts)
            norm_rows(network, scratch, NORMS * layer + BEFORE_HEADS, rows, scratch.inputs, scratch.shifts)
        elif part == UP:
            if sizes[PARALLEL]:
                take_second(scratch, rows, sizes[WIDTH])
            else:
                norm_rows(network, scratch, NORMS * layer + BEFORE_GATES, rows, scratch.inputs, scratch.shifts)
        else:
            bits, limit, adds, out = STREAM_BITS, STREAM_LIMIT, 1, scratch.stream
        outputs = network.matrices[number, 2]
        while begin < outputs:
            end = min(outputs, begin + out.shape[1] // BLOCK * BLOCK) if number == last else outputs
            multiply(network, scratch, number, row, count, begin, end, bits, limit, adds, out)
            if number == last:
                for r in range(count):
                    for j in range(begin, end):
                        logits[r, j] = np.int32(scratch.wide[r, j - begin])
            begin = end
        if number < last and part == QKV:
            attend_rows(network, scratch, cache, layer, lanes, positions)
        elif number < last and part == UP:
            activate(network, scratch, rows)


@lean_kernel
def take_second(scratch: Scratch, rows: Integer, width: Integer) -> None:
    """Make the other branch's inputs the inputs."""
    for row in range(rows):
        for j in range(width):
            scratch.inputs[row, j] = scratch.second[row, j]
        scratch.shifts[row] = scratch.second_shifts[row]


@lean_kernel
def attend_rows(
    network: Network, scratch: Scratch, cache: Cache, layer: Integer, lanes: Int64Array, positions: Int64Array
) -> None:
    """Write what all heads of all rows attend to into the inputs; their keys and values go into the cache first."""
    sizes, rows, wide = network.sizes, lanes.shape[0], scratch.wide
    heads, groups, size = sizes[HEADS], sizes[GROUPS], sizes[HEAD]
    inner, shared, kept = heads * size, groups * size, scratch.added.shape[0]
    for row in range(rows):
        position = positions[row]
        prepared(network, wide[row, :inner], 2 * layer, heads, position, scratch.row)
        prepared(network, wide[row, inner : inner + shared], 2 * layer + 1, groups, position, scratch.row)
        for group in range(groups):
            slot = (lanes[row] * sizes[LAYERS] + layer) * groups + group
            begin = inner + group * size
            shift = quantise(wide[row, begin : begin + size], CACHE_BITS, 0, scratch.query)
            cache.key_shifts[slot, position] = np.int32(shift)
            put_key(scratch.query, position, cache.keys[slot])
            begin += shared
            shift = quantise(wide[row, begin : begin + size], CACHE_BITS, 0, scratch.query)
            cache.value_shifts[slot, position] = np.int32(shift)
            put_value(scratch.query, position, kept, cache.values[slot])
    for group in range(groups):
        for row in range(rows):
            slot = (lanes[row] * sizes[LAYERS] + layer) * groups + group
            for head in range(group * heads // groups, (group + 1) * heads // groups):
                part = wide[row, head * size : (head + 1) * size]
                attend(
                    scratch, cache, slot, positions[row] + 1, network.score_factor[0], network.sizes[QUERY_BITS], part
                )
    for row in range(rows):
        shift = quantise(wide[row, :inner], INPUT_BITS, -62, scratch.inputs[row])
        scratch.shifts[row] = HEAD_BITS - shift
