"""Codecs driven by transformers' own generation."""

import math
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, pipeline

from gencomp.equivalence.adapt import as_predictor
from gencomp.hf import END_OF_TEXT, CompressorForCausalLM, byte_tokenizer


def test_a_pipeline_drives_gzip() -> None:
    model = CompressorForCausalLM.from_spec("gzip")
    generator = pipeline("text-generation", model=model, tokenizer=byte_tokenizer())
    prompt = "the cat sat on the mat; the cat sat on the m"
    drawn = generator(prompt, max_new_tokens=7, do_sample=False)
    assert drawn == [{"generated_text": prompt + "at; the"}]


def test_logits_are_the_predictor_s() -> None:
    model = CompressorForCausalLM.from_spec("counts:2")
    text = b"abcabc"
    logits = model(torch.tensor([[*text]])).logits
    assert logits.shape == (1, 6, 257)
    state = as_predictor("counts:2").begin()
    for position, symbol in enumerate(text):
        state.update(symbol)
        expected = torch.from_numpy(-state.code_lengths() * math.log(2)).float()
        torch.testing.assert_close(logits[0, position, :256], expected)
    assert (logits[..., 256] == -torch.inf).all()
    assert torch.softmax(logits, -1).sum(-1).sub(1).abs().max() < 1e-5


def test_the_loss_is_the_mean_log_loss() -> None:
    model = CompressorForCausalLM.from_spec("counts:2")
    ids = torch.tensor([[*b"abcabcab"]])
    state, nats = as_predictor("counts:2").begin(b"a"), []
    for symbol in b"bcabcab":
        nats.append(state.code_lengths()[symbol] * math.log(2))
        state.update(symbol)
    assert float(model(ids, labels=ids).loss) == pytest.approx(sum(nats) / len(nats), rel=1e-5)


def test_rows_of_different_lengths_go_on_as_they_would_alone() -> None:
    model, tokenizer = CompressorForCausalLM.from_spec("counts:2"), byte_tokenizer()
    prompts = ["abcabcab", "xyxyx"]
    batch = tokenizer(prompts, return_tensors="pt", padding=True)
    for options in ({}, {"num_beams": 3}):
        drawn = model.generate(**batch, max_new_tokens=5, do_sample=False, **options)
        texts = tokenizer.batch_decode(drawn, skip_special_tokens=True)
        alone = []
        for prompt in prompts:
            ids = tokenizer(prompt, return_tensors="pt")
            (row,) = model.generate(**ids, max_new_tokens=5, do_sample=False, **options)
            alone.append(tokenizer.decode(row))
        assert texts == alone == ["abcabcabcabca", "xyxyxyxyxy"]


def test_an_end_of_text_begins_anew() -> None:
    model = CompressorForCausalLM.from_spec("counts:2")
    joined = model(torch.tensor([[*b"zzz", END_OF_TEXT, *b"ab"]])).logits
    torch.testing.assert_close(joined[0, 4:], model(torch.tensor([[*b"ab"]])).logits[0])


def test_the_model_is_saved_as_its_spec(tmp_path: Path) -> None:
    model = CompressorForCausalLM.from_spec("counts:3")
    model.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    ids = torch.tensor([[*b"abab"]])
    torch.testing.assert_close(loaded(ids).logits, model(ids).logits)
