"""Images: pixels as bytes, row by row, and bytes as PNG. Any format that Pillow reads."""

import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gencomp.arguments import as_bytes
from gencomp.errors import DatasetError
from gencomp.extras import require
from gencomp.modalities.source import read_plain

PATCH_ROWS, PATCH_COLUMNS = 32, 64  # the paper's chunk of 2048 bytes
# EXIF 2.32, section 4.6.5.1.1
_ORIENTATION = 0x0112
_ORIENTATIONS = {
    2: "mirrored",
    3: "upside down",
    4: "upside down and mirrored",
    5: "on its side and mirrored",
    6: "on its side",
    7: "on its side and mirrored",
    8: "on its side",
}


@dataclass(frozen=True)
class Raster:
    """One plane of 8-bit pixels: ``data`` is ``height`` rows of ``width`` bytes, from the top.

    ``notes`` say, a line each, what was left out of the file.
    """

    width: int
    height: int
    data: bytes
    notes: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 0 or self.width * self.height != len(self.data):
            raise ValueError(f"{len(self.data)} bytes are not {self.height} rows of {self.width} pixels")

    def row(self, number: int) -> bytes:
        """Return row ``number``, counted from 0 at the top."""
        return self.data[number * self.width : (number + 1) * self.width]


def _pillow() -> Any:
    require("media", "PIL")
    from PIL import Image

    return Image


def _pixels(path: str | Path) -> tuple[Any, tuple[str, ...]]:
    """Return the pixels, uint8 (height, width, 3), and notes, Pillow's warnings among them.

    Transparency is ignored; 16-bit grey keeps its high byte.
    """
    image_module = _pillow()
    packed = read_plain(path)
    try:
        with (
            warnings.catch_warnings(record=True, action="always") as warned,
            image_module.open(io.BytesIO(packed)) as image,
        ):
            pixels = _as_rgb(image)
            facts = _left_out(image)
    except Exception as error:  # each of Pillow's readers raises errors of its own
        raise DatasetError(f"{path}: not an image that Pillow reads: {_reason(error)}") from error
    facts += [" ".join(str(warning.message).split()) for warning in warned]
    return pixels, tuple(f"{path}: {fact}" for fact in dict.fromkeys(facts))


def _as_rgb(image: Any) -> Any:
    # Pillow reads a 16-bit PGM as mode I, scaled to 16 bits whatever the largest value that the file names
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        return np.repeat((np.asarray(image) >> 8).astype(np.uint8)[:, :, None], 3, axis=2)
    if image.mode in ("I", "F"):
        raise ValueError(f"pixels of mode {image.mode}, expected 8 or 16 bits a sample; convert it first")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return np.asarray(image.convert("RGB"))


def _left_out(image: Any) -> list[str]:
    """Return notes on what the file holds besides its first frame's pixels as stored."""
    facts = []
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        facts.append(f"the first of {frames} frames is taken")
    orientation = image.getexif().get(_ORIENTATION, 1)
    if orientation in _ORIENTATIONS:
        facts.append(f"its EXIF data says that it is stored {_ORIENTATIONS[orientation]}; it is taken as stored")
    return facts


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return "no format that it knows" if "cannot identify image file" in text else text or type(error).__name__


def read_grey(path: str | Path) -> Raster:
    """Return an image in grey: the mean of R, G and B, truncated, as in the paper. Raises :class:`DatasetError`."""
    pixels, notes = _pixels(path)
    grey = (pixels.sum(axis=2, dtype=np.uint16) // 3).astype(np.uint8)
    return Raster(grey.shape[1], grey.shape[0], grey.tobytes(), notes)


def read_planes(path: str | Path) -> tuple[Raster, Raster, Raster]:
    """Return an image's red, green and blue planes. Raises :class:`DatasetError`."""
    pixels, notes = _pixels(path)
    height, width, _ = pixels.shape
    red, green, blue = (Raster(width, height, pixels[:, :, plane].tobytes(), notes) for plane in range(3))
    return red, green, blue


def patches(raster: Raster, rows: int = PATCH_ROWS, columns: int = PATCH_COLUMNS) -> Iterator[bytes]:
    """Yield patches of ``rows`` x ``columns`` pixels, both the patches and their pixels in row-major order.

    Incomplete ones at the right and lower edges are left out, as in the paper. Raises ``ValueError`` on an empty patch.
    """
    if rows < 1 or columns < 1:
        raise ValueError(f"a patch must have at least 1 row and 1 column, got {rows} x {columns}")
    pixels = np.frombuffer(raster.data, dtype=np.uint8).reshape(raster.height, raster.width)
    for top in range(0, raster.height - rows + 1, rows):
        for left in range(0, raster.width - columns + 1, columns):
            yield pixels[top : top + rows, left : left + columns].tobytes()


def bands(raster: Raster, size: int) -> Iterator[bytes]:
    """Yield pieces of as many whole rows as fit in ``size`` bytes, at least one; the last may be shorter."""
    rows = max(1, size // raster.width)
    for top in range(0, raster.height, rows):
        yield raster.data[top * raster.width : (top + rows) * raster.width]


def to_png(data: bytes, width: int, height: int) -> bytes:
    """Return a grey PNG file of ``height`` rows of ``width`` bytes."""
    raster = Raster(width, height, as_bytes(data))
    pixels = np.frombuffer(raster.data, dtype=np.uint8).reshape(height, width)
    return _saved(_pillow().fromarray(pixels))


def planes_to_png(red: Raster, green: Raster, blue: Raster) -> bytes:
    """Return a colour PNG file of three planes of the same size."""
    planes = [
        np.frombuffer(plane.data, dtype=np.uint8).reshape(plane.height, plane.width) for plane in (red, green, blue)
    ]
    return _saved(_pillow().fromarray(np.stack(planes, axis=2)))


def _saved(image: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "png")
    return file.getvalue()
