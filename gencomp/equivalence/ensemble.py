"""Several models as one: the mean, the geometric mean, or the product of their distributions.

Everything is done on the members' integer cdfs and on logarithms in fixed point, so an ensemble adds nothing to what
its members' archives depend on.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

import numpy as np

from gencomp.arguments import as_context, as_symbol
from gencomp.budget import Cost, StateCost
from gencomp.coding.logarithm import UNIT, UNIT_BITS, log2_of
from gencomp.coding.quantize import (
    MAX_TOTAL_WEIGHT,
    cdf_from_weights,
    code_lengths_of_cdf,
    default_precision,
    weight_of_code_length,
    weights_of_code_lengths,
)
from gencomp.compiled import kernel
from gencomp.equivalence.capabilities import (
    environment_of,
    fingerprint_cost,
    fingerprint_of,
    has_lanes,
    packed_revision_of,
    parameter_count_of,
    state_cdf,
    state_cost,
)
from gencomp.equivalence.identity import composed
from gencomp.equivalence.nested import canonical
from gencomp.protocols import FloatArray, IntArray, Predictor, PredictorState, Revision
from gencomp.specs import brief

MIN_WINDOW = 1
MAX_MEMBERS = 256
_MEMBER_BYTES, _MEMBER_SECONDS = 1 << 14, 5e-4  # for each member's cdf, and its part in the mean and its logarithms
_SHARES = MAX_TOTAL_WEIGHT >> default_precision(256)  # the members' weights add up to at most this


@kernel
def mixture(frequencies: IntArray, shares: IntArray) -> IntArray:
    """Return the sum of the members' ``frequencies`` (members, symbols), each times its share: int64 (symbols,)."""
    weights = np.zeros(frequencies.shape[1], np.int64)
    for member in range(len(shares)):
        for symbol in range(len(weights)):
            weights[symbol] += shares[member] * frequencies[member, symbol]
    return weights


@kernel
def geometric_mean(frequencies: IntArray, shares: IntArray) -> IntArray:
    """Return -log2 of the members' weighted geometric mean, less its minimum, in 2^-16 bit: int64 (symbols,).

    ``frequencies`` (members, symbols) are all at least 1; the exponents are the shares divided by their sum.
    """
    lengths = np.zeros(frequencies.shape[1], np.int64)
    total = shares.sum()
    for symbol in range(len(lengths)):
        for member in range(len(shares)):
            lengths[symbol] -= shares[member] * log2_of(frequencies[member, symbol])
        lengths[symbol] = lengths[symbol] // total
    shortest = lengths.min()
    for symbol in range(len(lengths)):
        lengths[symbol] -= shortest
    return lengths


@kernel
def shares_of_losses(losses: IntArray) -> IntArray:
    """Return weights in proportion to 2^-loss, int64 (members,), none below 1 and their sum at most ``_SHARES``.

    ``losses`` (members,) are in 2^-16 bit. The floor lets a member recover that has been wrong for long.
    """
    shares = np.empty(len(losses), np.int64)
    best = losses.min()
    for member in range(len(losses)):
        shares[member] = weight_of_code_length((losses[member] - best) / 65536.0)
    total = shares.sum()
    for member in range(len(losses)):
        shares[member] = shares[member] * (_SHARES - len(losses)) // total + 1
    return shares


class WindowedState:
    """A predictor that sees only the last ``window`` bytes; once there are more, it begins anew for each byte."""

    def __init__(self, predictor: Predictor, window: int, recent: bytes) -> None:
        self._predictor = predictor
        self._window = window
        self._recent = recent[-window:]
        self._state: PredictorState | None = None

    def _current(self) -> PredictorState:
        if self._state is None:
            self._state = self._predictor.begin(self._recent)
        return self._state

    def code_lengths(self) -> FloatArray:
        return self._current().code_lengths()

    def cdf(self) -> IntArray:
        return state_cdf(self._current())

    def update(self, symbol: int) -> None:
        if len(self._recent) < self._window and self._state is not None:
            self._state.update(symbol)
        else:
            self._state = None
        self._recent = (self._recent + bytes([symbol]))[-self._window :]

    def copy(self) -> Self:
        twin = type(self)(self._predictor, self._window, self._recent)
        twin._state = None if self._state is None else self._state.copy()
        return twin


@dataclass(frozen=True)
class Ensemble:
    """The models named in ``members`` as one predictor; see :mod:`gencomp.equivalence.nested` for the notation.

    ``windows``, numbers of bytes joined by commas, enters each member once for every window, seeing only that many
    of the last bytes: ``ensemble:gzip?windows=512,2048``. The noise in a codec's distribution differs between them.

    ``mean`` is ``arithmetic``, p = sum of w p_i; ``geometric``, p in proportion to the product of p_i^w; or
    ``product``, that to the power of the number of members, so that each alone can rule a byte out (a product of
    experts, Hinton 2002). ``weights`` are ``uniform``, or ``bayes``: in proportion to 2^-(code length that the member
    gave the last ``memory`` bytes), the posterior of a uniform prior. With ``memory=none`` they are learnt from the
    whole text; with a short memory they follow a text that changes.
    """

    members: str = "counts:2,counts:6"
    windows: str | None = None
    mean: Literal["arithmetic", "geometric", "product"] = "arithmetic"
    weights: Literal["uniform", "bayes"] = "uniform"
    memory: int | None = 32

    spec_argument: ClassVar[str] = "members"
    own_revision: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.mean not in ("arithmetic", "geometric", "product"):
            raise ValueError(f"mean must be arithmetic, geometric or product, got {self.mean!r}")
        if self.weights not in ("uniform", "bayes"):
            raise ValueError(f"weights must be uniform or bayes, got {self.weights!r}")
        if self.memory is not None and not 1 <= self.memory < 1 << 20:
            raise ValueError(f"memory must be from 1 to {(1 << 20) - 1} bytes, or none, got {self.memory}")
        members, predictors = canonical(self.members)
        windows = self._window_sizes
        if not 1 <= len(predictors) * max(1, len(windows)) <= MAX_MEMBERS:
            raise ValueError(
                f"there must be from 1 to {MAX_MEMBERS} members, got {len(predictors)} in {len(windows)} windows"
            )
        object.__setattr__(self, "members", members)
        self.__dict__["_predictors"] = predictors

    @property
    def alphabet_size(self) -> int:
        return 256

    @cached_property
    def _predictors(self) -> tuple[Predictor, ...]:
        return canonical(self.members)[1]

    @property
    def _window_sizes(self) -> tuple[int, ...]:
        try:
            sizes = tuple(int(size) for size in self.windows.split(",")) if self.windows is not None else ()
        except ValueError:
            raise ValueError(f"windows must be numbers such as 512,2048, got '{brief(str(self.windows))}'") from None
        if sizes and min(sizes) < MIN_WINDOW:
            raise ValueError(f"windows must be of at least {MIN_WINDOW} byte, got {min(sizes)}")
        return sizes

    @cached_property
    def revision(self) -> Revision | None:
        """The ensemble's own revision and its members'; None if a member depends on its environment."""
        return composed(self.own_revision, self._predictors)

    def packed_revision(self) -> int:
        number = self.own_revision
        for predictor in self._predictors:
            number = 1000 * number + (packed_revision_of(predictor) or 0)
        return number

    def environment(self) -> Mapping[str, Any]:
        merged: dict[str, Any] = {}
        for number, predictor in enumerate(self._predictors, 1):
            for key, value in environment_of(predictor).items():
                taken = merged.get(key, value) != value
                merged[f"{key} of member {number}" if taken else key] = value
        return merged

    def fingerprint(self) -> bytes:
        """Return the members' fingerprints: whatever is not integer arithmetic is theirs."""
        return b"".join(fingerprint_of(predictor) for predictor in self._predictors)

    def fingerprint_cost(self) -> Cost:
        return sum((fingerprint_cost(predictor) for predictor in self._predictors), Cost())

    def state_cost(self, size: int) -> StateCost:
        """Return what a state takes: all members' together, but only one's scratch memory at a time.

        A member in a window begins anew at each step.
        """
        memory = size if self.memory is None else min(size, self.memory)
        learnt = memory if self.weights == "bayes" else 0
        held, scratch, begin, step, kept = size, 0, 0.0, 0.0, 0
        for predictor in self._predictors:
            whole = state_cost(predictor, size)
            for window in self._window_sizes or (None,):
                seen, anew = whole, 0.0
                if window is not None and window <= size:
                    seen = state_cost(predictor, window)
                    anew = seen.begin
                held += seen.held + _MEMBER_BYTES + 8 * learnt
                scratch = max(scratch, seen.scratch)
                step += seen.step + anew + _MEMBER_SECONDS
                begin += seen.begin + _MEMBER_SECONDS
                kept += seen.kept
        return StateCost(held, scratch, begin + learnt * step, step, kept)

    @property
    def parameter_count(self) -> int:
        return sum(parameter_count_of(predictor) for predictor in self._predictors)

    def lanes_of(self, payload: bytes, size: int) -> int | None:
        """Return 1 where a member has lanes, since members are asked for one byte at a time."""
        return 1 if any(has_lanes(predictor) for predictor in self._predictors) else None

    def lane_fingerprint(self, lanes: Sequence[int]) -> bytes:
        return b"".join(fingerprint_of(predictor, lanes) for predictor in self._predictors)

    def begin(self, context: Sequence[int] = ()) -> "EnsembleState":
        """Return the state after ``context``; if weights are learnt, its last ``memory`` bytes are read one by one."""
        context = bytes(as_context(context))
        learnt = 0
        if self.weights == "bayes":
            learnt = len(context) if self.memory is None else min(len(context), self.memory)
        start = context[: len(context) - learnt]
        states: list[PredictorState] = []
        for predictor in self._predictors:
            sizes = self._window_sizes
            states += [WindowedState(predictor, size, start) for size in sizes] if sizes else [predictor.begin(start)]
        state = EnsembleState(self, states)
        for symbol in context[len(start) :]:
            state.update(symbol)
        return state


class EnsembleState:
    """The members after a context, and the recent loss of each."""

    def __init__(self, ensemble: Ensemble, states: list[PredictorState]) -> None:
        self._ensemble = ensemble
        self._states = states
        self._losses = np.zeros(len(states), dtype=np.int64)
        self._recent: deque[IntArray] = deque()
        self._frequencies: IntArray | None = None

    def _current(self) -> IntArray:
        """Return the members' frequencies, int64 (members, 256); each row sums to 2^20."""
        if self._frequencies is None:
            self._frequencies = np.stack([_frequencies(state_cdf(state)) for state in self._states])
        return self._frequencies

    def member_shares(self) -> FloatArray:
        """Return the members' weights, float64 (members,), which sum to 1."""
        shares = shares_of_losses(self._losses)
        return np.asarray(shares / shares.sum())

    def cdf(self) -> IntArray:
        shares = shares_of_losses(self._losses)
        if self._ensemble.mean == "arithmetic":
            return cdf_from_weights(mixture(self._current(), shares))
        lengths = geometric_mean(self._current(), shares)
        if self._ensemble.mean == "product":
            lengths = lengths * len(shares)
        return cdf_from_weights(weights_of_code_lengths(lengths / UNIT))

    def code_lengths(self) -> FloatArray:
        return code_lengths_of_cdf(self.cdf())

    def update(self, symbol: int) -> None:
        symbol = as_symbol(symbol)
        if self._ensemble.weights == "bayes":
            self._learn(symbol)
        for state in self._states:
            state.update(symbol)
        self._frequencies = None

    def _learn(self, symbol: int) -> None:
        """Add each member's charge for ``symbol``, and subtract what leaves the memory: in integers, nothing drifts."""
        charged = (default_precision(256) << UNIT_BITS) - np.array(
            [log2_of(int(frequency)) for frequency in self._current()[:, symbol]], dtype=np.int64
        )
        self._losses = self._losses + charged
        memory = self._ensemble.memory
        if memory is None:
            return
        self._recent.append(charged)
        if len(self._recent) > memory:
            self._losses = self._losses - self._recent.popleft()

    def copy(self) -> Self:
        twin = type(self)(self._ensemble, [state.copy() for state in self._states])
        twin._losses = self._losses
        twin._recent = self._recent.copy()
        twin._frequencies = self._frequencies
        return twin


def _frequencies(cdf: IntArray) -> IntArray:
    """Return the frequencies of a cdf of any precision, scaled to sum to 2^20, none below 1: int64 (256,)."""
    frequencies = np.diff(cdf)
    shift = default_precision(256) - (int(cdf[-1]).bit_length() - 1)
    if shift < 0:
        return np.diff(cdf_from_weights(frequencies))
    return np.asarray(frequencies << shift)
