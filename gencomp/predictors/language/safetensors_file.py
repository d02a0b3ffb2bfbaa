"""Tensors of a model folder's safetensors files, mapped; rows become float32 when they are asked for."""

import json
import math
import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gencomp.places import open_regular
from gencomp.predictors.language.hazards import MAX_JSON, ModelFolderError

FloatRows = npt.NDArray[np.float32]

_TYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_MAX_FILE = 1 << 50  # bytes


@dataclass(frozen=True)
class Tensor:
    """A tensor of a file as it is stored, (rows, columns) or (numbers,); bfloat16 as uint16."""

    stored: npt.NDArray[np.generic]
    is_bfloat16: bool

    @property
    def shape(self) -> tuple[int, ...]:
        return self.stored.shape

    @property
    def mapped(self) -> npt.NDArray[np.generic]:
        """The part of the mapped file that it is read from."""
        return self.stored

    def take(self, rows: slice | npt.NDArray[np.int64]) -> FloatRows:
        """Return rows of a matrix, float32 (n, columns); of a vector, its numbers."""
        found = self.stored[rows]
        if self.is_bfloat16:
            return (found.astype(np.uint32) << 16).view(np.float32)
        return found.astype(np.float32)


def read_tensors(files: Sequence[Path]) -> Mapping[str, Tensor]:
    """Return the tensors of all ``files`` by name.

    Raises :class:`ModelFolderError` on a file that is damaged, a type that is not float, and a name that occurs twice.
    """
    found: dict[str, Tensor] = {}
    for path in files:
        try:
            tensors = _tensors(path)
        except (ValueError, KeyError, TypeError) as error:
            raise ModelFolderError(f"{path} cannot be read as a safetensors file: {error}") from None
        twice = sorted(found.keys() & tensors.keys())
        if twice:
            raise ModelFolderError(f"the tensor {twice[0][:80]!r} is in {path} and in another file beside it")
        found |= tensors
    return found


def _tensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError, safe_open

    with open_regular(path, _MAX_FILE, ModelFolderError, "a file of a model folder") as file:
        try:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:
            raise ValueError("it is empty") from None
    try:
        # safe_open checks that names, types, sizes and places agree with each other and with the file
        with safe_open(str(path), framework="numpy"):
            pass
    except SafetensorError as error:
        raise ValueError(" ".join(str(error).split())[:200]) from None
    size = int.from_bytes(data[:8], "little")
    if size > MAX_JSON:
        raise ValueError(f"its header has {size:,} bytes")
    header = json.loads(data[8 : 8 + size])
    whole = np.frombuffer(data, dtype=np.uint8)
    found = {}
    for name, about in header.items():
        if name == "__metadata__":
            continue
        if about["dtype"] not in _TYPES:
            if about["dtype"] in ("BOOL", "U8") and name.endswith(("attn.bias", "attention.bias", "masked_bias")):
                continue  # a mask, which older versions of transformers saved
            raise ValueError(f"{name[:80]!r} is of type {about['dtype']}, expected one of {', '.join(_TYPES)}")
        begin, end = about["data_offsets"]
        kind, shape = np.dtype(_TYPES[about["dtype"]]), tuple(about["shape"])
        if math.prod(shape) * kind.itemsize != end - begin:
            raise ValueError(f"{name[:80]!r} has {end - begin:,} bytes, which its shape does not")
        part = whole[8 + size + begin : 8 + size + end]
        found[name] = Tensor(part.view(kind).reshape(shape), about["dtype"] == "BF16")
    return found
