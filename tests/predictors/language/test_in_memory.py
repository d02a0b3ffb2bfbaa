"""A model that is in memory already, with its tokenizer: the same as its folder, wherever a model is taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

import gencomp
from gencomp.equivalence.adapt import as_predictor
from gencomp.equivalence.capabilities import block_cost, decode_block, encode_block, fingerprint_cost
from gencomp.errors import ModelMismatchError
from tests.heavy import hf, torch, transformers

OPTIONS: dict[str, Any] = {"context": 32, "batch": 4, "lane": 64}


@pytest.fixture(scope="module")
def parts(token_model: Path) -> tuple[Any, Any]:
    model = transformers.AutoModelForCausalLM.from_pretrained(
        token_model, dtype=torch.float32
    )  # as folders are read on a CPU
    return model, transformers.AutoTokenizer.from_pretrained(token_model)


@pytest.fixture(scope="module")
def model(parts: tuple[Any, Any]) -> hf.LanguageModel:
    return hf.from_model(*parts, **OPTIONS)


@pytest.mark.parametrize("data", [b"", b"the history of the city", bytes(range(256)), b"<|endoftext|> \xff\xff"])
@pytest.mark.every(2)
def test_it_codes_as_its_folder_does(model: hf.LanguageModel, token_model: Path, data: bytes) -> None:
    folder = as_predictor(f"hf:{token_model}?context=32&batch=4&lane=64&arithmetic=float")
    payload = encode_block(model, data)
    assert payload == encode_block(folder, data)
    assert decode_block(model, payload, len(data)) == data


def test_it_is_taken_wherever_a_model_is(model: hf.LanguageModel, parts: tuple[Any, Any], wiki: bytes) -> None:
    text = wiki[1500:2300]
    archive = gencomp.compress(text, model)
    assert len(archive) < len(text)
    assert gencomp.decompress(archive, model=hf.from_model(*parts, **OPTIONS)) == text
    with pytest.raises(ModelMismatchError, match="with an object of the class .*LanguageModel, which no spec names"):
        gencomp.decompress(archive)
    assert len(gencomp.sample(model, prompt=b"The ", length=3, seed=1)) == 3
    assert gencomp.score(model, text[:40]).log_loss > 0
    assert block_cost(model, 1000, 100).work > 0
    assert fingerprint_cost(model).work > 0
    assert model.parameter_count == parts[0].num_parameters()


def test_other_weights_and_another_tokenizer_are_told(
    model: hf.LanguageModel, parts: tuple[Any, Any], token_model: Path, wiki: bytes
) -> None:
    archive = gencomp.compress(wiki[2000:2400], model)
    other = transformers.AutoModelForCausalLM.from_pretrained(token_model, dtype=torch.float32)
    with torch.no_grad():
        next(other.parameters())[3, 5] += 1e-3
    with pytest.raises(ModelMismatchError, match="weights"):
        gencomp.decompress(archive, model=hf.from_model(other, parts[1], **OPTIONS))
    tokenizer = Tokenizer.from_str(parts[1].backend_tokenizer.to_str())
    tokenizer.add_tokens(["city of"])
    with pytest.raises(ModelMismatchError, match="weights"):
        gencomp.decompress(archive, model=hf.from_model(parts[0], tokenizer, **OPTIONS))


def test_the_users_tokenizer_stays_as_it_is(parts: tuple[Any, Any]) -> None:
    backend = parts[1].backend_tokenizer
    backend.enable_truncation(5)
    before = backend.to_str()
    try:
        model = hf.from_model(*parts, **OPTIONS)
        assert backend.to_str() == before
        assert model.code.decode(model.code.encode(b"a long text, longer than five tokens")).endswith(b"five tokens")
    finally:
        backend.no_truncation()


def test_many_texts_at_a_time_cost_what_they_do_alone(
    model: hf.LanguageModel, wiki: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [wiki[start : start + size] for start, size in ((0, 90), (500, 100), (900, 0), (1000, 97), (2000, 400))]
    calls = []
    original = type(model.network.model).forward

    def forward(self: Any, *arguments: Any, **options: Any) -> Any:
        calls.append(options["input_ids"].shape)
        return original(self, *arguments, **options)

    monkeypatch.setattr(type(model.network.model), "forward", forward)
    found = gencomp.score_many(model, texts)
    together = len(calls)
    calls.clear()
    alone = np.concatenate([gencomp.score_many(model, [text]) for text in texts])
    assert found == pytest.approx(alone, rel=1e-5)
    assert found[2] == 0
    assert together < len(calls)
    assert gencomp.score_many("uniform", texts).tolist() == [8.0 * len(text) for text in texts]


def test_what_cannot_be_meant_is_refused(parts: tuple[Any, Any]) -> None:
    model, tokenizer = parts
    with pytest.raises(TypeError, match="expected a fast tokenizer"):
        hf.from_model(model, "gpt2")
    for name, value in (("lane", 0), ("threads", 0), ("batch", 0), ("context", 10**6), ("stride", 10**6)):
        with pytest.raises(ValueError, match=name):
            hf.from_model(model, tokenizer, **{name: value})
    model.train()
    try:
        with pytest.raises(ValueError, match=r"the model is in training mode, .*; call model.eval\(\)"):
            hf.from_model(model, tokenizer)
    finally:
        model.eval()
