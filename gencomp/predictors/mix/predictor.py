"""The predictor ``Mix``: settings, sizes of tables, and the state that other code holds."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any, ClassVar, Literal, Self

import numpy as np

from gencomp.arguments import as_bytes, as_context, as_symbol
from gencomp.coding.quantize import cdf_from_weights, code_lengths_of_cdf
from gencomp.coding.range_coder import WINDOW_BYTES, corrupt_stream, decode_begin, decode_end, encode_end
from gencomp.data import alice
from gencomp.errors import CorruptDataError
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
from gencomp.predictors.mix.expert import check_expert, load_expert, run_with, show
from gencomp.predictors.mix.levels import LEVELS, MIN_SIZE, aligned, bits_of, new_model
from gencomp.predictors.mix.model import DECODE, ENCODE, LEARN, SLOT, Model, fill_weights, skip
from gencomp.predictors.mix.saved import SCRATCH, SETTINGS, digest_of, read_state, write_state
from gencomp.protocols import Environment, FloatArray, IntArray, Portable, PredictorState
from gencomp.registry import load, parse_spec, spec_of

ALPHABET_SIZE = 256
MAX_MEMORY = 1024
STATE_SIZE = 1 << 15  # what a state's tables are made for at least: small enough to copy in a search
SAMPLE_FORMATS = ("u8", "s8", "u16le", "s16le", "u16be", "s16be")
PRIMES: tuple[Literal["none", "english"], ...] = ("none", "english")
PRIME_BYTES = 1 << 15


@dataclass(frozen=True)
class Mix:
    """Context mixing of orders 1 to 7, words, records and repeats: the strongest model here without training.

    ``level``: 1 (fast) to 9 (small). ``memory``: MiB for the table of bit histories, 1 to 1024, rounded down to a power
    of two; the level's own size if None. ``width``: bytes per row of an image. ``sample``: audio, "u8", "s8", "u16le",
    "s16le", "u16be" or "s16be", with the number of channels after a colon ("s16le:2"). ``freeze``: learn only from the
    context given to ``begin``. ``prime``: a text of the package to read before each block or context, which pays for
    small files in English; it costs 0.1 s. ``expert``: the spec of another predictor of this package, whose
    distribution is one more input; archives then decode where the expert's own do. ``state``: a file that
    :meth:`MixState.save` or ``gencomp sample --save-state`` wrote, to start from; its settings come with it. Memory is
    taken by need: a block of 1 KiB has tables of 1 MB.
    """

    level: int = 5
    memory: int | None = None
    width: int | None = None
    sample: str | None = None
    freeze: bool = False
    prime: Literal["none", "english"] = "none"
    expert: str | None = None
    state: str | None = None

    REVISION: ClassVar[int] = 4
    spec_argument: ClassVar[str] = "level"

    def __post_init__(self) -> None:
        if not 1 <= self.level <= 9:
            raise ValueError(f"level must be from 1 to 9, got {self.level}")
        if self.memory is not None and not 1 <= self.memory <= MAX_MEMORY:
            raise ValueError(f"memory must be from 1 to {MAX_MEMORY} MiB, got {self.memory}")
        machine = _machine_memory()
        if self.memory is not None and machine is not None and self.memory << 20 > machine:
            raise ValueError(f"memory={self.memory} MiB is more than this machine's {machine >> 20} MiB; ask for less")
        if self.width is not None and not 1 <= self.width < 1 << 24:
            raise ValueError(f"width must be from 1 to 2^24 - 1 bytes, got {self.width}")
        if self.prime not in PRIMES:
            raise ValueError(f"prime must be one of {', '.join(PRIMES)}, got {self.prime!r}")
        if self.sample is not None:
            if self.width is not None:
                raise ValueError("width is for images and sample for audio: give one of them")
            self._sample_format()
        if self.expert is not None:
            check_expert(self.expert)
        if self.state is not None and replace(self, state=None, freeze=False) != Mix():
            raise ValueError("a state brings its own settings: beside state, give no other option than freeze")

    def check_size(self, size: int) -> None:
        """Raise ``ValueError`` unless ``size`` bytes are whole rows of the image."""
        if self.width is not None and size % self.width:
            rows, rest = divmod(size, self.width)
            raise ValueError(
                f"width={self.width} does not fit {size:,} bytes, which are {rows:,} rows and {rest:,} bytes; "
                "give the bytes of a row (pixels x channels), and an image without a header"
            )

    @property
    def alphabet_size(self) -> int:
        return ALPHABET_SIZE

    @property
    def revision(self) -> int | None:
        """The revision of the coded bytes, with the expert's in it; None where they depend on its environment."""
        if self.state is not None:
            return None
        if self.expert is None:
            return self.REVISION
        expert = load_expert(self.expert)
        revision = expert.revision if isinstance(expert, Portable) else None
        return None if revision is None else self.REVISION + 1000 * revision

    def environment(self) -> Mapping[str, Any]:
        """Return the digest of the state, or what the expert depends on; empty for integers alone."""
        if self.state is not None:
            return {"state": digest_of(self.state)}
        expert = None if self.expert is None else load_expert(self.expert)
        return {"expert": dict(expert.environment())} if isinstance(expert, Environment) else {}

    def begin(self, context: Sequence[int] = b"") -> "MixState":
        data = bytes(as_context(context))
        state = self._start(data, max(2 * (len(data) + len(self._priming())), STATE_SIZE))
        state._read(len(data))
        return state

    def encode_block(self, data: bytes) -> bytes:
        data = as_bytes(data)
        state = self._start(data, len(data))
        model, history = state._model, state._history
        stop = int(model.registers[LENGTH]) + len(data)
        code = np.empty(len(data) // 2 + 1024, dtype=np.uint8)
        while run_with(model, history, stop, ENCODE, code, state._expert) < stop:
            code = np.concatenate([code, np.empty_like(code)])
        low, width, position = (int(model.registers[name]) for name in (LOW, WIDTH, POSITION))
        if position + WINDOW_BYTES > len(code):
            code = np.concatenate([code, np.empty(WINDOW_BYTES, dtype=np.uint8)])
        return code[: encode_end(low, width, code, position)[0]].tobytes()

    def decode_block(self, payload: bytes, size: int) -> bytes:
        state = self._start(bytes(size), size)
        model, history = state._model, state._history
        registers = model.registers
        start = int(registers[LENGTH])
        code = np.frombuffer(bytearray(as_bytes(payload, "the code")), dtype=np.uint8)
        registers[LOW], registers[WIDTH], registers[OFFSET], registers[POSITION] = decode_begin(code)
        decoded = run_with(model, history, start + size, DECODE, code, state._expert)
        low, width, offset, position = (int(registers[name]) for name in (LOW, WIDTH, OFFSET, POSITION))
        if decoded < start + size or not decode_end(low, width, offset, position, len(code)):
            raise corrupt_stream()
        return history[start : start + size].tobytes()

    @classmethod
    def load_state(cls, path: str | PathLike[str]) -> "MixState":
        """Return the state that :meth:`MixState.save` wrote.

        Raises :class:`CorruptDataError` on damage, :class:`ModelMismatchError` on another revision's state.
        """

        def make(spec: str, size: int) -> Model:
            parsed = parse_spec(spec)
            if parsed.name != "mix":
                raise ValueError(f"its model is {spec!r}, expected mix")
            if "state" in parsed.options:
                raise CorruptDataError(f"{path} names another state: {parsed.options['state']}")
            mix: Mix = load(spec)
            if spec_of(mix, full=True) != spec:
                raise ValueError(f"its model is {spec!r}, expected {spec_of(mix, full=True)!r}")
            return mix._new_model(size)

        spec, size, frozen, model, history = read_state(path, cls.REVISION, make)
        mix: Mix = load(spec)
        length = int(model.registers[LENGTH])
        expert = None if mix.expert is None else load_expert(mix.expert).begin(history[:length].tobytes())
        return MixState(mix, model, history, expert, size, frozen=frozen)

    def _start(self, data: bytes, size: int) -> "MixState":
        """Return a state that has read the priming, with tables for ``size`` bytes; ``data`` waits in its history."""
        if self.state is not None:
            state = self.load_state(self.state)
            state._frozen |= self.freeze
        else:
            text = self._priming()
            expert = None if self.expert is None else load_expert(self.expert).begin()
            history = np.frombuffer(text + bytes(1024), dtype=np.uint8).copy()
            size += len(text)
            state = MixState(self, self._new_model(size), history, expert, size, frozen=self.freeze)
            state._read(len(text))
        state._append(data)
        return state

    def _priming(self) -> bytes:
        """Return the text to read before all else."""
        return alice()[:PRIME_BYTES] if self.prime == "english" else b""

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

    def __init__(
        self, mix: Mix, model: Model, history: ByteArray, expert: PredictorState | None, size: int, *, frozen: bool
    ) -> None:
        self._mix = mix
        self._model = model
        self._history = history
        self._expert = expert
        self._size = size
        self._frozen = frozen
        self._shared = False

    def cdf(self) -> IntArray:
        weights = np.empty(ALPHABET_SIZE, dtype=np.int64)
        show(self._model, self._expert)
        fill_weights(self._model, self._history, np.empty(ALPHABET_SIZE, dtype=np.int64), weights)
        return cdf_from_weights(weights)

    def code_lengths(self) -> FloatArray:
        return code_lengths_of_cdf(self.cdf())

    def update(self, symbol: int) -> None:
        symbol = as_symbol(symbol)
        if self._shared and not self._frozen:
            self._model = _copied(self._model)
            self._shared = False
        length = int(self._model.registers[LENGTH])
        if length == len(self._history):
            self._history = np.concatenate([self._history, np.zeros(max(1024, length), dtype=np.uint8)])
        self._history[length] = symbol
        if not self._frozen:
            self._read(1)
            return
        skip(self._model, self._history)
        if self._expert is not None:
            self._expert.update(symbol)

    def _append(self, data: bytes) -> None:
        """Put ``data`` into the history, unread."""
        length = int(self._model.registers[LENGTH])
        self._history = np.concatenate([self._history[:length], np.frombuffer(data + bytes(64), dtype=np.uint8)])

    def _read(self, count: int) -> None:
        """Learn the next ``count`` bytes of the history."""
        stop = int(self._model.registers[LENGTH]) + count
        run_with(self._model, self._history, stop, LEARN, np.empty(0, dtype=np.uint8), self._expert)

    def copy(self) -> Self:
        """Return a state that goes on independently; the large tables are copied by the first that learns."""
        expert = None if self._expert is None else self._expert.copy()
        model = _with_own_scratch(self._model)
        twin = type(self)(self._mix, model, self._history.copy(), expert, self._size, frozen=self._frozen)
        self._shared = twin._shared = True
        return twin

    def freeze(self) -> Self:
        """Return a copy that follows the context but learns no more."""
        twin = self.copy()
        twin._frozen = True
        return twin

    def save(self, path: str | PathLike[str]) -> None:
        """Write the state for :meth:`Mix.load_state` and ``mix?state=``."""
        spec = spec_of(self._mix, full=True)
        write_state(path, self._mix.REVISION, spec, self._size, self._frozen, self._model, self._history)


def _machine_memory() -> int | None:
    """Return the machine's memory in bytes, or None where the system does not say."""
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _with_own_scratch(model: Model) -> Model:
    """Return ``model`` with registers and scratch rows of its own, and the tables shared."""
    return model._replace(registers=model.registers.copy(), **{name: getattr(model, name).copy() for name in SCRATCH})


def _copied(model: Model) -> Model:
    return model._replace(**{name: aligned(part) for name, part in model._asdict().items() if name not in SETTINGS})
