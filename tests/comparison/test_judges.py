"""The judges against values derived by hand."""

from math import log2, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gencomp.comparison.judges import (
    code_lengths_after,
    distinct,
    mean,
    repeat_lengths,
    repetition,
    self_compressibility,
)
from gencomp.comparison.judges_media import (
    log_spectral_distance,
    mean_absolute_error,
    power_spectrogram,
    psnr,
    ssim,
    waveform,
)
from gencomp.equivalence.adapt import as_predictor
from gencomp.equivalence.candidates import entropy


def test_distinct() -> None:
    assert distinct(b"abab", 1) == 2 / 4
    assert distinct(b"abab", 2) == 2 / 3  # ab ba ab
    assert distinct(b"ab", 3) == 1.0
    with pytest.raises(ValueError, match="at least 1"):
        distinct(b"ab", 0)


def test_repetition() -> None:
    assert repeat_lengths(b"abab").tolist() == [0, 0, 2, 1]
    assert repeat_lengths(b"aaaa").tolist() == [0, 3, 2, 1]  # a repeat may overlap what it repeats
    assert repetition(b"xabcyabc", 3) == 3 / 8
    assert repetition(b"xabcyabc", 4) == 0.0
    assert repetition(b"") == 0.0


@given(st.text("ab", max_size=24))
def test_repeats_are_the_longest(text: str) -> None:
    data = text.encode()
    for start, length in enumerate(repeat_lengths(data).tolist()):
        assert not length or data[start : start + length] in {data[at : at + length] for at in range(start)}
        longer = {data[at : at + length + 1] for at in range(start)}
        assert start + length == len(data) or data[start : start + length + 1] not in longer


def test_a_judge_charges_only_what_was_generated() -> None:
    uniform = as_predictor("uniform")
    assert code_lengths_after(uniform, [(b"abc", b"de"), (b"f", b"g")]).tolist() == [8.0, 8.0, 8.0]
    assert code_lengths_after(uniform, []).tolist() == []
    assert self_compressibility(uniform, b"abc") == 8.0
    counts = as_predictor("counts:2")
    pieces = [(b"abra", b"cad"), (b"ab", b"ra")]
    state = counts.begin()
    costs = []
    for symbol in b"abracadabra":
        costs.append(state.code_lengths()[symbol])
        state.update(symbol)
    assert code_lengths_after(counts, pieces).tolist() == pytest.approx([costs[i] for i in (4, 5, 6, 9, 10)])


def test_entropy() -> None:
    assert entropy(np.full(256, 8.0)) == 8.0
    assert entropy(np.array([1.0, 2.0, 2.0, np.inf])) == 1.5
    assert mean(np.array([])) == 0.0


def test_pixel_errors() -> None:
    black = np.zeros((2, 2), dtype=np.uint8)
    image = np.array([[0, 4], [0, 0]], dtype=np.uint8)
    assert mean_absolute_error(image, black) == 1.0
    assert psnr(image, black) == pytest.approx(10 * np.log10(255**2 / 4))
    assert psnr(black, black) == float("inf")
    with pytest.raises(ValueError, match="the same shape"):
        psnr(black, black[:1])


def test_structural_similarity() -> None:
    flat = [np.full((12, 13), value, dtype=np.uint8) for value in (100, 110)]
    # without any structure it is the luminance's term alone
    expected = (2 * 100 * 110 + 2.55**2) / (100**2 + 110**2 + 2.55**2)
    assert ssim(flat[0], flat[1]) == pytest.approx(expected)
    rng = np.random.default_rng(1)
    noise = rng.integers(256, size=(20, 20), dtype=np.uint8)
    assert ssim(noise, noise) == pytest.approx(1.0)
    assert ssim(255 - noise, noise) < -0.5
    # a checkerboard against its negative, x and 200 - x: means 100, covariance -variance, in every window
    board = (50 + 100 * (np.indices((40, 40)).sum(axis=0) % 2)).astype(np.uint8)
    variance = 50.0**2
    assert ssim(200 - board, board) == pytest.approx((7.65**2 - 2 * variance) / (7.65**2 + 2 * variance), abs=1e-3)
    with pytest.raises(ValueError, match="11 x 11"):
        ssim(noise[:5], noise[:5])


def test_spectra() -> None:
    assert waveform(bytes([0, 128, 192])).tolist() == [-1.0, 0.0, 0.5]
    time = np.arange(1024)
    sine = np.sin(2 * np.pi * 32 * time / 256)
    power = power_spectrogram(sine)
    assert power.shape == (7, 129)
    assert power[:, 32] == pytest.approx(1 / 4)
    assert power[:, 64] == pytest.approx(0, abs=1e-20)
    noise = np.random.default_rng(2).normal(size=1000)
    assert power_spectrogram(noise).shape == (7, 129)
    assert power_spectrogram(noise[:10]).shape == (1, 129)
    assert log_spectral_distance(noise, noise) == 0.0
    assert log_spectral_distance(2 * noise, noise) == pytest.approx(20 * log2(2) * np.log10(2))
    with pytest.raises(ValueError, match="the same length"):
        log_spectral_distance(noise, noise[1:])
    # one bin of 129 in a frame differs by a known number of dB, and its two neighbours under the window
    one, two = (np.sin(2 * np.pi * 32 * np.arange(256) / 256) * gain for gain in (1.0, 0.1))
    assert log_spectral_distance(one, two) == pytest.approx(sqrt(3 * 20**2 / 129), rel=1e-6)
