"""The training loop: AdamW, warm-up and cosine decay, clipped gradients, a curriculum of lengths, checkpoints.

Everything random is drawn from (seed, step), so a resumed run goes on as if it had never stopped.
"""

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gencomp.training.architecture import START_OF_TEXT
from gencomp.training.checkpoint import (
    CHECKPOINT,
    STATE,
    History,
    TrainingError,
    damage_told,
    load_checkpoint,
    load_optimizer,
    load_tensors,
    optimizer_tensors,
    recover,
    save_checkpoint,
)
from gencomp.training.corpus import Corpus, held_out_sequences, sequences

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

RECORD = "training.json"


@dataclass(frozen=True)
class Plan:
    """How to train. Lengths and sizes are in symbols: bytes, or tokens of a BPE vocabulary.

    There are ``steps`` updates of ``step_symbols`` symbols each. ``curriculum`` pairs each sequence length with the
    share of the steps up to which it is used, ascending: short sequences come first, and cost less attention (Li et al.
    2022). The learning rate rises over ``warm_up`` steps, and falls to 0 along a cosine (Loshchilov and Hutter 2017).
    Gradients are clipped to a norm of ``clip``. ``dtype`` is what matrices are multiplied in: with ``bfloat16``,
    autocast does so, and weights stay float32.
    """

    steps: int
    step_symbols: int = 8192
    curriculum: tuple[tuple[int, float], ...] = ((2048, 1.0),)
    learning_rate: float = 4e-3
    warm_up: int = 100
    weight_decay: float = 0.1
    clip: float = 1.0
    seed: int = 0
    dtype: str = "float32"
    evaluate_every: int = 250
    evaluation_sequences: int = 32

    def __post_init__(self) -> None:
        for name in ("steps", "step_symbols", "evaluate_every", "evaluation_sequences"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        shares = [share for _, share in self.curriculum]
        if not shares or shares != sorted(set(shares)) or shares[0] <= 0 or shares[-1] != 1.0:
            raise ValueError(f"the curriculum's shares must ascend to 1, got {shares}")
        check_rates(self, "learning_rate", "clip")
        check_seed(self.seed)
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay must be 0 or more, got {self.weight_decay}")
        if any(not 2 <= length <= self.step_symbols for length, _ in self.curriculum):
            raise ValueError(f"sequence lengths must be from 2 to a step's {self.step_symbols} symbols")
        if self.dtype not in ("float32", "bfloat16"):
            raise ValueError(f"dtype must be float32 or bfloat16, got {self.dtype!r}")

    def length_at(self, step: int) -> int:
        """Return the sequence length of a step, 0 to steps - 1."""
        return next(length for length, share in self.curriculum if step < share * self.steps)

    def learning_rate_at(self, step: int) -> float:
        """Return the learning rate of a step, 0 to steps - 1."""
        rise = min(1.0, (step + 1) / (self.warm_up + 1))
        return self.learning_rate * rise * 0.5 * (1.0 + math.cos(math.pi * step / self.steps))


def check_rates(plan: object, *names: str) -> None:
    """Raise ``ValueError`` unless each named number of a plan is positive and finite."""
    for name in names:
        if not 0 < getattr(plan, name) < math.inf:
            raise ValueError(f"{name} must be a positive number, got {getattr(plan, name)}")


def check_seed(seed: int) -> None:
    """Raise ``ValueError`` on a seed that torch does not take."""
    if not 0 <= seed < 1 << 64:
        raise ValueError(f"seed must be from 0 to 2^64 - 1, got {seed}")


Report = Callable[[int, float, float | None], None]
"""Called after each step with its number, from 1; the mean training loss since the last evaluation; and the held-out
loss, or None if the step had no evaluation. Losses are in bits per byte."""


def train(
    model: "PreTrainedModel",
    corpus: Corpus,
    plan: Plan,
    folder: Path,
    *,
    device: str = "cpu",
    identity: Mapping[str, Any] | None = None,
    resume: bool = False,
    report: Report | None = None,
) -> History:
    """Train ``model`` in place; write a checkpoint to ``folder``/checkpoint at each evaluation; return the losses.

    ``identity`` says what run this is (data, architecture, vocabulary); with ``resume``, a checkpoint of the same plan
    and identity is continued. Raises :class:`TrainingError` if the checkpoint is of another run, or if a loss is not
    finite; ``ValueError`` if there are too few symbols for the curriculum.
    """
    import torch

    _check_lengths(corpus, plan)
    model.to(device).train()
    optimizer = _optimizer(model, plan)
    history, first = History(), 0
    described = json.loads(json.dumps({"plan": asdict(plan), "identity": dict(identity or {})}))
    if resume:
        tensors, first, history = load_checkpoint(folder / CHECKPOINT, described)
        with damage_told(folder / CHECKPOINT):
            load_weights(model, tensors)
            load_optimizer(optimizer, tensors)
    recent: list[float] = []
    start = time.monotonic() - (history.seconds[-1] if history.seconds else 0.0)
    for step in range(first, plan.steps):
        for group in optimizer.param_groups:
            group["lr"] = plan.learning_rate_at(step)
        length = plan.length_at(step)
        drawn = sequences(corpus.training, plan.step_symbols // length, length, seed=plan.seed, step=step)
        with _precision(device, plan.dtype):
            loss = mean_loss(model, torch.from_numpy(drawn).to(device))
        nats = float(loss.detach())
        _check_finite(nats, step, plan)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), plan.clip)
        optimizer.step()
        optimizer.zero_grad()
        recent.append(nats / math.log(2) * len(corpus.training) / corpus.training_bytes)
        done = step + 1
        held_out = None
        if done % plan.evaluate_every == 0 or done == plan.steps:
            held_out = held_out_loss(model, corpus, plan, device)
            _check_finite(held_out, step, plan)
            history.steps.append(done)
            history.training_loss.append(sum(recent) / len(recent))
            history.held_out_loss.append(held_out)
            history.seconds.append(time.monotonic() - start)
            recent.clear()
            tensors = {f"model.{name}": weight for name, weight in model.named_parameters()}
            save_checkpoint(folder / CHECKPOINT, tensors | optimizer_tensors(optimizer), described, done, history)
        if report is not None:
            report(done, history.training_loss[-1] if held_out is not None else sum(recent) / len(recent), held_out)
    return history


def _check_lengths(corpus: Corpus, plan: Plan) -> None:
    longest = max(length for length, _ in plan.curriculum)
    for part, symbols in (("part to learn from", corpus.training), ("held-out part", corpus.held_out)):
        if len(symbols) < longest:
            raise ValueError(f"the {part} has {len(symbols):,} symbols; a sequence of the curriculum has {longest:,}")


def _check_finite(loss: float, step: int, plan: Plan) -> None:
    if not math.isfinite(loss):  # nothing is saved then: the last checkpoint stays good
        raise TrainingError(
            f"the loss is {loss} at step {step + 1}; start again from the last checkpoint, in another folder, "
            f"with a lower rate, such as learning_rate={plan.learning_rate / 2:g}"
        )


def mean_loss(model: "PreTrainedModel", symbols: "torch.Tensor") -> "torch.Tensor":
    """Return the mean cross-entropy, in nats, of ``symbols``, int64 (n, length), each given those before it.

    The first is predicted from the start symbol alone, as when a chunk is coded.
    """
    import torch

    from gencomp.predictors.language.forward import whole_logits

    start = torch.full_like(symbols[:, :1], START_OF_TEXT)
    logits = whole_logits(model, torch.cat([start, symbols[:, :-1]], 1))
    return torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), symbols.flatten())


def held_out_loss(model: "PreTrainedModel", corpus: Corpus, plan: Plan, device: str) -> float:
    """Return the mean loss in bits per byte on held-out sequences of the curriculum's last length."""
    import torch

    length = plan.curriculum[-1][0]
    drawn = torch.from_numpy(held_out_sequences(corpus.held_out, plan.evaluation_sequences, length))
    batch = max(1, plan.step_symbols // length)
    model.eval()
    with torch.inference_mode(), _precision(device, plan.dtype):
        losses = [float(mean_loss(model, part.to(device))) * len(part) for part in drawn.split(batch)]
    model.train()
    nats_per_symbol = sum(losses) / len(drawn)
    return nats_per_symbol / math.log(2) * len(corpus.held_out) / corpus.held_out_bytes


def _precision(device: str, dtype: str) -> Any:
    import torch

    kind = torch.device(device).type
    return torch.autocast(kind, dtype=torch.bfloat16, enabled=dtype == "bfloat16")


def _optimizer(model: "PreTrainedModel", plan: Plan) -> "torch.optim.AdamW":
    """Return AdamW (Loshchilov and Hutter 2019), with weight decay for matrices alone."""
    import torch

    weights = [weight for weight in model.parameters() if weight.requires_grad]
    groups = [
        {"params": [weight for weight in weights if weight.ndim >= 2], "weight_decay": plan.weight_decay},
        {"params": [weight for weight in weights if weight.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=plan.learning_rate, betas=(0.9, 0.98), fused=True)


def begin_from(model: "torch.nn.Module", folder: Path, *, finished: str | None = "model.safetensors") -> None:
    """Give ``model`` the weights in ``folder``: a trained model's, or those of an interrupted run's checkpoint.

    ``finished`` is the trained model's file; None if that holds other numbers than those that are learnt. Raises
    :class:`TrainingError` if there are no weights, or if they are of another architecture.
    """
    import torch

    recover(folder / CHECKPOINT)
    stopped = folder / CHECKPOINT / STATE
    if finished is not None and (folder / finished).is_file():
        with damage_told(folder / finished):
            tensors, prefix = load_tensors(folder / finished), ""
    elif stopped.is_file():
        with damage_told(stopped):
            tensors, prefix = load_tensors(stopped), "model."
    else:
        either = "" if finished is None else f"neither {folder / finished} nor "
        raise TrainingError(f"there is {either or 'no '}{stopped} to begin from")
    with torch.no_grad():
        for name, weight in model.named_parameters():
            found = tensors.get(prefix + name)
            if found is None or found.shape != weight.shape:
                shape = "none" if found is None else tuple(found.shape)
                raise TrainingError(
                    f"{folder} is of another architecture: {name} is {shape} there, {tuple(weight.shape)} here"
                )
            weight.copy_(found)


def load_weights(model: "torch.nn.Module", tensors: Mapping[str, "torch.Tensor"]) -> None:
    """Give ``model`` the weights of a checkpoint's tensors."""
    import torch

    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(tensors[f"model.{name}"].view(weight.shape))  # copy_ alone would repeat a smaller one
