"""The predictor ``Best``: context mixing with a recurrent network among its inputs, in one compiled loop."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from typing import Any, ClassVar

from gencomp.budget import Cost, StateCost
from gencomp.errors import CorruptDataError, ModelMismatchError, SpecError
from gencomp.inference.weights import Weights
from gencomp.predictors.mix.expert import Companion, check_doubts, new_guide
from gencomp.predictors.mix.levels import TABLE_SECONDS, Level, table_shapes, with_guide
from gencomp.predictors.mix.model import Guide, Model
from gencomp.predictors.mix.predictor import BYTES_OF_A_CDF, ContextMixing, MixState, check_written, tree_of_state
from gencomp.predictors.mix.saved import (
    STATE_SIZE,
    Arrays,
    Family,
    Shapes,
    StateHeader,
    digest_of,
    read_header,
    read_state,
)
from gencomp.predictors.recurrent.predictor import find_weights, step_seconds
from gencomp.predictors.recurrent.saved import KEPT, check_kept
from gencomp.registry import load, spec_of
from gencomp.specs import Spec, brief

_NETWORK_BYTES = 1 << 18  # at most what a guide takes beside the weights
_READ_SECONDS = 2e-8  # to inflate and check a byte of a saved state


@dataclass(frozen=True)
class Best(ContextMixing):
    """Context mixing with a trained network beside the contexts: the strongest model here, all in integers.

    With the same weights, its code decodes on any machine. ``level`` to ``freeze`` are those of
    :class:`~gencomp.predictors.mix.predictor.ContextMixing`. ``weights`` is a .safetensors file that ``gencomp train
    --kind rnn`` wrote; if None, the package's own. ``state`` is a file to start from, which
    :meth:`~gencomp.predictors.mix.predictor.MixState.save` or ``gencomp sample --save-state`` wrote with these weights;
    it brings its own settings. Raises :class:`~gencomp.inference.weights.WeightsError` if the weights are missing or
    not valid.
    """

    weights: str | None = None
    state: str | None = None

    REVISION: ClassVar[int] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.loaded  # checks the file
        if self.state is not None and replace(self, state=None, freeze=False) != Best(weights=self.weights):
            raise ValueError("a state brings its own settings: beside state, give none but freeze and weights")

    @cached_property
    def loaded(self) -> Weights:
        """The network's weights."""
        return find_weights(self.weights)

    @property
    def revision(self) -> int:
        """The revision of the kernels: with another, the same weights give other bytes."""
        return self.REVISION

    @property
    def parameter_count(self) -> int:
        """How many numbers the network has."""
        return self.loaded.parameter_count

    def environment(self) -> Mapping[str, Any]:
        """Return the digests of the weights and the state: what the bytes depend on beside the revision."""
        digests = {"weights": self.loaded.digest}
        return digests if self.state is None else digests | {"state": digest_of(self.state, self._family())}

    def state_cost(self, size: int) -> StateCost:
        """Return what a state takes: tables, the bytes read, the network; a saved state is read again each time."""
        best, tables, read, begin, frozen = self._start_cost(max(2 * size, STATE_SIZE))
        held, scratch = (0, tables) if frozen else (tables, 0)
        step = (1 + BYTES_OF_A_CDF) * best._seconds
        begin += size * best._seconds + step
        return StateCost(held + 2 * (read + size) + _NETWORK_BYTES, scratch, begin, step)

    def block_cost(self, size: int, coded: int) -> Cost:
        """Return what a block takes."""
        best, tables, read, begin, _ = self._start_cost(size)
        return Cost(tables + 4 * (read + size) + _NETWORK_BYTES, begin + size * best._seconds)

    def _start_cost(self, size: int) -> "tuple[Best, int, int, float, bool]":
        """Return (settings, bytes of tables, bytes read already, seconds, whether frozen) of a state that begins."""
        if self.state is None:
            tables = self._table_bytes(size)
            return self, tables, 0, 2e-3 + tables * TABLE_SECONDS, self.freeze
        header, best = self._saved
        tables = best._table_bytes(header.size)
        work = 2e-3 + (tables + header.length) * _READ_SECONDS + tables * TABLE_SECONDS
        return best, tables, header.length, work, header.frozen or self.freeze

    @cached_property
    def _saved(self) -> "tuple[StateHeader, Best]":
        """The saved state's header, and its settings."""
        path = self.state or ""
        header = read_header(path, self._family())
        return header, _settings(path, header, self.weights)

    @classmethod
    def load_state(cls, path: str | PathLike[str], weights: str | None = None) -> MixState:
        """Return the state that ``save`` wrote; ``weights`` is its network's file, or the package's if None.

        Raises :class:`CorruptDataError` on damage and on content that no state has, :class:`ModelMismatchError` on a
        state of another revision or other weights.
        """
        guide = new_guide(find_weights(weights).network)
        beside = _arrays_of(guide)

        def shapes(header: StateHeader) -> Shapes:
            best = _settings(path, header, weights)
            tables = table_shapes(best._level(), best._slot_bits(header.size), header.size)
            return {**tables, **{name: (array.dtype.type, array.shape) for name, array in beside.items()}}

        def make(header: StateHeader) -> tuple[Model, Arrays]:
            return _settings(path, header, weights)._new_model(header.size), beside

        header, model, history = read_state(path, cls._family(), shapes, make)
        try:
            check_kept({name: getattr(guide.memory, name) for name in KEPT}, guide.memory)
            check_doubts(guide)
        except ValueError as error:
            raise CorruptDataError(f"{path} is not a saved best state: its network: {error}") from None
        best = _settings(path, header, weights)
        return MixState(best, model, history, guide, header.size, frozen=header.frozen)

    @classmethod
    def _family(cls) -> Family:
        return Family("best", cls.REVISION, (_TRUSTS, _DOUBTS, *(_NETWORK + name for name in KEPT)), network=True)

    def _state_spec(self) -> str:
        # without the weights' place: their digest identifies them
        return spec_of(replace(self, weights=None), full=True)

    def _arrays_of(self, companion: Companion) -> tuple[Arrays, str]:
        assert isinstance(companion, Guide)
        return _arrays_of(companion), self.loaded.digest

    def _saved_state(self) -> MixState | None:
        return None if self.state is None else self.load_state(self.state, self.weights)

    @property
    def _seconds(self) -> float:
        return self._byte_seconds + step_seconds(self.loaded)

    def _companion(self) -> Companion:
        return new_guide(self.loaded.network)

    def _level(self) -> Level:
        level = super()._level()
        # the mixer added is selected by what the network expects
        return replace(level, mixers=level.mixers + 1, finals=max(1, level.finals), guided=True)

    def _new_model(self, size: int) -> Model:
        return with_guide(super()._new_model(size))


# a network's arrays in a saved state: the names' prefix, and the names of two
_NETWORK, _TRUSTS, _DOUBTS = "network_", "network_trusts", "network_doubts"


def _arrays_of(guide: Guide) -> Arrays:
    """Return the arrays of a network in a saved state: its memory, and what is learnt about its predictions.

    The trusts need no check: with any numbers, :func:`~gencomp.predictors.mix.model.predict` stays within its tables.
    """
    return {
        _TRUSTS: guide.trusts,
        _DOUBTS: guide.doubts,
        **{_NETWORK + name: getattr(guide.memory, name) for name in KEPT},
    }


def _settings(path: str | PathLike[str], header: StateHeader, weights: str | None) -> Best:
    """Return the settings of a saved state, with the user's file of ``weights``.

    Raises :class:`CorruptDataError` on a spec that no state has, :class:`ModelMismatchError` if the state was made with
    other weights.
    """
    try:
        tree = tree_of_state(header.spec, "best")
        if "weights" in tree.options:
            raise SpecError("it names a file of weights, where only their digest belongs")
        given = {} if weights is None else {"weights": weights}
        best = load(str(Spec("best", None, {**tree.options, **given})))
        assert isinstance(best, Best)
        check_written(header.spec, spec_of(best, full=True), "weights")
    except SpecError as error:
        raise CorruptDataError(f"{path} is not a saved best state: {error}") from error
    if best.loaded.digest != header.network:
        raise ModelMismatchError(
            f"{path} was made with the weights {brief(header.network)}, found {best.loaded.digest}; "
            f"name the file of the former: model='best?state={path}&weights=FILE'"
        )
    return best
