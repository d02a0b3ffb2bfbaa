"""Datasets: where data is and how it is cut into chunks, as options that an experiment file can hold."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Self

from gencomp.errors import DatasetError
from gencomp.files import expanded
from gencomp.modalities import audio, image, text, tokens
from gencomp.modalities.known import parse_source
from gencomp.modalities.random import random_bytes
from gencomp.modalities.source import find_files, read_each

Modality = Literal["text", "image", "audio", "random", "source"]
MODALITIES: tuple[Modality, ...] = ("text", "image", "audio", "random", "source")
_GENERATED = ("random", "source")  # data that has no path
CHUNK_SIZE = 2048  # the paper's


@dataclass(frozen=True)
class Chunks:
    """A dataset that was read: its chunks, in order, and how they came to be.

    ``raw_sizes`` (n,) are the bytes that each chunk stands for, ``lost_bits`` (n,) the bits that mapping it to other
    symbols lost. ``notes`` tell of conversions and ``skipped`` of files that could not be read, a line each.
    """

    chunks: tuple[bytes, ...]
    raw_sizes: tuple[int, ...]
    lost_bits: tuple[int, ...]
    notes: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """Data of one modality, and how it becomes chunks of ``chunk_size`` bytes.

    ``path`` is a file, a folder or a pattern; generated data has none. ``limit`` bounds the chunks, and ``per_file``
    those of one image or sound, spread evenly over it. ``strict`` raises at the first file that cannot be read instead
    of leaving it out. ``seven_bits`` maps the bytes for models that read only ASCII.

    - Images: ``layout`` is "patches" of ``chunk_size`` / ``columns`` rows, or "rows", whole ones; ``color`` is "grey",
      or "planes" for red, green and blue one after the other.
    - Audio: ``rate`` in samples a second, and ``bits``.
    - Random: ``seed``.
    - Source: ``source``, such as "markov:order=2&seed=1", of which each chunk is an independent sample
      (:mod:`gencomp.modalities.known`).
    - Text: ``vocabulary`` cuts chunks into tokens, two bytes each, of a vocabulary of that size. It is learnt from the
      start of the text ``vocabulary_from``, or of ``path`` itself, which flatters it.
    """

    name: str
    modality: Modality
    path: str | None = None
    limit: int | None = None
    per_file: int | None = None
    chunk_size: int = CHUNK_SIZE
    layout: Literal["patches", "rows"] = "patches"
    columns: int = image.PATCH_COLUMNS
    color: Literal["grey", "planes"] = "grey"
    rate: int = audio.RATE
    bits: audio.Bits = 8
    seed: int = 0
    seven_bits: bool = False
    vocabulary: int | None = None
    vocabulary_from: str | None = None
    strict: bool = False
    source: str | None = None

    def __post_init__(self) -> None:
        if self.modality not in MODALITIES:
            raise ValueError(f"{self.name}: modality must be one of {', '.join(MODALITIES)}, got {self.modality!r}")
        if (self.path is None) != (self.modality in _GENERATED):
            raise ValueError(
                f"{self.name}: " + (f"{self.modality} data has no path" if self.path else "path is missing")
            )
        if self.limit is None and self.modality in _GENERATED:
            raise ValueError(f"{self.name}: {self.modality} data needs a limit, its number of chunks")
        if (self.source is None) == (self.modality == "source"):
            raise ValueError(f"{self.name}: the modality source, and it alone, needs a source such as markov:order=2")
        if self.source is not None:
            parse_source(self.source)
        for name in ("chunk_size", "columns", "rate", "limit", "per_file"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{self.name}: {name} must be at least 1, got {value}")
        if self.seed < 0:
            raise ValueError(f"{self.name}: seed must be at least 0, got {self.seed}")
        if self.layout not in ("patches", "rows") or self.color not in ("grey", "planes") or self.bits not in (8, 16):
            raise ValueError(
                f"{self.name}: layout is patches or rows, color grey or planes, bits 8 or 16; "
                f"got {self.layout!r}, {self.color!r}, {self.bits!r}"
            )
        if self.vocabulary is not None and (self.modality != "text" or self.seven_bits):
            raise ValueError(f"{self.name}: a vocabulary is for text as it is, not for {self.modality} or seven bits")
        if self.modality == "image" and self.layout == "patches" and self.chunk_size % self.columns:
            raise ValueError(
                f"{self.name}: a chunk of {self.chunk_size} bytes is not a whole number of rows of {self.columns} bytes"
            )

    @classmethod
    def from_options(cls, options: dict[str, Any], folder: Path) -> Self:
        """Return the dataset of an experiment file's table; a relative path starts from ``folder``."""
        defaults = {field.name: field.default for field in fields(cls)}
        for key, value in options.items():
            if key not in defaults:
                raise ValueError(f"a dataset has no option {key!r}; its options are {', '.join(defaults)}")
            default = defaults[key]
            wanted: type = type(default) if isinstance(default, str | int) else str
            if key in ("limit", "per_file", "vocabulary"):
                wanted = int
            if type(value) is not wanted:
                raise ValueError(f"a dataset's {key} must be of type {wanted.__name__}, got {value!r}")
        for key in ("name", "modality"):
            if key not in options:
                raise ValueError(f"a dataset needs {key}; it has {', '.join(options) or 'nothing'}")
        paths = {key: options[key] for key in ("path", "vocabulary_from") if key in options}
        return cls(**options | {key: str(folder / expanded(path)) for key, path in paths.items()})

    @property
    def entropy_rate(self) -> float | None:
        """The entropy rate of the data's source in bits per byte; None where it is not known."""
        return None if self.source is None else parse_source(self.source).entropy_rate

    def check_paths(self) -> None:
        """Raise what :meth:`read` raises where a path names no file."""
        for path in (self.path, self.vocabulary_from):
            if path is not None:
                find_files(path)

    def read(self) -> Chunks:
        """Return the chunks. Raises :class:`DatasetError`, also where there is no chunk, and ``OSError``."""
        pieces, notes, skipped = self._pieces()
        if not pieces:
            raise DatasetError(self._nothing(skipped))
        sizes = tuple(map(len, pieces))
        if self.vocabulary is not None and self.path is not None:
            tokenizer, left_out = tokens.learn(self.vocabulary_from or self.path, self.vocabulary, strict=self.strict)
            cut = tuple(tokens.to_tokens(piece, tokenizer) for piece in pieces)
            return Chunks(cut, sizes, (0,) * len(pieces), notes, tuple(dict.fromkeys((*skipped, *left_out))))
        if not self.seven_bits:
            return Chunks(tuple(pieces), sizes, (0,) * len(pieces), notes, skipped)
        mapping = text.clear_top_bits if self.modality == "text" else text.halve
        mapped = [mapping(piece) for piece in pieces]
        return Chunks(tuple(m.data for m in mapped), sizes, tuple(m.lost_bits for m in mapped), notes, skipped)

    def _nothing(self, skipped: Iterable[str]) -> str:
        reasons = "; ".join(islice(skipped, 3))
        return (
            f"{self.name}: not one chunk of {self.chunk_size} bytes in {self.path}"
            + (f" ({reasons})" if reasons else "; take smaller chunks or more data")
        )  # fmt: skip

    def _pieces(self) -> tuple[list[bytes], tuple[str, ...], tuple[str, ...]]:
        """Return the chunks, the notes and the files left out."""
        if self.modality == "random":
            assert self.limit is not None
            data = random_bytes(self.limit * self.chunk_size, self.seed)
            return list(text.chunks(data, self.chunk_size)), (), ()
        if self.source is not None:
            assert self.limit is not None
            source = parse_source(self.source)
            return [source.sample(self.chunk_size, number) for number in range(self.limit)], (), ()
        assert self.path is not None
        if self.modality == "text":
            size = None if self.limit is None else self.limit * self.chunk_size
            data, left_out = text.read_readable(self.path, size, strict=self.strict)
            return list(text.chunks(data, self.chunk_size)), (), tuple(left_out)
        pieces: list[bytes] = []
        notes: list[str] = []
        skipped: list[str] = []
        cut = self._image_chunks if self.modality == "image" else self._audio_chunks
        for path in find_files(self.path):
            found, refused = read_each([path], lambda file: list(cut(file, notes)), strict=self.strict)
            pieces += (piece for of_file in found for piece in _spread(of_file, self.per_file))
            skipped += refused
            if self.limit is not None and len(pieces) >= self.limit:
                break
        return pieces[: self.limit], tuple(notes), tuple(skipped)

    def _image_chunks(self, path: Path, notes: list[str]) -> Iterator[bytes]:
        planes = (image.read_grey(path),) if self.color == "grey" else image.read_planes(path)
        notes += planes[0].notes
        for plane in planes:
            if self.layout == "rows":
                yield from image.bands(plane, self.chunk_size)
            else:
                yield from image.patches(plane, self.chunk_size // self.columns, self.columns)

    def _audio_chunks(self, path: Path, notes: list[str]) -> Iterator[bytes]:
        signal = audio.read(path, self.rate, self.bits)
        notes += signal.notes
        yield from text.chunks(signal.data, self.chunk_size)


def _spread(pieces: list[bytes], count: int | None) -> list[bytes]:
    """Return at most ``count`` of the pieces, evenly spaced."""
    if count is None or len(pieces) <= count:
        return pieces
    return [pieces[(2 * number + 1) * len(pieces) // (2 * count)] for number in range(count)]
