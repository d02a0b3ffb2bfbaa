"""Models of known families in integers: near torch's floats, one in windows, steps and lanes, strict with files."""

from __future__ import annotations

import io
import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gencomp.archive.memory import compress, decompress
from gencomp.archive.reader import list_members
from gencomp.equivalence.adapt import as_predictor
from gencomp.equivalence.capabilities import decode_block, encode_block, revision_of, state_cdf
from gencomp.errors import BudgetError, CorruptDataError, ModelMismatchError
from gencomp.inference.transformer_weights import TransformerError
from gencomp.predictors.language import exact_lanes, gguf_file
from gencomp.predictors.language.exact import ExactModel
from gencomp.predictors.language.exact_coding import decode_tokens, encode_tokens
from gencomp.predictors.language.exact_lanes import text_windows
from gencomp.predictors.language.gguf import Gguf
from gencomp.predictors.language.gguf_file import TYPES, read_gguf
from gencomp.predictors.language.huggingface import HuggingFace
from gencomp.predictors.language.loading import ModelFolderError, digest
from gencomp.predictors.language.settings import DeviceError
from tests.heavy import WhenUsed, safetensors, torch, transformers
from tests.predictors.language.conftest import tensors_of

transformer_torch = WhenUsed("gencomp.inference.transformer_torch")
exact_torch = WhenUsed("gencomp.predictors.language.exact_torch")

COMMON = {"vocab_size": 400, "bos_token_id": 0, "eos_token_id": None, "pad_token_id": None}
LLAMA_LIKE = COMMON | {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
CONFIGS: dict[str, Callable[[], transformers.PreTrainedModel]] = {
    "llama": lambda: transformers.LlamaForCausalLM(
        transformers.LlamaConfig(**LLAMA_LIKE, attention_bias=True, mlp_bias=True)
    ),
    "llama3": lambda: transformers.LlamaForCausalLM(
        transformers.LlamaConfig(**LLAMA_LIKE, rope_parameters=LLAMA3, tie_word_embeddings=True)
    ),
    "mistral": lambda: transformers.MistralForCausalLM(transformers.MistralConfig(**LLAMA_LIKE, sliding_window=48)),
    "qwen2": lambda: transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**LLAMA_LIKE)),
    "qwen3": lambda: transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**LLAMA_LIKE, head_dim=18)),
    "gpt2": lambda: transformers.GPT2LMHeadModel(
        transformers.GPT2Config(**COMMON, n_embd=32, n_layer=2, n_head=2, n_positions=64)
    ),
    "neox": lambda: transformers.GPTNeoXForCausalLM(
        transformers.GPTNeoXConfig(
            **COMMON,
            hidden_size=48,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=64,
        )
    ),
    "serial": lambda: transformers.GPTNeoXForCausalLM(
        transformers.GPTNeoXConfig(
            **COMMON,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=64,
            use_parallel_residual=False,
            hidden_act="gelu_new",
        )
    ),
}


def spread_out(model: transformers.PreTrainedModel) -> transformers.PreTrainedModel:
    """Draw weights so large that every part of the model tells, biases and gains too."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            is_gain = weight.ndim == 1 and name.endswith("weight")
            weight.normal_(
                1.0 if is_gain else 0.0, 0.2 if weight.ndim == 1 else weight.shape[-1] ** -0.5, generator=generator
            )
    return model.eval()


@pytest.fixture(scope="session", params=CONFIGS)
def folder(request: pytest.FixtureRequest, token_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of each family, with weights that mean nothing."""
    place = tmp_path_factory.mktemp("families") / request.param
    spread_out(CONFIGS[request.param]()).save_pretrained(place)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(token_model / name, place / name)
    return place


@pytest.fixture
def llama(token_model: Path, tmp_path: Path) -> Path:
    return shutil.copytree(token_model, tmp_path / "model")


def exact(model: HuggingFace | Gguf) -> ExactModel:
    assert isinstance(model.network, ExactModel)
    return model.network


def texts(vocabulary: int, *lengths: int) -> list[np.ndarray]:
    rng = np.random.default_rng(sum(lengths))
    return [rng.integers(0, vocabulary, length) for length in lengths]


@pytest.mark.every(2)
def test_every_family_is_near_torch(folder: Path) -> None:
    model = exact(HuggingFace(str(folder)))
    reference = spread_out(CONFIGS[folder.name]())
    (text,) = texts(400, 40)
    found = []
    model.windows(text, lambda first, logits: found.append(logits.copy()))
    with torch.inference_mode():
        inputs = torch.tensor([[0, *text[:-1]]])
        expected = reference(input_ids=inputs).logits[0].double().numpy()
    logits = np.concatenate(found) / 65536 * np.log(2)
    assert np.sqrt(((logits - expected) ** 2).mean()) < 0.04 * expected.std()
    costs = model.sequence_costs([text])[0].code_lengths
    logs = expected - np.logaddexp.reduce(expected, axis=1, keepdims=True)
    assert costs == pytest.approx(-logs[np.arange(40), text] / np.log(2), abs=0.5)


def test_windows_steps_and_lanes_are_one_model(folder: Path) -> None:
    """The contexts are filled, and read anew, three times."""
    model = exact(HuggingFace(str(folder), context=24, stride=9))
    lanes = [np.append(text, 0) for text in texts(400, 70, 70, 70)]
    expected = []
    for lane in lanes:
        rows: list[np.ndarray] = []
        model.windows(lane, lambda first, logits, rows=rows: rows.append(logits.copy()))  # type: ignore[misc]
        expected.append(np.concatenate(rows))
    together, alone = model.begin(3), model.begin(1)
    for position in range(70):
        for k in range(3):
            assert (together.logits[k] == expected[k][position]).all(), position
        assert (alone.logits[0] == expected[0][position]).all()
        if position == 30:
            fork = alone.copy()
            fork.feed(np.array([5]))
        at_once = model.begin(1)
        at_once.feed_text(lanes[0][None, :position])
        assert (at_once.logits[0] == expected[0][position]).all(), position
        together.feed(np.array([lane[position] for lane in lanes]))
        alone.feed(lanes[0][position : position + 1])
    assert (together.probabilities().sum(1) > 1 - 1e-6).all()


@pytest.mark.parametrize("length", [0, 1, 23, 24, 25, 33, 34, 80])
def test_windows_cover_a_text_once(length: int) -> None:
    covered = [symbol for _, first, last in text_windows(length, 24, 9) for symbol in range(first, last)]
    assert covered == list(range(length))
    assert all(last - begin <= 24 for begin, _, last in text_windows(length, 24, 9))


@pytest.mark.parametrize("lanes", [1, 2, 5])
@pytest.mark.every(3)
def test_tokens_come_back(folder: Path, lanes: int) -> None:
    model = exact(HuggingFace(str(folder), context=24, stride=12, batch=lanes))
    (symbols,) = texts(400 + 257, 120)  # escapes among them
    payload = encode_tokens(model, symbols, 10)
    assert encode_tokens(model, symbols, 10, threads=3) == payload
    assert (decode_tokens(model, payload, 120, 10) == symbols).all()
    for damaged in (payload[:-1], payload + b"\0", payload[:20], b""):
        with pytest.raises(CorruptDataError):
            decode_tokens(model, damaged, 120, 10)


DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif("not torch.cuda.is_available()", reason="no GPU"))]


# rotations and norms of keys, and positions that are learnt: the others are made of much the same
USUAL = {"qwen3": "float32", "gpt2": "float64"}


@pytest.mark.parametrize("carrier", ["float64", "float32"])
@pytest.mark.parametrize("device", DEVICES)
def test_torch_gives_the_kernels_bits(folder: Path, device: str, carrier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In windows, in steps, and in payloads, with contexts that are filled and read anew."""
    exact_torch.network_on.cache_clear()
    monkeypatch.setattr("gencomp.inference.transformer_torch._carrier", lambda device: carrier)
    # several pieces of everything
    monkeypatch.setattr("gencomp.predictors.language.exact_torch._MOST_NUMBERS", 1 << 14)
    monkeypatch.setattr("gencomp.inference.transformer_torch._MOST_NUMBERS", 1 << 10)
    kernels = exact(HuggingFace(str(folder), context=24, stride=9, batch=3))
    other = replace(kernels, torch_device=device)
    assert other.torch_network.carrier == getattr(torch, carrier)
    lanes = texts(400, 50, 1, 24, 33)
    for one, two in zip(kernels.sequence_costs(lanes), other.sequence_costs(lanes), strict=True):
        assert (one.code_lengths == two.code_lengths).all()
        assert (one.likeliest == two.likeliest).all()
    steps = [model.begin(3) for model in (kernels, other)]
    rows = np.random.default_rng(5).integers(0, 400, (3, 36))
    for lockstep in steps:
        lockstep.feed_text(rows[:, :10])
    forks = []
    for position in range(10, 36):  # contexts are full at 24 and 33
        assert (steps[0].logits == steps[1].logits).all(), position
        if position == 30:
            forks = [lockstep.copy() for lockstep in steps]
        for lockstep in steps:
            lockstep.feed(rows[:, position])
    for fork in forks:
        fork.feed(rows[:, 0])
    assert (forks[0].logits == forks[1].logits).all()
    (symbols,) = texts(400 + 257, 60)
    payload = encode_tokens(kernels, symbols, 10)
    assert encode_tokens(other, symbols, 10) == payload
    assert (decode_tokens(other, payload, 60, 10) == symbols).all()


@pytest.mark.parametrize("device", DEVICES)
def test_what_changes_no_bit_is_not_in_the_header(
    token_model: Path, wiki: bytes, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if device == "cpu":  # torch on a CPU stands for a GPU
        monkeypatch.setattr("gencomp.predictors.language.exact_torch.found_device", lambda device: "cpu")
    text = wiki[:90]
    archive = compress(text, model=f"hf:{token_model}?context=64")
    assert list_members(io.BytesIO(archive))[0].header.metadata["model"]["numeric"] == "integer"
    assert compress(text, model=f"hf:{token_model}?context=64&device=cuda&threads=2") == archive
    for options in ("", "&device=cuda", "&threads=2", "&device=cuda&arithmetic=exact"):
        assert decompress(archive, model=f"hf:{token_model}?context=64{options}") == text


def test_a_device_that_is_not_here_is_told(token_model: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(DeviceError, match="cuda is not available here"):
        compress(b"text", model=f"hf:{token_model}?device=cuda")


def test_a_device_without_memory_is_told(token_model: Path, wiki: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("no memory for 3 GiB")

    exact_torch.network_on.cache_clear()
    monkeypatch.setattr("gencomp.predictors.language.exact_torch.found_device", lambda device: "cpu")
    monkeypatch.setattr(exact_torch.TorchNetwork, "read", full)
    with pytest.raises(exact_torch.DeviceMemoryError, match="lower context or batch, .*: no memory for 3 GiB"):
        HuggingFace(str(token_model), device="cuda").encode_block(wiki[:900])


def test_tf32_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.get_float32_matmul_precision", lambda: "high")
    with pytest.raises(RuntimeError, match="must not be TF32's"):
        transformer_torch._products(torch.zeros(2, 3, dtype=torch.int8), torch.zeros(1, 3).long(), torch.float32)


def test_products_at_the_bounds_are_exact() -> None:
    """The largest weights and inputs, of one sign, in rows as long as a span and longer."""
    for columns in (transformer_torch.SPAN, 3 * transformer_torch.SPAN + 7):
        weights = torch.full((2, columns), 127, dtype=torch.int8)
        weights[1] = -127
        for value in (32767, -32767, 255, -256):
            inputs = torch.full((1, columns), value)
            for carrier in (torch.float64, torch.float32):
                found = transformer_torch._products(weights, inputs, carrier)
                assert found.tolist() == [[127 * value * columns, -127 * value * columns]]


def test_a_header_names_weights_and_a_revision_alone(token_model: Path, wiki: bytes, tmp_path: Path) -> None:
    archive = compress(wiki, model=f"hf:{token_model}?context=64")
    header = list_members(io.BytesIO(archive))[0].header.metadata["model"]
    assert header == {
        "spec": f"hf:digest-{digest(token_model)}?device=cpu&dtype=auto&batch=16&context=64&stride=32&threads=1"
        "&lane=8192&arithmetic=exact",
        "numeric": "integer",
        "revision": 1,
        "environment": {"weights": digest(token_model)},
    }
    moved = shutil.copytree(token_model, tmp_path / "moved")
    assert decompress(archive, model=f"hf:{moved}?context=64") == wiki
    with pytest.raises(ModelMismatchError, match="was made with model=.*arithmetic=exact.*not.*arithmetic=float"):
        decompress(archive, model=f"hf:{moved}?context=64&arithmetic=float")
    tensors = tensors_of(moved / "model.safetensors")
    tensors["model.norm.weight"] *= 1.25
    safetensors.save_file(tensors, moved / "model.safetensors")
    digest.cache_clear()
    with pytest.raises(ModelMismatchError, match="was made with weights"):
        decompress(archive, model=f"hf:{moved}?context=64")


def test_archives_of_floats_are_still_of_floats(token_model: Path, wiki: bytes) -> None:
    """Once the arithmetic had no name, and was torch's."""
    archive = compress(wiki[:60], model=f"hf:{token_model}?context=64&arithmetic=float")
    assert decompress(archive, model=f"hf:{token_model}?context=64") == wiki[:60]
    header = list_members(io.BytesIO(archive))[0].header.metadata["model"]
    assert header["numeric"] == "environment"
    assert header["spec"].endswith("&arithmetic=float")


@pytest.mark.thorough
def test_it_costs_what_floats_cost(token_model: Path, wiki: bytes) -> None:
    models = [HuggingFace(str(token_model), context=64, arithmetic=kind, lane=8192) for kind in ("exact", "float")]
    sizes = [len(encode_block(model, wiki[:500])) for model in models]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.01)
    costs = [model.token_costs([wiki[:300]])[0].code_lengths.sum() for model in models]
    assert costs[0] == pytest.approx(costs[1], rel=0.02)


def test_a_state_gives_integers(token_model: Path, wiki: bytes) -> None:
    state = HuggingFace(str(token_model), context=64).begin(wiki[:50])
    cdf = state_cdf(state)
    assert cdf[-1] == 1 << 20
    assert np.abs(np.diff(cdf) / (1 << 20) - np.exp2(-state.code_lengths())).max() < 1e-4
    assert revision_of(HuggingFace(str(token_model))) == 1
    assert revision_of(HuggingFace(str(token_model), arithmetic="float")) is None


_SCRIPT = """
import sys
sys.modules["torch"] = sys.modules["transformers"] = None
from gencomp.equivalence.capabilities import encode_block, decode_block
from gencomp.registry import load
model, data = load(sys.argv[1]), sys.stdin.buffer.read()
payload = encode_block(model, data)
assert decode_block(model, payload, len(data)) == data
sys.stdout.buffer.write(payload)
"""


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({}, marks=pytest.mark.thorough),
        {"NUMBA_DISABLE_JIT": "1"},
        pytest.param({"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}, marks=pytest.mark.slow),  # compiles anew
    ],
)
def test_no_torch_no_compiler_and_no_vectors_change_nothing(
    token_model: Path, wiki: bytes, environment: dict[str, str], tmp_path: Path
) -> None:
    spec, data = f"hf:{token_model}?context=16&batch=2&lane=8", wiki[2000:2040]
    if "NUMBA_CPU_NAME" in environment:
        environment = environment | {"NUMBA_CACHE_DIR": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", _SCRIPT, spec],
        input=data,
        capture_output=True,
        env={"PATH": "", "PYTHONPATH": ":".join(sys.path)} | environment,
        check=False,
    )
    assert run.stderr == b""
    assert run.stdout == encode_block(as_predictor(spec), data)


# what is refused


def changed(path: Path, **more: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | more))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"model_type": "mamba"}, "its architecture is 'mamba'"),
        ({"logit_scale": 2.0}, "its option 'logit_scale' is not understood"),
        ({"hidden_act": "xielu"}, "its activation is 'xielu'"),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4, "factor": 2.0}}, "its rotations are scaled by"),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "beta": 2.0}}, "its option 'beta' is not"),
        ({"rms_norm_eps": 0.5}, "its epsilon is 0.5"),
        ({"rms_norm_eps": "small"}, "its option rms_norm_eps is 'small', expected a number"),
        ({"num_hidden_layers": 3}, "its tensor model.layers.2.self_attn.q_proj.weight is missing"),
        ({"num_hidden_layers": 1}, "it has the tensor 'model.layers.1.*', which llama does not use"),
        ({"num_hidden_layers": 10**9}, "its layers is 1000000000"),
        ({"hidden_size": 64}, "which does not hold the"),
        ({"vocab_size": 401}, "which does not hold the"),
        ({"intermediate_size": 65}, "which does not hold the"),
        ({"num_attention_heads": 0}, "it has 0 heads"),
        ({"head_dim": 10**12, "rope_parameters": LLAMA3}, "its head_size is 1000000000000"),
        ({"head_dim": 10**12, "rope_parameters": {"rope_type": "linear", "factor": 2.0}}, "its head_size is"),
        ({"hidden_size": 10**12}, "its width is 1000000000000"),
        ({"num_key_value_heads": 3}, "in 3 groups"),
        ({"head_dim": 17}, "it has 2 heads of 17 numbers"),
        ({"attention_bias": True}, "self_attn.q_proj.bias is missing"),
        ({"layer_types": ["sliding_attention", "full_attention"]}, "its layers are not all of full attention"),
        ({"num_hidden_layers": "2"}, "its option num_hidden_layers is '2', expected an integer"),
    ],
)
def test_a_configuration_that_is_not_understood_is_refused(
    llama: Path, options: dict[str, object], complaint: str
) -> None:
    changed(llama / "config.json", **options)
    with pytest.raises(TransformerError, match="cannot be computed exactly: .*" + complaint.replace("[", r"\[")):
        HuggingFace(str(llama), arithmetic="exact")
    if options.keys() & {"logit_scale", "rms_norm_eps"}:  # it is computed in floats then, where it can be
        assert HuggingFace(str(llama)).arithmetic == "float"


def test_tensors_that_are_odd_are_refused(llama: Path) -> None:
    path = llama / "model.safetensors"
    tensors = tensors_of(path)
    name = "model.layers.0.mlp.up_proj.weight"
    for change, complaint in (
        ({"surplus": torch.zeros(3)}, "it has the tensor 'surplus'"),
        ({name: torch.zeros(3, 3)}, "does not hold"),
        ({name: torch.zeros(64, 32, dtype=torch.int32)}, "is of type I32, expected one of F32, F16, BF16"),
    ):
        safetensors.save_file(tensors | change, path)
        with pytest.raises((TransformerError, ModelFolderError), match=complaint):
            HuggingFace(str(llama), arithmetic="exact")
    safetensors.save_file(tensors, path)
    blob = path.read_bytes()
    for damaged in (blob[:-1], blob[:100], b"", blob[:8] + b"x" + blob[9:]):
        path.write_bytes(damaged)
        with pytest.raises(ModelFolderError, match="cannot be read as a safetensors file"):
            HuggingFace(str(llama), arithmetic="exact")
    safetensors.save_file({**tensors, name: torch.full((64, 32), torch.nan)}, path)
    digest.cache_clear()
    with pytest.raises(TransformerError, match="layers.0.up has numbers that are not finite"):
        HuggingFace(str(llama), arithmetic="exact").encode_block(b"text")


def test_stored_types_are_read(llama: Path) -> None:
    path = llama / "model.safetensors"
    tensors = {name: tensor.to(torch.bfloat16) for name, tensor in tensors_of(path).items()}
    for kind in (torch.bfloat16, torch.float16, torch.float32):
        safetensors.save_file({name: tensor.to(kind) for name, tensor in tensors.items()}, path)
        source = HuggingFace(str(llama), arithmetic="exact")._exact_source
        assert source is not None
        for name, part in source.parts.items():
            if part.tensor in tensors:
                expected = tensors[part.tensor].float().numpy()
                assert (source.rows(name, 0, len(expected)) == expected).all()


def test_options_that_do_not_fit_are_refused(token_model: Path) -> None:
    for options, complaint in (
        ({"dtype": "bfloat16"}, "exact arithmetic has no dtype"),
        ({"context": 65}, "context must be from 2 to the model's 64 positions, got 65"),
        ({"context": 1}, "context must be from 2"),
        ({"context": 8, "stride": 8}, "stride must be from 1 to context - 1, which is 7, got 8"),
        ({"batch": 5000}, "batch must be from 1 to 4096"),
        ({"threads": 0}, "threads must be from 1 to 256"),
        ({"lane": 0}, "lane must be from 1 to"),
    ):
        with pytest.raises(ValueError, match=complaint):
            HuggingFace(str(token_model), arithmetic="exact", **options)  # type: ignore[arg-type]
    assert HuggingFace(str(token_model), dtype="bfloat16").arithmetic == "float"


def test_a_model_sees_no_further_than_its_window(token_model: Path, tmp_path: Path) -> None:
    spread_out(CONFIGS["mistral"]()).save_pretrained(tmp_path)
    assert exact(HuggingFace(str(tmp_path))).context == 48
    with pytest.raises(ValueError, match="context must be from 2 to the model's 48 positions, got 49"):
        HuggingFace(str(tmp_path), context=49)


def test_what_it_takes_is_told(token_model: Path) -> None:
    model = HuggingFace(str(token_model))
    small, large = model.block_cost(1000, 100), model.block_cost(1 << 20, 100)
    assert 0 < small.memory < large.memory
    assert 0 < small.work < large.work
    assert model.state_cost(100).step > 0
    assert model.fingerprint_cost().work == 0


def test_too_little_memory_is_told_before_anything_is_loaded(
    token_model: Path, wiki: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = f"hf:{token_model}?context=64"
    archive = compress(wiki[:200], model=spec)
    exact_lanes.loaded.cache_clear()
    monkeypatch.setattr(exact_lanes, "lean_network", lambda *arguments: pytest.fail("the network was made"))
    needed = HuggingFace(str(token_model), context=64).block_cost(200, 200).memory
    assert needed > 32 << 20  # what is held while a network is made
    with pytest.raises(BudgetError, match="memory"):
        compress(wiki[:200], model=spec, max_memory=32 << 20)
    with pytest.raises(BudgetError, match="memory"):
        decompress(archive, model=spec, max_memory=32 << 20)


def resident(place: Path) -> int:
    """Return how many KiB of a file this process holds in memory."""
    parts = Path("/proc/self/smaps").read_text().split(str(place))[1:]
    return sum(int(part.partition("Rss:")[2].split()[0]) for part in parts)


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="the system does not tell")
def test_files_are_let_go_when_the_network_is_made(llama: Path, wiki: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf_bytes(*as_gguf(llama)))
    for model, file in ((HuggingFace(str(llama)), llama / "model.safetensors"), (Gguf(str(path)), path)):
        source = exact(model).source
        before = source.rows("embedding", 0, 400)
        assert resident(file) > 16
        exact_lanes.loaded.cache_clear()
        model.encode_block(wiki[:100])
        assert resident(file) == 0
        assert (source.rows("embedding", 0, 400) == before).all()


# GGUF


def text_of(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def value_of(value: Any) -> bytes:
    """Return a value's type and bytes."""
    if isinstance(value, str):
        return struct.pack("<I", 8) + text_of(value)
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    items = [value_of(item) for item in value]
    return struct.pack("<I", 9) + items[0][:4] + struct.pack("<Q", len(items)) + b"".join(item[4:] for item in items)


def stored(array: np.ndarray, kind: str) -> bytes:
    """Return rows of numbers in a type of GGUF, rounded plainly."""
    if kind == "F32":
        return array.astype("<f4").tobytes()
    if kind == "F16":
        return array.astype("<f2").tobytes()
    if kind == "BF16":
        return (array.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
    blocks = array.reshape(-1, 32)
    if kind == "Q8_0":
        step = (np.abs(blocks).max(1, keepdims=True) / 127).astype("<f2")
        numbers = np.rint(blocks / np.maximum(step.astype(float), 1e-9)).astype(np.int8)
        return np.hstack([step.view(np.uint8), numbers.view(np.uint8)]).tobytes()
    low = blocks.min(1, keepdims=True)
    step, low = ((blocks.max(1, keepdims=True) - low) / 15).astype("<f2"), low.astype("<f2")  # Q4_1
    numbers = np.clip(np.rint((blocks - low) / np.maximum(step.astype(float), 1e-9)), 0, 15).astype(np.uint8)
    packed = numbers[:, :16] | numbers[:, 16:] << 4
    return np.hstack([step.view(np.uint8), low.view(np.uint8), packed]).tobytes()


def gguf_bytes(metadata: dict[str, Any], tensors: dict[str, tuple[np.ndarray, str]]) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    head += b"".join(text_of(key) + value_of(value) for key, value in metadata.items())
    body = b""
    for name, (array, kind) in tensors.items():
        head += text_of(name) + struct.pack("<I", array.ndim)
        head += struct.pack(f"<{array.ndim}Q", *array.shape[::-1]) + struct.pack("<IQ", TYPES[kind], len(body))
        body += stored(array, kind)
        body += bytes(-len(body) % 32)
    return head + bytes(-len(head) % 32) + body


GGUF_NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def as_gguf(folder: Path, kind: str = "F32") -> tuple[dict[str, Any], dict[str, tuple[np.ndarray, str]]]:
    """Return what a GGUF file of a Llama folder holds: pairs that turn together lie side by side there."""
    config = json.loads((folder / "config.json").read_text())
    heads, groups, size = config["num_attention_heads"], config["num_key_value_heads"], config["head_dim"]
    tensors: dict[str, tuple[np.ndarray, str]] = {}
    for name, tensor in tensors_of(folder / "model.safetensors").items():
        array = tensor.float().numpy()
        if name == "model.embed_tokens.weight":
            own = "token_embd.weight"
        elif name == "model.norm.weight":
            own = "output_norm.weight"
        else:
            _, _, layer, *rest, end = name.split(".")
            own = f"blk.{layer}.{GGUF_NAMES['.'.join(rest)]}.{end}"
            for part, count in (("attn_q.", heads), ("attn_k.", groups)):
                if part in own:
                    array = array.reshape(count, 2, size // 2, -1).swapaxes(1, 2).reshape(array.shape)
        tensors[own] = (array, kind if array.ndim == 2 else "F32")
    told = json.loads((folder / "tokenizer.json").read_text())
    tokens = sorted(told["model"]["vocab"], key=told["model"]["vocab"].__getitem__)
    special = {token["content"] for token in told["added_tokens"]}
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in told["model"]["merges"]]
    metadata = {
        "general.architecture": "llama",
        "llama.block_count": config["num_hidden_layers"],
        "llama.context_length": config["max_position_embeddings"],
        "llama.embedding_length": config["hidden_size"],
        "llama.feed_forward_length": config["intermediate_size"],
        "llama.attention.head_count": heads,
        "llama.attention.head_count_kv": groups,
        "llama.attention.layer_norm_rms_epsilon": config["rms_norm_eps"],
        "llama.rope.dimension_count": size,
        "llama.rope.freq_base": 10000.0,
        "llama.vocab_size": config["vocab_size"],
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3 if token in special else 1 for token in tokens],
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": 0,
    }
    return metadata, tensors


@pytest.fixture(scope="session")
def gguf_model(token_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gguf") / "model.gguf"
    path.write_bytes(gguf_bytes(*as_gguf(token_model)))
    return path


def test_a_gguf_file_is_the_folders_model(token_model: Path, gguf_model: Path, wiki: bytes) -> None:
    there, here = HuggingFace(str(token_model), context=32), Gguf(str(gguf_model), context=32)
    (text,) = texts(400, 60)
    found: list[list[np.ndarray]] = []
    for model in (there, here):
        rows: list[np.ndarray] = []
        exact(model).windows(text, lambda first, logits, rows=rows: rows.append(logits.copy()))  # type: ignore[misc]
        found.append(rows)
    assert (np.concatenate(found[0]) == np.concatenate(found[1])).all()
    for data in (wiki, b"", b"\xff\x00<|endoftext|>", bytes(range(256)), "日本 é".encode()):
        payload = encode_block(here, data)
        assert decode_block(here, payload, len(data)) == data
    assert len(encode_block(here, wiki)) == pytest.approx(len(encode_block(there, wiki)), rel=0.01)


def test_archives_of_gguf_files_decode_wherever_they_are(gguf_model: Path, wiki: bytes, tmp_path: Path) -> None:
    archive = compress(wiki, model=f"gguf:{gguf_model}?context=32")
    assert len(archive) < 0.6 * len(wiki)
    moved = Path(shutil.copy(gguf_model, tmp_path / "moved.gguf"))
    assert decompress(archive, model=f"gguf:{moved}?context=32") == wiki
    with pytest.raises(ModelMismatchError, match="it opens nothing on disk by itself"):
        decompress(archive)
    blob = bytearray(moved.read_bytes())
    blob[-40] ^= 1
    moved.write_bytes(blob)
    with pytest.raises(ModelMismatchError, match="was made with weights"):
        decompress(archive, model=f"gguf:{moved}?context=32")


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q8_0", "Q4_1"])
def test_stored_kinds_are_near(token_model: Path, kind: str, tmp_path: Path, wiki: bytes) -> None:
    (tmp_path / "m.gguf").write_bytes(gguf_bytes(*as_gguf(token_model, kind)))
    size = len(encode_block(Gguf(str(tmp_path / "m.gguf"), context=32), wiki[:1500]))
    expected = len(encode_block(HuggingFace(str(token_model), context=32), wiki[:1500]))
    assert size == pytest.approx(expected, rel=0.15 if kind == "Q4_1" else 0.02)


def test_blocks_are_what_their_format_says() -> None:
    """Numbers by the formats' definitions, one at a time."""
    rng = np.random.default_rng(0)

    def half(block: np.ndarray, at: int) -> np.float32:
        return np.float32(block[at : at + 2].view("<f2")[0])

    def nibble(block: np.ndarray, at: int, k: int) -> int:
        return int(block[at + k % 16]) >> 4 * (k // 16) & 15

    def six_bits(block: np.ndarray, j: int) -> tuple[int, int]:
        packed = block[4:16].astype(int)
        if j < 4:
            return packed[j] & 63, packed[j + 4] & 63
        return (packed[j + 4] & 15) | (packed[j - 4] >> 6) << 4, (packed[j + 4] >> 4) | (packed[j] >> 6) << 4

    def by_definition(kind: str, block: np.ndarray, k: int) -> np.float32:
        one = np.float32
        if kind in ("Q4_0", "Q4_1"):
            number = nibble(block, 2 if kind == "Q4_0" else 4, k)
            return one(number - 8) * half(block, 0) if kind == "Q4_0" else one(number) * half(block, 0) + half(block, 2)
        if kind in ("Q5_0", "Q5_1"):
            at = 2 if kind == "Q5_0" else 4
            number = nibble(block, at + 4, k) | (int(block[at + k // 8]) >> k % 8 & 1) << 4
            return (
                one(number - 16) * half(block, 0) if kind == "Q5_0" else one(number) * half(block, 0) + half(block, 2)
            )
        if kind == "Q8_0":
            return one(block[2 + k].view(np.int8)) * half(block, 0)
        if kind in ("Q4_K", "Q5_K"):
            j, within = k // 32, k % 32
            number = int(block[(16 if kind == "Q4_K" else 48) + k // 64 * 32 + within]) >> 4 * (j % 2) & 15
            number |= 0 if kind == "Q4_K" else (int(block[16 + within]) >> j & 1) << 4
            scale, least = six_bits(block, j)
            return half(block, 0) * one(scale) * one(number) - half(block, 2) * one(least)
        part, quarter, within = k // 128, k % 128 // 32, k % 32
        low = int(block[64 * part + 32 * (quarter % 2) + within]) >> 4 * (quarter // 2) & 15
        high = int(block[128 + 32 * part + within]) >> 2 * quarter & 3
        scale = block[192 + k // 16].view(np.int8)
        return one(scale) * half(block, 208) * one((low | high << 4) - 32)

    for kind in gguf_file._TYPES.values():
        if kind.size == 1:
            continue
        blocks = rng.integers(0, 256, (3, kind.num_bytes)).astype(np.uint8)
        blocks[:, 1] &= 0x3F  # numbers that are finite, wherever they are
        blocks[:, 3] &= 0x3F
        blocks[:, -1] &= 0x3F
        found = kind.unpack(blocks)
        for block, row in zip(blocks, found, strict=True):
            expected = [by_definition(kind.name, block, k) for k in range(kind.size)]
            assert row.tolist() == np.array(expected, np.float32).tolist(), kind.name


GgufParts = tuple[dict[str, Any], dict[str, tuple[np.ndarray, str]]]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"general.architecture": "mamba"}, "its architecture is 'mamba'"),
        ({"llama.expert_count": 4}, "its option 'expert_count' is not understood"),
        ({"llama.rope.scaling.type": "yarn"}, "its option rope.scaling.type is 'yarn'"),
        ({"llama.block_count": 1}, "it has the tensor 'blk.1.*', which llama does not use"),
        ({"llama.block_count": 3}, "its tensor blk.2.attn_q.weight is missing"),
        ({"llama.embedding_length": 64}, "does not hold"),
        ({"llama.attention.head_count": 0}, "0 heads"),
        ({"llama.rope.dimension_count": 7}, "7 of 16 numbers"),
        ({"llama.attention.layer_norm_rms_epsilon": "no"}, "expected a number"),
        ({"tokenizer.ggml.model": "wordpiece"}, "the file's tokenizer is of the kind 'wordpiece'"),
        ({"tokenizer.ggml.pre": "mine"}, "the file's pre-tokenizer is 'mine'"),
        ({"tokenizer.ggml.tokens": ["a", "a"]}, "has a token twice"),
        ({"tokenizer.ggml.tokens": ["a", "b"]}, "must have a type for each token"),
        ({"tokenizer.ggml.merges": ["a never-a-token"]}, "one of the two, or the result, is not a token"),
        ({"tokenizer.ggml.tokens": [1, 2]}, "is not a list of texts"),
    ],
)
def test_metadata_that_are_not_understood_are_refused(
    token_model: Path, tmp_path: Path, change: dict[str, Any], complaint: str
) -> None:
    metadata, tensors = as_gguf(token_model)
    (tmp_path / "m.gguf").write_bytes(gguf_bytes(metadata | change, tensors))
    with pytest.raises((TransformerError, ModelFolderError), match=complaint):
        _ = Gguf(str(tmp_path / "m.gguf")).code


def test_damaged_files_are_refused_at_once(gguf_model: Path, tmp_path: Path) -> None:
    blob = gguf_model.read_bytes()
    path = tmp_path / "m.gguf"

    def refuse(content: bytes, complaint: str) -> None:
        path.write_bytes(content)
        with pytest.raises(ModelFolderError, match=complaint):
            read_gguf(path)

    refuse(b"", "is empty")
    refuse(b"GGML" + blob[4:], "it does not begin with GGUF")
    refuse(blob[:4] + struct.pack("<I", 9) + blob[8:], "its version is 9")
    refuse(blob[:8] + struct.pack("<Q", 1 << 60) + blob[16:], "it claims 1,152,921,504,606,846,976 tensors")
    refuse(blob[:16] + struct.pack("<Q", 1 << 60) + blob[24:], "it claims .* values")
    refuse(blob[:-64], "within the file")
    refuse(blob[:3000], "beyond its end|within the file")
    for count in range(1, 400, 7):
        refuse(blob[:count], "cannot be read as a GGUF file")
    key = text_of("general.architecture")
    at = blob.index(key) + len(key)
    refuse(blob[:at] + struct.pack("<I", 77) + blob[at + 4 :], "a value of the unknown type 77")
    refuse(blob[:at] + struct.pack("<IIQ", 9, 0, 1 << 60) + blob[at + 16 :], "beyond its end")
    refuse(blob[:at] + struct.pack("<IIQ", 9, 8, 1 << 60) + blob[at + 16 :], "it claims .* texts")
    name = text_of("output_norm.weight")
    at = blob.index(name) + len(name)
    refuse(blob[:at] + struct.pack("<I", 5) + blob[at + 4 :], "has 5 dimensions")
    refuse(blob[: at + 12] + struct.pack("<I", 99) + blob[at + 16 :], "is of the type 99; known are F32")
    refuse(blob[: at + 12] + struct.pack("<I", 10) + blob[at + 16 :], "is of the type 10")
    refuse(blob[: at + 16] + struct.pack("<Q", 1 << 62) + blob[at + 24 :], "within the file")
    refuse(blob[: at + 16] + struct.pack("<Q", 3) + blob[at + 24 :], "at 3; expected a multiple of 32")
    with pytest.raises(ModelFolderError, match="cannot be read"):
        read_gguf(tmp_path / "nothing.gguf")
    with pytest.raises(ModelFolderError, match="is a folder"):
        read_gguf(tmp_path)
