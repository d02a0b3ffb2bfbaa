"""GGUF files: metadata and tensors, read with every count and place checked (github.com/ggml-org/ggml, docs/gguf.md).

What a file claims is compared with its size before anything is allocated or looped over, so a hostile file costs no
more than reading it. Tensors stay on disk, mapped. Their rows become float32 when they are asked for, by single IEEE
operations, so every machine gets the same numbers.
"""

import math
import mmap
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
import numpy.typing as npt

from gencomp.places import open_regular
from gencomp.predictors.language.hazards import ModelFolderError

FloatRows = npt.NDArray[np.float32]
ByteRows = npt.NDArray[np.uint8]

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_FILE = 1 << 50  # bytes
MAX_DIMENSIONS = 4
MAX_TENSORS = 1 << 16
# types of metadata: gguf_metadata_value_type, and the module struct's letters
_STRING, _ARRAY = 8, 9
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_MAX_STRING = 1 << 24  # bytes


def _half(blocks: ByteRows, at: int) -> FloatRows:
    """Return the float16 at byte ``at`` of each block, float32 (n, 1)."""
    return blocks[:, at : at + 2].copy().view("<f2").astype(np.float32)


def _nibbles(packed: ByteRows) -> ByteRows:
    """Return the low four bits of (n, k) bytes, then the high ones: (n, 2 k)."""
    return np.concatenate([packed & 15, packed >> 4], axis=1)


def _bits(blocks: ByteRows, at: int) -> ByteRows:
    """Return the 32 bits from byte ``at`` of each block on, the lowest first: (n, 32)."""
    return np.unpackbits(blocks[:, at : at + 4], axis=1, bitorder="little")


def _q4_0(blocks: ByteRows) -> FloatRows:
    return (_nibbles(blocks[:, 2:]).astype(np.float32) - np.float32(8)) * _half(blocks, 0)


def _q4_1(blocks: ByteRows) -> FloatRows:
    return _nibbles(blocks[:, 4:]).astype(np.float32) * _half(blocks, 0) + _half(blocks, 2)


def _q5_0(blocks: ByteRows) -> FloatRows:
    numbers = _nibbles(blocks[:, 6:]) | (_bits(blocks, 2) << 4)
    return (numbers.astype(np.float32) - np.float32(16)) * _half(blocks, 0)


def _q5_1(blocks: ByteRows) -> FloatRows:
    numbers = _nibbles(blocks[:, 8:]) | (_bits(blocks, 4) << 4)
    return numbers.astype(np.float32) * _half(blocks, 0) + _half(blocks, 2)


def _q8_0(blocks: ByteRows) -> FloatRows:
    return blocks[:, 2:].view(np.int8).astype(np.float32) * _half(blocks, 0)


def _scales_and_minima(packed: ByteRows) -> tuple[FloatRows, FloatRows]:
    """Return the eight 6-bit scales and minima of 12 bytes, float32 (n, 8, 1) each."""
    low, middle, high = packed[:, :4], packed[:, 4:8], packed[:, 8:]
    scales = np.concatenate([low & 63, (high & 15) | ((low >> 6) << 4)], axis=1)
    minima = np.concatenate([middle & 63, (high >> 4) | ((middle >> 6) << 4)], axis=1)
    return scales.astype(np.float32)[:, :, None], minima.astype(np.float32)[:, :, None]


def _pairs_of_nibbles(packed: ByteRows) -> ByteRows:
    """Return the 256 nibbles of 128 bytes, (n, 8, 32): the low ones of each 32 bytes, then the high ones."""
    parts = packed.reshape(-1, 4, 1, 32)
    return np.concatenate([parts & 15, parts >> 4], axis=2).reshape(-1, 8, 32)


def _with_minima(blocks: ByteRows, numbers: npt.NDArray[Any]) -> FloatRows:
    scales, minima = _scales_and_minima(blocks[:, 4:16])
    step, least = (_half(blocks, at)[:, :, None] * part for at, part in ((0, scales), (2, minima)))
    return (step * numbers.astype(np.float32) - least).reshape(len(blocks), 256)


def _q4_k(blocks: ByteRows) -> FloatRows:
    return _with_minima(blocks, _pairs_of_nibbles(blocks[:, 16:]))


def _q5_k(blocks: ByteRows) -> FloatRows:
    fifth = (blocks[:, None, 16:48] >> np.arange(8, dtype=np.uint8)[:, None]) & 1
    return _with_minima(blocks, _pairs_of_nibbles(blocks[:, 48:]) | (fifth << 4))


def _q6_k(blocks: ByteRows) -> FloatRows:
    low = blocks[:, :128].reshape(-1, 2, 1, 64)
    low = np.concatenate([low & 15, low >> 4], axis=2).reshape(-1, 2, 4, 32)
    high = (blocks[:, None, 128:192].reshape(-1, 2, 1, 32) >> np.arange(0, 8, 2, dtype=np.uint8)[:, None]) & 3
    numbers = (low | (high << 4)).reshape(-1, 16, 16).astype(np.float32) - np.float32(32)
    scales = blocks[:, 192:208].view(np.int8).astype(np.float32)[:, :, None] * _half(blocks, 208)[:, :, None]
    return (scales * numbers).reshape(len(blocks), 256)


def _f32(blocks: ByteRows) -> FloatRows:
    return blocks.copy().view("<f4").astype(np.float32)


def _f16(blocks: ByteRows) -> FloatRows:
    return blocks.copy().view("<f2").astype(np.float32)


def _bf16(blocks: ByteRows) -> FloatRows:
    return (blocks.copy().view("<u2").astype(np.uint32) << 16).view(np.float32)


@dataclass(frozen=True)
class _Type:
    """A ggml type: a block has ``size`` numbers in ``num_bytes`` bytes; ``unpack`` takes blocks (n, num_bytes)."""

    name: str
    size: int
    num_bytes: int
    unpack: Callable[[ByteRows], FloatRows]


_TYPES = {  # by the numbers of ggml_type
    0: _Type("F32", 1, 4, _f32),
    1: _Type("F16", 1, 2, _f16),
    2: _Type("Q4_0", 32, 18, _q4_0),
    3: _Type("Q4_1", 32, 20, _q4_1),
    6: _Type("Q5_0", 32, 22, _q5_0),
    7: _Type("Q5_1", 32, 24, _q5_1),
    8: _Type("Q8_0", 32, 34, _q8_0),
    12: _Type("Q4_K", 256, 144, _q4_k),
    13: _Type("Q5_K", 256, 176, _q5_k),
    14: _Type("Q6_K", 256, 210, _q6_k),
    30: _Type("BF16", 1, 2, _bf16),
}
TYPES = {kind.name: number for number, kind in _TYPES.items()}


@dataclass(frozen=True)
class Tensor:
    """A tensor of a file: ``shape`` (rows, columns) or (numbers,), in blocks of its type."""

    shape: tuple[int, ...]
    kind: _Type
    data: ByteRows  # (rows, bytes of a row), mapped

    @property
    def mapped(self) -> ByteRows:
        """The part of the mapped file that it is read from."""
        return self.data

    def take(self, rows: slice | npt.NDArray[np.int64]) -> FloatRows:
        """Return rows of a matrix, float32 (n, columns); of a vector, its numbers."""
        if len(self.shape) == 1:
            vector: FloatRows = self._unpacked(self.data)[0]
            return vector[rows]
        return self._unpacked(self.data[rows])

    def _unpacked(self, packed: ByteRows) -> FloatRows:
        blocks = np.ascontiguousarray(packed).reshape(-1, self.kind.num_bytes)
        with np.errstate(all="ignore"):  # a scale may be any float; numbers that are not finite are refused later
            return self.kind.unpack(blocks).reshape(len(packed), -1)


@dataclass(frozen=True)
class GgufFile:
    """A file's metadata by key (strings, numbers, and lists of them), and its tensors by name."""

    metadata: Mapping[str, Any]
    tensors: Mapping[str, Tensor]


class _Reader:
    """Reads values one after another, and never beyond the file's end."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data, self.position = data, 0

    def take(self, size: int) -> bytes:
        if size > len(self.data) - self.position:
            raise ValueError(f"it claims {size:,} bytes at {self.position:,}, beyond its end")
        self.position += size
        return self.data[self.position - size : self.position]

    def number(self, code: str) -> Any:
        (found,) = struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}")))
        return found

    def text(self) -> str:
        size = self.number("Q")
        if size > _MAX_STRING:
            raise ValueError(f"a text of {size:,} bytes at {self.position:,}; texts have at most {_MAX_STRING:,}")
        return self.take(size).decode("utf-8", "surrogateescape")

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY:
            inside, count = self.number("I"), self.number("Q")
            if inside == _STRING:
                if 8 * count > len(self.data) - self.position:
                    raise ValueError(f"it claims {count:,} texts at {self.position:,}, beyond its end")
                return [self.text() for _ in range(count)]
            if inside in _NUMBERS:
                code = _NUMBERS[inside]
                return list(struct.unpack(f"<{count}{code}", self.take(count * struct.calcsize(code))))
            raise ValueError(f"a list of the unknown type {inside}")
        if kind not in _NUMBERS:
            raise ValueError(f"a value of the unknown type {kind}")
        return self.number(_NUMBERS[kind])


def read_gguf(path: str | PathLike[str]) -> GgufFile:
    """Return what a GGUF file holds; its tensors stay on disk.

    Raises :class:`ModelFolderError`, of one line, on any other file, and on a tensor of an unknown type.
    """
    try:
        with open_regular(path, MAX_FILE, ModelFolderError, "a GGUF file") as file:
            try:
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except ValueError:
                raise ModelFolderError(f"{path} is empty, expected a GGUF file") from None
    except OSError as error:
        raise ModelFolderError(f"the model {path} cannot be read: {error.strerror}") from None
    try:
        return _parsed(data)
    except ValueError as error:
        raise ModelFolderError(f"{path} cannot be read as a GGUF file: {error}") from None


def _parsed(data: mmap.mmap) -> GgufFile:
    reader = _Reader(data)
    if reader.take(4) != MAGIC:
        raise ValueError("it does not begin with GGUF")
    version = reader.number("I")
    if version not in VERSIONS:
        raise ValueError(f"its version is {version}, expected {' or '.join(map(str, VERSIONS))} (little-endian)")
    tensor_count, value_count = reader.number("Q"), reader.number("Q")
    if tensor_count > MAX_TENSORS or 13 * value_count > len(data):
        raise ValueError(f"it claims {tensor_count:,} tensors and {value_count:,} values")
    metadata: dict[str, Any] = {}
    for _ in range(value_count):
        key = reader.text()
        if key in metadata:
            raise ValueError(f"it has the key {key[:80]!r} twice")
        metadata[key] = reader.value(reader.number("I"))
    claims: dict[str, tuple[tuple[int, ...], int, int]] = {}
    for _ in range(tensor_count):
        name, dimensions = reader.text(), reader.number("I")
        if name in claims:
            raise ValueError(f"it has the tensor {name[:80]!r} twice")
        if not 1 <= dimensions <= MAX_DIMENSIONS:
            raise ValueError(f"the tensor {name[:80]!r} has {dimensions} dimensions, expected 1 to {MAX_DIMENSIONS}")
        shape = tuple(reversed([reader.number("Q") for _ in range(dimensions)]))
        claims[name] = (shape, reader.number("I"), reader.number("Q"))
    unit = metadata.get("general.alignment", 32)
    if type(unit) is not int or not 1 <= unit <= 1 << 20 or unit & (unit - 1):
        raise ValueError(f"its tensors are aligned to {unit!r} bytes, expected a power of two up to 2^20")
    begin = -(-reader.position // unit) * unit
    whole = np.frombuffer(data, dtype=np.uint8)
    return GgufFile(metadata, {name: _tensor(name, *claim, begin, unit, whole) for name, claim in claims.items()})


def _tensor(
    name: str, shape: tuple[int, ...], kind: int, offset: int, begin: int, unit: int, whole: ByteRows
) -> Tensor:
    name = repr(name[:80])
    if kind not in _TYPES:
        raise ValueError(f"the tensor {name} is of the type {kind}; known are {', '.join(TYPES)}")
    found = _TYPES[kind]
    if not all(shape) or shape[-1] % found.size:
        raise ValueError(f"the tensor {name} is {list(shape)}, expected rows of whole blocks of {found.size}")
    row = (shape[-1] // found.size) * found.num_bytes
    rows = math.prod(shape[:-1])
    if offset % unit or begin + offset + rows * row > len(whole):
        raise ValueError(
            f"the tensor {name} has {rows * row:,} bytes at {offset:,}; expected a multiple of {unit}, within the file"
        )
    start = begin + offset
    return Tensor(shape, found, whole[start : start + rows * row].reshape(rows, row))
