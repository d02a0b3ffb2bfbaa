"""The bridge to transformers: any spec as a causal language model over bytes. Needs the extra ``lm``.

    from transformers import pipeline
    from gencomp.hf import CompressorForCausalLM, byte_tokenizer

    generator = pipeline("text-generation", model=CompressorForCausalLM.from_spec("gzip"), tokenizer=byte_tokenizer())

A token is a byte. Id 256 is the end of text: it has probability 0, and the text starts afresh where it is read. What a
codec cannot do, such as give hidden states, is refused rather than ignored.
"""

import copy
import inspect
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt
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
from gencomp.predictors.language.in_memory import LanguageModel
from gencomp.protocols import PredictorState
from gencomp.training.vocabulary import BYTE_VOCABULARY, byte_tokenizer_backend

FloatRows = npt.NDArray[np.float32]

__all__ = [
    "CompressorConfig",
    "CompressorForCausalLM",
    "LanguageModel",
    "byte_tokenizer",
    "from_model",
]

END_OF_TEXT = BYTE_VOCABULARY
_END_TOKEN = "<|endoftext|>"
# ln p where p is 0: far below any byte's, but finite, since guidance subtracts logits
NEVER = -1e30
# states after the latest texts: generation asks for a text, then for it with one more byte, in every row of a batch
_KEPT_STATES = 64

# arguments of forward or generate that ask for what a codec lacks, with what to do instead
_NO_CACHE = "a codec keeps its states itself and has no cache to hand over; leave it out"
_NO_LAYERS = "a codec has no layers whose values could be given; leave it out"
_NO_CANDIDATES = "candidates are checked against a cache that can be cut back, and a codec has none; leave it out"
_REFUSED: Mapping[str, str] = {
    "cache": _NO_CACHE,
    "past_key_values": _NO_CACHE,
    "cache_implementation": _NO_CACHE,
    "inputs_embeds": "a codec reads bytes, not embeddings; pass input_ids",
    "output_attentions": _NO_LAYERS,
    "output_hidden_states": _NO_LAYERS,
    "dola_layers": _NO_LAYERS,
    "prompt_lookup_num_tokens": _NO_CANDIDATES,
    "assistant_model": _NO_CANDIDATES,
    "assistant_early_exit": _NO_CANDIDATES,
}


def _is_given(value: Any) -> bool:
    return value is not None and value is not False


def _refuse(options: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` if an option asks for what a codec cannot do."""
    for name, why in _REFUSED.items():
        if _is_given(options.get(name)):
            raise ValueError(f"{name} does not go with a compressor: {why}")


class CompressorConfig(PreTrainedConfig):  # type: ignore[misc]
    """``spec`` names the codec or model, such as ``gzip`` or ``mix:9``; the other options are transformers' own."""

    model_type = "gencomp"

    def __init__(self, spec: str = "gzip", **kwargs: Any) -> None:
        """Raise ``TypeError`` on an option unknown to transformers, unless a saved configuration has it."""
        if "transformers_version" not in kwargs:
            known = vars(PreTrainedConfig()).keys() | inspect.signature(PreTrainedConfig).parameters.keys()
            unknown = sorted(kwargs.keys() - known - {"vocab_size"})
            if unknown:
                raise TypeError(f"a compressor's configuration has no {', '.join(unknown)}; its spec names the codec")
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
    accepts_loss_kwargs = False  # for transformers' Trainer

    def __init__(self, config: CompressorConfig) -> None:
        super().__init__(config)
        self.unused = torch.nn.Parameter(torch.zeros(1), requires_grad=False)  # saving needs one
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
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        return_dict: bool | None = None,
        use_cache: bool | None = None,
        position_ids: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> CausalLMOutput | tuple[torch.Tensor, ...]:
        """Return the logits, float32 (batch, kept, 257): ln p, and ``NEVER`` for the end of text.

        ``logits_to_keep`` says which positions: how many of the last ones, 0 for all, or their indices (kept,).
        Positions that ``attention_mask`` (batch, length) hides are skipped. With ``labels`` (batch, length), the loss
        is their mean in nats, without those that are -100. ``return_dict`` is the configuration's by default; if it is
        False, the result is the tuple (logits,), or (loss, logits) with labels. ``use_cache``, ``position_ids`` and
        ``token_type_ids`` change nothing, since states are kept here by their text. Raises ``ValueError`` on ids
        outside [0, 256] and on what a codec cannot do, ``TypeError`` on an unknown argument.
        """
        _refuse(kwargs)
        unknown = [name for name, value in kwargs.items() if name not in _REFUSED and _is_given(value)]
        if unknown:
            raise TypeError(
                f"forward does not know {', '.join(unknown)}; a compressor takes input_ids, attention_mask and labels"
            )
        if input_ids is None:
            raise ValueError("forward needs input_ids, (batch, length) ids of bytes")
        texts = _texts(input_ids, attention_mask)
        positions = _kept_positions(logits_to_keep, input_ids.shape[1])
        needed = np.arange(input_ids.shape[1]) if labels is not None else positions
        logits = torch.full((len(texts), len(needed), BYTE_VOCABULARY + 1), NEVER)
        for row, text in enumerate(texts):
            logits[row, :, :BYTE_VOCABULARY] = torch.from_numpy(self._log_probabilities(text, needed))
        logits = logits.to(input_ids.device)
        loss = None
        if labels is not None:
            loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
            logits = logits[:, positions]
        if self.config.return_dict if return_dict is None else return_dict:
            return CausalLMOutput(loss=loss, logits=logits)
        return (logits,) if loss is None else (loss, logits)

    def _log_probabilities(self, symbols: list[int | None], positions: npt.NDArray[np.int64]) -> FloatRows:
        """Return ln p of the next byte after the symbol at each of ``positions``, float32 (n, 256)."""
        rows = np.zeros((len(positions), BYTE_VOCABULARY), dtype=np.float32)
        if not len(positions):
            return rows
        order = np.argsort(positions, kind="stable")
        reached = int(positions[order[0]])
        text, state = self._state_of(symbols[: reached + 1])
        for index in order:
            for symbol in symbols[reached + 1 : int(positions[index]) + 1]:
                text, state = self._advance(text, state, symbol)
            reached = int(positions[index])
            rows[index] = np.maximum(-state.code_lengths() * np.log(2.0), NEVER)
        self._keep(text, state)
        return rows

    def _state_of(self, symbols: list[int | None]) -> tuple[bytes, PredictorState]:
        """Return the text since the last end in ``symbols``, and the state after it, from the nearest kept state."""
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

    def generate(
        self,
        inputs: torch.Tensor | None = None,
        generation_config: GenerationConfig | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """Generate as any model of transformers does; an empty text is taken as the beginning of one.

        Raises ``ValueError`` on what a codec cannot do.
        """
        for options in (kwargs, vars(generation_config or self.generation_config)):
            _refuse(options)
        for name, ids in (("inputs", inputs), ("input_ids", kwargs.get("input_ids"))):
            if ids is not None and not ids.shape[-1]:
                begun = torch.full((len(ids), 1), END_OF_TEXT, dtype=torch.int64, device=ids.device)
                inputs, kwargs = (begun, kwargs) if name == "inputs" else (inputs, kwargs | {"input_ids": begun})
                kwargs = kwargs | {"attention_mask": torch.ones_like(begun)}
        # transformers would hand states on, and guidance would then show its second text only the last byte
        if generation_config is None:
            kwargs["use_cache"] = False
        else:
            generation_config = copy.deepcopy(generation_config)
            generation_config.use_cache = False
            kwargs.pop("use_cache", None)
        return super().generate(inputs, generation_config, *args, **kwargs)

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


def _texts(input_ids: torch.Tensor, attention_mask: torch.Tensor | None) -> list[list[int | None]]:
    """Return each row's ids, None where the mask hides them. Raises ``ValueError`` on anything but texts of bytes."""
    if input_ids.ndim != 2:
        raise ValueError(f"input_ids must be (batch, length), got {tuple(input_ids.shape)}")
    if attention_mask is not None and attention_mask.shape != input_ids.shape:
        raise ValueError(
            f"attention_mask must be (batch, length) as input_ids are, {tuple(input_ids.shape)}, got "
            f"{tuple(attention_mask.shape)}; a compressor needs the whole text each time"
        )
    ids = input_ids.long()
    seen = torch.ones_like(ids) if attention_mask is None else attention_mask
    if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) <= END_OF_TEXT:
        raise ValueError(
            f"ids must be bytes, or {END_OF_TEXT} for the end of text, got {int(ids.min())} to {int(ids.max())}"
        )
    return [
        [symbol if visible else None for symbol, visible in zip(row, mask, strict=True)]
        for row, mask in zip(ids.tolist(), seen.tolist(), strict=True)
    ]


def _kept_positions(logits_to_keep: int | torch.Tensor, length: int) -> npt.NDArray[np.int64]:
    """Return the positions (kept,) whose logits are asked for; the argument means what it means in transformers."""
    positions = np.arange(length, dtype=np.int64)
    if isinstance(logits_to_keep, torch.Tensor) and logits_to_keep.ndim:
        return np.asarray(positions[logits_to_keep.cpu().numpy()])
    return positions[-int(logits_to_keep) :] if logits_to_keep else positions


def from_model(model: PreTrainedModel, tokenizer: Any, **options: Any) -> LanguageModel:
    """Return a causal language model of transformers in memory, with its fast tokenizer, as a predictor of bytes.

    It can be used wherever a model can: ``gencomp.score``, ``score_many``, ``sample``, ``compress``. To decode its
    archives, pass the same model: ``gencomp.decompress(archive, model=...)``. ``options`` are those of
    :class:`LanguageModel`, such as ``batch``, ``context`` and ``lane``; errors are described there.
    """
    return LanguageModel(model, tokenizer, **options)


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """Return the tokenizer of these models: UTF-8 bytes, and the end of text as id 256.

    The end of text's name inside a text is read as plain characters; only the id ends a text. Decoding gives U+FFFD for
    bytes that are not UTF-8.
    """
    backend = byte_tokenizer_backend()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token=_END_TOKEN,
        eos_token=_END_TOKEN,
        pad_token=_END_TOKEN,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        split_special_tokens=True,
    )


AutoConfig.register(CompressorConfig.model_type, CompressorConfig)
AutoModelForCausalLM.register(CompressorConfig, CompressorForCausalLM)
