"""A GGUF file, llama.cpp's format, as a predictor of bytes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from gencomp.extras import require
from gencomp.files import expanded
from gencomp.inference.transformer_weights import TransformerError
from gencomp.predictors.language.causal import MAX_CONTEXT
from gencomp.predictors.language.exact import DEFAULT_LANE, ExactModel, exact_model, file_digest
from gencomp.predictors.language.families import gguf_model
from gencomp.predictors.language.gguf_file import GgufFile, read_gguf
from gencomp.predictors.language.gguf_tokenizer import tokenizer_of
from gencomp.predictors.language.hazards import ModelFolderError
from gencomp.predictors.language.settings import Device
from gencomp.predictors.language.token_predictor import TokenPredictor, checked_code
from gencomp.predictors.language.tokens import TokenCode
from gencomp.registry import NO_DEFAULT


@dataclass(frozen=True)
class Gguf(TokenPredictor):
    """A language model in a GGUF file, computed in integers: with the same file, its code decodes on any machine.

    Families: Llama, Qwen 2 and 3, GPT-2, GPT-NeoX. Types: F32, F16, BF16, Q4_0 to Q8_0, Q4_K, Q5_K, Q6_K. ``context``
    is in tokens, by default the model's, at most 4,096; ``stride`` is half of it by default. A block is cut into up to
    ``batch`` lanes of at least ``lane`` tokens; ``threads`` lanes are read at a time while a block is encoded.
    ``device=cuda`` computes the same integers with torch on a GPU: the archives are the same.

    Raises ``ModelFolderError`` on a file that is missing or damaged, ``TransformerError`` on a model of another family,
    ``ValueError`` on options out of range.
    """

    model: str
    batch: int = 16
    context: int | None = None
    stride: int | None = None
    threads: int = 1
    lane: int = DEFAULT_LANE
    device: Device = "cpu"

    spec_argument: ClassVar[str] = "model"
    # options that change no bit, as archives give them
    written_options: ClassVar[Mapping[str, object]] = {"threads": 1, "device": NO_DEFAULT}

    def __post_init__(self) -> None:
        for name, value, most in (("lane", self.lane, MAX_CONTEXT), ("threads", self.threads, 256)):
            if not 1 <= value <= most:
                raise ValueError(f"{name} must be from 1 to {most}, got {value}")
        # archives record what was chosen
        object.__setattr__(self, "context", self.network.context)
        object.__setattr__(self, "stride", self.network.stride)

    @cached_property
    def path(self) -> Path:
        """Where the file is."""
        try:
            return expanded(self.model)
        except OSError as error:
            raise ModelFolderError(f"there is no file {self.model!r}: {error.strerror}") from None

    @cached_property
    def _file(self) -> GgufFile:
        return read_gguf(self.path)

    @cached_property
    def network(self) -> ExactModel:  # type: ignore[override]
        """The model with its options, checked."""
        require("lm", "tokenizers")
        try:
            source = gguf_model(self._file.metadata, self._file.tensors)
        except TransformerError as error:
            raise TransformerError(f"{self.path} cannot be computed exactly: {error}") from None
        start = _start(self._file.metadata, source.form.vocabulary)
        return exact_model(
            source,
            file_digest(self.path),
            start,
            batch=self.batch,
            context=self.context,
            stride=self.stride,
            torch_device=None if self.device == "cpu" else self.device,
        )

    @cached_property
    def code(self) -> TokenCode:  # type: ignore[override]
        """The tokenizer with its escapes."""
        size = self.network.vocabulary_size
        tokenizer = tokenizer_of(self._file.metadata, size)
        self.__dict__.pop("_file", None)  # its lists of tokens and merges, which nothing else needs
        return checked_code(TokenCode(tokenizer, size), self.path)


def _start(metadata: Mapping[str, Any], vocabulary_size: int) -> int:
    """Return the symbol that is read before the first: the start of text, else the end of text, else 0."""
    for name in ("bos_token_id", "eos_token_id"):
        value = metadata.get(f"tokenizer.ggml.{name}")
        if type(value) is int and 0 <= value < vocabulary_size:
            return value
    return 0
