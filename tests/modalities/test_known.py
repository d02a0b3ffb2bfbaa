"""Sources of known entropy: their rates against counts, and models against their rates."""

from pathlib import Path

import numpy as np
import pytest

from gencomp.cli.main import run as run_command
from gencomp.equivalence.conditional import code_length
from gencomp.errors import SpecError
from gencomp.evaluation.presets import PRESETS
from gencomp.evaluation.run import Reports, run
from gencomp.executors import SerialPool
from gencomp.modalities.dataset import Dataset
from gencomp.modalities.known import Hidden, Markov, parse_source

SPECS = ["bernoulli:p=0.1", "markov:order=0", "markov:order=2&seed=1", "hidden:seed=1", "grammar:seed=1"]


@pytest.mark.parametrize("spec", SPECS)
def test_samples_are_drawn_by_their_seed(spec: str) -> None:
    source = parse_source(spec)
    assert source.sample(500) == parse_source(spec).sample(500)
    assert source.sample(500) != source.sample(500, 1)
    assert source.sample(500)[:200] == source.sample(200)
    assert 0 < source.entropy_rate < 8


def test_rates_by_hand() -> None:
    assert parse_source("bernoulli:p=0.5").entropy_rate == 1.0
    assert parse_source("bernoulli:p=0").entropy_rate == 0.0
    # one decision of a number's digits, and the end of the line: no sums, no brackets, one digit
    assert parse_source("grammar:more=0&nest=0&longer=0").entropy_rate == pytest.approx(np.log2(10) / 2)
    one_state = Hidden(states=1, symbols=4, seed=3)
    emitted = one_state._laws[1][0]
    assert one_state.entropy_rate == pytest.approx(-(emitted * np.log2(emitted)).sum(), abs=0.003)


@pytest.mark.parametrize("spec", ["markov:order=1&seed=4", "markov:order=3&symbols=3&seed=2"])
def test_a_markov_rate_is_its_samples_conditional_entropy(spec: str) -> None:
    source = parse_source(spec)
    assert isinstance(source, Markov)
    sample = np.frombuffer(source.sample(200_000), dtype=np.uint8).astype(np.int64) - ord("a")
    context = np.zeros_like(sample[source.order :])
    for back in range(source.order):
        context = context * source.symbols + sample[back : len(sample) - source.order + back]
    charged = -np.log2(source._rows[context, sample[source.order :]])
    assert charged.mean() == pytest.approx(source.entropy_rate, abs=0.01)


@pytest.mark.thorough
def test_a_grammars_rate_is_its_lines_decisions() -> None:
    source = parse_source("grammar:seed=5")
    bits, size = source._means()  # type: ignore[attr-defined]
    lines = source.sample(300_000).split(b"\n")[:-1]
    assert np.mean([len(line) + 1 for line in lines]) == pytest.approx(size, rel=0.03)
    digits = np.mean([sum(48 <= byte < 58 for byte in line) for line in lines])
    plus, brackets = (np.mean([line.count(sign) for line in lines]) for sign in (b"+", b"("))
    of_bit = lambda p: -p * np.log2(p) - (1 - p) * np.log2(1 - p)  # noqa: E731
    terms = plus + brackets + 1
    counted = terms * (of_bit(0.35) + of_bit(0.3)) + digits * (of_bit(0.4) + np.log2(10))
    assert counted == pytest.approx(bits, rel=0.03)


def test_a_hidden_rate_lies_between_its_bounds() -> None:
    """H(next | 4 symbols before and the state before them) <= rate <= H(next | 4 symbols before)."""
    source = Hidden(states=3, symbols=2, seed=9)
    moves, emissions, law = source._laws

    def entropy_of(length: int, start: np.ndarray) -> float:
        """Return H of ``length`` symbols in bits, from the law ``start`` of the first state."""
        total = 0.0
        for code in range(2**length):
            belief = start
            for place in range(length):
                belief = (belief * emissions[:, code >> place & 1]) @ moves
            total -= belief.sum() * np.log2(belief.sum())
        return float(total)

    upper = entropy_of(9, law) - entropy_of(8, law)
    states = np.eye(3)
    lower = sum(weight * (entropy_of(9, row) - entropy_of(8, row)) for weight, row in zip(law, states, strict=True))
    assert lower - 0.003 <= source.entropy_rate <= upper + 0.003


@pytest.mark.thorough
def test_ctw_comes_within_two_hundredths_of_a_bit_of_a_markov_source_of_its_depth() -> None:
    for spec in ("markov:order=1&seed=1", "markov:order=2&seed=1"):
        source = parse_source(spec)
        depth = spec[13]
        sample = source.sample(100_000)
        own = code_length(f"ctw:{depth}", sample) / len(sample)
        assert abs(own - source.entropy_rate) < 0.02, spec


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("poisson:p=1", "unknown source 'poisson'; there are bernoulli, markov, hidden, grammar"),
        ("markov:depth=2", "markov takes key=value with order, symbols"),
        ("markov:order=2&order=3", "each once"),
        ("markov:order=x", "order must be a number, got 'x'"),
        ("markov:order=9&symbols=26", "contexts are too many"),
        ("bernoulli:p=1.5", "p must be from 0 to 1, got 1.5"),
        ("grammar:more=0.9&nest=0.9", "lines would not end"),
    ],
)
def test_what_names_no_source_is_refused(spec: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse_source(spec)


def test_rows_hold_the_rate_and_what_is_above_it(tmp_path: Path) -> None:
    sources = (Dataset("coin", "source", source="bernoulli:p=0.1", limit=2, chunk_size=3000),)
    preset = PRESETS["known-entropy"]
    assert {dataset.source for dataset in preset.datasets(tmp_path)} == set(preset.sources)
    from dataclasses import replace

    experiment = replace(preset, models=("gzip", "counts"), lengths=(300, 3000), chunk_sizes=(3000,)).experiment(
        sources
    )
    quiet = Reports(lambda total, known: None, lambda count: None, lambda line: None)
    rows = run(experiment, tmp_path, SerialPool(), quiet)
    assert [row.entropy_rate for row in rows] == pytest.approx([0.469] * 4, abs=1e-3)
    excess = {(row.model, row.length): row.excess for row in rows}
    assert excess["counts", 3000] < excess["counts", 300]
    assert excess["counts", 3000] < excess["gzip", 3000]
    with pytest.raises(ValueError, match="source"):
        Dataset("x", "source", limit=1)


def test_the_command_line_takes_sources(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "evaluate",
        "--source",
        "bernoulli:p=0.1",
        "-m",
        "uniform",
        "-j",
        "1",
        "-q",
        "-o",
        str(tmp_path / "out"),
    ]
    assert run_command([*arguments, "--format", "latex"]) == 0
    assert r"\begin{tabular}{llr}" in capsys.readouterr().out
    assert (
        "Bits per byte above the source's entropy rate, which is: bernoulli:p=0.1 0.4690."
        in (tmp_path / "out" / "table.md").read_text()
    )
    assert run_command([*arguments[:2], "poisson", *arguments[3:]]) == 2
    assert "unknown source 'poisson'" in capsys.readouterr().err
