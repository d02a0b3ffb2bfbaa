"""Saved states: a SHA-256, then a .npz without pickle. What is read is checked before compiled code works on it."""

import hashlib
import io
import zipfile
from collections.abc import Callable
from os import PathLike
from pathlib import Path

import numpy as np

from gencomp.errors import CorruptDataError, ModelMismatchError
from gencomp.files import new_file, write_fully
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
    MATCH,
    MATCH_LENGTH,
    MATCHES,
    MAX_PERIOD,
    MODE,
    MODES,
    OLDER,
    PERIOD,
    RECENT,
    SIGNED,
    TAG,
    WORD,
    WORD_1,
    WORD_2,
    ByteArray,
)
from gencomp.predictors.mix.model import MAX_MATCH, Model

FORMAT_VERSION = 2
MAX_SIZE = 1 << 40
SETTINGS = ("plan", "shape", "counts")  # what follows from the spec
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


def write_state(
    path: str | PathLike[str], revision: int, spec: str, size: int, frozen: bool, model: Model, history: ByteArray
) -> None:
    """Write a state of the model that ``spec`` names, its tables made for ``size`` bytes."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        version=np.array([FORMAT_VERSION, revision]),
        spec=np.array(spec),
        settings=np.array([size, frozen]),
        history=history[: model.registers[LENGTH]],
        **{name: part for name, part in model._asdict().items() if name not in SETTINGS + SCRATCH},
    )
    body = buffer.getvalue()
    with new_file(Path(path), overwrite=True) as file:
        write_fully(file, hashlib.sha256(body).digest() + body)


def digest_of(path: str | PathLike[str]) -> str:
    """Return the first 16 hexadecimal digits of a saved state's checksum; raise CorruptDataError without one."""
    with Path(path).open("rb") as file:
        digest = file.read(32)
    if len(digest) < 32:
        raise CorruptDataError(f"{path} is no saved Mix state: it has {len(digest)} bytes")
    return digest.hex()[:16]


def read_state(
    path: str | PathLike[str], revision: int, make: Callable[[str, int], Model]
) -> tuple[str, int, bool, Model, ByteArray]:
    """Return (spec, size, frozen, model, history) of a saved state.

    ``make(spec, size)`` returns the fresh model whose shapes the file must have. Raises :class:`CorruptDataError` on
    damage, and on content that no state has; :class:`ModelMismatchError` on another revision's state.
    """
    blob = Path(path).read_bytes()
    digest, body = blob[:32], blob[32:]
    if hashlib.sha256(body).digest() != digest:
        raise CorruptDataError(f"{path} is no saved Mix state, or it is damaged: its checksum does not match")
    try:
        with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
            version, made_by = (int(number) for number in arrays["version"])
            if (version, made_by) != (FORMAT_VERSION, revision):
                raise ModelMismatchError(
                    f"{path} is a Mix state of format {version} and revision {made_by}; "
                    f"this version reads {FORMAT_VERSION} and {revision}: prime the model again"
                )
            size, frozen = (int(number) for number in arrays["settings"])
            if not 0 < size <= MAX_SIZE:
                raise ValueError(f"tables for {size} bytes")
            spec = str(arrays["spec"])
            model = make(spec, size)
            history = _checked("history", arrays["history"], np.dtype(np.uint8), (arrays["history"].size,))
            fresh = model.registers.copy()
            for name, part in model._asdict().items():
                if name not in SETTINGS + SCRATCH:
                    part[...] = _checked(name, arrays[name], part.dtype, part.shape)
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise CorruptDataError(f"{path} is no saved Mix state: {error}") from error
    _check_registers(path, model, fresh, len(history))
    return spec, size, bool(frozen), model, np.concatenate([history, np.zeros(1024, dtype=np.uint8)])


def _checked(name: str, part: np.ndarray, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    if part.dtype != dtype or part.shape != shape:
        raise ValueError(f"{name} is {part.dtype}{list(part.shape)}, expected {dtype}{list(shape)}")
    return part


def _check_registers(path: str | PathLike[str], model: Model, fresh: np.ndarray, length: int) -> None:
    """Raise :class:`CorruptDataError` where a register or a position points outside the history."""
    registers = model.registers
    bounds = {LENGTH: (length, length), MODE: (0, MODES - 1), LINE: (0, length), LINE_ABOVE: (0, length)}
    bounds |= {MATCH + k: (0, length) for k in range(MATCHES)}
    bounds |= {MATCH_LENGTH + k: (0, 2 * MAX_MATCH) for k in range(MATCHES)}
    bounds |= dict.fromkeys((RECENT, OLDER, WORD, WORD_1, WORD_2, CLASSES, TAG, LINE_HEAD), (0, (1 << 32) - 1))
    bounds |= {BASES: (0, (1 << 48) - 1), PERIOD: (1, MAX_PERIOD)}
    fixed = (FIXED_MODE, FRAME, CHANNELS, BIG_ENDIAN, SIGNED, *((MODE, PERIOD) if fresh[FIXED_MODE] else ()))
    bounds |= {name: (int(fresh[name]), int(fresh[name])) for name in fixed}
    wrong = [name for name, (low, high) in bounds.items() if not low <= registers[name] <= high]
    if wrong or model.positions.min() < 0 or model.positions.max() > length:
        raise CorruptDataError(f"{path} is no saved Mix state: registers {wrong or 'of matches'} are out of bounds")
