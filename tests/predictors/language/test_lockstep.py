"""What a prediction sees, in whatever way the symbols came in."""

from pathlib import Path

import numpy as np
import pytest

from gencomp.predictors.language.causal import causal_model
from gencomp.predictors.language.coding import decode_symbols, encode_symbols, lanes_for
from gencomp.predictors.language.transformer import Transformer
from tests.heavy import torch

CONTEXT, STRIDE = 16, 6


def model_of(folder: Path, context: int = CONTEXT, stride: int = STRIDE):
    return causal_model(folder, device="cpu", dtype="auto", threads=1, batch=4, context=context, stride=stride)


def window_at(count: int) -> int:
    """How many symbols a prediction after ``count`` symbols sees: the docstring of Lockstep, counted out."""
    seen = 0
    for _ in range(count):
        seen = seen + 1 if seen + 1 < CONTEXT else CONTEXT - STRIDE
    return seen


@pytest.mark.parametrize("count", [0, 1, 14, 15, 16, 17, 21, 22, 23, 40])
@pytest.mark.every(2)
def test_a_prediction_sees_its_window_and_no_more(byte_model: Path, wiki: bytes, count: int) -> None:
    causal = model_of(byte_model)
    symbols = np.frombuffer(wiki, np.uint8)[:count].astype(np.int64)
    with causal.settings.applied():
        stepped, at_once = causal.begin(1), causal.begin(1)
        for symbol in symbols:
            stepped.feed(np.array([symbol]))
        at_once.feed_text(symbols[None])
        seen = symbols[count - window_at(count) :]
        logits = causal.model(input_ids=torch.tensor([[0, *seen.tolist()]])).logits[0, -1]
        expected = torch.softmax(logits, -1).numpy()
    np.testing.assert_allclose(stepped.probabilities()[0], expected, atol=1e-5)
    np.testing.assert_allclose(at_once.probabilities()[0], expected, atol=1e-5)


def test_lanes_do_not_see_one_another(byte_model: Path, wiki: bytes) -> None:
    causal = model_of(byte_model)
    texts = np.frombuffer(wiki, np.uint8)[:90].astype(np.int64).reshape(3, 30)
    with causal.settings.applied():
        together = causal.begin(3)
        alone = [causal.begin(1) for _ in range(3)]
        for step in range(30):
            together.feed(texts[:, step])
            for lane, lockstep in enumerate(alone):
                lockstep.feed(texts[lane : lane + 1, step])
    for lane, lockstep in enumerate(alone):
        np.testing.assert_allclose(together.probabilities()[lane], lockstep.probabilities()[0], atol=1e-5)


def test_copies_are_independent(byte_model: Path) -> None:
    causal = model_of(byte_model)
    with causal.settings.applied():
        first = causal.begin(1)
        first.feed(np.array([65]))
        second = first.copy()
        before = first.probabilities().copy()
        second.feed(np.array([66]))
        np.testing.assert_array_equal(first.probabilities(), before)
        first.feed(np.array([66]))
    np.testing.assert_array_equal(first.probabilities(), second.probabilities())


@pytest.mark.parametrize("count", [0, 1, 2, 5, 64, 131])
def test_a_block_of_many_lanes_comes_back(
    byte_model: Path, wiki: bytes, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr("gencomp.predictors.language.coding.MIN_LANE_SYMBOLS", 5)
    causal = model_of(byte_model)
    symbols = np.frombuffer(wiki, np.uint8)[:count].astype(np.int64)
    assert lanes_for(count, 4) == max(1, min(4, count // 5))
    with causal.settings.applied():
        payload = encode_symbols(causal.begin, symbols, 4)
        np.testing.assert_array_equal(decode_symbols(causal.begin, payload, count, 4), symbols)


def test_a_whole_text_costs_what_its_steps_cost(byte_model: Path, wiki: bytes) -> None:
    model = Transformer(str(byte_model), context=CONTEXT, stride=STRIDE)
    texts = [wiki[:50], b"", wiki[100:103], wiki[7:57]]
    for text, bits in zip(texts, model.sequence_code_lengths(texts), strict=True):
        state, stepped = model.begin(), []
        for symbol in text:
            stepped.append(state.code_lengths()[symbol])
            state.update(symbol)
        np.testing.assert_allclose(bits, stepped, atol=1e-4)


def test_settings_are_put_back(byte_model: Path) -> None:
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    Transformer(str(byte_model), threads=3).encode_block(b"abc")
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == (threads, deterministic)
