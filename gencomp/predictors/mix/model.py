"""The compiled model: bitwise context mixing, integers only.

A byte is predicted bit by bit, most significant first. Each context finds, once per nibble, a slot of 16 bytes in one
hash table: a check byte and the bit histories of the nibble's 15 nodes. For each bit

1. an adaptive counter (PAQ's StateMap) maps each context's bit history to a probability, which is an input twice:
   stretched, and as it is; contexts that recur often have plain counters, with or without a history;
2. match models predict what followed the longest recent repeats, as far as matches of their lengths can be trusted;
3. another predictor, if there is one, gives its own probability;
4. mixers (rows of weights, each selected by another small context) combine the inputs in the logistic domain; one or
   two final mixers combine the mixers, and their mean is taken;
5. adaptive maps (SSE, PAQ's APM) refine the result, by the partial byte and by hashes of what precedes it;
6. the bit is coded, and everything that took part learns it.

The level says how many of each there are (:mod:`~gencomp.predictors.mix.levels`); the kernels are the same. For some
levels they are compiled apart, with these numbers known to the compiler (:class:`Shape`), which unrolls the loops.

The ideas are those of PAQ (Mahoney 2005, "Adaptive Weighing of Context Models for Lossless Data Compression", and
"Data Compression Explained", section 4.3), of lpaq (nibble slots, match model) and of PAQ8 (two inputs a context,
several weight sets, final mixer); the code is written from these descriptions.

Coding, decoding, priming and predicting are one model: :func:`run` and :func:`fill_weights` share its steps.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gencomp.coding.logistic import PROBABILITY_BITS, SQUASH, SQUASH_LIMIT, STRETCH, STRETCH_LIMIT
from gencomp.coding.range_coder import decode_step, encode_step
from gencomp.compiled import Integer, fragment, lean_kernel, prefetch
from gencomp.inference.recurrent import Memory, Network, logit
from gencomp.inference.recurrent import step as read_byte
from gencomp.predictors.mix.contexts import (
    CLASSES,
    LENGTH,
    LOW,
    MATCH,
    MATCH_LENGTH,
    MATCHES,
    MODE,
    MODES,
    NOTE,
    NUCLEOTIDES,
    OFFSET,
    POSITION,
    RECENT,
    WIDTH,
    WORD,
    ByteArray,
    advance,
    fill_hashes,
    hash_step,
)
from gencomp.predictors.mix.tables import COUNTER_STEPS, NEXT, RATES
from gencomp.predictors.mix.vectors import VECTOR, Int32Array, train, weigh, weigh_fresh
from gencomp.protocols import IntArray

LEARN, ENCODE, DECODE = range(3)

SLOT = 16  # bytes; the first is the check, then the nibble's nodes 1 to 15
BUCKET_BITS = 6  # a bucket of 4 slots is a cache line
CERTAIN = (1 << 22) - 1  # a counter's largest probability; it has 22 bits, and the count the lowest 10
EVEN = 1 << 31  # a counter that says 1/2 and has counted nothing
LEAST_NUCLEOTIDES = (20, 32)  # the match models' least lengths in nucleotides, whose short repeats are chance
MAX_MATCH = 400  # bytes that are compared when a match is found; it may become twice as long
TRUSTS = 64  # classes of match length
SELECTOR_ROWS = MODES * 256  # rows of weights that a mixer has
WEIGHT_ONE = 1 << 16
REFINE_CELLS = 16  # of an adaptive map's row: the ends of 15 steps of the logistic domain; half a cache line
REFINE_RATE = 6  # adaptive maps and trusts learn 2^-6 of an error
GUIDE_CELLS = 33  # of a partial byte's row of trusts: the ends of 32 steps of 128 in the logistic domain
# how wrong the network is: its error in the current byte and of late, in units of 2^-16; how many bytes that is the
# mean of; whether the network is doubted
ERROR, LATE_ERROR, JUDGED, DOUBTED, NUM_DOUBTS = range(5)
DOUBT_BYTES = 32  # about how many bytes "of late" means
# the network is doubted while its error is above 2, until it is below 1.8: that of a network that knows nothing is 4;
# on text it is 0.5 to 1.9
DOUBT_ERROR, TRUST_ERROR = 2 << 16, 29 << 12
FIRST_ERROR = 1 << 16
MIX_RATE, MIX_SHIFT, FINAL_SHIFT = 2, 18, 17
NO_CHANGE = 64  # smaller errors move no weight, since |input| * error < 2^(MIX_SHIFT - 1)
EAGER = 16384  # bytes until the mixers' rate has come down to about MIX_RATE
BYTES_PER_SYMBOL = 16  # at most what 8 bits of probability 2^-16 write
# where inputs begin: bias, matches, another predictor, then plain counters and contexts
BIAS, MATCH_INPUT, EXTERNAL_INPUT, COUNTER_INPUTS = 0, 1, 3, 4
# places of a model's ``counts``, which describe its level; LEAST has one for each match model
TWICE, MAPS, LEAST, _, KNOWN_SHARE, MAP_SHARE, EASY, NUM_COUNTS = range(8)
SHARE_BITS = 32

CounterArray = npt.NDArray[np.uint32]


class Shape(NamedTuple):
    """How many there are of each, as lengths of tuples: these are part of numba's types, so the compiler knows them.

    All are empty where it need not know. Where it does, a context has one input.
    """

    contexts: tuple[int, ...] = ()
    direct: tuple[int, ...] = ()
    maps: tuple[int, ...] = ()
    mixers: tuple[int, ...] = ()
    finals: tuple[int, ...] = ()
    matches: tuple[int, ...] = ()
    inputs: tuple[int, ...] = ()


class Model(NamedTuple):
    """All that the model knows, and its scratch rows.

    There are n contexts with histories, d plain ones, r hashed adaptive maps, m mixers, f final mixers and w inputs.
    """

    slots: ByteArray  # (2^bits + 64,) aligned to 64 bytes; the last 64 stay zero: the slot of contexts never seen
    counters: CounterArray  # (n * 256,) one for each context and bit history
    direct: CounterArray  # (2^bits,) the plain contexts' counters, 16 for a context's nibble
    weights: Int32Array  # (m * SELECTOR_ROWS, w) 16 fractional bits; twice as many rows with a network
    final: Int32Array  # (f * SELECTOR_ROWS * m,) the final mixers' weights, 16 fractional bits
    refine: npt.NDArray[np.uint16]  # (512 * REFINE_CELLS,) probabilities by partial byte, without a match and with one
    refine_hashed: npt.NDArray[np.uint16]  # (r * 2^bits * REFINE_CELLS,) probabilities by a context's hash and the node
    positions: Int32Array  # (MATCHES * 2^bits,) by hash, the end of each match model's last string; 0: nowhere
    trust: CounterArray  # (MATCHES * TRUSTS,) counters: is the match's bit right?
    followers: CounterArray  # (FOLLOWERS,) or empty: see contexts.advance
    registers: IntArray  # (NUM_REGISTERS,)
    external: Int32Array  # (256,) another predictor's stretched probability of a 1 at each node of the byte's tree
    plan: IntArray  # (MODES, n + d + r) context numbers
    shape: Shape
    # (NUM_COUNTS,) TWICE: 1 where both inputs are used; MAPS: r; LEAST: each match model's least length, 0 if unused;
    # KNOWN_SHARE and MAP_SHARE: 16 / (n + 1) and 3 / r in units of 2^-SHARE_BITS, rounded up; EASY: an error of the
    # first mixer below which nothing is learnt, in units of 2^-16
    counts: IntArray
    # scratch from here on
    hashes: IntArray  # (n + d + r,) of the contexts at the current nibble
    byte_hashes: IntArray  # (n + d + r,) of the contexts at the current byte
    bases: CounterArray  # (n + d + r,) where the nibble's slots, counters and maps are
    places: IntArray  # (n,) of the counters in use
    inputs: Int32Array  # (w,)
    mixed: IntArray  # (4 * m,) each mixer's output in the logistic domain, its probability, its row of weights, unused
    ends: IntArray  # (2 * f,) each final mixer's probability, its row of weights
    bits: IntArray  # (MATCHES,) the bit that each match expects, or -1
    trusts: IntArray  # (2 * MATCHES,) the byte that each match expects, after a 1, or 0; its class of length


class Guide(NamedTuple):
    """A recurrent network that predicts beside the contexts, and what is learnt about its predictions."""

    network: Network
    memory: Memory
    trusts: npt.NDArray[np.uint16]  # (256 * GUIDE_CELLS,) an adaptive map of its predictions, by the partial byte
    doubts: IntArray  # (NUM_DOUBTS,) how wrong it has been of late: see judge
    place: IntArray  # (1,) scratch: the cell of ``trusts`` that is to learn


@fragment
def squash(x: Integer) -> Integer:
    """Return the probability of a 1 in units of 2^-16, within [1, 2^16 - 1]."""
    return np.int64(SQUASH[min(SQUASH_LIMIT, max(-SQUASH_LIMIT, x)) + SQUASH_LIMIT])


@fragment
def clamp(x: Integer) -> Integer:
    """Return the nearest number of the logistic domain, which inputs of mixers are in."""
    bounded: Integer = min(STRETCH_LIMIT, max(-STRETCH_LIMIT, x))
    return bounded


@fragment
def adapted(counter: Integer, goal: Integer) -> Integer:
    """Return the counter after an observation: 1 / (count + 1.5) of the error is added to its probability."""
    count = counter & (COUNTER_STEPS - 1)
    p = counter >> 10
    p += ((goal - p) * np.int64(RATES[count])) >> 16
    return (p << 10) | (count + (count < COUNTER_STEPS - 1))


@fragment
def trust_class(length: Integer) -> Integer:
    """Return the class of a match length in bytes, [0, TRUSTS)."""
    if length < 16:
        return length
    if length < 64:
        return 12 + (length >> 2)
    return min(28 + (length >> 5), TRUSTS - 1)


@fragment
def is_known(model: Model) -> bool:
    """Return whether the compiler knows the model's shape."""
    return len(model.shape.contexts) > 0


@fragment
def places_of(model: Model) -> tuple[Integer, Integer, Integer]:
    """Return where the parts of ``hashes`` end: contexts with histories, plain ones, maps."""
    if is_known(model):
        n = len(model.shape.contexts)
        maps = n + len(model.shape.direct)
        return n, maps, maps + len(model.shape.maps)
    return model.places.shape[0], model.hashes.shape[0] - np.int64(model.counts[MAPS]), model.hashes.shape[0]


@fragment
def mixers_of(model: Model) -> tuple[Integer, Integer]:
    """Return the numbers of mixers and of final mixers."""
    if is_known(model):
        return len(model.shape.mixers), len(model.shape.finals)
    return model.mixed.shape[0] >> 2, model.ends.shape[0] >> 1


@fragment
def inputs_of(model: Model) -> Integer:
    """Return the length of a row of weights."""
    return len(model.shape.inputs) if is_known(model) else model.weights.shape[1]


@fragment
def matches_of(model: Model) -> Integer:
    """Return how many match models may be in use."""
    return len(model.shape.matches) if is_known(model) else MATCHES


@fragment
def reach(model: Model) -> None:
    """Prefetch what :func:`find_places` will look at."""
    n, maps, _ = places_of(model)
    mask = model.slots.shape[0] - 65
    direct_mask = model.direct.shape[0] - 1
    for i in range(n):
        prefetch(model.slots, (model.hashes[i] << BUCKET_BITS) & mask)
    for i in range(n, maps):
        prefetch(model.direct, (model.hashes[i] << 4) & direct_mask)


@fragment
def find_places(model: Model, claim: bool) -> None:
    """Set ``bases`` for the nibble whose contexts are ``hashes``.

    With ``claim``, a context without a slot takes that of its bucket's least seen context; else it has the slot of
    zeros.
    """
    slots, refine_hashed, hashes, bases = model.slots, model.refine_hashed, model.hashes, model.bases
    n, maps, end = places_of(model)
    mask = slots.shape[0] - 65
    direct_mask = model.direct.shape[0] - 1
    for i in range(n, maps):
        bases[i] = (hashes[i] << 4) & direct_mask
    if maps < end:
        rows = refine_hashed.shape[0] // (REFINE_CELLS * (end - maps))
        for i in range(maps, end):
            bases[i] = ((hashes[i] << 4) & (rows - 1)) + (i - maps) * rows
            prefetch(refine_hashed, np.int64(bases[i]) * REFINE_CELLS)
    for i in range(n):
        bucket = ((hashes[i] << BUCKET_BITS) & mask) & 0x7FFFFFFF
        check = hashes[i] >> 22
        if slots[bucket] == check:
            bases[i] = bucket
        elif slots[bucket + SLOT] == check:
            bases[i] = bucket + SLOT
        elif slots[bucket + 2 * SLOT] == check:
            bases[i] = bucket + 2 * SLOT
        elif slots[bucket + 3 * SLOT] == check:
            bases[i] = bucket + 3 * SLOT
        elif claim:
            chosen = bucket
            lowest = slots[bucket + 1]
            for address in range(bucket + SLOT, bucket + 4 * SLOT, SLOT):
                if slots[address + 1] < lowest:
                    chosen, lowest = address, slots[address + 1]
            for address in range(chosen, chosen + SLOT):
                slots[address] = 0
            slots[chosen] = check
            bases[i] = chosen
        else:
            bases[i] = mask + 1


@fragment
def find_matches(model: Model, history: ByteArray) -> None:
    """Set ``trusts``: the byte that each match expects, and the class of its length."""
    registers, trusts = model.registers, model.trusts
    for k in range(matches_of(model)):
        length = np.int64(registers[MATCH_LENGTH + k])
        trusts[2 * k] = np.int64(history[registers[MATCH + k]]) | 256 if length > 0 else 0
        trusts[2 * k + 1] = k * TRUSTS + trust_class(length)


@fragment
def dot(weights: Int32Array, inputs: Int32Array, count: Integer) -> Integer:
    """Return the sum of ``weights * inputs``, each product shifted right by 8."""
    return np.int64(weigh(weights, inputs, 8, count) if count > VECTOR else weigh_fresh(weights, inputs, 8))


@fragment
def predict(
    model: Model, guide: Guide | None, partial: Integer, node: Integer, step: Integer
) -> tuple[Integer, Integer]:
    """Return (p, place in the adaptive maps) of a 1 after a byte's first ``step`` bits.

    ``partial`` is these bits after a 1, ``node`` the nibble's bits after a 1; ``bases`` and ``trusts`` must be set. p
    is in units of 2^-16, within [1, 2^16 - 1].
    """
    # In one piece: a bit's way from the contexts to the probability, in the order of the module's list.
    slots, counters, bases, places, inputs = model.slots, model.counters, model.bases, model.places, model.inputs
    mixed = model.mixed
    n, maps, end = places_of(model)
    for i in range(maps, end):  # the next bit needs one of two rows, which share a cache line
        prefetch(model.refine_hashed, (np.int64(bases[i]) + ((2 * node) & 15)) * REFINE_CELLS)
    first = COUNTER_INPUTS + maps - n
    known: Integer = 0
    for i in range(n):
        state = np.int64(slots[np.int64(bases[i]) + node])
        place = (i << 8) | state
        places[i] = place
        known += state != 0
        inputs[first + i] = STRETCH[np.int64(counters[place]) >> 20]
    if not is_known(model) and model.counts[TWICE] != 0:
        for i in range(n):
            inputs[first + n + i] = ((np.int64(counters[places[i] & 0xFFFF]) >> 20) - 2048) >> 1
    for i in range(n, maps):
        inputs[COUNTER_INPUTS + i - n] = STRETCH[np.int64(model.direct[np.int64(bases[i]) + node]) >> 20]
    guided = np.int64(model.external[partial])
    inputs[EXTERNAL_INPUT] = guided
    doubted = guide is not None and guide.doubts[DOUBTED] != 0
    if guide is not None:
        cell = (guided + 2048) << 1
        at = partial * GUIDE_CELLS + (cell >> 8)
        guide.place[0] = at + ((cell & 255) >> 7)
        here, above = np.int64(guide.trusts[at]), np.int64(guide.trusts[at + 1])
        trusted = (here * (256 - (cell & 255)) + above * (cell & 255)) >> 12
        inputs[inputs_of(model) - 1] = STRETCH[trusted]
    match_select: Integer = 0
    for k in range(matches_of(model)):
        expected, trust = np.int64(model.trusts[2 * k]), np.int64(model.trusts[2 * k + 1])
        model.bits[k] = -1
        inputs[MATCH_INPUT + k] = 0
        if expected >> (8 - step) == partial:
            bit = (expected >> (7 - step)) & 1
            model.bits[k] = bit
            stretched = np.int64(STRETCH[np.int64(model.trust[trust]) >> 20])
            inputs[MATCH_INPUT + k] = stretched if bit == 1 else -stretched
            if k == 0 or match_select == 0:
                length_class: Integer = min(14, (trust & (TRUSTS - 1)) >> 2)
                match_select = 1 + length_class
    mode = np.int64(model.registers[MODE]) << 8
    m, finals = mixers_of(model)
    shelf: Integer = mode + (m * SELECTOR_ROWS if doubted else 0)
    recent = np.int64(model.registers[RECENT])
    # how much is known: the match's length, and the share of contexts seen before
    known_select = (match_select << 4) | ((known * np.int64(model.counts[KNOWN_SHARE])) >> SHARE_BITS)
    row: Integer = 0
    for k in range(m):
        if guide is not None and k == m - 1 and not doubted:
            row = (((guided + 2048) >> 7) << 3) | step
        elif k == 0:
            row = partial
        elif k == 1:
            row = known_select
        elif k == 2:
            row = recent & 255
        elif k == 3:
            row = (recent >> 8) & 255
        elif k == 4:
            row = (np.int64(model.registers[CLASSES]) & 15) * 16 + ((np.int64(model.registers[CLASSES]) >> 4) & 15)
        elif k == 5:
            row = (step << 5) | (np.int64(model.bits[0] + 1) << 3) | (np.int64(model.bits[1] + 1) << 1)
        elif k == 6:
            row = np.int64(model.trusts[0]) & 255
        elif k == 7:
            row = (known << 3) | step
        else:
            row = np.int64(model.registers[WORD]) & 255
        row += k * SELECTOR_ROWS + shelf
        chosen = model.weights[row]
        one = clamp(dot(chosen, inputs, inputs_of(model)) >> 8)
        mixed[4 * k] = one
        mixed[4 * k + 1] = squash(one)
        mixed[4 * k + 2] = row
    x: Integer = np.int64(mixed[0])
    if finals > 0:
        x = 0
        for j in range(finals):
            row = (j * SELECTOR_ROWS + mode + (partial if j == 0 else known_select)) * m
            weighed: Integer = 0
            for k in range(m):
                weighed += np.int64(model.final[row + k]) * np.int64(mixed[4 * k])
            weighed >>= 16
            model.ends[2 * j] = squash(weighed)
            model.ends[2 * j + 1] = row
            x += weighed
        x >>= finals - 1
    p = squash(x)
    place = ((clamp(x) * 15) >> 4) + 1920  # from 0 to 15 * 256
    if maps == end:
        return p, place
    cell, part = place >> 8, place & 255
    at = (partial + (256 if match_select > 0 else 0)) * REFINE_CELLS + cell
    refined = np.int64(model.refine[at]) * (256 - part) + np.int64(model.refine[at + 1]) * part
    hashed: Integer = 0
    for i in range(maps, end):
        at = (np.int64(bases[i]) + node) * REFINE_CELLS + cell
        hashed += np.int64(model.refine_hashed[at]) * (256 - part) + np.int64(model.refine_hashed[at + 1]) * part
    hashed = (hashed * np.int64(model.counts[MAP_SHARE])) >> SHARE_BITS
    return min(65535, max(1, (refined + hashed + 512) >> 10)), place


@fragment
def learn(
    model: Model,
    guide: Guide | None,
    partial: Integer,
    node: Integer,
    place: Integer,
    bit: Integer,
    rate: Integer,
) -> None:
    """Teach ``bit`` to all that :func:`predict` used; ``place`` is what it returned."""
    slots, counters, bases, places, inputs = model.slots, model.counters, model.bases, model.places, model.inputs
    mixed = model.mixed
    goal = bit << PROBABILITY_BITS
    certain = bit * CERTAIN
    if guide is not None:
        guide.doubts[ERROR] += abs(goal - squash(np.int64(model.external[partial])))
        trusted = np.int64(guide.trusts[guide.place[0]])
        guide.trusts[guide.place[0]] = trusted + ((goal - bit - trusted) >> REFINE_RATE)
    if abs(goal - mixed[1]) < model.counts[EASY]:
        return
    n, maps, end = places_of(model)
    m, finals = mixers_of(model)
    for k in range(m):
        error = (goal - mixed[4 * k + 1]) * rate
        if error >= NO_CHANGE or error <= -NO_CHANGE:
            # |error| < 2^20, as the rate is at most 10, and |input| < 2^11, so products fit int32
            train(model.weights[mixed[4 * k + 2]], inputs, error, MIX_SHIFT, inputs_of(model))
    for j in range(finals):
        error, row = goal - np.int64(model.ends[2 * j]), np.int64(model.ends[2 * j + 1])
        for k in range(m):
            model.final[row + k] += (mixed[4 * k] * error + (1 << (FINAL_SHIFT - 1))) >> FINAL_SHIFT
    for i in range(n):
        at = places[i] & 0xFFFF
        counters[at] = adapted(np.int64(counters[at]), certain)
        counters[i << 8] = EVEN  # a context never seen predicts nothing
        slots[np.int64(bases[i]) + node] = NEXT[2 * (at & 255) + bit]
    for i in range(n, maps):
        at = np.int64(bases[i]) + node
        model.direct[at] = adapted(np.int64(model.direct[at]), certain)
    agrees: Integer = 0
    for k in range(matches_of(model)):
        if model.bits[k] >= 0:
            agrees = 256
            at = np.int64(model.trusts[2 * k + 1])
            model.trust[at] = adapted(np.int64(model.trust[at]), (model.bits[k] == bit) * CERTAIN)
    if maps < end:
        cell = (place + 128) >> 8
        at = (partial + agrees) * REFINE_CELLS + cell
        refined = np.int64(model.refine[at])
        model.refine[at] = refined + ((goal - bit - refined) >> REFINE_RATE)
        for i in range(maps, end):
            at = (np.int64(bases[i]) + node) * REFINE_CELLS + cell
            refined = np.int64(model.refine_hashed[at])
            model.refine_hashed[at] = refined + ((goal - bit - refined) >> REFINE_RATE)


@fragment
def judge(guide: Guide) -> None:
    """Add the error of the byte just read to the network's error of late, and decide whether to doubt the network.

    A network that knows nothing of the data would mislead mixers that begin with trust in it. While it is doubted, a
    second set of weights is in use, which begins as if there were no network.
    """
    doubts = guide.doubts
    judged: Integer = min(DOUBT_BYTES, doubts[JUDGED] + 1)
    doubts[LATE_ERROR] += (doubts[ERROR] - doubts[LATE_ERROR]) // (judged + 1)
    doubts[JUDGED] = judged
    doubts[DOUBTED] = doubts[LATE_ERROR] > (TRUST_ERROR if doubts[DOUBTED] != 0 else DOUBT_ERROR)
    doubts[ERROR] = 0


@fragment
def least_match(mode: Integer, k: Integer, counts: IntArray) -> Integer:
    """Return the least length in bytes of match model ``k``'s matches; 0 if it is not used."""
    least = np.int64(counts[LEAST + k])
    return LEAST_NUCLEOTIDES[k] if mode == NUCLEOTIDES and least > 0 else least


@lean_kernel
def follow(registers: IntArray, positions: Int32Array, counts: IntArray, history: ByteArray, end: Integer) -> None:
    """Move the matches on by the byte before ``end``; set NOTE to the cells of ``positions`` for :func:`seek`."""
    rows = positions.shape[0] // MATCHES
    byte, recent = history[end - 1], np.int64(registers[RECENT])
    last_four = hash_step(hash_step(recent >> 16, 0), recent & 0xFFFF)
    for k in range(MATCHES):
        match, length = np.int64(registers[MATCH + k]), np.int64(registers[MATCH_LENGTH + k])
        if length > 0:
            longer: Integer = min(length + 1, MAX_MATCH * 2)
            registers[MATCH_LENGTH + k] = longer if history[match] == byte else 0
            registers[MATCH + k] = match + 1
        least = least_match(registers[MODE], k, counts)
        registers[NOTE + k] = -1
        if 0 < least <= end:
            context = last_four
            for index in range(end - least, end - 4):
                context = hash_step(context, np.int64(history[index]))
            at = k * rows + (context & (rows - 1))
            prefetch(positions, at)
            registers[NOTE + k] = at


@lean_kernel
def seek(
    registers: IntArray, positions: Int32Array, counts: IntArray, history: ByteArray, end: Integer, learning: bool
) -> None:
    """Look for matches where :func:`follow` has none; when ``learning``, note ``end`` in the cells of NOTE."""
    for k in range(MATCHES):
        at = np.int64(registers[NOTE + k])
        if at < 0:
            continue
        if registers[MATCH_LENGTH + k] == 0:
            match = np.int64(positions[at])
            length: Integer = 0
            if match > 0:
                while length < min(MAX_MATCH, match) and history[match - length - 1] == history[end - length - 1]:
                    length += 1
                length = length if length >= least_match(registers[MODE], k, counts) else 0
            registers[MATCH + k], registers[MATCH_LENGTH + k] = match, length
        if learning:
            positions[at] = end


@lean_kernel
def skip(model: Model, guide: Guide | None, history: ByteArray) -> None:
    """Append the next byte of ``history`` without learning."""
    end = np.int64(model.registers[LENGTH])
    byte = np.int64(history[end])
    advance(model.registers, model.followers, history, end + 1, byte, False)
    follow(model.registers, model.positions, model.counts, history, end + 1)
    seek(model.registers, model.positions, model.counts, history, end + 1, False)
    if guide is not None:
        read_byte(guide.network, guide.memory, byte)
    model.registers[LENGTH] = end + 1


@lean_kernel
def run(
    model: Model, guide: Guide | None, history: ByteArray, stop: Integer, task: Integer, code: ByteArray
) -> Integer:
    """Run the model over ``history`` up to ``stop`` and learn; return where it stopped.

    ``task``: LEARN reads the bytes. ENCODE also writes ``code``, and stops early where that is too short. DECODE reads
    ``code`` and writes the bytes, and stops early at a stream that no encoder wrote.
    """
    # In one piece: the coder's interval and the place in the byte stay in the processor's registers.
    registers, hashes = model.registers, model.hashes
    low, width = np.int64(registers[LOW]), np.int64(registers[WIDTH])
    offset, position = np.int64(registers[OFFSET]), np.int64(registers[POSITION])
    start = np.int64(registers[LENGTH])
    end = start
    while end < stop:
        if task == ENCODE and position + BYTES_PER_SYMBOL + 8 > code.shape[0]:
            break
        fill_hashes(history, end, registers, model.followers, model.plan, hashes)
        reach(model)
        if end > start:
            follow(registers, model.positions, model.counts, history, end)
        find_places(model, True)
        if end > start:
            seek(registers, model.positions, model.counts, history, end, True)
        find_matches(model, history)
        byte = np.int64(history[end]) if task != DECODE else 0
        # a new model learns faster, up to 5 times as fast
        rate = MIX_RATE + EAGER // (end + EAGER // 8)
        partial, node = 1, 1
        for step in range(8):
            partial &= 255
            node &= 15
            if guide is not None:
                model.external[partial] = clamp(logit(guide.network, guide.memory, partial))
            p, place = predict(model, guide, partial, node, step)
            # a 1 takes the interval [0, p)
            bit: Integer = (byte >> (7 - step)) & 1
            if task == DECODE:
                bit = 1 if offset < (width >> PROBABILITY_BITS) * p else 0
            below, above = (0, p) if bit == 1 else (p, 65536)
            if task == ENCODE:
                low, width, position = encode_step(low, width, code, position, below, above, PROBABILITY_BITS)
            elif task == DECODE:
                low, width, offset, position = decode_step(
                    low, width, offset, position, code, below, above, PROBABILITY_BITS
                )
                if offset < 0:
                    break
            if step == 3:  # the next nibble's places are fetched while this bit is learnt
                for i in range(places_of(model)[2]):
                    hashes[i] = hash_step(hashes[i], (partial << 1) | bit)
                reach(model)
            learn(model, guide, partial, node, place, bit, rate)
            partial, node = (partial << 1) | bit, (node << 1) | bit
            if step == 3:
                find_places(model, True)
                node = 1
        if offset < 0:
            break
        byte = partial & 255
        history[end] = byte
        end += 1
        registers[LENGTH] = end
        advance(registers, model.followers, history, end, byte, True)
        if guide is not None:
            read_byte(guide.network, guide.memory, byte)
            judge(guide)
    if end > start:
        follow(registers, model.positions, model.counts, history, end)
        seek(registers, model.positions, model.counts, history, end, True)
    registers[LOW], registers[WIDTH], registers[OFFSET], registers[POSITION] = low, width, offset, position
    return end


@lean_kernel
def fill_weights(model: Model, guide: Guide | None, history: ByteArray, nodes: IntArray, weights: IntArray) -> None:
    """Write the next byte's probabilities in units of about 2^-30 into ``weights`` (256,) int64; nothing is learnt.

    ``nodes`` (256,) int64 is scratch: the weight of each node of the byte's tree of bits.
    """
    hashes = model.hashes
    end = np.int64(model.registers[LENGTH])
    find_matches(model, history)
    nodes[1] = 1 << 30
    fill_hashes(history, end, model.registers, model.followers, model.plan, model.byte_hashes)
    for i in range(hashes.shape[0]):
        hashes[i] = model.byte_hashes[i]
    reach(model)
    for high in range(17):  # the first nibble, then the second one after each of its values
        first = 1 if high == 0 else 15 + high
        find_places(model, False)
        for i in range(hashes.shape[0]):  # the next nibble's places are fetched meanwhile
            hashes[i] = hash_step(model.byte_hashes[i], 16 + high)
        reach(model)
        for node in range(1, 16):
            depth = (node > 1) + (node > 3) + (node > 7)
            partial = (first << depth) | (node & ((1 << depth) - 1))
            if guide is not None:
                model.external[partial] = clamp(logit(guide.network, guide.memory, partial))
            p = predict(model, guide, partial, node, depth + (0 if high == 0 else 4))[0]
            one = (nodes[partial] * p) >> PROBABILITY_BITS
            if partial < 128:
                nodes[2 * partial] = nodes[partial] - one
                nodes[2 * partial + 1] = one
            else:
                weights[2 * partial - 256] = nodes[partial] - one
                weights[2 * partial - 255] = one
