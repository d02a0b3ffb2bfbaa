"""Models small enough to train within a test run: one of bytes, one of BPE tokens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gencomp.training.architecture import Architecture
from gencomp.training.corpus import Corpus
from gencomp.training.finish import save_model
from gencomp.training.trainer import Plan, train
from gencomp.training.vocabulary import byte_tokenizer, encode_corpus, train_bpe
from tests.heavy import safetensors, torch

TINY = Architecture(width=32, layers=2, heads=2, key_value_heads=1, feed_forward=64, context=64)
PLAN = Plan(
    steps=120,
    step_symbols=512,
    curriculum=((64, 1.0),),
    learning_rate=1e-2,
    warm_up=5,
    evaluate_every=120,
    evaluation_sequences=2,
)


def tensors_of(path: Path) -> dict[str, torch.Tensor]:
    """Return a safetensors file's tensors, in memory: a file that is mapped must not be written over."""
    return safetensors.load(path.read_bytes())


def make_model(folder: Path, text: bytes, vocabulary: int | None = None, plan: Plan = PLAN) -> Path:
    tokenizer = byte_tokenizer() if vocabulary is None else train_bpe(text, vocabulary)
    training, held_out = text[:-500], text[-500:]
    corpus = Corpus(encode_corpus(tokenizer, training), encode_corpus(tokenizer, held_out), len(training), 500)
    model = TINY.build(len(tokenizer), seed=1)
    history = train(model, corpus, plan, folder)
    save_model(model, tokenizer, folder, plan, history, {})
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave most pairs of a family and a carrier of numbers to the thorough tier."""
    for item in items:
        if getattr(item, "originalname", "") == "test_torch_gives_the_kernels_bits":
            family, carrier = (item.callspec.params[name] for name in ("folder", "carrier"))  # type: ignore[attr-defined]
            if item.module.USUAL.get(family) != carrier:  # type: ignore[attr-defined]
                item.add_marker(pytest.mark.thorough)


@pytest.fixture(autouse=True)
def short_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small blocks have several lanes, as large ones do."""
    monkeypatch.setattr("gencomp.predictors.language.coding.MIN_LANE_SYMBOLS", 64)


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Small matrices on many threads take longer, much longer on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def byte_model(tmp_path_factory: pytest.TempPathFactory, wiki: bytes) -> Path:
    return make_model(tmp_path_factory.mktemp("models") / "bytes", wiki)


@pytest.fixture(scope="session")
def token_model(tmp_path_factory: pytest.TempPathFactory, wiki: bytes) -> Path:
    return make_model(tmp_path_factory.mktemp("models") / "tokens", wiki, 400)
