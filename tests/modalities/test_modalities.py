import bz2
import gzip
import io
import lzma
from pathlib import Path

import numpy as np
import pytest
import soundfile
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gencomp.errors import DatasetError
from gencomp.modalities import audio, image, text
from gencomp.modalities.random import random_bytes
from gencomp.modalities.source import find_files, read_plain


def picture(folder: Path, name: str = "a.png", mode: str = "RGB", height: int = 70, width: int = 130) -> Path:
    bands = len(Image.new(mode, (1, 1)).getbands())
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, bands), dtype=np.uint8)
    Image.fromarray(pixels.squeeze()).save(folder / name)
    return folder / name


def tone(folder: Path, name: str, rate: int, channels: int = 1, subtype: str = "PCM_16", hertz: float = 440) -> Path:
    samples = 0.5 * np.sin(2 * np.pi * hertz * np.arange(rate) / rate)
    soundfile.write(folder / name, np.repeat(samples[:, None], channels, axis=1), rate, subtype=subtype)
    return folder / name


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [
        ("", bytes),
        (".xz", lzma.compress),
        (".gz", gzip.compress),
        (".bz2", bz2.compress),
        (".zst", lambda data: zstandard.compress(data) + zstandard.compress(b"!")),
    ],
)
def test_compressed_files_are_unpacked(tmp_path: Path, suffix: str, pack: object, book: bytes) -> None:
    path = tmp_path / f"book{suffix}"
    path.write_bytes(pack(book))
    whole = book + b"!" * (suffix == ".zst")
    assert read_plain(path) == whole
    assert read_plain(path, 1000) == book[:1000]
    if suffix:
        for damaged in (pack(book)[:-30], b"junk" + bytes(30)):
            path.write_bytes(damaged)
            with pytest.raises(DatasetError, match=f"does not unpack as {suffix}"):
                read_plain(path)


def test_files_of_a_folder_a_pattern_and_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("b.txt", "sub/a.txt", "sub/c.dat", ".hidden", ".git/x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    names = [str(path.relative_to(tmp_path)) for path in find_files(tmp_path)]
    assert names == ["b.txt", "sub/a.txt", "sub/c.dat"]
    assert text.read(tmp_path / "**/*.txt") == b"b.txtsub/a.txt"
    assert text.read(tmp_path, 7) == b"b.txtsu"
    monkeypatch.chdir(tmp_path)
    assert find_files("sub/*.dat") == [Path("sub/c.dat")]
    (tmp_path / "odd[1].txt").touch()
    assert find_files(tmp_path / "odd[1].txt") == [tmp_path / "odd[1].txt"]
    with pytest.raises(FileNotFoundError):
        find_files("missing")
    with pytest.raises(DatasetError, match="no files there"):
        find_files("*.nothing")


@given(data=st.binary(max_size=100), size=st.integers(1, 40))
def test_text_chunks(data: bytes, size: int) -> None:
    whole = list(text.chunks(data, size))
    assert all(len(chunk) == size for chunk in whole)
    assert len(whole) == len(data) // size
    assert b"".join(text.chunks(data, size, keep_last=True)) == data


@given(data=st.binary(max_size=100))
def test_seven_bits_charge_what_they_lose(data: bytes) -> None:
    cleared, halved = text.clear_top_bits(data), text.halve(data)
    assert max(cleared.data + halved.data, default=0) < 128
    assert cleared.lost_bits == sum(byte > 127 for byte in data)
    assert halved.lost_bits == len(data)
    assert all(high in (low, low | 128) for low, high in zip(cleared.data, data, strict=True))
    assert all(high >> 1 == low for low, high in zip(halved.data, data, strict=True))


def test_random_bytes_are_those_of_the_seed() -> None:
    assert random_bytes(100, 1) == random_bytes(100, 1) != random_bytes(100, 2)


def test_grey_is_the_truncated_mean(tmp_path: Path) -> None:
    Image.fromarray(np.array([[[1, 2, 4], [255, 255, 255]]], dtype=np.uint8)).save(tmp_path / "a.png")
    raster = image.read_grey(tmp_path / "a.png")
    assert raster == image.Raster(2, 1, bytes([2, 255]))
    planes = image.read_planes(tmp_path / "a.png")
    assert [plane.data for plane in planes] == [bytes([1, 255]), bytes([2, 255]), bytes([4, 255])]
    assert image.planes_to_png(*planes) == image.planes_to_png(*planes)
    (tmp_path / "b.png").write_bytes(image.planes_to_png(*planes))
    assert image.read_planes(tmp_path / "b.png") == planes


def test_patches_are_the_papers(tmp_path: Path) -> None:
    raster = image.read_grey(picture(tmp_path))
    patches = list(image.patches(raster))
    assert len(patches) == 4
    pixels = np.frombuffer(raster.data, dtype=np.uint8).reshape(70, 130)
    assert patches[3] == pixels[32:64, 64:128].tobytes()
    assert b"".join(image.bands(raster, 2048)) == raster.data
    assert next(image.bands(raster, 2048)) == raster.data[: 15 * 130]
    assert next(image.bands(raster, 1)) == raster.row(0)


def test_bytes_become_a_png_and_come_back(tmp_path: Path) -> None:
    raster = image.read_grey(picture(tmp_path))
    (tmp_path / "again.png").write_bytes(image.to_png(raster.data, raster.width, raster.height))
    assert image.read_grey(tmp_path / "again.png") == raster
    with pytest.raises(ValueError, match="9100 bytes are not 70 rows of 129 pixels"):
        image.to_png(raster.data, 129, 70)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_every_mode_becomes_grey(tmp_path: Path, mode: str) -> None:
    assert image.read_grey(picture(tmp_path, mode=mode)).width == 130


def test_sixteen_bit_images_keep_their_high_byte(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0x1234, 0xFFFF]], dtype=np.uint16)).save(tmp_path / "deep.png")
    assert image.read_grey(tmp_path / "deep.png").data == bytes([0x12, 0xFF])


def test_what_is_no_image_is_named(tmp_path: Path) -> None:
    whole = picture(tmp_path).read_bytes()
    for name, content in (("text.png", b"hello"), ("empty.png", b""), ("cut.png", whole[: len(whole) // 2])):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DatasetError, match=f"{name}: not an image that Pillow reads"):
            image.read_grey(tmp_path / name)


def test_eight_bits_are_the_high_byte_offset(tmp_path: Path) -> None:
    samples = np.array([-32768, -1, 0, 255, 256, 32767], dtype=np.int16)
    soundfile.write(tmp_path / "a.flac", samples, 16_000)
    assert audio.read(tmp_path / "a.flac") == audio.Signal(16_000, 8, bytes([0, 127, 128, 128, 129, 255]))
    assert audio.read(tmp_path / "a.flac", bits=16).data == samples.astype("<i2").tobytes()


@pytest.mark.parametrize("bits", [8, 16])
def test_bytes_become_a_wav_and_come_back(tmp_path: Path, bits: audio.Bits) -> None:
    signal = audio.read(tone(tmp_path, "a.wav", 16_000), bits=bits)
    (tmp_path / "b.wav").write_bytes(audio.to_wav(signal.data, signal.rate, bits))
    assert audio.read(tmp_path / "b.wav", bits=bits) == signal
    assert signal.seconds == 1
    assert len(soundfile.read(io.BytesIO(audio.to_wav(b"\0" * 5, 16_000, bits)))[0]) == 5 * 8 // bits


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_channels_and_rates_are_converted_and_it_is_said(tmp_path: Path, rate: int, subtype: str) -> None:
    path = tone(tmp_path, "a.wav", rate, channels=2, subtype=subtype)
    signal = audio.read(path, bits=16)
    assert [note.removeprefix(f"{path}: ") for note in signal.notes] == [
        "2 channels became their mean",
        f"{rate:,} Hz resampled to 16,000 Hz",
    ]
    heard = np.frombuffer(signal.data, dtype="<i2")
    meant = np.rint(16384 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000))
    assert len(heard) == 16_000
    assert np.abs(heard - meant)[200:-200].max() < 40, "the same tone at the new rate"


def test_resampling_removes_what_the_new_rate_cannot_hold(tmp_path: Path) -> None:
    signal = audio.read(tone(tmp_path, "high.wav", 44_100, hertz=12_000), bits=16)
    assert np.abs(np.frombuffer(signal.data, dtype="<i2"))[200:-200].max() < 100


def test_what_is_no_sound_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.flac").write_bytes(b"hello")
    with pytest.raises(DatasetError, match=r"a\.flac: not a sound file that libsndfile reads: "):
        audio.read(tmp_path / "a.flac")
    with pytest.raises(ValueError, match="bits must be 8 or 16, got 12"):
        audio.read(tmp_path / "a.flac", bits=12)
