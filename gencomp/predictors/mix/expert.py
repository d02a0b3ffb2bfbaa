"""Another predictor as one more input of the mixers: its distribution over bytes, bit by bit.

The distribution enters as the integer cdf that the predictor would be coded with, so that encoder and decoder see the
same numbers wherever that predictor's own archives decode.
"""

import functools

import numpy as np
import numpy.typing as npt

from gencomp.coding.logistic import SQUASH, SQUASH_LIMIT, STRETCH
from gencomp.coding.quantize import cdf_from_code_lengths
from gencomp.compiled import lean_kernel
from gencomp.errors import SpecError
from gencomp.inference.recurrent import Network, new_memory, step
from gencomp.predictors.mix.contexts import LENGTH, ByteArray
from gencomp.predictors.mix.model import GUIDE_CELLS, Guide, Model, run
from gencomp.protocols import IntArray, IntegerState, Predictor, PredictorState
from gencomp.registry import find_entry, load, parse_spec


def check_expert(spec: str) -> None:
    """Raise :class:`SpecError` unless ``spec`` names a predictor of this package.

    Archives name their experts, and an archive must not make anybody import another package.
    """
    entry = find_entry(parse_spec(spec).name)
    if entry.kind != "predictor" or entry.distribution != "gencomp":
        raise SpecError(f"an expert must be a predictor of gencomp, such as counts:3; {spec!r} is not")


@functools.lru_cache(maxsize=4)
def load_expert(spec: str) -> Predictor:
    """Return the predictor of ``spec``, the same object each time: it may hold large weights."""
    expert: Predictor = load(spec)
    if expert.alphabet_size != 256:
        raise SpecError(f"an expert must predict bytes; {spec!r} has {expert.alphabet_size} symbols")
    return expert


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


Companion = PredictorState | Guide | None
"""What predicts beside the contexts: another predictor, a network in the same compiled loop, or nothing."""


def run_with(model: Model, history: ByteArray, stop: int, task: int, code: ByteArray, companion: Companion) -> int:
    """Do as :func:`run`; a companion predicts each byte first and reads it afterwards."""
    if companion is None or isinstance(companion, Guide):
        return int(run(model, companion, history, stop, task, code))
    for end in range(int(model.registers[LENGTH]), stop):
        show(model, companion)
        if run(model, None, history, end + 1, task, code) <= end:
            return end
        companion.update(int(history[end]))
    return stop


def show(model: Model, companion: Companion) -> None:
    """Let the model see what another predictor expects next; a network is asked by the kernels themselves."""
    if companion is None or isinstance(companion, Guide):
        return
    cdf = companion.cdf() if isinstance(companion, IntegerState) else cdf_from_code_lengths(companion.code_lengths())
    fill_external(cdf, model.external)


def copied(companion: Companion) -> Companion:
    """Return a companion that goes on independently; a network's weights are shared."""
    if not isinstance(companion, Guide):
        return None if companion is None else companion.copy()
    memory = companion.memory._replace(**{name: part.copy() for name, part in companion.memory._asdict().items()})
    return companion._replace(memory=memory, trusts=companion.trusts.copy(), place=companion.place.copy())


def new_guide(network: Network) -> Guide:
    """Return a network that has read nothing."""
    memory = new_memory(network)
    step(network, memory, 0)
    curve = SQUASH[SQUASH_LIMIT - 2048 + 128 * np.arange(GUIDE_CELLS)]
    return Guide(network, memory, np.tile(curve, 256), np.zeros(1, dtype=np.int64))
