"""The predictor ``Best``: context mixing with a recurrent network among its inputs, in one compiled loop."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

from gencomp.budget import Cost, StateCost
from gencomp.inference.weights import Weights
from gencomp.predictors.mix.expert import Companion, new_guide
from gencomp.predictors.mix.levels import Level, with_guide
from gencomp.predictors.mix.model import Model
from gencomp.predictors.mix.predictor import BYTES_OF_A_CDF, ContextMixing
from gencomp.predictors.mix.saved import STATE_SIZE
from gencomp.predictors.recurrent.predictor import STEP_SECONDS, find_weights

_NETWORK_BYTES = 1 << 18  # of a network's memory, and of what is learnt about it


@dataclass(frozen=True)
class Best(ContextMixing):
    """Context mixing with a trained network beside the contexts: the strongest model here, integers all the way.

    ``level`` to ``freeze`` are those of :class:`~gencomp.predictors.mix.predictor.ContextMixing`. ``weights`` is a
    .safetensors file that ``gencomp train --kind rnn`` wrote; the one of the package if None. What it codes decodes on
    any machine, with the same weights. Raises :class:`~gencomp.inference.weights.WeightsError` where the weights are
    missing or are none.
    """

    weights: str | None = None

    REVISION: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.loaded  # checks the file

    @cached_property
    def loaded(self) -> Weights:
        """The network's weights."""
        return find_weights(self.weights)

    @property
    def revision(self) -> int:
        """The revision of the kernels: the same weights give other bytes in another one."""
        return self.REVISION

    @property
    def parameter_count(self) -> int:
        """The network's numbers."""
        return self.loaded.parameter_count

    def environment(self) -> Mapping[str, Any]:
        """Return the digest of the weights, which the bytes depend on beside the revision."""
        return {"weights": self.loaded.digest}

    def state_cost(self, size: int) -> StateCost:
        """Return what a state takes: tables, the bytes read, the network's numbers."""
        tables = self._table_bytes(max(2 * size, STATE_SIZE))
        held, scratch = (0, tables) if self.freeze else (tables, 0)
        step = (1 + BYTES_OF_A_CDF) * self._seconds
        return StateCost(held + 2 * size + _NETWORK_BYTES, scratch, 2e-3 + size * self._seconds + step, step)

    def block_cost(self, size: int, coded: int) -> Cost:
        """Return what a block takes."""
        return Cost(self._table_bytes(size) + 4 * size + _NETWORK_BYTES, 2e-3 + size * self._seconds)

    @property
    def _seconds(self) -> float:
        return self._byte_seconds + STEP_SECONDS

    def _companion(self) -> Companion:
        return new_guide(self.loaded.network)

    def _level(self) -> Level:
        level = super()._level()
        return replace(level, mixers=level.mixers + 1)  # one is selected by what the network expects

    def _new_model(self, size: int) -> Model:
        return with_guide(super()._new_model(size))
