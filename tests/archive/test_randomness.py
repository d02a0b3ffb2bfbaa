import numpy as np
import pytest

import gencomp
from gencomp.archive.randomness import looks_random

RNG = np.random.default_rng(7)


def noise(size: int) -> bytes:
    return RNG.integers(0, 256, size, dtype=np.uint8).tobytes()


@pytest.mark.parametrize("size", [4096, 65_536, 1 << 20])
def test_noise_is_found(size: int) -> None:
    assert all(looks_random(noise(size)) for _ in range(3 if size == 1 << 20 else 20))


def test_compressed_data_is_found(book: bytes) -> None:
    assert looks_random(gencomp.as_compressor("counts").compress(book))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        noise(100),
        noise(5000) * 2,
        bytes(range(256)) * 300,
        np.cumsum(RNG.integers(0, 4, 65_536)).astype(np.uint8).tobytes(),
        np.repeat(RNG.integers(0, 256, 30_000), 2).astype(np.uint8).tobytes(),
        (np.cumsum(RNG.normal(0, 900, 65_536)).astype(np.int64) & 0xFFFF).astype("<u2").tobytes(),
        noise(60_000) + b"a" * 5000,
    ],
    ids=["empty", "short", "repeat", "ramp", "walk", "pairs", "samples", "tail"],
)
def test_what_a_model_can_help_is_not(content: bytes) -> None:
    assert not looks_random(content)


def test_no_model_is_asked(book: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    from gencomp.archive import writer

    asked = []
    monkeypatch.setattr(writer, "encode_block", lambda model, content: asked.append(content) or b"")
    gencomp.compress(noise(1 << 16), "counts")
    assert not asked
    assert len(gencomp.compress(noise(1 << 16), "counts")) < (1 << 16) + 300
