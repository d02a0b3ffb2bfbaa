"""What a float model takes, estimated from its configuration and the size of its weights: nothing is loaded."""

from collections.abc import Mapping
from typing import Any

from gencomp.budget import Cost, StateCost
from gencomp.predictors.language.causal import PROBE_CONTEXT, PROBE_STEPS, PROBE_STRIDE, CausalModel
from gencomp.predictors.language.coding import lanes_for

_LAYER_SECONDS, _PRODUCT_SECONDS = 1e-3, 5e-10  # of a call and layer, of one multiplication
_ACTIVATIONS = 24  # rows of activations held at a time, for each position
_BYTES = 4  # of a number, at most


class Estimate:
    """Estimates for one model; sizes that its configuration does not give are assumed to be large."""

    def __init__(self, causal: CausalModel) -> None:
        config = causal.config
        self._causal = causal
        self._parameters = causal.weight_bytes // 2  # weights may have two bytes each
        self._layers = _number(config, 64, "num_hidden_layers", "n_layer", "num_layers")
        self._width = _number(config, 1 << 13, "hidden_size", "n_embd", "d_model")
        self._vocabulary = _number(config, 1 << 18, "vocab_size")

    def _lane_bytes(self, context: int) -> int:
        """Return the bytes of a lane: keys and values, symbols, probabilities."""
        return context * (2 * self._layers * self._width * _BYTES + 8) + 4 * _BYTES * self._vocabulary

    def _call(self, lanes: int, context: int, stride: int) -> float:
        """Return the seconds of a step of all lanes, with its share of reading the context anew."""
        read = 1.0 + (context - stride) / stride
        products = self._parameters + 2 * context * self._width * self._layers
        return self._layers * _LAYER_SECONDS * 2 + lanes * read * products * _PRODUCT_SECONDS

    def _lanes(self, lanes: int, steps: int, context: int, stride: int) -> Cost:
        """Return the cost of ``steps`` steps of ``lanes`` lanes."""
        reading = lanes * max(1, context - stride) * self._width * _ACTIVATIONS * _BYTES
        return Cost(lanes * self._lane_bytes(context) + reading, steps * self._call(lanes, context, stride))

    def block(self, symbols: int, shortest: int | None = None) -> Cost:
        """Return the cost of a block of ``symbols`` symbols, cut into lanes of at least ``shortest``."""
        lanes = lanes_for(symbols, self._causal.batch, shortest)
        whole = self._lanes(lanes, -(-symbols // lanes), self._causal.context, self._causal.stride)
        return Cost(whole.memory + 32 * symbols, whole.work)

    def fingerprint(self) -> Cost:
        """Return the most that :meth:`~gencomp.predictors.language.causal.CausalModel.fingerprint` costs.

        At most two numbers of lanes are probed, whatever an archive claims.
        """
        context = min(PROBE_CONTEXT, self._causal.context)
        stride = min(PROBE_STRIDE, context - 1)
        probe = self._lanes(self._causal.batch, PROBE_STEPS, context, stride)
        return probe + probe

    def state(self, size: int, lanes: int) -> StateCost:
        """Return the cost of a state after ``size`` bytes that holds up to ``lanes`` hypotheses, one lane each."""
        causal = self._causal
        one = self._lanes(1, 1, causal.context, causal.stride)
        begin = one.work * max(1, min(size, causal.context))
        return StateCost(2 * lanes * one.memory + 9 * size, one.memory, begin, lanes * one.work)


def _number(config: Mapping[str, Any], otherwise: int, *names: str) -> int:
    """Return the first of the options ``names`` that a configuration has as a positive integer."""
    found = (config.get(name) for name in names)
    return next((value for value in found if isinstance(value, int) and value > 0), otherwise)
