"""Text continued by a codec (Delétang et al. 2024): one byte ahead against lookahead, beams and particles.

    python benchmarks/continuation.py [--model gzip] [--contexts 4] [--length 100] [FILE]

1,948 bytes of context and 100 to come, from FILE, or enwik8's first 3 MiB in ``$GENCOMP_DATA``, or the book in the
package. The first context's continuations are printed after the true one; the table covers all contexts:

- "codec": what the codec charges for the continuation, exactly, in bits a byte;
- "mix": what ``mix``, a better model, charges for it after reading the context, in bits a byte;
- "copied": the share of its bytes in copies of 8 or more from the context; "longest" is the longest such copy.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from texts import text_of

import gencomp
from gencomp.cli.console import printable
from gencomp.equivalence.capabilities import begin_scoring
from gencomp.equivalence.conditional import code_length
from gencomp.sampling.copies import measure_copies

CONTEXT = 1948
WAYS = (
    ("one byte", {}),
    ("lookahead", {"strategy": "lookahead"}),
    ("beam", {"strategy": "beam"}),
    ("beam, max copy 12", {"strategy": "beam", "max_copy": 12}),
    ("particles", {"strategy": "particles"}),
)


def judged(context: bytes, continuation: bytes) -> float:
    """Return what ``mix`` charges for a continuation of ``context``, in bits a byte."""
    return code_length("mix", continuation, given=context) / len(continuation)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--model", default="gzip", help="a codec")
    parser.add_argument("--contexts", type=int, default=4)
    parser.add_argument("--length", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    _, text = text_of(arguments.file)
    codec = gencomp.as_compressor(arguments.model)
    rng = np.random.default_rng(arguments.seed)
    starts = rng.integers(0, len(text) - CONTEXT - arguments.length, arguments.contexts)
    print(f"{arguments.model}, {CONTEXT:,} + {arguments.length} bytes, {len(starts)} contexts\n")
    rows: dict[str, list[tuple[float, ...]]] = {}
    for number, start in enumerate(starts):
        context = text[start : start + CONTEXT]
        if number == 0:
            print(f"...{printable(context[-200:])}[...]\n")
        for name, options in (("the text itself", None), *WAYS):
            begun = time.perf_counter()
            if options is None:
                drawn = text[start + CONTEXT : start + CONTEXT + arguments.length]
            else:
                drawn = gencomp.sample(
                    arguments.model, prompt=context, length=arguments.length, seed=arguments.seed, **options
                )
            seconds = time.perf_counter() - begun
            before, after = begin_scoring(codec, context).code_lengths([b"", drawn])
            copies = measure_copies(context, drawn)
            facts = ((after - before) / len(drawn), judged(context, drawn), copies.rate, copies.longest, seconds)
            rows.setdefault(name, []).append(facts)
            if number == 0:
                print(f"--- {name}\n{printable(drawn)}\n", flush=True)
    print(f"{'':<20}{'codec':>8}{'mix':>8}{'copied':>9}{'longest':>9}{'seconds':>9}")
    for name, facts in rows.items():
        charge, judge, rate, longest, seconds = np.mean(facts, axis=0)
        print(f"{name:<20}{charge:8.2f}{judge:8.2f}{100 * rate:8.0f}%{longest:9.1f}{seconds:9.2f}")


if __name__ == "__main__":
    main()
