"""Model folders that are missing, incomplete, unsafe or of another kind, and options that no model takes."""

import json
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from gencomp.coding.quantize import MAX_ALPHABET_SIZE
from gencomp.errors import SpecError
from gencomp.predictors.language.huggingface import HuggingFace
from gencomp.predictors.language.loading import ModelFolderError, find_folder, load_model
from gencomp.predictors.language.settings import DeviceError, Settings
from gencomp.predictors.language.tokens import TokenCode
from gencomp.predictors.language.transformer import Transformer
from gencomp.registry import load
from tests.heavy import torch, transformers


@pytest.fixture
def folder(byte_model: Path, tmp_path: Path) -> Path:
    return shutil.copytree(byte_model, tmp_path / "model")


def test_missing_folders_and_hub_ids(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelFolderError, match="there is no folder './nothing'"):
        find_folder("./nothing")
    with pytest.raises(ModelFolderError, match=r"gencomp never downloads: run `hf download someone/no-such-model`"):
        find_folder("someone/no-such-model")
    with pytest.raises(ModelFolderError, match="no model with that id"):
        load("hf:no-such-model-anywhere")


def test_pickled_weights_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelFolderError, match=r"has no \*.safetensors, only pytorch_model.bin, which loading would"):
        Transformer(str(folder))
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(ModelFolderError, match="no weights"):
        Transformer(str(folder))


def changed(path: Path, **more: object) -> None:
    """Add keys to a JSON file of a model folder."""
    settings = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(settings | more))


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "generation_config.json"])
@pytest.mark.parametrize(
    "wrap", [lambda value: value, lambda value: {"text_config": value}, lambda value: {"a": [value]}]
)
def test_code_of_its_own_is_refused(folder: Path, name: str, wrap: Callable[[object], dict[str, object]]) -> None:
    changed(folder / name, **wrap({"auto_map": {"AutoModelForCausalLM": "evil.Model"}}))
    for model in (HuggingFace, Transformer):
        with pytest.raises(ModelFolderError, match=f"asks in {name} for code of its own"):
            model(str(folder))


@pytest.mark.parametrize(
    "settings",
    [
        {"attn_implementation": "kernels-community/flash-attn"},
        {"_attn_implementation": "someone/kernel@main"},
        {"_attn_implementation_internal": "someone/kernel"},
        {"experts_implementation": "someone/kernel"},
        {"attn_implementation": {"": "sdpa", "text_config": "someone/kernel"}},
        {"text_config": {"attn_implementation": "flash_attention_2"}},
    ],
)
def test_kernels_are_not_fetched(folder: Path, settings: dict[str, object]) -> None:
    changed(folder / "config.json", **settings)
    with pytest.raises(ModelFolderError, match=r"for the kernel .*, which would be fetched and run; remove the option"):
        Transformer(str(folder))


def test_what_transformers_computes_itself_may_be_named(folder: Path) -> None:
    changed(folder / "config.json", attn_implementation="eager", experts_implementation=None)
    assert Transformer(str(folder), context=8).begin(b"abc").code_lengths().shape == (256,)


def test_another_models_weights_are_not_opened(folder: Path) -> None:
    changed(folder / "model.safetensors.index.json", weight_map={"a": "model.safetensors", "b": "../x.safetensors"})
    with pytest.raises(ModelFolderError, match=r"names the weights '../x.safetensors', expected a .safetensors file"):
        Transformer(str(folder))
    for index in ({"weight_map": {"a": 1}}, {"weight_map": {"a": "model.bin"}}, {}, []):
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        with pytest.raises(ModelFolderError, match="names the weights"):
            Transformer(str(folder))
    (folder / "model.safetensors.index.json").unlink()
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "/another/model"}))
    with pytest.raises(ModelFolderError, match="is an adapter of another model"):
        Transformer(str(folder))


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("kind", ["/dev/zero", "pipe", "folder"])
def test_only_regular_files_of_a_folder_are_read(folder: Path, name: str, kind: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(kind if kind.startswith("/") else tmp_path / kind)
    with pytest.raises(ModelFolderError, match=r"is a (device|pipe|folder), expected .* of a model folder"):
        Transformer(str(folder)).fingerprint()


def test_nested_brackets_are_no_configuration(folder: Path) -> None:
    (folder / "config.json").write_text("[" * 100_000)
    with pytest.raises(ModelFolderError, match="is not JSON"):
        Transformer(str(folder))


@pytest.mark.parametrize(
    ("config", "complaint"),
    [(None, "no config.json"), ("{", "is not JSON: "), ("[]", "not a JSON object"), ("{}", "of None tokens")],
)
def test_bad_configurations(folder: Path, config: str | None, complaint: str) -> None:
    (folder / "config.json").unlink()
    if config is not None:
        (folder / "config.json").write_text(config)
    with pytest.raises(ModelFolderError, match=complaint):
        Transformer(str(folder))


def test_a_model_of_tokens_is_no_model_of_bytes(token_model: Path) -> None:
    with pytest.raises(ModelFolderError, match=r"is a model of 400 tokens, not of 256 bytes; use it as model='hf:"):
        Transformer(str(token_model))


def test_damaged_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    with pytest.raises(ModelFolderError, match="cannot be loaded as a causal language model"):
        Transformer(str(folder)).begin()


def test_a_damaged_configuration(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": "wide"}))
    with pytest.raises(ModelFolderError, match="cannot be loaded as a causal language model"):
        Transformer(str(folder)).begin()


def test_a_model_that_does_not_remember_is_refused(tmp_path: Path) -> None:
    config = transformers.OpenAIGPTConfig(vocab_size=256, n_embd=16, n_layer=1, n_head=2, n_positions=64)
    transformers.OpenAIGPTLMHeadModel(config).save_pretrained(tmp_path)
    with pytest.raises(ModelFolderError, match="OpenAIGPTLMHeadModel does not remember what it has read"):
        load_model(tmp_path, "cpu", "float32")


def test_a_folder_that_asks_for_tuples(folder: Path) -> None:
    data = b"the cat sat"
    payload = Transformer(str(folder)).encode_block(data)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"return_dict": False, "use_cache": False}))
    load_model.cache_clear()
    assert Transformer(str(folder)).encode_block(data) == payload


def test_a_model_that_sets_no_limit_takes_a_context(token_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(token_model, tmp_path / "model")
    transformers.BloomForCausalLM(
        transformers.BloomConfig(vocab_size=400, hidden_size=16, n_layer=1, n_head=2)
    ).save_pretrained(folder)
    with pytest.raises(ModelFolderError, match=r"positions to use; add one, such as \?context=2048"):
        HuggingFace(str(folder))
    model = HuggingFace(str(folder), context=8)
    assert model.decode_block(model.encode_block(b"the cat sat on the mat"), 22) == b"the cat sat on the mat"


def test_a_missing_tokenizer(token_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(token_model, tmp_path / "model")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    with pytest.raises(ModelFolderError, match="has no tokenizer"):
        HuggingFace(str(folder)).encode_block(b"abc")


def test_a_vocabulary_beyond_the_coder(token_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "gencomp.predictors.language.huggingface.load_code", lambda folder, size: TokenCode(None, MAX_ALPHABET_SIZE)
    )
    with pytest.raises(ModelFolderError, match="has 262,144 tokens; the coder takes at most 262,144 symbols"):
        HuggingFace(str(token_model), arithmetic="float").encode_block(b"abc")


def test_threads_that_overlap_leave_the_process_as_it_was() -> None:
    before = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    settings = Settings("cpu", "float32", 1)
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with settings.applied():
            inside.set()
            leave.wait(60)

    thread = threading.Thread(target=other)
    with settings.applied():
        thread.start()
        assert inside.wait(60)
    assert torch.are_deterministic_algorithms_enabled()
    leave.set()
    thread.join()
    assert (torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()) == before


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("context=65", "context must be from 2 to the model's 64 positions, got 65"),
        ("context=1", "context must be from 2"),
        ("context=10&stride=10", "stride must be from 1 to context - 1, which is 9, got 10"),
        ("batch=4097", "batch must be from 1 to 4096, got 4097"),
        ("batch=0", "batch must be from 1 to 4096, got 0"),
        ("threads=0", "threads must be from 1 to 256, got 0"),
        ("dtype=int8", "dtype must be one of auto, float32, bfloat16, float16"),
    ],
)
def test_options_out_of_range(byte_model: Path, options: str, complaint: str) -> None:
    with pytest.raises(SpecError, match=complaint):
        load(f"transformer:{byte_model}?{options}")


def test_a_model_is_named() -> None:
    with pytest.raises(SpecError, match="hf needs an argument, its model: expected hf:MODEL"):
        load("hf")


@pytest.mark.skipif("torch.cuda.is_available()", reason="this machine has a GPU")
def test_no_gpu(byte_model: Path) -> None:
    with pytest.raises(DeviceError, match="device cuda is not available here"):
        Transformer(str(byte_model), device="cuda").begin()


@pytest.mark.skipif("not torch.cuda.is_available()", reason="needs a GPU")
def test_round_trip_on_a_gpu(byte_model: Path, wiki: bytes) -> None:
    model = Transformer(str(byte_model), device="cuda")
    assert model.decode_block(model.encode_block(wiki[:500]), 500) == wiki[:500]
