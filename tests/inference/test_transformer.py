"""The integer Transformer: equal to its definition to the bit, near the float one, and the same in any order."""

import math
import subprocess
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from gencomp import cores
from gencomp.inference import rows, tables, team, tiles, transformer
from gencomp.inference.transformer import (
    Network,
    Runner,
    copied_cache,
    fill_scores,
    fill_shares,
    grown_cache,
    new_cache,
    new_scratch,
    run,
)
from gencomp.inference.transformer_weights import Form, TransformerError, new_network
from tests.transformers import FORMS, LLAMA, Tensors, float_logits, integer_logits, with_rounded_weights

ALL = pytest.mark.parametrize("name", FORMS)


def network_of(name: str, spread: float = 1.0) -> tuple[Network, Tensors]:
    tensors = Tensors(FORMS[name], spread=spread)
    return new_network(FORMS[name], tensors, 96), tensors


def tokens_of(form: Form, count: int) -> list[int]:
    return np.random.default_rng(count).integers(0, form.vocabulary, count).tolist()


def parallel(network: Network, texts: list[list[int]], cut: int = 1 << 20) -> list[np.ndarray]:
    """Return the logits after each token of each text, in passes of up to ``cut`` rows of all texts together."""
    found = [np.zeros((len(text), int(network.sizes[6])), np.int32) for text in texts]
    places = [(lane, position) for lane, text in enumerate(texts) for position in range(len(text))]
    cache, scratch = new_cache(network, len(texts), 96), new_scratch(network, min(cut, len(places)), 96)
    for first in range(0, len(places), cut):
        part = np.array(places[first : first + cut])
        tokens = np.array([texts[lane][position] for lane, position in part])
        logits = np.zeros((len(part), int(network.sizes[6])), np.int32)
        run(network, scratch, cache, tokens, part[:, 0].copy(), part[:, 1].copy(), 0, logits)
        for (lane, position), row in zip(part, logits, strict=True):
            found[lane][position] = row
    return found


def in_steps(network: Network, texts: list[list[int]]) -> list[np.ndarray]:
    """Return the same, a position of all texts at a time, in a cache that grows."""
    cache, scratch = new_cache(network, len(texts), 1), new_scratch(network, len(texts), 96)
    lanes, logits = np.arange(len(texts)), np.zeros((len(texts), int(network.sizes[6])), np.int32)
    found = []
    for position in range(len(texts[0])):
        if position % 64 == 0:
            cache = grown_cache(cache, position + 1)
        tokens = np.array([text[position] for text in texts])
        run(network, scratch, cache, tokens, lanes, np.full(len(texts), position), 0, logits)
        found.append(logits.copy())
        cache = copied_cache(cache)
    return list(np.stack(found, 1))


@ALL
@pytest.mark.parametrize("spread", [1.0, pytest.param(30.0, marks=pytest.mark.thorough)])
@pytest.mark.every(2)
def test_it_is_its_definition(name: str, spread: float) -> None:
    network, _ = network_of(name, spread)
    tokens = tokens_of(FORMS[name], 7)
    assert (parallel(network, [tokens])[0] == integer_logits(network, FORMS[name], tokens)).all()


@ALL
def test_it_is_near_the_float_one(name: str) -> None:
    network, tensors = network_of(name)
    tokens = tokens_of(FORMS[name], 40)
    found = parallel(network, [tokens])[0] / 65536 * math.log(2)
    rounded = float_logits(FORMS[name], with_rounded_weights(FORMS[name], tensors.arrays), tokens)
    assert np.abs(found - rounded).max() < 0.01 * rounded.std()  # all else together
    expected = float_logits(FORMS[name], tensors.arrays, tokens)
    assert np.sqrt(((found - expected) ** 2).mean()) < 0.03 * expected.std()


@ALL
def test_windows_steps_and_lanes_give_the_same_bits(name: str) -> None:
    network, _ = network_of(name, 3.0)
    texts = [tokens_of(FORMS[name], 70)] + [tokens_of(FORMS[name], 71)[:70] for _ in range(1)]
    texts.append(texts[0][::-1])
    expected = [parallel(network, [text])[0] for text in texts]
    for found in (
        in_steps(network, texts),
        parallel(network, texts, 13),
        parallel(network, texts),
        [in_steps(network, [text])[0] for text in texts],
    ):
        for one, other in zip(found, expected, strict=True):
            assert (one == other).all()


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(cores, "usable_cores", lambda: 4)
    monkeypatch.setattr(transformer, "_LEAST_PRODUCTS", 0)
    before = dict(cores._pools)
    cores._pools.clear()
    yield
    cores._pools["gencomp-help"].shutdown()
    cores._pools.clear()
    cores._pools.update(before)


@ALL
@pytest.mark.usefixtures("four_cores")
def test_threads_that_share_a_pass_give_the_same_bits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network, _ = network_of(name, 3.0)
    helped: list[int] = []
    kernel = transformer.work
    monkeypatch.setattr(transformer, "work", lambda *arguments: helped.append(arguments[-1]) or kernel(*arguments))
    texts = [tokens_of(FORMS[name], 70), tokens_of(FORMS[name], 71)[:70]]
    expected = np.stack([parallel(network, [text])[0] for text in texts])
    helped.clear()
    size = int(network.sizes[6])
    whole = Runner(network, 140, 96)
    logits = np.zeros((140, size), np.int32)
    lanes, places = np.repeat([0, 1], 70), np.tile(np.arange(70), 2)
    for _ in range(5):
        logits[:] = 0
        whole.run(new_cache(network, 2, 96), np.array(texts).reshape(-1), lanes, places, 0, logits)
        assert (logits.reshape(2, 70, size) == expected).all()
    cache, steps = new_cache(network, 2, 96), Runner(network, 2, 96, helpers=2)
    for position in range(70):
        tokens = np.array([text[position] for text in texts])
        steps.run(cache, tokens, np.arange(2), np.full(2, position), 0, logits[:2])
        assert (logits[:2] == expected[:, position]).all()
    assert helped.count(1) == 75
    assert 75 < len(helped) <= 75 + 5 * 3 + 70 * 2  # a helper that comes too late is not called at all


@pytest.mark.usefixtures("four_cores")
@pytest.mark.thorough
def test_no_helper_is_left_where_the_leader_fails() -> None:
    gate, waiting = team.new_gate(), []

    def helper() -> None:
        waiting.append(1)
        assert team.take_or_wait(gate)[0] == team.CLOSED

    def fail() -> None:
        while len(waiting) < 3:
            pass
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), team.sharing(helper, gate, 3, lambda k: ()):
        fail()
    assert cores._busy == 0
    with team.sharing(lambda: 1 / 0, gate, 0, lambda k: ()):
        pass
    begun = threading.Event()

    def broken() -> None:
        begun.set()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), team.sharing(broken, gate, 1, lambda k: ()):
        assert begun.wait(60)


def test_only_the_wanted_logits_are_written() -> None:
    network, _ = network_of("llama")
    tokens = np.array(tokens_of(LLAMA, 9))
    expected = parallel(network, [tokens.tolist()])[0]
    cache, scratch = new_cache(network, 1, 96), new_scratch(network, 9, 96)
    lanes, places, logits = np.zeros(9, np.int64), np.arange(9), np.full((3, 70), 7, np.int32)
    run(network, scratch, cache, tokens, lanes, places, 9, logits[:0])
    run(network, scratch, cache, tokens, lanes, places, 7, logits[:2])
    assert (logits[:2] == expected[7:]).all()
    assert (logits[2] == 7).all()


@pytest.mark.parametrize(
    "case",
    [
        "largest",
        "zeros",
        "one",
        *(pytest.param(case, marks=pytest.mark.thorough) for case in ("alternating", "outlier")),
    ],
)
@ALL
@pytest.mark.every(2)
def test_extremes_stay_within_their_bits(name: str, case: str) -> None:
    """The definition checks every range; here numbers of any size, which no training gives, go through both."""
    form = FORMS[name]
    tensors = Tensors(form)
    rng = np.random.default_rng(1)
    for key, array in tensors.arrays.items():
        if case == "largest":
            array[...] = np.float32(1e30 if array.ndim == 2 else 1e3)
            if key.endswith(".bias"):
                array[...] = np.float32(1e6 if "norm" not in key else 1e2)
        elif case == "zeros":
            array[...] = 0.0
        elif case == "one":
            array[...] = 0.0
            array.reshape(-1)[0] = 1e10 if array.ndim == 2 else 1.0
        elif case == "alternating":
            array[...] = np.float32(1e4) * np.where(np.arange(array.size) % 2, -1, 1).reshape(array.shape)
        else:
            array.reshape(-1)[rng.integers(array.size)] *= 1000
    network = new_network(form, tensors, 96)
    tokens = tokens_of(form, 5)
    assert (parallel(network, [tokens])[0] == integer_logits(network, form, tokens)).all()


def test_weights_are_a_distribution() -> None:
    rng = np.random.default_rng(0)
    for size, spread in ((1, 1.0), (2, 1e9), (300, 1e5), (300, 0.0), (1000, 2e9)):
        logits = np.clip(rng.normal(0, spread, size), -(2**31), 2**31 - 1).astype(np.int32)
        weights = np.zeros(size, np.int32)
        rows.fill_weights(logits, 1 << 30, weights)
        exact = np.exp2((logits.astype(np.float64) - logits.max()) / 65536)
        assert np.abs(weights * 2.0**-30 - exact / exact.sum()).max() < 4e-5
        assert (weights >= 0).all()
        assert (1 << 30) - 2 * size - (1 << 15) < weights.sum(dtype=np.int64) <= 1 << 30


def test_scores_take_the_quick_way_where_none_goes_up() -> None:
    """Both ways give the definition's numbers, at the largest sums too."""
    rng = np.random.default_rng(0)
    for base in range(-16, 5):
        for highest in (0, 3, 12, 16, 21):
            sums = rng.integers(-(2**31) + 2**20, 2**31 - 2**20, 200)
            sums[:2] = 2**31 - 2**20 - 1, -(2**31) + 2**20 + 1
            shifts = rng.integers(0, highest + 1, 200)
            scores = sums.astype(np.int32)
            largest = fill_scores(scores, shifts.astype(np.int32), base, 200)
            expected = []
            for total, shift in zip(sums.tolist(), shifts.tolist(), strict=True):
                up = base + shift
                value = total << up if up >= 0 else (total + (1 << -up >> 1)) >> -up
                expected.append(max(-(1 << 30), min(1 << 30, value)))
            assert scores.tolist() == expected
            assert largest == max(expected)


def test_shares_are_brought_to_fifteen_bits() -> None:
    mantissas = np.array([2**30, 2**31 - 1, 2**30, 2**31 - 1, 2**30, 2**31 - 1], np.int32)
    shares = np.zeros(6, np.int16)
    fill_shares(mantissas, np.array([5, 5, 4, -9, -10, -70], np.int32), 5, shares, 6)
    assert shares.tolist() == [1 << 14, 32767, 1 << 13, 2, 1, 0]


def test_powers_of_two_are_near() -> None:
    found = np.array([int(rows.power_of_two(f)) for f in range(0, 1 << 15, 7)] + [int(rows.power_of_two(32767))])
    exact = np.exp2(np.append(np.arange(0, 1 << 15, 7), 32767) / 32768)
    assert np.abs(found / 2.0**30 / exact - 1).max() < 2e-5
    assert found[0] == 1 << 30
    assert found.max() < 1 << 31


def test_bit_lengths() -> None:
    for bits in range(63):
        for value in {0, 1, (1 << bits) - 1, 1 << bits}:
            assert rows.bit_length(value) == value.bit_length()


# tables


def test_tables_are_the_functions() -> None:
    x = np.arange(2049) / 128
    tanh = 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    exact = {
        "silu": 1 / (1 + np.exp(-x)),
        "gelu": np.array([0.5 * (1 + math.erf(value / math.sqrt(2))) for value in x]),
        "gelu_tanh": tanh,
        "gelu_quick": 1 / (1 + np.exp(-1.702 * x)),
        "relu": np.where(x > 0, 1.0, 0.5),
    }
    assert set(tables.GATES) == set(exact)
    for name, expected in exact.items():
        assert np.abs(tables.gate_table(name)[:2049] * 2.0**-30 - expected).max() < 6e-10
        assert tables.gate_table(name)[2049] == tables.gate_table(name)[2048]
    assert tables.score_factor(64) * 2.0**-30 == pytest.approx(math.log2(math.e) / 8, abs=1e-9)


def test_angles_keep_their_precision() -> None:
    turning = tables.frequencies(10000.0, 16, (1.0, 2.0, 1.0, 1.0, 8.0, 1.0, 1.0, 1.0))
    found = tables.rotations(turning, 5000) * 2.0**-30
    angles = np.arange(5000)[:, None] * np.array([float(one) for one in turning])
    assert float(turning[3]) == pytest.approx(10000.0 ** (-6 / 16), rel=1e-15)
    assert np.abs(found[..., 0] - np.cos(angles)).max() < 2**-27
    assert np.abs(found[..., 1] - np.sin(angles)).max() < 2**-27


# tiles


@pytest.mark.parametrize(("outputs", "inputs"), [(16, 2), (64, 64), (80, 34), (100, 37), (150, 1100)])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_products_are_exact(outputs: int, inputs: int, count: int) -> None:
    rng = np.random.default_rng(outputs)
    matrix = rng.integers(-128, 128, (outputs, inputs)).astype(np.int8)
    vectors = rng.integers(-32767, 32768, (count + 1, tiles.padded(inputs, 2))).astype(np.int16)
    matrix[0], vectors[1, :inputs] = -128, 32767  # the largest sum
    packed = np.zeros(tiles.packed_size(outputs, inputs), np.int8)
    tiles.pack_rows(matrix[:64], packed, 0, outputs)
    if outputs > 64:
        tiles.pack_rows(matrix[64:], packed, 64, outputs)
    sums, totals = np.zeros((count, 64), np.int32), np.zeros((count, 64), np.int64)
    columns, whole = tiles.padded(inputs, 2), tiles.padded(outputs, 16)
    expected = vectors[1:, :inputs].astype(np.int64) @ matrix.T.astype(np.int64)
    first = 0
    while first < whole:
        size = 64 if first + 64 <= whole else 16
        tiles.multiply_block(packed, first * columns, size, vectors, columns, 1, count, sums, totals)
        used = min(size, outputs - first)
        assert (totals[:, :used] == expected[:, first : first + used]).all()
        first += size


# plain Python, and what is refused

_SCRIPT = """
import hashlib, numpy as np
from gencomp.inference.transformer_weights import new_network
from gencomp.inference.transformer import new_cache, new_scratch, run
from tests.transformers import FORMS, Tensors
for name in ("llama", "neox", "wide"):
    form = FORMS[name]
    network = new_network(form, Tensors(form), 96)
    cache, scratch = new_cache(network, 2, 64), new_scratch(network, 6, 64)
    logits = np.zeros((5, form.vocabulary), np.int32)
    lanes, places = np.array([0, 0, 1, 0, 1, 1]), np.array([0, 1, 0, 2, 1, 2])
    run(network, scratch, cache, np.array([1, 2, 3, 4, 5, 6]), lanes, places, 1, logits)
    print(name, hashlib.sha256(logits.tobytes()).hexdigest())
"""


@pytest.mark.thorough
def test_plain_python_gives_the_same_bits() -> None:
    found = [
        subprocess.run(
            [sys.executable, "-W", "error", "-c", _SCRIPT], capture_output=True, text=True, check=True, env=environment
        ).stdout
        for environment in ({"NUMBA_DISABLE_JIT": "1", "PATH": "", "PYTHONPATH": ":".join(sys.path)}, None)
    ]
    assert found[0].count("\n") == 3
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"width": 1 << 15}, "its width is 32768"),
        ({"layers": 0}, "its layers is 0"),
        ({"heads": 3}, "it has 3 heads of 16 numbers in 2 groups"),
        ({"head_size": 15}, "it has 4 heads of 15 numbers"),
        ({"head_size": 1024}, "its head_size is 1024"),
        ({"feed_forward": 1 << 16}, "its feed_forward is 65536"),
        ({"vocabulary": True}, "its vocabulary is True"),
        ({"rotated": 18}, "18 of 16 numbers of a head"),
        ({"activation": "mish"}, "its activation is 'mish'"),
        ({"epsilon": 0.1}, "its epsilon is 0.1"),
        ({"epsilon": math.nan}, "its epsilon is nan"),
        ({"base": 0.5}, "its base of rotations is 0.5"),
        ({"factors": (1.0,)}, "its factors of frequencies"),
        ({"factors": (0.0,) * 8}, "its factors of frequencies"),
    ],
)
def test_what_is_beyond_the_bounds_is_refused(change: dict[str, object], complaint: str) -> None:
    import dataclasses

    with pytest.raises(TransformerError, match=complaint.replace("(", r"\(")):
        dataclasses.replace(LLAMA, **change)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["embedding", "layers.1.down", "layers.0.norm1"])
def test_numbers_that_are_not_finite_are_refused(name: str, value: float) -> None:
    tensors = Tensors(LLAMA)
    tensors.arrays[name].reshape(-1)[5] = value
    with pytest.raises(TransformerError, match=f"the model's tensor {name} has numbers that are not finite"):
        new_network(LLAMA, tensors, 8)


def test_numbers_beyond_the_kernels_are_refused() -> None:
    form = FORMS["gpt2"]
    for name, value in (("layers.0.up.bias", 1e15), ("layers.0.norm1.bias", 1e15)):
        tensors = Tensors(form)
        tensors.arrays[name][0] = value
        with pytest.raises(TransformerError, match=f"the model's tensor {name} reaches 1e"):
            new_network(form, tensors, 8)
    with pytest.raises(TransformerError, match="it has 96 positions, 97 are asked for"):
        new_network(form, Tensors(form), 97)
