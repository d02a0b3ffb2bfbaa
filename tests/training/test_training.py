"""Training: it learns, it stops and goes on to the same weights, and what it saves loads elsewhere."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

from gencomp.cli.main import run
from gencomp.training.architecture import SIZES, Architecture
from gencomp.training.checkpoint import STATE, TrainingError
from gencomp.training.corpus import Corpus, held_out_sequences, read_corpus, sequences
from gencomp.training.trainer import Plan, begin_from, train
from gencomp.training.vocabulary import byte_tokenizer, check_same_tokens, encode_corpus, train_bpe
from tests.heavy import safetensors, torch, transformers

TINY = Architecture(width=16, layers=1, heads=2, key_value_heads=1, feed_forward=32, context=32)
PLAN = Plan(
    steps=12,
    step_symbols=128,
    curriculum=((16, 0.5), (32, 1.0)),
    learning_rate=1e-2,
    warm_up=2,
    evaluate_every=4,
    evaluation_sequences=2,
)


def corpus_of(data: bytes) -> Corpus:
    symbols = np.frombuffer(data, np.uint8)
    return Corpus(symbols[:-300], symbols[-300:], len(data) - 300, 300)


def weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


def test_the_loss_falls(wiki: bytes, tmp_path: Path) -> None:
    history = train(TINY.build(), corpus_of(wiki), dataclasses.replace(PLAN, steps=60), tmp_path)
    assert history.steps[-1] == 60
    assert history.held_out_loss[-1] < history.held_out_loss[0] - 0.5
    assert history.held_out_loss[-1] < 6.5


def test_a_run_that_is_resumed_ends_as_if_it_had_not_stopped(wiki: bytes, tmp_path: Path) -> None:
    whole = TINY.build(seed=3)
    history = train(whole, corpus_of(wiki), PLAN, tmp_path / "whole")

    def stop(step: int, loss: float, held_out: float | None) -> None:
        if step == 10:  # two steps after the checkpoint
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(TINY.build(seed=3), corpus_of(wiki), PLAN, tmp_path / "part", report=stop)
    resumed = TINY.build(seed=4)
    again = train(resumed, corpus_of(wiki), PLAN, tmp_path / "part", resume=True)
    assert again.held_out_loss == history.held_out_loss
    assert again.training_loss == history.training_loss
    for name, weight in weights(resumed).items():
        torch.testing.assert_close(weight, weights(whole)[name], rtol=0, atol=0)


def test_a_run_begins_from_weights(wiki: bytes, tmp_path: Path) -> None:
    trained = TINY.build(seed=3)
    train(trained, corpus_of(wiki), PLAN, tmp_path / "stopped")
    other = TINY.build(seed=4)
    begin_from(other, tmp_path / "stopped")
    trained.save_pretrained(tmp_path / "finished")
    again = TINY.build(seed=5)
    begin_from(again, tmp_path / "finished")
    for name, weight in weights(trained).items():
        assert (weights(other)[name] == weight).all()
        assert (weights(again)[name] == weight).all()
    with pytest.raises(TrainingError, match=r"is of another architecture: .* is \(256, 16\) there, \(256, 32\) here"):
        begin_from(dataclasses.replace(TINY, width=32).build(), tmp_path / "finished")
    with pytest.raises(TrainingError, match="there is neither"):
        begin_from(trained, tmp_path)


def test_a_checkpoint_of_another_run_is_refused(wiki: bytes, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no checkpoint to resume from"):
        train(TINY.build(), corpus_of(wiki), PLAN, tmp_path, resume=True)
    train(TINY.build(), corpus_of(wiki), PLAN, tmp_path, identity={"data": ["a"]})
    with pytest.raises(TrainingError, match="of another run, which differs in learning_rate;"):
        other = dataclasses.replace(PLAN, learning_rate=1.0)
        train(TINY.build(), corpus_of(wiki), other, tmp_path, identity={"data": ["a"]}, resume=True)
    with pytest.raises(TrainingError, match="of another run, which differs in data;"):
        train(TINY.build(), corpus_of(wiki), PLAN, tmp_path, identity={"data": ["b"]}, resume=True)


def test_a_run_killed_between_two_renames_goes_on(wiki: bytes, tmp_path: Path) -> None:
    train(TINY.build(), corpus_of(wiki), PLAN, tmp_path)
    (tmp_path / "checkpoint").rename(tmp_path / "checkpoint.old")
    history = train(TINY.build(), corpus_of(wiki), PLAN, tmp_path, resume=True)
    assert history.steps[-1] == PLAN.steps
    (tmp_path / "checkpoint").rename(tmp_path / "checkpoint.old")
    begin_from(TINY.build(), tmp_path)


def test_a_damaged_checkpoint_is_told_in_one_line(wiki: bytes, tmp_path: Path) -> None:
    train(TINY.build(), corpus_of(wiki), PLAN, tmp_path)
    path = tmp_path / "checkpoint" / STATE
    tensors, whole = safetensors.load_file(path), path.read_bytes()
    without = {name: tensor for name, tensor in tensors.items() if name != "optimizer.0.exp_avg_sq"}
    smaller = tensors | {"model.model.norm.weight": tensors["model.model.norm.weight"][:1].clone()}
    for damaged, complaint in (
        (whole[:-1], "not fully covered"),
        (safetensors.save(without), "state of weight 0 is exp_avg, step"),
        (
            safetensors.save({name: part for name, part in tensors.items() if name.startswith("model.")}),
            "state of 0 weights",
        ),
        (safetensors.save(smaller), "shape"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(TrainingError, match=f"checkpoint is damaged, .*{complaint}") as caught:
            train(TINY.build(), corpus_of(wiki), PLAN, tmp_path, resume=True)
        assert "\n" not in str(caught.value)
    path.write_bytes(whole[:-1])
    with pytest.raises(TrainingError, match="state.safetensors is damaged"):
        begin_from(TINY.build(), tmp_path)


def test_data_shorter_than_a_sequence_are_refused_at_once(wiki: bytes, tmp_path: Path) -> None:
    corpus = corpus_of(wiki)
    short = dataclasses.replace(corpus, held_out=corpus.held_out[:31])
    with pytest.raises(ValueError, match="the held-out part has 31 symbols; a sequence of the curriculum has 32"):
        train(TINY.build(), short, PLAN, tmp_path)
    assert not (tmp_path / "checkpoint").exists()


def test_a_loss_that_is_no_number_stops_the_run(wiki: bytes, tmp_path: Path) -> None:
    model = TINY.build()
    with torch.no_grad():
        model.model.norm.weight.fill_(float("nan"))
    with pytest.raises(
        TrainingError,
        match="the loss is nan at step 1; start again from the last checkpoint",
    ):
        train(model, corpus_of(wiki), PLAN, tmp_path)


def test_the_plan_is_checked() -> None:
    for options, complaint in (
        ({"steps": 0}, "steps must be at least 1"),
        ({"curriculum": ((16, 0.5),)}, "must ascend to 1"),
        ({"curriculum": ((1, 1.0),)}, "sequence lengths must be from 2 to a step's 128 symbols"),
        ({"dtype": "int8"}, "dtype must be"),
        ({"seed": 1 << 64}, "seed must be from 0 to"),
        ({"learning_rate": -1.0}, "learning_rate must be a positive number, got -1.0"),
        ({"clip": float("nan")}, "clip must be a positive number, got nan"),
        ({"weight_decay": -0.1}, "weight_decay must be 0 or more, got -0.1"),
    ):
        with pytest.raises(ValueError, match=complaint):
            dataclasses.replace(PLAN, **options)  # type: ignore[arg-type]
    assert [PLAN.length_at(step) for step in (0, 5, 6, 11)] == [16, 16, 32, 32]
    rates = [PLAN.learning_rate_at(step) for step in range(12)]
    assert max(rates) == pytest.approx(rates[2])
    assert 0 < rates[-1] < rates[-2]


@pytest.mark.parametrize("size", SIZES)
def test_sizes_are_what_they_say(size: str) -> None:
    architecture = SIZES[size]
    count = sum(weight.numel() for weight in architecture.build().parameters())
    assert count == architecture.parameter_count()
    said = float(size[:-1]) * {"k": 1e3, "m": 1e6}[size[-1]]
    assert abs(count - said) < 0.1 * said


def test_impossible_architectures() -> None:
    for options, complaint in (
        ({"layers": 0}, "layers must be at least 1, got 0"),
        ({"heads": 3}, "width must be heads times an even number"),
        ({"heads": 4, "key_value_heads": 3}, "multiple of key_value_heads"),
    ):
        with pytest.raises(ValueError, match=complaint):
            dataclasses.replace(TINY, **options)


def test_data(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abcdef")
    (tmp_path / "b").write_bytes(b"ghij")
    assert read_corpus([tmp_path / "a", tmp_path / "b"], 3, None) == (b"abcdefg", b"hij")
    assert read_corpus([tmp_path / "a", tmp_path / "b"], 3, 8) == (b"abcde", b"fgh")
    with pytest.raises(ValueError, match=r"from 1 byte to half the data, got 9 of 10 bytes; .* such as held_out=1$"):
        read_corpus([tmp_path / "a", tmp_path / "b"], 9)
    symbols = np.arange(100, dtype=np.uint8)
    drawn = sequences(symbols, 5, 10, seed=1, step=2)
    assert (np.diff(drawn, axis=1) == 1).all()
    assert (drawn == sequences(symbols, 5, 10, seed=1, step=2)).all()
    assert (drawn != sequences(symbols, 5, 10, seed=1, step=3)).any()
    assert held_out_sequences(symbols, 3, 30).tolist() == [list(range(s, s + 30)) for s in (0, 30, 60)]
    with pytest.raises(ValueError, match="has 100 symbols; one sequence takes 101"):
        held_out_sequences(symbols, 3, 101)


def test_a_wrong_name_is_told_before_torch_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for name, told in (("nothing", "No such file or directory"), ("*.txt", "no files there")):
        assert run(["train", str(tmp_path / name), "-o", str(tmp_path / "out")]) == 1
        assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_vocabularies(wiki: bytes) -> None:
    tokenizer = byte_tokenizer()
    assert tokenizer("aé\x00")["input_ids"] == list("aé\x00".encode())
    assert encode_corpus(tokenizer, b"\xff\x00").tolist() == [255, 0]
    learnt = train_bpe(wiki, 300)
    assert len(learnt) == 300
    assert len(encode_corpus(learnt, wiki)) < len(wiki)
    with pytest.raises(ValueError, match="at least 258 tokens, got 257"):
        train_bpe(wiki, 257)


def test_weights_of_other_tokens_are_refused(wiki: bytes, tmp_path: Path) -> None:
    train_bpe(wiki, 300).save_pretrained(tmp_path)
    check_same_tokens(tmp_path, train_bpe(wiki, 300))
    check_same_tokens(tmp_path / "none", byte_tokenizer())
    with pytest.raises(ValueError, match="was trained on other tokens"):
        check_same_tokens(tmp_path, train_bpe(wiki[::-1], 300))


@pytest.mark.skipif("torch.cuda.is_available()", reason="has a GPU")
def test_devices_that_are_not_there(wiki: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text").write_bytes(wiki)
    command = ["train", str(tmp_path / "text"), "-o", str(tmp_path / "model"), "--device"]
    assert run([*command, "tpu"]) == 2
    assert "Invalid value for '--device': 'tpu' is not one of 'auto', 'cpu', 'cuda'" in capsys.readouterr().err
    assert run([*command, "cuda"]) == 4
    assert "cuda is not available here" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("vocabulary", [[], ["--vocabulary", "300"]])
@pytest.mark.every(2)
def test_the_command(wiki: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str], vocabulary: list[str]) -> None:
    (tmp_path / "text").write_bytes(wiki)
    shape = ["--width", "16", "--layers", "1", "--feed-forward", "32", "--context", "32", "--step-symbols", "64"]
    command = ["train", str(tmp_path / "text"), "-o", str(tmp_path / "model"), "--steps", "4", "--held-out", "500"]
    command += [*shape, "--evaluate-every", "2", "--curriculum", "16:0.5,32:1", "-T", "1", *vocabulary]
    assert run(command) == 0
    assert "step 4: " in capsys.readouterr().err
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "model")
    drawn = model.generate(**tokenizer("the", return_tensors="pt"), max_new_tokens=3, do_sample=False)
    assert drawn.shape == (1, len(tokenizer("the").input_ids) + 3)
    assert (tmp_path / "model/loss.png").read_bytes().startswith(b"\x89PNG")
    assert run(command) == 2
    assert "holds a trained model" in capsys.readouterr().err
