"""Compare the logits of a language model in integers, row by row, computed in many ways.

    python benchmarks/identity.py [--seeds 3] [--positions 96] [--model FILE.gguf] [--only WORD ...]
        [--run 'NAME=COMMAND' ...]

Small models of each family, with random weights, read the same texts in whole windows and in steps of 1, 7 and 64
lanes, on one thread and on several, in this environment and in others: with libraries limited to lower instruction
sets, a compiler without vector instructions, without torch and transformers. A few rows are also computed by the
definition, in numpy's int64. Each environment is a process that makes its own networks; the digests of its rows are
compared with the first one's. With ``--model``, 224 rows of the model in that file are compared, too, in windows and in
steps, on one thread and on several. ``--run`` adds a command that starts an interpreter, such as one for another
processor in an emulator: docs/MODELS.md shows how.
"""

import argparse
import hashlib
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
LANES, POSITIONS = 64, 96  # at most
WIDE_VECTORS = "-avx,-avx2,-fma,-f16c,-avx512f,-avx512bw,-avx512vl,-avx512dq,-avx512cd,-avx512vnni,-avxvnni"
ENVIRONMENTS: dict[str, dict[str, str]] = {
    "as it is": {},
    "numba": {"GENCOMP_KERNELS": "numba"},
    "ATEN_CPU_CAPABILITY=default": {"ATEN_CPU_CAPABILITY": "default"},
    "ATEN_CPU_CAPABILITY=avx2": {"ATEN_CPU_CAPABILITY": "avx2"},
    "OpenBLAS and oneDNN held back": {"OPENBLAS_CORETYPE": "Prescott", "ONEDNN_MAX_CPU_ISA": "SSE41"},
    "no torch": {"IDENTITY_WITHOUT": "torch transformers"},
    "generic processor": {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
    "no AVX": {"NUMBA_CPU_FEATURES": WIDE_VECTORS},
}


def digests(logits: np.ndarray) -> np.ndarray:
    """Return a digest of 64 bits for each row of ``logits`` (..., V): uint64 (...)."""
    rows = np.ascontiguousarray(logits).reshape(-1, logits.shape[-1])
    found = [hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in rows]
    return np.frombuffer(b"".join(found), dtype="<u8").reshape(logits.shape[:-1])


def in_windows(network: object, texts: np.ndarray, helpers: int) -> np.ndarray:
    """Return the digest of each row, (lanes, positions): each text on its own, 32 positions in a pass."""
    from gencomp.inference.transformer import VOCABULARY, Runner, new_cache

    lanes, positions = texts.shape
    runner = Runner(network, 32, positions, helpers)
    logits = np.zeros((32, int(network.sizes[VOCABULARY])), np.int32)
    found = np.zeros(texts.shape, np.uint64)
    for lane in range(lanes):
        cache = new_cache(network, 1, positions)
        for first in range(0, positions, 32):
            places = np.arange(first, min(positions, first + 32))
            runner.run(cache, texts[lane, places], np.zeros(len(places), np.int64), places, 0, logits[: len(places)])
            found[lane, places] = digests(logits[: len(places)])
    return found


def in_steps(network: object, texts: np.ndarray, width: int, helpers: int) -> np.ndarray:
    """Return the same for ``width`` texts side by side, a position at a time."""
    from gencomp.inference.transformer import VOCABULARY, Runner, new_cache

    lanes, positions = texts.shape
    runner = Runner(network, width, positions, helpers)
    logits = np.zeros((width, int(network.sizes[VOCABULARY])), np.int32)
    found = np.zeros(texts.shape, np.uint64)
    for first in range(0, lanes, width):
        part = texts[first : first + width]
        cache, own = new_cache(network, len(part), positions), np.arange(len(part))
        for position in range(positions):
            places = np.full(len(part), position)
            runner.run(cache, np.ascontiguousarray(part[:, position]), own, places, 0, logits[: len(part)])
            found[first : first + width, position] = digests(logits[: len(part)])
    return found


def compared(name: str, found: np.ndarray, expected: np.ndarray, what: list[int]) -> None:
    """Add the rows, and those that differ, to the counts ``what``; report a way that differs."""
    different = int((found != expected).sum())
    what[0] += found.size
    what[1] += different
    if different:
        print(f"  {name}: {different} of {found.size} rows DIFFER", flush=True)


def check(seeds: int, positions: int, model: Path | None, out: Path) -> int:
    """Compare ways in this process; write the rows' digests to ``out``. Return how many rows differ."""
    for name in os.environ.get("IDENTITY_WITHOUT", "").split():
        sys.modules[name] = None  # type: ignore[assignment]
    from gencomp import compiled, cores
    from gencomp.inference import transformer
    from gencomp.inference.transformer import new_cache, new_scratch, run
    from gencomp.inference.transformer_weights import new_network
    from tests.transformers import FORMS, Tensors, integer_logits

    transformer._LEAST_PRODUCTS = 0  # so that threads share even such small passes
    cores.usable_cores = lambda: 4
    counts, kept = [0, 0], []
    for seed in range(seeds):
        for name, form in FORMS.items():
            network = new_network(form, Tensors(form, seed=seed, spread=1.0 + 3 * seed), POSITIONS)
            texts = np.random.default_rng(seed).integers(0, form.vocabulary, (LANES, POSITIONS))[:, :positions]
            expected = in_windows(network, texts, 0)
            kept.append(expected.reshape(-1))
            ways = {
                "windows, four threads": lambda: in_windows(network, texts, 3),  # noqa: B023
                "steps, 1 lane": lambda: in_steps(network, texts, 1, 0),  # noqa: B023
                "steps, 7 lanes, two threads": lambda: in_steps(network, texts, 7, 1),  # noqa: B023
                "steps, 64 lanes": lambda: in_steps(network, texts, 64, 0),  # noqa: B023
                "steps, 64 lanes, four threads": lambda: in_steps(network, texts, 64, 3),  # noqa: B023
            }
            for way, compute in ways.items():
                compared(f"{name}, {way}", compute(), expected, counts)
            tokens = texts[0, :8].copy()
            logits = np.zeros((len(tokens), form.vocabulary), np.int32)
            lanes, places = np.zeros(len(tokens), np.int64), np.arange(len(tokens))
            run(network, new_scratch(network, 8, 8), new_cache(network, 1, 8), tokens, lanes, places, 0, logits)
            definition = integer_logits(network, form, tokens.tolist())
            compared(f"{name}, definition", digests(np.asarray(definition, np.int32)), digests(logits), counts)
    if model is not None:
        kept.append(check_file(model, counts).reshape(-1))
    np.save(out, np.concatenate(kept))
    print(f"  kernels: {compiled.described()}; {counts[0]:,} rows in other ways, {counts[1]} differ", flush=True)
    return counts[1]


def check_file(path: Path, counts: list[int]) -> np.ndarray:
    """Compare ways for 224 rows of a real model, whose digests are returned; count into ``counts``."""
    from gencomp.predictors.language.gguf import Gguf

    loaded = Gguf(str(path), context=64).network.loaded
    network = loaded.network._replace(embedding=loaded.embedding.table())
    texts = np.random.default_rng(0).integers(0, loaded.source.form.vocabulary, (7, 32))
    expected = in_windows(network, texts, 0)
    for way, found in (
        ("windows, two threads", in_windows(network, texts, 1)),
        ("steps, 1 lane, two threads", in_steps(network, texts, 1, 1)),
        ("steps, 7 lanes", in_steps(network, texts, 7, 0)),
        ("steps, 7 lanes, four threads", in_steps(network, texts, 7, 3)),
    ):
        compared(f"{path.name}, {way}", found, expected, counts)
    return expected


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--positions", type=int, default=POSITIONS, choices=range(1, POSITIONS + 1), metavar="N")
    parser.add_argument("--run", nargs="+", default=[], metavar="NAME=COMMAND", help="commands that start interpreters")
    parser.add_argument("--model", type=Path, help="a GGUF file to check, too")
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="environments with this in their names")
    parser.add_argument("--check", type=Path, help="check in this process, and write digests to this file")
    options = parser.parse_args()
    if options.check is not None:
        return int(check(options.seeds, options.positions, options.model, options.check) > 0)
    jobs = [(name, [sys.executable], environment) for name, environment in ENVIRONMENTS.items()]
    if options.only:
        jobs = [job for job in jobs if any(word in job[0] for word in options.only)]
    jobs += [(name, shlex.split(command), {}) for name, _, command in (text.partition("=") for text in options.run)]
    wrong, first = 0, None
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, command, environment) in enumerate(jobs):
            print(f"{name}:", flush=True)
            start, out = time.perf_counter(), Path(folder) / f"{number}.npy"
            settings = {"PYTHONPATH": str(ROOT)} | environment
            if command != [sys.executable] or any(key.startswith("NUMBA_") for key in environment):
                settings["NUMBA_CACHE_DIR"] = str(Path(folder) / name)
            asked = [str(Path(__file__).resolve()), "--check", str(out), "--seeds", str(options.seeds)]
            asked += ["--positions", str(options.positions)]
            asked += ["--model", str(options.model.resolve())] if options.model is not None else []
            code = subprocess.run([*command, *asked], env=os.environ | settings, check=False).returncode
            wrong += code
            if not out.exists():
                print(f"  it ended with {code}", flush=True)
                continue
            rows = np.load(out)
            first = rows if first is None else first
            different = int((rows != first).sum())
            wrong += different
            seconds = time.perf_counter() - start
            print(f"  {len(rows):,} rows, {different} differ from the first environment's; {seconds:.0f} s", flush=True)
    print("all the same" if not wrong else "NOT the same")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
