"""One contract for every predictor: those of the registry, and a codec through its adapter."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gencomp.coding.range_coder import RangeEncoder
from gencomp.equivalence.adapt import as_predictor, predictor_spec
from gencomp.equivalence.capabilities import decode_block, encode_block, revision_of, state_cdf
from gencomp.errors import CorruptDataError
from gencomp.registry import entries, load
from tests.networks import small_network
from tests.strategies import data, fewer

SLOW = {"lookahead"}  # thousands of code lengths a byte: tests of their own
# language models compute in floating point: tests/predictors/language has their contract
INTEGER = [entry.name for entry in entries() if entry.kind == "predictor" and entry.extra != "lm"]
RNN = f"rnn:{small_network()}"
BEST = f"best?weights={small_network()}"
# the network in the package has its tests where it lies
NAMES = [name for name in INTEGER if name not in SLOW | {"rnn", "best"}]
NAMES += ["counts:0", "counts:2", "counts:16", "ctw:0", "ctw:8", "lz78:128", RNN, BEST]
BITWISE = ["mix", "ctw", "ctw:0", "ctw:8", RNN, BEST]
ALL = pytest.mark.parametrize("name", NAMES, ids=lambda name: name.partition("/")[0])
WITH_CODECS = pytest.mark.parametrize("name", [*NAMES, "gzip"], ids=lambda name: name.partition("/")[0])


@ALL
@given(data=data)
def test_round_trip(name: str, data: bytes) -> None:
    predictor = as_predictor(name)
    assert decode_block(predictor, encode_block(predictor, data), len(data)) == data


@WITH_CODECS
@given(context=st.binary(max_size=40))
@fewer(20)
def test_code_lengths_are_a_distribution(name: str, context: bytes) -> None:
    predictor = as_predictor(name)
    code_lengths = predictor.begin(context).code_lengths()
    assert code_lengths.shape == (predictor.alphabet_size,)
    assert code_lengths.dtype == np.float64
    assert np.exp2(-code_lengths).sum() == pytest.approx(1.0, abs=1e-9)
    assert (code_lengths >= 0).all()


@WITH_CODECS
@given(context=st.binary(max_size=30), more=st.binary(max_size=10))
@fewer(20)
def test_a_context_is_the_sum_of_its_updates(name: str, context: bytes, more: bytes) -> None:
    predictor = as_predictor(name)
    state = predictor.begin(context)
    for symbol in more:
        state.update(symbol)
    assert state_cdf(state).tolist() == state_cdf(predictor.begin(context + more)).tolist()


@WITH_CODECS
@given(context=st.binary(max_size=20), first=st.integers(0, 255), second=st.integers(0, 255))
@fewer(20)
def test_copies_are_independent(name: str, context: bytes, first: int, second: int) -> None:
    predictor = as_predictor(name)
    state = predictor.begin(context)
    before = state_cdf(state)
    fork = state.copy()
    fork.update(first)
    assert (state_cdf(state) == before).all()
    state.update(second)
    assert (state_cdf(fork) == state_cdf(predictor.begin(context + bytes([first])))).all()
    assert (state_cdf(state) == state_cdf(predictor.begin(context + bytes([second])))).all()


@ALL
@given(data=st.binary(max_size=80))
@fewer(4)
def test_fused_coding_is_the_states_coding(name: str, data: bytes) -> None:
    """The compiled loop codes what the state predicts, within 2 bits of the ideal under the quantised cdf."""
    predictor = as_predictor(name)
    encoder, state, ideal = RangeEncoder(), predictor.begin(), 0.0
    for symbol in data:
        cdf = state_cdf(state)
        encoder.encode(symbol, cdf)
        ideal -= np.log2((cdf[symbol + 1] - cdf[symbol]) / cdf[-1])
        state.update(symbol)
    payload = encoder.finish()
    assert ideal - 1e-6 <= encoder.num_bits <= ideal + 2
    if name in BITWISE:  # eight decisions a byte: the same distribution, other roundings
        assert 8 * len(encode_block(predictor, data)) == pytest.approx(ideal, rel=0.002, abs=12)
    else:
        assert encode_block(predictor, data) == payload


@ALL
@given(data=st.binary(min_size=1, max_size=100), junk=st.binary(max_size=12))
def test_a_payload_that_does_not_end_where_it_should_is_refused(name: str, data: bytes, junk: bytes) -> None:
    predictor = as_predictor(name)
    payload = encode_block(predictor, data)
    for damaged in (payload[:-1], payload + b"\0"):
        with pytest.raises(CorruptDataError):
            decode_block(predictor, damaged, len(data))
    with suppress(CorruptDataError):  # any bytes are data or an error, never a crash
        assert len(decode_block(predictor, junk, 20)) == 20


@ALL
def test_integer_models_say_their_revision(name: str) -> None:
    assert revision_of(load(name)) is not None
    assert predictor_spec(load(predictor_spec(load(name)))) == predictor_spec(load(name))


PLAIN = """
import sys
from gencomp.equivalence.capabilities import decode_block, encode_block
from gencomp.registry import load
for line in sys.stdin:
    name, content = line.split()
    model, data = load(name), bytes.fromhex(content)
    payload = encode_block(model, data)
    assert decode_block(model, payload, len(data)) == data
    print(payload.hex())
"""


@pytest.fixture(scope="module")
def plain() -> Iterator[Callable[[str, bytes], bytes]]:
    """Yield a function that gives the payload of plain Python's kernels, from a process that goes on."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-W", "error", "-c", PLAIN],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"NUMBA_DISABLE_JIT": "1", "PATH": ""},
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None

    def encode(name: str, content: bytes) -> bytes:
        process.stdin.write(f"{name} {content.hex()}\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        if not answer:
            pytest.fail(process.communicate()[1])
        return bytes.fromhex(answer)

    yield encode
    if process.poll() is None:
        assert process.communicate()[1] == ""
        assert process.returncode == 0


@ALL
@pytest.mark.every(3)
def test_plain_python_gives_the_same_code(name: str, wiki: bytes, plain: Callable[[str, bytes], bytes]) -> None:
    """Archives decode without a compiler: NUMBA_DISABLE_JIT=1 runs every kernel as plain Python."""
    content = wiki[: 16 if name in (RNN, BEST) else 60]  # a network takes 10 ms a byte then
    assert plain(name, content) == encode_block(load(name), content)
