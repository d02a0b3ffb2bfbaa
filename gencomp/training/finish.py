"""From a trained model to an ordinary model folder: weights as safetensors, tokenizer, record, loss curve."""

import json
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gencomp.files import new_name
from gencomp.labels import plot_label
from gencomp.training.checkpoint import History
from gencomp.training.trainer import RECORD, Plan

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


LOSS_CURVE = "loss.png"
# the files that are written into a model's folder
OUTPUTS = (
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    RECORD,
    LOSS_CURVE,
)


def save_model(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerFast",
    folder: Path,
    plan: Plan,
    history: History,
    identity: dict[str, Any],
    *,
    dtype: str = "float16",
) -> None:
    """Write a folder that ``AutoModelForCausalLM`` and ``AutoTokenizer`` load, and ``training.json`` into it.

    Weights are stored as ``dtype``; the paper counts float16's two bytes a parameter.
    """
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    model.to("cpu", getattr(torch, dtype)).eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    record = {"plan": asdict(plan), "identity": identity, "history": asdict(history)}
    (folder / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="ascii")


def draw_loss_curve(history: History, path: Path, title: str) -> None:
    """Draw training and held-out loss in bits per byte over the steps, as PNG. Needs the extra ``report``."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot(history.steps, history.training_loss, label="training", color="0.6")
    axes.plot(history.steps, history.held_out_loss, label="held out", color="C0")
    last = history.held_out_loss[-1]
    axes.annotate(f"{last:.3f}", (history.steps[-1], last), xytext=(-4, 8), textcoords="offset points", ha="right")
    losses = history.training_loss + history.held_out_loss
    limits = (0.95 * min(losses), min(5.0, 1.05 * max(losses)))
    axes.set(xlabel="step", ylabel="bits/byte", title=plot_label(title), ylim=limits)
    axes.grid(alpha=0.3)
    axes.legend()
    with new_name(path, overwrite=True) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about letters that the font lacks
        figure.savefig(temporary, format="png", dpi=120)
