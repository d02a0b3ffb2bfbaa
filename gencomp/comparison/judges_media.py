"""Judges of generated pixels and samples against the real ones: pixel error, structural similarity, spectra."""

import numpy as np
import numpy.typing as npt

from gencomp.protocols import FloatArray

PEAK = 255.0
SSIM_WINDOW = 11  # pixels; a Gaussian of standard deviation 1.5 (Wang et al. 2004)
SSIM_DEVIATION = 1.5
SSIM_C1, SSIM_C2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
FRAME = 256  # samples, 16 ms at 16 kHz
HOP = 128
SILENCE = 1e-7  # power of a bin below which nothing can be heard in 8-bit samples

Pixels = npt.NDArray[np.uint8]


def _check_shapes(image: Pixels, reference: Pixels) -> None:
    if image.shape != reference.shape or not image.size:
        raise ValueError(f"two images of the same shape are needed, got {image.shape} and {reference.shape}")


def mean_absolute_error(image: Pixels, reference: Pixels) -> float:
    """Return the mean of |difference| over pixels uint8 (height, width), 0 to 255."""
    _check_shapes(image, reference)
    return float(np.abs(image.astype(np.float64) - reference).mean())


def psnr(image: Pixels, reference: Pixels) -> float:
    """Return the peak signal-to-noise ratio of uint8 (height, width) in dB; infinite for equal images."""
    _check_shapes(image, reference)
    error = float(((image.astype(np.float64) - reference) ** 2).mean())
    return float(10 * np.log10(PEAK**2 / error)) if error else float("inf")


def _blurred(pixels: FloatArray) -> FloatArray:
    """Return the Gaussian-weighted mean of every whole window, (height - 10, width - 10)."""
    offsets = np.arange(SSIM_WINDOW) - SSIM_WINDOW // 2
    weights = np.exp(-(offsets**2) / (2 * SSIM_DEVIATION**2))
    weights /= weights.sum()
    rows = np.lib.stride_tricks.sliding_window_view(pixels, SSIM_WINDOW, axis=0) @ weights
    return np.asarray(np.lib.stride_tricks.sliding_window_view(rows, SSIM_WINDOW, axis=1) @ weights)


def ssim(image: Pixels, reference: Pixels) -> float:
    """Return the mean structural similarity of uint8 (height, width): 1 for equal images (Wang et al. 2004).

    Windows are Gaussian, 11 x 11, and lie wholly inside; K1 = 0.01 and K2 = 0.03. Raises ``ValueError`` for images that
    are smaller than a window.
    """
    _check_shapes(image, reference)
    if min(image.shape) < SSIM_WINDOW:
        raise ValueError(f"structural similarity needs {SSIM_WINDOW} x {SSIM_WINDOW} pixels, got {image.shape}")
    x, y = image.astype(np.float64), reference.astype(np.float64)
    mean_x, mean_y = _blurred(x), _blurred(y)
    variance_x = _blurred(x * x) - mean_x**2
    variance_y = _blurred(y * y) - mean_y**2
    covariance = _blurred(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + SSIM_C1) / (mean_x**2 + mean_y**2 + SSIM_C1)
    structure = (2 * covariance + SSIM_C2) / (variance_x + variance_y + SSIM_C2)
    return float((luminance * structure).mean())


def waveform(data: bytes) -> FloatArray:
    """Return unsigned 8-bit samples as float64 (n,) in [-1, 1)."""
    return (np.frombuffer(data, dtype=np.uint8).astype(np.float64) - 128) / 128


def power_spectrogram(samples: FloatArray, frame: int = FRAME, hop: int = HOP) -> FloatArray:
    """Return the power of each bin, float64 (frames, frame / 2 + 1), under a Hann window.

    A sine of amplitude 1 peaks at 1/4. Samples are padded with silence to whole frames.
    """
    size = max(frame, -(-(len(samples) - frame) // hop) * hop + frame)
    padded = np.pad(samples, (0, size - len(samples)))
    window = np.hanning(frame + 1)[:-1]
    frames = np.lib.stride_tricks.sliding_window_view(padded, frame)[::hop] * window
    return np.asarray(np.abs(np.fft.rfft(frames, axis=1) / window.sum()) ** 2)


def log_spectral_distance(samples: FloatArray, reference: FloatArray) -> float:
    """Return the rms difference of two spectra over bins, in dB, averaged over frames (Gray & Markel 1976).

    Both signals are (n,); powers below 10^-7 count as 10^-7.
    """
    if len(samples) != len(reference) or not len(samples):
        raise ValueError(f"two signals of the same length are needed, got {len(samples)} and {len(reference)} samples")
    spectra = [10 * np.log10(np.maximum(power_spectrogram(x), SILENCE)) for x in (samples, reference)]
    return float(np.sqrt(((spectra[0] - spectra[1]) ** 2).mean(axis=1)).mean())
