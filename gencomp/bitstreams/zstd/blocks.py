"""What a block costs (RFC 8878, section 3.1.1.2), and what it leaves to the next one."""

from typing import NamedTuple

import numpy as np

from gencomp.bitstreams.zstd.fse import CODER_SHAPE, TABLE_ROW
from gencomp.bitstreams.zstd.huffman import HUFFMAN_ROW, begin_scratch
from gencomp.bitstreams.zstd.layout import (
    ANCHOR,
    BEGIN_REP1,
    BEGIN_REP2,
    BEGIN_REP3,
    BITS,
    BLOCK,
    BLOCKS,
    EXTRA,
    FIRST,
    LITERALS,
    LOW,
    NEXT,
    POSITION,
    REP1,
    REP2,
    REP3,
    SAVINGS,
    SEQUENCES,
    SIZE,
    SKIPPING,
    STAGE,
    START,
    STRATEGY,
    WINDOW_LOG,
    State,
)
from gencomp.bitstreams.zstd.literals import LEAST_BYTES, LITERAL_BITS, MOST_BYTES, least_gain, literals_cost
from gencomp.bitstreams.zstd.memory import Bytes, copy_to
from gencomp.bitstreams.zstd.sequences import COSTS, sequences_cost
from gencomp.compiled import Integer, lean_kernel, part, step
from gencomp.protocols import IntArray

RAW, REPEATED, COMPRESSED = range(3)
HEADER_BYTES = 3
SMALLEST_PARSED = 7  # smaller blocks are raw
_LONGEST_REPEATED = 25  # blocks of so many compressed bytes or more are not one repeated byte [rleMaxLength]
_FAR, _CATCH_UP = 384, 192  # if more positions than the first are missing, at most the last so many are entered
_MEMORY, _TAIL = 8, 24  # sections remembered, and the longest tail of one, in sequences
REST_BEGIN, REST_END, REST = 256, 257, 258
UNCHANGED = -2  # of sequences: those whose costs were found last
_LONG_REST = 256  # literals that are counted once for all suffixes


class Work(NamedTuple):
    """Room for the costs of a block; between calls, only ``memory`` and ``rest`` matter."""

    scratch: IntArray  # of huffman
    coders: IntArray  # (3, CODER_SHAPE)
    literal_costs: IntArray  # (4,)
    sequence_costs: IntArray  # (COSTS,)
    huffman: IntArray  # (HUFFMAN_ROW,), the code of this block
    tables: IntArray  # (3, TABLE_ROW), the tables of this block
    memory: IntArray  # (_MEMORY, ...), sections that begin alike: their tail's length, costs, and the tail's sequences
    remembered: IntArray  # (1,), sections in the memory
    rest: IntArray  # (REST,), how often each literal occurs after the last sequence; where these begin and end


def begin_work() -> Work:
    """Return the room, with nothing remembered."""
    shapes = [(3, *CODER_SHAPE), 4, COSTS, HUFFMAN_ROW, (3, TABLE_ROW), (_MEMORY, 1 + COSTS + 3 * _TAIL), 1, REST]
    return Work(begin_scratch(), *(np.zeros(shape, np.int64) for shape in shapes))


@lean_kernel
def begin_block(registers: IntArray, parameters: IntArray) -> None:
    """Make the registers ready for a block that begins at BLOCK."""
    block = registers[BLOCK]
    registers[LOW] = max(registers[LOW], block + FIRST - (1 << parameters[WINDOW_LOG]))
    registers[NEXT] = max(registers[NEXT], registers[LOW] - FIRST)
    if block > registers[NEXT] + _FAR:
        registers[NEXT] = block - min(_CATCH_UP, block - registers[NEXT] - _FAR)
    registers[BEGIN_REP1], registers[BEGIN_REP2], registers[BEGIN_REP3] = (
        registers[REP1],
        registers[REP2],
        registers[REP3],
    )
    registers[POSITION] = registers[ANCHOR] = block
    registers[STAGE] = START
    registers[SEQUENCES] = registers[LITERALS] = registers[EXTRA] = registers[SKIPPING] = 0


@part
def _remembered(state: State, work: Work, first: Integer) -> Integer:
    """Set the sequences' costs to those kept for the same rows from ``first`` on; return False if there are none."""
    sequences, registers, memory = state.sequences, state.registers, work.memory
    tail = registers[SEQUENCES] - first
    for row in range(work.remembered[0]):
        same = memory[row, 0] == tail
        at = 1 + COSTS
        for sequence in range(first, registers[SEQUENCES]):
            if not same:
                break
            for column in range(3):
                same &= memory[row, at + column] == sequences[sequence, column]
            at += 3
        if same:
            for i in range(COSTS):
                work.sequence_costs[i] = memory[row, 1 + i]
            return True
    return False


@part
def _remember(state: State, work: Work, first: Integer) -> None:
    sequences, registers, memory = state.sequences, state.registers, work.memory
    if work.remembered[0] == _MEMORY:
        return
    row = work.remembered[0]
    work.remembered[0] = row + 1
    memory[row, 0] = registers[SEQUENCES] - first
    for i in range(COSTS):
        memory[row, 1 + i] = work.sequence_costs[i]
    at = 1 + COSTS
    for sequence in range(first, registers[SEQUENCES]):
        for column in range(3):
            memory[row, at + column] = sequences[sequence, column]
        at += 3


@step
def count_rest(state: State, work: Work) -> None:
    """Count the literals after the last sequence, if they are many, since most suffixes add no sequence."""
    begin, end, rest = state.registers[ANCHOR], state.registers[SIZE], work.rest
    rest[REST_END] = 0
    if end - begin < _LONG_REST:
        return
    rest[:256] = 0
    for at in range(begin, end):
        rest[state.buffer[at]] += 1
    rest[REST_BEGIN], rest[REST_END] = begin, end


@step
def _add_rest(state: State, work: Work, end: Integer, sign: Integer) -> None:
    """Add the literals after the last sequence to those of sequences, or subtract them."""
    literals, rest, begin = state.literals, work.rest, state.registers[ANCHOR]
    if rest[REST_END] > 0 and rest[REST_BEGIN] == begin:
        begin = rest[REST_END]
        for literal in range(256):
            literals[literal] += sign * rest[literal]
    for at in range(begin, end):
        literals[state.buffer[at]] += sign


@part
def _one_byte(buffer: Bytes, begin: Integer, end: Integer) -> Integer:
    if buffer[end - 1] != buffer[begin]:
        return False
    at = begin + 1
    while at < end and buffer[at] == buffer[begin]:
        at += 1
    return at == end


@part
def block_cost(
    state: State, work: Work, end: Integer, first: Integer, exact: Integer
) -> tuple[Integer, Integer, Integer]:
    """Return how a block ends that has been parsed to ``end``: its kind, bits and, if ``exact``, bytes.

    ``first`` is the row from which on sequences may differ from those that are remembered, -1 to remember none, or
    UNCHANGED. If ``exact``, the work's code and tables are set to the block's [ZSTD_entropyCompressSeqStore].
    """
    # In one piece: zstd tries what a block may be in this order, and each answer needs the counts of the one before.
    buffer, registers, literals = state.buffer, state.registers, state.literals
    strategy = state.parameters[STRATEGY]
    begin, anchor, rows = registers[BLOCK], registers[ANCHOR], registers[SEQUENCES]
    size = end - begin
    kind, bits, total = RAW, 0, 0
    if size >= SMALLEST_PARSED:
        _add_rest(state, work, end, 1)
        limit = size - least_gain(size, strategy)
        short = first >= 0 and rows - first <= _TAIL
        costs = work.sequence_costs
        if first != UNCHANGED and not (short and _remembered(state, work, first)):
            sequences_cost(
                state.sequences,
                0,
                rows,
                state.codes,
                registers[EXTRA],
                strategy,
                state.tables_before,
                work.tables,
                work.coders,
                costs,
            )
            if short:
                _remember(state, work, first)
        for attempt in range(2):
            literals_cost(
                buffer,
                begin,
                state.sequences,
                0,
                rows,
                literals,
                registers[LITERALS] + end - anchor,
                strategy,
                state.huffman,
                work.huffman,
                work.scratch,
                exact or attempt == 1,
                work.literal_costs,
            )
            least, total = work.literal_costs[LEAST_BYTES] + costs[1], work.literal_costs[MOST_BYTES] + costs[1]
            if least >= limit or total < limit:
                break
        _add_rest(state, work, end, -1)
        if total < limit and not 0 < costs[2] < 4:
            kind, bits = COMPRESSED, 8 * HEADER_BYTES + work.literal_costs[LITERAL_BITS] + costs[0]
            total += HEADER_BYTES
        short_enough = registers[BLOCKS] > 0 and (kind == RAW or total < _LONGEST_REPEATED + HEADER_BYTES)
        if short_enough and _one_byte(buffer, begin, end):
            kind = REPEATED
    if kind == RAW:
        total = HEADER_BYTES + size
        bits = 8 * total
    elif kind == REPEATED:
        total = HEADER_BYTES + 1
        bits = 8 * total
    return kind, bits, total


@step
def close_block(state: State, work: Work, end: Integer, kind: Integer, bits: Integer, size: Integer) -> None:
    """End the open block, whose exact cost is known, and begin the next one at ``end``."""
    registers = state.registers
    if kind == COMPRESSED:
        copy_to(state.huffman, work.huffman)
        for kind in range(3):
            copy_to(state.tables_before[kind], work.tables[kind])
    else:
        registers[REP1], registers[REP2], registers[REP3] = (
            registers[BEGIN_REP1],
            registers[BEGIN_REP2],
            registers[BEGIN_REP3],
        )
    registers[BITS] += bits
    registers[SAVINGS] += end - registers[BLOCK] - size
    registers[BLOCKS] += 1
    registers[BLOCK] = end
    state.literals[:] = 0
    state.codes[:] = 0
    begin_block(registers, state.parameters)
