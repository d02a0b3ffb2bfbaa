"""Threads that share the work of one kernel: phases of chunks, each of which one thread does.

All threads call the same kernel. The leader opens a phase, which has a number of chunks; leader and helpers take them,
and the leader opens the next phase when all are done. A helper that comes late, or that the system suspends, delays at
most the chunk that it has taken; without helpers the leader does all chunks. What a chunk computes does not depend on
the thread.

The threads share a *gate*: CELLS int64 cells, read and written atomically. The cell OPEN holds the phase, its number of
chunks and the next chunk; the cell DONE holds how many chunks are done.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from gencomp.compiled import Integer, compiled, fragment, lean_kernel
from gencomp.cores import helper_pool, helpers

Gate = npt.NDArray[np.int64]

OPEN, DONE = 0, 16  # two cache lines apart
CELLS = 32
MAX_CHUNKS = (1 << 24) - 1
MAX_PHASES = 1 << 14
CLOSED, NONE = -1, -2  # in place of a phase: the kernel is done; no chunk is free
_PATIENCE = 2000  # looks at a cell before a thread yields to others


def _plain_read(gate: Gate, cell: Integer) -> Integer:
    return np.int64(gate[cell])


def _plain_write(gate: Gate, cell: Integer, value: Integer) -> None:
    gate[cell] = value


def _plain_add(gate: Gate, cell: Integer, value: Integer) -> None:
    gate[cell] += value


def _plain_replace(gate: Gate, cell: Integer, old: Integer, new: Integer) -> bool:
    if gate[cell] != old:
        return False
    gate[cell] = new
    return True


def _plain_rest() -> None:
    getattr(os, "sched_yield", lambda: None)()


_AT_HOME = "gencomp.inference.team_instructions"
# atomic and sequentially consistent; replace(gate, cell, old, new) is a compare-and-swap, and says whether it was done
read: Callable[[Gate, Integer], Integer] = compiled(_plain_read, f"{_AT_HOME}:read")
write: Callable[[Gate, Integer, Integer], None] = compiled(_plain_write, f"{_AT_HOME}:write")
add: Callable[[Gate, Integer, Integer], None] = compiled(_plain_add, f"{_AT_HOME}:add")
replace: Callable[[Gate, Integer, Integer, Integer], bool] = compiled(_plain_replace, f"{_AT_HOME}:replace")
rest: Callable[[], None] = compiled(_plain_rest, f"{_AT_HOME}:rest")


def new_gate() -> Gate:
    """Return a gate without an open phase, at which helpers wait."""
    return np.zeros(CELLS, dtype=np.int64)


@fragment
def open_phase(gate: Gate, phase: Integer, chunks: Integer) -> None:
    """Open ``phase`` < MAX_PHASES with ``chunks`` <= MAX_CHUNKS chunks; for the leader alone."""
    write(gate, DONE, np.int64(0))
    write(gate, OPEN, (np.int64(phase) << 48) | (np.int64(chunks) << 24))


@fragment
def close(gate: Gate) -> None:
    """Let the helpers go."""
    write(gate, OPEN, np.int64(CLOSED))


@lean_kernel
def take(gate: Gate) -> tuple[Integer, Integer]:
    """Take a chunk; return (phase, chunk), or (NONE, 0) if none is free, or (CLOSED, 0) after the last phase."""
    while True:
        word = read(gate, OPEN)
        if word < 0:
            return np.int64(CLOSED), np.int64(0)
        chunk, chunks = word & MAX_CHUNKS, (word >> 24) & MAX_CHUNKS
        if chunk >= chunks:
            return np.int64(NONE), np.int64(0)
        if replace(gate, OPEN, word, word + 1):
            return word >> 48, chunk


@fragment
def finish(gate: Gate) -> None:
    """Count a chunk as done; what was written for it is visible to whoever sees the count."""
    add(gate, DONE, np.int64(1))


@lean_kernel
def wait_until_done(gate: Gate, chunks: Integer) -> None:
    """Wait until ``chunks`` chunks are done."""
    looks = 0
    while read(gate, DONE) < chunks:
        looks += 1
        if looks > _PATIENCE:
            rest()


@lean_kernel
def take_or_wait(gate: Gate) -> tuple[Integer, Integer]:
    """Do as :func:`take`, for a helper: wait while no chunk is free."""
    looks = 0
    while True:
        phase, chunk = take(gate)
        if phase != NONE:
            return phase, chunk
        looks += 1
        if looks > _PATIENCE:
            rest()


@contextmanager
def sharing(
    kernel: Callable[..., Any], gate: Gate, most: int, arguments: Callable[[int], tuple[Any, ...]]
) -> Iterator[None]:
    """Let up to ``most`` helpers call ``kernel`` with ``arguments(k)``, k from 0 on; inside, the caller leads.

    There are only as many helpers as there are free cores. When the context ends, even by an exception, none is left.
    """
    with helpers(most) as count:
        write(gate, OPEN, 0)
        calls = []
        try:
            calls = [helper_pool().submit(kernel, *arguments(k)) for k in range(count)]
            yield
        finally:
            gate[OPEN] = CLOSED
            for call in calls:
                if not call.cancel():
                    call.result()
