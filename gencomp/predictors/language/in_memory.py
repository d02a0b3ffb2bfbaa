"""A causal language model of transformers that is already in memory, with its tokenizer."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast, get_args

import torch
from tokenizers import Tokenizer

from gencomp.predictors.language.causal import MAX_CONTEXT, CausalModel, context_limit
from gencomp.predictors.language.forward import Forward
from gencomp.predictors.language.settings import Device, DType, Settings
from gencomp.predictors.language.token_predictor import TokenPredictor, checked_code
from gencomp.predictors.language.tokens import TokenCode

DEFAULT_LANE = 1024  # tokens, as for a float model in a folder


@dataclass(frozen=True)
class CausalModelInMemory(CausalModel):
    """A causal model that is in memory; ``folder`` is only its name."""

    loaded: Any = field(default=None, repr=False, compare=False)
    tokenizer: str = field(default="", repr=False)  # as JSON

    @property
    def config(self) -> Mapping[str, Any]:
        return cast(Mapping[str, Any], self.loaded.config.to_dict())

    @cached_property
    def weights_digest(self) -> str:
        """16 hexadecimal digits that identify class, tokenizer, and all weights with their names, types and shapes."""
        about = json.dumps([type(self.loaded).__qualname__, self.tokenizer])
        hasher = hashlib.blake2b(about.encode(), digest_size=8)
        for name, weight in sorted(self.loaded.state_dict().items()):
            plain = weight.detach().cpu().contiguous()
            hasher.update(json.dumps([name, str(plain.dtype), list(plain.shape)]).encode())
            hasher.update(plain.reshape(-1).view(torch.uint8).numpy().data)
        return hasher.hexdigest()

    @property
    def weight_bytes(self) -> int:
        return sum(weight.numel() * weight.element_size() for weight in self.loaded.parameters())

    @cached_property
    def forward(self) -> Forward:
        with self.settings.applied():
            return Forward(self.loaded)


@dataclass(frozen=True, eq=False)
class LanguageModel(TokenPredictor):
    """A model of transformers and its tokenizer, both in memory, as a predictor of bytes, in its own dtype.

    Options are those of :class:`~gencomp.predictors.language.huggingface.HuggingFace`. No spec names this predictor:
    whoever decodes must pass one with the same weights, tokenizer and options. The weights must not change meanwhile.
    Raises ``TypeError`` on a slow tokenizer, ``ValueError`` on a model in training mode and on options out of range.
    """

    model: Any = field(repr=False)
    tokenizer: Any = field(repr=False)
    batch: int = 16
    context: int | None = None
    stride: int | None = None
    threads: int = 1
    lane: int = DEFAULT_LANE

    def __post_init__(self) -> None:
        if self.model.training:
            raise ValueError("the model is in training mode, where dropout changes each call; call model.eval()")
        for name, value, most in (("lane", self.lane, MAX_CONTEXT), ("threads", self.threads, 256)):
            if not 1 <= value <= most:
                raise ValueError(f"{name} must be from 1 to {most}, got {value}")
        if self.model.device.type not in get_args(Device):
            raise ValueError(f"the model is on {self.model.device}, expected cpu or cuda; move it there with model.to")
        _ = self.code  # checked

    @cached_property
    def network(self) -> CausalModel:  # type: ignore[override]
        """The model with its options, checked."""
        name = Path(type(self.model).__name__)
        context = self.context or context_limit(self.model.config.to_dict())
        if context is None:
            raise ValueError("the model's configuration does not say how many positions to use; give context=2048")
        device, dtype = self.model.device.type, str(self.model.dtype).removeprefix("torch.")
        settings = Settings(cast(Device, device), cast(DType, dtype), self.threads)
        stride = max(1, context // 2) if self.stride is None else self.stride
        tokenizer = self._backend.to_str()
        return CausalModelInMemory(name, settings, self.batch, context, stride, self.model, tokenizer)

    @cached_property
    def _backend(self) -> Tokenizer:
        """A copy of the tokenizer with gencomp's settings; the user's own stays as it is."""
        backend = self.tokenizer if isinstance(self.tokenizer, Tokenizer) else None
        backend = backend or getattr(self.tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise TypeError(f"expected a fast tokenizer of transformers or tokenizers, got {type(self.tokenizer)}")
        own = Tokenizer.from_str(backend.to_str())
        own.encode_special_tokens = True  # special tokens in the text are plain text
        own.no_truncation()
        own.no_padding()
        return own

    @cached_property
    def code(self) -> TokenCode:  # type: ignore[override]
        """The tokenizer with its escapes."""
        size = self.network.vocabulary_size
        return checked_code(TokenCode(self._backend, size), Path(type(self.tokenizer).__name__))
