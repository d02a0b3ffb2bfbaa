"""From a trained network to a file of integer weights, and what rounding them cost."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gencomp.inference.contexts import ByteArray, make_plan
from gencomp.inference.weights import quantise, save_weights
from gencomp.predictors.recurrent.predictor import Recurrent
from gencomp.training.checkpoint import History
from gencomp.training.recurrent.network import Network
from gencomp.training.recurrent.trainer import EVALUATION_CHUNK, RecurrentPlan, measure
from gencomp.training.trainer import RECORD

WEIGHTS = "model.safetensors"
_CHUNKS = 32  # that the two are compared on


def save_recurrent(
    network: Network, folder: Path, plan: RecurrentPlan, history: History, identity: Mapping[str, Any]
) -> str:
    """Write the integer weights, and ``training.json`` beside; return the digest of the weights."""
    digest = save_weights(
        folder / WEIGHTS, network.shape, quantise(network.parameters_by_name(), network.shape), overwrite=True
    )
    record = {"plan": asdict(plan), "identity": dict(identity), "weights": digest, "history": asdict(history)}
    (folder / RECORD).write_text(json.dumps(record, indent=1) + "\n")
    return digest


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
