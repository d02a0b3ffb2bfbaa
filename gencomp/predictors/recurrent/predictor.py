"""The predictor ``Recurrent``: a network's file, and the state that other code holds."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from gencomp.arguments import as_bytes, as_context, as_pieces, as_symbol
from gencomp.budget import Cost, StateCost
from gencomp.coding.logistic import PROBABILITY_BITS
from gencomp.coding.quantize import cdf_from_weights, code_lengths_of_cdf
from gencomp.coding.range_coder import TOP, WINDOW_BYTES, corrupt_stream, decode_begin, decode_end, encode_end
from gencomp.files import expanded
from gencomp.inference.recurrent import Memory, new_memory, step
from gencomp.inference.weights import Weights, WeightsError, load_weights
from gencomp.predictors.recurrent.coding import (
    DECODE,
    ENCODE,
    LOW,
    NUM_REGISTERS,
    OFFSET,
    POSITION,
    READ,
    WIDTH,
    fill_probabilities,
    fill_weights,
    run,
)
from gencomp.predictors.recurrent.saved import digest_of, read_state, write_state
from gencomp.progress import advance
from gencomp.protocols import FloatArray, IntArray

ALPHABET_SIZE = 256
STEP_SECONDS = 6e-5  # seconds a byte with the shipped network, on a slow machine
_SHIPPED_WEIGHTS = 703_488  # of that network's matrices
_STATE_BYTES = 1 << 17  # at most what a state's arrays take
PIECE = 1 << 13  # bytes between two reports of progress
_SHIPPED = Path(__file__).parent / "weights"
# of the file there: an archive made with another one would decode nowhere else, so a damaged install makes none
SHIPPED_DIGEST = "1c3c17f02d9a6296"


@dataclass(frozen=True)
class Recurrent:
    """A recurrent network over bytes, in integers: with the same weights, its code decodes on any machine.

    ``weights`` is a .safetensors file that ``gencomp train --kind rnn`` wrote; if None, the package's own. ``state`` is
    a file to start from, which :meth:`RecurrentState.save` or ``gencomp sample --save-state`` wrote with these weights.
    Raises :class:`~gencomp.inference.weights.WeightsError` if the weights are missing or not valid.
    """

    weights: str | None = None
    state: str | None = None

    REVISION: ClassVar[int] = 1
    spec_argument: ClassVar[str] = "weights"

    def __post_init__(self) -> None:
        _ = self.loaded  # checks the file

    @cached_property
    def loaded(self) -> Weights:
        """The weights."""
        return find_weights(self.weights)

    @property
    def alphabet_size(self) -> int:
        return ALPHABET_SIZE

    @property
    def revision(self) -> int:
        """The revision of the kernels: with another, the same weights give other bytes."""
        return self.REVISION

    @property
    def parameter_count(self) -> int:
        return self.loaded.parameter_count

    def environment(self) -> Mapping[str, Any]:
        """Return the digests of the weights and the state: what the bytes depend on beside the revision."""
        digests = {"weights": self.loaded.digest}
        if self.state is None:
            return digests
        self.load_state(self.state)  # a file that is none is refused here, before an archive names its digest
        return digests | {"state": digest_of(self.state)}

    def state_cost(self, size: int) -> StateCost:
        """Return what a state takes: a few kilobytes, and a step of the network for each byte and distribution."""
        step = step_seconds(self.loaded)
        return StateCost(_STATE_BYTES, size, (size + 1) * step, 2 * step)

    def block_cost(self, size: int, coded: int) -> Cost:
        """Return what a block takes."""
        return Cost(_STATE_BYTES + 2 * (size + coded), size * step_seconds(self.loaded))

    def begin(self, context: Sequence[int] = b"") -> "RecurrentState":
        """Return the state after ``context``, which follows the saved state if there is one."""
        if self.state is not None:
            state = self.load_state(self.state)
        else:
            state = RecurrentState(self, new_memory(self.loaded.network))
            step(self.loaded.network, state._memory, 0)
        state._read(bytes(as_context(context)))
        return state

    def encode_block(self, data: bytes) -> bytes:
        data = as_bytes(data)
        code = np.empty(len(data) // 2 + 1024, dtype=np.uint8)
        registers = _new_registers()
        memory, content = self.begin()._memory, np.frombuffer(bytearray(data), dtype=np.uint8)
        reached = 0
        while reached < len(data):
            stop = min(len(data), reached + PIECE)
            before, reached = reached, run(self.loaded.network, memory, content, reached, stop, ENCODE, code, registers)
            if reached < stop:
                code = np.concatenate([code, np.empty_like(code)])
            advance((reached - before) / len(data))
        low, width, position = (int(registers[name]) for name in (LOW, WIDTH, POSITION))
        if position + WINDOW_BYTES > len(code):
            code = np.concatenate([code, np.empty(WINDOW_BYTES, dtype=np.uint8)])
        return code[: encode_end(low, width, code, position)[0]].tobytes()

    def decode_block(self, payload: bytes, size: int) -> bytes:
        code = np.frombuffer(bytearray(as_bytes(payload, "the code")), dtype=np.uint8)
        registers = _new_registers()
        registers[LOW], registers[WIDTH], registers[OFFSET], registers[POSITION] = decode_begin(code)
        memory, content = self.begin()._memory, np.zeros(size, dtype=np.uint8)
        for start in range(0, size, PIECE):
            stop = min(size, start + PIECE)
            if run(self.loaded.network, memory, content, start, stop, DECODE, code, registers) < stop:
                raise corrupt_stream()
            advance((stop - start) / size)
        low, width, offset, position = (int(registers[name]) for name in (LOW, WIDTH, OFFSET, POSITION))
        if not decode_end(low, width, offset, position, len(code)):
            raise corrupt_stream()
        return content.tobytes()

    def sequence_code_lengths(self, texts: Sequence[bytes]) -> list[FloatArray]:
        """Return -log2 p of each byte of each text, float64 (n,) in bits; each text starts as a block does."""
        lengths = []
        for text in as_pieces(texts, "a text"):
            found = np.empty((len(text), 8), dtype=np.uint16)
            fill_probabilities(self.loaded.network, self.begin()._memory, np.frombuffer(text, np.uint8), found)
            lengths.append(8 * PROBABILITY_BITS - np.log2(found.astype(np.float64)).sum(axis=1))
        return lengths

    def load_state(self, path: str | PathLike[str]) -> "RecurrentState":
        """Return the state that :meth:`RecurrentState.save` wrote with these weights.

        Raises :class:`~gencomp.errors.CorruptDataError` on damage, :class:`~gencomp.errors.ModelMismatchError` on a
        state of other weights or another revision.
        """
        memory = new_memory(self.loaded.network)
        read_state(path, self.REVISION, self.loaded.digest, memory)
        return RecurrentState(self, memory)


class RecurrentState:
    """A network's memory after a context."""

    def __init__(self, recurrent: Recurrent, memory: Memory) -> None:
        self._recurrent = recurrent
        self._memory = memory

    def cdf(self) -> IntArray:
        weights = np.empty(ALPHABET_SIZE, dtype=np.int64)
        fill_weights(self._recurrent.loaded.network, self._memory, np.empty(ALPHABET_SIZE, dtype=np.int64), weights)
        return cdf_from_weights(weights)

    def code_lengths(self) -> FloatArray:
        return code_lengths_of_cdf(self.cdf())

    def update(self, symbol: int) -> None:
        symbol = as_symbol(symbol)
        step(self._recurrent.loaded.network, self._memory, symbol)

    def charge(self, data: bytes) -> FloatArray:
        """Append ``data``; return what the coder charges for each of its bytes, float64 (n,) in bits."""
        data = as_bytes(data)
        found = np.empty((len(data), 8), dtype=np.uint16)
        fill_probabilities(self._recurrent.loaded.network, self._memory, np.frombuffer(data, np.uint8), found)
        return np.asarray(8 * PROBABILITY_BITS - np.log2(found.astype(np.float64)).sum(axis=1))

    def _read(self, data: bytes) -> None:
        content = np.frombuffer(bytearray(data), dtype=np.uint8)
        empty = np.empty(0, dtype=np.uint8)
        run(self._recurrent.loaded.network, self._memory, content, 0, len(data), READ, empty, _new_registers())

    def copy(self) -> Self:
        """Return an independent copy; a few kilobytes are copied, the weights are shared."""
        parts = {name: part.copy() for name, part in self._memory._asdict().items()}
        return type(self)(self._recurrent, self._memory._replace(**parts))

    def save(self, path: str | PathLike[str]) -> None:
        """Write the state for :meth:`Recurrent.load_state` and ``rnn?state=``."""
        write_state(path, self._recurrent.REVISION, self._recurrent.loaded.digest, self._memory)


def step_seconds(weights: Weights) -> float:
    """Return the seconds that a network takes for a byte, on a slow machine: those of its matrices' products."""
    return STEP_SECONDS * max(1.0, weights.network.weights.size / _SHIPPED_WEIGHTS)


def find_weights(path: str | None) -> Weights:
    """Return the weights of a file, or of the package if None; a file is read again only when it has changed."""
    if path is None:
        return _shipped_weights()
    try:
        return _at_its_state(expanded(path))
    except OSError as error:
        raise WeightsError(f"the weights {path!r} cannot be read: {error.strerror}") from None


def _shipped_weights() -> Weights:
    """Return the package's own weights; raise :class:`WeightsError` if they are missing or not what was shipped."""
    shipped = sorted(_SHIPPED.glob("*.safetensors"))
    try:
        if len(shipped) != 1:
            raise WeightsError(f"{_SHIPPED} has {len(shipped)} files with weights for rnn, expected one")
        weights = _at_its_state(shipped[0])
        if weights.digest != SHIPPED_DIGEST:
            raise WeightsError(
                f"{shipped[0]} has the digest {weights.digest}, expected {SHIPPED_DIGEST}: it is not what was shipped"
            )
    except WeightsError as error:
        raise WeightsError(f"{error}: reinstall gencomp, or name a file: rnn:FILE.safetensors") from None
    return weights


def _at_its_state(file: Path) -> Weights:
    try:
        status = file.stat()
    except OSError as error:
        raise WeightsError(f"the weights {file} cannot be read: {error.strerror}") from None
    return _load_once(file, status.st_ino, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=4)
def _load_once(path: Path, inode: int, size: int, changed: int) -> Weights:
    return load_weights(path)


def _new_registers() -> IntArray:
    registers = np.zeros(NUM_REGISTERS, dtype=np.int64)
    registers[WIDTH] = TOP
    return registers
