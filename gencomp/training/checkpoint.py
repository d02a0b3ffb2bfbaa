"""Checkpoints: a folder with tensors and a record, whole or not there, taken up only by the run that wrote it."""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gencomp.errors import GencompError

if TYPE_CHECKING:
    import torch

CHECKPOINT = "checkpoint"
STATE = "state.safetensors"


class TrainingError(GencompError):
    """A training run that cannot go on: another run's checkpoint, or a loss that is no number."""


@dataclass
class History:
    """What a run has seen: one entry an evaluation. Losses are in bits per byte, ``seconds`` are spent training.

    ``by_source`` are held-out losses of each source, where there are several.
    """

    steps: list[int] = field(default_factory=list)
    training_loss: list[float] = field(default_factory=list)
    held_out_loss: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    by_source: dict[str, list[float]] = field(default_factory=dict)


def save_checkpoint(
    folder: Path, tensors: Mapping[str, "torch.Tensor"], described: Mapping[str, Any], step: int, history: History
) -> None:
    """Write ``tensors``, what describes the run, and how far it is: a new folder takes the old one's name."""
    from safetensors.torch import save_file

    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".checkpoint.", dir=folder.parent))
    try:
        save_file({name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}, temporary / STATE)
        record = dict(described) | {"step": step, "history": asdict(history)}
        (temporary / "state.json").write_text(json.dumps(record))
        old = folder.with_name(folder.name + ".old")
        if folder.exists():
            os.replace(folder, old)
        os.replace(temporary, folder)
        shutil.rmtree(old, ignore_errors=True)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def load_checkpoint(folder: Path, described: Mapping[str, Any]) -> tuple[dict[str, "torch.Tensor"], int, History]:
    """Return the tensors, the steps done and the history of a checkpoint.

    Raises :class:`TrainingError` where there is none, or it is of a run that is described otherwise.
    """
    from safetensors.torch import load_file

    recover(folder)
    if not (folder / "state.json").is_file():
        raise TrainingError(f"there is no checkpoint to resume from in {folder}; start without resume=True")
    record = json.loads((folder / "state.json").read_text())
    for key, value in described.items():
        if record[key] != value:
            changed = [name for name in value if record[key].get(name) != value[name]]
            raise TrainingError(
                f"the checkpoint is of another run: its {', '.join(changed)} differ; give the options it began with"
            )
    return load_file(folder / STATE), int(record["step"]), History(**record["history"])


def recover(folder: Path) -> None:
    """Give the older checkpoint its name back where a run was killed between two renames."""
    old = folder.with_name(folder.name + ".old")
    if old.is_dir() and not folder.exists():
        os.replace(old, folder)


def optimizer_tensors(optimizer: "torch.optim.Optimizer") -> dict[str, "torch.Tensor"]:
    """Return an optimizer's state, one tensor a name."""
    return {
        f"optimizer.{index}.{key}": value
        for index, state in optimizer.state_dict()["state"].items()
        for key, value in state.items()
    }


def load_optimizer(optimizer: "torch.optim.Optimizer", tensors: Mapping[str, "torch.Tensor"]) -> None:
    """Take up the state that :func:`optimizer_tensors` gave."""
    states: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        kind, _, rest = name.partition(".")
        if kind == "optimizer":
            index, _, key = rest.partition(".")
            states.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})
