"""Sound: samples as bytes, and bytes as WAV. Any format that libsndfile reads."""

import io
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from gencomp.arguments import as_bytes
from gencomp.errors import DatasetError
from gencomp.extras import require
from gencomp.modalities.source import read_plain
from gencomp.protocols import FloatArray

RATE = 16_000  # the paper's, in samples a second
HALF_TAPS = 32  # zero crossings of the resampler's sinc on each side
RESAMPLED_AT_ONCE = 1 << 13  # samples
MIN_RATE, MAX_RATE = 1_000, 768_000  # of a file; outside, it is not sound, or its header is wrong
READ_AT_ONCE = 1 << 20  # samples of each channel
# these have integer samples, of which 16 bits are taken; all others decode to floats, with 1.0 as full scale
INTEGER_SUBTYPES = ("PCM_", "ALAC_")

Samples = npt.NDArray[np.int16]
Bits = Literal[8, 16]


@dataclass(frozen=True)
class Signal:
    """Mono sound. ``bits`` 8: unsigned bytes, silence is 128; 16: signed, little-endian, two bytes a sample.

    ``notes`` say what was converted on the way, a line each.
    """

    rate: int
    bits: Bits
    data: bytes
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        return 8 * len(self.data) / self.bits / self.rate


def _soundfile() -> Any:
    require("media", "soundfile")
    import soundfile

    return soundfile


def read(path: str | Path, rate: int = RATE, bits: Bits = 8) -> Signal:
    """Return a sound file as one channel at ``rate`` samples a second, of ``bits`` bits each.

    8 bits are the high byte of 16, offset by 128, as in the paper. Several channels become their mean, and another rate
    is resampled; the signal's notes say so. Raises :class:`DatasetError`.
    """
    _check(rate, bits)
    samples, found_rate = _decode(path)
    notes = []
    if samples.shape[1] > 1:
        notes.append(f"{path}: {samples.shape[1]} channels became their mean")
    mono = (samples.sum(axis=1, dtype=np.int32) // samples.shape[1]).astype(np.int16)
    if found_rate != rate:
        notes.append(f"{path}: {found_rate:,} Hz resampled to {rate:,} Hz")
        mono = resample(mono, found_rate, rate)
    return Signal(rate, bits, _to_bytes(mono, bits), tuple(notes))


def _check(rate: int, bits: int) -> None:
    if rate < 1:
        raise ValueError(f"rate must be at least 1 sample a second, got {rate}")
    if bits not in (8, 16):
        raise ValueError(f"bits must be 8 or 16, got {bits}")


def _decode(path: str | Path) -> tuple[Samples, int]:
    """Return the samples, int16 (n, channels), and their rate."""
    soundfile = _soundfile()
    packed = read_plain(path)
    try:
        with soundfile.SoundFile(io.BytesIO(packed)) as file:
            if not MIN_RATE <= file.samplerate <= MAX_RATE:
                raise DatasetError(
                    f"{path}: {file.samplerate:,} samples a second; expected {MIN_RATE:,} to {MAX_RATE:,}"
                )
            if file.frames >= 1 << 62:  # of a FLAC file that was written to a pipe, so its length was not filled in
                raise DatasetError(f"{path}: its header does not say how long it is; encode it again, from a file")
            return _read(file), file.samplerate
    except (soundfile.LibsndfileError, RuntimeError, TypeError) as error:
        reason = getattr(error, "error_string", None) or error
        raise DatasetError(f"{path}: not a sound file that libsndfile reads: {reason}") from error


def _read(file: Any) -> Samples:
    """Return the samples, int16 (n, channels). Floats beyond full scale are clipped; libsndfile would wrap them."""
    parts = [np.empty((0, file.channels), dtype=np.int16)]
    whole = file.subtype.startswith(INTEGER_SUBTYPES)
    while True:
        part = file.read(READ_AT_ONCE, dtype="int16" if whole else "float64", always_2d=True)
        if not len(part):
            return np.concatenate(parts)
        parts.append(part if whole else _to_int16(np.nan_to_num(32768 * part)))


def resample(samples: Samples, rate: int, new_rate: int) -> Samples:
    """Return int16 (n,) at ``new_rate``: band-limited interpolation with a Hann-windowed sinc.

    The filter passes the frequencies that both rates can hold (Smith, "Digital Audio Resampling", 2002).
    """
    if rate == new_rate or not len(samples):
        return samples
    cutoff = min(1.0, new_rate / rate)
    reach = int(np.ceil(HALF_TAPS / cutoff))
    padded = np.pad(samples.astype(np.float64), reach)
    offsets = np.arange(1 - reach, reach + 1)
    size = -(-len(samples) * new_rate // rate)
    parts = []
    for start in range(0, size, RESAMPLED_AT_ONCE):
        numbers = np.arange(start, min(start + RESAMPLED_AT_ONCE, size), dtype=np.int64)
        whole, rest = np.divmod(numbers * rate, new_rate)
        phases, phase = np.unique(rest, return_inverse=True)  # of 44.1 kHz to 16 kHz: 160
        distance = offsets[None, :] - (phases / new_rate)[:, None]  # (phases, taps), in old samples
        window = np.cos(np.pi / 2 * np.clip(distance / reach, -1, 1)) ** 2
        taps = cutoff * np.sinc(cutoff * distance) * window
        parts.append((padded[reach + whole[:, None] + offsets[None, :]] * taps[phase]).sum(axis=1))
    return _to_int16(np.concatenate(parts))


def _to_int16(values: FloatArray) -> Samples:
    return np.clip(np.rint(values), -32768, 32767).astype(np.int16)


def _to_bytes(samples: Samples, bits: Bits) -> bytes:
    if bits == 16:
        return samples.astype("<i2").tobytes()
    return ((samples >> 8) + 128).astype(np.uint8).tobytes()


def to_wav(data: bytes, rate: int = RATE, bits: Bits = 8) -> bytes:
    """Return a mono WAV file of samples as :class:`Signal` has them; half a sample at the end is left out.

    Raises ``ValueError`` on another rate or number of bits than :func:`read` takes.
    """
    _check(rate, bits)
    data = as_bytes(data)
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(bits // 8)
        sound.setframerate(rate)
        sound.writeframes(data[: len(data) - len(data) % (bits // 8)])
    return file.getvalue()
