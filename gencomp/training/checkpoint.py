"""Checkpoints: a folder with tensors and a record, either complete or absent; only the run that wrote it resumes."""

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
    """A training run that cannot go on: its checkpoint is another run's, or its loss is not finite."""


@dataclass
class History:
    """A run's losses, in bits per byte, and the ``seconds`` spent training: an entry for each evaluation.

    ``by_source`` has each source's held-out losses, if there are several sources.
    """

    steps: list[int] = field(default_factory=list)
    training_loss: list[float] = field(default_factory=list)
    held_out_loss: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    by_source: dict[str, list[float]] = field(default_factory=dict)


def save_checkpoint(
    folder: Path, tensors: Mapping[str, "torch.Tensor"], described: Mapping[str, Any], step: int, history: History
) -> None:
    """Write ``tensors``, the run's description, and its progress into a new folder, which replaces ``folder``."""
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

    Raises :class:`TrainingError` if there is none, or if its run has another description.
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
                f"the checkpoint is of another run, which differs in {', '.join(changed)}; give its options"
            )
    return load_file(folder / STATE), int(record["step"]), History(**record["history"])


def recover(folder: Path) -> None:
    """Give the older checkpoint its name back if a run was killed between the two renames."""
    old = folder.with_name(folder.name + ".old")
    if old.is_dir() and not folder.exists():
        os.replace(old, folder)


def optimizer_tensors(optimizer: "torch.optim.Optimizer") -> dict[str, "torch.Tensor"]:
    """Return an optimizer's state as tensors by name."""
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
