import gzip
import lzma
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from gencomp.errors import DatasetError
from gencomp.modalities import tokens
from gencomp.modalities.dataset import Dataset
from tests.modalities.test_modalities import with_rate, without_length


def test_text_in_chunks(tmp_path: Path, book: bytes) -> None:
    (tmp_path / "book.txt").write_bytes(book)
    read = Dataset("book", "text", str(tmp_path)).read()
    assert b"".join(read.chunks) == book[: len(book) // 2048 * 2048]
    assert read.lost_bits == (0,) * len(read.chunks)
    few = Dataset("book", "text", str(tmp_path), limit=3, chunk_size=100).read()
    assert few.chunks == (book[:100], book[100:200], book[200:300])
    assert few.raw_sizes == (100,) * 3


def test_images_in_patches_planes_and_rows(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (40, 130, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    where = str(tmp_path)
    assert len(Dataset("a", "image", where).read().chunks) == 2
    planes = Dataset("a", "image", where, color="planes").read().chunks
    assert planes[2] == pixels[:32, :64, 1].tobytes()
    rows = Dataset("a", "image", where, layout="rows").read().chunks
    assert sum(map(len, rows)) == 40 * 130
    seven = Dataset("a", "image", where, color="planes", seven_bits=True).read()
    assert seven.chunks[0] == (pixels[:32, :64, 0] >> 1).tobytes()
    assert seven.lost_bits == (2048,) * 6


def test_an_unreadable_file_is_named_and_skipped_or_stopped_at(tmp_path: Path) -> None:
    Image.new("RGB", (64, 32)).save(tmp_path / "good.png")
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    dataset = Dataset("a", "image", str(tmp_path))
    read = dataset.read()
    assert len(read.chunks) == 1
    (line,) = read.skipped
    assert line.endswith("bad.jpg: not an image that Pillow reads: no format that it knows")
    with pytest.raises(DatasetError, match=r"bad\.jpg"):
        Dataset("a", "image", str(tmp_path), strict=True).read()
    (tmp_path / "good.png").unlink()
    with pytest.raises(DatasetError, match=r"not one chunk of 2048 bytes in .*bad\.jpg: not an image"):
        dataset.read()


def test_a_bad_text_is_left_out_of_good_ones(tmp_path: Path, book: bytes) -> None:
    (tmp_path / "a.txt").write_bytes(book[:3000])
    packed = gzip.compress(book)
    (tmp_path / "b.txt.gz").write_bytes(packed[:-100])
    (tmp_path / "c.txt.xz").write_bytes(lzma.compress(book[3000:6000]) + b"garbage")
    (tmp_path / "d.txt").write_bytes(book[6000:9000])
    dataset = Dataset("texts", "text", str(tmp_path))
    read = dataset.read()
    assert b"".join(read.chunks) == (book[:3000] + book[6000:9000])[: 2 * 2048]
    assert [line.split(": ")[0] for line in read.skipped] == [str(tmp_path / "b.txt.gz"), str(tmp_path / "c.txt.xz")]
    with pytest.raises(DatasetError, match=r"b\.txt\.gz: it does not unpack"):
        Dataset("texts", "text", str(tmp_path), strict=True).read()
    with pytest.raises(DatasetError, match=r"not one chunk of 2048 bytes in .*b\.txt\.gz: it does not unpack"):
        Dataset("text", "text", str(tmp_path / "b.txt.gz")).read()
    cut = Dataset("texts", "text", str(tmp_path), limit=1, vocabulary=300).read()
    assert len(cut.skipped) == 2, "the tokens were learnt from these files too"
    with pytest.raises(DatasetError, match=r"b\.txt\.gz"):
        tokens.learnt_from(str(tmp_path), 300)


def test_bad_sounds_are_left_out_of_good_ones(tmp_path: Path) -> None:
    for name in ("a.wav", "b.flac", "c.wav"):
        soundfile.write(tmp_path / name, np.zeros(2048), 16_000)
    without_length(tmp_path / "b.flac")
    with_rate(tmp_path / "c.wav", 3)
    read = Dataset("sounds", "audio", str(tmp_path)).read()
    assert len(read.chunks) == 1
    assert [line.split(": ")[0] for line in read.skipped] == [str(tmp_path / "b.flac"), str(tmp_path / "c.wav")]
    for name in ("b.flac", "c.wav"):
        with pytest.raises(DatasetError, match=name):
            Dataset("sounds", "audio", str(tmp_path / name), strict=True).read()


def test_images_notes_are_handed_on(tmp_path: Path) -> None:
    frame = Image.new("L", (64, 32))
    frame.save(tmp_path / "moving.gif", save_all=True, append_images=[Image.new("L", (64, 32), 9)])
    read = Dataset("images", "image", str(tmp_path)).read()
    assert len(read.chunks) == 1
    assert read.notes == (f"{tmp_path / 'moving.gif'}: the first of 2 frames is taken",)


def test_sound_is_cut_file_by_file(tmp_path: Path) -> None:
    for name, size in (("a.wav", 5000), ("b.wav", 2047)):
        soundfile.write(tmp_path / name, np.zeros((size, 2)), 16_000)
    read = Dataset("a", "audio", str(tmp_path)).read()
    assert read.chunks == (b"\x80" * 2048,) * 2
    assert len(read.notes) == 2
    spread = Dataset("a", "audio", str(tmp_path), chunk_size=100, per_file=3).read()
    assert len(spread.chunks) == 6
    assert len(Dataset("a", "audio", str(tmp_path), bits=16, limit=3).read().chunks) == 3


def test_a_files_chunks_are_spread_over_it(tmp_path: Path) -> None:
    pixels = np.repeat(np.arange(100, dtype=np.uint8)[:, None], 64, axis=1)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    read = Dataset("a", "image", str(tmp_path), chunk_size=64, per_file=4).read()
    assert [chunk[0] for chunk in read.chunks] == [12, 37, 62, 87]


def test_random(tmp_path: Path) -> None:
    assert Dataset("r", "random", limit=3, seed=5).read() == Dataset("r", "random", limit=3, seed=5).read()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"name": "a", "modality": "text"}, "path is missing"),
        ({"name": "a", "modality": "video", "path": "x"}, "modality must be one of text"),
        ({"name": "a", "modality": "random"}, "needs a limit"),
        ({"name": "a", "modality": "random", "path": "x", "limit": 1}, "has no path"),
        ({"name": "a"}, "needs modality"),
        ({"name": "a", "modality": "random", "limit": 1, "seed": -1}, "seed must be at least 0, got -1"),
        ({"name": "a", "modality": "image", "path": "x", "chunk_size": 100}, "not a whole number of rows"),
        ({"name": "a", "modality": "text", "path": "x", "limit": 0}, "limit must be at least 1, got 0"),
        ({"name": "a", "modality": "text", "path": "x", "limit": "3"}, "limit must be of type int, got '3'"),
        ({"name": "a", "modality": "text", "path": "x", "colour": "grey"}, "no option 'colour'"),
        ({"name": "a", "modality": "image", "path": "x", "color": "pink"}, "got 'patches', 'pink', 8"),
    ],
)
def test_wrong_options_are_said(options: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Dataset.from_options(options, Path())


def test_an_empty_dataset_and_a_chunk_larger_than_the_data(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"short")
    with pytest.raises(DatasetError, match="not one chunk of 2048 bytes"):
        Dataset.from_options({"name": "a", "modality": "text", "path": "a"}, tmp_path).read()
    with pytest.raises(FileNotFoundError):
        Dataset.from_options({"name": "a", "modality": "text", "path": "b"}, tmp_path).read()


def test_text_in_tokens(tmp_path: Path, book: bytes) -> None:
    (tmp_path / "book.txt").write_bytes(book)
    where = str(tmp_path / "book.txt")
    tokenizer = tokens.learnt_from(where, 500)
    read = Dataset("book", "text", where, limit=5, vocabulary=500).read()
    assert read.raw_sizes == (2048,) * 5
    assert b"".join(tokens.from_tokens(chunk, tokenizer) for chunk in read.chunks) == book[: 5 * 2048]
    assert sum(map(len, read.chunks)) / 2 < 0.7 * 5 * 2048, "fewer tokens than bytes"
    every_byte = bytes(range(256)) * 2
    assert tokens.from_tokens(tokens.to_tokens(every_byte, tokenizer), tokenizer) == every_byte
    with pytest.raises(ValueError, match="from 257 to 65536 tokens, got 256"):
        Dataset("book", "text", where, vocabulary=256).read()
    with pytest.raises(ValueError, match="a vocabulary is for text as it is"):
        Dataset("book", "random", limit=1, vocabulary=500)
