"""States of a predictor along texts that are edited: what has been read once is not read again."""

import threading
from collections import OrderedDict

from gencomp.arguments import as_bytes
from gencomp.equivalence.capabilities import state_cost
from gencomp.protocols import Predictor, PredictorState

SPACING = 256  # bytes
MEMORY = 1 << 28  # bytes
_MOST = 320  # states: somewhat more than a text on the page has marks
_SMALL = 1 << 18  # bytes of a state that is copied in no time
_LEAST_BYTES = 1 << 16  # that any state counts for, even if it declares less
_FAR = 4 * SPACING  # bytes; a state that is farther behind takes longer than a new one


class Checkpoints:
    """States of ``predictor`` after prefixes of the texts that were asked for, in ``memory`` bytes at most.

    A state is made from the longest prefix at hand. Several threads may use it at once.
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
        """Return a state after ``context``, which the caller may move on."""
        context = as_bytes(context, "the context")
        state, reached = self._nearest(context)
        mark = len(context) // SPACING * SPACING
        if state is None or mark - reached > _FAR:
            state, reached = self._predictor.begin(context[:mark]), mark
            self.keep(context[:mark], state)
        for place in range(reached, len(context)):
            state.update(context[place])
            if place + 1 == mark:
                self.keep(context[:mark], state)
        return state

    def _nearest(self, context: bytes) -> tuple[PredictorState | None, int]:
        """Return a copy of the state after the longest kept prefix of ``context``, and the prefix's length."""
        with self._lock:
            best = max((key for key in self._states if context.startswith(key)), key=len, default=None)
            if best is None:
                return None, 0
            self._states.move_to_end(best)
            return self._states[best].copy(), len(best)

    @property
    def are_small(self) -> bool:
        """Whether a state is small enough to be kept every 256 bytes while a text is read."""
        return 0 < state_cost(self._predictor, SPACING).held <= _SMALL

    def keep(self, context: bytes, state: PredictorState) -> None:
        """Keep a copy of ``state``, which has read ``context``, unless it is too large."""
        size = max(_LEAST_BYTES, state_cost(self._predictor, len(context)).held)
        with self._lock:
            if context in self._states or size > self._memory:
                return
            self._states[context], self._sizes[context] = state.copy(), size
            while len(self._states) > _MOST or sum(self._sizes.values()) > self._memory:
                oldest, _ = self._states.popitem(last=False)
                del self._sizes[oldest]
