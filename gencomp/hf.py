"""The bridge to transformers: any spec as a causal language model over bytes. Needs the extra ``lm``.

    from transformers import pipeline
    from gencomp.hf import CompressorForCausalLM, byte_tokenizer

    generator = pipeline("text-generation", model=CompressorForCausalLM.from_spec("gzip"), tokenizer=byte_tokenizer())

A token is a byte; id 256 is the end of text, which has probability 0 and, where it is read, begins a text anew.
"""

from collections import OrderedDict
from typing import Any, Self

import numpy as np
import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    GenerationConfig,
    GenerationMixin,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.modeling_outputs import CausalLMOutput

from gencomp.equivalence.adapt import as_predictor
from gencomp.protocols import PredictorState
from gencomp.training.vocabulary import BYTE_VOCABULARY, byte_tokenizer_backend

END_OF_TEXT = BYTE_VOCABULARY
_END_TOKEN = "<|endoftext|>"
# states of the latest texts: generation asks for a text and then for one byte more, in every row of a batch
_KEPT_STATES = 64


class CompressorConfig(PreTrainedConfig):  # type: ignore[misc]
    """``spec`` names the codec or model, such as ``gzip`` or ``mix:9``."""

    model_type = "gencomp"

    def __init__(self, spec: str = "gzip", **kwargs: Any) -> None:
        self.spec = spec
        self.vocab_size = BYTE_VOCABULARY + 1
        ends = {"bos_token_id": END_OF_TEXT, "eos_token_id": END_OF_TEXT, "pad_token_id": END_OF_TEXT}
        super().__init__(**(ends | {"use_cache": False, "is_decoder": True} | kwargs))


class CompressorForCausalLM(PreTrainedModel, GenerationMixin):  # type: ignore[misc]
    """A codec, or a predictor, that ``generate`` drives: logits are ln p of the next byte.

    >>> model = CompressorForCausalLM.from_spec("counts:2")
    >>> text = byte_tokenizer()("abcabcab", return_tensors="pt")
    >>> byte_tokenizer().decode(model.generate(**text, max_new_tokens=4, do_sample=False)[0])
    'abcabcabcabc'
    """

    config_class = CompressorConfig
    main_input_name = "input_ids"

    def __init__(self, config: CompressorConfig) -> None:
        super().__init__(config)
        self.unused = torch.nn.Parameter(torch.zeros(1), requires_grad=False)  # a model without weights is not saved
        self._predictor = as_predictor(config.spec)
        if self._predictor.alphabet_size != BYTE_VOCABULARY:
            raise ValueError(f"{config.spec} has {self._predictor.alphabet_size} symbols; expected the 256 bytes")
        self._states: OrderedDict[bytes, PredictorState] = OrderedDict()
        self.generation_config = GenerationConfig.from_model_config(config)
        self.post_init()

    @classmethod
    def from_spec(cls, spec: str) -> Self:
        """Return the model that ``spec`` names."""
        return cls(CompressorConfig(spec))

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype:
        return torch.float32

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        logits_to_keep: int = 0,
        **kwargs: Any,
    ) -> CausalLMOutput:
        """Return the logits, float32 (batch, length or ``logits_to_keep``, 257): ln p, and -inf for the end of text.

        Positions that ``attention_mask`` (batch, length) hides are skipped. ``labels`` (batch, length) give the mean
        loss in nats, -100 being ignored.
        """
        lengths = input_ids.shape[1]
        kept = lengths if labels is not None or not logits_to_keep else min(logits_to_keep, lengths)
        logits = torch.full((*input_ids.shape[:1], kept, BYTE_VOCABULARY + 1), -torch.inf)
        masks = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        for row, (ids, mask) in enumerate(zip(input_ids.tolist(), masks.tolist(), strict=True)):
            visible = [symbol if seen else None for symbol, seen in zip(ids, mask, strict=True)]
            logits[row, :, :BYTE_VOCABULARY] = torch.from_numpy(self._log_probabilities(visible, kept))
        loss = None
        if labels is not None:
            loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        return CausalLMOutput(loss=loss, logits=logits)

    def _log_probabilities(self, symbols: list[int | None], kept: int) -> Any:
        """Return ln p of the next byte after each of the last ``kept`` symbols, float32 (kept, 256)."""
        rows = np.zeros((kept, BYTE_VOCABULARY), dtype=np.float32)
        skipped = len(symbols) - kept
        text, state = self._state_of(symbols[: skipped + 1])
        for index in range(kept):
            if index:
                text, state = self._advance(text, state, symbols[skipped + index])
            rows[index] = -state.code_lengths() * np.log(2.0)
        self._keep(text, state)
        return rows

    def _state_of(self, symbols: list[int | None]) -> tuple[bytes, PredictorState]:
        """Return the text since the last end in ``symbols``, and the state after it, from the nearest kept one."""
        ends = [position for position, symbol in enumerate(symbols) if symbol == END_OF_TEXT]
        after = symbols[ends[-1] + 1 :] if ends else symbols
        text = bytes(symbol for symbol in after if symbol is not None)
        nearest = max((kept for kept in self._states if text.startswith(kept)), key=len, default=None)
        if nearest is None:
            return text, self._predictor.begin(text)
        state = self._states[nearest].copy()
        for symbol in text[len(nearest) :]:
            state.update(symbol)
        return text, state

    def _advance(self, text: bytes, state: PredictorState, symbol: int | None) -> tuple[bytes, PredictorState]:
        if symbol is None:
            return text, state
        if symbol == END_OF_TEXT:
            return b"", self._predictor.begin()
        state.update(symbol)
        return text + bytes([symbol]), state

    def _keep(self, text: bytes, state: PredictorState) -> None:
        self._states[text] = state
        self._states.move_to_end(text)
        while len(self._states) > _KEPT_STATES:
            self._states.popitem(last=False)

    def prepare_inputs_for_generation(self, input_ids: torch.Tensor, **kwargs: Any) -> dict[str, Any]:
        """Return what :meth:`forward` needs: the whole text, whose states are kept here."""
        return {
            "input_ids": input_ids,
            "attention_mask": kwargs.get("attention_mask"),
            "logits_to_keep": kwargs.get("logits_to_keep") or 1,
        }

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        return False


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """Return the tokenizer of these models: UTF-8 bytes, and the end of text as id 256.

    Decoding gives U+FFFD for bytes that are no UTF-8.
    """
    backend = byte_tokenizer_backend()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token=_END_TOKEN,
        eos_token=_END_TOKEN,
        pad_token=_END_TOKEN,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


AutoConfig.register(CompressorConfig.model_type, CompressorConfig)
AutoModelForCausalLM.register(CompressorConfig, CompressorForCausalLM)
