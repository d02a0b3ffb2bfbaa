"""liblzma's raw encoder in memory of our own, so that its state can be saved and restored.

liblzma cannot copy an encoder, but it takes all its memory from an allocator that the caller provides. Here that is one
piece of memory: a copy of it, put back at the same address, is the encoder as it was. The library is the one that the
standard library's module is linked with; if that hides its functions, :func:`is_available` is False.
"""

import _lzma
import ctypes
import functools
import lzma
from ctypes import POINTER, Structure, addressof, byref, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p, sizeof
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

_ALLOCATE = ctypes.CFUNCTYPE(c_void_p, c_void_p, c_size_t, c_size_t)
_FREE = ctypes.CFUNCTYPE(None, c_void_p, c_void_p)
_OK, _STREAM_END, _RUN, _FINISH = 0, 1, 0, 3
_LZMA1, _NO_MORE_FILTERS = 0x4000000000000001, (1 << 64) - 1
_DICTIONARY_SIZE, _LC, _LP, _PB = 0, 5, 6, 7  # 32-bit words of lzma_options_lzma, in which a pointer takes two
_SPARE = 1 << 20  # bytes beyond liblzma's estimate of what it takes
_ALIGNMENT = 64  # bytes


class _Allocator(Structure):
    _fields_ = [("alloc", _ALLOCATE), ("free", _FREE), ("opaque", c_void_p)]


class _Stream(Structure):
    """lzma_stream (lzma/base.h), whose layout is part of the library's stable interface."""

    _fields_ = [
        ("next_in", c_void_p),
        ("avail_in", c_size_t),
        ("total_in", c_uint64),
        ("next_out", c_void_p),
        ("avail_out", c_size_t),
        ("total_out", c_uint64),
        ("allocator", POINTER(_Allocator)),
        ("internal", c_void_p),
        ("reserved_pointers", c_void_p * 4),
        ("seek_pos", c_uint64),
        ("reserved_int2", c_uint64),
        ("reserved_int3", c_size_t),
        ("reserved_int4", c_size_t),
        ("reserved_enums", c_int * 2),
    ]


class _Filter(Structure):
    _fields_ = [("id", c_uint64), ("options", c_void_p)]


class LzmaSnapshot(NamedTuple):
    """An encoder at one moment: its stream's fields, its memory, and what it has written so far."""

    stream: bytes
    memory: npt.NDArray[np.uint8]
    written: bytes


@functools.cache
def _library() -> Any:
    """Return liblzma, or None where it cannot be reached."""
    if sizeof(c_void_p) != 8:
        return None
    try:
        library = ctypes.CDLL(_lzma.__file__)
        library.lzma_raw_encoder_memusage.restype = c_uint64
        library.lzma_code.argtypes = [POINTER(_Stream), c_int]
        library.lzma_raw_encoder.argtypes = [POINTER(_Stream), POINTER(_Filter)]
        library.lzma_lzma_preset.argtypes = [c_void_p, c_uint32]
        library.lzma_version_string.restype = c_char_p
    except (AttributeError, OSError, TypeError):  # TypeError: a module built into the interpreter has no file
        return None
    return library


def version() -> str | None:
    """Return liblzma's version; None where it cannot be reached."""
    library = _library()
    return None if library is None else library.lzma_version_string().decode()


@functools.cache
def is_available() -> bool:
    """Return whether liblzma's functions can be called directly, and do what they do for the standard library."""
    if _library() is None:
        return False
    encoder = LzmaEncoder(0, 12, 3, 0, 2)
    encoder.feed(b"one ")
    kept = encoder.save()
    encoder.finish(b"three")
    encoder.restore(kept)
    filters = [{"id": lzma.FILTER_LZMA1, "preset": 0, "dict_size": 1 << 12}]
    expected = lzma.compress(b"one two", lzma.FORMAT_RAW, filters=filters)
    if encoder.finish(b"two") != expected:
        return False
    encoder.restart()
    return encoder.finish(b"one two") == expected


class LzmaEncoder:
    """A raw LZMA1 encoder at ``preset``, 0 to 9 or that | ``lzma.PRESET_EXTREME``; for one thread at a time."""

    def __init__(self, preset: int, dictionary_bits: int, lc: int, lp: int, pb: int) -> None:
        options = (c_uint32 * 64)()
        _library().lzma_lzma_preset(options, preset)
        options[_DICTIONARY_SIZE] = 1 << dictionary_bits
        options[_LC], options[_LP], options[_PB] = lc, lp, pb
        self._options = options  # kept, since the filters point to them
        self._filters = (_Filter * 2)(_Filter(_LZMA1, addressof(options)), _Filter(_NO_MORE_FILTERS, None))
        self._memory = np.zeros(_library().lzma_raw_encoder_memusage(self._filters) + _SPARE, np.uint8)
        self._used = 0
        self._allocator = _Allocator(_ALLOCATE(self._allocate), _FREE(_keep), None)
        self._stream = _Stream(allocator=ctypes.pointer(self._allocator))
        self.restart()

    def restart(self) -> None:
        """Begin anew in the memory that liblzma already has, which is cheaper than fresh pages for a new encoder."""
        self._written = b""
        if _library().lzma_raw_encoder(byref(self._stream), self._filters) != _OK:
            size = self._options[_DICTIONARY_SIZE]
            raise MemoryError(f"liblzma refuses an encoder with a dictionary of {size:,} bytes")

    def _allocate(self, _: int | None, number: int, size: int) -> int | None:
        """Return the address of fresh memory, None if there is not enough; no piece is ever reused."""
        start = self._used
        if start + number * size > len(self._memory):
            return None
        self._used = -(-(start + number * size) // _ALIGNMENT) * _ALIGNMENT
        return int(self._memory.ctypes.data) + start

    def save(self) -> LzmaSnapshot:
        """Return the encoder's state, which only this encoder can restore."""
        return LzmaSnapshot(bytes(self._stream), self._memory[: self._used].copy(), self._written)

    def restore(self, snapshot: LzmaSnapshot) -> None:
        """Go back to what :meth:`save` returned. The addresses in the stream's fields are still those of its memory."""
        ctypes.memmove(byref(self._stream), snapshot.stream, sizeof(_Stream))
        self._memory[: len(snapshot.memory)] = snapshot.memory
        self._written = snapshot.written

    def feed(self, data: bytes) -> None:
        """Append ``data``; its code is written as far as no byte to come can change it."""
        if data:  # liblzma calls it an error if there is none
            self._written += self._code(data, _RUN)

    def finish(self, data: bytes) -> bytes:
        """Return the whole stream that ends after ``data``; only :meth:`restore` or :meth:`restart` may follow."""
        return self._written + self._code(data, _FINISH)

    def _code(self, data: bytes, action: int) -> bytes:
        out = np.empty(len(data) + len(data) // 3 + (1 << 14), np.uint8)
        stream, written = self._stream, b""
        stream.next_in, stream.avail_in = ctypes.cast(ctypes.c_char_p(data), c_void_p), len(data)
        while True:
            stream.next_out, stream.avail_out = out.ctypes.data, len(out)
            result = _library().lzma_code(byref(stream), action)
            written += out[: len(out) - stream.avail_out].tobytes()
            fed = action == _RUN and stream.avail_in == 0 and stream.avail_out > 0
            if result == _STREAM_END or (result == _OK and fed):
                return written
            if result != _OK:
                raise MemoryError(f"liblzma stopped with its code {result}")


def _keep(_: int | None, __: int | None) -> None:
    """Free nothing."""
