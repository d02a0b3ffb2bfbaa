"""Products of packed int8 or int16 weights and int16 rows, for networks of any width, summed exactly.

All is done by *tiles*: one, two or four rows of inputs times the weights of a few outputs, over some pairs of inputs,
with the sums in registers. :mod:`gencomp.inference.products` says why they are written in LLVM IR. A tile's sums are
int32, so its caller bounds the inputs. :func:`multiply_block` cuts long rows into spans of MAX_INPUTS, whose sums are
below 2^31 with any int8 weights and any int16 inputs but -32768, and adds the spans up in int64.

**The layout** is that of ``products``, but the last blocks are narrower: blocks of 64 outputs, then of 16. A block is
an array (pairs of inputs, outputs, 2). Outputs are padded with zeros to a multiple of 16, inputs to an even number.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from gencomp.compiled import Integer, compiled, lean_kernel
from gencomp.inference.products import MAX_INPUTS, Int8Array, Int16Array, Int32Array

Int64Array = npt.NDArray[np.int64]
AnyArray = npt.NDArray[Any]

BLOCK, SMALL = 64, 16  # outputs


def _plain(rows: int, vectors: int) -> Callable[..., None]:
    """Return a tile in plain Python."""
    outputs = 8 * vectors

    def tile(
        weights: AnyArray,
        start: Integer,
        stride: Integer,
        inputs: Int16Array,
        first: Integer,
        row: Integer,
        pairs: Integer,
        sums: Int32Array,
        out: Integer,
        out_row: Integer,
    ) -> None:
        places = start + np.arange(pairs)[:, None] * stride + np.arange(2 * outputs)
        block = weights.reshape(-1)[places].reshape(pairs, outputs, 2).astype(np.int64)
        for i in range(rows):
            here = first + row * i
            vector = inputs.reshape(-1)[here : here + 2 * pairs].reshape(pairs, 2).astype(np.int64)
            place = out + out_row * i
            sums.reshape(-1)[place : place + outputs] = np.einsum("poi,pi->o", block, vector)

    return tile


def _made(rows: int, vectors: int, bits: int) -> Callable[..., None]:
    return compiled(_plain(rows, vectors), "gencomp.inference.product_instructions:tile", rows, vectors, bits)


# tile(weights, start, stride, inputs, first, row, pairs, sums, out, out_row): for each row r and output o of the tile,
# sums[out + r out_row + o] = the sum over p < pairs and i < 2 of
#     weights[start + p stride + 2 o + i] * inputs[first + r row + 2 p + i]
# where indices, all int64, are into flattened C-contiguous arrays. Names give rows and outputs; "wide" weights are
# int16.
tile_1_64, tile_1_16 = _made(1, 8, 8), _made(1, 2, 8)
tile_2_32, tile_2_16 = _made(2, 4, 8), _made(2, 2, 8)
tile_4_16 = _made(4, 2, 8)
wide_1_64, wide_1_16 = _made(1, 8, 16), _made(1, 2, 16)


def padded(size: int, unit: int) -> int:
    """Return the least multiple of ``unit`` that is at least ``size``."""
    return -(-size // unit) * unit


def packed_size(outputs: int, inputs: int) -> int:
    """Return how many weights a matrix (outputs, inputs) has when packed."""
    return padded(outputs, SMALL) * padded(inputs, 2)


def pack_rows(matrix: Int8Array, out: Int8Array, first: int, outputs: int) -> None:
    """Write rows of a matrix, from row ``first`` on, into its packed form ``out``; ``matrix`` (n, inputs) has the rows.

    ``outputs`` is the whole matrix's number of rows. ``first`` is a multiple of BLOCK, and so is n, except at the end.
    """
    inputs = padded(matrix.shape[1], 2)
    rows = np.zeros((padded(len(matrix), SMALL), inputs), dtype=np.int8)
    rows[: len(matrix), : matrix.shape[1]] = matrix
    total = padded(outputs, SMALL)
    row = 0
    while row < len(rows):
        size = BLOCK if first + row + BLOCK <= total else SMALL
        block = rows[row : row + size].reshape(size, -1, 2).transpose(1, 0, 2)
        place = (first + row) * inputs
        out[place : place + size * inputs] = block.reshape(-1)
        row += size


def unpacked_rows(packed: Int8Array, start: int, outputs: int, inputs: int) -> Int8Array:
    """Return the matrix (outputs, inputs) whose packed form begins at ``start``."""
    columns, total = padded(inputs, 2), padded(outputs, SMALL)
    rows = np.empty((total, columns), dtype=np.int8)
    row = 0
    while row < total:
        size = BLOCK if row + BLOCK <= total else SMALL
        place = start + row * columns
        block = packed[place : place + size * columns].reshape(columns // 2, size, 2)
        rows[row : row + size] = block.transpose(1, 0, 2).reshape(size, columns)
        row += size
    return rows[:outputs, :inputs]


@lean_kernel
def _span_of_rows(
    weights: Int8Array,
    start: Integer,
    size: Integer,
    inputs: Int16Array,
    first: Integer,
    count: Integer,
    begin: Integer,
    end: Integer,
    sums: Int32Array,
) -> None:
    """Write the products of inputs [begin, end) and a block of ``size`` outputs into ``sums`` (count, BLOCK)."""
    stride = 2 * size
    start += (begin // 2) * stride
    pairs = (end - begin) >> 1
    width = inputs.shape[1]
    row = 0
    while row < count:
        at = (first + row) * width + begin
        out = row * BLOCK
        if row + 4 <= count:
            for o in range(0, size, 16):
                tile_4_16(weights, start + 2 * o, stride, inputs, at, width, pairs, sums, out + o, BLOCK)
            row += 4
        elif row + 2 <= count:
            if size == BLOCK:
                tile_2_32(weights, start, stride, inputs, at, width, pairs, sums, out, BLOCK)
                tile_2_32(weights, start + 64, stride, inputs, at, width, pairs, sums, out + 32, BLOCK)
            else:
                tile_2_16(weights, start, stride, inputs, at, width, pairs, sums, out, BLOCK)
            row += 2
        else:
            if size == BLOCK:
                tile_1_64(weights, start, stride, inputs, at, width, pairs, sums, out, BLOCK)
            else:
                tile_1_16(weights, start, stride, inputs, at, width, pairs, sums, out, BLOCK)
            row += 1


@lean_kernel
def multiply_block(
    weights: Int8Array,
    start: Integer,
    size: Integer,
    inputs: Int16Array,
    columns: Integer,
    first: Integer,
    count: Integer,
    sums: Int32Array,
    totals: Int64Array,
) -> None:
    """Write rows [first, first + count) of ``inputs`` times a block of ``size`` outputs into ``totals`` (count, BLOCK).

    The block is packed at ``start`` of ``weights``. The first ``columns`` inputs of each row are used, an even number.
    ``sums`` (count, BLOCK) is scratch.
    """
    begin = 0
    while begin < columns:
        end = min(begin + MAX_INPUTS, columns)
        _span_of_rows(weights, start, size, inputs, first, count, begin, end, sums)
        for row in range(count):
            if begin == 0:
                _widen(sums[row], totals[row])
            else:
                _add(sums[row], totals[row])
        begin = end


@lean_kernel
def _widen(sums: Int32Array, totals: Int64Array) -> None:
    for o in range(BLOCK):
        totals[o] = np.int64(sums[o])


@lean_kernel
def _add(sums: Int32Array, totals: Int64Array) -> None:
    for o in range(BLOCK):
        totals[o] += np.int64(sums[o])
