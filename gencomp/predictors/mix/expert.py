"""Another predictor as one more input of the mixers: its distribution over bytes, bit by bit.

The distribution enters as the integer cdf that the predictor would be coded with, so that encoder and decoder see the
same numbers wherever that predictor's own archives decode.
"""

import numpy as np
import numpy.typing as npt

from gencomp.compiled import lean_kernel
from gencomp.equivalence.capabilities import state_cdf
from gencomp.predictors.mix.contexts import LENGTH, ByteArray
from gencomp.predictors.mix.model import Model, run
from gencomp.predictors.mix.tables import STRETCH
from gencomp.protocols import IntArray, PredictorState


@lean_kernel
def fill_external(cdf: IntArray, external: npt.NDArray[np.int32]) -> None:
    """Write the stretched probability of a 1 at each node of the byte's tree of bits; ``cdf`` is (257,) int64."""
    for node in range(1, 256):
        first, size = node, 1
        while first < 128:
            first, size = 2 * first, 2 * size
        low = 2 * first - 256
        zeros, all_of_it = cdf[low + size] - cdf[low], cdf[low + 2 * size] - cdf[low]
        external[node] = STRETCH[min(4095, ((all_of_it - zeros) << 12) // all_of_it)]


def run_with(
    model: Model, history: ByteArray, stop: int, task: int, code: ByteArray, expert: PredictorState | None
) -> int:
    """Do as :func:`run`; ``expert`` predicts each byte first and reads it afterwards."""
    if expert is None:
        return int(run(model, history, stop, task, code))
    for end in range(int(model.registers[LENGTH]), stop):
        show(model, expert)
        if run(model, history, end + 1, task, code) <= end:
            return end
        expert.update(int(history[end]))
    return stop


def show(model: Model, expert: PredictorState | None) -> None:
    """Let the model see what ``expert`` predicts next."""
    if expert is not None:
        fill_external(state_cdf(expert), model.external)
