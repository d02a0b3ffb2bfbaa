import numpy as np
import pytest

from gencomp.equivalence.adapt import as_predictor
from gencomp.equivalence.capabilities import encode_block
from gencomp.sampling.bits import decode_bits


@pytest.mark.parametrize("spec", ["counts:1", "gzip", "uniform"])
def test_a_codes_bits_decode_to_what_was_coded(spec: str) -> None:
    text = b"hello hello hello, and what else"
    found = decode_bits(spec, encode_block(as_predictor(spec), text) + b"\xb7" * 9)
    assert found.startswith(text)


def test_random_bits_are_samples() -> None:
    """After 'ab' * 50 an 'a' is all but sure; of bits without a preference, so is what is decoded."""
    rng = np.random.default_rng(3)
    first = [decode_bits("counts:1", rng.bytes(8), prompt=b"ab" * 50)[:1] for _ in range(60)]
    p = 2.0 ** -as_predictor("counts:1").begin(b"ab" * 50).code_lengths()[ord("a")]
    assert abs(first.count(b"a") / 60 - p) < 3 * (p * (1 - p) / 60) ** 0.5 + 0.02
    assert decode_bits("uniform", rng.bytes(5)) == b""
    noise = rng.bytes(40)
    assert decode_bits("uniform", noise) == noise[: len(decode_bits("uniform", noise))]
    assert 33 <= len(decode_bits("uniform", noise)) <= 35
