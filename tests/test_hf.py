"""Codecs driven by transformers' own generation."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from gencomp.equivalence.adapt import as_predictor
from tests.heavy import hf, torch, transformers


def test_a_pipeline_drives_gzip() -> None:
    model = hf.CompressorForCausalLM.from_spec("gzip")
    generator = transformers.pipeline("text-generation", model=model, tokenizer=hf.byte_tokenizer())
    prompt = "the cat sat on the mat; the cat sat on the m"
    drawn = generator(prompt, max_new_tokens=7, do_sample=False)
    assert drawn == [{"generated_text": prompt + "at; the"}]


def test_logits_are_the_predictor_s() -> None:
    model = hf.CompressorForCausalLM.from_spec("counts:2")
    text = b"abcabc"
    logits = model(torch.tensor([[*text]])).logits
    assert logits.shape == (1, 6, 257)
    state = as_predictor("counts:2").begin()
    for position, symbol in enumerate(text):
        state.update(symbol)
        expected = torch.from_numpy(-state.code_lengths() * math.log(2)).float()
        torch.testing.assert_close(logits[0, position, :256], expected)
    assert torch.isfinite(logits).all()
    assert (torch.softmax(logits, -1)[..., 256] == 0.0).all()
    assert torch.softmax(logits, -1).sum(-1).sub(1).abs().max() < 1e-5


def test_the_loss_is_the_mean_log_loss() -> None:
    model = hf.CompressorForCausalLM.from_spec("counts:2")
    ids = torch.tensor([[*b"abcabcab"]])
    state, nats = as_predictor("counts:2").begin(b"a"), []
    for symbol in b"bcabcab":
        nats.append(state.code_lengths()[symbol] * math.log(2))
        state.update(symbol)
    assert float(model(ids, labels=ids).loss) == pytest.approx(sum(nats) / len(nats), rel=1e-5)


def test_rows_of_different_lengths_go_on_as_they_would_alone() -> None:
    model, tokenizer = hf.CompressorForCausalLM.from_spec("counts:2"), hf.byte_tokenizer()
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
    model = hf.CompressorForCausalLM.from_spec("counts:2")
    joined = model(torch.tensor([[*b"zzz", hf.END_OF_TEXT, *b"ab"]])).logits
    torch.testing.assert_close(joined[0, 4:], model(torch.tensor([[*b"ab"]])).logits[0])


def test_the_model_is_saved_as_its_spec(tmp_path: Path) -> None:
    model = hf.CompressorForCausalLM.from_spec("counts:3")
    model.save_pretrained(tmp_path)
    loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    ids = torch.tensor([[*b"abab"]])
    torch.testing.assert_close(loaded(ids).logits, model(ids).logits)


def ids_of(text: bytes) -> torch.Tensor:
    return torch.tensor([[*text]])


@pytest.mark.parametrize("use_cache", [None, True])
def test_guidance_is_what_its_formula_says(use_cache: bool | None) -> None:
    """Logits are guided by those after the last byte of the prompt alone (Sanchez et al. 2023), all of them finite."""
    model, prompt, scale = hf.CompressorForCausalLM.from_spec("counts:2"), b"abcabdab", 1.7
    options = {} if use_cache is None else {"use_cache": use_cache}
    found = model.generate(
        ids_of(prompt),
        max_new_tokens=3,
        do_sample=False,
        guidance_scale=scale,
        output_scores=True,
        return_dict_in_generate=True,
        **options,
    )
    drawn = found.sequences[0, len(prompt) :].tolist()
    for step, scores in enumerate(found.scores):
        texts = [prompt + bytes(drawn[:step]), prompt[-1:] + bytes(drawn[:step])]
        with_all, with_last = (torch.log_softmax(model(ids_of(text)).logits[0, -1], -1) for text in texts)
        expected = scale * (with_all - with_last) + with_last
        assert not torch.isnan(scores).any()
        torch.testing.assert_close(scores[0, :256], expected[:256], atol=1e-4, rtol=1e-5)
        assert drawn[step] == int(expected.argmax())


@pytest.mark.parametrize("kept", [1, 3, 99, [0], [5, 2, 2], [-1, 0], []])
def test_logits_of_some_positions(kept: int | list[int]) -> None:
    model = hf.CompressorForCausalLM.from_spec("counts:2")
    all_logits = model(ids_of(b"abcabd")).logits
    if isinstance(kept, int):
        expected, asked = all_logits[:, -kept:], kept
    else:
        asked = torch.tensor(kept, dtype=torch.int64)
        expected = all_logits[:, asked]
    torch.testing.assert_close(model(ids_of(b"abcabd"), logits_to_keep=asked).logits, expected)
    labelled = model(ids_of(b"abcabd"), labels=ids_of(b"abcabd"), logits_to_keep=asked)
    torch.testing.assert_close(labelled.logits, expected)
    torch.testing.assert_close(labelled.loss, model(ids_of(b"abcabd"), labels=ids_of(b"abcabd")).loss)


def test_a_tuple_where_one_is_asked_for() -> None:
    model, ids = hf.CompressorForCausalLM.from_spec("counts:2"), ids_of(b"abcab")
    expected = model(ids, labels=ids)
    assert isinstance(model(ids, return_dict=False), tuple)
    loss, logits = model(ids, labels=ids, return_dict=False)
    torch.testing.assert_close((loss, logits), (expected.loss, expected.logits))
    by_configuration = hf.CompressorForCausalLM(hf.CompressorConfig("counts:2", return_dict=False))
    torch.testing.assert_close(by_configuration(ids)[0], expected.logits)


def test_empty_texts() -> None:
    model, tokenizer = hf.CompressorForCausalLM.from_spec("counts:2"), hf.byte_tokenizer()
    assert model(torch.zeros((2, 0), dtype=torch.int64)).logits.shape == (2, 0, 257)
    expected = model.generate(torch.tensor([[hf.END_OF_TEXT]]), max_new_tokens=3, do_sample=False)
    empty = tokenizer("", return_tensors="pt")
    assert model.generate(**empty, max_new_tokens=3, do_sample=False).tolist() == expected.tolist()
    assert model.generate(empty.input_ids, max_new_tokens=3, do_sample=False).tolist() == expected.tolist()
    assert model.generate(max_new_tokens=3, do_sample=False).tolist() == expected.tolist()
    generator = transformers.pipeline("text-generation", model=model, tokenizer=tokenizer)
    drawn = tokenizer.decode(expected[0], skip_special_tokens=True)
    assert generator("", max_new_tokens=3, do_sample=False) == [{"generated_text": drawn}]


def test_the_end_of_text_in_a_text_is_plain_text(tmp_path: Path) -> None:
    text = "a<|endoftext|>b"
    tokenizer = hf.byte_tokenizer()
    tokenizer.save_pretrained(tmp_path)
    for kind in (tokenizer, transformers.AutoTokenizer.from_pretrained(tmp_path)):
        assert kind(text).input_ids == [*text.encode()]
        assert kind.decode(kind(text).input_ids) == text
        assert kind.eos_token_id == hf.END_OF_TEXT


@pytest.mark.parametrize(
    "options",
    [
        {"prompt_lookup_num_tokens": 3},
        {"assistant_model": object()},
        {"dola_layers": "high"},
        {"output_hidden_states": True},
        {"output_attentions": True},
        {"cache_implementation": "static"},
        {"past_key_values": object()},
    ],
)
def test_what_a_codec_cannot_do_is_refused(options: dict[str, object]) -> None:
    model = hf.CompressorForCausalLM.from_spec("counts:2")
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} does not go with a compressor: .*leave it out"):
        model.generate(ids_of(b"abcab"), max_new_tokens=3, **options)
    if name in vars(transformers.GenerationConfig()):
        with pytest.raises(ValueError, match=f"{name} does not go with a compressor"):
            model.generate(
                ids_of(b"abcab"), generation_config=transformers.GenerationConfig(max_new_tokens=3, **options)
            )
    with pytest.raises(ValueError, match=f"{name} does not go with a compressor"):
        model(ids_of(b"abcab"), **options)


def test_arguments_that_cannot_be_meant() -> None:
    model = hf.CompressorForCausalLM.from_spec("counts:2")
    with pytest.raises(TypeError, match="forward does not know lables; a compressor takes input_ids, attention_mask"):
        model(ids_of(b"ab"), lables=ids_of(b"ab"))
    with pytest.raises(ValueError, match=r"ids must be bytes, or 256 for the end of text, got 97 to 300"):
        model(torch.tensor([[97, 300]]))
    with pytest.raises(ValueError, match=r"attention_mask must be \(batch, length\) as input_ids are, \(1, 2\), got"):
        model(ids_of(b"ab"), attention_mask=torch.ones((1, 3)))
    with pytest.raises(ValueError, match="reads bytes, not embeddings"):
        model(inputs_embeds=torch.zeros((1, 2, 4)))
    with pytest.raises(ValueError, match="forward needs input_ids"):
        model()
    with pytest.raises(TypeError, match="a compressor's configuration has no compressor; its spec names the codec"):
        hf.CompressorConfig(compressor="mix")
    with pytest.raises(ValueError, match="topk"):
        model.generate(ids_of(b"ab"), max_new_tokens=1, topk=3)
