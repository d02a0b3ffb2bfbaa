"""Checkpoints: a folder with tensors and a record, either complete or absent; only the run that wrote it resumes."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from gencomp.errors import GencompError
from gencomp.places import open_regular

if TYPE_CHECKING:
    import torch

CHECKPOINT = "checkpoint"
STATE = "state.safetensors"
_ADAM = {"step", "exp_avg", "exp_avg_sq"}  # what the optimizer keeps of each weight
_MAX_RECORD = 1 << 28  # bytes


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

    Raises :class:`TrainingError` if there is none, if its run has another description, and if it is damaged.
    """
    recover(folder)
    if not folder.is_dir():
        raise TrainingError(f"there is no checkpoint to resume from in {folder}; start without resume=True")
    with damage_told(folder):
        with _open(folder / "state.json", _MAX_RECORD) as file:
            record = json.loads(file.read().decode())
        if not isinstance(record, dict):
            raise ValueError(f"state.json holds {type(record).__name__}, expected an object")
        for key, value in described.items():
            there = record[key]
            changed = [name for name in {**value, **there} if there.get(name) != value.get(name)]
            if changed:
                raise TrainingError(
                    f"the checkpoint is of another run, which differs in {', '.join(changed)}; give its options"
                )
        history, step = History(**record["history"]), record["step"]
        columns = (history.steps, history.training_loss, history.held_out_loss, history.seconds)
        is_one = _are_columns([*columns, *history.by_source.values()]) and type(step) is int
        if not is_one or history.steps[-1] != step or not 0 < step <= described["plan"]["steps"]:
            raise ValueError("its history is not that of its steps")
        return load_tensors(folder / STATE), step, history


def _are_columns(columns: list[Any]) -> bool:
    """Return whether ``columns`` are lists of numbers, equally long, and not empty."""
    if not all(isinstance(column, list) and len(column) == len(columns[0]) > 0 for column in columns):
        return False
    return all(type(number) in (int, float) for column in columns for number in column)


def load_tensors(path: Path) -> dict[str, "torch.Tensor"]:
    """Return the tensors of a .safetensors file; raise ``ValueError`` or ``OSError`` if it is none."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    with _open(path, 1 << 50):  # a device or a pipe would be waited for
        pass
    try:
        tensors: dict[str, torch.Tensor] = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path.name}: {' '.join(str(error).split())[:200]}") from None
    return tensors


def _open(path: Path, most: int) -> BinaryIO:
    return open_regular(path, most, TrainingError, "a file of a checkpoint")


@contextmanager
def damage_told(folder: Path) -> Iterator[None]:
    """Turn what wrong contents of a checkpoint raise, when they are read and taken up, into :class:`TrainingError`."""
    try:
        yield
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, RuntimeError) as error:
        if type(error).__name__ == "OutOfMemoryError":  # torch's
            raise
        said = " ".join(str(error).split())[:200]
        raise TrainingError(
            f"{folder} is damaged, so it cannot be gone on from: {type(error).__name__}: {said}; "
            "put a copy of it in its place, or start anew in another folder"
        ) from error


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
    states: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        kind, _, rest = name.partition(".")
        if kind == "optimizer":
            index, _, key = rest.partition(".")
            states.setdefault(int(index), {})[key] = tensor
    parameters: list[Any] = [weight for group in optimizer.param_groups for weight in group["params"]]
    if states.keys() != set(range(len(parameters))):
        raise ValueError(f"it has the optimizer's state of {len(states)} weights, expected {len(parameters)}")
    for place, weight in enumerate(parameters):
        if states[place].keys() != _ADAM:
            raise ValueError(f"the optimizer's state of weight {place} is {', '.join(sorted(states[place]))}")
        for key, tensor in states[place].items():
            if tensor.shape not in (weight.shape, ()):
                raise ValueError(f"the optimizer's {key} of weight {place} is {list(tensor.shape)}")
    optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})
