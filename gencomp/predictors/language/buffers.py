"""Keys and values in buffers of a fixed capacity, behind transformers' cache interface."""

from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicLayer


class PreallocatedLayer(DynamicLayer):  # type: ignore[misc]
    """A layer's keys and values in buffers of a fixed capacity; growing by concatenation would copy them each time."""

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


def buffered(cache: Cache, capacity: int) -> Cache:
    """Return ``cache`` with buffers for ``capacity`` positions in the layers that would grow without limit."""
    cache.layers = [PreallocatedLayer(capacity) if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache
