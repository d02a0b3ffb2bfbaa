"""Search against enumeration: a tiny code over two or three letters, all of whose continuations can be priced."""

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Self

import numpy as np
import pytest

import gencomp
from gencomp.equivalence.predictor import CodeLengthState
from gencomp.protocols import FloatArray
from gencomp.sampling.copies import Limits
from gencomp.sampling.draw import Draw
from gencomp.sampling.generate import Search, Watcher
from gencomp.sampling.search import (
    Finding,
    SearchInterruptedError,
    beam_search,
    effective_size,
    particles,
    systematic,
)


class TinyScorer:
    """A code over the letters a, b, c that is far from a prefix code: each byte grows it by 0 to 5 bits at random."""

    _grown: dict[bytes, float] = {b"": 30.0}  # noqa: RUF012

    def __init__(self, prefix: bytes = b"") -> None:
        self._prefix = prefix

    def _length(self, data: bytes) -> float:
        if data not in self._grown:
            growth = np.random.default_rng([7, *data]).integers(0, 6)
            self._grown[data] = self._length(data[:-1]) + float(growth)
        return self._grown[data]

    def code_lengths(self, suffixes: Sequence[bytes]) -> FloatArray:
        return np.array([self._length(self._prefix + suffix) if suffix in LETTERS else 900.0 for suffix in suffixes])

    def feed(self, data: bytes) -> None:
        self._prefix += data

    def copy(self) -> Self:
        return type(self)(self._prefix)


LETTERS = (b"", b"a", b"b", b"c")


def tiny() -> CodeLengthState:
    return CodeLengthState(TinyScorer())


def enumerated(letters: str, length: int) -> dict[bytes, float]:
    """Return the growth in bits of each continuation."""
    return {
        word: TinyScorer()._length(word) - 30.0
        for word in ("".join(letters).encode() for letters in itertools.product(letters, repeat=length))
    }


def distance(left: dict[bytes, float], right: dict[bytes, float]) -> float:
    """Return the total variation distance of two distributions."""
    return sum(abs(left.get(key, 0) - right.get(key, 0)) for key in left.keys() | right.keys()) / 2


def shares(draws: list[bytes]) -> dict[bytes, float]:
    return {key: count / len(draws) for key, count in Counter(draws).items()}


AB = Limits(alphabet=(97, 98))


def test_particles_draw_from_the_joint_distribution() -> None:
    """As the width grows, draws come nearer to the enumerated joint; one particle is the byte-by-byte sampler."""
    lengths = enumerated("ab", 4)
    normalizer = sum(2.0**-length for length in lengths.values())
    joint = {word: 2.0**-length / normalizer for word, length in lengths.items()}
    rng = np.random.default_rng(1)
    far = {}
    for width in (1, 24):
        found = [particles(tiny(), 4, width, rng, AB) for _ in range(150)]
        far[width] = distance(joint, shares([finding.continuation for finding in found]))
        estimate = np.mean([2.0 ** (finding.log_normalizer or 0.0) for finding in found])
        assert estimate == pytest.approx(normalizer, rel=0.2 if width == 1 else 0.05)
    assert far[24] < 0.12
    assert far[1] > 2 * far[24]


def test_particles_and_temperature() -> None:
    lengths = enumerated("ab", 3)
    weights = {word: 2.0 ** -(length / 0.5) for word, length in lengths.items()}
    joint = {word: weight / sum(weights.values()) for word, weight in weights.items()}
    rng = np.random.default_rng(2)
    draws = [particles(tiny(), 3, 16, rng, AB, temperature=0.5).continuation for _ in range(150)]
    assert distance(joint, shares(draws)) < 0.12


def test_a_predictors_particles_all_weigh_the_same(wiki: bytes) -> None:
    """Where the local Kraft sums are 1, the local distribution is the joint one's."""
    finding = particles(gencomp.as_predictor("counts:2").begin(wiki[:400]), 6, 8, np.random.default_rng(0))
    assert finding.log_normalizer == pytest.approx(0.0, abs=1e-6)
    assert finding.effective_sizes == pytest.approx([8.0] * 6, abs=1e-3)


def test_beams_find_the_shortest_code() -> None:
    lengths = enumerated("abc", 5)
    best = min(lengths.items(), key=lambda item: (item[1], item[0]))
    finding = beam_search(tiny(), 5, 243, Limits(alphabet=(97, 98, 99)))
    assert finding.code_length == best[1]
    assert len(finding.ranked) == 243
    assert dict(finding.ranked) == lengths
    narrow = beam_search(tiny(), 5, 1, Limits(alphabet=(97, 98, 99)))
    assert narrow.code_length >= finding.code_length


def test_a_beam_of_gzip_is_priced_exactly(book: bytes) -> None:
    prompt = book[:800]
    finding = beam_search(gencomp.as_predictor("gzip").begin(prompt), 8, 4)
    gzip = gencomp.load("gzip")
    for continuation, length in finding.ranked:
        assert length == gzip.code_length(prompt + continuation) - gzip.code_length(prompt)
    assert [length for _, length in finding.ranked] == sorted(length for _, length in finding.ranked)


def test_a_search_leaves_the_state(book: bytes) -> None:
    state = gencomp.as_predictor("gzip").begin(book[:300])
    before = state.code_lengths().tolist()
    beam_search(state, 3, 2)
    particles(state, 3, 2, np.random.default_rng(0))
    assert state.code_lengths().tolist() == before


def test_effective_sizes() -> None:
    assert effective_size(np.zeros(5)) == pytest.approx(5)
    assert effective_size(np.array([0.0, -900, -900])) == pytest.approx(1)


def test_systematic_resampling_rounds_the_expected_numbers() -> None:
    weights = np.array([0.5, 0.0, 0.3, 0.2])
    for seed in range(20):
        counts = np.bincount(systematic(weights, np.random.default_rng(seed)), minlength=4)
        assert counts.sum() == 4
        assert (np.abs(counts - 4 * weights) < 1).all()


@pytest.mark.parametrize("strategy", ["lookahead", "beam", "particles"])
def test_strategies_are_deterministic_and_as_long_as_asked(strategy: str, book: bytes) -> None:
    options = {"length": 5, "prompt": book[:300], "strategy": strategy, "horizon": 3, "width": 2}
    first, again = (gencomp.sample("gzip", seed=4, **options) for _ in range(2))
    assert first == again
    assert len(first) == 5


def test_an_own_window_forgets_what_was_drawn(book: bytes) -> None:
    prompt = book[:500]
    drawn = gencomp.sample("gzip", length=4, prompt=prompt, own_window=0, top_k=1)
    assert drawn == drawn[:1] * 4  # each byte is drawn as if it were the first
    whole = gencomp.sample("gzip", length=6, prompt=prompt, seed=1)
    assert gencomp.sample("gzip", length=6, prompt=prompt, seed=1, own_window=6) == whole


@pytest.mark.parametrize("strategy", ["beam", "particles"])
def test_an_interrupted_search_gives_what_it_has(strategy: str) -> None:
    class Impatient(Watcher):
        steps = 0

        def stepped(self) -> None:
            self.steps += 1
            if self.steps == 6:
                raise KeyboardInterrupt

    search = Search(strategy, horizon=4, width=2, draw=Draw(alphabet=(97, 98)))
    symbols = search.generate(gencomp.as_predictor("counts:1"), b"ab", 40, np.random.default_rng(0), Impatient())
    drawn = bytearray()
    with pytest.raises(SearchInterruptedError):
        for symbol in symbols:
            drawn.append(symbol)
    assert len(drawn) == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"strategy": "deeper"}, "must be one of bytes, lookahead, beam, particles"),
        ({"strategy": "beam", "horizon": 0}, "horizon must be at least 1"),
        ({"strategy": "particles", "width": 0}, "width must be at least 1"),
        ({"horizon": 3}, "needs a strategy that looks ahead"),
        ({"own_window": -1}, "own_window must be at least 0"),
        ({"max_copy": 0}, "max_copy must be at least 1"),
        ({"strategy": "beam", "top_k": 3}, "top_k and top_p"),
        ({"strategy": "beam", "temperature": 0.5}, "no meaning for a beam"),
        ({"strategy": "lookahead", "model": "mix"}, "is a predictor"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gencomp.sample(**{"model": "counts:1", "length": 1} | arguments)


def test_searches_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="horizon must be"):
        beam_search(tiny(), 0, 2)
    with pytest.raises(ValueError, match="width must be"):
        particles(tiny(), 2, 0, np.random.default_rng(0))


def test_an_empty_prompt_and_no_length(book: bytes) -> None:
    assert gencomp.sample("gzip", length=0, strategy="beam") == b""
    assert len(gencomp.sample("gzip", length=2, strategy="particles", width=2)) == 2


def test_a_finding_tells_its_others() -> None:
    finding = beam_search(tiny(), 2, 2, AB)
    assert isinstance(finding, Finding)
    assert finding.ranked[0] == (finding.continuation, finding.code_length)
