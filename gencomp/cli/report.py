"""gencomp report: a folder's rows as one page."""

import json
from pathlib import Path
from typing import Annotated

import typer

from gencomp.cli.console import note
from gencomp.cli.options import ForceOption, OutputOption, QuietOption


def report(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="What `gencomp evaluate` or `gencomp compare` wrote.")
    ],
    output: OutputOption = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> None:
    """Turn an experiment's rows into one page.

    FOLDER holds rows.json; the page is its report.html, unless -o names another file. It works offline, with sortable
    tables, curves, and the paper's figures for comparison.
    """
    import sys

    from gencomp.errors import DatasetError
    from gencomp.files import check_new, new_file, read_file, write_fully
    from gencomp.report.comparison import page as comparison_page
    from gencomp.report.evaluation import page as evaluation_page
    from gencomp.report.made import read_made
    from gencomp.report.page import check_extra

    check_extra()
    path = folder / "rows.json" if folder.is_dir() else folder
    target = Path(output) if output is not None else path.parent / "report.html"
    if output != "-":
        check_new(target, overwrite=force)
    try:
        document = json.loads(read_file(path).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path} is not JSON: {error}") from error
    try:
        is_comparison = isinstance(document, dict)
        page = comparison_page(document) if is_comparison else evaluation_page(document, read_made(path.parent))
    except DatasetError as error:
        raise DatasetError(f"{path}: {error}") from error
    if output == "-":
        write_fully(sys.stdout.buffer, page.encode())  # in UTF-8, as the page declares
        return
    with new_file(target, overwrite=force) as file:
        write_fully(file, page.encode())
    if not quiet:
        note(f"open {target}")
