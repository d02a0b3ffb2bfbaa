"""Saved states: a SHA-256, then a .npz without pickle.

A state may come from anybody. Before anything of it is inflated, the list of its arrays, their types and shapes must be
those of the model that its spec names; before compiled code works on it, every number that leads to a place, and the
coder's registers, must be within their bounds. What remains are counters and weights, for which any value is safe. The
arrays of a network beside the tables are looked at by who asked for them.
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
STATE_SIZE = 1 << 15  # what a state's tables are made for at least: small enough to copy in a search
MAX_HISTORY = (1 << 31) - (1 << 16)  # positions are int32
MAX_FILE = 1 << 32
MAX_SPEC = 1 << 13  # characters
_DIGEST_BYTES = 32
SETTINGS = ("plan", "shape", "counts")  # what follows from the spec
# what a file holds of a model
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
# what lives for one byte
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
    """The models whose state a file is to hold: their name and revision, and the arrays beside a model's tables.

    With ``network``, a file names the network that it was made with, by the digest of its weights.
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
    """Write a state: what ``header`` says, the tables of ``model``, and ``more`` arrays, those of the family."""
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
    """What a saved state says of itself: the spec of its model, for how many bytes the tables are, what it has read.

    ``network`` is the digest of its network's weights, empty where it has none.
    """

    spec: str
    size: int
    frozen: bool
    length: int
    network: str = ""


Shapes = Mapping[str, tuple[type[np.generic], tuple[int, ...]]]


def digest_of(path: str | PathLike[str], family: Family) -> str:
    """Return the first 16 hexadecimal digits of a saved state's checksum; raise CorruptDataError without one."""
    with _open(path, family) as file:
        digest = file.read(_DIGEST_BYTES)
    if len(digest) < _DIGEST_BYTES:
        raise CorruptDataError(f"{path} is no saved {family.name} state: it has {len(digest)} bytes")
    return digest.hex()[:16]


def read_header(path: str | PathLike[str], family: Family) -> StateHeader:
    """Return what a saved state says of itself, without its tables. Raises as :func:`read_state`."""
    with _arrays(path, family) as arrays:
        return arrays.header()


def read_state(
    path: str | PathLike[str],
    family: Family,
    shapes: Callable[[StateHeader], Shapes],
    make: Callable[[StateHeader], tuple[Model, Arrays]],
) -> tuple[StateHeader, Model, ByteArray]:
    """Return (header, model, history) of a saved state.

    ``shapes(header)`` returns the shapes that the tables, and the family's arrays beside them, must have; only where
    the file has them, ``make(header)`` returns the fresh model to fill, and the arrays beside it: whatever numbers of
    their type the file holds. Raises :class:`CorruptDataError` on damage, on content that no state has, and on what is
    no regular file; :class:`ModelMismatchError` on another revision's state.
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
    """Yield the arrays of an undamaged file; what is wrong with them is a :class:`CorruptDataError` that names it."""
    with _open(path, family) as file:
        digest, hasher = file.read(_DIGEST_BYTES), hashlib.sha256()
        while piece := file.read(1 << 20):
            hasher.update(piece)
        not_one = f"{path} is no saved {family.name} state"
        if hasher.digest() != digest:
            raise CorruptDataError(f"{not_one}, or it is damaged: its checksum does not match")
        try:
            yield _Arrays(path, family, file)
        except WRONG as error:
            raise CorruptDataError(f"{not_one}: {error}") from error
        except OSError as error:
            if not is_misplaced(error):
                raise
            raise CorruptDataError(f"{not_one}: an array in it has no place") from error


class _Arrays(PackedArrays):
    """The arrays of a saved state, each read only as what it is expected to be. Everything raises ``ValueError``."""

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
        if not 0 < size <= max(3 * length, STATE_SIZE):  # what was read is counted twice, and the priming again
            raise ValueError(f"tables for {size:,} bytes, where {length:,} were read")
        if frozen not in (0, 1):
            raise ValueError(f"a state that is frozen or not, not {frozen}")
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
    """Raise ``ValueError`` where a register or a position points outside what it may, or the coder is under way."""
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
        # a match goes on at a byte that has been read
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
        raise ValueError("what was never seen has a history")
