"""From a trained network to a file of integer weights, and the cost of rounding them."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from gencomp.inference.contexts import ByteArray, make_plan
from gencomp.inference.weights import quantise, save_weights
from gencomp.predictors.recurrent.predictor import Recurrent
from gencomp.training.checkpoint import History
from gencomp.training.recurrent.network import Network
from gencomp.training.recurrent.trainer import EVALUATION_CHUNK, RecurrentPlan, measure
from gencomp.training.trainer import RECORD

Floats = npt.NDArray[np.float32]

WEIGHTS = "model.safetensors"
# the matrices that write to the residual stream, and the largest weight that the kernel takes in any of them: that of a
# feed-forward part's second matrix (inference.weights)
_WRITERS = ("input.weight", ".out.weight", ".down.weight")
LARGEST_WRITER = 3.9
_CHUNKS = 32  # on which float and integer network are compared


def save_recurrent(
    network: Network, folder: Path, plan: RecurrentPlan, history: History, identity: Mapping[str, Any]
) -> str:
    """Write the integer weights, and ``training.json`` beside them; return the digest of the weights."""
    parameters = with_small_stream(network.parameters_by_name())
    digest = save_weights(folder / WEIGHTS, network.shape, quantise(parameters, network.shape), overwrite=True)
    record = {"plan": asdict(plan), "identity": dict(identity), "weights": digest, "history": asdict(history)}
    (folder / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="ascii")
    return digest


def with_small_stream(parameters: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return the parameters of a network that computes the same with a residual stream of smaller numbers.

    Whatever reads the stream norms it first, so all that writes to it may be divided by one power of two. The least is
    taken that brings the weights within the integer kernel's range.
    """
    written = {name: weight for name, weight in parameters.items() if name.endswith(_WRITERS)}
    largest = max(float(np.abs(weight).max()) for weight in written.values())
    power = max(0, math.ceil(math.log2(max(largest, LARGEST_WRITER) / LARGEST_WRITER)))
    return {**parameters, **{name: np.ldexp(weight, -power) for name, weight in written.items()}}


def cost_of_rounding(network: Network, path: Path, held_out: ByteArray) -> tuple[float, float]:
    """Return the bits per byte of the float network and of its integer file, on the same held-out chunks."""
    count = min(_CHUNKS, len(held_out) // EVALUATION_CHUNK)
    starts = np.linspace(0, len(held_out) - EVALUATION_CHUNK, count).astype(np.int64)
    network.float().cpu().eval()
    with torch.no_grad():
        exact = measure(network, held_out, starts, make_plan(network.shape.tables))
    chunks = [held_out[start : start + EVALUATION_CHUNK].tobytes() for start in starts]
    lengths = Recurrent(str(path)).sequence_code_lengths(chunks)
    return exact, sum(float(part.sum()) for part in lengths) / (EVALUATION_CHUNK * count)
