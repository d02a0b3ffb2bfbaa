"""Arrays in an untrusted .npz file: nothing is inflated before its list, types, shapes and sizes have been checked.

On a file that is not what it should be, everything here raises one of ``WRONG``, or ``OSError`` if the disk fails.
"""

import errno
import io
import math
import struct
import zipfile
import zlib
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from gencomp.specs import brief

# raised here, by zipfile, or by what reads its arrays
WRONG = (
    ValueError, EOFError, NotImplementedError, OverflowError, RuntimeError, zipfile.BadZipFile, zlib.error, struct.error
)  # fmt: skip
_END = b"PK\x05\x06"  # end of a .zip's central directory, 22 bytes without a comment (APPNOTE 4.3.16)
_END_BYTES, _LOCATOR, _LOCATOR_BYTES = 22, b"PK\x06\x07", 20
_MAX_DIRECTORY = 1 << 13
_MAX_HEADER = 1 << 10
_MAX_INFLATION = 1032  # bytes that one byte of deflate can expand to (zlib's algorithm.txt)


def is_misplaced(error: OSError) -> bool:
    """Return whether the error is about an entry placed before the file's first byte, not about the disk."""
    return error.errno == errno.EINVAL


class PackedArrays:
    """The arrays of a .npz file, which may follow ``first`` other bytes; each is read only in its expected form."""

    def __init__(self, file: BinaryIO, first: int = 0) -> None:
        # zipfile reads the whole directory at once, so its size is checked first
        size = file.seek(0, 2)
        file.seek(max(first, size - _LOCATOR_BYTES - _END_BYTES))
        before, end = file.read(_LOCATOR_BYTES), file.read()
        directory = int.from_bytes(end[12:16], "little")
        is_usual = end[:4] == _END and end[20:] == bytes(2) and before[:4] != _LOCATOR
        if not is_usual or directory > _MAX_DIRECTORY:
            raise ValueError("its list of arrays is not where numpy writes it")
        self._file = zipfile.ZipFile(file)
        infos = self._file.infolist()
        if sum(info.compress_size for info in infos) > size:
            raise ValueError("its arrays are said to be longer than the file")
        self._infos = {info.filename.removesuffix(".npy"): info for info in infos}
        if len(self._infos) != len(infos) or not all(info.filename.endswith(".npy") for info in infos):
            raise ValueError("an array is there twice, or there is something else beside the arrays")

    @property
    def names(self) -> frozenset[str]:
        """The names of all arrays."""
        return frozenset(self._infos)

    def check(self, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        """Raise unless an array has this type and shape by its own header, and the length that they imply."""
        info = self._infos[name]
        found_shape, found_dtype, start = self.said(name)
        if found_dtype != dtype or found_shape != shape:
            found = brief(f"{found_dtype}{list(found_shape)}")  # a forged type may have a name of any length
            raise ValueError(f"{name} is {found}, expected {dtype}{list(shape)}")
        size = math.prod(shape) * dtype.itemsize
        stored = info.compress_size if info.compress_type == zipfile.ZIP_STORED else _MAX_INFLATION * info.compress_size
        if (
            info.file_size != start + size
            or info.file_size > stored
            or info.compress_type
            not in (
                zipfile.ZIP_STORED,
                zipfile.ZIP_DEFLATED,
            )
        ):
            raise ValueError(f"{name} has {info.compress_size:,} bytes that claim to be {info.file_size:,}")

    def said(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any], int]:
        """Return (shape, type, length of the header) from an array's own header."""
        with self._file.open(self._infos[name]) as stream:
            return _npy_header(stream)

    def fill(self, name: str, array: npt.NDArray[Any]) -> None:
        """Read an array that :meth:`check` has accepted into ``array``."""
        with self._file.open(self._infos[name]) as stream:
            _npy_header(stream)
            room, filled = array.reshape(-1).view(np.uint8), 0
            while filled < len(room):
                piece = stream.read(min(1 << 20, len(room) - filled))
                if not piece:
                    raise ValueError(f"{name} ends early")
                room[filled : filled + len(piece)] = np.frombuffer(piece, dtype=np.uint8)
                filled += len(piece)
            if stream.read(1):  # zipfile compares the CRC-32 at the end
                raise ValueError(f"{name} goes on after its end")

    def row(self, name: str, kinds: str, most: int) -> npt.NDArray[Any]:
        """Return an array of one axis and at most ``most`` bytes; ``kinds`` are letters of numpy's for types."""
        shape, dtype, _ = self.said(name)
        if len(shape) != 1 or dtype.kind not in kinds or not dtype.itemsize:
            raise ValueError(f"{name} is {brief(f'{dtype}{list(shape)}')}, expected one axis of kind {kinds!r}")
        if shape[0] * dtype.itemsize > most:
            raise ValueError(f"{name} has {shape[0] * dtype.itemsize:,} bytes, expected at most {most:,}")
        self.check(name, dtype, shape)
        array = np.zeros(shape, dtype=dtype)
        self.fill(name, array)
        return array


def _npy_header(stream: Any) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Return (shape, type, length of the header) from the header of an array in numpy's format."""
    start = stream.read(10)
    length = int.from_bytes(start[8:10], "little")
    if start[:8] != b"\x93NUMPY\x01\x00" or length > _MAX_HEADER:
        raise ValueError("an array that is not in numpy's format")
    text = io.BytesIO(start[8:] + stream.read(length))
    try:
        shape, is_transposed, dtype = np.lib.format.read_array_header_1_0(text, max_header_size=_MAX_HEADER)
    except Exception as error:  # a Python literal is parsed, which may raise anything
        raise ValueError("an array with a damaged header") from error
    if is_transposed and len(shape) > 1:
        raise ValueError("an array in Fortran order")
    return shape, dtype, 10 + length
