"""Models of one's own: plain classes, without a dataclass, a name or anything that is not in the protocols."""

from collections.abc import Sequence
from typing import Self

import numpy as np
import pytest

import gencomp
from gencomp import registry
from gencomp.cli.listing import _describe, _print_row
from gencomp.equivalence.adapt import as_predictor, label_of
from gencomp.equivalence.capabilities import resolution_of, window_of
from gencomp.errors import SpecError
from gencomp.registry import Entry, load, spec_of

TEXT = b"she sells sea shells by the sea shore"


class Recent:
    """What came lately comes again."""

    def __init__(self, window: int = 50, floor: float = 0.02, note=None) -> None:
        self.window, self.floor, self.note = window, floor, note
        self.alphabet_size = 256

    def __eq__(self, other: object) -> bool:  # and so it has no hash, as a dataclass that is not frozen
        return isinstance(other, Recent) and vars(self) == vars(other)

    def begin(self, context: Sequence[int] = ()) -> "RecentState":
        return RecentState(self.window, self.floor, bytes(context))


class RecentState:
    def __init__(self, window: int, floor: float, context: bytes) -> None:
        self.window, self.floor, self.recent = window, floor, context[-window:]

    def code_lengths(self) -> np.ndarray:
        weights = np.bincount(np.frombuffer(self.recent, np.uint8), minlength=256) + self.floor
        return np.log2(weights.sum()) - np.log2(weights)

    def update(self, symbol: int) -> None:
        self.recent = (self.recent + bytes([symbol]))[-self.window :]

    def copy(self) -> Self:
        return type(self)(self.window, self.floor, self.recent)


class Reversed:
    """Gzip of the data backwards: a codec that says nothing of itself."""

    def __init__(self) -> None:
        self._inner = load("gzip")

    def compress(self, data: bytes) -> bytes:
        return self._inner.compress(data[::-1])

    def decompress(self, blob: bytes) -> bytes:
        return self._inner.decompress(blob)[::-1]

    def code_length(self, data: bytes) -> float:
        return self._inner.code_length(data[::-1])


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_ENTRIES", dict(registry._ENTRIES))
    gencomp.register(Entry("recent", "predictor", f"{__name__}:Recent", "a window of counts"))
    gencomp.register(Entry("reversed", "compressor", f"{__name__}:Reversed", "gzip backwards"))


@pytest.mark.parametrize("model", [Recent(), Reversed()])
def test_score_takes_an_object(model: object) -> None:
    score = gencomp.score(model, TEXT)
    assert score.spec == f"{__name__}.{type(model).__name__}"
    assert len(score.costs) == len(TEXT)
    assert score.resolution == ("exact" if isinstance(model, Recent) else "unknown")
    assert score.log_loss > 0


@pytest.mark.parametrize("strategy", ["bytes", "lookahead", "beam", "particles"])
def test_sample_takes_an_object(strategy: str) -> None:
    options = {} if strategy == "bytes" else {"horizon": 2, "width": 4}
    drawn = gencomp.sample(Reversed(), prompt=TEXT, length=3, strategy=strategy, seed=1, **options)
    assert len(drawn) == 3
    if strategy == "lookahead":
        with pytest.raises(ValueError, match=r"Recent is a predictor, whose probabilities a longer sum would not"):
            gencomp.sample(Recent(), prompt=TEXT, length=3, strategy=strategy, seed=1, **options)
    else:
        assert len(gencomp.sample(Recent(), prompt=TEXT, length=3, strategy=strategy, seed=1, **options)) == 3


def test_lookahead_of_an_object_is_that_of_its_spec() -> None:
    options = {"prompt": TEXT * 3, "length": 4, "strategy": "lookahead", "horizon": 4, "width": 8, "seed": 2}
    assert gencomp.sample(load("gzip?level=6"), **options) == gencomp.sample("gzip?level=6", **options)


def test_both_directions_of_an_object() -> None:
    compressor = gencomp.as_compressor(Recent())
    assert compressor.decompress(compressor.compress(TEXT)) == TEXT
    state = gencomp.as_predictor(Reversed()).begin(TEXT)
    assert np.exp2(-state.code_lengths()).sum() == pytest.approx(1.0)
    assert label_of(as_predictor("gzip?level=6")) == "gzip?level=6"


def test_a_codec_that_does_not_say_how_fine_it_is_is_not_called_exact() -> None:
    assert resolution_of(Reversed()) == "unknown"
    assert window_of(Reversed()) is None

    class Fine(Reversed):
        resolution = "bit"

    assert resolution_of(Fine()) == "bit"
    assert window_of(Fine()) is None
    assert resolution_of(Recent()) == "exact"


def test_a_plain_class_has_options(names: None) -> None:
    model = load("recent?window=9&floor=0.5")
    assert (model.window, model.floor, model.note) == (9, 0.5, None)
    assert spec_of(model) == "recent?window=9&floor=0.5"
    assert spec_of(load("recent")) == "recent"
    assert spec_of(load("recent"), full=True) == "recent?window=50&floor=0.02"
    assert load("recent?note=x").note == "x"
    with pytest.raises(SpecError, match="recent has no option 'widow'; did you mean window"):
        load("recent?widow=3")
    with pytest.raises(SpecError, match="recent: window must be an integer, got 'x'"):
        load("recent?window=x")
    assert gencomp.score("recent?window=9", TEXT).spec == "recent?window=9"


def test_a_plain_class_is_listed(names: None, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("recent", "reversed"):
        _print_row(_describe(registry.find_entry(name)))
    printed = capsys.readouterr().out
    assert "window=50; floor=0.02; note=none" in printed
    assert "code lengths to an unknown precision" in printed
