"""Estimators for rows of numbers, which scikit-learn's checks are made of; importing it takes scikit-learn."""

from typing import Any

from sklearn.utils.validation import check_is_fitted, validate_data

from gencomp.measure.classify import Answers
from gencomp.sklearn import CompressionNeighborsClassifier, PrimedClassifier


class _OnRows:
    """Rows of numbers written out as texts: what scikit-learn's checks are made of."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.two_d_array, tags.input_tags.one_d_array, tags.input_tags.string = True, False, False
        tags.classifier_tags.poor_score = True
        return tags

    def fit(self, X: Any, y: Any = None) -> Any:
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        X, y = validate_data(self, X, y)
        return super().fit(self.written(X), y)  # type: ignore[misc]

    def answer(self, X: Any) -> Answers:
        check_is_fitted(self, "classifier_")
        return super().answer(self.written(validate_data(self, X, reset=False)))  # type: ignore[misc]

    @staticmethod
    def written(rows: Any) -> list[str]:
        return [" ".join(f"{value:+.1f}" for value in row) for row in rows]


class PrimedOnRows(_OnRows, PrimedClassifier):
    pass


class NeighborsOnRows(_OnRows, CompressionNeighborsClassifier):
    pass
