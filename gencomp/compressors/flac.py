"""FLAC, by soundfile's libsndfile."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import soundfile

from gencomp.arguments import as_bytes
from gencomp.budget import Cost
from gencomp.compressors.checks import check_range, corrupt
from gencomp.compressors.media import framed, unframed

RATE = 16_000  # written into the file; it changes no sample


@dataclass(frozen=True)
class Flac:
    """FLAC (RFC 9639) of one channel; ``sample`` is how bytes become samples, ``level`` 0 to 8 the encoder's effort.

    "u8": one byte each, 128 is silence, as in the paper; "s8": one signed byte; "s16le" and "s16be": two bytes each.
    Half a sample at the end is filled up, and the data's length stands before the file
    (:mod:`gencomp.compressors.media`).
    """

    sample: Literal["u8", "s8", "s16le", "s16be"] = "u8"
    level: int = 8

    resolution: ClassVar[str] = "byte"

    def __post_init__(self) -> None:
        if self.sample not in ("u8", "s8", "s16le", "s16be"):
            raise ValueError(f"sample must be one of u8, s8, s16le, s16be, got {self.sample!r}")
        check_range("level", self.level, 0, 8)

    @property
    def window(self) -> int:
        """A frame, libFLAC's 4,096 samples, in bytes."""
        return 4096 * self._bytes_per_sample

    @property
    def _bytes_per_sample(self) -> int:
        return 2 if "16" in self.sample else 1

    def compress(self, data: bytes) -> bytes:
        data = as_bytes(data)
        if not data:
            return framed(data, b"")
        file = io.BytesIO()
        subtype = "PCM_16" if "16" in self.sample else "PCM_S8"
        soundfile.write(
            file, self._samples(data), RATE, subtype, format="FLAC", compression_level=self.level / 8
        )  # fmt: skip
        return framed(data, file.getvalue())

    def _samples(self, data: bytes) -> npt.NDArray[np.int16]:
        """Return int16 (n,): 8-bit samples in the high byte, where libsndfile takes them from."""
        if self.sample == "u8":
            return ((np.frombuffer(data, dtype=np.uint8).astype(np.int16) - 128) << 8).astype(np.int16)
        if self.sample == "s8":
            return np.frombuffer(data, dtype=np.int8).astype(np.int16) << 8
        whole = data + bytes(len(data) % 2)
        return np.frombuffer(whole, dtype="<i2" if self.sample == "s16le" else ">i2").astype(np.int16)

    def decompress(self, blob: bytes) -> bytes:
        blob = as_bytes(blob, "the code")
        return unframed("FLAC", blob, self._decode)

    def _decode(self, body: bytes, size: int) -> bytes:
        expected = -(-size // self._bytes_per_sample)
        with soundfile.SoundFile(io.BytesIO(body)) as file:
            if (file.format, file.channels, file.frames) != ("FLAC", 1, expected):
                raise corrupt("FLAC", f"{file.frames} samples of {file.channels} channels, expected {expected} of 1")
            parts = []  # in pieces: the number of samples is only a claim
            while len(part := file.read(1 << 16, dtype="int16")):
                parts.append(part)
        samples = np.concatenate(parts) if parts else np.empty(0, dtype=np.int16)
        if len(samples) != expected:
            raise corrupt("FLAC", f"{len(samples)} samples decoded, {expected} expected")
        if self.sample == "u8":
            return ((samples >> 8) + 128).astype(np.uint8).tobytes()
        if self.sample == "s8":
            return (samples >> 8).astype(np.int8).tobytes()
        return samples.astype("<i2" if self.sample == "s16le" else ">i2").tobytes()

    def call_cost(self, size: int) -> Cost:
        return Cost((1 << 20) + 16 * size, 2e-3 + 6e-7 * size)

    def code_length(self, data: bytes) -> float:
        return 8.0 * len(self.compress(data))

    def environment(self) -> Mapping[str, str]:
        return {"soundfile": soundfile.__version__, "libsndfile": soundfile.__libsndfile_version__}
