"""The state of a frame before any data, and copies of states."""

import numpy as np

from gencomp.bitstreams.zstd.blocks import begin_block
from gencomp.bitstreams.zstd.fse import TABLE_ROW
from gencomp.bitstreams.zstd.huffman import HUFFMAN_ROW
from gencomp.bitstreams.zstd.layout import (
    CHAIN_LOG,
    CODES,
    FAST,
    FIRST,
    HASH_LOG,
    LARGEST_BLOCK,
    LOW,
    OPTIMAL,
    REGISTERS,
    REP1,
    REP2,
    REP3,
    SEQUENCES,
    SIZE,
    SPARE,
    STRATEGY,
    WINDOW_LOG,
    State,
)


def _entries(parameters: tuple[int, ...]) -> int:
    """Return how many entries the match finder's tables have; the optimal parser has tables of its own."""
    strategy = parameters[STRATEGY]
    if strategy >= OPTIMAL:
        return 0
    return (1 << parameters[HASH_LOG]) + (0 if strategy == FAST else 1 << parameters[CHAIN_LOG])


def _rows(parameters: tuple[int, ...]) -> int:
    """Return how many sequences a block may have."""
    return min(LARGEST_BLOCK, 1 << parameters[WINDOW_LOG]) // 3 + 1


def state_memory(parameters: tuple[int, ...]) -> int:
    """Return the bytes of a state besides the data."""
    return 4 * _entries(parameters) + 24 * _rows(parameters) + 8 * (256 + 3 * CODES + HUFFMAN_ROW + 3 * TABLE_ROW + 99)


def begin_state(parameters: tuple[int, ...], capacity: int) -> State:
    """Return the state before any data."""
    rows = np.array(parameters, np.int64)
    registers = np.zeros(REGISTERS, np.int64)
    registers[REP1], registers[REP2], registers[REP3] = 1, 4, 8
    registers[LOW] = FIRST
    begin_block(registers, rows)
    return State(
        np.zeros(capacity + SPARE, np.uint8),
        np.zeros(_entries(parameters), np.int32),
        np.zeros((_rows(parameters), 6), np.int32),
        np.zeros(256, np.int64),
        np.zeros((3, CODES), np.int64),
        registers,
        rows,
        np.zeros(HUFFMAN_ROW, np.int64),
        np.zeros((3, TABLE_ROW), np.int64),
    )


def copied(state: State) -> State:
    """Return a state that goes on independently."""
    used = int(state.registers[SEQUENCES])
    sequences = np.empty_like(state.sequences)
    sequences[:used] = state.sequences[:used]
    size = int(state.registers[SIZE])
    buffer = np.zeros_like(state.buffer)
    buffer[:size] = state.buffer[:size]
    return State(
        buffer,
        state.tables.copy(),
        sequences,
        state.literals.copy(),
        state.codes.copy(),
        state.registers.copy(),
        state.parameters,
        state.huffman.copy(),
        state.tables_before.copy(),
    )
