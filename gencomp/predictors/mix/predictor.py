"""The predictor ``Mix``: settings, sizes of tables, and the state that other code holds."""

import hashlib
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from gencomp.coding.quantize import cdf_from_weights, code_lengths_of_cdf
from gencomp.coding.range_coder import WINDOW_BYTES, corrupt_stream, decode_begin, decode_end, encode_end
from gencomp.data import alice
from gencomp.errors import CorruptDataError, ModelMismatchError
from gencomp.files import new_file
from gencomp.predictors.mix.contexts import (
    AUDIO,
    BIG_ENDIAN,
    CHANNELS,
    FIXED_MODE,
    FRAME,
    IMAGE,
    LENGTH,
    LOW,
    MODE,
    OFFSET,
    PERIOD,
    POSITION,
    SIGNED,
    WIDTH,
    ByteArray,
)
from gencomp.predictors.mix.levels import LEVELS, MIN_SIZE, aligned_zeros, bits_of, new_model
from gencomp.predictors.mix.model import DECODE, ENCODE, LEARN, SLOT, Model, fill_weights, run, skip
from gencomp.protocols import FloatArray, IntArray

ALPHABET_SIZE = 256
MAX_MEMORY = 1024
STATE_SIZE = 1 << 15  # what a state's tables are made for at least: small enough to copy in a search
SAMPLE_FORMATS = ("u8", "s8", "u16le", "s16le", "u16be", "s16be")
FORMAT_VERSION = 1
PRIMES: tuple[Literal["none", "english"], ...] = ("none", "english")
PRIME_BYTES = 1 << 15
SCRATCH = ("plan", "counts", "external", "hashes", "byte_hashes", "bases", "places", "inputs", "mixed", "bits", "trusts")


@dataclass(frozen=True)
class Mix:
    """Context mixing of orders 1 to 7, words, records and repeats: the strongest model here without training.

    ``level``: 1 (fast) to 9 (small). ``memory``: MiB for the table of bit histories, 1 to 1024, rounded down to a power
    of two; the level's own size if None. ``width``: bytes per row of an image. ``sample``: audio, "u8", "s8", "u16le",
    "s16le", "u16be" or "s16be", with the number of channels after a colon ("s16le:2"). ``freeze``: learn only from the
    context given to ``begin``. ``prime``: a text of the package to read before each block or context, which pays for
    small files in English; it costs 0.1 s. Memory is taken by need: a block of 1 KiB has tables of 1 MB.
    """

    level: int = 5
    memory: int | None = None
    width: int | None = None
    sample: str | None = None
    freeze: bool = False
    prime: Literal["none", "english"] = "none"

    revision: ClassVar[int] = 1
    spec_argument: ClassVar[str] = "level"

    def __post_init__(self) -> None:
        if not 1 <= self.level <= 9:
            raise ValueError(f"level must be from 1 to 9, got {self.level}")
        if self.memory is not None and not 1 <= self.memory <= MAX_MEMORY:
            raise ValueError(f"memory must be from 1 to {MAX_MEMORY} MiB, got {self.memory}")
        if self.width is not None and not 1 <= self.width < 1 << 24:
            raise ValueError(f"width must be from 1 to 2^24 - 1 bytes, got {self.width}")
        if self.prime not in PRIMES:
            raise ValueError(f"prime must be one of {', '.join(PRIMES)}, got {self.prime!r}")
        if self.sample is not None:
            if self.width is not None:
                raise ValueError("width is for images and sample for audio: give one of them")
            self._sample_format()

    @property
    def alphabet_size(self) -> int:
        return ALPHABET_SIZE

    def begin(self, context: Sequence[int] = b"") -> "MixState":
        data = self._priming() + bytes(context)
        history = np.zeros(max(2 * len(data), 1024), dtype=np.uint8)
        history[: len(data)] = np.frombuffer(data, dtype=np.uint8)
        model = self._new_model(max(2 * len(data), STATE_SIZE))
        run(model, history, len(data), LEARN, np.empty(0, dtype=np.uint8))
        return MixState(self, model, history, frozen=self.freeze)

    def encode_block(self, data: bytes) -> bytes:
        model, history = self._primed(len(data))
        history[len(history) - len(data) :] = np.frombuffer(data, dtype=np.uint8)
        code = np.empty(len(data) // 2 + 1024, dtype=np.uint8)
        while run(model, history, len(history), ENCODE, code) < len(history):
            code = np.concatenate([code, np.empty_like(code)])
        low, width, position = (int(model.registers[name]) for name in (LOW, WIDTH, POSITION))
        if position + WINDOW_BYTES > len(code):
            code = np.concatenate([code, np.empty(WINDOW_BYTES, dtype=np.uint8)])
        return code[: encode_end(low, width, code, position)[0]].tobytes()

    def decode_block(self, payload: bytes, size: int) -> bytes:
        model, history = self._primed(size)
        registers = model.registers
        code = np.frombuffer(bytearray(payload), dtype=np.uint8)
        registers[LOW], registers[WIDTH], registers[OFFSET], registers[POSITION] = decode_begin(code)
        decoded = run(model, history, len(history), DECODE, code)
        low, width, offset, position = (int(registers[name]) for name in (LOW, WIDTH, OFFSET, POSITION))
        if decoded < len(history) or not decode_end(low, width, offset, position, len(code)):
            raise corrupt_stream()
        return history[len(history) - size :].tobytes()

    @classmethod
    def load_state(cls, path: str | PathLike[str]) -> "MixState":
        """Return the state that :meth:`MixState.save` wrote. Load only files that you trust.

        The checksum inside finds damage, not intent: the arrays are what compiled code works on.
        Raises :class:`CorruptDataError` on damage, :class:`ModelMismatchError` on another revision's state.
        """
        blob = Path(path).read_bytes()
        digest, body = blob[:32], blob[32:]
        if hashlib.sha256(body).digest() != digest:
            raise CorruptDataError(f"{path} is no saved Mix state, or it is damaged: its checksum does not match")
        try:
            with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
                version, revision = (int(number) for number in arrays["version"])
                if (version, revision) != (FORMAT_VERSION, cls.revision):
                    raise ModelMismatchError(
                        f"{path} is a Mix state of format {version} and revision {revision}; "
                        f"this version reads {FORMAT_VERSION} and {cls.revision}: prime the model again"
                    )
                level, memory, width, freeze, frozen, prime = (int(number) for number in arrays["settings"])
                mix = cls(
                    level, memory or None, width or None, str(arrays["sample"]) or None, bool(freeze), PRIMES[prime]
                )
                history = arrays["history"]
                model = mix._new_model(MIN_SIZE)
                parts = {name: arrays[name] for name in Model._fields if name not in SCRATCH}
                parts["slots"] = aligned_zeros(len(arrays["slots"]))
                parts["slots"][:] = arrays["slots"]
                return MixState(mix, model._replace(**parts), history, frozen=bool(frozen))
        except (KeyError, ValueError, zipfile.BadZipFile) as error:
            raise CorruptDataError(f"{path} is no saved Mix state: {error}") from error

    def _priming(self) -> bytes:
        """Return the text to read before all else."""
        return alice()[:PRIME_BYTES] if self.prime == "english" else b""

    def _primed(self, size: int) -> tuple[Model, ByteArray]:
        """Return a model that has read the priming text, and its history with room for ``size`` bytes more."""
        text = self._priming()
        model = self._new_model(len(text) + size)
        history = np.zeros(len(text) + size, dtype=np.uint8)
        history[: len(text)] = np.frombuffer(text, dtype=np.uint8)
        run(model, history, len(text), LEARN, np.empty(0, dtype=np.uint8))
        return model, history

    def _sample_format(self) -> tuple[str, int]:
        """Return ``sample`` as (format, channels)."""
        name, _, channels = (self.sample or "").partition(":")
        if name not in SAMPLE_FORMATS or (channels and not (channels.isdecimal() and 1 <= int(channels) <= 8)):
            raise ValueError(
                f"sample must be one of {', '.join(SAMPLE_FORMATS)}, with 1 to 8 channels after a colon, "
                f"got {self.sample!r}"
            )
        return name, int(channels or 1)

    def _slot_bits(self, size: int) -> int:
        """Return log2 of the bytes for bit histories: each context takes two slots a byte, fewer as they recur."""
        level = LEVELS[self.level - 1]
        limit = level.slot_bits if self.memory is None else 20 + self.memory.bit_length() - 1
        return min(limit, bits_of(max(size, MIN_SIZE) * SLOT * level.contexts))

    def _new_model(self, size: int) -> Model:
        """Return a model that knows nothing, with tables for ``size`` bytes."""
        model = new_model(LEVELS[self.level - 1], self._slot_bits(size), size)
        registers = model.registers
        if self.width is not None:
            registers[FIXED_MODE], registers[MODE], registers[PERIOD] = 1, IMAGE, self.width
        if self.sample is not None:
            name, channels = self._sample_format()
            registers[FIXED_MODE], registers[MODE], registers[CHANNELS] = 1, AUDIO, channels
            registers[FRAME] = channels * (2 if "16" in name else 1)
            registers[BIG_ENDIAN], registers[SIGNED] = name.endswith("be"), name.startswith("s")
        return model


class MixState:
    """A model after a context. ``copy`` shares the tables until one of the two learns."""

    def __init__(self, mix: Mix, model: Model, history: ByteArray, *, frozen: bool) -> None:
        self._mix = mix
        self._model = model
        self._history = history
        self._frozen = frozen
        self._shared = False

    def cdf(self) -> IntArray:
        weights = np.empty(ALPHABET_SIZE, dtype=np.int64)
        fill_weights(self._model, self._history, np.empty(ALPHABET_SIZE, dtype=np.int64), weights)
        return cdf_from_weights(weights)

    def code_lengths(self) -> FloatArray:
        return code_lengths_of_cdf(self.cdf())

    def update(self, symbol: int) -> None:
        if not 0 <= symbol < ALPHABET_SIZE:
            raise ValueError(f"a symbol must lie in [0, {ALPHABET_SIZE}), got {symbol}")
        if self._shared and not self._frozen:
            self._model = _copied(self._model)
            self._shared = False
        length = int(self._model.registers[LENGTH])
        if length == len(self._history):
            self._history = np.concatenate([self._history, np.zeros(max(1024, length), dtype=np.uint8)])
        self._history[length] = symbol
        if self._frozen:
            skip(self._model, self._history)
        else:
            run(self._model, self._history, length + 1, LEARN, np.empty(0, dtype=np.uint8))

    def copy(self) -> Self:
        """Return a state that goes on independently; the large tables are copied by the first that learns."""
        twin = type(self)(self._mix, _with_own_scratch(self._model), self._history.copy(), frozen=self._frozen)
        self._shared = twin._shared = True
        return twin

    def freeze(self) -> Self:
        """Return a copy that follows the context but learns no more."""
        twin = self.copy()
        twin._frozen = True
        return twin

    def save(self, path: str | PathLike[str]) -> None:
        """Write the state: a SHA-256, then arrays as .npz without pickle."""
        mix = self._mix
        parts = {name: part for name, part in self._model._asdict().items() if name not in SCRATCH}
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            version=np.array([FORMAT_VERSION, mix.revision]),
            settings=np.array(
                [mix.level, mix.memory or 0, mix.width or 0, mix.freeze, self._frozen, PRIMES.index(mix.prime)]
            ),
            sample=np.array(mix.sample or ""),
            history=self._history,
            **parts,
        )
        body = buffer.getvalue()
        with new_file(Path(path), overwrite=True) as file:
            file.write(hashlib.sha256(body).digest() + body)


def _with_own_scratch(model: Model) -> Model:
    """Return ``model`` with registers and scratch rows of its own, and the tables shared."""
    return model._replace(registers=model.registers.copy(), **{name: getattr(model, name).copy() for name in SCRATCH})


def _copied(model: Model) -> Model:
    slots = aligned_zeros(len(model.slots))
    slots[:] = model.slots
    return Model(**{name: part.copy() for name, part in model._asdict().items() if name != "slots"}, slots=slots)
