"""Texts into classes by compression: nearest neighbours by distance, and one primed model a class.

Neighbours: the k training texts at the smallest normalised compression distance vote. Where texts tie for the last of
the k places they share it, and where classes tie for the most votes all of them are the answer's; both happen all the
time with byte-sized lengths, and almost never with exact ones.

Primed: a class's texts, one after the other, are given to the model, and the class after which a text costs least is
its own; by Bayes' rule, p(class | text) is in proportion to p(class) * 2^-code_length(text | class).
"""

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from gencomp.arguments import as_pieces
from gencomp.equivalence.adapt import as_predictor, native
from gencomp.equivalence.capabilities import window_of
from gencomp.equivalence.conditional import code_lengths
from gencomp.errors import CorruptDataError, DatasetError
from gencomp.files import new_file, write_fully
from gencomp.protocols import FloatArray, IntArray

Labels = npt.NDArray[Any]
Report = Callable[[int], object]
FORMAT = 1
PRIMING_BYTES = 1 << 20  # of one class, where the model has no smaller window
SEPARATOR = b"\n"


def _silent(count: int) -> None:
    pass


@dataclass(frozen=True)
class Answers:
    """What a classifier says of n texts over the sorted ``classes`` (c,).

    ``posteriors``, float64 (n, c), sum to 1; ``tied``, int64 (n,), is how many classes share the first place;
    ``costs``, float64 (n, c), are the distances of each class's nearest text, or the code lengths after each class.
    """

    classes: Labels
    posteriors: FloatArray
    tied: IntArray
    costs: FloatArray

    def labels(self) -> Labels:
        """Return the first class of the highest posterior for each text, (n,)."""
        return np.asarray(self.classes[self.posteriors.argmax(axis=1)])

    def accuracy(self, labels: Sequence[Any]) -> float:
        """Return the share that is right, a tie of m classes with the right one among them counting 1/m."""
        top = self.posteriors.max(axis=1, keepdims=True)
        shares = (self.posteriors == top) / self.tied[:, None]
        right = self.classes[None, :] == np.asarray(labels)[:, None]
        return float((shares * right).sum() / max(1, len(shares)))


def check_training(texts: Sequence[bytes], labels: Sequence[Any]) -> tuple[Labels, IntArray]:
    """Return (sorted classes, the class's place of each text).

    Raises :class:`DatasetError` on no texts, one class alone, or another number of labels.
    """
    if len(texts) != len(labels):
        raise DatasetError(f"{len(texts)} texts have {len(labels)} labels; expected one each")
    if not len(texts):
        raise DatasetError("there are no training texts; expected some of each class")
    classes, places = np.unique(np.asarray(labels), return_inverse=True)
    if len(classes) < 2:
        raise DatasetError(f"all {len(texts)} training texts are of one class, {classes[0]!s}; expected at least two")
    return classes, np.asarray(places, dtype=np.int64).reshape(-1)


def _shared(numbers: FloatArray, highest: bool) -> IntArray:
    """Return how many columns of (n, c) tie for the best of each row, int64 (n,)."""
    best = numbers.max(axis=1, keepdims=True) if highest else numbers.min(axis=1, keepdims=True)
    return np.asarray((numbers == best).sum(axis=1), dtype=np.int64)


@dataclass(frozen=True)
class _Saved:
    """What both classifiers keep of their training, and their files."""

    model: str
    classes: Labels = field(repr=False)
    texts: tuple[bytes, ...] = field(repr=False)

    kind: ClassVar[str] = ""

    def save(self, path: str | PathLike[str]) -> None:
        """Write the classifier for :func:`load_classifier`: a .npz of numbers and JSON, without pickle."""
        if self.classes.dtype.kind not in "USiuf?b":
            raise ValueError(f"classes of type {self.classes.dtype} are not saved; take strings or numbers")
        arrays = {
            "header": np.frombuffer(json.dumps(self._header()).encode(), dtype=np.uint8),
            "classes": self.classes,
            "sizes": np.array([len(text) for text in self.texts], dtype=np.int64),
            "texts": np.frombuffer(b"".join(self.texts), dtype=np.uint8),
            **self._arrays(),
        }
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        with new_file(Path(path), overwrite=True) as file:
            write_fully(file, buffer.getvalue())

    def _header(self) -> dict[str, Any]:
        return {"format": FORMAT, "kind": self.kind, "options": {"model": self.model, **self._options()}}

    def _options(self) -> dict[str, Any]:
        return {}

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {}


@dataclass(frozen=True)
class Neighbours(_Saved):
    """``k`` nearest neighbours. ``places``, int64 (n,), are the training texts' classes and ``alone`` their C(x)."""

    places: IntArray = field(repr=False, default_factory=lambda: np.empty(0, dtype=np.int64))
    alone: FloatArray = field(repr=False, default_factory=lambda: np.empty(0))
    k: int = 3

    kind: ClassVar[str] = "neighbours"

    @classmethod
    def fit(
        cls, model: str, texts: Sequence[bytes], labels: Sequence[Any], *, k: int = 3, report: Report = _silent
    ) -> Self:
        """Return the classifier of these texts. Raises :class:`DatasetError`, ``ValueError`` on k below 1."""
        if k < 1:
            raise ValueError(f"k must be at least 1 neighbour, got {k}")
        texts = as_pieces(texts, "a text")
        classes, places = check_training(texts, labels)
        alone = code_lengths(model, [(b"", text) for text in texts], report)
        return cls(model, classes, tuple(texts), places, alone, min(k, len(texts)))

    def answer(self, texts: Sequence[bytes], report: Report = _silent) -> Answers:
        """Return the votes of each text's neighbours; ``report`` is told of each of len(texts) * (1 + n) lengths."""
        count = len(self.texts)
        alone = code_lengths(self.model, [(b"", text) for text in texts], report)
        pairs = [(given, text) for given in self.texts for text in texts]
        after = code_lengths(self.model, pairs, report).reshape(count, len(texts)).T
        return self.vote(distances_to(self.alone, alone, after))

    def vote(self, distances: FloatArray) -> Answers:
        """Return the answers for distances (texts, training texts)."""
        kth = np.sort(distances, axis=1)[:, self.k - 1 : self.k]
        nearer, at_kth = distances < kth, distances == kth
        left = self.k - nearer.sum(axis=1, keepdims=True)
        shares = nearer + at_kth * (left / at_kth.sum(axis=1, keepdims=True))
        members = self.places[:, None] == np.arange(len(self.classes))[None, :]
        votes = shares @ members.astype(np.float64) / self.k
        votes = np.round(votes, 12)  # thirds that add up are a tie, whatever the order
        nearest = np.stack([distances[:, member].min(axis=1) for member in members.T], axis=1)
        return Answers(self.classes, votes, _shared(votes, highest=True), nearest)

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {"places": self.places, "alone": self.alone}

    def _options(self) -> dict[str, Any]:
        return {"k": self.k}


def distances_to(given: FloatArray, alone: FloatArray, after: FloatArray) -> FloatArray:
    """Return the NCD (texts, training texts), from C of training texts (n,) and of texts (m,), and C(y | x) (m, n).

    In one order, the training text first; a text that costs nothing is at distance 1.
    """
    joint = given[None, :] + after
    least, most = np.minimum.outer(alone, given), np.maximum.outer(alone, given)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num((joint - least) / most, nan=1.0, posinf=1.0, neginf=1.0)


@dataclass(frozen=True)
class Primed(_Saved):
    """One primed model a class: ``texts`` are what each class has the model read, ``priors`` (c,) float64 sum to 1."""

    priors: FloatArray = field(repr=False, default_factory=lambda: np.empty(0))

    kind: ClassVar[str] = "primed"

    @classmethod
    def fit(
        cls,
        model: str,
        texts: Sequence[bytes],
        labels: Sequence[Any],
        *,
        priming: int | None = None,
        fit_prior: bool = False,
    ) -> Self:
        """Return the classifier of these texts.

        ``priming`` bounds the bytes that are read of each class: what the model can look back at, or 1 MiB. With
        ``fit_prior`` a class is as likely as it is frequent in training, else all are alike. Raises
        :class:`DatasetError`, also where a class has no byte, and ``ValueError``.
        """
        texts = as_pieces(texts, "a text")
        classes, places = check_training(texts, labels)
        window = window_of(native(as_predictor(model)))
        bound = priming_bytes(priming, window)
        read = []
        for number, label in enumerate(classes):
            own = [text for text, place in zip(texts, places, strict=True) if place == number]
            joined = SEPARATOR.join(own)
            if not joined.strip():
                raise DatasetError(f"the class {label!s} has no byte to learn from; give it some text")
            read.append(joined[-bound:] if len(joined) > bound else joined)
        counts = np.bincount(places).astype(np.float64)
        priors = counts / counts.sum() if fit_prior else np.full(len(classes), 1.0 / len(classes))
        return cls(model, classes, tuple(read), priors)

    def answer(self, texts: Sequence[bytes], report: Report = _silent) -> Answers:
        """Return each text's posterior; ``report`` is told of each of len(texts) * c code lengths."""
        pairs = [(given + SEPARATOR, text) for given in self.texts for text in texts]
        lengths = code_lengths(self.model, pairs, report).reshape(len(self.texts), len(texts)).T
        with np.errstate(divide="ignore"):
            bits = lengths - np.log2(self.priors)[None, :]
        weights = np.exp2(bits.min(axis=1, keepdims=True) - bits)
        return Answers(self.classes, weights / weights.sum(axis=1, keepdims=True), _shared(bits, False), lengths)

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {"priors": self.priors}


def priming_bytes(priming: int | None, window: int | None) -> int:
    """Return how many bytes of a class are read. Raises ``ValueError`` on less than 1."""
    if priming is not None and priming < 1:
        raise ValueError(f"priming must be at least 1 byte, got {priming}")
    bound = PRIMING_BYTES if priming is None else priming
    return bound if window is None else min(bound, window)


Classifier = Neighbours | Primed
Method = Literal["neighbours", "primed"]


def load_classifier(path: str | PathLike[str]) -> Classifier:
    """Return what ``save`` wrote. Raises :class:`CorruptDataError` on another file, ``OSError``."""
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            parts = {name: archive[name] for name in archive.files}
        header = json.loads(parts["header"].tobytes())
        if header["format"] != FORMAT:
            raise ValueError(f"its format is {header['format']}, expected {FORMAT}")
        kinds: dict[str, type[Classifier]] = {"neighbours": Neighbours, "primed": Primed}
        kind = kinds[header["kind"]]
        sizes, data = parts["sizes"], parts["texts"].tobytes()
        if (sizes < 0).any() or int(sizes.sum()) != len(data):
            raise ValueError(f"its texts have {len(data)} bytes, not {int(sizes.sum())}")
        ends = np.cumsum(sizes).tolist()
        texts = tuple(data[end - size : end] for size, end in zip(sizes.tolist(), ends, strict=True))
        own = {name: parts[name] for name in ("places", "alone", "priors") if name in parts}
        found: Classifier = kind(classes=parts["classes"], texts=texts, **header["options"], **own)
        _check_shapes(found)
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise CorruptDataError(f"{path} is no saved classifier: {error}") from error
    return found


def _check_shapes(found: Classifier) -> None:
    count = len(found.classes)
    if isinstance(found, Primed):
        right = found.priors.shape == (count,) and len(found.texts) == count
    else:
        right = found.places.shape == found.alone.shape == (len(found.texts),) and 1 <= found.k <= len(found.texts)
        right = right and bool((found.places >= 0).all()) and bool((found.places < count).all())
    if not right:
        raise ValueError("its parts do not fit one another")
