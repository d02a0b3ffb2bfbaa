"""What the contract does not ask of the codecs of images and sound: geometry, sample formats, damage."""

import io
from contextlib import suppress

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gencomp.compressors.flac import Flac
from gencomp.compressors.media import padded_to_rows
from gencomp.compressors.png import Png
from gencomp.compressors.webp import Webp
from gencomp.errors import CorruptDataError
from gencomp.registry import load

GRADIENT = bytes((x + 3 * y) % 256 for y in range(32) for x in range(64))
WAVE = (3000 * np.sin(np.arange(1024) / 9)).astype("<i2").tobytes()


@given(data=st.binary(max_size=200), width=st.integers(1, 70))
def test_padding_repeats_the_row_above(data: bytes, width: int) -> None:
    padded = padded_to_rows(data, width)
    assert padded[: len(data)] == data
    assert len(padded) % width == 0
    assert len(padded) - len(data) < width
    for place in range(len(data), len(padded)):
        assert padded[place] == (padded[place - width] if place >= width and len(data) >= width else 0)


@pytest.mark.parametrize(
    "spec",
    ["png?width=1", "png?width=33&level=1", "webp?width=7&effort=6", "flac?sample=s8"]
    + ["flac?sample=s16le&level=0", "flac?sample=s16be", "xz?preset=0&extreme=true"],
)
@given(data=st.binary(max_size=300))
def test_every_format_is_lossless_at_any_length(spec: str, data: bytes) -> None:
    compressor = load(spec)
    assert compressor.decompress(compressor.compress(data)) == data


def test_the_code_holds_a_file_of_the_format() -> None:
    code = Png().compress(GRADIENT)
    image = Image.open(io.BytesIO(code[code.index(b"\x89PNG") :]))
    assert (image.size, image.mode, image.tobytes()) == ((64, 32), "L", GRADIENT)
    code = Flac(sample="s16le").compress(WAVE)
    samples, rate = soundfile.read(io.BytesIO(code[code.index(b"fLaC") :]), dtype="int16")
    assert (samples.astype("<i2").tobytes(), rate) == (WAVE, 16_000)


def test_geometry_and_sample_format_matter() -> None:
    assert len(Png(width=64).compress(GRADIENT)) < len(Png(width=61).compress(GRADIENT))
    assert len(Webp(width=64).compress(GRADIENT)) < len(Webp(width=61).compress(GRADIENT))
    assert len(Flac(sample="s16le").compress(WAVE)) < 0.75 * len(Flac(sample="u8").compress(WAVE))


def test_an_image_of_another_width_is_refused() -> None:
    for codec in (Png, Webp):
        with pytest.raises(CorruptDataError, match="expected"):
            codec(width=32).decompress(codec(width=64).compress(GRADIENT))


def test_more_rows_than_a_webp_image_can_have() -> None:
    data = np.random.default_rng(0).integers(0, 9, 40_001, dtype=np.uint8).tobytes()
    assert Webp(width=1).decompress(Webp(width=1).compress(data)) == data


@pytest.mark.parametrize("codec", [Png(), Webp(), Flac()])
@given(place=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_damage_never_raises_anything_else(codec: Png | Webp | Flac, place: int, bit: int) -> None:
    code = bytearray(codec.compress(GRADIENT))
    code[place % len(code)] ^= 1 << bit
    with suppress(CorruptDataError):
        assert len(codec.decompress(bytes(code))) <= len(GRADIENT) * 128


def test_sample_formats_are_named() -> None:
    with pytest.raises(ValueError, match="sample must be one of u8, s8, s16le, s16be, got 'f32'"):
        Flac(sample="f32")
