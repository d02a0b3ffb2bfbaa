"""The predictor ``Mix``, what it shares with ``Best``, and their states."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from typing import Any, ClassVar, Literal, Self

import numpy as np

from gencomp.arguments import as_bytes, as_context, as_symbol
from gencomp.budget import Cost, StateCost
from gencomp.coding.quantize import cdf_from_weights, code_lengths_of_cdf
from gencomp.coding.range_coder import (
    STATE_BITS,
    TOP,
    WINDOW_BYTES,
    corrupt_stream,
    decode_begin,
    decode_end,
    encode_end,
)
from gencomp.compiled.aligned import aligned
from gencomp.data import alice
from gencomp.equivalence.capabilities import (
    DEFAULT_BLOCK_SIZE,
    environment_of,
    packed_revision_of,
    parameter_count_of,
    state_cost,
)
from gencomp.equivalence.identity import composed
from gencomp.equivalence.nested import canonical_one
from gencomp.errors import CorruptDataError, ModelMismatchError, SpecError
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
from gencomp.predictors.mix.expert import Companion, copied, run_with, show
from gencomp.predictors.mix.levels import (
    LEVELS,
    MIN_SIZE,
    TABLE_SECONDS,
    Level,
    bits_of,
    new_model,
    table_bytes,
    table_shapes,
)
from gencomp.predictors.mix.model import BYTES_PER_SYMBOL, DECODE, ENCODE, LEARN, SLOT, Guide, Model, fill_weights, skip
from gencomp.predictors.mix.rows import row_width
from gencomp.predictors.mix.saved import (
    SCRATCH,
    SETTINGS,
    STATE_SIZE,
    Arrays,
    Family,
    Shapes,
    StateHeader,
    digest_of,
    read_header,
    read_state,
    write_state,
)
from gencomp.protocols import FloatArray, IntArray, Predictor, Revision
from gencomp.registry import Tree, alike, load, spec_of, tree_of
from gencomp.specs import Spec, alone, brief

ALPHABET_SIZE = 256
MAX_MEMORY = 1024  # MiB
SAMPLE_FORMATS = ("u8", "s8", "u16le", "s16le", "u16be", "s16be")
PRIMES: tuple[Literal["none", "english"], ...] = ("none", "english")
PRIME_BYTES = 1 << 15
LARGE_BLOCK, LARGE_BLOCK_LEVEL = 1 << 24, 7  # blocks' bytes from this level on
LARGE_BITS = 28  # log2 of the bytes of tables for blocks above DEFAULT_BLOCK_SIZE at those levels
TRIED, WORTH = 1 << 17, 0.98  # bytes that rows are tried on; rows pay where this much of their code or less is left
SPENT_AT_ONCE = 4096  # bytes charged by one run of the coder
# seconds of a byte, of each context of it, and of giving the mixers an expert's distribution
_BYTE_SECONDS, _CONTEXT_SECONDS, _SHOW_SECONDS = 1e-6, 9e-7, 1e-4
BYTES_OF_A_CDF = 32  # a distribution takes as long as 255 bits, which are 32 bytes


@dataclass(frozen=True)
class ContextMixing:
    """What ``Mix`` and ``Best`` share: size, kind of data, and how blocks are coded.

    ``level``: 1 (fast) to 9 (small). ``memory``: MiB for the table of bit histories, 1 to 1024, rounded down to a power
    of two; if None, the level's own size. Tables are only as large as the data need: 1 MB for a block of 1 KiB.
    ``width``: bytes in a row of an image or of records; if None, the writer of an archive looks for it
    (:meth:`suited_to`). ``sample``: the format of audio, "u8", "s8", "u16le", "s16le", "u16be" or
    "s16be", with the number of channels after a colon ("s16le:2"). ``freeze``: learn only from the context given to
    ``begin``.
    """

    level: int = 5
    memory: int | None = None
    width: int | None = None
    sample: str | None = None
    freeze: bool = False

    spec_argument: ClassVar[str] = "level"
    found_options: ClassVar[tuple[str, ...]] = ("width", "memory")

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
        if self.sample is not None:
            if self.width is not None:
                raise ValueError("width is for images and sample for audio: give one of them")
            self._sample_format()

    def suited_to(self, data: bytes) -> Self:
        """Return this model with larger tables and the width of rows, where ``data``, the first block, is worth them.

        A width is tried on an eighth of the data, out of its middle, at most TRIED bytes.
        """
        machine = _machine_memory()
        has_room = machine is None or machine >= 1 << LARGE_BITS
        is_large = len(data) > DEFAULT_BLOCK_SIZE and self.level >= LARGE_BLOCK_LEVEL
        grows = has_room and is_large and self.memory is None and self._slot_bits(len(data)) < LARGE_BITS
        width = row_width(data) if self.width is None and self.sample is None else None
        if (width is None and not grows) or self._saved_state() is not None:
            return self
        suited = replace(self, memory=1 << (LARGE_BITS - 20)) if grows else self
        if width is None:
            return suited
        size = min(TRIED, len(data) // 8)
        part = data[(len(data) - size) // 2 :][:size]
        wide = replace(self, width=width)
        pays = len(wide.encode_block(part)) < WORTH * len(self.encode_block(part))
        return replace(suited, width=width) if pays else suited

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
        while run_with(model, history, stop, ENCODE, code, state._companion) < stop:
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
        decoded = run_with(model, history, start + size, DECODE, code, state._companion)
        low, width, offset, position = (int(registers[name]) for name in (LOW, WIDTH, OFFSET, POSITION))
        if decoded < start + size or not decode_end(low, width, offset, position, len(code)):
            raise corrupt_stream()
        return history[start : start + size].tobytes()

    def _start(self, data: bytes, size: int) -> "MixState":
        """Return the saved state, or one that has read the priming, with tables for ``size`` bytes more.

        ``data`` is appended to its history, unread.
        """
        state = self._saved_state()
        if state is None:
            text = self._priming()
            history = np.frombuffer(text + bytes(1024), dtype=np.uint8).copy()
            size += len(text)
            state = MixState(self, self._new_model(size), history, self._companion(), size, frozen=self.freeze)
            state._read(len(text))
        state._frozen |= self.freeze
        state._append(data)
        return state

    def _saved_state(self) -> "MixState | None":
        """Return the saved state to start from, or None."""
        return None

    @classmethod
    def _family(cls) -> Family:
        """Return what files with this model's states hold."""
        raise NotImplementedError

    def _state_spec(self) -> str:
        """Return the spec that is written into a saved state."""
        return spec_of(self, full=True)

    def _arrays_of(self, companion: Companion) -> tuple[Arrays, str]:
        """Return a saved state's arrays of ``companion``, and the digest of its network's weights ("" for none)."""
        return {}, ""

    def _companion(self) -> Companion:
        """Return a new companion: what predicts beside the contexts."""
        return None

    def _priming(self) -> bytes:
        """Return the text to read first."""
        return b""

    def _level(self) -> Level:
        """Return how many there are of each part."""
        return LEVELS[self.level - 1]

    @property
    def _byte_seconds(self) -> float:
        return _BYTE_SECONDS + _CONTEXT_SECONDS * LEVELS[self.level - 1].contexts

    def _table_bytes(self, size: int) -> int:
        return table_bytes(self._level(), self._slot_bits(size), size)

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
        """Return log2 of the bytes for bit histories: room for a slot a byte and context.

        A byte takes two slots in each context, but most have been taken before.
        """
        level = self._level()
        limit = level.slot_bits if self.memory is None else 20 + self.memory.bit_length() - 1
        return min(limit, bits_of(max(size, MIN_SIZE) * SLOT * level.contexts))

    def _new_model(self, size: int) -> Model:
        """Return a model that has learnt nothing, with tables for ``size`` bytes."""
        model = new_model(self._level(), self._slot_bits(size), size)
        registers = model.registers
        if self.width is not None:
            registers[FIXED_MODE], registers[MODE], registers[PERIOD] = 1, IMAGE, self.width
        if self.sample is not None:
            name, channels = self._sample_format()
            registers[FIXED_MODE], registers[MODE], registers[CHANNELS] = 1, AUDIO, channels
            registers[FRAME] = channels * (2 if "16" in name else 1)
            registers[BIG_ENDIAN], registers[SIGNED] = name.endswith("be"), name.startswith("s")
        return model


@dataclass(frozen=True)
class Mix(ContextMixing):
    """Context mixing of orders 1 to 7, words, records and repeats: the strongest model here without training.

    ``level`` to ``freeze`` are those of :class:`ContextMixing`. ``prime``: a text of the package to read before each
    block or context; it costs 0.1 s, and pays for small files in English. ``expert``: another model, in the notation of
    :mod:`gencomp.specs`, whose distribution is one more input; archives then decode where the expert's own do.
    ``state``: a file to start from, which :meth:`MixState.save` or ``gencomp sample --save-state`` wrote. It brings its
    own settings; beside it, ``expert`` only says where the state's own expert is.
    """

    prime: Literal["none", "english"] = "none"
    expert: str | None = None
    state: str | None = None

    REVISION: ClassVar[int] = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.prime not in PRIMES:
            raise ValueError(f"prime must be one of {', '.join(PRIMES)}, got {self.prime!r}")
        if self.expert is not None:
            expert, self.__dict__["_expert"] = canonical_one(self.expert)
            object.__setattr__(self, "expert", expert)
        if self.state is not None and replace(self, state=None, freeze=False, expert=None) != Mix():
            raise ValueError("a state brings its own settings: beside state, give none but freeze and expert")

    @cached_property
    def _expert(self) -> Predictor | None:
        return None if self.expert is None else canonical_one(self.expert)[1]

    @property
    def block_size(self) -> int:
        """Bytes of a block, unless the user names a size: larger ones where size counts more than parallel work.

        Still larger ones, in a very small archive, would exceed the work that a reader's default limits allow.
        """
        return LARGE_BLOCK if self.level >= LARGE_BLOCK_LEVEL and self.expert is None else DEFAULT_BLOCK_SIZE

    @cached_property
    def revision(self) -> Revision | None:
        """The model's revision and its expert's; None if the bytes also depend on a state or on an environment."""
        if self.state is not None:
            return None
        return self.REVISION if self._expert is None else composed(self.REVISION, [self._expert])

    def packed_revision(self) -> int:
        return self.REVISION + 1000 * (packed_revision_of(self._expert) or 0)

    @property
    def parameter_count(self) -> int:
        """How many numbers the expert has."""
        return parameter_count_of(self._expert if self.state is None else self._saved[1]._expert)

    def environment(self) -> Mapping[str, Any]:
        """Return the digest of the state, and the expert's environment; empty if the revision says all."""
        found: dict[str, Any] = {} if self.state is None else {"state": digest_of(self.state, self._family())}
        expert = self._expert if self.state is None else self._saved[1]._expert
        depends_on = environment_of(expert)
        return found | ({"expert": dict(depends_on)} if depends_on else {})

    def state_cost(self, size: int) -> StateCost:
        """Return what a state takes: tables, the bytes read, the expert; a saved state is read again each time."""
        mix, tables, read, begin = self._start_cost(max(2 * size, STATE_SIZE))
        expert = state_cost(mix._expert, read + size)
        step = (1 + BYTES_OF_A_CDF) * mix._byte_seconds + 3e-4 + expert.step
        begin += size * (mix._byte_seconds + (expert.step + _SHOW_SECONDS if mix._expert is not None else 0.0))
        held, scratch = 2 * (read + size) + expert.held + (1 << 16), expert.scratch
        is_frozen = self.freeze or (self.state is not None and self._saved[0].frozen)
        held, scratch = (held, scratch + tables) if is_frozen else (held + tables, scratch)
        return StateCost(held, scratch, begin + step, step, expert.kept)

    def block_cost(self, size: int, coded: int) -> Cost:
        mix, tables, read, begin = self._start_cost(size)
        expert = state_cost(mix._expert, read + size)
        step = mix._byte_seconds + (expert.step + _SHOW_SECONDS if mix._expert is not None else 0.0)
        kept = size * expert.kept
        memory = tables + 4 * (read + size) + expert.held + expert.scratch + kept
        return Cost(memory, begin + size * step, kept)

    def _start_cost(self, size: int) -> "tuple[Mix, int, int, float]":
        """Return (settings, bytes of tables, bytes read already, seconds) of a state for ``size`` bytes more."""
        if self.state is None:
            mix, read = self, len(self._priming())
            tables = mix._table_bytes(size + read)
            begin = read * mix._byte_seconds
        else:
            header, mix = self._saved
            read = header.length
            tables = mix._table_bytes(header.size)
            begin = (tables + read) * 2e-8  # to inflate and check them
        if mix._expert is not None:
            expert = state_cost(mix._expert, read)
            begin += expert.begin + (read * expert.step if self.state is None else 0.0)
        return mix, tables, read, begin + 2e-3 + tables * TABLE_SECONDS

    @cached_property
    def _saved(self) -> "tuple[StateHeader, Mix]":
        """The saved state's header, and its settings."""
        path = self.state or ""
        header = read_header(path, self._family())
        return header, _settings(path, header.spec, self.expert)

    @classmethod
    def load_state(cls, path: str | PathLike[str], expert: str | None = None) -> "MixState":
        """Return the state that ``save`` wrote; ``expert`` says where its expert's model folder is now.

        Raises :class:`CorruptDataError` on damage and on content that no state has, :class:`ModelMismatchError` on a
        state of another revision. The latter also where the state's expert is in a folder or of another package, unless
        ``expert`` names it: a state opens neither by itself.
        """

        def shapes(header: StateHeader) -> Shapes:
            mix = _settings(path, header.spec, expert)
            return table_shapes(LEVELS[mix.level - 1], mix._slot_bits(header.size), header.size)

        def make(header: StateHeader) -> tuple[Model, Arrays]:
            return _settings(path, header.spec, expert)._new_model(header.size), {}

        header, model, history = read_state(path, cls._family(), shapes, make)
        mix = _settings(path, header.spec, expert)
        state = None if mix._expert is None else mix._expert.begin(history[: header.length].tobytes())
        return MixState(mix, model, history, state, header.size, frozen=header.frozen)

    @classmethod
    def _family(cls) -> Family:
        return Family("Mix", cls.REVISION)

    def _saved_state(self) -> "MixState | None":
        return None if self.state is None else self.load_state(self.state, self.expert)

    def _companion(self) -> Companion:
        return None if self._expert is None else self._expert.begin()

    def _priming(self) -> bytes:
        return alice()[:PRIME_BYTES] if self.prime == "english" else b""


class MixState:
    """A model after a context. ``copy`` shares the tables until one of the two learns."""

    def __init__(
        self, mix: ContextMixing, model: Model, history: ByteArray, companion: Companion, size: int, *, frozen: bool
    ) -> None:
        self._mix = mix
        self._model = model
        self._history = history
        self._companion = companion
        self._size = size
        self._frozen = frozen
        self._shared = False

    def cdf(self) -> IntArray:
        weights = np.empty(ALPHABET_SIZE, dtype=np.int64)
        show(self._model, self._companion)
        guide = self._companion if isinstance(self._companion, Guide) else None
        fill_weights(self._model, guide, self._history, np.empty(ALPHABET_SIZE, dtype=np.int64), weights)
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
        companion = self._companion
        if companion is None or isinstance(companion, Guide):
            skip(self._model, companion, self._history)
        else:
            skip(self._model, None, self._history)
            companion.update(symbol)

    def charge(self, data: bytes) -> FloatArray:
        """Append ``data``; return what the coder charges for each of its bytes, float64 (n,) in bits."""
        data = as_bytes(data)
        return np.array([self.spend(data[place : place + 1]) for place in range(len(data))], dtype=np.float64)

    def spend(self, data: bytes) -> float:
        """Append ``data``; return what the coder charges for all of it, in bits."""
        data = as_bytes(data)
        bits = 0.0
        if self._frozen:
            for symbol in data:
                bits += float(self.code_lengths()[symbol])
                self.update(symbol)
            return bits
        if self._shared:
            self._model = _copied(self._model)
            self._shared = False
        start = int(self._model.registers[LENGTH])
        if start + len(data) + 64 > len(self._history):
            self._history = np.concatenate([self._history, np.zeros(len(data) + max(1024, start), dtype=np.uint8)])
        self._history[start : start + len(data)] = np.frombuffer(data, dtype=np.uint8)
        registers = self._model.registers
        code = np.empty(BYTES_PER_SYMBOL * min(len(data), SPENT_AT_ONCE) + 64, dtype=np.uint8)
        for first in range(0, len(data), SPENT_AT_ONCE):
            # a new coder each time: the cost is how far its interval has narrowed
            stop = start + min(first + SPENT_AT_ONCE, len(data))
            registers[LOW], registers[WIDTH], registers[POSITION] = 0, TOP, 0
            run_with(self._model, self._history, stop, ENCODE, code, self._companion)
            bits += STATE_BITS + 8 * int(registers[POSITION]) - float(np.log2(float(registers[WIDTH])))
        registers[LOW], registers[WIDTH], registers[POSITION] = 0, TOP, 0  # a saved state codes nothing
        return bits

    def _append(self, data: bytes) -> None:
        """Put ``data`` into the history, unread."""
        length = int(self._model.registers[LENGTH])
        self._history = np.concatenate([self._history[:length], np.frombuffer(data + bytes(64), dtype=np.uint8)])

    def _read(self, count: int) -> None:
        """Learn the next ``count`` bytes of the history."""
        stop = int(self._model.registers[LENGTH]) + count
        run_with(self._model, self._history, stop, LEARN, np.empty(0, dtype=np.uint8), self._companion)

    def copy(self) -> Self:
        """Return an independent copy; whichever of the two states learns first copies the tables."""
        model = _with_own_scratch(self._model)
        twin = type(self)(
            self._mix, model, self._history.copy(), copied(self._companion), self._size, frozen=self._frozen
        )
        self._shared = twin._shared = True
        return twin

    def freeze(self) -> Self:
        """Return a copy that follows the context but no longer learns."""
        twin = self.copy()
        twin._frozen = True
        return twin

    def save(self, path: str | PathLike[str]) -> None:
        """Write the state, for its model's ``load_state`` and ``?state=``."""
        mix, length = self._mix, int(self._model.registers[LENGTH])
        more, network = mix._arrays_of(self._companion)
        header = StateHeader(mix._state_spec(), self._size, self._frozen, length, network)
        write_state(path, mix._family(), header, self._model, self._history, more)


def _settings(path: str | PathLike[str], spec: str, expert: str | None) -> Mix:
    """Return the settings of a saved state; ``expert`` is the user's own spec of its expert.

    Raises :class:`CorruptDataError` on a spec that no state has, :class:`ModelMismatchError` if ``expert`` is not the
    state's, or is None where the user has to name it.
    """
    try:
        tree = tree_of_state(spec, "mix")
        named = tree.members.get("expert", ())
        if expert is not None:
            given = tree_of(alone(expert))
            if not named or not alike(given, named[0]):
                made_with = brief(tree.options.get("expert", "none"))
                raise ModelMismatchError(f"{path} was made with the expert {made_with!r}, not {brief(expert)!r}")
            spec = str(Spec("mix", None, {**tree.options, "expert": expert}))
        for inside in (inside for member in named for inside in member.walk() if expert is None):
            if inside.places or not inside.entry.is_own:
                raise ModelMismatchError(
                    f"{path} was made with the expert {brief(tree.options['expert'])!r}, and a state opens no folder "
                    f"and no other package by itself; say where the expert is now: model='mix?state={path}&expert=...'"
                )
        mix = load(spec)
        assert isinstance(mix, Mix)
        check_written(spec, spec_of(mix, full=True), "expert")
    except SpecError as error:
        raise CorruptDataError(f"{path} is not a saved Mix state: {error}") from error
    return mix


def tree_of_state(spec: str, name: str) -> Tree:
    """Return the tree of a saved state's spec; raise :class:`SpecError` unless it is one of gencomp's own ``name``."""
    tree = tree_of(spec)
    if tree.entry.name != name or not tree.entry.is_own:
        raise SpecError(f"its model is {brief(spec)!r}, expected {name}")
    if "state" in tree.options:
        raise SpecError(f"it names another state: {brief(tree.options['state'])}")
    return tree


def check_written(spec: str, full: str, but: str) -> None:
    """Raise :class:`SpecError` unless ``spec`` has just the options of ``full``, whatever its option ``but`` is."""
    written, expected = ({**tree_of(text).options, but: ""} for text in (spec, full))
    if written != expected:
        raise SpecError(f"its model is {brief(spec)!r}, expected {full!r}")


def _machine_memory() -> int | None:
    """Return the machine's memory in bytes, or None if the system does not say."""
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _with_own_scratch(model: Model) -> Model:
    """Return ``model`` with registers and scratch rows of its own, and the tables shared."""
    return model._replace(registers=model.registers.copy(), **{name: getattr(model, name).copy() for name in SCRATCH})


def _copied(model: Model) -> Model:
    return model._replace(**{name: aligned(part) for name, part in model._asdict().items() if name not in SETTINGS})
