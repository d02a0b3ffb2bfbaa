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
    from gencomp.harness import HarnessModel

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
