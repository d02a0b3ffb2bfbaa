"""A range coder in 56-bit integers: arithmetic coding (Rissanen 1976; Martin 1979) with bytes shifted out.

The state is an interval [low, low + range) of 56-bit integers, a window on a number whose leading bytes are already
written. The names are Martin's and Subbotin's, except that the code says ``width``, since ``range`` is Python's.
Carries are propagated; Subbotin's carryless coder gives up part of the range instead. Invariants before and after
every symbol, in both directions:

    0 <= low < 2^56        2^48 <= range <= 2^56        low + range <= 2^57

A symbol with cdf interval [start, stop) of 2^precision units shrinks it to

    unit = range >> precision;   low += unit * start;   range = unit * (stop - start)

``unit`` is at least 2^18 at the largest precision of 30 bits, so truncation costs under 2^-18 of a symbol's range,
below 10^-5 bits. When low reaches 2^56, the carry runs back into the bytes written. All values fit a signed 64-bit
integer, so the same code runs compiled and as plain Python.

The stream ends with the fewest bits b1 b2 ... bk such that every continuation of them lies inside the final
interval: the shortest binary interval, as in the paper's Figure 1. That is under 2 bits more than -log2 of the
final range. The last byte is filled with zeros. The decoder knows the same interval, and hence where the stream must
end: a byte too many or too few is an error.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gencomp.arguments import as_bytes
from gencomp.coding.quantize import (
    AnyArray,
    IntArray,
    as_pmf_rows,
    check_alphabet,
    default_precision,
    interval_of_pmf,
    invalid_pmf,
    symbol_of_pmf,
)
from gencomp.compiled import Integer, fragment, lean_kernel
from gencomp.errors import CorruptDataError

ByteArray = npt.NDArray[np.uint8]

STATE_BITS = 56
TOP_SHIFT = STATE_BITS - 8  # of the byte that leaves first
TOP = 1 << STATE_BITS
BOTTOM = 1 << TOP_SHIFT  # of the range: where it is below, a byte is shifted out
WINDOW_BYTES = STATE_BITS // 8
MAX_BYTES_PER_SYMBOL = 4  # shifted out by a frequency of 1 at precision 30


@lean_kernel
def carry(out: ByteArray, position: Integer) -> None:
    """Add one to the number that the bytes before ``position`` spell.

    Some byte is below 255 and stops the carry, since the coded number as a whole stays below 1.
    """
    position -= 1
    while out[position] == 255:
        out[position] = 0
        position -= 1
    out[position] += 1


@fragment
def encode_step(
    low: Integer, width: Integer, out: ByteArray, position: Integer, start: Integer, stop: Integer, precision: Integer
) -> tuple[Integer, Integer, Integer]:
    """Narrow the interval to [start, stop) / 2^precision; return the new (low, width, position).

    ``out`` must have room for MAX_BYTES_PER_SYMBOL bytes from ``position`` on.
    """
    unit = width >> precision
    low += unit * start
    width = unit * (stop - start)
    if low >= TOP:
        low -= TOP
        carry(out, position)
    while width < BOTTOM:
        out[position] = low >> TOP_SHIFT
        position += 1
        low = (low & (BOTTOM - 1)) << 8
        width <<= 8
    return low, width, position


@lean_kernel
def tail_of(low: Integer, width: Integer) -> tuple[Integer, Integer]:
    """Return (value, bits): the shortest binary interval [value, value + 2^(56 - bits)) inside the final one."""
    bits = 0
    while True:
        mask = (1 << (STATE_BITS - bits)) - 1
        value = (low + mask) & ~mask
        if value + mask < low + width:
            return value, bits
        bits += 1


@lean_kernel
def encode_end(low: Integer, width: Integer, out: ByteArray, position: Integer) -> tuple[Integer, Integer]:
    """Write the tail; return (number of bytes, number of bits) of the whole stream."""
    value, bits = tail_of(low, width)
    if value >= TOP:
        value -= TOP
        carry(out, position)
    total_bits = 8 * position + bits
    while bits > 0:
        out[position] = value >> TOP_SHIFT
        position += 1
        value = (value & (BOTTOM - 1)) << 8
        bits -= 8
    return position, total_bits


@lean_kernel
def decode_begin(data: ByteArray) -> tuple[Integer, Integer, Integer, Integer]:
    """Return the decoder's first (low, width, offset, position), where offset is the window's value minus low."""
    offset: Integer = 0
    for index in range(WINDOW_BYTES):
        offset <<= 8
        if index < data.shape[0]:
            offset |= np.int64(data[index])
    return 0, TOP, offset, WINDOW_BYTES


@lean_kernel
def decode_target(width: Integer, offset: Integer, precision: Integer) -> Integer:
    """Return the cdf value that the stream points at, in [0, 2^precision)."""
    target = np.uint64(offset) // np.uint64(width >> precision)
    return min(np.int64(target), (1 << precision) - 1)


@fragment
def decode_step(
    low: Integer,
    width: Integer,
    offset: Integer,
    position: Integer,
    data: ByteArray,
    start: Integer,
    stop: Integer,
    precision: Integer,
) -> tuple[Integer, Integer, Integer, Integer]:
    """Follow the encoder's step; return the new (low, width, offset, position), with offset < 0 for a damaged stream.

    Past the end of ``data`` zeros are shifted in; a sound stream needs no more of them than the window holds.
    """
    unit = width >> precision
    low = (low + unit * start) & (TOP - 1)
    offset -= unit * start
    width = unit * (stop - start)
    if offset >= width or position - WINDOW_BYTES > data.shape[0]:
        return low, width, -1, position
    while width < BOTTOM:
        offset <<= 8
        if position < data.shape[0]:
            offset |= np.int64(data[position])
        position += 1
        low = (low & (BOTTOM - 1)) << 8
        width <<= 8
    return low, width, offset, position


@lean_kernel
def decode_end(low: Integer, width: Integer, offset: Integer, position: Integer, size: Integer) -> bool:
    """Return whether a stream of ``size`` bytes ends exactly as the encoder ends it."""
    value, bits = tail_of(low, width)
    return bool(offset == value - low and size == position - WINDOW_BYTES + (bits + 7) // 8)


@lean_kernel
def search_cdf(cdf: IntArray, target: Integer) -> Integer:
    """Return the symbol with cdf[symbol] <= target < cdf[symbol + 1], by bisection.

    It has no branch that the processor could mispredict.
    """
    below, count = 0, cdf.shape[0] - 1  # the symbol is one of ``count`` from ``below`` on
    while count > 1:
        half = count >> 1
        below += half * (cdf[below + half] <= target)
        count -= half
    return below


@lean_kernel
def _encode_cdf_rows(state: IntArray, out: ByteArray, symbols: AnyArray, cdfs: AnyArray, precision: Integer) -> int:
    low, width, position = state[0], state[1], state[2]
    shared = cdfs.shape[0] == 1
    for index in range(symbols.shape[0]):
        row = cdfs[0 if shared else index]
        start, stop = row[symbols[index]], row[symbols[index] + 1]
        if not 0 <= start < stop <= 1 << precision:
            return index
        low, width, position = encode_step(low, width, out, position, start, stop, precision)
    state[0], state[1], state[2] = low, width, position
    return -1


@lean_kernel
def _encode_pmf_rows(state: IntArray, out: ByteArray, symbols: AnyArray, pmf: AnyArray, precision: Integer) -> int:
    low, width, position = state[0], state[1], state[2]
    for index in range(symbols.shape[0]):
        start, stop = interval_of_pmf(pmf[index], symbols[index], precision)
        if stop == 0:
            return index
        low, width, position = encode_step(low, width, out, position, start, stop, precision)
    state[0], state[1], state[2] = low, width, position
    return -1


@lean_kernel
def _decode_cdf_rows(state: IntArray, data: ByteArray, symbols: AnyArray, cdfs: AnyArray, precision: Integer) -> int:
    low, width, offset, position = state[0], state[1], state[2], state[3]
    shared = cdfs.shape[0] == 1
    for index in range(symbols.shape[0]):
        row = cdfs[0 if shared else index]
        symbol = search_cdf(row, decode_target(width, offset, precision))
        if not 0 <= row[symbol] < row[symbol + 1] <= 1 << precision:
            return index
        low, width, offset, position = decode_step(
            low, width, offset, position, data, row[symbol], row[symbol + 1], precision
        )
        symbols[index] = symbol
        if offset < 0:
            break
    state[0], state[1], state[2], state[3] = low, width, offset, position
    return -1


@lean_kernel
def _decode_pmf_rows(state: IntArray, data: ByteArray, symbols: AnyArray, pmf: AnyArray, precision: Integer) -> int:
    low, width, offset, position = state[0], state[1], state[2], state[3]
    for index in range(symbols.shape[0]):
        symbol, start, stop = symbol_of_pmf(pmf[index], decode_target(width, offset, precision), precision)
        if stop == 0:
            return index
        low, width, offset, position = decode_step(low, width, offset, position, data, start, stop, precision)
        symbols[index] = symbol
        if offset < 0:
            break
    state[0], state[1], state[2], state[3] = low, width, offset, position
    return -1


def corrupt_stream() -> CorruptDataError:
    """Return the error for a stream that no encoder writes with this model."""
    return CorruptDataError("the coded stream is damaged, cut short, or was made with another model")


def _checked_rows(cdfs: IntArray, count: int) -> tuple[IntArray, int]:
    """Return ``cdfs`` as rows, one for all symbols or one each, and their precision."""
    rows = np.atleast_2d(cdfs)
    if rows.shape[0] not in (1, count):
        raise ValueError(f"cdfs must be one row or one for each of the {count} symbols, got {rows.shape[0]} rows")
    total = int(rows[0, -1])
    precision = total.bit_length() - 1
    check_alphabet(rows.shape[1] - 1, precision)
    if total != 1 << precision or (rows[:, -1] != total).any() or rows[:, 0].any():
        raise ValueError(f"every cdf must run from 0 to the same power of two, got {rows[0, 0]} to {total}")
    return rows, precision


class RangeEncoder:
    r"""First in, first out: the decoder gets the symbols in the order in which they were encoded.

    >>> encoder = RangeEncoder()
    >>> encoder.encode(np.array([1, 0, 1]), np.array([0, 3, 4]))
    >>> encoder.finish(), encoder.num_bits
    (b'\xe8', 5)
    """

    def __init__(self) -> None:
        self._state = np.array([0, TOP, 0], dtype=np.int64)  # low, width, position
        self._out = np.empty(64, dtype=np.uint8)
        self._num_bits: int | None = None
        self._spent = False  # a batch was refused halfway, when carries had already run

    def _reserve(self, count: int) -> None:
        """Make room for ``count`` symbols and the tail, doubling; refuse an encoder that cannot go on."""
        if self._spent or (self._num_bits is not None and count):
            raise ValueError("this encoder is spent: it was finished, or refused a batch; begin another one")
        needed = int(self._state[2]) + count * MAX_BYTES_PER_SYMBOL + WINDOW_BYTES
        if needed > len(self._out):
            self._out = np.concatenate(
                [self._out, np.empty(max(needed, 2 * len(self._out)) - len(self._out), np.uint8)]
            )

    def encode(self, symbols: npt.ArrayLike, cdfs: IntArray) -> None:
        """Encode ``symbols`` (n,) under integer ``cdfs``, (alphabet_size + 1,) shared or (n, alphabet_size + 1).

        Each cdf runs from 0 to the same 2^precision and increases strictly, as :mod:`gencomp.coding.quantize` makes
        them. Raises ``ValueError`` on a symbol outside the alphabet or on cdfs of another form.
        """
        values = np.atleast_1d(np.asarray(symbols))
        if not len(values):
            return
        rows, precision = _checked_rows(cdfs, len(values))
        _check_symbols(values, rows.shape[1] - 1)
        self._reserve(len(values))
        if _encode_cdf_rows(self._state, self._out, values, rows, precision) >= 0:
            self._spent = True
            raise _not_increasing()

    def encode_pmf(self, symbols: npt.ArrayLike, pmf: npt.NDArray[np.floating], precision: int | None = None) -> None:
        """Encode ``symbols`` (n,) under float probabilities ``pmf`` (n, alphabet_size), quantised row by row.

        Raises ``ValueError`` on a symbol outside the alphabet or a row that is not a distribution.
        """
        values = np.atleast_1d(np.asarray(symbols))
        pmf, precision = _checked_pmf(pmf, len(values), precision)
        _check_symbols(values, pmf.shape[1])
        self._reserve(len(values))
        bad = _encode_pmf_rows(self._state, self._out, values, pmf, precision)
        if bad >= 0:
            self._spent = True
            raise invalid_pmf(pmf[bad])

    def finish(self) -> bytes:
        """Return the whole stream, its last byte filled with zero bits. The encoder is spent afterwards."""
        if self._num_bits is None:
            self._reserve(0)
            low, width, position = self._state
            size, self._num_bits = map(int, encode_end(low, width, self._out, position))
            self._state[2] = size
        return self._out[: self._state[2]].tobytes()

    @property
    def interval(self) -> tuple[int, int, int]:
        """The coder's interval before it is finished, exactly: (low, width, e) stands for [low, low + width) / 2^e.

        Integer arithmetic makes it slightly narrower than the exact product of the probabilities.
        """
        low, width, position = (int(value) for value in self._state)
        written = int.from_bytes(self._out[:position].tobytes(), "big")
        return (written << STATE_BITS) + low, width, 8 * position + STATE_BITS

    @property
    def num_bits(self) -> int:
        """The exact length of the stream in bits, before it is filled up to a byte."""
        if self._num_bits is None:
            low, width, position = self._state
            return 8 * int(position) + int(tail_of(low, width)[1])
        return self._num_bits


class RangeDecoder:
    """Reads what a :class:`RangeEncoder` wrote, given the same cdfs in the same order.

    Raises :class:`~gencomp.errors.CorruptDataError` as soon as the stream cannot have been written with these cdfs.
    """

    def __init__(self, data: bytes) -> None:
        self._data = np.frombuffer(as_bytes(data, "the code"), dtype=np.uint8)
        self._state = np.array(decode_begin(self._data), dtype=np.int64)  # low, width, offset, position

    def _checked(self, symbols: IntArray) -> IntArray:
        if self._state[2] < 0:
            raise corrupt_stream()
        return symbols

    @property
    def is_short(self) -> bool:
        """Whether the next symbol depends on bits after the end of the code, which are taken for zeros."""
        return bool(self._state[3] > len(self._data))

    def decode(self, count: int, cdfs: IntArray) -> IntArray:
        """Return the next ``count`` symbols, (count,) int64, under ``cdfs`` as in :meth:`RangeEncoder.encode`."""
        symbols = np.empty(count, dtype=np.int64)
        if count:
            rows, precision = _checked_rows(cdfs, count)
            if _decode_cdf_rows(self._state, self._data, symbols, rows, precision) >= 0:
                raise _not_increasing()
        return self._checked(symbols)

    def decode_pmf(self, pmf: npt.NDArray[np.floating], precision: int | None = None) -> IntArray:
        """Return the next n symbols, (n,) int64, under ``pmf`` as in :meth:`RangeEncoder.encode_pmf`."""
        pmf, precision = _checked_pmf(pmf, len(pmf), precision)
        symbols = np.empty(len(pmf), dtype=np.int64)
        bad = _decode_pmf_rows(self._state, self._data, symbols, pmf, precision)
        if bad >= 0:
            raise invalid_pmf(pmf[bad])
        return self._checked(symbols)

    def finish(self) -> None:
        """Check that the stream ends here, to the bit; raise :class:`~gencomp.errors.CorruptDataError` if not."""
        low, width, offset, position = self._state
        if not decode_end(low, width, offset, position, len(self._data)):
            raise corrupt_stream()


def _not_increasing() -> ValueError:
    return ValueError("every cdf must increase strictly, but a symbol has frequency 0; quantise it first")


def _checked_pmf(
    pmf: npt.NDArray[np.floating], count: int, precision: int | None
) -> tuple[npt.NDArray[np.floating], int]:
    pmf = as_pmf_rows(pmf)
    if len(pmf) != count:
        raise ValueError(f"pmf must have one row for each of the {count} symbols, got {len(pmf)}")
    precision = default_precision(pmf.shape[1]) if precision is None else precision
    check_alphabet(pmf.shape[1], precision)
    return pmf, precision


def _check_symbols(symbols: npt.NDArray[np.integer] | Sequence[int], alphabet_size: int) -> None:
    values = np.asarray(symbols)
    if not np.issubdtype(values.dtype, np.integer):
        raise ValueError(f"symbols must be integers, got {values.dtype}")
    if len(values) and not (int(values.min()) >= 0 and int(values.max()) < alphabet_size):
        raise ValueError(f"symbols must lie in [0, {alphabet_size}), got {values.min()} to {values.max()}")
