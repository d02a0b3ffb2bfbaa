"""What a network conditions on beside its own memory: the last bytes and words, hashed to rows of embedding tables.

One row of each table is in use at a time. A table has a *kind* of context and any number of rows; all tables lie one
after another in one array of rows. Training and inference both take their rows from here.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gencomp.compiled import Integer, fragment, lean_kernel
from gencomp.protocols import IntArray

ByteArray = npt.NDArray[np.uint8]
ContextArray = npt.NDArray[np.uint64]

# "order1" to "order6": the last bytes; "word": the current word so far; "words": that and the word before it
KINDS = {"order1": 1, "order2": 2, "order3": 3, "order4": 4, "order5": 5, "order6": 6, "word": 7, "words": 8}
_WORD, _WORDS = KINDS["word"], KINDS["words"]
MAX_ROWS = 1 << 24  # of all tables together

# a context's numbers: the last 8 bytes; the hashes of the current or last word, and of the word before it; whether the
# last byte was a letter
_HISTORY, _CURRENT, _PREVIOUS, _INSIDE = range(4)

# arithmetic is that of uint32, done in uint64, which holds a product: numba and numpy then agree on every type
_0, _1, _8, _13, _15, _32 = (np.uint64(number) for number in (0, 1, 8, 13, 15, 32))
_BYTES_1, _BYTES_2, _BYTES_4 = (np.uint64((1 << (8 * count)) - 1) for count in (1, 2, 4))
# odd constants: 2^32 / golden ratio, those of the finaliser of MurmurHash3, of xxHash32, and MurmurHash2's
_GOLDEN, _MURMUR, _MURMUR_2, _XXH, _XXH_2, _XOR = (
    np.uint64(number) for number in (0x9E3779B1, 0x85EBCA6B, 0xC2B2AE35, 0x27D4EB2F, 0x165667B1, 0x5BD1E995)
)


def make_plan(tables: Sequence[tuple[str, int]]) -> IntArray:
    """Return the tables as int64 (K, 3): each one's kind, number of rows, and first row in the array of all.

    Raises ``ValueError`` on an unknown kind and on a number of rows that a table of its kind cannot have.
    """
    plan = np.zeros((len(tables), 3), dtype=np.int64)
    first = 0
    for k, (kind, rows) in enumerate(tables):
        if kind not in KINDS:
            raise ValueError(f"a table's kind must be one of {', '.join(KINDS)}, got {kind!r}")
        if not 1 <= rows <= MAX_ROWS or (kind == "order1" and rows != 256):
            expected = "256" if kind == "order1" else f"from 1 to {MAX_ROWS}"
            raise ValueError(f"a table of kind {kind} has {rows} rows, expected {expected}")
        plan[k] = KINDS[kind], rows, first
        first += rows
    if not tables or first > MAX_ROWS:
        raise ValueError(f"{len(tables)} tables with {first} rows, expected 1 or more with up to {MAX_ROWS} in all")
    return plan


def new_context() -> ContextArray:
    """Return the context before anything was read, uint64 (4,). A network reads the byte 0 first."""
    return np.zeros(4, dtype=np.uint64)


@fragment
def read_byte(context: ContextArray, byte: Integer) -> tuple[Integer, Integer]:
    """Append ``byte`` to ``context``; return (word, word before) for the tables of words, hashes below 2^32.

    Within a word, ``word`` is the word so far. At the byte that ends it, ``word`` is the word with that byte, and the
    word before stays. Further on, ``word`` is the last two bytes, and the word before is the word that ended.
    """
    c = np.uint64(byte)
    history = (context[_HISTORY] << _8) | c
    context[_HISTORY] = history
    word, previous = context[_CURRENT], context[_PREVIOUS]
    folded = c + np.uint64(32) if c >= np.uint64(65) and c <= np.uint64(90) else c
    inside = context[_INSIDE] != _0
    if (folded >= np.uint64(97) and folded <= np.uint64(122)) or c >= np.uint64(128):
        start = word if inside else _0
        word = (((start + folded + _1) & _BYTES_4) * _GOLDEN) & _BYTES_4
        context[_CURRENT] = word
        context[_INSIDE] = _1
        return word, previous
    if inside:
        context[_PREVIOUS] = word
        context[_INSIDE] = _0
        return ((word ^ _XOR) + c * _MURMUR) & _BYTES_4, previous
    return ((history & _BYTES_2) * _MURMUR_2) & _BYTES_4, previous


@fragment
def row_of(kind: Integer, rows: Integer, history: Integer, word: Integer, previous: Integer) -> Integer:
    """Return the row in [0, ``rows``), int64, of a table of ``kind``; :func:`read_byte` gave the words."""
    if kind == 1:
        return np.int64(history & _BYTES_1)
    if kind == _WORD:
        x = word
    elif kind == _WORDS:
        x = word + previous * _XXH + _1
    else:
        low = min(kind, 4)
        x = history & (_BYTES_4 >> np.uint64(32 - 8 * low))
        if kind > 4:
            above = (history >> _32) & (_BYTES_4 >> np.uint64(64 - 8 * kind))
            x = x ^ ((above * _XXH) & _BYTES_4)
        x = x + np.uint64(kind) * _XXH_2
    x = ((x & _BYTES_4) * _MURMUR) & _BYTES_4
    x = ((x ^ (x >> _15)) * _GOLDEN) & _BYTES_4
    x = ((x ^ (x >> _13)) * _MURMUR_2) & _BYTES_4
    return np.int64((x * np.uint64(rows)) >> _32)


@lean_kernel
def fill_rows(data: ByteArray, context: ContextArray, plan: IntArray, rows: npt.NDArray[np.int32]) -> None:
    """Do as :func:`context_rows`, into ``rows`` int32 (n, K)."""
    for index in range(data.shape[0]):
        word, previous = read_byte(context, data[index])
        for k in range(plan.shape[0]):
            row = row_of(plan[k, 0], plan[k, 1], context[_HISTORY], word, previous)
            rows[index, k] = np.int64(plan[k, 2]) + row


def context_rows(data: ByteArray, context: ContextArray, plan: IntArray) -> npt.NDArray[np.int32]:
    """Return the row of each table after each byte of ``data`` (n,) uint8: int32 (n, K), in the array of all tables.

    ``context`` (:func:`new_context`) is updated, so the next call continues; ``plan`` is of :func:`make_plan`. The rows
    after a byte serve to predict the next one.
    """
    rows = np.empty((len(data), len(plan)), dtype=np.int32)
    fill_rows(data, context, plan, rows)
    return rows
