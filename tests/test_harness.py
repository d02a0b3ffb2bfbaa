"""The model of lm-evaluation-harness, alone and under the harness's own command line."""

import json
import math
import os
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest

from gencomp.equivalence.adapt import as_predictor

with warnings.catch_warnings():  # of other packages, while they are imported
    warnings.simplefilter("ignore")
    from gencomp.harness import HarnessModel, _with_whole_specs, parse_arguments

PLACES = [
    {"question": "the cat sat on the mat; the cat sat on the", "choices": [" mat;", " dog;"], "answer": 0},
    {"question": "one two three four one two three", "choices": [" five", " four"], "answer": 1},
]
TASKS = {
    "choice": {
        "output_type": "multiple_choice",
        "doc_to_text": "{{question}}",
        "doc_to_choice": "choices",
        "doc_to_target": "answer",
        "metric_list": [{"metric": "acc"}],
    },
    "text": {
        "output_type": "loglikelihood_rolling",
        "doc_to_text": "",
        "doc_to_target": "{{question}}",
        "metric_list": [{"metric": "bits_per_byte"}],
    },
    "generation": {
        "output_type": "generate_until",
        "doc_to_text": "{{question}}",
        "doc_to_target": "{{choices[answer]}}",
        "generation_kwargs": {"until": ["\n", ";"], "max_gen_toks": 5, "do_sample": False},
        "metric_list": [{"metric": "exact_match"}],
    },
}


def requests(*arguments: tuple[object, ...]) -> list[SimpleNamespace]:
    return [SimpleNamespace(args=argument) for argument in arguments]


def nats(spec: str, context: bytes, text: bytes) -> float:
    state, bits = as_predictor(spec).begin(context), 0.0
    for symbol in text:
        bits += float(state.code_lengths()[symbol])
        state.update(symbol)
    return -bits * math.log(2)


def test_log_likelihoods() -> None:
    model = HarnessModel(compressor="counts:2")
    (good, greedy), (bad, unlikely) = model.loglikelihood(requests(("abcabcab", "ca"), ("abcabcab", "é")))
    assert good == pytest.approx(nats("counts:2", b"abcabcab", b"ca"))
    assert bad == pytest.approx(nats("counts:2", b"abcabcab", "é".encode()))
    assert (greedy, unlikely) == (True, False)
    (rolling,) = model.loglikelihood_rolling(requests(("abcabcab",)))
    assert rolling == pytest.approx(nats("counts:2", b"", b"abcabcab"))


def test_a_shorter_context() -> None:
    model = HarnessModel(compressor="counts:2", context="3")
    ((likelihood, _),) = model.loglikelihood(requests(("abcabcab", "c")))
    assert likelihood == pytest.approx(nats("counts:2", b"cab", b"c"))


def test_generation_stops() -> None:
    model = HarnessModel(compressor="counts:2")
    texts = model.generate_until(
        requests(("abc.abc.ab", {"until": ["."], "max_gen_toks": 9}), ("abcabcab", {"max_gen_toks": 4}))
    )
    assert texts == ["c", "cabc"]
    sampled = [HarnessModel(compressor="uniform", seed=3)._generate("a", {"temperature": 1.0}) for _ in range(2)]
    assert sampled[0] == sampled[1] != ""


def drawn(options: dict[str, object], spec: str = "counts:2", context: str = "abcabcab", seed: int = 0) -> str:
    return HarnessModel(compressor=spec, seed=seed)._generate(context, options)


@pytest.mark.parametrize("name", ["max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens"])
def test_a_generation_has_the_length_that_is_asked_for(name: str) -> None:
    assert drawn({name: 4}) == "cabc"
    assert drawn({name: 0}) == ""
    assert drawn({"max_length": 10, name: 3}) == "cab"
    assert drawn({"max_length": 10}) == "ca"
    assert drawn({"max_gen_toks": 2, "max_new_tokens": 4}) == "ca"  # the harness's precedence


def test_a_generation_samples_where_it_is_asked_to() -> None:
    flat = {"max_gen_toks": 200}
    sampled = drawn(flat | {"do_sample": True}, "uniform")
    assert sampled == drawn(flat | {"temperature": 1.0}, "uniform")
    assert len(set(sampled)) > 50
    assert drawn(flat | {"do_sample": False, "temperature": 1.0}, "uniform") == "\0" * 200
    assert drawn(flat | {"do_sample": True, "temperature": 0.0}, "uniform") == "\0" * 200
    assert set(drawn(flat | {"do_sample": True, "top_k": 2}, "uniform")) == {"\0", "\1"}
    assert set(drawn(flat | {"do_sample": True, "top_p": 2 / 256}, "uniform")) <= {"\0", "\1", "\2"}
    assert len(set(drawn(flat | {"do_sample": True, "top_k": 0}, "uniform"))) > 50


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"max_gen_tokens": 4}, "a generation has no max_gen_tokens here; its options are max_gen_toks, max_new"),
        ({"num_beams": 4}, "num_beams must be 1, got 4"),
        ({"max_tokens": "many"}, "max_tokens must be an integer of at least 0, got 'many'"),
        ({"max_new_tokens": -1}, "max_new_tokens must be an integer of at least 0, got -1"),
        ({"do_sample": True, "temperature": -1.0, "top_p": 2.0}, None),
        ({"do_sample": True, "top_p": 2.0}, "top_p must be above 0 and at most 1"),
    ],
)
def test_generations_that_cannot_be_meant(options: dict[str, object], complaint: str | None) -> None:
    if complaint is None:
        assert drawn(options | {"max_tokens": 2}) == "ca"
        return
    with pytest.raises(ValueError, match=complaint):
        drawn(options)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("compressor=gzip", {"compressor": "gzip"}),
        ("compressor=ensemble:gzip,counts:2", {"compressor": "ensemble:gzip,counts:2"}),
        (
            "seed=3,compressor=ensemble:gzip+level=6,mix?x=1,context=9",
            {"seed": "3", "compressor": "ensemble:gzip+level=6,mix?x=1", "context": "9"},
        ),
        ("compressor='counts:2', seed=1", {"compressor": "counts:2", "seed": "1"}),
    ],
)
def test_arguments_with_commas(text: str, expected: dict[str, str]) -> None:
    assert parse_arguments(text) == expected


def test_a_spec_with_members_is_evaluated_whole() -> None:
    whole = HarnessModel.create_from_arg_string("compressor=ensemble:uniform,counts:2,seed=1", {"batch_size": 1})
    assert whole.loglikelihood_rolling(requests(("abcabcab",))) == HarnessModel(
        "ensemble:uniform,counts:2"
    ).loglikelihood_rolling(requests(("abcabcab",)))
    assert whole.loglikelihood_rolling(requests(("abcabcab",))) != HarnessModel("uniform").loglikelihood_rolling(
        requests(("abcabcab",))
    )
    assert _with_whole_specs(
        ["run", "--model", "gencomp", "--model_args", "compressor=ensemble:gzip,counts:2", "seed=1", "--tasks", "a,b"]
    ) == [
        *("run", "--model", "gencomp", "--model_args"),
        '{"measure": "bytes", "compressor": "ensemble:gzip,counts:2", "seed": "1"}',
        *("--tasks", "a,b"),
    ]
    assert json.loads(_with_whole_specs(["--model=gencomp", "--model_args=compressor=gzip,measure=tokens"])[2]) == {
        "compressor": "gzip",
        "measure": "tokens",
    }
    for other in (["--model", "hf", "--model_args", "a=b,c"], ["-M", "gencomp", "-a", '{"compressor": "gzip"}']):
        assert _with_whole_specs(other) == other


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("compresor=mix", "compresor"),
        ("gzip", "expected key=value, such as compressor=gzip, got 'gzip'"),
        ("compressor=gzip,context=many", "context must be an integer of at least 0, got 'many'"),
        ("compressor=gzip,context=-3", "context must be an integer of at least 0, got '-3'"),
        ("compressor=gzip,seed=a", "seed must be an integer"),
        ("compressor=gzip,compressor=bz2", "the argument compressor is given twice"),
        ("compressor=gzip,measure=words", "measure must be bytes or tokens, got 'words'"),
        ("compressor=gzip,measure=tokens", "measure=tokens needs a model of tokens, such as hf:FOLDER; gzip has none"),
        ("compressor=gzip,counts:2", "unknown|gzip"),
    ],
)
def test_arguments_that_cannot_be_meant(arguments: str, complaint: str) -> None:
    with pytest.raises((ValueError, TypeError), match=complaint):
        HarnessModel.create_from_arg_string(arguments)


def test_the_harness_keeps_its_own_models() -> None:
    code = "import gencomp.harness, lm_eval.api.registry as r; print(r.get_model('dummy'), r.get_model('gencomp'))"
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False, env=dict(os.environ)
    )
    assert run.returncode == 0, run.stderr[-500:]
    assert "DummyLM" in run.stdout
    assert "HarnessModel" in run.stdout


@pytest.mark.slow
def test_the_harness_evaluates_gzip(tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(place) + "\n" for place in PLACES))
    common = {"dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(tmp_path / "data.jsonl")}}}
    for name, task in TASKS.items():
        full = {"task": f"gencomp_{name}", "test_split": "test", "metadata": {"version": 1.0}} | common | task
        (tmp_path / f"{name}.yaml").write_text(json.dumps(full))  # JSON is YAML
    command = ["run", "--model", "gencomp", "--model_args", "compressor=gzip", "--include_path", str(tmp_path)]
    command += ["--output_path", str(tmp_path / "out")]
    subprocess.run(
        [sys.executable, "-m", "gencomp.harness", *command, "--tasks", ",".join(f"gencomp_{name}" for name in TASKS)],
        capture_output=True,
        text=True,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_DATASETS_CACHE": str(tmp_path / "c")},
        check=True,
    )
    (results,) = (tmp_path / "out").rglob("results_*.json")
    found = json.loads(results.read_text())["results"]
    assert found["gencomp_choice"]["acc,none"] == 1.0
    options = TASKS["generation"]["generation_kwargs"]
    drawn = HarnessModel("gzip").generate_until(requests(*((place["question"], options) for place in PLACES)))
    right = [text == place["choices"][place["answer"]] for text, place in zip(drawn, PLACES, strict=True)]
    assert found["gencomp_generation"]["exact_match,none"] == sum(right) / len(right)
    total = sum(len(place["question"]) for place in PLACES)
    bits = -sum(nats("gzip", b"", place["question"].encode()) for place in PLACES) / math.log(2)
    assert found["gencomp_text"]["bits_per_byte,none"] == pytest.approx(bits / total, abs=1e-3)
