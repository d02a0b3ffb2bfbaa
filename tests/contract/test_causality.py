"""No encoder uses what its decoder has not got: the byte to be coded, and all that follow it.

A fused encoder works on a buffer that holds the whole block; its decoder's buffer holds zeros from the next byte on. So
every option of every predictor is decoded again, on data without a zero, and coded with two futures.
"""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from gencomp.equivalence.adapt import as_predictor
from gencomp.equivalence.capabilities import decode_block, encode_block, save_state
from gencomp.predictors.mix.predictor import SAMPLE_FORMATS
from gencomp.predictors.recurrent.predictor import Recurrent
from gencomp.registry import entries, resolve
from tests.networks import small_network

PREFIX, TAIL = 1200, 200  # bytes: longer than a survey of mix, and than two rows of the widest image here

MIX = [
    *(f"mix:{level}" for level in range(1, 10)),
    *(f"mix:{level}?width={width}" for level in (1, 3, 5, 9) for width in (1, 2, 3)),
    *(f"mix?width={width}" for width in (4, 5, 16, 64, 200, 512, 700, 1400)),
    *(f"mix?sample={name}" for name in SAMPLE_FORMATS),
    *(f"mix:{level}?sample={name}:{channels}" for level, name, channels in ((9, "u8", 8), (1, "s16le", 3))),
    *(f"mix?sample={name}:{channels}" for name in ("u8", "s16be") for channels in (2, 3, 8)),
    "mix?memory=1",
    "mix?freeze=true",
    "mix?prime=english",
    *(f"mix:2?expert={expert}" for expert in ("counts:2", "uniform", "mix:1%3Fwidth=1", "mix:5%3Fsample=s16le:2")),
]
SLOW = ["gzip", "lookahead:gzip?horizon=2&width=2&spans=1"]  # 256 code lengths a byte, or more
ENSEMBLES = [
    "ensemble:counts:1,counts:3",
    "ensemble:counts:1,mix:1+width=1?mean=geometric",
    "ensemble:counts:0,counts:2?mean=product&weights=bayes&memory=7",
    "ensemble:counts:2?windows=3,20&weights=bayes&memory=none",
]
OTHERS = ["uniform", "uniform?alphabet_size=256", "counts:0", "counts:1", "counts:6", "counts:16"]
OTHERS += ["lz78:2", "lz78?gamma=128", "ctw:0", "ctw:6", "ctw:8?alpha=1", "ctw?memory=1"]
NETWORKS = [
    f"rnn:{small_network()}",
    *(f"best:{level}?weights={small_network()}" for level in (1, 5, 9)),
    *(f"best:{level}?width={width}&weights={small_network()}" for level in (1, 9) for width in (1, 2, 5)),
    f"best:2?sample=s16le&weights={small_network()}",
    f"best:1?memory=1&weights={small_network()}",
    f"best:1?freeze=true&weights={small_network()}",
]


def data(kind: str) -> bytes:
    """Return PREFIX + TAIL bytes, none of them 0: words, a picture of few colours, or noise."""
    rng = np.random.default_rng(len(kind))
    size = PREFIX + TAIL
    if kind == "words":
        return (b"the predictor reads the compressor backwards, and the compressor reads it too; " * 40)[:size]
    if kind == "waves":
        wave = 128 + 100 * np.sin(np.arange(size) / 9) + rng.integers(0, 4, size)
        return wave.astype(np.uint8).tobytes()
    return rng.integers(1, 256, size, dtype=np.uint8).tobytes()


def gap_bits(first: bytes, second: bytes) -> float:
    """Return -log2 of how far two codes lie apart, read as fractions in binary."""
    size = max(len(first), len(second)) + 1
    values = [int.from_bytes(code.ljust(size, b"\0"), "big") for code in (first, second)]
    return 8 * size - (abs(values[0] - values[1]) or 1).bit_length()


def check(spec: str, kind: str, prefix: int = PREFIX, tail: int = TAIL) -> None:
    predictor = as_predictor(spec)
    whole = data(kind)[: prefix + tail]
    other = whole[:prefix] + bytes(255 - byte for byte in whole[prefix:])
    code, twin = encode_block(predictor, whole), encode_block(predictor, other)
    assert decode_block(predictor, code, len(whole)) == whole
    assert decode_block(predictor, twin, len(other)) == other
    # what the prefix alone costs, from a run with a third future: its end
    common = 8 * len(encode_block(predictor, whole[:prefix])) - 16
    assert gap_bits(code, twin) >= common, f"the first {prefix} bytes are coded otherwise where others follow"


@pytest.mark.parametrize("spec", [*MIX, *OTHERS, *NETWORKS], ids=lambda spec: spec.partition("/")[0])
@pytest.mark.parametrize("kind", ["waves", pytest.param("noise", marks=pytest.mark.thorough)])
@pytest.mark.every(4)
def test_fused_encoders_see_no_future(spec: str, kind: str) -> None:
    check(spec, kind)


@pytest.mark.parametrize("spec", ENSEMBLES)
def test_models_of_models_see_no_future(spec: str) -> None:
    check(spec, "words", 60, 20)


@pytest.mark.parametrize("spec", SLOW)
def test_codecs_see_no_future(spec: str) -> None:
    check(spec, "words", 12, 4)


def test_a_saved_network_sees_no_future(tmp_path: Path) -> None:
    network = as_predictor(f"rnn:{small_network()}")
    assert isinstance(network, Recurrent)
    network.begin(data("waves")[:701]).save(tmp_path / "state")
    check(f"rnn:{small_network()}?state={tmp_path / 'state'}", "waves", 300, 100)


@pytest.mark.parametrize(
    ("state_of", "more"),
    [
        ("mix:1?width=1", ""),
        ("mix:5?sample=s16le", ""),
        ("mix:3", ""),
        (f"best:1?weights={small_network()}", f"&weights={small_network()}"),
    ],
    ids=["width", "sample", "mix", "best"],
)
def test_saved_states_see_no_future(state_of: str, more: str, tmp_path: Path) -> None:
    state = as_predictor(state_of).begin(data("waves")[:701])
    save_state(state, tmp_path / "state")
    check(f"{state_of[: state_of.index(':')]}?state={tmp_path / 'state'}{more}", "waves", 300, 100)


def test_every_option_of_every_predictor_is_tried() -> None:
    """A new predictor, or a new option, needs a spec above. Language models have tests of their own."""
    tried = {*MIX, *OTHERS, *ENSEMBLES, *SLOW, *NETWORKS, "mix?state=", "rnn?state=", "best?state="}
    for entry in entries():
        if entry.kind != "predictor" or entry.extra == "lm" or entry.distribution != "gencomp":
            continue
        factory = resolve(entry)
        for field in dataclasses.fields(factory):
            if field.init and field.name != getattr(factory, "spec_argument", None):
                assert any(spec.startswith(entry.name) and f"{field.name}=" in spec for spec in tried), (
                    f"{entry.name}'s option {field.name} is not among the specs"
                )
