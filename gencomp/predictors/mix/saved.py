"""Saved states: a SHA-256, then a .npz without pickle.

A state may come from anybody. Before anything is inflated, the names, types and shapes of its arrays must be those of
the model that its spec names. Before compiled code uses them, every number that serves as an index, and the coder's
registers, must be within their bounds. What remains are counters and weights, for which any value is safe. A network's
arrays are checked by the caller.
"""

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from gencomp.coding.range_coder import TOP
from gencomp.errors import CorruptDataError, ModelMismatchError
from gencomp.files import new_file, write_fully
from gencomp.packed import WRONG, PackedArrays, is_misplaced
from gencomp.places import open_regular
from gencomp.predictors.mix.contexts import (
    BASES,
    BIG_ENDIAN,
    CHANNELS,
    CLASSES,
    FIXED_MODE,
    FRAME,
    LENGTH,
    LINE,
    LINE_ABOVE,
    LINE_HEAD,
    LOW,
    MATCH,
    MATCH_LENGTH,
    MATCHES,
    MAX_PERIOD,
    MODE,
    NOTE,
    NUCLEOTIDES,
    NUM_REGISTERS,
    OFFSET,
    OLDER,
    PERIOD,
    POSITION,
    RECENT,
    RECORD,
    SIGNED,
    TAG,
    TEXT,
    WIDTH,
    WORD,
    WORD_1,
    WORD_2,
    ByteArray,
)
from gencomp.predictors.mix.model import MAX_MATCH, SLOT, Model
from gencomp.specs import brief

FORMAT_VERSION = 2
STATE_SIZE = 1 << 15  # bytes that a state's tables are made for at least: small enough to copy in a search
MAX_HISTORY = (1 << 31) - (1 << 16)  # positions are int32
MAX_FILE = 1 << 32  # bytes
MAX_SPEC = 1 << 13  # characters
_DIGEST_BYTES = 32
# the fields of a model that follow from the spec, that a file holds, and that live for one byte
SETTINGS = ("plan", "shape", "counts")
TABLES = (
    "slots",
    "counters",
    "direct",
    "weights",
    "final",
    "refine",
    "refine_hashed",
    "positions",
    "trust",
    "followers",
    "registers",
)
SCRATCH = (
    "external",
    "hashes",
    "byte_hashes",
    "bases",
    "places",
    "inputs",
    "mixed",
    "ends",
    "bits",
    "trusts",
)


@dataclass(frozen=True)
class Family:
    """A kind of model whose states are saved: its name and revision, and the arrays that it adds to a model's tables.

    With ``network``, a file also has the digest of its network's weights.
    """

    name: str
    revision: int
    more: tuple[str, ...] = ()
    network: bool = False

    @property
    def arrays(self) -> tuple[str, ...]:
        """The names of all arrays in a file."""
        return ("version", "spec", "settings", "history", *TABLES, *self.more, *(("network",) if self.network else ()))


Arrays = Mapping[str, npt.NDArray[Any]]


def write_state(
    path: str | PathLike[str],
    family: Family,
    header: "StateHeader",
    model: Model,
    history: ByteArray,
    more: Arrays,
) -> None:
    """Write a state: its header, the tables of ``model``, and ``more``, the arrays that the family adds."""
    arrays: dict[str, Any] = {
        "version": np.array([FORMAT_VERSION, family.revision]),
        "spec": np.array(header.spec),
        "settings": np.array([header.size, header.frozen]),
        "history": history[: header.length],
        **{name: part for name, part in model._asdict().items() if name not in SETTINGS + SCRATCH},
        **more,
    }
    if family.network:
        arrays["network"] = np.array(header.network)
    assert tuple(arrays) == family.arrays
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    body = buffer.getvalue()
    with new_file(Path(path), overwrite=True) as file:
        write_fully(file, hashlib.sha256(body).digest() + body)


@dataclass(frozen=True)
class StateHeader:
    """What a saved state says of itself.

    ``spec`` is its model's; ``size`` is how many bytes its tables are made for, ``length`` how many it has read.
    ``network`` is the digest of its network's weights, empty if it has none.
    """

    spec: str
    size: int
    frozen: bool
    length: int
    network: str = ""


Shapes = Mapping[str, tuple[type[np.generic], tuple[int, ...]]]


def digest_of(path: str | PathLike[str], family: Family) -> str:
    """Return the first 16 hexadecimal digits of a saved state's checksum; raise CorruptDataError if it has none."""
    with _open(path, family) as file:
        digest = file.read(_DIGEST_BYTES)
    if len(digest) < _DIGEST_BYTES:
        raise CorruptDataError(f"{path} is not a saved {family.name} state: it has {len(digest)} bytes")
    return digest.hex()[:16]


def read_header(path: str | PathLike[str], family: Family) -> StateHeader:
    """Return a saved state's header, without reading its tables. Raises as :func:`read_state`."""
    with _arrays(path, family) as arrays:
        return arrays.header()


def read_state(
    path: str | PathLike[str],
    family: Family,
    shapes: Callable[[StateHeader], Shapes],
    make: Callable[[StateHeader], tuple[Model, Arrays]],
) -> tuple[StateHeader, Model, ByteArray]:
    """Return (header, model, history) of a saved state.

    ``shapes(header)`` returns the types and shapes that the tables and the family's own arrays must have. If the file's
    agree, ``make(header)`` returns the fresh model and the family's own arrays, to be filled; the numbers of the latter
    are not checked. Raises :class:`CorruptDataError` on damage, on content that no state has, and on what is not a
    regular file; :class:`ModelMismatchError` on another revision's state.
    """
    with _arrays(path, family) as arrays:
        header = arrays.header()
        expected = shapes(header)
        for name, (kind, shape) in expected.items():
            arrays.check(name, np.dtype(kind), shape)
        history = np.zeros(header.length + 1024, dtype=np.uint8)
        arrays.fill("history", history[: header.length])
        model, more = make(header)
        fresh = model.registers.copy()
        for name in expected:
            arrays.fill(name, more[name] if name in more else getattr(model, name))
        _check_registers(model, fresh, header.length)
    return header, model, history


def _open(path: str | PathLike[str], family: Family) -> BinaryIO:
    return open_regular(path, MAX_FILE, CorruptDataError, f"a saved {family.name} state")


@contextmanager
def _arrays(path: str | PathLike[str], family: Family) -> Iterator["_Arrays"]:
    """Yield the arrays of an undamaged file; errors in reading them become :class:`CorruptDataError`."""
    with _open(path, family) as file:
        digest, hasher = file.read(_DIGEST_BYTES), hashlib.sha256()
        while piece := file.read(1 << 20):
            hasher.update(piece)
        not_one = f"{path} is not a saved {family.name} state"
        if hasher.digest() != digest:
            raise CorruptDataError(f"{not_one}, or is damaged: its checksum does not match")
        try:
            yield _Arrays(path, family, file)
        except WRONG as error:
            raise CorruptDataError(f"{not_one}: {error}") from error
        except OSError as error:
            if not is_misplaced(error):
                raise
            raise CorruptDataError(f"{not_one}: an array in it lies outside the file") from error


class _Arrays(PackedArrays):
    """The arrays of a saved state, each read only with the type and shape expected. Methods raise ``ValueError``."""

    def __init__(self, path: str | PathLike[str], family: Family, file: BinaryIO) -> None:
        super().__init__(file, _DIGEST_BYTES)
        self._path, self._family = path, family
        if self.names != set(family.arrays):
            raise ValueError(f"its arrays are not the {len(family.arrays)} of a state")

    def header(self) -> StateHeader:
        version, made_by = self._integers("version")
        if (version, made_by) != (FORMAT_VERSION, self._family.revision):
            raise ModelMismatchError(
                f"{self._path} is a {self._family.name} state of format {version} and revision {made_by}; "
                f"this version reads {FORMAT_VERSION} and {self._family.revision}: prime the model again"
            )
        size, frozen = self._integers("settings")
        spec = self._text("spec")
        registers = np.zeros(NUM_REGISTERS, dtype=np.int64)
        self.check("registers", registers.dtype, registers.shape)
        self.fill("registers", registers)
        shape, _, _ = self.said("history")
        length = shape[0] if len(shape) == 1 else -1
        if not 0 <= length <= MAX_HISTORY or length != registers[LENGTH]:
            raise ValueError(
                f"registers are out of bounds: {registers[LENGTH]} bytes read, and a history of {brief(str(shape))}"
            )
        self.check("history", np.dtype(np.uint8), (length,))
        # begin() makes tables for twice what is to be read, and for the priming once more
        if not 0 < size <= max(3 * length, STATE_SIZE):
            raise ValueError(f"its tables are for {size:,} bytes, but it has read {length:,}")
        if frozen not in (0, 1):
            raise ValueError(f"its mark of being frozen is {frozen}, expected 0 or 1")
        return StateHeader(spec, size, bool(frozen), length, self._text("network") if self._family.network else "")

    def _integers(self, name: str) -> tuple[int, int]:
        dtype = self.said(name)[1]
        if dtype.kind != "i" or dtype.itemsize not in (4, 8):
            raise ValueError(f"{name} is {str(dtype)[:40]}, not two integers")
        numbers = np.zeros(2, dtype=dtype)
        self.check(name, dtype, numbers.shape)
        self.fill(name, numbers)
        return int(numbers[0]), int(numbers[1])

    def _text(self, name: str) -> str:
        dtype = self.said(name)[1]
        if dtype.kind != "U" or dtype.itemsize > 4 * MAX_SPEC:
            raise ValueError(f"{name} is {str(dtype)[:40]}, not a text of at most {MAX_SPEC} characters")
        self.check(name, dtype, ())
        codes = np.zeros(dtype.itemsize // 4, dtype=f"{dtype.str[0]}u4")
        self.fill(name, codes)
        return "".join(map(chr, codes.tolist())).rstrip("\0")


def _check_registers(model: Model, fresh: npt.NDArray[np.int64], length: int) -> None:
    """Raise ``ValueError`` if a register or a position is out of bounds, or if the coder has begun."""
    registers, positions = model.registers, model.positions
    word, hashed = (0, (1 << 32) - 1), (0, (1 << 30) - 1)
    bounds = {LENGTH: (length, length), LINE: (0, length), LINE_ABOVE: (0, int(registers[LINE]))}
    bounds |= (
        {LINE_HEAD: (0, 0xFFFF)}
        | dict.fromkeys((RECENT, OLDER, CLASSES), word)
        | dict.fromkeys((WORD, WORD_1, WORD_2, TAG), hashed)
    )
    bounds |= {BASES: (0, (1 << 48) - 1), MODE: (TEXT, NUCLEOTIDES), PERIOD: (1, MAX_PERIOD)}
    for k in range(MATCHES):
        bounds[MATCH_LENGTH + k] = (0, 2 * MAX_MATCH)
        # a match continues at a byte that has been read
        bounds[MATCH + k] = (1, length - 1) if registers[MATCH_LENGTH + k] > 0 else (0, length)
        bounds[NOTE + k] = (-1, len(positions) - 1)
    fixed = (FIXED_MODE, FRAME, CHANNELS, BIG_ENDIAN, SIGNED, *((MODE, PERIOD) if fresh[FIXED_MODE] else ()))
    bounds |= {name: (int(fresh[name]), int(fresh[name])) for name in fixed}
    bounds |= {LOW: (0, 0), WIDTH: (TOP, TOP), OFFSET: (0, 0), POSITION: (0, 0)}  # nothing is being coded
    wrong = [name for name in range(NUM_REGISTERS) if not bounds[name][0] <= registers[name] <= bounds[name][1]]
    if not fresh[FIXED_MODE] and registers[MODE] not in (TEXT, RECORD, NUCLEOTIDES):
        wrong.append(MODE)
    if wrong or positions.min() < 0 or positions.max() > length:
        raise ValueError(f"registers {wrong or 'of matches'} are out of bounds")
    if model.slots[-4 * SLOT :].any():
        raise ValueError("the slot of contexts never seen is not empty")
