"""Text classification by compression, side by side in one run: accuracy, ties and seconds.

    python benchmarks/classification.py [--train 40] [--test 20] [--bytes 1500] [--seed 0] [--models SPEC ...]

Ten classes of encyclopedia articles from ``text/wikipedia-en-2015-100m.xz`` of ``$GENCOMP_DATA``. An article's class is
what its first sentence says its subject is ("is a city", "was a mathematician"), if that names one class only. The
title and that sentence are left out; the bytes after it are the document. Training and test articles are drawn with the
seed, and no article is in both.

- "bytes" is the usual script: len(gzip.compress(...)), the distance of the joined texts, the first of tied classes;
- "exact" is the same distance with lengths to the bit and without framing, ties split;
- "primed" has one model per class, and takes the cheapest code;
- TF-IDF with logistic regression is scikit-learn's, on words, or on words and pairs of words.

Ties are tests in which several classes share the first place; accuracy counts each at its chance of being right.
"""

import argparse
import gzip
import lzma
import os
import platform
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from gencomp.cores import usable_cores
from gencomp.equivalence.conditional import code_length
from gencomp.measure.classify import Answers, Neighbours, Primed

SOURCE = "text/wikipedia-en-2015-100m.xz"
CLASSES = {
    "biology": r"species|genus|plants?|animals?|birds?|fish|protein|disease|mammals?|organisms?|bacteri\w+",
    "chemistry": r"chemical|compound|element|acid|mineral|metal|alloy|drug|molecule",
    "city": r"city|town|municipality|village|borough|suburb|capital",
    "computing": r"computer|software|programming|protocol|operating system|microprocessor|file format|internet",
    "literature": r"novel|novelist|writer|author|poet|poem|playwright|book|short story",
    "mathematics": r"mathematic\w+|theorem|algebra|geometry|number theory|topology|function",
    "music": r"band|singer|musician|album|song|composer|guitarist|musical|instrument|music",
    "screen": r"film|television|actor|actress|sitcom|director|screenwriter|comedian",
    "sport": r"football\w*|baseball|basketball|hockey|player|league|cricket\w*|tennis|olympic|sport",
    "war": r"battle|war|military|aircraft|warship|missile|army|navy|rifle|weapon|tank|bomber|fighter",
}


def articles(root: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (class, text without its first sentence) of each article whose first sentence names one class."""
    with lzma.open(root / SOURCE, "rt", encoding="utf-8", errors="replace") as file:
        text = file.read()
    for match in re.finditer(r'<doc id="[^>]*>\n(.*?)\n</doc>', text, re.DOTALL):
        paragraphs = [line for line in match[1].split("\n") if line.strip()]
        if len(paragraphs) < 2:
            continue
        sentence, _, rest = paragraphs[1].partition(". ")
        said = re.search(r"\b(?:is|was|are|were) (?:an?|the|one of the)\b(.{0,90})", sentence)
        if said is None:
            continue
        found = [name for name, words in CLASSES.items() if re.search(rf"\b(?:{words})\b", said[1], re.IGNORECASE)]
        if len(found) == 1:
            yield found[0], "\n".join([rest, *paragraphs[2:]]).encode()


def drawn(
    root: Path, train: int, test: int, size: int, seed: int
) -> tuple[list[bytes], list[str], list[bytes], list[str]]:
    """Return training texts, their classes, test texts, their classes."""
    by_class: dict[str, list[bytes]] = {}
    for name, text in articles(root):
        if len(text) >= size:
            by_class.setdefault(name, []).append(text[:size])
    rng = np.random.default_rng(seed)
    parts: tuple[list[bytes], list[str], list[bytes], list[str]] = ([], [], [], [])
    for name in sorted(by_class):
        texts = by_class[name]
        if len(texts) < train + test:
            raise SystemExit(f"{name} has {len(texts)} articles of {size} bytes; take fewer than {train} + {test}")
        order = rng.permutation(len(texts))[: train + test].tolist()
        for place, number in enumerate(order):
            of = 0 if place < train else 2
            parts[of].append(texts[number])
            parts[of + 1].append(name)
    return parts


def bytes_answer(train: list[bytes], labels: list[str], texts: list[bytes], k: int) -> Answers:
    """Return the votes by lengths in bytes, headers included, as in the usual script."""
    alone = np.array([len(gzip.compress(text)) for text in train])
    distances = np.empty((len(texts), len(train)))
    for row, text in enumerate(texts):
        own = len(gzip.compress(text))
        for column, given in enumerate(train):
            joint = len(gzip.compress(given + b" " + text))
            distances[row, column] = (joint - min(own, alone[column])) / max(own, alone[column])
    classes, places = np.unique(labels, return_inverse=True)
    return Neighbours("gzip", classes, tuple(train), places, alone.astype(float), k).vote(distances)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=int, default=40, help="articles of each class")
    parser.add_argument("--test", type=int, default=20, help="articles of each class")
    parser.add_argument("--bytes", type=int, default=1500, help="of each article")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-k", type=int, default=3)
    parser.add_argument(
        "--models", nargs="+", default=["gzip", "zstd?level=3", "lzma?preset=1", "lz78", "counts", "ctw:4", "mix:1"]
    )
    arguments = parser.parse_args()
    root = Path(os.environ.get("GENCOMP_DATA", ""))
    if not (root / SOURCE).is_file():
        raise SystemExit(f"set GENCOMP_DATA to a folder that has {SOURCE}")
    train, labels, test, truth = drawn(root, arguments.train, arguments.test, arguments.bytes, arguments.seed)
    print(f"Python {platform.python_version()}, {platform.machine()}; {usable_cores()} cores")
    print(f"{len(set(labels))} classes, {len(train)} training and {len(test)} test articles of {arguments.bytes} bytes")
    print(f"{'method':<44} {'accuracy':>8} {'ties':>5} {'seconds':>8}", flush=True)

    def show(name: str, work: Callable[[], Answers]) -> None:
        start = time.perf_counter()
        answers = work()
        seconds = time.perf_counter() - start
        ties = int((answers.tied > 1).sum())
        print(f"{name:<44} {100 * answers.accuracy(truth):>7.1f}% {ties:>5} {seconds:>8.1f}", flush=True)

    def fitted(words: tuple[int, int]) -> Answers:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        model = make_pipeline(
            TfidfVectorizer(ngram_range=words, sublinear_tf=True, decode_error="replace"),
            LogisticRegression(max_iter=2000, C=10.0),
        )
        model.fit(train, labels)
        chances = model.predict_proba(test)
        top = chances.max(axis=1, keepdims=True)
        return Answers(model.classes_, chances, (chances == top).sum(axis=1), -chances)

    k = arguments.k
    for number in (1, k):
        show(f"gzip, {number} nearest, bytes", lambda number=number: bytes_answer(train, labels, test, number))
        show(
            f"gzip, {number} nearest, exact",
            lambda number=number: Neighbours.fit("gzip", train, labels, k=number).answer(test),
        )
    for model in arguments.models:
        code_length(model, b"warm", b"and compiled")
        show(f"{model}, primed", lambda model=model: Primed.fit(model, train, labels).answer(test))
    show("TF-IDF of words, logistic regression", lambda: fitted((1, 1)))
    show("TF-IDF of words and pairs, logistic regression", lambda: fitted((1, 2)))


if __name__ == "__main__":
    main()
