"""The range coder against constriction's, on the same rows in one run: ns a symbol, encoding and decoding.

    python benchmarks/coder.py [--repeat 5]

Rows are Dirichlet-distributed float32 probabilities, with a symbol drawn from each. "float rows": both coders quantise
each row themselves. "integer cdfs": ours gets cdfs that are quantised already, as from an integer model; constriction
takes only floats, and is compared with its float rows. "one shared model": a single distribution for all symbols.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable

import constriction
import numpy as np

from gencomp.coding.quantize import cdf_from_pmf
from gencomp.coding.range_coder import RangeDecoder, RangeEncoder

CASES = ((256, 20_000), (50_000, 400))  # alphabet size, symbols


def median_ns(action: Callable[[], object], symbols: int, repeat: int) -> float:
    """Return the median time of ``action``, in ns a symbol, after one run to warm up."""
    action()
    times = []
    for _ in range(repeat):
        start = time.perf_counter_ns()
        action()
        times.append(time.perf_counter_ns() - start)
    return statistics.median(times) / symbols


def run_case(alphabet_size: int, count: int, repeat: int) -> None:
    """Print the rows of one alphabet."""
    family = constriction.stream.model.Categorical(perfect=False)
    rng = np.random.default_rng(alphabet_size)
    pmf = rng.dirichlet(np.full(alphabet_size, 0.05), size=count).astype(np.float32)
    cumulative = pmf.cumsum(axis=1, dtype=np.float64)
    symbols = (cumulative < rng.random((count, 1)) * cumulative[:, -1:]).sum(axis=1).astype(np.int32)
    cdfs = np.stack([cdf_from_pmf(row) for row in pmf])

    def their_encode(rows: np.ndarray, model: object = family, symbols: np.ndarray = symbols) -> np.ndarray:
        encoder = constriction.stream.queue.RangeEncoder()
        encoder.encode(symbols, model, *([rows] if rows is not None else []))
        return encoder.get_compressed()

    def ours(encode: Callable[[RangeEncoder], None]) -> bytes:
        encoder = RangeEncoder()
        encode(encoder)
        return encoder.finish()

    words = their_encode(pmf)
    code = ours(lambda encoder: encoder.encode_pmf(symbols, pmf))
    integer_code = ours(lambda encoder: encoder.encode(symbols, cdfs))
    assert (constriction.stream.queue.RangeDecoder(words).decode(family, pmf) == symbols).all()
    assert (RangeDecoder(code).decode_pmf(pmf) == symbols).all()
    assert (RangeDecoder(integer_code).decode(count, cdfs) == symbols).all()

    shared = constriction.stream.model.Categorical(pmf[0], perfect=False)
    drawn = rng.choice(alphabet_size, 200_000, p=pmf[0] / pmf[0].sum()).astype(np.int32)
    shared_words = their_encode(None, shared, drawn)
    shared_code = ours(lambda encoder: encoder.encode(drawn, cdfs[0]))
    results = {
        ("float rows", "constriction", count): (
            lambda: their_encode(pmf),
            lambda: constriction.stream.queue.RangeDecoder(words).decode(family, pmf),
        ),
        ("float rows", "gencomp", count): (
            lambda: ours(lambda encoder: encoder.encode_pmf(symbols, pmf)),
            lambda: RangeDecoder(code).decode_pmf(pmf),
        ),
        ("integer cdfs", "gencomp", count): (
            lambda: ours(lambda encoder: encoder.encode(symbols, cdfs)),
            lambda: RangeDecoder(integer_code).decode(count, cdfs),
        ),
        ("one shared model", "constriction", len(drawn)): (
            lambda: their_encode(None, shared, drawn),
            lambda: constriction.stream.queue.RangeDecoder(shared_words).decode(shared, len(drawn)),
        ),
        ("one shared model", "gencomp", len(drawn)): (
            lambda: ours(lambda encoder: encoder.encode(drawn, cdfs[0])),
            lambda: RangeDecoder(shared_code).decode(len(drawn), cdfs[0]),
        ),
    }
    reference: tuple[float, float] = (0.0, 0.0)
    for (rows, coder, size), (encode, decode) in results.items():
        times = median_ns(encode, size, repeat), median_ns(decode, size, repeat)
        if coder == "constriction":
            reference = times
        ratios = (
            ""
            if coder == "constriction"
            else "   ".join(f"{b / a:.2f}x" for a, b in zip(times, reference, strict=True))
        )
        print(f"{alphabet_size:>8} {rows:<16} {coder:<13} {times[0]:>10.1f} {times[1]:>10.1f}   {ratios}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5)
    repeat = parser.parse_args().repeat
    versions = f"Python {platform.python_version()}, numpy {np.__version__}, {platform.machine()}"
    print(f"{versions}; ns a symbol, medians of {repeat}")
    print(f"{'alphabet':>8} {'rows':<16} {'coder':<13} {'encode':>10} {'decode':>10}   ratio to constriction")
    for alphabet_size, count in CASES:
        run_case(alphabet_size, count, repeat)


if __name__ == "__main__":
    main()
