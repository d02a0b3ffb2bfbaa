"""The training loop of the recurrent network: streams go on from step to step, and the network's state with them.

Dense weights learn by Adam. A row of the tables learns by RMSProp, and only in the steps that use it: most steps use
few rows. Everything random is drawn from (seed, step), so a resumed run goes on as if it had never stopped.
"""

import json
import math
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch

from gencomp.inference.contexts import ByteArray, make_plan
from gencomp.protocols import IntArray
from gencomp.training.checkpoint import (
    CHECKPOINT,
    History,
    TrainingError,
    damage_told,
    load_checkpoint,
    load_optimizer,
    optimizer_tensors,
    save_checkpoint,
)
from gencomp.training.recurrent.network import Network, State, tree_loss
from gencomp.training.recurrent.streams import Sources, Streams, advance
from gencomp.training.trainer import Report, check_rates, check_seed, load_weights

EVALUATION_CHUNK = 2048  # bytes
_ROW_DECAY = 0.99  # of the mean square of a row's gradients
_READERS = 4  # threads that hash contexts for a GPU, which one thread could not keep busy
_REPORT_EVERY = 50  # steps between two looks at the loss on a GPU, since each look makes it wait


@dataclass(frozen=True)
class RecurrentPlan:
    """How to train: ``steps`` updates, each over the next ``length`` bytes of each of ``batch`` streams.

    Both learning rates rise over ``warm_up`` steps, and fall linearly to 0. At each step a share ``reset`` of the
    streams begins somewhere else, with an empty context. Gradients of dense weights are clipped to a norm of ``clip``.
    ``dtype`` is what matrices are multiplied in. Each evaluation takes ``evaluation_chunks`` chunks of 2048 bytes of
    each source's held-out part, each from an empty context.
    """

    steps: int
    batch: int = 16
    length: int = 256
    learning_rate: float = 2.5e-3
    table_learning_rate: float = 4e-3
    warm_up: int = 100
    reset: float = 0.1
    clip: float = 1.0
    seed: int = 0
    dtype: str = "float32"
    evaluate_every: int = 250
    evaluation_chunks: int = 64

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "evaluate_every", "evaluation_chunks"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.length < 2:
            raise ValueError(f"length must be at least 2, got {self.length}")
        check_rates(self, "learning_rate", "table_learning_rate", "clip")
        check_seed(self.seed)
        if not 0 <= self.reset <= 1:
            raise ValueError(f"reset must be from 0 to 1, got {self.reset}")
        if self.dtype not in ("float32", "bfloat16"):
            raise ValueError(f"dtype must be float32 or bfloat16, got {self.dtype!r}")

    def pace(self, step: int) -> float:
        """Return the factor of the learning rates at a step, 0 to steps - 1."""
        return min((step + 1) / (self.warm_up + 1), 1 - step / self.steps)


class RowOptimizer:
    """RMSProp (Tieleman and Hinton 2012) with bias correction, applied only to the tables' rows that are in use."""

    def __init__(self, tables: torch.nn.Parameter, *, compiled: bool) -> None:
        self.tables = tables
        self.squares = torch.zeros_like(tables)
        self.uses = torch.zeros(len(tables), 1, device=tables.device)
        self._update = torch.compile(_update_rows) if compiled else _update_rows

    def step(self, learning_rate: float) -> None:
        gradient = self.tables.grad
        assert gradient is not None
        with torch.no_grad():
            rate = torch.tensor(learning_rate, device=self.tables.device)
            self._update(self.tables, gradient, self.squares, self.uses, rate)

    def tensors(self) -> dict[str, torch.Tensor]:
        return {"rows.squares": self.squares, "rows.uses": self.uses}

    def load(self, tensors: Mapping[str, torch.Tensor]) -> None:
        self.squares.copy_(tensors["rows.squares"])
        self.uses.copy_(tensors["rows.uses"])


def _update_rows(
    weights: torch.Tensor, gradient: torch.Tensor, squares: torch.Tensor, uses: torch.Tensor, rate: torch.Tensor
) -> None:
    used = (gradient != 0).any(1, keepdim=True)
    uses.add_(used)
    squares.copy_(torch.where(used, _ROW_DECAY * squares + (1 - _ROW_DECAY) * gradient.square(), squares))
    mean_square = squares / (1 - _ROW_DECAY**uses).clamp_min(1e-6)
    weights.sub_(torch.where(used, rate * gradient / (mean_square.sqrt() + 1e-8), 0.0))


def train_recurrent(
    network: Network,
    sources: Sources,
    held_out: Mapping[str, ByteArray],
    plan: RecurrentPlan,
    folder: Path,
    *,
    device: str = "cpu",
    identity: Mapping[str, Any] | None = None,
    resume: bool = False,
    report: Report | None = None,
) -> History:
    """Train ``network`` in place; write a checkpoint to ``folder``/checkpoint at each evaluation; return the losses.

    ``held_out`` has, by name, a part of each source that is evaluated and never learnt from. The run's held-out loss is
    the mean of theirs, weighted by the sources' shares. ``identity`` says what run this is; with ``resume``, a
    checkpoint of the same plan and identity is continued. Raises :class:`TrainingError` if the checkpoint is of another
    run, or if the loss is not finite; ``ValueError`` if a source is shorter than ``length``, or a held-out part shorter
    than a chunk.
    """
    for name, part in held_out.items():
        if len(part) < EVALUATION_CHUNK:
            raise ValueError(f"the held-out part of {name} has {len(part):,} bytes; a chunk has {EVALUATION_CHUNK:,}")
    for first, end in zip(sources.bounds, sources.bounds[1:], strict=False):
        if end - first < plan.length:
            raise ValueError(f"a source has {end - first:,} bytes; a step takes {plan.length:,} of each stream")
    run = _Run(network, sources, plan, device)
    described = json.loads(json.dumps({"plan": asdict(plan), "identity": dict(identity or {})}))
    history, first = History(), 0
    if resume:
        tensors, first, history = load_checkpoint(folder / CHECKPOINT, described)
        with damage_told(folder / CHECKPOINT):
            run.load(tensors)
    start = time.monotonic() - (history.seconds[-1] if history.seconds else 0.0)
    total, count, shown = torch.zeros((), device=device), 0, math.nan
    with ThreadPoolExecutor(1) as reader:
        batch = reader.submit(run.read, first)
        for step in range(first, plan.steps):
            rows, targets, began = batch.result()
            done = step + 1
            evaluates = done % plan.evaluate_every == 0 or done == plan.steps
            if not evaluates:
                batch = reader.submit(run.read, done)
            total += run.learn(rows, targets, began, plan.pace(step))
            count += 1
            held_out_loss = None
            if evaluates or device == "cpu" or done % _REPORT_EVERY == 0:
                shown = float(total) / count / math.log(2)
                if not math.isfinite(shown):  # nothing is saved then: the last checkpoint stays good
                    raise TrainingError(
                        f"the loss is {shown} at step {done}; start again from the last checkpoint, in another folder, "
                        f"with a lower rate, such as learning_rate={plan.learning_rate / 2:g}"
                    )
            if evaluates:
                losses = {name: run.measure(part) for name, part in held_out.items()}
                held_out_loss = sum(map(lambda loss, share: loss * share, losses.values(), sources.shares))
                history.steps.append(done)
                history.training_loss.append(shown)
                history.held_out_loss.append(held_out_loss)
                history.seconds.append(time.monotonic() - start)
                for name, loss in losses.items():
                    history.by_source.setdefault(name, []).append(loss)
                save_checkpoint(folder / CHECKPOINT, run.tensors(), described, done, history)
                total.zero_()
                count = 0
                if done < plan.steps:
                    batch = reader.submit(run.read, done)
            if report is not None:
                report(done, shown, held_out_loss)
    return history


class _Run:
    """What changes while a network is trained: the network, its state, the streams, the optimizers."""

    def __init__(self, network: Network, sources: Sources, plan: RecurrentPlan, device: str) -> None:
        self.network = network.to(device).train()
        self.sources, self.plan, self.device = sources, plan, device
        self.tables = make_plan(network.shape.tables)
        self.on_gpu = torch.device(device).type == "cuda"
        self.streams = Streams.of(plan.batch)
        self.state: State = network.begin(plan.batch)
        self.optimizer = torch.optim.AdamW(
            network.dense(), lr=plan.learning_rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True
        )
        self.rows = RowOptimizer(network.tables, compiled=self.on_gpu)
        self.loss = cast(Any, torch.compile(self._loss, dynamic=False) if self.on_gpu else self._loss)

    def _loss(self, rows: torch.Tensor, targets: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        logits, after = self.network(rows, state)
        return tree_loss(logits.flatten(0, 1), targets.flatten()), after

    def read(self, step: int) -> tuple[torch.Tensor, torch.Tensor, npt.NDArray[np.bool_]]:
        """Return the next table rows (T, B, K), the bytes to predict (T, B), and which streams began anew, (B,)."""
        plan = self.plan
        began = advance(self.streams, self.sources, plan.length, reset=plan.reset, seed=plan.seed, step=step)
        rows, targets = self.streams.read(
            self.sources.data, self.tables, plan.length, threads=_READERS if self.on_gpu else 1
        )
        return self._placed(rows), self._placed(targets), began

    def _placed(self, array: npt.NDArray[Any]) -> torch.Tensor:
        tensor = torch.from_numpy(array)
        return tensor.pin_memory().to(self.device, non_blocking=True) if self.on_gpu else tensor

    def _precision(self) -> Any:
        kind = torch.device(self.device).type
        return torch.autocast(kind, dtype=torch.bfloat16, enabled=self.plan.dtype == "bfloat16")

    def learn(
        self, rows: torch.Tensor, targets: torch.Tensor, began: npt.NDArray[np.bool_], pace: float
    ) -> torch.Tensor:
        """Make one update; return the loss in nats per byte, still on the device."""
        kept = self._placed((~began).astype(np.float32))[:, None]
        state = [(h * kept, gates * kept, up * kept) for h, gates, up in self.state]
        with self._precision():
            loss, self.state = self.loss(rows, targets, state)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.dense(), self.plan.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.learning_rate * pace
        self.optimizer.step()
        self.rows.step(self.plan.table_learning_rate * pace)
        self.optimizer.zero_grad()
        self.network.tables.grad = None
        return cast(torch.Tensor, loss.detach())

    def measure(self, part: ByteArray) -> float:
        """Return bits per byte over chunks of a held-out part, each from an empty context."""
        count = min(self.plan.evaluation_chunks, len(part) // EVALUATION_CHUNK)
        starts = np.linspace(0, len(part) - EVALUATION_CHUNK, count).astype(np.int64)
        with torch.no_grad(), self._precision():
            return measure(self.network, part, starts, self.tables)

    def tensors(self) -> dict[str, torch.Tensor]:
        state = {
            f"state.{layer}.{index}": part for layer, parts in enumerate(self.state) for index, part in enumerate(parts)
        }
        streams = {f"streams.{name}": torch.from_numpy(_plain(value)) for name, value in vars(self.streams).items()}
        weights = {f"model.{name}": weight for name, weight in self.network.named_parameters()}
        return weights | optimizer_tensors(self.optimizer) | self.rows.tensors() | state | streams

    def load(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Take up the state that :meth:`tensors` gave; raise ``ValueError`` on what no run has written."""
        for name, own in self.tensors().items():
            found = tensors.get(name)
            kinds = [torch.float32, torch.bfloat16] if name.startswith("state.") else [own.dtype]
            if found is None or found.dtype not in kinds or found.shape != own.shape:
                is_there = "missing" if found is None else f"{found.dtype}{list(found.shape)}"
                raise ValueError(f"{name} is {is_there}, expected {own.dtype}{list(own.shape)}")
        load_weights(self.network, tensors)
        load_optimizer(self.optimizer, tensors)
        self.rows.load(tensors)
        self.state = [
            cast(Any, tuple(tensors[f"state.{layer}.{index}"].to(self.device) for index in range(len(parts))))
            for layer, parts in enumerate(self.state)
        ]
        for name, value in vars(self.streams).items():
            value[:] = tensors[f"streams.{name}"].numpy().view(value.dtype)
        _check_streams(self.streams, len(self.sources.data))


def _check_streams(streams: Streams, size: int) -> None:
    """Raise ``ValueError`` on places outside the data and on contexts that no bytes lead to."""
    if not ((streams.position >= 0) & (streams.position <= streams.end) & (streams.end <= size)).all():
        raise ValueError("a stream reads outside the data")
    _, word, previous, inside = streams.context.T
    if (word >> 32).any() or (previous >> 32).any() or (inside > 1).any():
        raise ValueError("a stream's context is out of bounds")


def _plain(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return ``array`` in a type that every version of torch and safetensors has: uint64 as int64."""
    return array.view(np.int64) if array.dtype == np.uint64 else array


def measure(network: Network, data: ByteArray, starts: IntArray | Sequence[int], tables: IntArray) -> float:
    """Return the bits per byte of the chunks of 2048 bytes at ``starts``, each from an empty context."""
    streams = Streams.of(len(starts))
    streams.position[:] = starts
    rows, targets = streams.read(data, tables, EVALUATION_CHUNK)
    device = network.tables.device
    logits, _ = network(torch.from_numpy(rows).to(device), network.begin(len(starts)))
    loss = tree_loss(logits.flatten(0, 1), torch.from_numpy(targets).to(device).flatten())
    return float(loss) / math.log(2)
