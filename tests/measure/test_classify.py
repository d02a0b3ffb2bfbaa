"""Classifiers by compression: votes and posteriors by hand, files, the command, and scikit-learn's own checks."""

import io
import json
import os
import pickle
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gencomp import registry
from gencomp.cli.main import run
from gencomp.equivalence.conditional import code_length
from gencomp.errors import BudgetError, CorruptDataError, DatasetError, ModelMismatchError
from gencomp.measure.classify import Answers, Neighbours, Primed, distances_to, load_classifier, priming_bytes
from gencomp.registry import Entry

ENGLISH = [b"the cat sat on the mat with the hat", b"she said that the day was the best of the week",
           b"it was the end of the road and the start of the hill"]  # fmt: skip
CODE = [b"def add(a, b):\n    return a + b\n", b"for i in range(10):\n    print(i)\n", b"if x is None:\n    return 0\n"]
TEXTS, LABELS = ENGLISH + CODE, ["english"] * 3 + ["code"] * 3
NEW = [b"the dog sat on the road", b"def sub(a, b):\n    return a - b\n"]


@pytest.mark.parametrize("model", ["gzip", "counts:2", "lzma", "mix:1"])
def test_both_classifiers_tell_english_from_code(model: str) -> None:
    for classifier in (Neighbours.fit(model, TEXTS, LABELS, k=3), Primed.fit(model, TEXTS, LABELS)):
        answers = classifier.answer(NEW)
        assert answers.labels().tolist() == ["english", "code"], (model, classifier.kind)
        assert answers.posteriors.sum(axis=1) == pytest.approx([1, 1])
        assert answers.accuracy(["english", "code"]) == 1.0


def test_a_posterior_is_bayes_rule() -> None:
    primed = Primed.fit("counts:1", TEXTS, LABELS, fit_prior=True)
    assert primed.priors.tolist() == [0.5, 0.5]
    answers = primed.answer(NEW[:1])
    bits = np.array([code_length("counts:1", NEW[0], text + b"\n") for text in primed.texts])
    assert answers.costs[0].tolist() == bits.tolist()
    assert answers.posteriors[0] == pytest.approx(np.exp2(-bits) / np.exp2(-bits).sum())
    skewed = Primed.fit("counts:1", [*TEXTS, CODE[0]], [*LABELS, "code"], fit_prior=True)
    assert skewed.priors.tolist() == pytest.approx([4 / 7, 3 / 7])


def test_ties_are_split() -> None:
    texts = tuple(b"abcd"[place : place + 1] for place in range(4))
    neighbours = Neighbours("gzip", np.array(["x", "y"]), texts, np.array([0, 0, 1, 1]), np.ones(4), 2)
    one_each = neighbours.vote(np.array([[0.1, 0.9, 0.1, 0.9]]))
    assert one_each.posteriors.tolist() == [[0.5, 0.5]]
    assert one_each.tied.tolist() == [2]
    assert one_each.accuracy(["y"]) == 0.5
    assert one_each.labels().tolist() == ["x"]
    # one place is sure, the other is shared by three at the same distance, two of them of y
    shared = neighbours.vote(np.array([[0.1, 0.5, 0.5, 0.5]]))
    assert shared.posteriors[0] == pytest.approx([(1 + 1 / 3) / 2, (2 / 3) / 2])
    assert shared.tied.tolist() == [1]


def test_distances_of_texts_that_cost_nothing() -> None:
    found = distances_to(np.array([0.0, 8.0]), np.array([0.0, 4.0]), np.array([[0.0, 0.0], [4.0, 2.0]]))
    assert found[0].tolist() == [1.0, 1.0]
    assert found[1].tolist() == [1.0, (10 - 4) / 8]


def test_a_class_is_read_as_far_as_the_model_looks_back(book: bytes) -> None:
    texts, labels = [book[:50_000], book[50_000:100_000], b"other"], ["a", "a", "b"]
    primed = Primed.fit("gzip", texts, labels)
    assert [len(text) for text in primed.texts] == [32_768, 5]
    assert [len(text) for text in Primed.fit("counts", texts, labels).texts] == [100_001, 5]
    assert [len(text) for text in Primed.fit("counts", texts, labels, priming=100).texts] == [100, 5]
    assert priming_bytes(None, None) == 1 << 20
    with pytest.raises(ValueError, match="priming must be at least 1"):
        priming_bytes(0, None)


@pytest.mark.parametrize("labels", [LABELS, [1, 1, 1, 0, 0, 0], [True] * 3 + [False] * 3])
def test_a_classifier_is_saved_without_pickle(
    labels: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("pickle")

    monkeypatch.setattr(pickle, "dumps", refuse)
    monkeypatch.setattr(pickle, "loads", refuse)
    for classifier in (Neighbours.fit("gzip", TEXTS, labels, k=2), Primed.fit("counts:1", TEXTS, labels)):
        classifier.save(tmp_path / "kept.npz")
        back = load_classifier(tmp_path / "kept.npz")
        assert type(back) is type(classifier)
        assert back.classes.tolist() == classifier.classes.tolist()
        expected, found = classifier.answer(NEW), back.answer(NEW)
        assert (found.posteriors == expected.posteriors).all()
    whole = (tmp_path / "kept.npz").read_bytes()
    for damaged in (b"", b"no archive", whole[: len(whole) // 2]):
        (tmp_path / "damaged.npz").write_bytes(damaged)
        with pytest.raises(CorruptDataError, match=r"damaged.npz is not a saved classifier"):
            load_classifier(tmp_path / "damaged.npz")


def forged(path: Path, model: str | None = None, **changed: Any) -> Path:
    """Write a saved classifier of two texts with another model, or with other arrays; None leaves one out."""
    Primed.fit("counts:1", TEXTS[:1] + TEXTS[-1:], ["a", "b"]).save(path)
    with np.load(path) as file:
        arrays = dict(file) | changed
    if model is not None:
        header = json.loads(arrays["header"].tobytes())
        header["options"]["model"] = model
        arrays["header"] = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
    arrays = {name: part for name, part in arrays.items() if part is not None}
    np.savez_compressed(path, allow_pickle=True, **arrays)
    return path


def as_header(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), dtype=np.uint8)


@pytest.mark.parametrize(
    "changed",
    [
        {"header": as_header("[" * 5000)},
        {"header": as_header("[]")},
        {"header": as_header('{"format": 1, "kind": "primed", "options": []}')},
        {"header": as_header('{"format": 1, "kind": "primed", "options": {"model": 5}}')},
        {"header": as_header('{"format": 1, "kind": ["primed"], "options": {"model": "gzip"}}')},
        {"header": as_header('{"format": 1, "kind": "neighbours", "options": {"model": "gzip"}}')},
        {"header": as_header(json.dumps({"format": 1, "kind": "primed", "options": {"model": "no such"}}))},
        {"header": np.zeros(1 << 20, dtype=np.uint8)},
        {"classes": np.array([["a", "b"]])},
        {"classes": np.array(["a", None], dtype=object)},
        {"classes": np.array([0x7FFFFFFF, 5], dtype=np.uint32).view("U1")},
        {"sizes": np.array([1 << 62, 1 << 62, 1 << 62, 1 << 62], dtype=np.int64)},
        {"sizes": np.array([-1, 1], dtype=np.int64)},
        {"sizes": np.array([0.5, 0.5])},
        {"texts": np.zeros(0, dtype=np.uint8)},
        {"texts": np.zeros(0, dtype="U0")},
        {"texts": None},
        {"priors": np.array([0.5, np.nan])},
        {"priors": np.array([-1.0, 2.0])},
        {"priors": np.array([1.0])},
        {"more": np.array([1.0])},
    ],
)
def test_a_forged_classifier_is_refused(changed: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(CorruptDataError, match=r"kept.npz is not a saved classifier: ") as refused:
        load_classifier(forged(tmp_path / "kept.npz", **changed))
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 500 + len(str(tmp_path))


def test_a_classifier_claims_no_more_than_it_holds(tmp_path: Path) -> None:
    """A million zeros in a kilobyte, an array of 10^12 numbers, a list of 10^5 arrays: none is inflated."""
    path = forged(tmp_path / "kept.npz")
    whole = path.read_bytes()
    shape = re.search(rb"'shape': \(\d+,\), } {20,}", zipfile.ZipFile(path).read("texts.npy"))
    assert shape is not None
    with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            claim = b"'shape': (1000000000000,), }".ljust(len(shape[0]))
            new.writestr(name, old.read(name).replace(shape[0], claim) if name == "texts.npy" else old.read(name))
    with pytest.raises(CorruptDataError, match="texts has 1,000,000,000,000 bytes, expected at most"):
        load_classifier(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as many:
        for number in range(300):
            many.writestr(f"{number:09}.npy", b"")
    with pytest.raises(CorruptDataError, match="its list of arrays is not where numpy writes it"):
        load_classifier(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(CorruptDataError, match="is a pipe, expected a saved classifier: a regular file"):
        load_classifier(path)


@pytest.mark.parametrize("form", ["{}", "ensemble:gzip,{}", "lookahead:{}", "mix:1?expert={}"])
def test_a_classifier_opens_and_imports_nothing_by_itself(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state").write_bytes(b"")
    path = forged(tmp_path / "kept.npz", model=form.format(f"rnn+state={tmp_path}/state" if form != "{}" else "rnn:/x"))
    with pytest.raises(ModelMismatchError, match="opens nothing on disk by itself; name it, if you trust it: model="):
        load_classifier(path)
    entry = Entry("theirs", "compressor", "nowhere_to_be_found:Theirs", "from another package", None, "theirs")
    monkeypatch.setitem(registry._ENTRIES, "theirs", entry)
    path = forged(tmp_path / "kept.npz", model=form.format("theirs"))
    with pytest.raises(
        ModelMismatchError, match="needs a model of the package theirs; name it, if you trust it: model="
    ):
        load_classifier(path)
    if form != "{}":
        path = forged(tmp_path / "kept.npz", model="lookahead:" * 20 + "gzip")
        with pytest.raises(CorruptDataError, match="nested deeper than 8 levels"):
            load_classifier(path)


def test_a_classifier_of_somebody_elses_takes_no_more_memory_than_usual(tmp_path: Path) -> None:
    spec = "ensemble:" + ",".join(["ctw+memory=4096"] * 2)
    path = forged(tmp_path / "kept.npz", model=spec)
    with pytest.raises(
        BudgetError, match="may take .* of memory, expected at most 4,295 MB; name it, if you trust it: model="
    ):
        load_classifier(path)
    assert load_classifier(path, spec).model == spec, "the user's word"
    with pytest.raises(ModelMismatchError, match="was made with model='ensemble:.*, not 'gzip'"):
        load_classifier(path, "gzip")


def test_training_that_cannot_be_is_refused() -> None:
    for texts, labels, message in (
        ([], [], "there are no training texts"),
        ([b"a", b"b"], ["x", "x"], "all 2 training texts are of one class, x; expected at least two"),
        ([b"a"], ["x", "y"], "1 texts have 2 labels"),
    ):
        for fit in (Neighbours.fit, Primed.fit):
            with pytest.raises(DatasetError, match=message):
                fit("gzip", texts, labels)
    with pytest.raises(DatasetError, match="the class y has no byte to learn from"):
        Primed.fit("gzip", [b"a", b""], ["x", "y"])
    with pytest.raises(ValueError, match="k must be at least 1"):
        Neighbours.fit("gzip", TEXTS, LABELS, k=0)


def test_accuracy_of_answers() -> None:
    answers = Answers(np.array(["a", "b"]), np.array([[0.9, 0.1], [0.5, 0.5]]), np.array([1, 2]), np.zeros((2, 2)))
    assert answers.accuracy(["a", "b"]) == 0.75
    assert answers.accuracy(["b", "c"]) == 0.0


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, texts in (("english", ENGLISH), ("code", CODE)):
        (tmp_path / "train" / name).mkdir(parents=True)
        (tmp_path / "test" / name).mkdir(parents=True)
        for place, text in enumerate(texts):
            (tmp_path / "train" / name / f"{place}.txt").write_bytes(text)
    (tmp_path / "test" / "english" / "new.txt").write_bytes(NEW[0])
    (tmp_path / "test" / "code" / "new.py").write_bytes(NEW[1])
    train, test, kept = (str(tmp_path / name) for name in ("train", "test", "kept.npz"))
    command = ["classify", "--train", train, "--test", test, "-m", "counts:2", "--save", kept, "-q"]
    assert run(command) == 0
    assert run(command) == 1, "a file is not overwritten without -f"
    assert run([*command, "-f"]) == 0
    out = capsys.readouterr().out
    assert "english/new.txt  english  " in out
    assert "accuracy 100.00 %, ties split" in out
    assert run(["classify", "--load", kept, str(tmp_path / "test" / "code" / "new.py"), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["texts"][0]["class"] == "code"
    assert record["model"] == "counts:2"
    assert run(["classify", "--load", kept, "-m", "counts?order=2", "--test", test]) == 0
    capsys.readouterr()
    assert run(["classify", "--train", train, "--test", test, "-m", "gzip", "--method", "neighbours", "-k", "2"]) == 0
    assert "2 texts: " in capsys.readouterr().out
    lines = [{"text": text.decode(), "kind": label} for text, label in zip(TEXTS, LABELS, strict=True)]
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert run(["classify", "--train", f"{tmp_path}/train.jsonl:text:kind", "--test", test, "-m", "counts:2"]) == 0
    assert "accuracy 100.00 %" in capsys.readouterr().out
    (tmp_path / "train" / "empty").mkdir()
    (tmp_path / "loose").mkdir()
    (tmp_path / "loose" / "file.txt").write_text("x")
    for arguments, code, message in (
        (["--train", train, "--test", test], 1, "the class has no examples"),
        (["--train", str(tmp_path / "loose"), "--test", test], 1, "it lies in no class"),
        (["--test", test], 2, "give --train FOLDER, or --load FILE"),
        (["--train", train, "--load", kept], 2, "give --train FOLDER, or --load FILE"),
        (["--load", kept], 2, "nothing to classify"),
        (["--load", kept, "-m", "gzip", test], 4, "was made with -m 'counts:2', not 'gzip'"),
        (["--load", kept, "-k", "3", test], 2, "-k does not go with --load"),
        (["--load", kept, "--method", "primed", test], 2, "--method does not go with --load"),
        (["--load", kept, "--fit-prior", test], 2, "--fit-prior does not go with --load"),
        (["--train", train, "--test", test, "-k", "3"], 2, "-k does not go with --method primed"),
        (["--train", train, "--test", test, "--method", "neighbours", "--priming", "9"], 2, "--priming does not go"),
        (["--load", f"{tmp_path}/train.jsonl", test], 3, "is not a saved classifier"),
        (["--train", f"{tmp_path}/train.jsonl:text:label", test], 1, "line 1: there is no field 'label'"),
        (["--train", "nowhere", test], 1, "FILE:TEXT:LABEL"),
    ):
        assert run(["classify", *arguments]) == code, arguments
        assert message in capsys.readouterr().err


class TestScikitLearn:
    """The estimators are scikit-learn's, as far as texts allow."""

    @pytest.fixture(autouse=True)
    def _installed(self) -> None:
        pytest.importorskip("sklearn")

    @pytest.mark.parametrize(
        "name", [pytest.param("primed", marks=pytest.mark.thorough), pytest.param("neighbors", marks=pytest.mark.slow)]
    )
    def test_its_own_checks_pass(self, name: str) -> None:
        """All of them, on rows written out as texts; on texts as they are, those that need no rows."""
        from sklearn.exceptions import SkipTestWarning
        from sklearn.utils.estimator_checks import check_estimator

        from gencomp.sklearn import CompressionNeighborsClassifier, PrimedClassifier
        from tests.measure.on_rows import NeighborsOnRows, PrimedOnRows

        of_texts = PrimedClassifier("gzip") if name == "primed" else CompressionNeighborsClassifier()
        of_rows = PrimedOnRows("counts:1") if name == "primed" else NeighborsOnRows("counts:1")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # among them what the checks say of themselves
            warnings.simplefilter("ignore", SkipTestWarning)
            for estimator, least in ((of_texts, 1), (of_rows, 45)):
                results = check_estimator(estimator, on_fail=None, on_skip=None)
                failed = [(found["check_name"], found["exception"]) for found in results if found["status"] == "failed"]
                assert failed == []
                assert sum(found["status"] == "passed" for found in results) >= least

    def test_they_work_in_a_pipeline_and_in_cross_validation(self) -> None:
        from sklearn.base import clone
        from sklearn.model_selection import GridSearchCV, cross_val_score
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import FunctionTransformer

        from gencomp.sklearn import CompressionNeighborsClassifier, PrimedClassifier

        texts = [text.decode() for text in TEXTS]
        lower = FunctionTransformer(lambda values: [value.lower() for value in values])
        pipeline = make_pipeline(lower, PrimedClassifier("counts:2"))
        assert cross_val_score(pipeline, texts, LABELS, cv=3).mean() > 0.8
        search = GridSearchCV(CompressionNeighborsClassifier(), {"n_neighbors": [1, 2]}, cv=3).fit(texts, LABELS)
        assert search.predict([NEW[1].decode()]).tolist() == ["code"]
        assert clone(PrimedClassifier("lzma", priming=9)).get_params() == {
            "model": "lzma", "priming": 9, "fit_prior": False
        }  # fmt: skip

    def test_they_keep_classes_of_any_kind_and_are_saved(self, tmp_path: Path) -> None:
        from sklearn.exceptions import NotFittedError

        from gencomp.sklearn import CompressionNeighborsClassifier, PrimedClassifier

        for estimator in (PrimedClassifier("counts:2"), CompressionNeighborsClassifier(n_neighbors=2)):
            with pytest.raises(NotFittedError):
                estimator.predict(NEW)
            estimator.fit(np.array(TEXTS, dtype=object).reshape(-1, 1), np.array([7] * 3 + [2] * 3))
            assert estimator.classes_.tolist() == [2, 7]
            assert estimator.predict(NEW).tolist() == [7, 2]
            assert estimator.score(NEW, [7, 2]) == 1.0
            estimator.save(tmp_path / "kept.npz")
            back = type(estimator).load(tmp_path / "kept.npz")
            assert (back.predict_proba(NEW) == estimator.predict_proba(NEW)).all()
        with pytest.raises(ValueError, match="load it with CompressionNeighborsClassifier"):
            PrimedClassifier.load(tmp_path / "kept.npz")

    @pytest.mark.parametrize(
        ("texts", "message"),
        [
            ("one text", "put it into a list"),
            ([b"a", 3], "number 1 is of type int"),
            (np.array([["a", "b"]]), r"got an array of the shape \(1, 2\)"),
        ],
    )
    def test_what_is_no_text_is_refused(self, texts: Any, message: str) -> None:
        from gencomp.sklearn import PrimedClassifier

        with pytest.raises(ValueError, match=message):
            PrimedClassifier("gzip").fit(texts, ["x", "y"])
