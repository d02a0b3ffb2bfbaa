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


XZ = lzma.compress(b"one")
GZ, BZ2, ZST = gzip.compress(b"one", mtime=0), bz2.compress(b"one"), zstandard.compress(b"one")
SKIPPABLE = bytes.fromhex("5a2a4d18 05000000") + b"notes"  # RFC 8878, section 3.1.2


@pytest.mark.parametrize(
    ("suffix", "content", "whole"),
    [
        (".xz", XZ + lzma.compress(b" two"), b"one two"),
        (".xz", XZ + bytes(4), b"one"),
        (".xz", XZ + bytes(8) + lzma.compress(b" two") + bytes(12), b"one two"),
        (".xz", XZ + bytes(1 << 17) + XZ, b"oneone"),
        (".gz", GZ + gzip.compress(b" two", mtime=0), b"one two"),
        (".gz", GZ + bytes(5), b"one"),
        (".gz", GZ + bytes(511) + GZ, b"oneone"),
        (".bz2", BZ2 + bz2.compress(b" two"), b"one two"),
        (".zst", ZST + SKIPPABLE + zstandard.compress(b" two"), b"one two"),
        (".zst", SKIPPABLE + ZST + SKIPPABLE, b"one"),
    ],
)
def test_all_streams_of_a_compressed_file(tmp_path: Path, suffix: str, content: bytes, whole: bytes) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    assert read_plain(path) == whole
    assert read_plain(path, 2) == b"on"
    assert text.read(path) == whole


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        *((suffix, packed + tail) for suffix, packed in ((".xz", XZ), (".gz", GZ), (".bz2", BZ2), (".zst", ZST))
          for tail in (b"x", b"garbage", b"garbage that is long enough to be a header", packed[:-1], packed[:5])),
        *((suffix, b"") for suffix in (".xz", ".gz", ".bz2", ".zst")),
        *((".xz", XZ + bytes(count)) for count in (1, 2, 3, 5, 7)),
        (".xz", XZ + bytes(3) + XZ),
        (".xz", XZ + bytes(4) + b"garbage"),
        (".xz", lzma.compress(b"one", lzma.FORMAT_ALONE)),
        (".xz", XZ + lzma.compress(b"one", lzma.FORMAT_ALONE)),
        (".gz", GZ + bytes(4) + b"garbage"),
        (".bz2", BZ2 + bytes(4)),
        (".zst", ZST + bytes(4)),
        (".zst", ZST + SKIPPABLE[:-1]),
    ],
)  # fmt: skip
def test_what_no_format_allows_after_a_stream_is_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=f"does not unpack as {suffix}: "):
        read_plain(path)
    with pytest.raises(DatasetError, match="does not unpack"):
        text.read(tmp_path)
    (tmp_path / "b.txt").write_bytes(b"good")
    data, skipped = text.read_readable(tmp_path)
    assert data == b"good"
    assert len(skipped) == 1


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
    with pytest.raises(ValueError, match="random data can have from 0 to"):
        random_bytes(1 << 63)


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


@pytest.mark.parametrize("largest", [1023, 65535])
def test_sixteen_bit_pgm_is_read_as_png_is(tmp_path: Path, largest: int) -> None:
    samples = np.array([[0, largest // 4, largest // 2, largest]], dtype=">u2")
    (tmp_path / "deep.pgm").write_bytes(b"P5 4 1 %d\n" % largest + samples.tobytes())
    Image.fromarray((samples.astype(np.float64) * 65535 / largest).round().astype(np.uint16)).save(
        tmp_path / "deep.png"
    )
    assert image.read_grey(tmp_path / "deep.pgm").data == image.read_grey(tmp_path / "deep.png").data
    assert image.read_grey(tmp_path / "deep.pgm").data[-1] == 255
    (tmp_path / "float.pfm").write_bytes(b"Pf\n1 1\n-1.0\n" + bytes(4))
    with pytest.raises(DatasetError, match="pixels of mode F"):
        image.read_grey(tmp_path / "float.pfm")


def test_what_an_image_file_holds_beside_its_pixels_is_told(tmp_path: Path) -> None:
    pixels = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4))
    turned = Image.Exif()
    turned[0x0112] = 6
    for name in ("turned.jpg", "turned.png", "turned.webp"):
        pixels.save(tmp_path / name, exif=turned)
        raster = image.read_grey(tmp_path / name)
        assert (raster.width, raster.height) == (4, 3)
        (note,) = raster.notes
        assert note == (f"{tmp_path / name}: its EXIF data says that it is stored on its side; it is taken as stored")
    upright = Image.Exif()
    upright[0x0112] = 1
    pixels.save(tmp_path / "upright.png", exif=upright)
    assert image.read_grey(tmp_path / "upright.png").notes == ()
    other = Image.fromarray(np.full((3, 4), 200, dtype=np.uint8))
    for name in ("moving.gif", "moving.png", "moving.webp", "pages.tiff"):
        pixels.save(tmp_path / name, save_all=True, append_images=[other, pixels])
        (note,) = image.read_grey(tmp_path / name).notes
        assert note == f"{tmp_path / name}: the first of 3 frames is taken"
        assert image.read_planes(tmp_path / name)[2].notes == (note,)


def test_pillows_warnings_become_notes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    palette = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).convert("P")
    palette.info["transparency"] = bytes(range(64))
    palette.save(tmp_path / "palette.png", transparency=bytes(range(64)))
    raster = image.read_grey(tmp_path / "palette.png")
    assert raster.notes == ()
    assert raster.data == bytes(range(64)), "transparency is ignored"
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    (note,) = image.read_grey(tmp_path / "palette.png").notes
    assert "palette.png: Image size (64 pixels) exceeds limit" in note
    assert capfd.readouterr().err == ""


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


LOUD = 1.7 * np.sin(np.arange(24_000) / 9)
FLOATS = [("a.wav", "FLOAT"), ("a.wav", "DOUBLE"), ("a.ogg", "VORBIS"), ("a.opus", "OPUS"), ("a.mp3", "MPEG_LAYER_III")]


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(("name", "subtype"), FLOATS)
def test_loud_sound_is_clipped(tmp_path: Path, name: str, subtype: str, bits: audio.Bits) -> None:
    """What decodes to more than full scale stays at full scale; it does not come out at the other end."""
    if subtype not in soundfile.available_subtypes():
        pytest.skip(f"this libsndfile has no {subtype}")
    container = {"a.ogg": "OGG", "a.opus": "OGG", "a.mp3": "MP3"}.get(name, "WAV")
    soundfile.write(tmp_path / name, np.stack([LOUD, LOUD], axis=1), 24_000, subtype, format=container)
    decoded = soundfile.read(tmp_path / name)[0].mean(axis=1)
    assert np.abs(decoded).max() > 1.2, "too quiet to tell"
    signal = audio.read(tmp_path / name, rate=24_000, bits=bits)
    heard = np.frombuffer(signal.data, np.uint8 if bits == 8 else "<i2").astype(np.float64)
    scaled = (heard - 128) / 128 if bits == 8 else heard / 32768
    assert np.abs(scaled - np.clip(decoded, -1, 1)).max() < (0.02 if bits == 8 else 0.001)
    resampled = audio.read(tmp_path / name, rate=12_000, bits=16)
    steps = np.diff(np.frombuffer(resampled.data, dtype="<i2").astype(np.int64))
    assert np.abs(steps).max() < 30_000, "it wraps around"


def test_quiet_floats_and_integers_are_what_they_were(tmp_path: Path) -> None:
    samples = np.array([-32768, -1, 0, 1, 255, 32767], dtype=np.int16)
    for name, subtype in (("a.wav", "PCM_16"), ("b.wav", "FLOAT"), ("c.wav", "PCM_24"), ("d.flac", "PCM_24")):
        soundfile.write(tmp_path / name, samples / 32768, 16_000, subtype)
        assert audio.read(tmp_path / name, bits=16).data == samples.astype("<i2").tobytes()
    soundfile.write(tmp_path / "e.wav", np.array([[-1.0, 1.0], [np.nan, np.inf], [-np.inf, -np.inf]]), 16_000, "FLOAT")
    assert np.frombuffer(audio.read(tmp_path / "e.wav", bits=16).data, "<i2").tolist() == [-1, 16383, -32768]


def without_length(path: Path) -> None:
    """Let a FLAC file's header say, as one does that was written as it came, that its length is not known."""
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # RFC 9639, section 8.2: the last 36 bits of bytes 18 to 25
    content[22:26] = bytes(4)
    path.write_bytes(content)


def with_rate(path: Path, rate: int) -> None:
    content = bytearray(path.read_bytes())
    content[24:28] = rate.to_bytes(4, "little")
    path.write_bytes(content)


def test_headers_that_cannot_be_right_are_named(tmp_path: Path) -> None:
    without_length(tone(tmp_path, "streamed.flac", 16_000))
    with pytest.raises(DatasetError, match=r"streamed\.flac: its header does not say how long it is"):
        audio.read(tmp_path / "streamed.flac")
    for rate in (1, 7, 999, 768_001, (1 << 31) - 1):
        with_rate(tone(tmp_path, "odd.wav", 16_000), rate)
        with pytest.raises(DatasetError, match=f"odd.wav: {rate:,} samples a second; expected 1,000 to 768,000"):
            audio.read(tmp_path / "odd.wav")
    for rate in (0, 1 << 31, (1 << 32) - 1):
        with_rate(tmp_path / "odd.wav", rate)
        with pytest.raises(DatasetError, match=r"odd\.wav"):
            audio.read(tmp_path / "odd.wav")
    whole = tone(tmp_path, "cut.flac", 16_000).read_bytes()
    (tmp_path / "cut.flac").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatasetError, match=r"cut\.flac"):
        audio.read(tmp_path / "cut.flac")


def test_what_is_no_sound_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.flac").write_bytes(b"hello")
    with pytest.raises(DatasetError, match=r"a\.flac: not a sound file that libsndfile reads: "):
        audio.read(tmp_path / "a.flac")
    with pytest.raises(ValueError, match="bits must be 8 or 16, got 12"):
        audio.read(tmp_path / "a.flac", bits=12)
