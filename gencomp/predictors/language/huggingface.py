"""Any causal language model of the Hugging Face ecosystem, as a predictor of bytes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

from gencomp.extras import require
from gencomp.inference.transformer_weights import TransformerError
from gencomp.predictors.language.causal import MAX_CONTEXT, CausalModel, causal_model
from gencomp.predictors.language.coding import MIN_LANE_SYMBOLS
from gencomp.predictors.language.exact import DEFAULT_LANE as EXACT_LANE
from gencomp.predictors.language.exact import ExactModel, exact_model
from gencomp.predictors.language.families import Model, folder_model
from gencomp.predictors.language.loading import check_folder, digest, find_folder, weight_files
from gencomp.predictors.language.safetensors_file import read_tensors
from gencomp.predictors.language.settings import Device, DType
from gencomp.predictors.language.token_predictor import TokenPredictor, checked_code
from gencomp.predictors.language.tokens import TokenCode, load_code, load_own_code

Arithmetic = Literal["auto", "exact", "float"]

DEFAULT_LANE = 1024  # tokens: docs/MODELS.md has what shorter lanes cost, and the time that longer ones take


@dataclass(frozen=True)
class HuggingFace(TokenPredictor):
    """A causal language model of transformers with its tokenizer, in a folder or in the local hub cache.

    Blocks are coded as tokens, and any bytes come back unchanged: what the tokenizer would change is escaped. As a
    predictor of the next byte it sums over tokenisations (:mod:`gencomp.predictors.language.bridge`).

    ``arithmetic`` is ``exact``, integers that give the same bits on every machine, or ``float``, torch's own; ``auto``
    is exact for the families that the integer kernels know, else float. Exact archives do not depend on ``device`` and
    ``threads``. A block is cut into up to ``batch`` lanes of at least ``lane`` tokens; each lane begins from an empty
    context, and all are coded side by side. ``lane`` is by default 8,192 for exact arithmetic, else 1,024. ``context``
    and ``stride`` are in tokens; the context is by default the model's, for exact arithmetic at most 4,096. The other
    options are those of ``transformer``. Nothing is downloaded.

    Raises ``ModelFolderError`` on a model that is missing or would run code, ``TransformerError`` with
    ``arithmetic=exact`` on a model that the kernels do not know, ``ValueError`` on options out of range.
    """

    model: str
    device: Device = "cpu"
    dtype: DType = "auto"
    batch: int = 16
    context: int | None = None
    stride: int | None = None
    threads: int = 1
    lane: int | None = None
    arithmetic: Arithmetic = "auto"

    spec_argument: ClassVar[str] = "model"
    # what options were before archives recorded them
    once_fixed: ClassVar[Mapping[str, int | str]] = {"lane": MIN_LANE_SYMBOLS, "arithmetic": "float"}

    def __post_init__(self) -> None:
        found = self._exact_source
        # archives record what was chosen
        object.__setattr__(self, "arithmetic", "float" if found is None else "exact")
        lane = (DEFAULT_LANE if found is None else EXACT_LANE) if self.lane is None else self.lane
        object.__setattr__(self, "lane", lane)
        for name, value, most in (("lane", lane, MAX_CONTEXT), ("threads", self.threads, 256)):
            if not 1 <= value <= most:
                raise ValueError(f"{name} must be from 1 to {most}, got {value}")
        network = self.network
        if isinstance(network, ExactModel):
            object.__setattr__(self, "context", network.context)
            object.__setattr__(self, "stride", network.stride)

    @cached_property
    def _exact_source(self) -> Model | None:
        """The model to be computed in integers; None if it is computed in floats."""
        if self.arithmetic == "exact" and self.dtype != "auto":
            raise ValueError("exact arithmetic has no dtype; leave it out, or add arithmetic=float")
        if self.arithmetic == "float" or self.dtype != "auto":
            return None
        folder = find_folder(self.model)
        config = check_folder(folder)
        try:
            return folder_model(config, read_tensors(weight_files(folder)))
        except TransformerError as error:
            if self.arithmetic == "exact":
                raise TransformerError(f"{folder} cannot be computed exactly: {error}; add arithmetic=float") from None
            return None

    @cached_property
    def network(self) -> CausalModel | ExactModel:  # type: ignore[override]
        """The folder with its options, checked."""
        folder = find_folder(self.model)
        if self._exact_source is None:
            return causal_model(
                folder,
                device=self.device,
                dtype=self.dtype,
                threads=self.threads,
                batch=self.batch,
                context=self.context,
                stride=self.stride,
            )
        require("lm", "tokenizers")
        start = _start(check_folder(folder), self._exact_source.form.vocabulary)
        return exact_model(
            self._exact_source,
            digest(folder),
            start,
            batch=self.batch,
            context=self.context,
            stride=self.stride,
            torch_device=None if self.device == "cpu" else self.device,
        )

    @property
    def written_options(self) -> Mapping[str, object]:
        """Options that change no bit, as archives give them."""
        return {} if self._exact_source is None else {"device": "cpu", "threads": 1}

    @cached_property
    def code(self) -> TokenCode:  # type: ignore[override]
        """The tokenizer with its escapes."""
        folder, network = find_folder(self.model), self.network
        load = load_own_code if isinstance(network, ExactModel) else load_code
        return checked_code(load(folder, network.vocabulary_size), folder)


def _start(config: Mapping[str, object], vocabulary_size: int) -> int:
    """Return the symbol that is read before the first: the start of text, else the end of text, else 0."""
    for name in ("bos_token_id", "eos_token_id"):
        value = config.get(name)
        if isinstance(value, list) and value:
            value = value[0]
        if type(value) is int and 0 <= value < vocabulary_size:
            return value
    return 0
