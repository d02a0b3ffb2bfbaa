"""Constant tables of the model: the automaton of bit histories, and adaptation rates. Integers only.

**Bit histories.** A byte, the state, remembers the bits that followed a context:

- up to ``EXACT_BITS`` bits, their exact sequence;
- after that, (zeros, ones, last bit). A bit raises its own count, and lowers the other to 2 + (count - 2) / 3 if that
  is above 2, since what contradicts the present is probably out of date;
- ``COUNT_LIMITS[k]`` is the largest count beside k opposite bits, so that all states fit a byte. A state beyond it is
  brought back by lowering the opposite count, then the bit's own.

States are numbered by their total count, so a slot's first state is its priority when slots compete for space.
Nonstationary bit histories with adaptive maps are Mahoney's idea ("Data Compression Explained", section 4.1.3); this
automaton is derived here.
"""

import numpy as np
import numpy.typing as npt

EXACT_BITS = 4
COUNT_LIMITS = (42, 26, 13, 8, 6, 5)
COUNTER_STEPS = 1024

State = tuple[tuple[int, ...], int, int, int]  # exact history or (), zeros, ones, last bit


def _discounted(count: int) -> int:
    return count if count <= 2 else 2 + (count - 2) // 3


def _successor(state: State, bit: int) -> State:
    """Return the state after ``bit``, its counts lowered to their limits."""
    history, zeros, ones, _ = state
    if zeros + ones < EXACT_BITS:
        return (*history, bit), zeros + (bit == 0), ones + (bit == 1), bit
    own, other = (ones, _discounted(zeros)) if bit else (zeros, _discounted(ones))
    own += 1
    other = min(other, len(COUNT_LIMITS) - 1) if own >= len(COUNT_LIMITS) else other
    while max(own, other) > COUNT_LIMITS[min(own, other)]:
        own, other = (own - 1, other) if own >= other else (own, other - 1)
    return (), (other if bit else own), (own if bit else other), bit


def _automaton() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint32]]:
    """Return next[2 * state + bit], and each state's first counter, which says (ones + 1/2) / (zeros + ones + 1)."""
    start: State = ((), 0, 0, 0)
    seen, todo = {start}, [start]
    while todo:
        state = todo.pop()
        reached = {_successor(state, 0), _successor(state, 1)} - seen
        seen |= reached
        todo += sorted(reached)
    states = sorted(seen, key=lambda state: (state[1] + state[2], state))
    number = {state: index for index, state in enumerate(states)}
    successors = [number[_successor(state, bit)] for state in states for bit in (0, 1)]
    first = [(((2 * ones + 1) << 21) // (zeros + ones + 1)) << 10 for _, zeros, ones, _ in states]
    padding = 256 - len(states)
    return (
        np.array(successors + [0] * (2 * padding), dtype=np.uint8),
        np.array(first + [1 << 31] * padding, dtype=np.uint32),
    )


NEXT, FIRST_COUNTERS = _automaton()
# a counter's rate after n observations: 1 / (n + 1.5) in units of 2^-16
RATES = np.array([65536 * 2 // (2 * n + 3) for n in range(COUNTER_STEPS)], dtype=np.uint16)
