"""Check that the integer models' archives are the same everywhere: decode each golden archive, and make it again.

    python benchmarks/portability.py [--python PYTHON ...] [--run 'NAME=COMMAND' ...] [--only WORD] [--cache FOLDER]

Without options, it runs this interpreter on one thread and on two, without the compiler (``NUMBA_DISABLE_JIT``), for
the baseline of the processor's architecture, and without its wider vectors. ``--python`` adds another interpreter that
has gencomp's requirements; ``--run`` adds a command that starts one, such as one in an emulator: docs/MODELS.md shows
how for aarch64. Compiled kernels are kept in ``--cache`` for the next time.

``--check`` checks in this process: it prints a line for each archive, and at the end a digest of those it has made.
"""

import argparse
import hashlib
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WIDE_VECTORS = "-avx,-avx2,-fma,-f16c,-avx512f,-avx512bw,-avx512vl,-avx512dq,-avx512cd,-avx512vnni,-avxvnni"
# name -> (environment variables, number of threads)
HERE: dict[str, tuple[dict[str, str], int]] = {
    "one thread": ({}, 1),
    "two threads": ({}, 2),
    "no compiler": ({"NUMBA_DISABLE_JIT": "1"}, 2),
    "generic processor": ({"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}, 2),
}
if platform.machine() == "x86_64":
    HERE["no AVX"] = ({"NUMBA_CPU_FEATURES": WIDE_VECTORS}, 2)


def check(threads: int, words: list[str]) -> int:
    """Decode the golden archives with one of ``words`` in their names, make them again; return how many differ."""
    import numba
    import numpy as np

    import gencomp
    from tests.golden.make import FOLDER, GOOD

    wrong, digest = 0, hashlib.sha256()
    versions = {"python": platform.python_version(), "numpy": np.__version__, "numba": numba.__version__}
    print(json.dumps({"machine": platform.machine(), **versions}), flush=True)
    for name, (content, model, block_size) in GOOD.items():
        if words and not any(word in name for word in words):
            continue
        start = time.perf_counter()
        archive = (FOLDER / name).read_bytes()
        try:
            decodes = gencomp.decompress(archive, threads=threads) == content
            decoded = time.perf_counter() - start
            made = gencomp.compress(content, model, block_size=block_size, threads=threads)
        except Exception as error:  # whatever it is, the others are still to be checked
            print(f"  {name:<24} {type(error).__name__}: {error}", flush=True)
            wrong += 1
            continue
        digest.update(made)
        seconds = time.perf_counter() - start
        verdict = "the same" if decodes and made == archive else "DIFFERENT BYTES" if decodes else "NOT DECODED"
        wrong += verdict != "the same"
        print(f"  {name:<24} {model:<28} {verdict}  {decoded:.1f} s, {seconds - decoded:.1f} s back", flush=True)
    print(json.dumps({"wrong": wrong, "digest": digest.hexdigest()[:16]}), flush=True)
    return wrong


def ask(
    name: str, command: list[str], environment: dict[str, str], threads: int, words: list[str], cache: Path
) -> bool:
    """Have an interpreter check, and print what it says; return whether all archives are the same."""
    script = [
        str(Path(__file__).resolve()),
        "--check",
        "--threads",
        str(threads),
        *(["--only", *words] if words else []),
    ]
    settings = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "NUMBA_CACHE_DIR": str(cache)}
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("NUMBA_", "PYTHON"))}
    print(f"{name}: {shlex.join([f'{key}={value}' for key, value in environment.items()] + command)}", flush=True)
    start = time.perf_counter()
    code = subprocess.run([*command, *script], env=inherited | settings | environment, check=False).returncode
    print(f"  {'all the same' if code == 0 else 'NOT the same'}, {time.perf_counter() - start:.0f} s\n", flush=True)
    return code == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", nargs="+", default=[], help="other interpreters")
    parser.add_argument("--run", nargs="+", default=[], metavar="NAME=COMMAND", help="commands that start interpreters")
    parser.add_argument("--no-own", action="store_true", help="not with this interpreter")
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="archives with this in their names")
    parser.add_argument("--ways", nargs="+", default=list(HERE), choices=HERE, help="with this interpreter")
    parser.add_argument("--cache", type=Path, help="folder for what is compiled")
    parser.add_argument("--check", action="store_true", help="check here, in this process")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    if options.check:
        return int(check(options.threads, options.only) > 0)
    jobs = [] if options.no_own else [(name, [sys.executable], *HERE[name], "own") for name in options.ways]
    jobs += [(path, [path], {}, 2, f"python {number}") for number, path in enumerate(options.python)]
    for number, text in enumerate(options.run):
        name, _, command = text.partition("=")
        jobs.append((name, shlex.split(command), {}, 1, f"command {number}"))
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) if options.cache is None else options.cache.resolve()
        verdicts = [ask(*job, options.only, cache / home) for *job, home in jobs]
    print(f"{sum(verdicts)} of {len(verdicts)} ways give the same bytes")
    return int(not all(verdicts))


if __name__ == "__main__":
    sys.exit(main())
