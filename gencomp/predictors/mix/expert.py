"""Another predictor as one more input of the mixers: its distribution of the next byte, bit by bit.

The distribution is taken as the integer cdf that the predictor's own archives are coded with, so encoder and decoder
see the same numbers wherever those archives decode.
"""

import numpy as np
import numpy.typing as npt

from gencomp.coding.logistic import SQUASH, SQUASH_LIMIT, STRETCH
from gencomp.compiled import lean_kernel
from gencomp.equivalence.capabilities import state_cdf
from gencomp.inference.recurrent import Network, new_memory, step
from gencomp.predictors.mix.contexts import LENGTH, ByteArray
from gencomp.predictors.mix.model import (
    DOUBT_BYTES,
    FIRST_ERROR,
    GUIDE_CELLS,
    LATE_ERROR,
    NUM_DOUBTS,
    Guide,
    Model,
    run,
)
from gencomp.protocols import IntArray, PredictorState


@lean_kernel
def fill_external(cdf: IntArray, external: npt.NDArray[np.int32]) -> None:
    """Write the stretched probability of a 1 at each node of the byte's tree of bits; ``cdf`` is int64 (257,)."""
    for node in range(1, 256):
        first, size = node, 1
        while first < 128:
            first, size = 2 * first, 2 * size
        low = 2 * first - 256
        zeros, all_of_it = cdf[low + size] - cdf[low], cdf[low + 2 * size] - cdf[low]
        external[node] = STRETCH[min(4095, ((all_of_it - zeros) << 12) // all_of_it)]


Companion = PredictorState | Guide | None
"""What predicts beside the contexts: another predictor, a network within the compiled loop, or nothing."""


def run_with(model: Model, history: ByteArray, stop: int, task: int, code: ByteArray, companion: Companion) -> int:
    """Do as :func:`run`; the companion predicts each byte, and reads it afterwards."""
    if companion is None or isinstance(companion, Guide):
        return int(run(model, companion, history, stop, task, code))
    for end in range(int(model.registers[LENGTH]), stop):
        show(model, companion)
        if run(model, None, history, end + 1, task, code) <= end:
            return end
        companion.update(int(history[end]))
    return stop


def show(model: Model, companion: Companion) -> None:
    """Give the model another predictor's distribution of the next byte; a network is run by the kernels themselves."""
    if companion is None or isinstance(companion, Guide):
        return
    fill_external(state_cdf(companion), model.external)


def copied(companion: Companion) -> Companion:
    """Return an independent copy of a companion; a network's weights are shared."""
    if not isinstance(companion, Guide):
        return None if companion is None else companion.copy()
    memory = companion.memory._replace(**{name: part.copy() for name, part in companion.memory._asdict().items()})
    own = {name: getattr(companion, name).copy() for name in ("trusts", "doubts", "place")}
    return companion._replace(memory=memory, **own)


def new_guide(network: Network) -> Guide:
    """Return a guide whose network has read nothing."""
    memory = new_memory(network)
    step(network, memory, 0)
    curve = SQUASH[SQUASH_LIMIT - 2048 + 128 * np.arange(GUIDE_CELLS)]
    doubts = np.zeros(NUM_DOUBTS, dtype=np.int64)
    doubts[LATE_ERROR] = FIRST_ERROR
    return Guide(network, memory, np.tile(curve, 256), doubts, np.zeros(1, dtype=np.int64))


def check_doubts(guide: Guide) -> None:
    """Raise ``ValueError`` unless ``guide.doubts`` are possible at the end of a byte."""
    error, late, judged, doubted = (int(number) for number in guide.doubts)
    if error or not 0 <= late <= 8 << 16 or not 0 <= judged <= DOUBT_BYTES or doubted not in (0, 1):
        raise ValueError("its doubts are out of bounds")
