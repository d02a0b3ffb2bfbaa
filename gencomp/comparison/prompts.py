"""What the models of a comparison continue: a text, the rows of an image, a recording.

A prompt is a list of pieces, each a part that is given and the part that really follows it. Text and sound are one
piece; each row of an image is a piece, as in the paper (Delétang et al. 2024, section 3.4).
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from gencomp.errors import DatasetError
from gencomp.modalities import audio, image, text
from gencomp.modalities.image import Raster

Modality = Literal["text", "image", "audio"]
Rows = Literal["independent", "above"]


@dataclass(frozen=True)
class Prompt:
    """``pieces`` are (given, truth). If ``joined``, a piece's context holds the pieces before it, else nothing.

    ``width`` is the number of bytes in an image's row, or 0. ``notes`` say what was converted.
    """

    modality: Modality
    name: str
    pieces: tuple[tuple[bytes, bytes], ...]
    joined: bool = False
    width: int = 0
    notes: tuple[str, ...] = ()

    @property
    def given(self) -> bytes:
        return b"".join(given for given, _ in self.pieces)

    @property
    def truth(self) -> tuple[bytes, ...]:
        return tuple(truth for _, truth in self.pieces)

    @property
    def judge(self) -> str:
        """The default judge: the strongest predictor that needs no training, told what it reads."""
        return {"text": "mix", "image": f"mix?width={self.width}", "audio": "mix?sample=u8"}[self.modality]

    def with_parts(self, generated: tuple[bytes, ...]) -> list[tuple[bytes, bytes]]:
        """Return (given, generated) pairs."""
        return [(given, part) for (given, _), part in zip(self.pieces, generated, strict=True)]

    def contexts(self, generated: tuple[bytes, ...]) -> list[tuple[bytes, bytes]]:
        """Return (context, generated) pairs: what each part's model had read before it."""
        pairs = []
        context = b""
        for given, part in self.with_parts(generated):
            context = context + given if self.joined else given
            pairs.append((context, part))
            context += part
        return pairs

    def whole(self, generated: tuple[bytes, ...]) -> bytes:
        """Return everything in order: the image, the recording, the text."""
        return b"".join(given + part for given, part in self.with_parts(generated))


def _cut(name: str, data: bytes, offset: int, given: int, length: int) -> tuple[bytes, bytes]:
    if given < 0 or length < 1 or offset < 0:
        raise ValueError(
            f"offset and prompt must be 0 bytes or more, and the length at least 1; got {offset}, {given}, {length}"
        )
    if len(data) < offset + given + length:
        raise DatasetError(
            f"{name} has {len(data):,} bytes, fewer than the offset of {offset:,}, the prompt of {given:,} and the "
            f"{length:,} to generate; use a smaller offset or prompt"
        )
    return data[offset : offset + given], data[offset + given : offset + given + length]


def text_prompt(name: str, data: bytes, *, offset: int = 0, given: int = 1948, length: int = 100) -> Prompt:
    """Return ``given`` bytes from ``offset`` on, and the ``length`` that follow; the sizes are the paper's."""
    return Prompt("text", name, (_cut(name, data, offset, given, length),))


def read_text(path: str, *, offset: int, given: int, length: int) -> Prompt:
    """Return a prompt from a file, or from the readable files of a folder or pattern; notes name the others.

    Raises ``OSError``, and :class:`DatasetError` if there are too few bytes.
    """
    data, skipped = text.read_readable(path, offset + given + length, strict=Path(path).is_file())
    prompt = text_prompt(Path(path).name, data, offset=offset, given=given, length=length)
    return replace(prompt, notes=tuple(f"left out: {line}" for line in skipped))


def shrunk(raster: Raster, width: int) -> Raster:
    """Return a grey image scaled down to ``width`` pixels in a row, each pixel the mean of those it covers.

    Its proportions stay; a narrower image stays as it is.
    """
    if width < 2:
        raise ValueError(f"width must be at least 2 pixels, got {width}")
    if raster.width <= width:
        return raster
    height = max(1, round(raster.height * width / raster.width))
    pixels = np.frombuffer(raster.data, dtype=np.uint8).reshape(raster.height, raster.width).astype(np.float64)
    for axis, size in ((0, height), (1, width)):
        starts = np.arange(size) * pixels.shape[axis] // size
        counts = np.diff([*starts, pixels.shape[axis]])
        sums = np.add.reduceat(pixels, starts, axis=axis)
        pixels = sums / (counts[:, None] if axis == 0 else counts[None, :])
    return Raster(width, height, np.rint(pixels).astype(np.uint8).tobytes())


def image_prompt(name: str, raster: Raster, rows: Rows = "independent") -> Prompt:
    """Return each row's left half as given and its right half as truth; ``rows`` says what is its context."""
    half = raster.width // 2
    if half < 1 or raster.height < 1:
        raise DatasetError(f"{name}: {raster.width} x {raster.height} pixels have no half to continue")
    pieces = tuple((raster.row(row)[:half], raster.row(row)[half:]) for row in range(raster.height))
    return Prompt("image", name, pieces, rows == "above", raster.width)


def read_image(path: str, *, width: int, rows: Rows) -> Prompt:
    """Return a prompt from an image, in grey and scaled down to ``width``. Raises :class:`DatasetError`."""
    raster = image.read_grey(path)
    return replace(image_prompt(Path(path).name, shrunk(raster, width), rows), notes=raster.notes)


def read_audio(path: str, *, offset: int | None, given: int, length: int) -> Prompt:
    """Return a prompt from a recording at 16 kHz and 8 bits: a sample is a byte. Raises :class:`DatasetError`.

    Without ``offset``, prompt and continuation are the recording's loudest part, where there is something to hear.
    """
    signal = audio.read(path)
    if offset is None:
        offset = loudest(signal.data, given + length)
    piece = _cut(Path(path).name, signal.data, offset, given, length)
    return Prompt("audio", Path(path).name, (piece,), notes=signal.notes)


def loudest(samples: bytes, length: int) -> int:
    """Return where the first ``length`` 8-bit samples of the greatest energy begin; 0 if there are too few."""
    energies = np.square(np.frombuffer(samples, np.uint8).astype(np.int64) - 128)
    sums = np.concatenate([[0], np.cumsum(energies)])
    return int(np.argmax(sums[length:] - sums[:-length])) if 0 < length <= len(samples) else 0
