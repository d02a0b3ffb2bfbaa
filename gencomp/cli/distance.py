"""gencomp distance: how well texts help to compress one another."""

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from gencomp.cli.console import command_line, note, progress_bar
from gencomp.cli.options import DEFAULT_SPEC, QuietOption, size_parser, usage
from gencomp.cli.results import check_folder, show_text
from gencomp.labels import visible

if TYPE_CHECKING:
    from gencomp.measure.distance import Distances, Form
    from gencomp.modalities.documents import Document

_JOURNAL = "journal.jsonl"
_FILES = ("distances.csv", "distances.json", "distances.png", "report.html")
_FORMATS = ("table", "csv", "json")
_FORMS = ("ncd", "symmetric", "relative", "cross-entropy")  # of gencomp.measure.distance, which is heavier to import


def distance(
    paths: Annotated[list[str] | None, typer.Argument(metavar="[PATH]...", help="Files, or folders of files.")] = None,
    lines: Annotated[str | None, typer.Option(metavar="FILE", help="The lines of a file as texts.")] = None,
    json_field: Annotated[
        str | None, typer.Option("--json", metavar="FILE:FIELD", help="A field of each object of a JSON or JSONL file.")
    ] = None,
    models: Annotated[
        list[str],
        typer.Option("--model", "--compressor", "-m", metavar="SPEC", help="Model or codec; several are mixed."),
    ] = [DEFAULT_SPEC],  # noqa: B006
    form: Annotated[str, typer.Option(metavar="NAME", help=f"What is computed: {', '.join(_FORMS)}.")] = "ncd",
    limit: Annotated[
        int | None,
        typer.Option(metavar="SIZE", parser=size_parser("--limit"), help="How many bytes to use of each text."),
    ] = None,
    format_: Annotated[
        str, typer.Option("--format", metavar="NAME", help=f"What to print: {', '.join(_FORMATS)}.")
    ] = "table",
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FOLDER", help="Also write a page, a picture, CSV and JSON.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Overwrite files that are not from an earlier run.")
    ] = False,
    quiet: QuietOption = False,
) -> None:
    """Measure how far texts are from one another by compression.

    Lengths are exact to the bit and exclude framing. ncd and symmetric are the same in both directions. In row x and
    column y, relative has C(y|x)/C(y), and cross-entropy the bits per byte of y after x. FOLDER gets report.html, with
    a clustered heat map and a tree; results that it holds are not computed again.
    """
    from gencomp.measure.distance import distances
    from gencomp.measure.kept import Kept

    if format_ not in _FORMATS:
        raise usage(f"--format must be one of {', '.join(_FORMATS)}, got {format_!r}")
    if form not in _FORMS:
        raise usage(f"--form must be one of {', '.join(_FORMS)}, got {form!r}")
    documents = _documents(paths or [], lines, json_field, limit)
    folder = None if output is None else _folder(output, force=force)
    total = len(models) * len(documents) * (len(documents) + 1)
    with progress_bar("pairs", total, quiet=quiet) as advance:
        kept = Kept() if folder is None else Kept(folder / _JOURNAL)
        found = distances(models, documents, cast("Form", form), kept=kept, report=advance)
    if not quiet:
        for line in found.warnings:
            note(f"note: {line}")
    if folder is not None:
        write(found, folder, quiet=quiet)
    show_text({"table": _table, "csv": _csv, "json": _json}[format_](found), as_data=format_ != "table")


def _documents(paths: list[str], lines: str | None, json_field: str | None, limit: int | None) -> "list[Document]":
    from dataclasses import replace

    from gencomp.modalities import documents as read

    if sum(map(bool, (paths, lines, json_field))) != 1:
        raise usage("name the texts in one way: PATHs, --lines or --json")
    if lines is not None:
        found = read.lines(lines)
    elif json_field is not None:
        try:
            path, field = read.split_field(json_field)
        except ValueError as error:
            raise usage(f"--json: {error}") from None
        found = read.json_field(path, field)
    else:
        found = read.files(paths)
    return found if limit is None else [replace(document, data=document.data[:limit]) for document in found]


def _folder(name: str, *, force: bool) -> Path:
    from gencomp.report.distances import check_extra

    check_extra()
    folder = Path(name)
    check_folder(folder, _JOURNAL, _FILES, force=force)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _table(found: "Distances") -> str:
    names = [visible(name) for name in found.names]
    cells = [[f"{value:.4f}" for value in row] for row in found.matrix.tolist()]
    first = max(len(name) for name in names)
    widths = [max(len(name), *(len(row[place]) for row in cells)) for place, name in enumerate(names)]
    head = " " * first + "".join("  " + name.rjust(width) for name, width in zip(names, widths, strict=True))
    body = [
        name.ljust(first) + "".join("  " + cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for name, row in zip(names, cells, strict=True)
    ]
    return "\n".join([head, *body]) + "\n"


def _csv(found: "Distances") -> str:
    """Return CSV, a line for each pair."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["given", "text", found.form, "code_length", "conditional_code_length", "bytes"])
    for row, given in enumerate(found.names):
        for column, name in enumerate(found.names):
            bits = [round(float(found.alone[column]), 4), round(float(found.after[row, column]), 4)]
            writer.writerow([given, name, round(float(found.matrix[row, column]), 6), *bits, found.sizes[column]])
    return file.getvalue()


def _json(found: "Distances") -> str:
    return json.dumps(found.record(), indent=1) + "\n"


def write(found: "Distances", folder: Path, *, quiet: bool) -> None:
    """Write the page, the picture, CSV and JSON into a folder."""
    from gencomp.files import new_file, write_fully
    from gencomp.report.distances import page, picture
    from gencomp.report.made import made

    drawn = picture(found)
    for name, content in (
        ("distances.csv", _csv(found).encode("utf-8", "backslashreplace")),
        ("distances.json", _json(found).encode()),
        ("distances.png", drawn),
        ("report.html", page(found, drawn, made(command_line())).encode()),
    ):
        with new_file(folder / name, overwrite=True) as file:
            write_fully(file, content)
    if not quiet:
        note(f"open {folder / 'report.html'}")
