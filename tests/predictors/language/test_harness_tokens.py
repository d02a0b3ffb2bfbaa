"""Models of tokens under lm-evaluation-harness: what is measured, beside what the harness's own model measures."""

from __future__ import annotations

import logging
import math
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.heavy import torch, transformers

with warnings.catch_warnings():  # of other packages, while they are imported
    warnings.simplefilter("ignore")
    from gencomp.harness import HarnessModel

TEXTS = ["The cat sat on the mat.", "''[[anarchism]]'' is a political philosophy", "é"]
PAIRS = [("The cat sat on", " the mat"), ("one two ", "three"), ("the", "the the the"), ("", "a"), ("x", "")]


def requests(*arguments: tuple[object, ...]) -> list[SimpleNamespace]:
    return [SimpleNamespace(args=argument) for argument in arguments]


def tokens_under(folder: Path, text: str) -> tuple[list[int], torch.Tensor]:
    """Return a text's ids, and ln p of every id at each, (n, vocabulary), after the start of text."""
    ids = transformers.AutoTokenizer.from_pretrained(folder)(text, add_special_tokens=False).input_ids
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        return ids, torch.log_softmax(model(input_ids=torch.tensor([[0, *ids]])).logits[0, :-1], -1)


@pytest.mark.parametrize(("arithmetic", "near"), [("float", 2e-3), ("exact", 2e-2)])
@pytest.mark.every(2)
def test_tokens_are_measured_as_the_harness_measures_them(token_model: Path, arithmetic: str, near: float) -> None:
    model = HarnessModel(f"hf:{token_model}?arithmetic={arithmetic}", measure="tokens")
    for text, found in zip(TEXTS, model.loglikelihood_rolling(requests(*((text,) for text in TEXTS))), strict=True):
        ids, logs = tokens_under(token_model, text)
        expected = sum(float(row[id_]) for row, id_ in zip(logs, ids, strict=True))
        assert found == pytest.approx(expected, rel=near)  # 0.0004 bits a token are kept for escapes
    for (context, continuation), (nats, greedy) in zip(PAIRS, model.loglikelihood(requests(*PAIRS)), strict=True):
        ids, logs = tokens_under(token_model, context + continuation)
        first = len(
            transformers.AutoTokenizer.from_pretrained(token_model)(
                context.rstrip(), add_special_tokens=False
            ).input_ids
        )
        costs = [float(row[id_]) for row, id_ in zip(logs, ids, strict=True)][first:]
        assert nats == pytest.approx(sum(costs), rel=near)
        assert arithmetic == "exact" or greedy == all(
            int(row.argmax()) == id_ for row, id_ in [*zip(logs, ids, strict=True)][first:]
        )


def test_the_sum_over_tokenisations_is_said_to_be_one(token_model: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = "The cat sat on the mat."
    with caplog.at_level(logging.WARNING):
        models = {measure: HarnessModel(f"hf:{token_model}", measure=measure) for measure in ("bytes", "tokens")}
    assert [record.message.partition(":")[0] for record in caplog.records] == ["measure=bytes", "measure=tokens"]
    nats = {measure: model.loglikelihood_rolling(requests((text,)))[0] for measure, model in models.items()}
    state, bits = models["bytes"]._predictor.begin(), 0.0
    for symbol in text.encode():
        bits += state.code_lengths()[symbol]
        state.update(symbol)
    assert nats["bytes"] == pytest.approx(-bits * math.log(2))
    assert nats["bytes"] != nats["tokens"]
    assert models["tokens"].get_model_info()["measure"] == "tokens"
    assert "all tokenisations" in models["bytes"].get_model_info()["measured"]
