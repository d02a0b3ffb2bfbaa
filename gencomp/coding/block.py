"""The loops over a block's bytes that compiled predictors share: a model's steps and the range coder in one.

A model is a tuple of arrays and integers, usually a named one, and three kernels that take it as first argument:

- ``interval(model, symbol)`` returns (start, stop), the symbol's part of 2^precision;
- ``symbol_at(model, target)`` returns the symbol in whose interval ``target`` lies, and that interval;
- ``update(model, symbol)`` learns the symbol.

The decoder makes the encoder's calls in the encoder's order: it learns what it has decoded, and nothing else.
"""

from collections.abc import Callable
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gencomp.arguments import as_bytes
from gencomp.coding.range_coder import (
    MAX_BYTES_PER_SYMBOL,
    TOP,
    WINDOW_BYTES,
    corrupt_stream,
    decode_begin,
    decode_end,
    decode_step,
    decode_target,
    encode_end,
    encode_step,
)
from gencomp.compiled import Integer, lean_kernel
from gencomp.protocols import FloatArray, IntArray

ByteArray = npt.NDArray[np.uint8]
Model = Any  # a tuple of what the steps take
Step = Callable[..., Any]


def _unbound(*_: Any) -> Any:
    """Stand in for a model's step, which make_loops puts here."""
    raise NotImplementedError


_interval: Step = _unbound
_symbol_at: Step = _unbound
_update: Step = _unbound
_precision = 0


def _observe(data: ByteArray, model: Model) -> None:
    """Read ``data``."""
    for index in range(data.shape[0]):
        _update(model, np.int64(data[index]))


def _charge(data: ByteArray, model: Model, shares: IntArray) -> None:
    """Read ``data``; write each byte's share of 2^precision into ``shares`` (n,)."""
    for index in range(data.shape[0]):
        symbol = np.int64(data[index])
        start, stop = _interval(model, symbol)
        shares[index] = stop - start
        _update(model, symbol)


def _encode(data: ByteArray, model: Model, out: ByteArray) -> Integer:
    """Code ``data`` into ``out``, which has MAX_BYTES_PER_SYMBOL for each byte and WINDOW_BYTES; return the size."""
    low, width, position = 0, TOP, 0
    for index in range(data.shape[0]):
        symbol = np.int64(data[index])
        start, stop = _interval(model, symbol)
        low, width, position = encode_step(low, width, out, position, start, stop, _precision)
        _update(model, symbol)
    return encode_end(low, width, out, position)[0]


def _decode(payload: ByteArray, model: Model, data: ByteArray) -> bool:
    """Fill ``data`` from its code; return whether ``payload`` is exactly what an encoder writes."""
    low, width, offset, position = decode_begin(payload)
    for index in range(data.shape[0]):
        symbol, start, stop = _symbol_at(model, decode_target(width, offset, _precision))
        low, width, offset, position = decode_step(low, width, offset, position, payload, start, stop, _precision)
        if offset < 0:
            return False
        data[index] = symbol
        _update(model, symbol)
    return decode_end(low, width, offset, position, payload.shape[0])


class Loops(NamedTuple):
    """The loops of one kind of model as kernels, and methods that call them from Python."""

    observe_bytes: Step
    charge_bytes: Step
    encode_bytes: Step
    decode_bytes: Step
    precision: int

    def observe(self, data: bytes, model: Model) -> None:
        """Let ``model`` read ``data``."""
        self.observe_bytes(_bytes_of(data), model)

    def charge(self, data: bytes, model: Model) -> FloatArray:
        """Let ``model`` read ``data``; return what each byte costs in bits, float64 (n,)."""
        shares = np.empty(len(data), dtype=np.int64)
        self.charge_bytes(_bytes_of(data), model, shares)
        return np.asarray(self.precision - np.log2(shares))

    def encode(self, data: bytes, model: Model) -> bytes:
        """Return the code of ``data`` under ``model``, which has read nothing."""
        out = np.empty(len(data) * MAX_BYTES_PER_SYMBOL + WINDOW_BYTES, dtype=np.uint8)
        return out[: self.encode_bytes(_bytes_of(data), model, out)].tobytes()

    def decode(self, payload: bytes, size: int, model: Model) -> bytes:
        """Return the ``size`` bytes that ``payload`` codes under ``model``, which has read nothing.

        Raises :class:`~gencomp.errors.CorruptDataError` on a code that no encoder writes with it.
        """
        data = np.empty(size, dtype=np.uint8)
        if not self.decode_bytes(_bytes_of(as_bytes(payload, "the code")), model, data):
            raise corrupt_stream()
        return data.tobytes()


def _bytes_of(data: bytes) -> ByteArray:
    return np.frombuffer(data, dtype=np.uint8)


def make_loops(module: str, interval: Step, symbol_at: Step, update: Step, precision: int) -> Loops:
    """Return the loops with a model's steps, as kernels of the module called ``module``.

    That module keeps them in a global called LOOPS. A function that takes other functions cannot be compiled ahead of
    time, so each loop is made once for each model: the same code with other globals.
    """
    steps = {"_interval": interval, "_symbol_at": symbol_at, "_update": update, "_precision": precision}

    def made(loop: Step, name: str) -> Step:
        assert isinstance(loop, FunctionType)
        function = FunctionType(loop.__code__, {**loop.__globals__, **steps}, name)
        function.__module__, function.__qualname__, function.__doc__ = module, f"LOOPS.{name}", loop.__doc__
        return lean_kernel(function)

    return Loops(
        made(_observe, "observe_bytes"),
        made(_charge, "charge_bytes"),
        made(_encode, "encode_bytes"),
        made(_decode, "decode_bytes"),
        precision,
    )
