"""Another predictor as one more input of the mixers: its distribution over bytes, bit by bit.

The distribution enters as the integer cdf that the predictor would be coded with, so that encoder and decoder see the
same numbers wherever that predictor's own archives decode.
"""

import functools

import numpy as np
import numpy.typing as npt

from gencomp.coding.logistic import STRETCH
from gencomp.coding.quantize import cdf_from_code_lengths
from gencomp.compiled import lean_kernel
from gencomp.errors import SpecError
from gencomp.predictors.mix.contexts import LENGTH, ByteArray
from gencomp.predictors.mix.model import Model, run
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
        cdf = expert.cdf() if isinstance(expert, IntegerState) else cdf_from_code_lengths(expert.code_lengths())
        fill_external(cdf, model.external)
