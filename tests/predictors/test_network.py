"""A network of one's own in lockstep lanes: it is a predictor like any other, and what it gets wrong is told."""

from typing import Any, ClassVar

import numpy as np
import pytest

import gencomp
from gencomp.equivalence.capabilities import decode_block, encode_block
from gencomp.errors import CorruptDataError, ModelMismatchError
from gencomp.predictors.network import NetworkPredictor

LETTERS = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz", dtype=np.uint8)
LIKELY = np.where(np.isin(np.arange(256), LETTERS), 1.0, 0.001).astype(np.float32)


class Recurrent:
    """h' = tanh(A h + E[byte]), p = softmax(W h): lanes as rows, the calls counted."""

    calls: ClassVar[list[int]] = []

    def __init__(self, lanes: int, seed: int = 3) -> None:
        rng = np.random.default_rng(seed)
        self.inner, self.embedding, self.out = (
            rng.normal(scale=0.4, size=shape).astype(np.float32) for shape in ((16, 16), (256, 16), (16, 256))
        )
        self.hidden = np.zeros((lanes, 16), dtype=np.float32)

    def probabilities(self) -> np.ndarray:
        weights = np.exp(0.1 * self.hidden @ self.out) * LIKELY
        return weights / weights.sum(axis=1, keepdims=True)

    def feed(self, symbols: np.ndarray) -> None:
        self.calls.append(len(symbols))
        self.hidden = np.tanh(self.hidden @ self.inner + self.embedding[symbols])


@pytest.mark.parametrize("size", [0, 1, 7, 8, 65, 300])
def test_blocks_are_coded_in_lanes(size: int, book: bytes) -> None:
    model, data = NetworkPredictor(Recurrent, batch=4, lane=8), book[:size]
    Recurrent.calls.clear()
    payload = encode_block(model, data)
    lanes = max(1, min(4, size // 8))
    assert model.lanes_of(payload, size) == lanes
    assert Recurrent.calls == [lanes] * max(0, -(-size // lanes) - 1), "one call for a byte of each lane"
    assert decode_block(model, payload, size) == data
    if size > 8:
        with pytest.raises(CorruptDataError):
            decode_block(model, payload[:-3], size)


def test_it_is_taken_wherever_a_model_is() -> None:
    model = NetworkPredictor(Recurrent, batch=4, lane=64)
    text = np.random.default_rng(1).choice(LETTERS, 500).tobytes()  # which deflate knows no better
    archive = gencomp.compress(text, model)
    assert gencomp.decompress(archive, model=NetworkPredictor(Recurrent, batch=4, lane=64)) == text
    other = NetworkPredictor(lambda lanes: Recurrent(lanes, seed=4), batch=4, lane=64)
    with pytest.raises(ModelMismatchError, match="computes differently here"):
        gencomp.decompress(archive, model=other)
    with pytest.raises(ModelMismatchError):
        gencomp.decompress(archive, model=NetworkPredictor(Recurrent, batch=4, lane=64, weights="others"))
    assert gencomp.sample(model, prompt=text, length=5, seed=1) == gencomp.sample(model, prompt=text, length=5, seed=1)
    found = gencomp.score(model, text[:50])
    assert found.kraft_sums == pytest.approx(1.0)
    state = model.begin(text[:50])
    assert found.costs[-1] == pytest.approx(model.begin(text[:49]).code_lengths()[text[49]])
    twin = state.copy()
    twin.update(5)
    assert (state.code_lengths() == model.begin(text[:50]).code_lengths()).all()
    assert (twin.code_lengths() == model.begin(text[:50] + b"\x05").code_lengths()).all()


class Copied(Recurrent):
    def copy(self) -> "Copied":
        twin = Copied(len(self.hidden))
        twin.hidden = self.hidden
        return twin

    def __deepcopy__(self, memo: Any) -> Any:
        raise AssertionError("its own way to copy is there")


def test_its_own_copy_is_used_where_there_is_one() -> None:
    state = NetworkPredictor(Copied).begin(b"text")
    assert (state.copy().code_lengths() == state.code_lengths()).all()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            np.full((1, 255), 1 / 255),
            r"returned float64\[1, 255\]; expected probabilities, float32 or float64 \[1, 256\]",
        ),
        (np.full(256, 1 / 256), r"returned float64\[256\]"),
        (np.ones((1, 256), dtype=np.int64), r"returned int64\[1, 256\]"),
        (np.full((1, 256), np.nan), "nan"),
        (np.full((1, 256), -0.5), "-0.5"),
    ],
)
def test_what_is_no_distribution_is_told(rows: np.ndarray, message: str) -> None:
    class Wrong(Recurrent):
        def probabilities(self) -> np.ndarray:
            return rows

    with pytest.raises(ValueError, match=message):
        encode_block(NetworkPredictor(Wrong), b"text")


def test_options() -> None:
    for name, value in (("batch", 0), ("lane", 0), ("batch", 10**6)):
        with pytest.raises(ValueError, match=f"{name} must be from 1 to"):
            NetworkPredictor(Recurrent, **{name: value})
    with pytest.raises(CorruptDataError, match="claim"):
        NetworkPredictor(Recurrent).lane_fingerprint([17])
