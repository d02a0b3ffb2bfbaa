"""Lanes in lockstep: one call of the model predicts the next symbol of every lane.

Encoder and decoder make exactly these calls, with the same shapes in the same order, so that both see the same
floating-point numbers (the twin rule). A call's shape depends on the number of lanes and on the position alone.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

if TYPE_CHECKING:
    from transformers import PreTrainedModel

FloatRows = npt.NDArray[np.float32]


class PreallocatedLayer(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values in buffers of a fixed capacity; growing by concatenation would copy all of them."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self._capacity = capacity
        self._length = 0

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        super().lazy_initialization(key_states, value_states)
        self._key_buffer = self._buffer(key_states)
        self._value_buffer = self._buffer(value_states)

    def _buffer(self, states: torch.Tensor) -> torch.Tensor:
        lanes, heads, _, size = states.shape
        return torch.empty((lanes, heads, self._capacity, size), dtype=states.dtype, device=states.device)

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        end = self._length + key_states.shape[-2]
        self._key_buffer[:, :, self._length : end] = key_states
        self._value_buffer[:, :, self._length : end] = value_states
        self._length = end
        self.keys, self.values = self._key_buffer[:, :, :end], self._value_buffer[:, :, :end]
        return self.keys, self.values


def new_cache(model: "PreTrainedModel", capacity: int) -> Cache:
    """Return an empty cache for ``capacity`` positions; layers with a window or a state of their own keep theirs."""
    cache = DynamicCache(config=model.config)
    cache.layers = [PreallocatedLayer(capacity) if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


class Lockstep:
    """A causal language model over ``lanes`` independent texts, each symbol predicted from those before it.

    A text begins with the symbol ``start``. A symbol that no longer fits ``context`` positions makes the model read
    ``start`` and the last ``context - stride`` symbols anew, which happens every ``stride`` symbols: a prediction sees
    at least context - stride of them. The caller holds :meth:`~gencomp.predictors.language.settings.Settings.applied`.
    """

    def __init__(self, model: "PreTrainedModel", lanes: int, *, start: int, context: int, stride: int) -> None:
        self._model = model
        self._start = start
        self._context = context
        self._stride = stride
        self._history = np.full((lanes, context), start, dtype=np.int64)  # the positions in the cache
        self._length = 0
        self._read(self._history[:, :1])

    def _read(self, symbols: npt.NDArray[np.int64]) -> None:
        """Begin anew with ``symbols`` (lanes, n), in one call."""
        self._cache = new_cache(self._model, self._context)
        self._history[:, : symbols.shape[1]] = symbols
        self._length = symbols.shape[1]
        self._call(symbols)

    def _call(self, symbols: npt.NDArray[np.int64]) -> None:
        output = self._model(
            input_ids=torch.from_numpy(np.ascontiguousarray(symbols)).to(self._model.device),
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self._probabilities: FloatRows = torch.softmax(output.logits[:, -1].float(), -1).cpu().numpy()

    def probabilities(self) -> FloatRows:
        """Return p(symbol | lane so far), float32 (lanes, vocabulary_size)."""
        return self._probabilities

    def feed(self, symbols: npt.NDArray[np.int64]) -> None:
        """Append one symbol to each lane, (lanes,)."""
        if self._length < self._context:
            self._history[:, self._length] = symbols
            self._length += 1
            self._call(symbols[:, None])
        else:
            self._begin_with(np.hstack([self._history[:, 1:], symbols[:, None]]), self._context - self._stride)

    def feed_text(self, symbols: npt.NDArray[np.int64]) -> None:
        """Append (lanes, n) symbols at once, in one call: it sees the positions that n single steps would."""
        text = np.hstack([self._history[:, 1 : self._length], symbols])
        beyond = text.shape[1] - self._context  # symbols after the first one that did not fit, or below 0
        length = text.shape[1] if beyond < 0 else self._context - self._stride + beyond % self._stride
        self._begin_with(text, length)

    def _begin_with(self, text: npt.NDArray[np.int64], length: int) -> None:
        """Read the start symbol and the last ``length`` symbols of ``text``."""
        start = np.full((len(text), 1), self._start, dtype=np.int64)
        self._read(np.hstack([start, text[:, text.shape[1] - length :]]))

    def copy(self) -> "Lockstep":
        """Return lanes that go on independently of these."""
        import copy

        twin = copy.copy(self)
        twin._history = self._history.copy()
        twin._cache = copy.deepcopy(self._cache)
        return twin
