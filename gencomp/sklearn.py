"""Classifiers by compression as scikit-learn estimators. Needs the extra ``sklearn``.

    from gencomp.sklearn import PrimedClassifier

    scores = cross_val_score(PrimedClassifier("gzip"), texts, labels)

They take texts: a list or one-dimensional array of strings or bytes, or a two-dimensional array with a single column.
Fitted classifiers are saved and loaded without pickle.
"""

from collections.abc import Iterable, Sequence
from os import PathLike
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from gencomp.extras import require

require("sklearn", "sklearn")

from sklearn.base import BaseEstimator, ClassifierMixin  # noqa: E402
from sklearn.utils import Tags  # noqa: E402
from sklearn.utils.multiclass import check_classification_targets  # noqa: E402
from sklearn.utils.validation import check_is_fitted  # noqa: E402

from gencomp.measure.classify import Answers, Classifier, Neighbours, Primed, load_classifier  # noqa: E402
from gencomp.protocols import FloatArray  # noqa: E402


def as_texts(values: Iterable[Any]) -> list[bytes]:
    """Return strings (as UTF-8) and bytes as bytes. Raises ``ValueError`` on anything else, saying where it is."""
    if isinstance(values, str | bytes):
        raise ValueError("expected texts, got a single one; put it into a list")
    if isinstance(values, np.ndarray) and values.ndim != 1:
        if values.ndim != 2 or values.shape[1] != 1:
            raise ValueError(f"expected texts, (n,) or (n, 1), got an array of the shape {values.shape}")
        values = values[:, 0]
    found = []
    for place, value in enumerate(values):
        if isinstance(value, str):
            found.append(value.encode("utf-8", "surrogatepass"))
        elif isinstance(value, bytes):
            found.append(bytes(value))
        else:
            raise ValueError(f"expected texts, strings or bytes; number {place} is of type {type(value).__name__}")
    return found


class _CompressionClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """What both classifiers share: the texts in, the classes out."""

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.allow_nan = False
        tags.non_deterministic = False
        return tags

    def _fitted_to(self, X: Iterable[Any], y: Any) -> tuple[list[bytes], npt.NDArray[Any]]:  # noqa: N803
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        check_classification_targets(y)
        texts, labels = as_texts(X), np.asarray(y)
        if labels.dtype == object:
            labels = labels.astype(str)
        if labels.ndim != 1 or len(labels) != len(texts):
            raise ValueError(f"y must be one class for each of the {len(texts)} texts, got the shape {labels.shape}")
        if len(np.unique(labels)) < 2:
            raise ValueError(f"all {len(texts)} texts are of one class; a classifier needs at least two")
        return texts, labels

    def _keep(self, classifier: Classifier) -> Self:
        self.classifier_ = classifier
        self.classes_ = classifier.classes
        return self

    def answer(self, X: Iterable[Any]) -> Answers:  # noqa: N803
        """Return everything there is to say of texts: posteriors, ties, and what each class costs."""
        check_is_fitted(self, "classifier_")
        answers: Answers = self.classifier_.answer(as_texts(X))
        return answers

    def predict(self, X: Iterable[Any]) -> npt.NDArray[Any]:  # noqa: N803
        """Return each text's class, (n,); in a tie, the first."""
        return self.answer(X).labels()

    def predict_proba(self, X: Iterable[Any]) -> FloatArray:  # noqa: N803
        """Return the posteriors, float64 (n, classes), in the order of ``classes_``."""
        return self.answer(X).posteriors

    def save(self, path: str | PathLike[str]) -> None:
        """Write the fitted classifier for :meth:`load`: numbers and JSON, without pickle."""
        check_is_fitted(self, "classifier_")
        self.classifier_.save(path)


class PrimedClassifier(_CompressionClassifier):
    """One primed model per class: a text belongs to the class after which it costs least.

    ``model`` is a spec, such as ``gzip``, ``zstd?level=3``, ``counts`` or ``mix:1``. ``priming`` bounds the bytes read
    of each class. With ``fit_prior``, a class is as likely as it is frequent in training.
    """

    def __init__(self, model: str = "mix:1", *, priming: int | None = None, fit_prior: bool = False) -> None:
        self.model = model
        self.priming = priming
        self.fit_prior = fit_prior

    def fit(self, X: Iterable[Any], y: Sequence[Any]) -> Self:  # noqa: N803
        """Read the texts ``X`` of the classes ``y``."""
        texts, labels = self._fitted_to(X, y)
        fitted = Primed.fit(self.model, texts, labels, priming=self.priming, fit_prior=self.fit_prior)  # type: ignore[arg-type]
        return self._keep(fitted)

    @classmethod
    def load(cls, path: str | PathLike[str], model: str | None = None) -> Self:
        """Return what :meth:`save` wrote; ``model`` is its model, where it needs one that is not gencomp's own.

        Raises ``CorruptDataError`` and ``ModelMismatchError``.
        """
        found = load_classifier(path, model)
        if not isinstance(found, Primed):
            raise ValueError(f"{path} holds {found.kind}; load it with CompressionNeighborsClassifier")
        return cls(found.model)._keep(found)


class CompressionNeighborsClassifier(_CompressionClassifier):
    """The ``n_neighbors`` training texts at the smallest normalised compression distance vote; ties are split."""

    def __init__(self, model: str = "gzip", *, n_neighbors: int = 3) -> None:
        self.model = model
        self.n_neighbors = n_neighbors

    def fit(self, X: Iterable[Any], y: Sequence[Any]) -> Self:  # noqa: N803
        """Keep the texts ``X`` of the classes ``y``."""
        texts, labels = self._fitted_to(X, y)
        return self._keep(Neighbours.fit(self.model, texts, labels, k=self.n_neighbors))  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: str | PathLike[str], model: str | None = None) -> Self:
        """Return what :meth:`save` wrote; ``model`` is its model, where it needs one that is not gencomp's own.

        Raises ``CorruptDataError`` and ``ModelMismatchError``.
        """
        found = load_classifier(path, model)
        if not isinstance(found, Neighbours):
            raise ValueError(f"{path} holds a {found.kind} classifier; load it with PrimedClassifier")
        return cls(found.model, n_neighbors=found.k)._keep(found)
