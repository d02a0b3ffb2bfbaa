"""Which Transformers the integer kernels know, by a folder's configuration or a GGUF file's metadata.

A family says what each option means. An unknown option is refused, since it may change what the model computes.
"""

import math
import mmap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gencomp.inference.transformer_weights import MAX_HEAD, Form, TransformerError
from gencomp.predictors.language.hazards import ModelFolderError

FloatRows = npt.NDArray[np.float32]
Order = npt.NDArray[np.int64]


class Tensor(Protocol):
    """A tensor of a file."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def mapped(self) -> npt.NDArray[Any]:
        """The part of the mapped file that it is read from."""

    def take(self, rows: slice | Order) -> FloatRows:
        """Return rows of a matrix, float32 (n, columns), or numbers of a vector, (n,)."""


@dataclass(frozen=True)
class Part:
    """Where a tensor of :meth:`~gencomp.inference.transformer_weights.Form.expected` is: rows of a tensor in the file.

    ``order`` are these rows, or all if None. With ``across``, the file's tensor is (inputs, outputs).
    """

    tensor: str
    order: Order | None = None
    across: bool = False


@dataclass(frozen=True)
class Model:
    """A float model of a known family: its form, and where its tensors are. ``limit`` is its number of positions."""

    family: str
    form: Form
    parts: Mapping[str, Part]
    tensors: Mapping[str, Tensor]
    limit: int | None

    def rows(self, name: str, first: int, last: int) -> FloatRows:
        """Return rows of a tensor by the kernels' name for it."""
        for file in self._files:
            if file.size() < len(file):  # what is mapped beyond a file's end cannot be read
                raise ModelFolderError("the model's file has become shorter while it is in use; leave it as it is")
        part = self.parts[name]
        tensor = self.tensors[part.tensor]
        rows = slice(first, last) if part.order is None else part.order[first:last]
        if part.across:
            return np.ascontiguousarray(tensor.take(slice(None))[:, rows].T)
        return tensor.take(rows)

    def release(self) -> None:
        """Give back the memory that holds what was read of the files: they are still on disk."""
        for file in self._files:
            if hasattr(mmap, "MADV_DONTNEED"):
                file.madvise(mmap.MADV_DONTNEED)

    @cached_property
    def _files(self) -> list[mmap.mmap]:
        """What of the files is mapped."""
        files: dict[int, mmap.mmap] = {}
        for tensor in self.tensors.values():
            owner: Any = tensor.mapped
            while isinstance(owner, np.ndarray):
                owner = owner.base
            owner = owner.obj if isinstance(owner, memoryview) else owner
            if isinstance(owner, mmap.mmap):
                files[id(owner)] = owner
        return list(files.values())


def checked(model: Model, ignored: Callable[[str], bool]) -> Model:
    """Return ``model`` if its tensors are those of its form; else raise :class:`TransformerError`."""
    expected = model.form.expected()
    for name, shape in expected.items():
        part = model.parts.get(name)
        if part is None or part.tensor not in model.tensors:
            raise TransformerError(f"its tensor {part.tensor if part else name} is missing")
        found = model.tensors[part.tensor].shape
        if part.across:
            found = found[::-1]
        columns, rows = found[1:], found[0] if found else 0
        taken = rows if part.order is None else len(part.order)
        highest = rows if part.order is None else int(part.order.max()) + 1
        if columns != shape[1:] or taken != shape[0] or highest > rows:
            raise TransformerError(
                f"its tensor {part.tensor} is {list(found)}, which does not hold the {list(shape)} of {name}"
            )
    used = {model.parts[name].tensor for name in expected}
    unknown = sorted(name for name in model.tensors if name not in used and not ignored(name))
    if unknown:
        raise TransformerError(f"it has the tensor {unknown[0][:80]!r}, which {model.family} does not use")
    return model


class _Options:
    """A configuration; each option must be taken, or be known not to change what the model computes."""

    def __init__(self, values: Mapping[str, Any], harmless: frozenset[str]) -> None:
        self._values = {name: value for name, value in values.items() if value is not None}
        self._left = set(self._values) - harmless

    def take(self, name: str, otherwise: Any = None) -> Any:
        """Return an option's value, or ``otherwise`` if it is absent."""
        self._left.discard(name)
        return self._values.get(name, otherwise)

    def integer(self, name: str, otherwise: int | None = None) -> int:
        value = self.take(name, otherwise)
        if type(value) is not int:
            raise TransformerError(f"its option {name} is {value!r}, expected an integer")
        return value

    def number(self, name: str, otherwise: float | None = None) -> float:
        value = self.take(name, otherwise)
        if type(value) not in (int, float) or not math.isfinite(value):
            raise TransformerError(f"its option {name} is {value!r}, expected a number")
        return float(value)

    def only(self, name: str, *values: Any) -> None:
        """Take an option that may be absent or one of ``values``."""
        value = self.take(name, values[0])
        if value not in values:
            raise TransformerError(f"its option {name} is {value!r}; the integer kernels know {values[0]!r} alone")

    def finish(self) -> None:
        if self._left:
            raise TransformerError(f"its option {min(self._left)[:80]!r} is not understood")


# options of config.json for training, generation or other heads, and names
_HARMLESS = frozenset(
    (
        "_name_or_path",
        "architectures",
        "model_type",
        "transformers_version",
        "torch_dtype",
        "dtype",
        "use_cache",
        "bos_token_id",
        "eos_token_id",
        "pad_token_id",
        "unk_token_id",
        "initializer_range",
        "attention_dropout",
        "attn_pdrop",
        "embd_pdrop",
        "resid_pdrop",
        "hidden_dropout",
        "classifier_dropout",
        "id2label",
        "label2id",
        "problem_type",
        "return_dict",
        "output_attentions",
        "output_hidden_states",
        "chunk_size_feed_forward",
        "is_encoder_decoder",
        "is_decoder",
        "task_specific_params",
        "summary_activation",
        "summary_proj_to_labels",
        "summary_first_dropout",
        "summary_type",
        "summary_use_proj",
        "gradient_checkpointing",
        "is_llama_config",
        "attn_implementation",
        "_attn_implementation",
        "reorder_and_upcast_attn",
        "n_ctx",
        "max_window_layers",
        "add_cross_attention",
        "experts_implementation",
    )
)
_ACTIVATIONS = {
    "silu": "silu",
    "swish": "silu",
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "quick_gelu": "gelu_quick",
    "relu": "relu",
}


def _activation(name: object) -> str:
    if name not in _ACTIVATIONS:
        raise TransformerError(f"its activation is {name!r}; known are {', '.join(_ACTIVATIONS)}")
    return _ACTIVATIONS[str(name)]


def _rotation(
    options: _Options, size: int, base_name: str, share: float
) -> tuple[float, int, tuple[float, ...] | None]:
    """Return the base of the rotations, how many numbers of a head rotate, and what divides their frequencies."""
    if not 1 <= size <= MAX_HEAD:  # checked before anything of this size is made
        raise TransformerError(f"its head_size is {size!r}, expected 1 to {MAX_HEAD:,}")
    told = options.take("rope_parameters") or options.take("rope_scaling") or {}
    options.take("rope_scaling")
    if not isinstance(told, Mapping):
        raise TransformerError(f"its rotations are {told!r}, expected an object")
    rope = _Options(told, frozenset())
    kinds = {rope.take("rope_type", "default"), rope.take("type", rope.take("rope_type", "default"))}
    base = rope.number("rope_theta", options.number(base_name, 10000.0))
    share = rope.number("partial_rotary_factor", share)
    if not (1.0 <= base <= 1e12 and 0.0 < share <= 1.0):
        raise TransformerError(f"its rotations have the base {base!r} for a share of {share!r} of each head")
    rotated = int(size * share)
    factors: tuple[float, ...] | None = None
    if kinds == {"linear"}:
        factors = (rope.number("factor"),) * (rotated // 2)
    elif kinds == {"llama3"}:
        factors = _llama3_factors(rope, base, rotated)
    elif kinds != {"default"}:
        raise TransformerError(f"its rotations are scaled by {sorted(map(str, kinds))}; known are linear and llama3")
    rope.finish()
    return base, rotated, factors


def _llama3_factors(rope: _Options, base: float, rotated: int) -> tuple[float, ...]:
    """Return what Llama 3.1 divides frequencies by: 1 for fast ones, ``factor`` for slow ones, else a mean of both."""
    from gencomp.inference.tables import frequencies

    factor, low, high = (rope.number(name) for name in ("factor", "low_freq_factor", "high_freq_factor"))
    context = rope.number("original_max_position_embeddings")
    if not (factor >= 1.0 and 0.0 < low < high and context >= 1.0):
        raise TransformerError("its llama3 rotations have factors that are out of order")
    found = []
    for frequency in frequencies(base, rotated):
        turns = context * float(frequency) / math.tau
        smooth = min(1.0, max(0.0, (turns - low) / (high - low)))
        found.append(1.0 / ((1.0 - smooth) / factor + smooth))
    return tuple(found)


def _layered(layers: int, names: Mapping[str, str], prefix: str) -> dict[str, Part]:
    """Return the parts of all layers, with biases; ``names`` maps the kernels' names within a layer to the file's."""
    found = {}
    for layer in range(layers):
        for own, theirs in names.items():
            at = prefix.format(layer)
            found[f"layers.{layer}.{own}"] = Part(f"{at}{theirs}.weight")
            found[f"layers.{layer}.{own}.bias"] = Part(f"{at}{theirs}.bias")
    return found


def _llama(options: _Options, family: str, tensors: Mapping[str, Tensor]) -> Model:
    """Llama (Touvron et al. 2023), and families that differ from it only in biases, head norms or names."""
    width, heads = options.integer("hidden_size"), options.integer("num_attention_heads")
    if heads < 1:
        raise TransformerError(f"it has {heads} heads")
    layers = options.integer("num_hidden_layers")
    size = options.integer("head_dim", 128 if family == "qwen3" else width // heads)
    limit = options.integer("max_position_embeddings")
    base, rotated, factors = _rotation(options, size, "rope_theta", 1.0)
    tied = options.take("tie_word_embeddings", "lm_head.weight" not in tensors)
    biases: set[str] = {"q", "k", "v"} if family == "qwen2" else set()
    if family in ("llama", "qwen3") and options.take("attention_bias", False):
        biases |= {"q", "k", "v", "o"}
    if family == "llama" and options.take("mlp_bias", False):
        biases |= {"gate", "up", "down"}
    options.only("pretraining_tp", *range(1, 1025))
    window = options.take("sliding_window")
    if family in ("qwen2", "qwen3") and not options.take("use_sliding_window", False):
        window = None
    if window is not None:
        limit = min(limit, options.integer("sliding_window"))
    kinds = options.take("layer_types", [])
    if not isinstance(kinds, list) or any(kind != "full_attention" for kind in kinds):
        raise TransformerError("its layers are not all of full attention")
    form = Form(
        width=width,
        layers=layers,
        heads=heads,
        groups=options.integer("num_key_value_heads", heads),
        head_size=size,
        feed_forward=options.integer("intermediate_size"),
        vocabulary=options.integer("vocab_size"),
        activation=_activation(options.take("hidden_act", "silu")),
        gated=True,
        centred=False,
        epsilon=options.number("rms_norm_eps", 1e-6),
        rotated=rotated,
        base=base,
        factors=factors,
        tied=bool(tied),
        head_norms=family == "qwen3",
        biases=frozenset(biases),
    )
    names = {f"{one}": f"self_attn.{one}_proj" for one in "qkvo"} | {
        one: f"mlp.{one}_proj" for one in ("gate", "up", "down")
    }
    names |= {"norm1": "input_layernorm", "norm2": "post_attention_layernorm"}
    names |= {"q_norm": "self_attn.q_norm", "k_norm": "self_attn.k_norm"}
    parts = _layered(layers, names, "model.layers.{}.")
    parts |= {
        "embedding": Part("model.embed_tokens.weight"),
        "norm": Part("model.norm.weight"),
        "head": Part("lm_head.weight"),
    }
    return Model(family, form, parts, tensors, limit)


def _gpt2(options: _Options, family: str, tensors: Mapping[str, Tensor]) -> Model:
    """GPT-2 (Radford et al. 2019)."""
    width, heads, layers = (options.integer(name) for name in ("n_embd", "n_head", "n_layer"))
    limit = options.integer("n_positions", 1024)
    options.only("scale_attn_weights", True)
    options.only("scale_attn_by_inverse_layer_idx", False)
    before = "transformer." if "transformer.wte.weight" in tensors else ""
    form = Form(
        width=width,
        layers=layers,
        heads=heads,
        groups=heads,
        head_size=width // max(heads, 1),
        feed_forward=options.integer("n_inner", 4 * width),
        vocabulary=options.integer("vocab_size"),
        activation=_activation(options.take("activation_function", "gelu_new")),
        gated=False,
        centred=True,
        epsilon=options.number("layer_norm_epsilon", 1e-5),
        rotated=0,
        learned=limit,
        tied=bool(options.take("tie_word_embeddings", True)),
        biases=frozenset(("q", "k", "v", "o", "up", "down")),
    )
    at = before + "h.{}."
    parts = _layered(layers, {"norm1": "ln_1", "norm2": "ln_2"}, at)
    for layer in range(layers):
        for own, theirs in {"o": "attn.c_proj", "up": "mlp.c_fc", "down": "mlp.c_proj"}.items():
            parts[f"layers.{layer}.{own}"] = Part(f"{at.format(layer)}{theirs}.weight", across=True)
            parts[f"layers.{layer}.{own}.bias"] = Part(f"{at.format(layer)}{theirs}.bias")
        for k, own in enumerate("qkv"):
            rows = np.arange(k * width, (k + 1) * width)
            parts[f"layers.{layer}.{own}"] = Part(f"{at.format(layer)}attn.c_attn.weight", rows, across=True)
            parts[f"layers.{layer}.{own}.bias"] = Part(f"{at.format(layer)}attn.c_attn.bias", rows)
    parts |= {
        "embedding": Part(f"{before}wte.weight"),
        "positions": Part(f"{before}wpe.weight"),
        "norm": Part(f"{before}ln_f.weight"),
        "norm.bias": Part(f"{before}ln_f.bias"),
        "head": Part("lm_head.weight"),
    }
    return Model(family, form, parts, tensors, limit)


def _gpt_neox(options: _Options, family: str, tensors: Mapping[str, Tensor]) -> Model:
    """GPT-NeoX (Black et al. 2022), the family of Pythia."""
    width, heads = options.integer("hidden_size"), options.integer("num_attention_heads")
    layers = options.integer("num_hidden_layers")
    size = width // max(heads, 1)
    limit = options.integer("max_position_embeddings")
    base, rotated, factors = _rotation(options, size, "rotary_emb_base", options.number("rotary_pct", 0.25))
    biases = {"up", "down"} | ({"q", "k", "v", "o"} if options.take("attention_bias", True) else set())
    form = Form(
        width=width,
        layers=layers,
        heads=heads,
        groups=heads,
        head_size=size,
        feed_forward=options.integer("intermediate_size"),
        vocabulary=options.integer("vocab_size"),
        activation=_activation(options.take("hidden_act", "gelu")),
        gated=False,
        centred=True,
        epsilon=options.number("layer_norm_eps", 1e-5),
        rotated=rotated,
        base=base,
        factors=factors,
        parallel=bool(options.take("use_parallel_residual", True)),
        tied=bool(options.take("tie_word_embeddings", False)),
        biases=frozenset(biases),
    )
    at = "gpt_neox.layers.{}."
    names = {"norm1": "input_layernorm", "norm2": "post_attention_layernorm", "o": "attention.dense"}
    names |= {"up": "mlp.dense_h_to_4h", "down": "mlp.dense_4h_to_h"}
    parts = _layered(layers, names, at)
    rows = np.arange(3 * width).reshape(heads, 3, size) if heads * size == width else np.zeros((1, 3, 1), np.int64)
    for layer in range(layers):
        for k, own in enumerate("qkv"):
            for kind, end in (("weight", ""), ("bias", ".bias")):
                part = Part(f"{at.format(layer)}attention.query_key_value.{kind}", rows[:, k].reshape(-1))
                parts[f"layers.{layer}.{own}{end}"] = part
    parts |= {
        "embedding": Part("gpt_neox.embed_in.weight"),
        "norm": Part("gpt_neox.final_layer_norm.weight"),
        "norm.bias": Part("gpt_neox.final_layer_norm.bias"),
        # its name depends on the version of transformers
        "head": Part("embed_out.weight" if "embed_out.weight" in tensors else "lm_head.weight"),
    }
    return Model(family, form, parts, tensors, limit)


# constants that older files have as tensors
_MASKS = ("rotary_emb.inv_freq", "attn.bias", "attn.masked_bias", "attention.bias", "attention.masked_bias")
_FAMILIES = {"llama": _llama, "mistral": _llama, "qwen2": _llama, "qwen3": _llama, "gpt2": _gpt2, "gpt_neox": _gpt_neox}


def folder_model(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Model:
    """Return the model of a folder's configuration and tensors.

    Raises :class:`TransformerError` on an unknown family or option, and if the tensors are not those that the
    configuration implies.
    """
    family = config.get("model_type")
    if family not in _FAMILIES:
        raise TransformerError(f"its architecture is {family!r}; the integer kernels know {', '.join(_FAMILIES)}")
    options = _Options(config, _HARMLESS)
    model = _FAMILIES[family](options, family, tensors)
    options.finish()

    def ignored(name: str) -> bool:
        is_tied = model.form.tied and name in ("lm_head.weight", "embed_out.weight")
        return is_tied or name.endswith(_MASKS)

    return checked(model, ignored)


_GGUF_PARTS = {
    "norm1": "attn_norm",
    "norm2": "ffn_norm",
    "q": "attn_q",
    "k": "attn_k",
    "v": "attn_v",
    "o": "attn_output",
    "q_norm": "attn_q_norm",
    "k_norm": "attn_k_norm",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
}
_GGUF_FAMILIES = ("llama", "qwen2", "qwen3", "gpt2", "gptneox")
# keys of an architecture that change nothing in the families known here, or are read elsewhere
_GGUF_HARMLESS = frozenset(("vocab_size", "file_type", "attention.key_length_swa", "use_parallel_residual"))


def gguf_model(metadata: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Model:
    """Return the model of a GGUF file's metadata and tensors. Raises as :func:`folder_model`."""
    family = metadata.get("general.architecture")
    if family not in _GGUF_FAMILIES:
        raise TransformerError(f"its architecture is {family!r}; the integer kernels know {', '.join(_GGUF_FAMILIES)}")
    start = f"{family}."
    own = {key.removeprefix(start): value for key, value in metadata.items() if key.startswith(start)}
    options = _Options(own, _GGUF_HARMLESS)
    is_gpt = family in ("gpt2", "gptneox")
    width, heads = options.integer("embedding_length"), options.integer("attention.head_count")
    layers, limit = options.integer("block_count"), options.integer("context_length")
    if heads < 1 or not 1 <= layers <= len(tensors):
        raise TransformerError(f"it has {layers} layers of {heads} heads")
    groups = options.integer("attention.head_count_kv", heads)
    size = options.integer("attention.key_length", width // heads)
    options.only("attention.value_length", size)
    rotated = 0 if family == "gpt2" else options.integer("rope.dimension_count", size)
    options.only("rope.scaling.type", "none")
    if family == "gpt2":
        options.take("rope.dimension_count")
    if "token_embd.weight" not in tensors:
        raise TransformerError("its tensor token_embd.weight is missing")
    factors: tuple[float, ...] | None = None
    if "rope_freqs.weight" in tensors:
        factors = tuple(map(float, tensors["rope_freqs.weight"].take(slice(None)).reshape(-1)))
    biases = {one for one in ("q", "k", "v", "o") if f"blk.0.{_GGUF_PARTS[one]}.bias" in tensors}
    form = Form(
        width=width,
        layers=layers,
        heads=heads,
        groups=groups,
        head_size=size,
        feed_forward=options.integer("feed_forward_length"),
        vocabulary=tensors["token_embd.weight"].shape[0],
        activation={"gpt2": "gelu_tanh", "gptneox": "gelu"}.get(family, "silu"),
        gated=not is_gpt,
        centred=is_gpt,
        epsilon=options.number("attention.layer_norm_epsilon" if is_gpt else "attention.layer_norm_rms_epsilon"),
        rotated=rotated,
        base=options.number("rope.freq_base", 10000.0),
        factors=factors,
        learned=limit if family == "gpt2" else 0,
        parallel=family == "gptneox" and bool(own.get("use_parallel_residual", True)),
        tied="output.weight" not in tensors,
        head_norms=family == "qwen3",
        biases=frozenset(("q", "k", "v", "o", "up", "down")) if is_gpt else frozenset(biases),
    )
    options.finish()
    parts = _layered(layers, _GGUF_PARTS, "blk.{}.")
    for layer in range(layers):
        at = f"layers.{layer}."
        if family == "llama":  # there, the two numbers that rotate as a pair are neighbours
            for name, count in (("q", heads), ("k", groups)):
                order = _apart(count, size, rotated)
                for end in ("", ".bias"):
                    part = parts[f"{at}{name}{end}"]
                    parts[f"{at}{name}{end}"] = Part(part.tensor, order)
        if is_gpt:
            for k, name in enumerate("qkv"):
                rows = np.arange(k * width, (k + 1) * width)
                for kind, end in (("weight", ""), ("bias", ".bias")):
                    parts[f"{at}{name}{end}"] = Part(f"blk.{layer}.attn_qkv.{kind}", rows)
    parts |= {
        "embedding": Part("token_embd.weight"),
        "positions": Part("position_embd.weight"),
        "norm": Part("output_norm.weight"),
        "norm.bias": Part("output_norm.bias"),
        "head": Part("output.weight"),
    }
    return checked(Model(family, form, parts, tensors, limit), lambda name: name == "rope_freqs.weight")


def _apart(count: int, size: int, rotated: int) -> Order:
    """Return the order of the rows of ``count`` heads that takes pairs of neighbours ``rotated`` / 2 rows apart."""
    head: Order = np.concatenate([np.arange(0, rotated, 2), np.arange(1, rotated, 2), np.arange(rotated, size)])
    order: Order = (np.arange(count)[:, None] * size + head).reshape(-1)
    return order
