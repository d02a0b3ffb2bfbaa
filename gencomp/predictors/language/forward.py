"""The one place that calls a model's forward. How its memory is passed is found by trial, not by names.

transformers has renamed the argument for the key-value cache before, and models without a memory also accept it. So a
way to pass it counts only if reading a text in steps gives the logits of reading it at once, and if these depend on the
symbols of an earlier step.
"""

import copy
import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# the trial: lanes that differ in their second symbol, read at once, and in steps of so many symbols
_TRIAL_LANES = 8
_TRIAL_STEPS = (2, 1, 1)
# steps and one call may differ by rounding; the difference that earlier symbols make must be this many times larger
_LEAST_CONTRAST = 4.0
# names for a memory, tried where a forward hides its arguments behind **kwargs
_KNOWN_NAMES = ("cache", "past_key_values", "cache_params", "state")
# all arguments are tried, those with a hint in their names first, but for those that mean something else
_HINTS = ("cache", "past", "state", "mem")
_OTHER_NAMES = frozenset(
    ("input_ids", "inputs_embeds", "attention_mask", "token_type_ids", "position_ids", "cache_position", "labels")
    + ("use_cache", "return_dict", "logits_to_keep", "num_logits_to_keep")
)
_OPTIONS: tuple[Mapping[str, Any], ...] = ({"return_dict": True, "logits_to_keep": 1}, {"return_dict": True}, {})

MakeMemory = Callable[["PreTrainedModel", int], Any]
"""Makes what a model's forward takes as an empty memory, for a number of positions."""


class ForwardError(ValueError):
    """No way was found to make a model remember what it has read."""


def whole_logits(model: "PreTrainedModel", symbols: torch.Tensor) -> torch.Tensor:
    """Return the logits after every symbol of ``symbols`` (lanes, n) int64: (lanes, n, vocabulary_size)."""
    return _logits(model(input_ids=symbols, use_cache=False))


def _logits(output: Any) -> torch.Tensor:
    """Return the logits of a forward's output: an attribute, or, for some models, the first item of a tuple."""
    found = getattr(output, "logits", None)
    if found is None:
        found = output[0]
    if not isinstance(found, torch.Tensor) or found.ndim != 3:
        raise TypeError(f"the model's forward returned {type(output).__name__} without logits of three axes")
    return found


def growing_cache(model: "PreTrainedModel", positions: int) -> Any:
    """Return transformers' own cache for ``model``, which grows by concatenation."""
    from transformers.cache_utils import DynamicCache

    return DynamicCache(config=model.config)


def fixed_cache(model: "PreTrainedModel", positions: int) -> Any:
    """Return transformers' cache with buffers for ``positions``, which spare the copies of a growing cache.

    Layers with a window or a recurrent state stay as they are.
    """
    from gencomp.predictors.language.buffers import buffered

    return buffered(growing_cache(model, positions), positions)


def no_memory(model: "PreTrainedModel", positions: int) -> None:
    """Return None: the model makes its own memory, and returns it."""


_MAKERS: tuple[MakeMemory, ...] = (fixed_cache, growing_cache, no_memory)


@dataclass(frozen=True)
class Way:
    """How a memory is passed: as the argument ``name``, made empty by ``make``, with the arguments ``options``."""

    name: str
    make: MakeMemory
    options: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.name}={self.make.__name__}"


class Memory:
    """Lanes of text as a model remembers them; each symbol is read once. The caller switches off gradients."""

    def __init__(self, model: "PreTrainedModel", way: Way, positions: int) -> None:
        self._model = model
        self._way = way
        self._value = way.make(model, positions)

    def read(self, symbols: torch.Tensor) -> torch.Tensor:
        """Append ``symbols`` (lanes, n) int64; return the logits after the last, (lanes, vocabulary_size)."""
        way = self._way
        output = self._model(
            input_ids=symbols.to(self._model.device), use_cache=True, **{way.name: self._value}, **way.options
        )
        returned = getattr(output, way.name, None)
        if returned is not None:  # a model may make the memory itself, or replace it
            self._value = returned
        return _logits(output)[:, -1]

    def copy(self) -> "Memory":
        """Return an independent copy."""
        twin = copy.copy(self)
        twin._value = copy.deepcopy(self._value)
        return twin


class Forward:
    """A model, and the way to make it remember. Raises :class:`ForwardError` if there is none."""

    def __init__(self, model: "PreTrainedModel") -> None:
        self.model = model
        with torch.inference_mode():
            first = torch.zeros((1, 1), dtype=torch.int64, device=model.device)
            self.vocabulary_size = int(whole_logits(model, first).shape[-1])
            self.way = find_way(model, self.vocabulary_size)

    def begin(self, positions: int) -> Memory:
        """Return the memory of empty texts of at most ``positions`` symbols."""
        return Memory(self.model, self.way, positions)


def find_way(model: "PreTrainedModel", vocabulary_size: int) -> Way:
    """Return the first way with which steps give the logits of one call. The caller switches off gradients.

    Raises :class:`ForwardError` with the smallest difference found.
    """
    symbols = _trial_symbols(vocabulary_size).to(model.device)
    ends = [sum(_TRIAL_STEPS[: k + 1]) - 1 for k in range(len(_TRIAL_STEPS))]
    expected = whole_logits(model, symbols)[:, ends].float()
    last = expected[:, -1]
    spread = float((last - last[:1]).abs().max())
    if not spread > 0.0:  # NaN too
        raise ForwardError(f"{type(model).__name__} predicts the same whatever stands before the last two symbols")
    nearest = float("inf")
    tried: dict[str, None] = {}
    for way in _ways(model):
        tried[way.name] = None
        with warnings.catch_warnings():  # a deprecated name is not the one to use
            warnings.simplefilter("error", FutureWarning)
            warnings.simplefilter("error", DeprecationWarning)
            try:
                memory = Memory(model, way, symbols.shape[1])
                found = torch.stack([memory.read(part) for part in symbols.split(_TRIAL_STEPS, 1)], 1)
                distance = float((found.float() - expected).abs().max())
            except Exception:  # a wrong argument may raise anything
                continue
        if _LEAST_CONTRAST * distance <= spread:
            return way
        nearest = min(nearest, distance)
    raise ForwardError(
        f"{type(model).__name__} does not remember what it has read: read in steps, its logits are off by "
        f"{nearest:.3g}, and other earlier symbols move them by {spread:.3g} (tried {', '.join(tried) or 'nothing'})"
    )


def _trial_symbols(vocabulary_size: int) -> torch.Tensor:
    """Return texts, int64 (lanes, n), that differ in their second symbol alone; symbols are from all the vocabulary."""
    lanes = torch.arange(_TRIAL_LANES)
    second = lanes * vocabulary_size // _TRIAL_LANES
    others = [torch.full_like(lanes, vocabulary_size * k // 8) for k in (1, 3, 4)]
    return torch.stack([others[0], second, others[1], others[2]], 1)


def _ways(model: "PreTrainedModel") -> Iterator[Way]:
    """Yield every way to try, likely ones first."""
    parameters = inspect.signature(model.forward).parameters
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    names = [name for name, parameter in parameters.items() if parameter.kind not in variable]
    names = [name for name in names if name not in _OTHER_NAMES and not name.startswith("output_")]
    names.sort(key=lambda name: next((k for k, hint in enumerate(_HINTS) if hint in name), len(_HINTS)))
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        names += [name for name in _KNOWN_NAMES if name not in names]
    for name in names:
        for make in _MAKERS:
            for options in _OPTIONS:
                yield Way(name, make, options)
