"""Distances between texts: how well one helps to compress the other (Cilibrasi and Vitányi 2005).

They are computed from C(x), what a text costs, and C(y | x), what one costs after another, without framing:

    ncd            (min of C(x) + C(y | x) and C(y) + C(x | y) - min of C(x), C(y)) / max of C(x), C(y)
    symmetric      (C(x | y) + C(y | x)) / (C(x) + C(y))
    relative       C(y | x) / C(y): row x, column y
    cross-entropy  C(y | x) / bytes of y, in bits: row x, column y; what a model of x needs for y

The first two are symmetric. At 0 the other text holds all that is in a text; at 1 it is no help.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from gencomp import markup
from gencomp.equivalence.conditional import beyond_window
from gencomp.errors import DatasetError
from gencomp.measure.kept import Kept
from gencomp.modalities.documents import Document
from gencomp.protocols import FloatArray

Form = Literal["ncd", "symmetric", "relative", "cross-entropy"]
FORMS: tuple[Form, ...] = ("ncd", "symmetric", "relative", "cross-entropy")
SYMMETRIC: tuple[Form, ...] = ("ncd", "symmetric")
FRAMING = "headers, checksums and end marks are in no length: each is what a text adds to the code before it"


@dataclass(frozen=True)
class Distances:
    """The distances of all pairs of n texts. Lengths are in bits, arrays float64.

    ``alone`` (n,) are C(x); ``after`` (n, n) are C(y | x), row x and column y; ``matrix`` (n, n) are the distances of
    the form asked for. ``warnings`` are lines about what limits the figures.
    """

    models: tuple[str, ...]
    form: Form
    names: tuple[str, ...]
    sizes: tuple[int, ...]
    alone: FloatArray
    after: FloatArray
    matrix: FloatArray
    warnings: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """Return the distances as plain data."""
        return {
            "models": list(self.models),
            "form": self.form,
            "framing": FRAMING,
            "warnings": list(self.warnings),
            "names": list(self.names),
            "bytes": list(self.sizes),
            "code_lengths": [round(bits, 4) for bits in self.alone.tolist()],
            "conditional_code_lengths": [[round(bits, 4) for bits in row] for row in self.after.tolist()],
            "distances": [[round(value, 6) for value in row] for row in self.matrix.tolist()],
        }

    def _repr_html_(self) -> str:
        """Return the matrix as a table for a notebook."""
        rows = [[name, *row] for name, row in zip(self.names, self.matrix.tolist(), strict=True)]
        return markup.piece(markup.table(f"{self.form} by {', '.join(self.models)}", ("", *self.names), rows))


def of_form(form: Form, alone: FloatArray, after: FloatArray, sizes: Sequence[int]) -> FloatArray:
    """Return the distances of ``form``, float64 (n, n), from C(x) (n,) and C(y | x) (n, n) in bits.

    Raises :class:`DatasetError` on a text that costs nothing, which would be a divisor of 0.
    """
    if form == "cross-entropy":
        return np.asarray(after / np.array(sizes, dtype=np.float64)[None, :])
    if not (alone > 0).all():
        place = int(np.argmin(alone))
        raise DatasetError(f"text {place + 1} costs {alone[place]:g} bits by itself: it has no distance to others")
    if form == "relative":
        return np.asarray(after / alone[None, :])
    if form == "symmetric":
        return np.asarray((after + after.T) / (alone[:, None] + alone[None, :]))
    joint = alone[:, None] + after
    least, most = np.minimum.outer(alone, alone), np.maximum.outer(alone, alone)
    return np.asarray((np.minimum(joint, joint.T) - least) / most)


def distances(
    models: Sequence[str],
    documents: Sequence[Document],
    form: Form = "ncd",
    *,
    kept: Kept | None = None,
    report: Callable[[int], object] = lambda count: None,
) -> Distances:
    """Return the distances between all of ``documents`` under the specs ``models``, several as a mixture.

    ``kept`` holds what was computed before; ``report`` is told how many more of the len(models) * n * (n + 1) code
    lengths are known. Raises :class:`DatasetError` on fewer than two documents, or an empty one.
    """
    if len(documents) < 2:
        raise DatasetError(f"a distance needs two texts; {len(documents)} given")
    for document in documents:
        if not document.data:
            raise DatasetError(f"{document.name} is empty: it has no distance to others")
    if form not in FORMS:
        raise ValueError(f"form must be one of {', '.join(FORMS)}, got {form!r}")
    texts = [document.data for document in documents]
    count = len(texts)
    pairs = [(b"", text) for text in texts] + [(given, text) for given in texts for text in texts]
    lengths = (Kept() if kept is None else kept).mixed(models, pairs, report)
    alone, after = lengths[:count], lengths[count:].reshape(count, count)
    sizes = tuple(map(len, texts))
    return Distances(
        tuple(models),
        form,
        tuple(document.name for document in documents),
        sizes,
        alone,
        after,
        of_form(form, alone, after, sizes),
        tuple(window_warnings(models, pairs)),
    )


def window_warnings(models: Sequence[str], pairs: Sequence[tuple[bytes, bytes]]) -> list[str]:
    """Return a line for each model that cannot look back over its longest pair."""
    lines = []
    for model in models:
        beyond = beyond_window(model, pairs)
        if beyond is not None:
            lines.append(
                f"{model} looks back {beyond[0]:,} bytes, the longest pair has {beyond[1]:,}: what is farther back "
                "does not help; take shorter texts, or a model without a window, such as lzma or mix"
            )
    return lines


def order_of(matrix: FloatArray) -> tuple[Any, list[int]]:
    """Return SciPy's average-linkage tree of (n, n) distances, made symmetric, and its leaves in order."""
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
    from scipy.spatial.distance import squareform

    both = np.maximum((matrix + matrix.T) / 2, 0.0)
    np.fill_diagonal(both, 0.0)
    condensed = squareform(both, checks=False)
    tree = optimal_leaf_ordering(linkage(condensed, method="average"), condensed)
    return tree, [int(leaf) for leaf in leaves_list(tree)]
