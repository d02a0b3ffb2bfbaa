"""What float models of bytes and of tokens share: options, loaded weights, and a fingerprint of their arithmetic."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gencomp.errors import CorruptDataError
from gencomp.extras import require
from gencomp.predictors.language.loading import ModelFolderError, check_folder, digest, load_model, weight_files
from gencomp.predictors.language.settings import Device, DType, Settings

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from gencomp.predictors.language.forward import Forward
    from gencomp.predictors.language.lockstep import Lockstep
    from gencomp.predictors.language.windows import Costs

# a fingerprint's probe: short, but long enough to fill the context and read it anew
PROBE_CONTEXT = 16
PROBE_STRIDE = 8
PROBE_STEPS = 24

MAX_CONTEXT = 1 << 20  # that an archive's header may ask for, where the model sets no limit


@dataclass(frozen=True)
class CausalModel:
    """A causal language model's folder, with every option that its floating-point results depend on.

    Up to ``batch`` lanes of a block are coded side by side. A prediction sees at most ``context`` positions; when these
    are full, the oldest ``stride`` of them are given up.
    """

    folder: Path
    settings: Settings
    batch: int
    context: int
    stride: int

    def __post_init__(self) -> None:
        for name, value, most in (("batch", self.batch, 4096), ("threads", self.settings.threads, 256)):
            if not 1 <= value <= most:  # an archive's header may ask for anything
                raise ValueError(f"{name} must be from 1 to {most}, got {value}")
        limit = context_limit(self.config) or MAX_CONTEXT
        if not 2 <= self.context <= limit:
            raise ValueError(f"context must be from 2 to the model's {limit} positions, got {self.context}")
        if not 1 <= self.stride < self.context:
            raise ValueError(f"stride must be from 1 to context - 1, which is {self.context - 1}, got {self.stride}")

    @property
    def config(self) -> Mapping[str, Any]:
        """The model's configuration, checked."""
        return check_folder(self.folder)

    @property
    def weights_digest(self) -> str:
        """16 hexadecimal digits that identify the configuration, the weights and the tokenizer."""
        return digest(self.folder)

    @property
    def weight_bytes(self) -> int:
        """The size of the weights in bytes."""
        return sum(path.stat().st_size for path in weight_files(self.folder))

    @cached_property
    def forward(self) -> "Forward":
        """The loaded model, with the way in which its forward takes a memory."""
        self.settings.check()
        return load_model(self.folder, self.settings.device, self.settings.resolved_dtype())

    @property
    def model(self) -> "PreTrainedModel":
        return self.forward.model

    @property
    def start(self) -> int:
        """The symbol that is read before the first: the model's start of text, else its end of text, else 0."""
        for name in ("bos_token_id", "eos_token_id"):
            value = getattr(self.model.config, name, None)
            if isinstance(value, int) and 0 <= value < self.vocabulary_size:
                return value
        return 0

    @property
    def vocabulary_size(self) -> int:
        """How many logits the model has."""
        return self.forward.vocabulary_size

    @property
    def parameter_count(self) -> int:
        return sum(weight.numel() for weight in self.model.parameters())

    def begin(self, lanes: int, *, context: int | None = None, stride: int | None = None) -> "Lockstep":
        """Return ``lanes`` empty texts. The caller must be inside the settings' ``applied()``."""
        from gencomp.predictors.language.lockstep import Lockstep

        return Lockstep(
            self.forward, lanes, start=self.start, context=context or self.context, stride=stride or self.stride
        )

    def sequence_costs(self, texts: Sequence[npt.NDArray[np.int64]]) -> "list[Costs]":
        """Return the costs of every text (n,), by calls over whole windows."""
        from gencomp.predictors.language.windows import sequence_costs

        with self.settings.applied():
            return sequence_costs(self.model, texts, start=self.start, context=self.context, stride=self.stride)

    def environment(self) -> Mapping[str, Any]:
        return {**self.settings.environment(), "weights": self.weights_digest}

    def fingerprint(self, lanes: Sequence[int] | None = None) -> bytes:
        """Return a digest of 16 bytes of the weights, and of the floats of a probe.

        The probe is a few steps with each number of ``lanes``, by default one and a whole batch, during which the
        context is read anew. Raises :class:`~gencomp.errors.CorruptDataError` on a number that no block has.
        """
        hasher = hashlib.blake2b(self.weights_digest.encode(), digest_size=16)
        context = min(PROBE_CONTEXT, self.context)
        stride = min(PROBE_STRIDE, context - 1)
        probed = sorted({1, self.batch} if lanes is None else set(lanes))
        if not probed or not 1 <= probed[0] <= probed[-1] <= self.batch:
            raise CorruptDataError(f"the blocks claim {probed} lanes, expected 1 to batch={self.batch}")
        with self.settings.applied():
            for count in probed:
                lockstep = self.begin(count, context=context, stride=stride)
                for step in range(PROBE_STEPS):
                    hasher.update(lockstep.probabilities().tobytes())
                    lockstep.feed((np.arange(count) + 7 * step) % min(256, self.vocabulary_size))
        return hasher.digest()


def context_limit(config: Mapping[str, Any]) -> int | None:
    """Return the largest number of positions that a configuration allows; None if it sets no limit."""
    for name in ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len"):
        if isinstance(config.get(name), int):
            return int(config[name])
    return None


def causal_model(
    folder: Path,
    *,
    device: Device,
    dtype: DType,
    threads: int,
    batch: int,
    context: int | None,
    stride: int | None,
) -> CausalModel:
    """Return the model of ``folder``; by default with its whole context, and half of that as the stride.

    Raises :class:`ModelFolderError` if neither ``context`` nor the configuration says how long the context is.
    """
    require("lm", "torch", "transformers", "tokenizers", "safetensors")
    positions = context_limit(check_folder(folder)) if context is None else context
    if positions is None:
        raise ModelFolderError(
            f"{folder / 'config.json'} does not say how many positions to use; add one, such as ?context=2048"
        )
    settings = Settings(device, dtype, threads)
    return CausalModel(folder, settings, batch, positions, max(1, positions // 2) if stride is None else stride)
