"""Models on documents: bits per byte, character, word and token side by side, and the significance of differences.

Each document is scored from an empty context, as a whole or through a sliding window. With a window of W and a stride
of S, the first W symbols are scored at once, then S at a time, each time after the W - S before them. Language models
count in their own symbols and begin each window with their start symbol; for all others a symbol is a byte. The bits
are conditional code lengths (:mod:`gencomp.equivalence.conditional`): without framing, and of a code that decodes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from gencomp.equivalence.adapt import as_predictor, native, predictor_spec
from gencomp.equivalence.capabilities import context_and_stride_of, token_counts, window_of
from gencomp.errors import DatasetError
from gencomp.evaluation.run import facts_of
from gencomp.measure.kept import Kept
from gencomp.modalities.documents import Document
from gencomp.protocols import FloatArray, IntArray

RESAMPLES = 10_000
_RESAMPLES_AT_ONCE = 500
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Setting:
    """How a document is read: ``window`` and ``stride`` in the model's symbols, or None for all of it at once."""

    window: int | None = None
    stride: int | None = None

    def __post_init__(self) -> None:
        if self.window is None and self.stride is not None:
            raise ValueError("a stride needs a window: give both, or neither")
        stride = 1 if self.stride is None else self.stride
        if self.window is not None and (self.window < 2 or not 1 <= stride < self.window):
            raise ValueError(
                f"window must be at least 2 and stride from 1 to window - 1; got {self.window}, {self.stride}"
            )


# the settings of public benchmarks, by name
PRESETS = {
    "block-1900": Setting(1900, 512),  # Huang et al. 2024, "Compression Represents Intelligence Linearly"
    "fresh-documents": Setting(),  # whole documents, each from an empty context
}


@dataclass(frozen=True)
class DocumentRow:
    """One document under one model, or all of them where ``document`` is None; ``bits`` is its code length.

    ``characters`` is None for data that is not UTF-8, ``tokens`` for a model without tokens. ``window`` and ``stride``
    are in ``unit``; a window of None sees the whole document.
    """

    dataset: str
    model: str
    document: str | None
    documents: int
    raw_bytes: int
    characters: int | None
    words: int
    tokens: int | None
    bits: float
    window: int | None
    stride: int | None
    unit: str

    def per(self, count: int | None) -> float | None:
        """Return the bits divided by ``count``; None where that is 0 or None."""
        return self.bits / count if count else None

    def record(self) -> dict[str, Any]:
        """Return the row as flat data."""
        own = {item.name: getattr(self, item.name) for item in fields(self)}
        return own | {
            "bits_per_byte": self.per(self.raw_bytes),
            "bits_per_character": self.per(self.characters),
            "bits_per_word": self.per(self.words),
            "bits_per_token": self.per(self.tokens),
        }


@dataclass(frozen=True)
class Comparison:
    """Two models on the same documents: ``difference`` is the other's bits per byte less the model's.

    ``low`` and ``high`` are its 95 % confidence interval, and ``p`` the two-sided p-value of no difference, by the
    paired bootstrap over documents (Efron and Tibshirani 1993); with one document, all are None.
    """

    dataset: str
    model: str
    other: str
    difference: float
    low: float | None
    high: float | None
    p: float | None


def characters_of(data: bytes) -> int | None:
    """Return the number of characters of ``data``; None if it is not UTF-8."""
    try:
        return len(data.decode("utf-8"))
    except UnicodeDecodeError:
        return None


def windows(size: int, setting: Setting) -> list[tuple[int, int, int]]:
    """Return (start of the context, start, stop) of each part of ``size`` symbols that is scored at once."""
    if setting.window is None or size <= setting.window:
        return [(0, 0, size)]
    stride = setting.stride or max(1, setting.window // 2)
    parts = [(0, 0, setting.window)]
    for first in range(setting.window, size, stride):
        parts.append((first - (setting.window - stride), first, min(size, first + stride)))
    return parts


@dataclass(frozen=True)
class _Reading:
    """A spec that reads as a setting says.

    ``pairs`` is the part of the setting that the spec does not do itself, but (context, data) pairs do. The rest is
    what the rows tell.
    """

    spec: str
    pairs: Setting
    window: int | None
    stride: int | None
    unit: str


def _reading(spec: str, setting: Setting) -> _Reading:
    """Return how ``spec`` reads. A model with a window of its own gets the setting as its options.

    Raises ``ValueError`` where it does not take them.
    """
    model: Any = native(as_predictor(spec))
    stride = setting.stride if setting.window is None else setting.stride or max(1, setting.window // 2)
    own = context_and_stride_of(model)
    if own is None:
        window = window_of(model) if setting.window is None else setting.window
        return _Reading(spec, Setting(setting.window, stride), window, stride, "bytes")
    if setting.window is not None:
        model = replace(model, context=setting.window, stride=stride)
        own = context_and_stride_of(model)
    assert own is not None
    unit = "bytes" if token_counts(model, []) is None else "tokens"
    return _Reading(predictor_spec(as_predictor(model)), Setting(), *own, unit)


def measure(
    dataset: str,
    models: Sequence[str],
    documents: Sequence[Document],
    setting: Setting = Setting(),
    *,
    kept: Kept | None = None,
    report: Callable[[int], object] = lambda count: None,
) -> list[DocumentRow]:
    """Return for each model a row for each document, then one for all. ``report`` is told how many more parts are done.

    Raises :class:`DatasetError` on no documents or an empty one, and whatever a model raises on a setting.
    """
    if not documents:
        raise DatasetError(f"{dataset}: there are no documents")
    for document in documents:
        if not document.data:
            raise DatasetError(f"{dataset}: document {document.name} is empty and has no bits per byte; leave it out")
    kept = Kept() if kept is None else kept
    rows: list[DocumentRow] = []
    for model in models:
        reading = _reading(model, setting)
        facts = facts_of(reading.spec)
        loaded = native(as_predictor(reading.spec))
        spans = [windows(len(document.data), reading.pairs) for document in documents]
        pairs = [
            (document.data[begin:first], document.data[first:last])
            for document, parts in zip(documents, spans, strict=True)
            for begin, first, last in parts
        ]
        lengths = kept.code_lengths(facts.full_spec, facts.identity, pairs, report)
        starts = np.cumsum([0, *map(len, spans)])
        counts = token_counts(loaded, [document.data for document in documents])
        own = []
        for place, document in enumerate(documents):
            own.append(
                DocumentRow(
                    dataset,
                    facts.spec,
                    document.name,
                    1,
                    len(document.data),
                    characters_of(document.data),
                    len(document.data.split()),
                    None if counts is None else counts[place],
                    float(lengths[starts[place] : starts[place + 1]].sum()),
                    reading.window,
                    reading.stride,
                    reading.unit,
                )
            )
        rows += [*own, total(own)]
    return rows


def total(rows: Sequence[DocumentRow]) -> DocumentRow:
    """Return the row for all documents, from one model's ``rows`` for each."""
    characters = [row.characters for row in rows]
    tokens = [row.tokens for row in rows]
    return replace(
        rows[0],
        document=None,
        documents=len(rows),
        raw_bytes=sum(row.raw_bytes for row in rows),
        characters=None if None in characters else sum(filter(None, characters)),
        words=sum(row.words for row in rows),
        tokens=None if None in tokens else sum(filter(None, tokens)),
        bits=sum(row.bits for row in rows),
    )


def compare(rows: Sequence[DocumentRow], seed: int = 0) -> list[Comparison]:
    """Return the comparisons of each dataset's best model with every other one, the next best first."""
    found = []
    for dataset in dict.fromkeys(row.dataset for row in rows):
        mine = [row for row in rows if row.dataset == dataset and row.document is not None]
        models = list(dict.fromkeys((row.model, row.window, row.stride) for row in mine))
        bits = [
            np.array([row.bits for row in mine if (row.model, row.window, row.stride) == model]) for model in models
        ]
        sizes = np.array([row.raw_bytes for row in mine if (row.model, row.window, row.stride) == models[0]])
        order = sorted(range(len(models)), key=lambda place: float(bits[place].sum()))
        best = order[0]
        for place in order[1:]:
            figures = paired_bootstrap(bits[place] - bits[best], sizes, seed)
            found.append(Comparison(dataset, models[best][0], models[place][0], *figures))
    return found


def paired_bootstrap(
    differences: FloatArray, sizes: IntArray, seed: int = 0
) -> tuple[float, float | None, float | None, float | None]:
    """Return the figures of a :class:`Comparison`: (difference, low, high, p).

    ``differences`` (n,) are those of the documents in bits, ``sizes`` (n,) their sizes in bytes.
    """
    difference = float(differences.sum() / sizes.sum())
    count = len(differences)
    if count < 2:
        return difference, None, None, None
    rng = np.random.default_rng(seed)
    resampled = np.empty(RESAMPLES)
    for start in range(0, RESAMPLES, _RESAMPLES_AT_ONCE):
        drawn = rng.integers(0, count, (min(_RESAMPLES_AT_ONCE, RESAMPLES - start), count))
        resampled[start : start + len(drawn)] = differences[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(resampled, (tail, 1 - tail))
    beyond = min(int((resampled <= 0).sum()), int((resampled >= 0).sum()))
    p = min(1.0, 2 * (beyond + 1) / (RESAMPLES + 1))
    return difference, float(low), float(high), p
