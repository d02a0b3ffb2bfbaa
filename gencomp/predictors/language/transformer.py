"""Byte-level Transformers: the package's own, or any folder that ``gencomp train`` wrote."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gencomp.arguments import as_bytes, as_context, as_pieces
from gencomp.budget import Cost, StateCost
from gencomp.predictors.language.causal import CausalModel, causal_model, context_limit
from gencomp.predictors.language.coding import decode_symbols, encode_symbols, lanes_for
from gencomp.predictors.language.estimates import Estimate
from gencomp.predictors.language.loading import ModelFolderError, check_folder, find_folder
from gencomp.predictors.language.settings import Device, DType
from gencomp.predictors.language.state import LanguageState
from gencomp.protocols import FloatArray

if TYPE_CHECKING:
    from gencomp.predictors.language.lockstep import Lockstep

SHIPPED = "800k"
# positions; longer contexts gain under 0.2 % on the first megabyte of enwik8, and slow every step: see docs/MODELS.md
_CONTEXT = 512
_SHIPPED_FOLDER = Path(__file__).parent / "weights" / SHIPPED


@dataclass(frozen=True)
class Transformer:
    """A decoder-only Transformer over the 256 bytes (Delétang et al. 2024, section 3.1).

    ``model`` is ``800k``, the package's own, or a folder. Up to ``batch`` lanes of a block are coded side by side. A
    prediction sees at most ``context`` positions, 512 by default; when these are full, the oldest ``stride`` of them,
    half by default, are given up. On a CPU each matrix product runs on ``threads`` threads. Archives record all
    options, and decode where the arithmetic is the same to the bit. Raises ``ValueError`` on options out of range,
    ``ModelFolderError`` on a folder that is missing, has pickled weights, or is not a model of bytes.
    """

    model: str = SHIPPED
    device: Device = "cpu"
    dtype: DType = "auto"
    batch: int = 64
    context: int | None = None
    stride: int | None = None
    threads: int = 1

    spec_argument: ClassVar[str] = "model"

    def __post_init__(self) -> None:
        _ = self.network  # checks options and configuration; the weights are loaded when they are first used

    @cached_property
    def network(self) -> CausalModel:
        """The folder with its options, checked."""
        folder = _SHIPPED_FOLDER if self.model == SHIPPED else find_folder(self.model)
        config = check_folder(folder)
        size = config.get("vocab_size")
        if size != self.alphabet_size:
            raise ModelFolderError(
                f"{folder} is a model of {size} tokens, not of 256 bytes; use it as model='hf:{self.model}'"
            )
        return causal_model(
            folder,
            device=self.device,
            dtype=self.dtype,
            threads=self.threads,
            batch=self.batch,
            context=min(_CONTEXT, context_limit(config) or _CONTEXT) if self.context is None else self.context,
            stride=self.stride,
        )

    @property
    def alphabet_size(self) -> int:
        return 256

    @property
    def parameter_count(self) -> int:
        return self.network.parameter_count

    def begin(self, context: Sequence[int] = ()) -> LanguageState:
        settings = self.network.settings
        with settings.applied():
            lockstep = self._begin(1)
            lockstep.feed_text(np.array([*as_context(context)], dtype=np.int64)[None])
        return LanguageState(lockstep, settings)

    def encode_block(self, data: bytes) -> bytes:
        data = as_bytes(data)
        with self.network.settings.applied():
            return encode_symbols(self._begin, np.frombuffer(data, dtype=np.uint8).astype(np.int64), self.batch)

    def decode_block(self, payload: bytes, size: int) -> bytes:
        with self.network.settings.applied():
            return decode_symbols(self._begin, payload, size, self.batch).astype(np.uint8).tobytes()

    def context_and_stride(self) -> tuple[int, int]:
        """Return the most positions that a prediction sees, and how many are given up when they are full."""
        return self.network.context, self.network.stride

    def _begin(self, lanes: int) -> "Lockstep":
        return self.network.begin(lanes)

    def sequence_code_lengths(self, texts: Sequence[bytes]) -> list[FloatArray]:
        """Return -log2 p of each byte of each text, (n,) in bits, by calls over whole windows: only to measure."""
        symbols = [np.frombuffer(text, np.uint8).astype(np.int64) for text in as_pieces(texts, "a text")]
        return [costs.code_lengths for costs in self.network.sequence_costs(symbols)]

    def state_cost(self, size: int) -> StateCost:
        return Estimate(self.network).state(size, 1)

    def block_cost(self, size: int, coded: int) -> Cost:
        return Estimate(self.network).block(size)

    def fingerprint_cost(self) -> Cost:
        return Estimate(self.network).fingerprint()

    def environment(self) -> Mapping[str, Any]:
        return self.network.environment()

    def fingerprint(self) -> bytes:
        return self.network.fingerprint()

    def lanes_of(self, payload: bytes, size: int) -> int:
        """Return how many lanes a block of ``size`` bytes has."""
        return lanes_for(size, self.batch)

    def lane_fingerprint(self, lanes: Sequence[int]) -> bytes:
        return self.network.fingerprint(lanes)
