"""Training the recurrent network: its gradients are right, it learns, it stops and goes on to the same weights."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gencomp.cli.main import run
from gencomp.data import alice
from gencomp.inference.contexts import context_rows, make_plan, new_context
from gencomp.inference.recurrent import NODES, Shape
from gencomp.inference.weights import load_weights
from gencomp.predictors.recurrent.predictor import Recurrent
from gencomp.training.checkpoint import STATE, History, TrainingError
from gencomp.training.recurrent.streams import Sources, Streams, advance
from tests.heavy import WhenUsed, safetensors, torch

networks = WhenUsed("gencomp.training.recurrent.network")
scan = WhenUsed("gencomp.training.recurrent.scan")
trainer = WhenUsed("gencomp.training.recurrent.trainer")
finish = WhenUsed("gencomp.training.recurrent.finish")

TINY = Shape(
    width=32,
    hidden=32,
    feed_forward=64,
    layers=2,
    embedding=16,
    tables=(("order1", 256), ("order2", 300), ("order3", 500), ("word", 400)),
)
Damage = Callable[[Path], object]
PLAN: dict[str, Any] = {
    "steps": 8,
    "batch": 4,
    "length": 32,
    "warm_up": 2,
    "evaluate_every": 4,
    "evaluation_chunks": 2,
}


def plan_with(**changes: Any) -> trainer.RecurrentPlan:
    return trainer.RecurrentPlan(**PLAN | changes)


def plain_scan(gates: torch.Tensor, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what gated_scan returns, step by step, for autograd to differentiate."""

    def q(x: torch.Tensor) -> torch.Tensor:
        t = (x / 4).clamp(-1, 1)
        return 0.5 + 0.5 * t * (2 - t.abs())

    outputs = []
    for step in gates:
        z, f, o = step.chunk(3, dim=1)
        z = z.clamp(-64, 64)
        h = z + q(f) * (h - z)
        outputs.append((h * q(o)).clamp(-16, 16))
    return torch.stack(outputs), h


def test_the_scan_and_its_gradient() -> None:
    generator = torch.Generator().manual_seed(1)
    gates = torch.randn(11, 5, 3 * 7, generator=generator) * 3
    gates[3, 1, :4], gates[4, 1, 14:18] = 80.0, 9.0  # beyond the clamps of candidates and outputs
    start, weights = torch.randn(5, 7, generator=generator), torch.randn(11, 5, 7, generator=generator)
    found, expected = gates.clone().requires_grad_(), gates.clone().requires_grad_()
    y, last = scan.gated_scan(found, start)
    plain, plain_last = plain_scan(expected, start)
    torch.testing.assert_close(y, plain)
    torch.testing.assert_close(last, plain_last)
    (y * weights).sum().backward()
    (plain * weights).sum().backward()
    assert found.grad is not None
    torch.testing.assert_close(found.grad, expected.grad)
    assert (y.detach().abs() == 16).any()


def test_pieces_are_the_whole() -> None:
    network = networks.Network(TINY, seed=2)
    data = np.random.default_rng(0).integers(0, 256, (40, 3)).astype(np.uint8)
    plan = make_plan(TINY.tables)
    rows = torch.from_numpy(np.stack([context_rows(column, new_context(), plan) for column in data.T], axis=1))
    whole, _ = network(rows, network.begin(3))
    first, state = network(rows[:17], network.begin(3))
    second, _ = network(rows[17:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole, rtol=1e-4, atol=1e-5)


def test_the_tree_is_a_distribution() -> None:
    logits = torch.randn(1, NODES, generator=torch.Generator().manual_seed(0))
    nats = [float(networks.tree_loss(logits, torch.tensor([byte]))) for byte in range(256)]
    assert sum(math.exp(-loss) for loss in nats) == pytest.approx(1.0, abs=1e-5)
    by_hand = 0.0  # of 0b10000000: a 1 at node 1, then zeros at 3, 6, 12, ..., 192
    for node, bit in [(1, 1), *((3 << depth, 0) for depth in range(7))]:
        by_hand -= float(torch.nn.functional.logsigmoid(logits[0, node] * (1 if bit else -1)))
    assert nats[128] == pytest.approx(by_hand, abs=1e-5)


def test_tables_are_learnt_as_they_are_stored() -> None:
    tables = (torch.randn(50, 16, generator=torch.Generator().manual_seed(0)) * 0.1).requires_grad_()
    rounded = networks.quantised(tables)
    for row in rounded.detach():
        scale = float(row.abs().max()) / 7
        code = 8 * math.log2(scale) if scale else 0.0
        if abs(code - round(code)) < 1e-3:  # the largest number is 7 times the scale
            assert (row / scale - torch.round(row / scale)).abs().max() < 1e-4
    assert (rounded - tables).abs().max() < 0.1 * tables.abs().max()
    rounded.sum().backward()
    assert tables.grad is not None
    assert (tables.grad == 1).all()


def test_streams_read_on() -> None:
    data = np.random.default_rng(3).integers(0, 256, 400).astype(np.uint8)
    sources, plan = Sources.of([data[:250], data[250:]], [3, 1]), make_plan(TINY.tables)
    streams = Streams.of(2)
    began = advance(streams, sources, 40, reset=0.0, seed=1, step=0)
    assert began.all()
    starts = streams.position.copy()
    read = [streams.read(data, plan, 20, threads=threads) for threads in (1, 2)]
    for row, start in enumerate(starts):
        targets = np.concatenate([targets[:, row] for _, targets in read])
        assert (targets == data[start : start + 40]).all()
        seen = np.concatenate([[0], targets[:-1]]).astype(np.uint8)
        rows = np.concatenate([rows[:, row] for rows, _ in read])
        assert (rows == context_rows(seen, new_context(), plan)).all()
    for step in range(1, 200):
        advance(streams, sources, 40, reset=0.5, seed=1, step=step)
        for position, end in zip(streams.position, streams.end, strict=True):
            assert (0 <= position <= 210 and end == 250) or (250 <= position <= 360 and end == 400)
        streams.read(data, plan, 40)


def test_shares_are_kept() -> None:
    sources = Sources.of([b"a" * 50, b"b" * 50], [9, 1])
    streams = Streams.of(2000)
    advance(streams, sources, 10, reset=1.0, seed=0, step=0)
    assert 0.06 < (streams.position >= 50).mean() < 0.14
    assert Sources.of([b"a" * 30, b"b" * 10]).shares == (0.75, 0.25)
    for shares in ([1.0], [1.0, 0.0], [1.0, math.nan]):
        with pytest.raises(ValueError, match="shares must be 2 positive numbers"):
            Sources.of([b"a", b"b"], shares)
    with pytest.raises(ValueError, match="a source is empty"):
        Sources.of([b"a", b""])


def test_the_loss_falls(wiki: bytes, tmp_path: Path) -> None:
    sources = Sources.of([wiki[:-3000]])
    held_out = {"wiki": np.frombuffer(wiki[-3000:], np.uint8)}
    plan = plan_with(steps=60, batch=8, evaluate_every=30, learning_rate=5e-3, table_learning_rate=1e-2)
    history = trainer.train_recurrent(networks.Network(TINY), sources, held_out, plan, tmp_path)
    assert history.steps == [30, 60]
    assert history.held_out_loss[-1] < history.held_out_loss[0]
    assert history.held_out_loss[-1] < 5.2
    assert history.held_out_loss == pytest.approx(history.by_source["wiki"])


@pytest.mark.thorough
def test_matrices_in_bfloat16_are_learnt_on_a_cpu_too(wiki: bytes, tmp_path: Path) -> None:
    sources, held_out = Sources.of([wiki[:2000]]), {"wiki": np.frombuffer(wiki[2000:], np.uint8)}
    losses = []
    for dtype in ("float32", "bfloat16"):
        plan = plan_with(dtype=dtype)
        losses += trainer.train_recurrent(
            networks.Network(TINY, seed=3), sources, held_out, plan, tmp_path / dtype
        ).held_out_loss[-1:]
    assert losses[0] != losses[1] == pytest.approx(losses[0], rel=0.02)


def test_a_run_that_is_resumed_ends_as_if_it_had_not_stopped(wiki: bytes, tmp_path: Path) -> None:
    sources = Sources.of([wiki[:1000], wiki[1000:-2048]])
    held_out = {name: np.frombuffer(wiki[-2048:], np.uint8) for name in ("a", "b")}
    whole = networks.Network(TINY, seed=3)
    history = trainer.train_recurrent(whole, sources, held_out, plan_with(), tmp_path / "whole")

    def stop(step: int, loss: float, held: float | None) -> None:
        if step == 6:  # two steps after the checkpoint
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer.train_recurrent(
            networks.Network(TINY, seed=3), sources, held_out, plan_with(), tmp_path / "part", report=stop
        )
    resumed = networks.Network(TINY, seed=4)
    again = trainer.train_recurrent(resumed, sources, held_out, plan_with(), tmp_path / "part", resume=True)
    assert again.held_out_loss == history.held_out_loss
    assert again.training_loss == history.training_loss
    for (name, weight), other in zip(whole.named_parameters(), resumed.parameters(), strict=True):
        assert torch.equal(weight, other), name
    with pytest.raises(TrainingError, match="of another run, which differs in steps;"):
        other_plan = plan_with(steps=9)
        trainer.train_recurrent(resumed, sources, held_out, other_plan, tmp_path / "part", resume=True)


def record(**changed: object) -> Damage:
    """Return what changes a checkpoint's record."""

    def damage(checkpoint: Path) -> None:
        path = checkpoint / "state.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changed))

    return damage


def put(name: str, content: bytes) -> Damage:
    """Return what puts ``content`` in the place of a checkpoint's file."""
    return lambda checkpoint: (checkpoint / name).write_bytes(content)


def tensor(name: str, value: Callable[[torch.Tensor], torch.Tensor] | None) -> Damage:
    """Return what changes one tensor of a checkpoint, or takes it out."""

    def damage(checkpoint: Path) -> None:
        tensors = safetensors.load_file(checkpoint / STATE)
        before = tensors.pop(name)
        safetensors.save_file(
            tensors if value is None else tensors | {name: value(before).contiguous()}, checkpoint / STATE
        )

    return damage


def pipe(name: str) -> Damage:
    """Return what puts a pipe, which nobody writes to, in the place of a checkpoint's file."""

    def damage(checkpoint: Path) -> None:
        (checkpoint / name).unlink()
        os.mkfifo(checkpoint / name)

    return damage


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Sources, dict[str, np.ndarray]]:
    """A folder with a run's last checkpoint, and what the run learnt from."""
    folder, text = tmp_path_factory.mktemp("run"), alice()[:6000]
    sources, held_out = Sources.of([text[:3000]]), {"alice": np.frombuffer(text[3000:], np.uint8)}
    trainer.train_recurrent(networks.Network(TINY), sources, held_out, plan_with(), folder)
    return folder, sources, held_out


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (put("state.json", b""), "JSONDecodeError"),
        (put("state.json", b"\xff\xfe"), "UnicodeDecodeError"),
        (put("state.json", b"[" * 100_000), "RecursionError"),
        (put("state.json", b"[]"), "state.json holds list"),
        (put("state.json", b"{}"), "KeyError: 'plan'"),
        (record(plan=[]), "AttributeError|TypeError"),
        (record(step=True), "its history is not that of its steps"),
        (record(step=-1), "its history is not that of its steps"),
        (record(history={}), "its history is not that of its steps"),
        (record(history={"more": []}), "unexpected keyword argument"),
        (
            record(history={name: ["x"] for name in ("steps", "training_loss", "held_out_loss", "seconds")}),
            "its history",
        ),
        (pipe("state.json"), "state.json is a pipe, expected a file of a checkpoint"),
        (put(STATE, b""), "header too small"),
        (put(STATE, bytes(100)), "invalid JSON"),
        (pipe(STATE), "state.safetensors is a pipe, expected a file of a checkpoint"),
        (lambda checkpoint: (checkpoint / STATE).unlink(), "FileNotFoundError"),
        (tensor("model.tables", None), "model.tables is missing"),
        (tensor("model.head", lambda old: old[:1]), r"model.head is torch.float32\[1, 32\], expected"),
        (tensor("model.head", lambda old: old.long()), "model.head is torch.int64"),
        (tensor("optimizer.0.exp_avg", None), "the optimizer's state of weight 0 is exp_avg_sq, step"),
        (tensor("optimizer.0.exp_avg", lambda old: old[:1]), "the optimizer's exp_avg of weight 0 is"),
        (tensor("rows.uses", None), "rows.uses is missing"),
        (tensor("state.0.0", lambda old: old[:, :1]), "state.0.0 is torch.float32"),
        (tensor("streams.position", lambda old: old + (1 << 40)), "a stream reads outside the data"),
        (tensor("streams.position", lambda old: old - 10_000), "a stream reads outside the data"),
        (tensor("streams.end", lambda old: old + 10_000), "a stream reads outside the data"),
        (tensor("streams.context", lambda old: old.bitwise_or(1 << 40)), "a stream's context is out of bounds"),
    ],
)
@pytest.mark.every(3)
def test_a_damaged_checkpoint_is_told_in_one_line(
    damage: Damage, complaint: str, finished: tuple[Path, Sources, dict[str, np.ndarray]], tmp_path: Path
) -> None:
    folder, sources, held_out = finished
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    damage(tmp_path / "checkpoint")
    with pytest.raises(TrainingError, match=complaint) as caught:
        trainer.train_recurrent(networks.Network(TINY), sources, held_out, plan_with(), tmp_path, resume=True)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_trained_on_is_refused(wiki: bytes, tmp_path: Path) -> None:
    held_out = {"wiki": np.frombuffer(wiki[-3000:], np.uint8)}
    with pytest.raises(ValueError, match="a source has 31 bytes; a step takes 32"):
        trainer.train_recurrent(networks.Network(TINY), Sources.of([wiki[:31]]), held_out, plan_with(), tmp_path)
    with pytest.raises(ValueError, match="the held-out part of wiki has 9 bytes; a chunk has 2,048"):
        short = {"wiki": held_out["wiki"][:9]}
        trainer.train_recurrent(networks.Network(TINY), Sources.of([wiki]), short, plan_with(), tmp_path)
    broken = networks.Network(TINY)
    with torch.no_grad():
        broken.head_bias.fill_(math.nan)
    with pytest.raises(
        TrainingError,
        match="the loss is nan at step 1; start again from the last checkpoint",
    ):
        trainer.train_recurrent(broken, Sources.of([wiki]), held_out, plan_with(), tmp_path)
    assert not (tmp_path / "checkpoint").exists()
    for options, complaint in (
        ({"steps": 0}, "steps must be at least 1"),
        ({"length": 1}, "length must be at least 2"),
        ({"reset": 2.0}, "reset must be from 0 to 1"),
        ({"dtype": "int8"}, "dtype must be"),
        ({"seed": 1 << 64}, "seed must be from 0 to"),
        ({"learning_rate": 0.0}, "learning_rate must be a positive number, got 0.0"),
        ({"learning_rate": math.nan}, "learning_rate must be a positive number, got nan"),
        ({"table_learning_rate": -1.0}, "table_learning_rate must be a positive number, got -1.0"),
        ({"clip": math.inf}, "clip must be a positive number, got inf"),
    ):
        with pytest.raises(ValueError, match=complaint):
            plan_with(**options)  # type: ignore[arg-type]


def test_measuring_is_of_fresh_chunks(wiki: bytes) -> None:
    network, plan = networks.Network(TINY), make_plan(TINY.tables)
    data = np.frombuffer(wiki[:5000], np.uint8)
    with torch.no_grad():
        alone = [trainer.measure(network, data, [start], plan) for start in (0, 2500)]
        together = trainer.measure(network, data, [0, 2500], plan)
    assert together == pytest.approx(sum(alone) / 2, abs=1e-4)


@pytest.mark.thorough
def test_integers_cost_what_floats_do(wiki: bytes, tmp_path: Path) -> None:
    network = networks.Network(TINY, seed=5)
    held_out = np.frombuffer(wiki[-4096:], np.uint8)
    plan = plan_with(steps=30, batch=8, learning_rate=5e-3, table_learning_rate=1e-2)
    history = trainer.train_recurrent(network, Sources.of([wiki]), {"wiki": held_out}, plan, tmp_path)
    digest = finish.save_recurrent(network, tmp_path, plan, history, {})
    assert load_weights(tmp_path / finish.WEIGHTS).digest == digest
    exact, rounded = finish.cost_of_rounding(network, tmp_path / finish.WEIGHTS, held_out)
    assert exact < 6.0
    assert abs(rounded - exact) < 0.01


def test_a_network_whose_weights_grew_still_fits_the_kernel(wiki: bytes, tmp_path: Path) -> None:
    network = networks.Network(TINY, seed=5)
    held_out = np.frombuffer(wiki[-4096:], np.uint8)
    trainer.train_recurrent(network, Sources.of([wiki]), {"wiki": held_out}, plan_with(), tmp_path)
    with torch.no_grad():  # the stream's scale is free
        for weight in (network.input, *network.out, *network.down):
            weight *= 60.0 / network.down[0].abs().max()
        network.tables[5] = 9.0  # beyond what training lets tables say
    finish.save_recurrent(network, tmp_path, plan_with(), History(), {})
    exact, rounded = finish.cost_of_rounding(network, tmp_path / finish.WEIGHTS, held_out)
    assert abs(rounded - exact) < 0.01


def test_the_command(
    wiki: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gencomp.inference.recurrent.Shape", partial(Shape, tables=TINY.tables))  # small tables
    (tmp_path / "text").write_bytes(wiki)
    (tmp_path / "code").write_bytes(wiki[::-1])
    command = ["train", "--kind", "rnn", str(tmp_path / "text"), str(tmp_path / "code"), "--held-out", "2048"]
    command += ["--width", "32", "--layers", "1", "--feed-forward", "32", "--context", "32", "--step-symbols", "64"]
    command += ["--evaluate-every", "2", "--shares", "3,1", "-T", "1", "--steps"]
    assert run([*command, "2", "-o", str(tmp_path / "model")]) == 0
    assert "bits/byte in integers on text" in capsys.readouterr().err
    data = b"some bytes, \x00 and \xff"
    spec = f"rnn:{tmp_path / 'model' / finish.WEIGHTS}"
    recurrent = Recurrent(str(tmp_path / "model" / finish.WEIGHTS))
    assert recurrent.decode_block(recurrent.encode_block(data), len(data)) == data
    assert run(["score", "-m", spec, str(tmp_path / "text")]) == 0
    assert run([*command, "2", "-o", str(tmp_path / "model")]) == 2
    assert "holds a trained model" in capsys.readouterr().err
    assert run([*command, "3", "-o", str(tmp_path / "next"), "--from", str(tmp_path / "model")]) == 0
    for options, complaint in (
        (["--heads", "2"], "--heads is not for --kind rnn"),
        (["--shares", "1"], "shares must be 2 positive numbers"),
        (["--shares", "a,b"], "--shares must be NUMBER,..."),
        (["--step-symbols", "65"], "--step-symbols must be a multiple of the context's 32 bytes, got 65"),
        (["--context", "0"], "--context must be at least 2 bytes for an rnn, got 0"),
        (["--learning-rate", "0"], "learning_rate must be a positive number, got 0"),
        (["--table-learning-rate", "0"], "table_learning_rate must be a positive number, got 0"),
        (["--threads", "100000"], "--threads must be at most 256, got 100000"),
        (["--step-symbols", str(1 << 55)], "out of memory; try fewer --step-symbols"),
        (["--width", "33"], "width must be a multiple of"),
        (["--from", str(tmp_path)], "there is no "),
    ):
        assert run([*command, "2", "-o", str(tmp_path / "other"), *options]) in (1, 2), options
        assert complaint in capsys.readouterr().err
    assert run(["train", str(tmp_path / "text"), "-o", str(tmp_path / "other"), "--shares", "1"]) == 2
    assert "--shares is not for --kind transformer" in capsys.readouterr().err
