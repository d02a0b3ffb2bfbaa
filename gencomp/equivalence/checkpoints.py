"""States of a predictor along texts that are edited: what has been read once is not read again."""

import threading
from collections import OrderedDict

from gencomp.arguments import as_bytes
from gencomp.equivalence.capabilities import state_cost
from gencomp.protocols import Predictor, PredictorState

SPACING = 256  # bytes
MEMORY = 1 << 28
_MOST = 64  # states
_LEAST_BYTES = 1 << 16  # that a state counts for, where it says less of itself
_FAR = 4 * SPACING  # from here on a new state is quicker than byte by byte


class Checkpoints:
    """States of ``predictor`` after prefixes of the texts that were asked for, in ``memory`` bytes at most.

    The state that is asked for is made from the longest prefix at hand. May be used by several threads.
    """

    def __init__(self, predictor: Predictor, *, memory: int = MEMORY) -> None:
        self._predictor = predictor
        self._memory = memory
        self._states: OrderedDict[bytes, PredictorState] = OrderedDict()
        self._sizes: dict[bytes, int] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._states)

    def at(self, context: bytes) -> PredictorState:
        """Return a state after ``context``, which is the caller's to move on."""
        context = as_bytes(context, "the context")
        state, reached = self._nearest(context)
        mark = len(context) // SPACING * SPACING
        if state is None or mark - reached > _FAR:
            state, reached = self._predictor.begin(context[:mark]), mark
            self._keep(context[:mark], state)
        for place in range(reached, len(context)):
            state.update(context[place])
            if place + 1 == mark:
                self._keep(context[:mark], state)
        return state

    def _nearest(self, context: bytes) -> tuple[PredictorState | None, int]:
        """Return a copy of the state after the longest prefix of ``context`` that is kept, and its length."""
        with self._lock:
            best = max((key for key in self._states if context.startswith(key)), key=len, default=None)
            if best is None:
                return None, 0
            self._states.move_to_end(best)
            return self._states[best].copy(), len(best)

    def _keep(self, context: bytes, state: PredictorState) -> None:
        size = max(_LEAST_BYTES, state_cost(self._predictor, len(context)).held)
        with self._lock:
            if context in self._states or size > self._memory:
                return
            self._states[context], self._sizes[context] = state.copy(), size
            while len(self._states) > _MOST or sum(self._sizes.values()) > self._memory:
                oldest, _ = self._states.popitem(last=False)
                del self._sizes[oldest]
