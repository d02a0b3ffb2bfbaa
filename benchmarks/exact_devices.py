"""A language model's integers on a torch device: whether they equal the kernels', and their speed against floats.

    python benchmarks/exact_devices.py MODEL.gguf --device cuda --text TEXT [--tokens 600] [--lanes 1 16 64 256]

MODEL is a GGUF file of the Llama family. First the logits of the kernels and of the device are compared, for the first
--tokens tokens of TEXT and for both types that carry products; the exit code is 1 if any differ. Then come tokens a
second by the clock, medians of --repeats: 8 windows of 1,024 tokens, and steps of --lanes lanes, in integers and in
torch's own floats with the same weights.
"""

import argparse
import functools
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

from exact import in_floats

from gencomp.predictors.language.exact import ExactModel
from gencomp.predictors.language.exact_torch import network_on
from gencomp.predictors.language.forward import Forward
from gencomp.predictors.language.gguf import Gguf

WINDOWS, WINDOW = 8, 1024


def rate(work: Callable[[], object], count: int, repeats: int) -> float:
    """Return the median tokens a second by the clock."""
    found = []
    for _ in range(repeats + 1):  # the first one warms up
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        found.append(count / (time.perf_counter() - start))
    return statistics.median(found[1:])


def compare(model: ExactModel, device: str, carrier: str, text: np.ndarray, expected: np.ndarray) -> int:
    """Return how many logits of ``text`` differ from ``expected``."""
    network = model.torch_network
    network.carrier = getattr(torch, carrier)
    with torch.inference_mode():
        tokens = torch.tensor([[model.start, *text[:-1].tolist()]], device=device)
        streams = network.read(network.new_cache(1, len(text)), tokens, 0)
        found = np.concatenate([network.logits(part).cpu().numpy() for part in streams[0].split(256)])
    return int((found != expected).sum())


def steps(model: ExactModel, rows: np.ndarray) -> None:
    lockstep = model.begin(len(rows))
    for column in rows.T[1:]:
        lockstep.feed(column)


def float_steps(forward: Forward, device: str, rows: np.ndarray) -> None:
    with torch.inference_mode():
        memory = forward.begin(rows.shape[1])
        for column in rows.T:
            memory.read(torch.from_numpy(column[:, None].copy()).to(device))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--tokens", type=int, default=600)
    parser.add_argument("--lanes", nargs="*", type=int, default=[1, 16, 64, 256])
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    predictor = Gguf(str(options.model), context=2048)
    kernels = predictor.network
    model = replace(kernels, torch_device=options.device)
    name = torch.cuda.get_device_name() if options.device == "cuda" else options.device
    symbols = predictor.code.encode(options.text.read_bytes()[: 8 * options.tokens])
    text = symbols[symbols < kernels.vocabulary_size][: options.tokens]
    found: list[np.ndarray] = []
    start = time.perf_counter()
    kernels.windows(text, lambda first, logits: found.append(logits.copy()))
    print(f"{len(text) / (time.perf_counter() - start):.0f} tokens a second by the kernels, one thread", flush=True)
    different = {c: compare(model, options.device, c, text, np.concatenate(found)) for c in ("float64", "float32")}
    print(f"{name}: of {len(text)} x {kernels.vocabulary_size} logits, different from the kernels': {different}")
    rng = np.random.default_rng(0)
    texts = [rng.integers(0, kernels.vocabulary_size, WINDOW) for _ in range(WINDOWS)]
    floats = in_floats(kernels).to(options.device)

    def windows_in_floats(dtype: torch.dtype) -> None:
        with torch.inference_mode(), torch.autocast("cuda", dtype=dtype, enabled=dtype != torch.float32):
            for rows in np.array_split(np.stack(texts), 4):
                logits = floats(input_ids=torch.from_numpy(rows).to(options.device)).logits
                torch.logsumexp(logits.float(), -1).cpu()

    for carrier in ("float64", "float32"):
        model.torch_network.carrier = getattr(torch, carrier)
        work = functools.partial(model.sequence_costs, texts)
        print(f"windows, {carrier} carries: {rate(work, WINDOWS * WINDOW, options.repeats):.0f}", flush=True)
    for dtype in (torch.float32, torch.bfloat16):
        work = functools.partial(windows_in_floats, dtype)
        print(f"windows, in {dtype}: {rate(work, WINDOWS * WINDOW, options.repeats):.0f}", flush=True)
    network_on.cache_clear()
    forward = Forward(floats)
    for lanes in options.lanes:
        rows = rng.integers(0, kernels.vocabulary_size, (lanes, options.steps))
        exact = rate(functools.partial(steps, model, rows), rows.size, options.repeats)
        other = rate(functools.partial(float_steps, forward, options.device, rows), rows.size, options.repeats)
        print(f"steps of {lanes} lanes: {exact:.0f}, in floats {other:.0f}", flush=True)
    if any(different.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
