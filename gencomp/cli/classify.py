"""gencomp classify: sort texts into classes by what they cost after each class's own texts."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from gencomp.cli.console import note, progress_bar, show, show_json
from gencomp.cli.options import DEFAULT_SPEC, ForceOption, JsonOption, QuietOption, at_least, size_parser, usage
from gencomp.files import check_new, expanded, new_name
from gencomp.labels import visible

if TYPE_CHECKING:
    from gencomp.measure.classify import Answers, Classifier
    from gencomp.modalities.documents import Document

_METHODS = ("primed", "neighbours")


def classify(
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TEXT]...", help="What to classify: files, folders, or FILE.jsonl:FIELD."),
    ] = None,
    train: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="A folder that holds one for each class, or FILE.jsonl:TEXT:LABEL."),
    ] = None,
    test: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="The same, to count how many are classified right.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "--compressor",
            "-m",
            metavar="SPEC",
            help=f"Model or codec to compress with; with --load, the one the file needs. [default: {DEFAULT_SPEC}]",
        ),
    ] = None,
    method: Annotated[
        str | None, typer.Option(metavar="NAME", help=f"How: {', '.join(_METHODS)}. [default: primed]")
    ] = None,
    k: Annotated[
        int | None, typer.Option("--k", "-k", callback=at_least("-k", 1), help="Neighbours that vote. [default: 3]")
    ] = None,
    priming: Annotated[
        int | None,
        typer.Option(
            metavar="SIZE",
            parser=size_parser("--priming"),
            help="Bytes of each class to prime a model with. [default: as far as it looks back, at most 1 MiB]",
        ),
    ] = None,
    fit_prior: Annotated[
        bool, typer.Option("--fit-prior", help="Count a class as likely as it is frequent in training.")
    ] = False,
    save: Annotated[
        str | None, typer.Option(metavar="FILE", help="Save the classifier: a .npz without pickle.")
    ] = None,
    load: Annotated[str | None, typer.Option(metavar="FILE", help="Use a saved classifier instead of --train.")] = None,
    force: ForceOption = False,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Classify texts by compression.

    primed: the class after whose texts this one costs least, with the posterior that code lengths give. neighbours: a
    vote of the nearest training texts by compression distance. Ties are split and counted.
    """
    if method not in (None, *_METHODS):
        raise usage(f"--method must be one of {', '.join(_METHODS)}, got {method!r}")
    if (train is None) == (load is None):
        raise usage("give --train FOLDER, or --load FILE with a saved classifier")
    of_training = {"--method": method, "-k": k, "--priming": priming, "--fit-prior": fit_prior or None}
    if method == "neighbours":
        without_use = {name: of_training[name] for name in ("--priming", "--fit-prior")}
    else:
        without_use = {"-k": k}
    for name, value in (of_training if load is not None else without_use).items():
        if value is not None:
            where = "--load, whose file has it" if load is not None else f"--method {method or 'primed'}"
            raise usage(f"{name} does not go with {where}; leave one of them out")
    if save is not None:
        check_new(Path(save), overwrite=force)  # before the training, which may take long
    classifier = (
        _loaded(load, model)
        if load is not None
        else _trained(train or "", model or DEFAULT_SPEC, method, k or 3, priming, fit_prior, quiet=quiet)
    )
    if save is not None:
        with new_name(Path(save), overwrite=force) as temporary:
            classifier.save(temporary)
        if not quiet:
            note(f"saved in {save}")
    documents = _documents(texts or []) + ([] if test is None else _labelled(test))
    if not documents:
        if save is None:
            raise usage("nothing to classify: name TEXTs, or --test FOLDER, or save the classifier with --save")
        return
    from gencomp.measure.classify import Neighbours

    per_text = 1 + len(classifier.texts) if isinstance(classifier, Neighbours) else len(classifier.texts)
    with progress_bar("pairs", per_text * len(documents), quiet=quiet) as advance:
        answers = classifier.answer([document.data for document in documents], advance)
    records = [_record(document, answers, place) for place, document in enumerate(documents)]
    summary = _summary(documents, answers)
    if json_output:
        show_json({"model": classifier.model, "method": classifier.kind, "texts": records, **summary})
        return
    _print(records, summary)


def _loaded(path: str, model: str | None) -> "Classifier":
    from gencomp.measure.classify import load_classifier

    return load_classifier(path, model)


def _trained(
    train: str, model: str, method: str | None, k: int, priming: int | None, fit_prior: bool, *, quiet: bool
) -> "Classifier":
    from gencomp.measure.classify import Neighbours, Primed

    documents = _labelled(train)
    data, labels = [document.data for document in documents], [document.label for document in documents]
    if method == "neighbours":
        with progress_bar("training", len(data), quiet=quiet) as advance:
            return Neighbours.fit(model, data, labels, k=k, report=advance)
    return Primed.fit(model, data, labels, priming=priming, fit_prior=fit_prior)


def _labelled(where: str) -> "list[Document]":
    """Return documents with classes, from a folder of folders or FILE:TEXT:LABEL."""
    from gencomp.errors import DatasetError
    from gencomp.modalities.documents import files, json_field, split_field

    folder = expanded(where)
    if folder.is_dir():
        for inside in sorted(folder.iterdir()):
            if inside.is_dir() and not inside.name.startswith(".") and not any(inside.rglob("*")):
                raise DatasetError(f"{inside}: the class has no examples; put files there or remove the folder")
        return files([where], labelled=True)
    try:
        rest, label = split_field(where, "a folder, or FILE:TEXT:LABEL")
        path, field = split_field(rest, "a folder, or FILE:TEXT:LABEL")
    except ValueError as error:
        raise DatasetError(f"{where}: {error}") from None
    return json_field(path, field, label)


def _documents(texts: list[str]) -> "list[Document]":
    from gencomp.modalities.documents import files, json_field, split_field

    found = []
    for where in texts:
        if not Path(where).exists() and ":" in where and Path(where.rpartition(":")[0]).is_file():
            found += json_field(*split_field(where))
        else:
            found += files([where])
    return found


def _record(document: "Document", answers: "Answers", place: int) -> dict[str, Any]:
    chances = answers.posteriors[place].tolist()
    label = str(answers.classes[int(answers.posteriors[place].argmax())])
    record: dict[str, Any] = {"name": document.name, "class": label, "tied": int(answers.tied[place])}
    record["posteriors"] = {str(name): chance for name, chance in zip(answers.classes, chances, strict=True)}
    record["costs"] = {
        str(name): round(cost, 6) for name, cost in zip(answers.classes, answers.costs[place].tolist(), strict=True)
    }
    return record | ({} if document.label is None else {"true": document.label})


def _summary(documents: "list[Document]", answers: "Answers") -> dict[str, Any]:
    known = [place for place, document in enumerate(documents) if document.label is not None]
    summary: dict[str, Any] = {"ties": int((answers.tied > 1).sum())}
    if known:
        from dataclasses import replace

        part = replace(answers, posteriors=answers.posteriors[known], tied=answers.tied[known])
        summary["accuracy"] = part.accuracy([cast(str, documents[place].label) for place in known])
    return summary


def _print(records: list[dict[str, Any]], summary: dict[str, Any]) -> None:
    width = max(len(visible(record["name"])) for record in records)
    for record in records:
        label, chance = record["class"], record["posteriors"][record["class"]]
        words = f"{visible(record['name']):<{width}}  {label}  {chance:.4f}"
        if record["tied"] > 1:
            words += f"  (a tie of {record['tied']})"
        if record.get("true", label) != label:
            words += f"  (it is {record['true']})"
        show(words)
    counted = Counter(record["class"] for record in records)
    show(f"{len(records)} texts: " + ", ".join(f"{count} {name}" for name, count in counted.most_common()))
    if summary["ties"]:
        show(f"{summary['ties']} ties; of each, the first class by name is shown")
    if "accuracy" in summary:
        show(f"accuracy {100 * summary['accuracy']:.2f} %, ties split")
