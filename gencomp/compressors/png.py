"""PNG, by Pillow."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from PIL import Image, PngImagePlugin, features

from gencomp.arguments import as_bytes
from gencomp.budget import Cost
from gencomp.compressors.checks import check_range, corrupt
from gencomp.compressors.media import framed, padded_to_rows, unframed

MAX_WIDTH = (1 << 16) - 1


@dataclass(frozen=True)
class Png:
    """PNG (ISO/IEC 15948): rows of ``width`` bytes as an 8-bit grey image, filtered, then deflate of ``level`` 1 to 9.

    The width is the data's, 64 in the paper's patches; it is never guessed from the length. The last row is filled up,
    and the data's length stands before the file (:mod:`gencomp.compressors.media`).
    """

    width: int = 64
    level: int = 9

    window: ClassVar[int] = 1 << 15
    resolution: ClassVar[str] = "byte"

    def __post_init__(self) -> None:
        check_range("width", self.width, 1, MAX_WIDTH)
        check_range("level", self.level, 1, 9)

    def compress(self, data: bytes) -> bytes:
        data = as_bytes(data)
        if not data:
            return framed(data, b"")
        pixels = padded_to_rows(data, self.width)
        file = io.BytesIO()
        # optimize stands for deflate's level 9 with the most memory
        options = {"optimize": True} if self.level == 9 else {"compress_level": self.level}
        Image.frombytes("L", (self.width, len(pixels) // self.width), pixels).save(file, "png", **options)
        return framed(data, file.getvalue())

    def decompress(self, blob: bytes) -> bytes:
        blob = as_bytes(blob, "the code")
        return unframed("PNG", blob, self._decode)

    def _decode(self, body: bytes, size: int) -> bytes:
        # not Image.open, which refuses more than 2^27 pixels: their number is checked here
        with PngImagePlugin.PngImageFile(io.BytesIO(body)) as image:
            expected = (self.width, -(-size // self.width))
            if image.mode != "L" or image.size != expected:
                raise corrupt("PNG", f"an image of mode {image.mode} and size {image.size}, expected L and {expected}")
            if expected[0] * expected[1] > 1032 * len(body):  # deflate's largest ratio
                raise corrupt("PNG", f"{len(body)} bytes cannot hold {size}")
            return image.tobytes()

    def call_cost(self, size: int) -> Cost:
        pixels = size + self.width
        return Cost((1 << 20) + 8 * pixels, 5e-4 + 6e-7 * pixels)

    def code_length(self, data: bytes) -> float:
        return 8.0 * len(self.compress(data))

    def environment(self) -> Mapping[str, str]:
        # Pillow's own, which may parse otherwise than Python's
        name = "zlib_ng" if features.check("zlib_ng") else "zlib"
        version = str(features.version_feature(name) if name == "zlib_ng" else features.version(name))
        return {"pillow": Image.__version__, f"pillow-{name}": version}  # type: ignore[attr-defined]
