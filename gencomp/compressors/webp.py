"""WebP without loss, by Pillow."""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from PIL import Image, features

from gencomp.arguments import as_bytes
from gencomp.budget import Cost
from gencomp.compressors.checks import check_range, corrupt
from gencomp.compressors.media import framed, padded_to_rows, unframed

MAX_SIDE = (1 << 14) - 1  # the format's


@dataclass(frozen=True)
class Webp:
    """WebP lossless (RFC 9649): rows of ``width`` bytes as grey pixels; ``effort`` 0 to 6 is libwebp's method.

    An image has at most 16,383 rows; more data becomes several images. The width is never guessed from the length. The
    last row is filled up, and the data's length stands before the files (:mod:`gencomp.compressors.media`).
    """

    width: int = 64
    effort: int = 4

    window: ClassVar[None] = None
    resolution: ClassVar[str] = "byte"

    def __post_init__(self) -> None:
        check_range("width", self.width, 1, MAX_SIDE)
        check_range("effort", self.effort, 0, 6)

    def compress(self, data: bytes) -> bytes:
        data = as_bytes(data)
        pixels = padded_to_rows(data, self.width)
        at_once = self.width * MAX_SIDE
        images = (pixels[start : start + at_once] for start in range(0, len(pixels), at_once))
        return framed(data, b"".join(map(self._file, images)))

    def _file(self, pixels: bytes) -> bytes:
        file = io.BytesIO()
        grey = Image.frombytes("L", (self.width, len(pixels) // self.width), pixels)
        grey.convert("RGB").save(file, "webp", lossless=True, exact=True, quality=100, method=self.effort)
        return file.getvalue()

    def decompress(self, blob: bytes) -> bytes:
        blob = as_bytes(blob, "the code")
        return unframed("WebP", blob, self._decode)

    def _decode(self, body: bytes, size: int) -> bytes:
        rows = -(-size // self.width)
        parts = []
        for file in _files(body):
            with Image.open(io.BytesIO(file), formats=["webp"]) as image:
                expected = (self.width, min(rows, MAX_SIDE))
                if image.size != expected:
                    raise corrupt("WebP", f"an image of size {image.size}, expected {expected}")
                parts.append(image.convert("RGB").getchannel("R").tobytes())
            rows -= expected[1]
        if rows:
            raise corrupt("WebP", f"{rows} rows are missing")
        return b"".join(parts)

    def call_cost(self, size: int) -> Cost:
        pixels = size + self.width
        each, seconds = {5: (5e-3, 5e-5), 6: (3e-2, 5e-4)}.get(self.effort, (2e-3, 5e-6))
        return Cost((2 << 20) + 200 * pixels, each + seconds * pixels)

    def code_length(self, data: bytes) -> float:
        return 8.0 * len(self.compress(data))

    def environment(self) -> Mapping[str, str]:
        return {"pillow": Image.__version__, "libwebp": str(features.version("webp"))}  # type: ignore[attr-defined]


def _files(body: bytes) -> Iterator[bytes]:
    """Yield the RIFF files in ``body``; bytes 4 to 7 of each tell its length, less 8."""
    while body:
        length = 8 + int.from_bytes(body[4:8], "little")
        yield body[:length]
        body = body[length:]
