"""Classify texts by compression: by nearest neighbours, or by one primed model a class.

Neighbours: the k training texts at the smallest normalised compression distance vote. Texts that tie for the last of
the k places share it; classes that tie for the most votes are all in the answer. Both happen all the time with lengths
in whole bytes, and almost never with exact ones.

Primed: the model reads a class's texts, one after the other, and a text belongs to the class after which it costs
least. By Bayes' rule, p(class | text) is in proportion to p(class) * 2^-code_length(text | class).
"""

import io
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from gencomp.arguments import as_pieces
from gencomp.budget import DEFAULT_MEMORY, in_bytes
from gencomp.equivalence.adapt import as_predictor, native
from gencomp.equivalence.capabilities import state_cost, window_of
from gencomp.equivalence.conditional import code_lengths
from gencomp.errors import BudgetError, CorruptDataError, DatasetError, ModelMismatchError, SpecError
from gencomp.files import new_file, write_fully
from gencomp.packed import WRONG, PackedArrays, is_misplaced
from gencomp.places import open_regular
from gencomp.protocols import FloatArray, IntArray
from gencomp.registry import alike, tree_of
from gencomp.specs import brief

Labels = npt.NDArray[Any]
Report = Callable[[int], object]
FORMAT = 1
PRIMING_BYTES = 1 << 20  # of one class, where the model has no smaller window
SEPARATOR = b"\n"
MAX_BYTES = 1 << 30  # of a file, and of the texts in it
MAX_TEXTS = 1 << 20  # in a file
_MAX_HEADER = 1 << 16
_TEXT_BYTES = 1 << 20  # of a text to classify, assumed when a model's memory is estimated
_COMMON = ("header", "classes", "sizes", "texts")


def _silent(count: int) -> None:
    pass


@dataclass(frozen=True)
class Answers:
    """What a classifier says of n texts over the sorted ``classes`` (c,).

    ``posteriors``, float64 (n, c), sum to 1 in each row; ``tied``, int64 (n,), is how many classes share the first
    place. ``costs``, float64 (n, c), are the distances to each class's nearest text, or the code lengths in bits after
    each class.
    """

    classes: Labels
    posteriors: FloatArray
    tied: IntArray
    costs: FloatArray

    def labels(self) -> Labels:
        """Return the first class of the highest posterior for each text, (n,)."""
        return np.asarray(self.classes[self.posteriors.argmax(axis=1)])

    def accuracy(self, labels: Sequence[Any]) -> float:
        """Return the share of right answers; a tie of m classes with the right one among them counts 1/m."""
        top = self.posteriors.max(axis=1, keepdims=True)
        shares = (self.posteriors == top) / self.tied[:, None]
        right = self.classes[None, :] == np.asarray(labels)[:, None]
        return float((shares * right).sum() / max(1, len(shares)))


def check_training(texts: Sequence[bytes], labels: Sequence[Any]) -> tuple[Labels, IntArray]:
    """Return the sorted classes (c,), and the index of each text's class, int64 (n,).

    Raises :class:`DatasetError` on no texts, a single class, or another number of labels than of texts.
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
    """Return how many columns of ``numbers`` (n, c) tie for the best of each row, int64 (n,)."""
    best = numbers.max(axis=1, keepdims=True) if highest else numbers.min(axis=1, keepdims=True)
    return np.asarray((numbers == best).sum(axis=1), dtype=np.int64)


@dataclass(frozen=True)
class _Saved:
    """What both classifiers keep of their training, and how it is saved."""

    model: str
    classes: Labels = field(repr=False)
    texts: tuple[bytes, ...] = field(repr=False)

    kind: ClassVar[str] = ""

    def save(self, path: str | PathLike[str]) -> None:
        """Write the classifier for :func:`load_classifier`: a .npz of arrays and JSON, without pickle.

        Raises ``ValueError`` on classes that are neither strings nor numbers, and on too many texts.
        """
        if self.classes.dtype.kind not in "USiuf?b":
            raise ValueError(f"classes of type {self.classes.dtype} cannot be saved; take strings or numbers")
        size = sum(map(len, self.texts))
        if len(self.texts) > MAX_TEXTS or size > MAX_BYTES:
            raise ValueError(
                f"{len(self.texts):,} texts of {size:,} bytes cannot be saved; "
                f"take at most {MAX_TEXTS:,} texts of {MAX_BYTES:,} bytes in all"
            )
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
    """``k`` nearest neighbours. ``places``, int64 (n,), are the training texts' classes, ``alone`` (n,) their C(x)."""

    places: IntArray = field(repr=False, default_factory=lambda: np.empty(0, dtype=np.int64))
    alone: FloatArray = field(repr=False, default_factory=lambda: np.empty(0))
    k: int = 3

    kind: ClassVar[str] = "neighbours"

    @classmethod
    def fit(
        cls, model: str, texts: Sequence[bytes], labels: Sequence[Any], *, k: int = 3, report: Report = _silent
    ) -> Self:
        """Return the classifier of these texts. Raises :class:`DatasetError`, and ``ValueError`` on k below 1."""
        if k < 1:
            raise ValueError(f"k must be at least 1 neighbour, got {k}")
        texts = as_pieces(texts, "a text")
        classes, places = check_training(texts, labels)
        alone = code_lengths(model, [(b"", text) for text in texts], report)
        return cls(model, classes, tuple(texts), places, alone, min(k, len(texts)))

    def answer(self, texts: Sequence[bytes], report: Report = _silent) -> Answers:
        """Return the votes of each text's neighbours. There are len(texts) * (1 + n) code lengths to report."""
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
    """Return the NCD, float64 (m, n), from C(x) of n training texts, C(y) of m texts, and C(y | x) (m, n), in bits.

    Only this order counts, the training text first. A text that costs nothing is at distance 1.
    """
    joint = given[None, :] + after
    least, most = np.minimum.outer(alone, given), np.maximum.outer(alone, given)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num((joint - least) / most, nan=1.0, posinf=1.0, neginf=1.0)


@dataclass(frozen=True)
class Primed(_Saved):
    """One primed model a class: it reads the class's one of ``texts``. ``priors``, float64 (c,), sum to 1."""

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

        ``priming`` bounds the bytes that are read of each class, 1 MiB by default, and the model's window at most. With
        ``fit_prior`` a class is as likely as it is frequent in training; otherwise all are equally likely. Raises
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
        """Return each text's posterior. There are len(texts) * c code lengths to report."""
        pairs = [(given + SEPARATOR, text) for given in self.texts for text in texts]
        lengths = code_lengths(self.model, pairs, report).reshape(len(self.texts), len(texts)).T
        with np.errstate(divide="ignore"):
            bits = lengths - np.log2(self.priors)[None, :]
        weights = np.exp2(bits.min(axis=1, keepdims=True) - bits)
        return Answers(self.classes, weights / weights.sum(axis=1, keepdims=True), _shared(bits, False), lengths)

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {"priors": self.priors}


def priming_bytes(priming: int | None, window: int | None) -> int:
    """Return how many bytes of a class are read at most. Raises ``ValueError`` on ``priming`` below 1."""
    if priming is not None and priming < 1:
        raise ValueError(f"priming must be at least 1 byte, got {priming}")
    bound = PRIMING_BYTES if priming is None else priming
    return bound if window is None else min(bound, window)


Classifier = Neighbours | Primed
Method = Literal["neighbours", "primed"]


def load_classifier(path: str | PathLike[str], model: str | None = None) -> Classifier:
    """Return what ``save`` wrote.

    A file may come from anybody. So the model that it names is loaded only if that imports no other package, opens
    nothing on disk and keeps to the default limit of memory; for any other, the caller gives its spec as ``model``.
    Raises :class:`CorruptDataError` on any other file, :class:`ModelMismatchError` where ``model`` is needed or is not
    the file's, :class:`BudgetError`, and ``OSError``.
    """
    with open_regular(path, MAX_BYTES, CorruptDataError, "a saved classifier") as file:
        try:
            found = _unpacked(PackedArrays(file))
        except (*WRONG, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise CorruptDataError(f"{path} is not a saved classifier: {brief(str(error), 300)}") from error
        except OSError as error:
            if not is_misplaced(error):
                raise
            raise CorruptDataError(f"{path} is not a saved classifier: an array lies before its start") from error
    if model is None:
        _check_model(path, found)
        return found
    try:
        same = alike(tree_of(model), tree_of(found.model))
    except SpecError as error:
        raise ModelMismatchError(f"{path} needs the model {brief(found.model)!r}: {error}") from error
    if not same:
        raise ModelMismatchError(f"{path} was made with model={brief(found.model)!r}, not {brief(model)!r}")
    return replace(found, model=model)


def _unpacked(arrays: PackedArrays) -> Classifier:
    """Return the classifier in ``arrays``. Raises ``WRONG``, or what reading an odd header raises, if there is none."""
    header = json.loads(arrays.row("header", "u", _MAX_HEADER).tobytes())
    if header["format"] != FORMAT:
        raise ValueError(f"its format is {brief(str(header['format']))}, expected {FORMAT}")
    own = {"neighbours": {"places": "i", "alone": "f"}, "primed": {"priors": "f"}}[header["kind"]]
    if arrays.names != {*_COMMON, *own}:
        raise ValueError("its arrays are not those of a classifier")
    classes = arrays.row("classes", "USiuf?b", MAX_BYTES)
    sizes = arrays.row("sizes", "i", 8 * MAX_TEXTS).tolist()
    data = arrays.row("texts", "u", MAX_BYTES).tobytes()
    if min(sizes, default=0) < 0 or sum(sizes) != len(data):
        raise ValueError(f"its texts have {len(data)} bytes, not {sum(sizes)}")
    ends = np.cumsum(sizes, dtype=np.int64).tolist()
    texts = tuple(data[end - size : end] for size, end in zip(sizes, ends, strict=True))
    parts = {name: arrays.row(name, letter, 8 * MAX_TEXTS) for name, letter in own.items()}
    model, k = header["options"]["model"], header["options"].get("k", 1)
    if not isinstance(model, str) or type(k) is not int:
        raise ValueError("its options are not those of a classifier")
    if classes.dtype.kind == "U" and (classes.view(f"{classes.dtype.byteorder}u4") > sys.maxunicode).any():
        raise ValueError("its classes have characters beyond Unicode")
    found: Classifier
    if "priors" in parts:
        found = Primed(model, classes, texts, parts["priors"])
    else:
        found = Neighbours(model, classes, texts, parts["places"], parts["alone"], k)
    _check_parts(found)
    return found


def _check_parts(found: Classifier) -> None:
    count = len(found.classes)
    if isinstance(found, Primed):
        numbers = found.priors
        right = numbers.shape == (count,) and len(found.texts) == count
        right = right and count > 0 and abs(float(numbers.sum()) - 1.0) < 1e-6
    else:
        numbers = found.alone
        right = found.places.shape == numbers.shape == (len(found.texts),) and 1 <= found.k <= len(found.texts)
        right = right and bool((found.places >= 0).all()) and bool((found.places < count).all())
    if not right or not bool((np.isfinite(numbers) & (numbers >= 0)).all()):
        raise ValueError("its parts do not fit together")


def _check_model(path: str | PathLike[str], found: Classifier) -> None:
    """Raise where the file's model would import, open, or take more than a file from anybody may ask for."""
    named = f"name it, if you trust it: model='{brief(found.model, 1000)}'"
    try:
        for inside in tree_of(found.model).walk():
            if not inside.entry.is_own:
                raise ModelMismatchError(f"{path} needs a model of the package {inside.entry.distribution}; {named}")
            if inside.places:
                where = ", ".join(map(brief, inside.places))
                raise ModelMismatchError(f"{path} was made with {where}, and opens nothing on disk by itself; {named}")
        longest = max(map(len, found.texts), default=0)
        cost = state_cost(native(as_predictor(found.model)), longest + _TEXT_BYTES)
    except SpecError as error:
        raise CorruptDataError(f"{path} is not a saved classifier: {error}") from error
    memory = cost.held + cost.scratch
    if memory > DEFAULT_MEMORY:
        raise BudgetError(
            f"{path} has a model that may take {in_bytes(memory)} of memory, expected at most "
            f"{in_bytes(DEFAULT_MEMORY)}; {named}"
        )
