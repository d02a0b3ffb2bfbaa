"""The compiled model: bitwise context mixing, integers only.

A byte is predicted bit by bit, most significant first. Each context finds, once per nibble, a slot of 16 bytes in one
hash table: a check byte and the bit histories of the nibble's 15 nodes. For each bit

1. every context's bit history is mapped by an adaptive counter to a probability, and stretched;
2. a match model adds what followed the longest recent repeat, with the trust that its length has earned;
3. mixers (rows of weights, each selected by another small context) add the inputs in the logistic domain; a final mixer
   adds the mixers;
4. two adaptive maps (SSE) refine the result, given the partial byte and a hash of two bytes;
5. the bit is coded, and everything that took part learns it.

The ideas are those of PAQ (Mahoney 2005, "Adaptive Weighing of Context Models for Lossless Data Compression", and
"Data Compression Explained", section 4.3), of lpaq (nibble slots, match model) and of PAQ8 (several weight sets, final
mixer); the code is written from these descriptions.

Coding, decoding, priming and predicting are one model: :func:`run` and :func:`fill_weights` share its steps.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gencomp.coding.range_coder import decode_step, encode_step
from gencomp.compiled import Integer, fragment, kernel
from gencomp.predictors.mix.contexts import (
    FIXED_MODE,
    LENGTH,
    LOW,
    MATCH,
    MATCH_LENGTH,
    MODE,
    OFFSET,
    OLDER,
    POSITION,
    RECENT,
    SURVEY,
    WIDTH,
    ByteArray,
    advance,
    fill_hashes,
    hash_step,
    survey,
)
from gencomp.predictors.mix.tables import (
    COUNTER_STEPS,
    NEXT,
    PROBABILITY_BITS,
    RATES,
    SQUASH,
    SQUASH_LIMIT,
    STRETCH,
    STRETCH_LIMIT,
)
from gencomp.protocols import IntArray

LEARN, ENCODE, DECODE = range(3)

SLOT = 16  # bytes; the first is the check, then the nibble's nodes 1 to 15
BUCKET_BITS = 6  # 4 slots share a cache line
CERTAIN = (1 << 22) - 1  # a counter is 22 bits of probability, 10 of count
EVEN = 1 << 31
MIN_MATCH = 6
MAX_MATCH = 400
TRUSTS = 64  # classes of match length
MODES = 4
SELECTOR_ROWS = MODES * 256
WEIGHT_ONE = 1 << 16
REFINE_CELLS = 33  # of an adaptive map's row: the logistic domain in steps of 128
REFINE_RATE = 6
MIX_RATE, MIX_SHIFT, FINAL_SHIFT = 2, 18, 17
EAGER = 16384  # bytes until the mixers' rate has come down to about MIX_RATE
BYTES_PER_SYMBOL = 16  # the most that 8 bits of probability 2^-16 shift out
SIDE_INPUTS = 2  # after the contexts: match, bias; then the direct counters
DIRECT = 2  # low orders recur too often for a bounded history: they have plain counters too
NUM_INPUTS = 16  # the rest are zeros: a constant number is whole vectors without a remainder


class Model(NamedTuple):
    """All that the model knows, and its scratch rows; n contexts, m mixers, w inputs (n + 4, then zeros)."""

    slots: npt.NDArray[np.uint8]  # (2^bits,) aligned to 64 bytes
    counters: npt.NDArray[np.uint32]  # (n, 256) of each context and bit history
    direct: npt.NDArray[np.uint32]  # (2^bits,) counters of the contexts of 1 to DIRECT bytes, without histories
    weights: npt.NDArray[np.int32]  # (m * SELECTOR_ROWS, w), 16 fractional bits
    final: npt.NDArray[np.int32]  # (SELECTOR_ROWS, m)
    refine_1: npt.NDArray[np.uint16]  # (512, REFINE_CELLS) probabilities
    refine_2: npt.NDArray[np.uint16]  # (16 * 2^bits, REFINE_CELLS)
    positions: npt.NDArray[np.int32]  # (2^bits,) where the last MIN_MATCH bytes occurred, by their hash; 0 for nowhere
    trust: npt.NDArray[np.uint32]  # (TRUSTS,) counters: is the match's bit right?
    registers: npt.NDArray[np.int64]  # (NUM_REGISTERS,)
    plan: npt.NDArray[np.int64]  # (MODES, n) context numbers
    hashes: npt.NDArray[np.int64]  # (n,) scratch, as all below
    bases: npt.NDArray[np.uint32]  # (n,) addresses of the slots in use
    groups: npt.NDArray[np.int64]  # (DIRECT,) where in ``direct`` the nibble's 16 counters are
    states: npt.NDArray[np.uint8]  # (n,) bit histories of the node
    inputs: npt.NDArray[np.int32]  # (w,)
    mixed: npt.NDArray[np.int32]  # (3, m) each mixer's output in the logistic domain, its probability, its row


@fragment
def squash(x: Integer) -> Integer:
    """Return the probability of a 1 in units of 2^-16, within [1, 2^16 - 1]."""
    return np.int64(SQUASH[min(SQUASH_LIMIT, max(-SQUASH_LIMIT, x)) + SQUASH_LIMIT])


@fragment
def clamp(x: Integer) -> Integer:
    """Return what a mixer may take as an input."""
    return min(STRETCH_LIMIT, max(-STRETCH_LIMIT, x))


@fragment
def adapted(counter: Integer, goal: Integer) -> Integer:
    """Return the counter after an observation: its probability moves by 1 / (count + 1.5) of the error."""
    count = counter & (COUNTER_STEPS - 1)
    p = counter >> 10
    p += ((goal - p) * np.int64(RATES[count])) >> 16
    return p << 10 | (count + (count < COUNTER_STEPS - 1))


@fragment
def find_slot(slots: ByteArray, context: Integer) -> Integer:
    """Return the address of the slot of ``context``, or -1."""
    bucket = (context << BUCKET_BITS) & (slots.shape[0] - 1)
    check = context >> 22
    for address in range(bucket, bucket + 4 * SLOT, SLOT):
        if slots[address] == check:
            return address
    return -1


@kernel
def claim_slot(slots: ByteArray, context: Integer) -> Integer:
    """Return the address of the slot of ``context``; if it has none, the bucket's least seen slot becomes it."""
    bucket = (context << BUCKET_BITS) & (slots.shape[0] - 1)
    check = context >> 22
    chosen = bucket
    lowest: Integer = 256
    for address in range(bucket, bucket + 4 * SLOT, SLOT):
        if slots[address] == check:
            return address
        priority = np.int64(slots[address + 1])
        if priority < lowest:
            chosen, lowest = address, priority
    slots[chosen : chosen + SLOT] = 0
    slots[chosen] = check
    return chosen


@fragment
def claim_slots(slots: ByteArray, hashes: IntArray, bases: npt.NDArray[np.uint32]) -> Integer:
    """Find or make every context's slot. The first loop's independent reads bring all cache lines at once."""
    touched: Integer = 0
    for i in range(hashes.shape[0]):
        touched |= np.int64(slots[(hashes[i] << BUCKET_BITS) & (slots.shape[0] - 1)])
    for i in range(hashes.shape[0]):
        bases[i] = claim_slot(slots, hashes[i])
    return touched


@fragment
def dot(row: npt.NDArray[np.int32], inputs: npt.NDArray[np.int32]) -> Integer:
    """Return weights times inputs, in the logistic domain."""
    total: Integer = 0
    for i in range(NUM_INPUTS):
        total += np.int64(row[i]) * np.int64(inputs[i])
    return total >> 16


@fragment
def train(row: npt.NDArray[np.int32], inputs: npt.NDArray[np.int32], error: Integer) -> None:
    """Move the weights down the gradient of the code length; |error| < 2^20, so products fit 32 bits."""
    for i in range(NUM_INPUTS):
        row[i] += np.int32(np.int64(inputs[i]) * np.int32(error) + (1 << (MIX_SHIFT - 1))) >> MIX_SHIFT


@fragment
def trust_class(length: Integer) -> Integer:
    """Return the class of a match length in bytes, [0, TRUSTS)."""
    if length < 16:
        return length
    if length < 64:
        return 12 + (length >> 2)
    return min(28 + (length >> 5), TRUSTS - 1)


@fragment
def refine_group(model: Model, partial: Integer) -> Integer:
    """Return the first of the 16 rows of ``refine_2`` for the nibble after ``partial``, 1 for a byte's first nibble."""
    context = hash_step(hash_step(partial, model.registers[RECENT] & 255), model.registers[RECENT] >> 8 & 255)
    return (context << 4) & (model.refine_2.shape[0] - 1)


@fragment
def find_groups(model: Model, partial: Integer) -> None:
    """Set ``groups`` for the nibble after ``partial``; two contexts may share one."""
    recent = np.int64(model.registers[RECENT])
    for i in range(DIRECT):
        context = hash_step(hash_step(recent & ((256 << 8 * i) - 1), i << 24), partial)
        model.groups[i] = (context << 4) & (model.direct.shape[0] - 1)


@fragment
def predict(
    model: Model, partial: Integer, node: Integer, step: Integer, group: Integer, expected: Integer, trust: Integer
) -> tuple[Integer, Integer, Integer, Integer]:
    """Return (p, mixed p, place in the adaptive maps, match bit or -1) of a 1 after a byte's first ``step`` bits.

    ``partial`` is these bits with a 1 before them, ``node`` the same of the nibble, ``expected`` the match's byte
    with a 1 before it, or 0. ``states`` must be set. Both p are in units of 2^-16, within [1, 2^16 - 1].
    """
    counters, inputs, mixed = model.counters, model.inputs, model.mixed
    n = model.states.shape[0]
    row_2 = group + node
    # read at both ends of the row now, so that its cache lines have come when the mixers are done
    known = np.int64((model.refine_2[row_2, 4] | model.refine_2[row_2, REFINE_CELLS - 5]) == 0)
    for i in range(n):
        state = model.states[i]
        known += state != 0
        inputs[i] = STRETCH[counters[i, state] >> 20]
    for i in range(DIRECT):
        inputs[n + SIDE_INPUTS + i] = STRETCH[model.direct[model.groups[i] + node] >> 20]
    agrees = expected > 0 and expected >> (8 - step) == partial
    match_bit = -1
    inputs[n] = 0
    match_select = 0
    if agrees:
        match_bit = (expected >> (7 - step)) & 1
        stretched = np.int64(STRETCH[model.trust[trust] >> 20])
        inputs[n] = stretched if match_bit == 1 else -stretched
        match_select = 1 + min(7, trust >> 2)
    mode = np.int64(model.registers[MODE]) * 256
    mixed[2, 0] = mode + partial
    if mixed.shape[1] > 1:
        mixed[2, 1] = SELECTOR_ROWS + mode + match_select * 16 + known
    if mixed.shape[1] > 2:
        mixed[2, 2] = 2 * SELECTOR_ROWS + mode + (model.registers[RECENT] & 255)
    total = 0
    for k in range(mixed.shape[1]):
        x = clamp(dot(model.weights[mixed[2, k]], inputs))
        mixed[0, k] = x
        mixed[1, k] = squash(x)
        total += np.int64(model.final[mode + partial, k]) * x
    x = total >> 16
    p = squash(x)
    place = (clamp(x) + 2048) & 4095
    cell, part = place >> 7, place & 127
    row_1 = partial + (256 if agrees else 0)
    p_1 = np.int64(model.refine_1[row_1, cell]) * (128 - part) + np.int64(model.refine_1[row_1, cell + 1]) * part
    p_2 = np.int64(model.refine_2[row_2, cell]) * (128 - part) + np.int64(model.refine_2[row_2, cell + 1]) * part
    return min(65535, max(1, (p_1 + 3 * p_2 + 256) >> 9)), p, place, match_bit


@fragment
def learn(
    model: Model,
    partial: Integer,
    node: Integer,
    group: Integer,
    trust: Integer,
    p: Integer,
    place: Integer,
    match_bit: Integer,
    bit: Integer,
    rate: Integer,
) -> None:
    """Teach ``bit`` to all that :func:`predict` used; its results are ``p``, ``place`` and ``match_bit``."""
    mixed = model.mixed
    goal = bit << PROBABILITY_BITS
    final = np.int64(model.registers[MODE]) * 256 + partial
    for k in range(mixed.shape[1]):
        train(model.weights[mixed[2, k]], model.inputs, (goal - mixed[1, k]) * rate)
        model.final[final, k] += (np.int64(mixed[0, k]) * (goal - p) + (1 << (FINAL_SHIFT - 1))) >> FINAL_SHIFT
    cell = (place + 64) >> 7
    row_1 = partial + (256 if match_bit >= 0 else 0)
    row_2 = group + node
    p_1, p_2 = np.int64(model.refine_1[row_1, cell]), np.int64(model.refine_2[row_2, cell])
    model.refine_1[row_1, cell] = p_1 + ((goal - bit - p_1) >> REFINE_RATE)
    model.refine_2[row_2, cell] = p_2 + ((goal - bit - p_2) >> REFINE_RATE)
    for i in range(model.states.shape[0]):
        state = np.int64(model.states[i])
        model.counters[i, state] = adapted(np.int64(model.counters[i, state]), bit * CERTAIN)
        model.counters[i, 0] = EVEN  # what was never seen says nothing
        model.slots[np.int64(model.bases[i]) + node] = NEXT[2 * state + bit]
    for i in range(DIRECT):
        cell = model.groups[i] + node
        model.direct[cell] = adapted(np.int64(model.direct[cell]), bit * CERTAIN)
    if match_bit >= 0:
        model.trust[trust] = adapted(np.int64(model.trust[trust]), (match_bit == bit) * CERTAIN)


@fragment
def follow(model: Model, history: ByteArray, end: Integer, byte: Integer, learning: bool) -> None:
    """Move the match over ``byte``, the one before ``end``, or look for another; remember the place; survey."""
    registers = model.registers
    match: Integer = np.int64(registers[MATCH])
    length: Integer = np.int64(registers[MATCH_LENGTH])
    if length > 0:
        length = min(length + 1, MAX_MATCH * 2) if np.int64(history[match]) == byte else 0
        match += 1
    if end >= MIN_MATCH:
        recent, older = np.int64(registers[RECENT]), np.int64(registers[OLDER])
        context = hash_step(hash_step(recent >> 16, recent & 0xFFFF), older & 0xFFFF) & (model.positions.shape[0] - 1)
        if length == 0:
            match = np.int64(model.positions[context])
            if match > 0:
                while length < min(MAX_MATCH, match) and history[match - length - 1] == history[end - length - 1]:
                    length += 1
        if learning:
            model.positions[context] = end
    registers[MATCH], registers[MATCH_LENGTH] = match, length
    if end % SURVEY == 0 and registers[FIXED_MODE] == 0:
        survey(history, end, registers)


@kernel
def skip(model: Model, history: ByteArray) -> None:
    """Append the next byte of ``history`` without learning."""
    end = np.int64(model.registers[LENGTH])
    byte = np.int64(history[end])
    advance(model.registers, byte)
    follow(model, history, end + 1, byte, False)
    model.registers[LENGTH] = end + 1


@kernel
def run(model: Model, history: ByteArray, stop: Integer, task: Integer, code: ByteArray) -> Integer:
    """Take the bytes of ``history`` up to ``stop`` through the model and learn them; return where it stopped.

    ``task``: LEARN reads them; ENCODE writes their code too, and stops early where ``code`` has too little room; DECODE
    writes the bytes from ``code``, and stops early at a stream that no encoder wrote.
    """
    registers, slots, hashes, bases, states = model.registers, model.slots, model.hashes, model.bases, model.states
    low, width = np.int64(registers[LOW]), np.int64(registers[WIDTH])
    offset, position = np.int64(registers[OFFSET]), np.int64(registers[POSITION])
    touched: Integer = 0
    end = np.int64(registers[LENGTH])
    while end < stop:
        if task == ENCODE and position + BYTES_PER_SYMBOL + 8 > code.shape[0]:
            break
        fill_hashes(history, end, registers, model.plan, hashes)
        touched |= claim_slots(slots, hashes, bases)
        expected = np.int64(history[registers[MATCH]]) | 256 if registers[MATCH_LENGTH] > 0 else 0
        trust = trust_class(np.int64(registers[MATCH_LENGTH]))
        group = refine_group(model, 1)
        find_groups(model, 1)
        byte = np.int64(history[end]) if task != DECODE else 0
        # a new model learns faster, up to 5 times
        rate = MIX_RATE + EAGER // (end + EAGER // 8)
        partial, node = 1, 1
        for step in range(8):
            if step == 4:
                for i in range(hashes.shape[0]):
                    hashes[i] = hash_step(hashes[i], partial)
                touched |= claim_slots(slots, hashes, bases)
                group = refine_group(model, partial)
                find_groups(model, partial)
                node = 1
            partial &= 255
            node &= 15
            for i in range(states.shape[0]):
                states[i] = slots[np.int64(bases[i]) + node]
            p, mixed_p, place, match_bit = predict(model, partial, node, step, group, expected, trust)
            # a 1 takes the interval [0, p)
            bit: Integer = (byte >> (7 - step)) & 1
            if task == DECODE:
                bit = 1 if offset < (width >> PROBABILITY_BITS) * p else 0
            start, above = (0, p) if bit == 1 else (p, 65536)
            if task == ENCODE:
                low, width, position = encode_step(low, width, code, position, start, above, PROBABILITY_BITS)
            elif task == DECODE:
                low, width, offset, position = decode_step(
                    low, width, offset, position, code, start, above, PROBABILITY_BITS
                )
                if offset < 0:
                    break
            learn(model, partial, node, group, trust, mixed_p, place, match_bit, bit, rate)
            partial, node = partial << 1 | bit, node << 1 | bit
        if offset < 0:
            break
        byte = partial & 255
        history[end] = byte
        end += 1
        registers[LENGTH] = end
        advance(registers, byte)
        follow(model, history, end, byte, True)
    registers[LOW], registers[WIDTH], registers[OFFSET], registers[POSITION] = low, width, offset, position
    return end if touched >= 0 else -1  # never negative; keeps the reads


@kernel
def fill_weights(model: Model, history: ByteArray, nodes: IntArray, weights: IntArray) -> None:
    """Write the next byte's probabilities in units of about 2^-30 into ``weights`` (256,) int64; nothing is learnt.

    ``nodes`` (256,) int64 is scratch: the weight of every node of the tree of bits.
    """
    registers, hashes, states, slots = model.registers, model.hashes, model.states, model.slots
    end = np.int64(registers[LENGTH])
    fill_hashes(history, end, registers, model.plan, hashes)
    expected = np.int64(history[registers[MATCH]]) | 256 if registers[MATCH_LENGTH] > 0 else 0
    trust = trust_class(np.int64(registers[MATCH_LENGTH]))
    addresses = np.empty(hashes.shape[0], dtype=np.int64)  # -1: an unknown context has no histories
    nodes[1] = 1 << 30
    for high in range(17):  # the first nibble, then the second after each first
        first = 1 if high == 0 else 15 + high
        for i in range(hashes.shape[0]):
            address = find_slot(slots, hashes[i] if high == 0 else hash_step(hashes[i], first))
            addresses[i] = address
        group = refine_group(model, first)
        find_groups(model, first)
        for node in range(1, 16):
            depth = (node > 1) + (node > 3) + (node > 7)
            partial = (first << depth) | (node & ((1 << depth) - 1))
            for i in range(hashes.shape[0]):
                states[i] = slots[addresses[i] + node] if addresses[i] >= 0 else 0
            step = depth + (0 if high == 0 else 4)
            p = predict(model, partial, node, step, group, expected, trust)[0]
            one = (nodes[partial] * p) >> PROBABILITY_BITS
            if partial < 128:
                nodes[2 * partial] = nodes[partial] - one
                nodes[2 * partial + 1] = one
            else:
                weights[2 * partial - 256] = nodes[partial] - one
                weights[2 * partial - 255] = one
