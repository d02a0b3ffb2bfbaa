"""gencomp evaluate: datasets x models x chunk sizes, a row for each."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gencomp.cli.console import command_line, in_flags, note, progress_bar
from gencomp.cli.documents import PRESETS as DOCUMENT_PRESETS
from gencomp.cli.documents import DocumentOptions, evaluate_documents
from gencomp.cli.options import DEFAULT_SPEC, QuietOption, at_least, usage
from gencomp.cli.results import check_folder, show_text
from gencomp.cores import usable_cores

if TYPE_CHECKING:
    from gencomp.evaluation.experiment import Experiment
    from gencomp.evaluation.rows import Row
    from gencomp.modalities.dataset import Dataset

_PRESETS = (
    "paper-table1",
    "in-context",
    "model-size",
    "tokenization",
    "known-entropy",
)  # of gencomp.evaluation.presets, which is heavier to import
SAMPLE_SIZE = 100_000  # bytes of a source's sample
_FILES = {"markdown": "table.md", "csv": "rows.csv", "json": "rows.json", "latex": "table.tex"}
_FORMATS = tuple(_FILES)


def evaluate(
    file: Annotated[str | None, typer.Argument(metavar="[EXPERIMENT]", help="A TOML file.")] = None,
    preset: Annotated[
        str | None,
        typer.Option(metavar="NAME", help=f"An experiment by name: {', '.join((*_PRESETS, *DOCUMENT_PRESETS))}."),
    ] = None,
    models: Annotated[
        list[str] | None,
        typer.Option("--model", "--compressor", "-m", metavar="SPEC", help="Models to use instead; repeatable."),
    ] = None,
    text: Annotated[list[str] | None, typer.Option(metavar="PATH", help="Text: a file, folder or pattern.")] = None,
    image: Annotated[list[str] | None, typer.Option(metavar="PATH", help="Images, as grey patches.")] = None,
    audio: Annotated[list[str] | None, typer.Option(metavar="PATH", help="Sound, as 8 bits at 16 kHz.")] = None,
    random: Annotated[
        int | None,
        typer.Option(metavar="CHUNKS", callback=at_least("--random", 1), help="Random bytes, in this many chunks."),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SOURCE",
            help="A source of known entropy, such as 'markov:order=2&seed=1'; --limit sets how many samples.",
        ),
    ] = None,
    json_fields: Annotated[
        list[str] | None,
        typer.Option("--json", metavar="FILE:FIELD", help="Documents: a field of each object of JSON or JSONL."),
    ] = None,
    parquet: Annotated[
        list[str] | None, typer.Option(metavar="FILE:COLUMN", help="Documents: a column of a Parquet file.")
    ] = None,
    lines: Annotated[list[str] | None, typer.Option(metavar="FILE", help="Documents: the lines of a file.")] = None,
    separator: Annotated[
        str | None, typer.Option(metavar="TEXT", help=r"Documents: the --text between these bytes, such as '\n\n'.")
    ] = None,
    window: Annotated[
        int | None,
        typer.Option(callback=at_least("--window", 2), help="Symbols of a document to see at a time. [default: all]"),
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(callback=at_least("--stride", 1), help="Symbols to move the window by. [default: half of it]"),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(envvar="GENCOMP_DATA", metavar="FOLDER", help="A preset's data, if no others are named."),
    ] = None,
    chunk_sizes: Annotated[
        list[str] | None,
        typer.Option("--chunk-size", metavar="SIZE|whole", help="Bytes in a chunk, or all as one; repeatable."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(metavar="CHUNKS", callback=at_least("--limit", 1), help="Only the first chunks of each dataset."),
    ] = None,
    per_file: Annotated[
        int | None,
        typer.Option(metavar="CHUNKS", callback=at_least("--per-file", 1), help="Chunks of one image or sound."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at a file that cannot be read.")] = False,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FOLDER", help="Where results go. [default: results-NAME]")
    ] = None,
    format_: Annotated[
        str, typer.Option("--format", metavar="NAME", help=f"What to print: {', '.join(_FORMATS)}.")
    ] = "markdown",
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", callback=at_least("--jobs", 1), help="Processes. [default: cores]"),
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Use a Dask scheduler, such as tcp://host:8786.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Overwrite files that no experiment wrote.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Measure how models compress data: an experiment or documents in, rows out.

    EXPERIMENT is a TOML file; otherwise --preset names one, such as the paper's, or options name data and models. The
    folder gets rows.csv, rows.json, table.md, curves, and a journal, so that a run that was stopped goes on where it
    was and nothing is measured twice. Documents (--json, --parquet, --lines, --separator) are each scored from an empty
    context, in bits per byte, character, word and token, with the significance of the models' differences.
    """
    if format_ not in _FORMATS:
        raise usage(f"--format must be one of {', '.join(_FORMATS)}, got {format_!r}")
    if jobs is not None and cluster is not None:
        raise usage("--jobs starts processes here, and --cluster has its own workers: give one of them")
    options = DocumentOptions(json_fields or [], parquet or [], lines or [], separator, text or [], window, stride)
    if options.named or preset in DOCUMENT_PRESETS:
        if file is not None or image or audio or random or source or chunk_sizes or cluster:
            raise usage("documents are measured by themselves: name them, models with -m, --window and --stride")
        for name, value in (("--per-file", per_file), ("--jobs", jobs)):
            if value is not None:
                raise usage(f"{name} does not apply to documents, which are measured here, one after another")
        wanted = preset if preset in DOCUMENT_PRESETS else None
        if preset is not None and wanted is None:
            raise usage(f"--preset {preset} is for chunks; for documents there are {', '.join(DOCUMENT_PRESETS)}")
        evaluate_documents(options, wanted, models or [DEFAULT_SPEC], limit, output, format_, force=force, quiet=quiet)
        return
    if window is not None or stride is not None:
        raise usage("--window and --stride are for documents: name some with --json, --parquet, --lines or --separator")
    from gencomp.evaluation.journal import FILE as JOURNAL
    from gencomp.files import new_file, write_fully
    from gencomp.report.curves import FILES as CURVES
    from gencomp.report.made import FILE as MADE
    from gencomp.report.made import made

    named = _named_datasets(text or [], image or [], audio or [], random, source or [])
    experiment = _experiment(file, preset, named, data)
    if per_file is not None and not any(dataset.modality in ("image", "audio") for dataset in experiment.datasets):
        raise usage("--per-file is for images and sound, and there are none; --limit is for all data")
    experiment = _changed(experiment, models, chunk_sizes, limit, per_file, strict)
    folder = Path(output if output is not None else f"results-{experiment.name}")
    check_folder(folder, JOURNAL, (*_FILES.values(), *CURVES, MADE), force=force)
    record = made(command_line(), None if file is None and preset is None else experiment.name)
    rows = _run(experiment, folder, jobs or usable_cores(), cluster, quiet)
    with new_file(folder / MADE, overwrite=True) as sink:
        write_fully(sink, json.dumps(record, indent=1).encode())
    _write(experiment, folder, rows, format_, quiet)


def _named_datasets(
    text: list[str], image: list[str], audio: list[str], random: int | None, sources: list[str]
) -> "tuple[Dataset, ...]":
    """Return the datasets of the options, named after their paths."""
    from gencomp.modalities.dataset import Dataset

    found = [Dataset(Path(path).name or path, "text", path) for path in text]
    found += [Dataset(Path(path).name or path, "image", path) for path in image]
    found += [Dataset(Path(path).name or path, "audio", path) for path in audio]
    if random is not None:
        found.append(Dataset("random", "random", limit=random))
    found += [Dataset(name, "source", source=name, limit=1, chunk_size=SAMPLE_SIZE) for name in sources]
    return tuple(found)


def _experiment(file: str | None, preset: str | None, named: "tuple[Dataset, ...]", data: str | None) -> "Experiment":
    """Return the experiment that a file, a preset, or options alone describe."""
    from gencomp.evaluation.experiment import Experiment
    from gencomp.evaluation.presets import PRESETS
    from gencomp.registry import DEFAULT_MODEL

    if file is not None:
        if preset is not None or named:
            raise usage("an EXPERIMENT file names its data itself; leave out --preset, --text, --image and the like")
        return Experiment.from_toml(Path(file))
    if preset is None:
        if not named:
            raise usage("nothing to measure: name a TOML file, a --preset, or data with --text, --image, --audio")
        if all(dataset.modality == "source" for dataset in named):
            return Experiment("evaluation", named, (DEFAULT_MODEL,), (SAMPLE_SIZE,))
        return Experiment("evaluation", named, (DEFAULT_MODEL,))
    if preset not in PRESETS:
        raise usage(f"--preset must be one of {', '.join(PRESETS)}, got {preset!r}")
    if not named and data is None and not PRESETS[preset].sources:
        raise usage("the preset needs data: --data FOLDER or GENCOMP_DATA, or your own with --text, --image, --audio")
    return PRESETS[preset].experiment(named or PRESETS[preset].datasets(Path(data or "")))


def _changed(
    experiment: "Experiment",
    models: list[str] | None,
    chunk_sizes: list[str] | None,
    limit: int | None,
    per_file: int | None,
    strict: bool,
) -> "Experiment":
    """Return the experiment with the changes that the command line asks for."""
    from dataclasses import replace

    from gencomp.units import parse_size

    datasets = tuple(
        replace(
            dataset,
            limit=limit or dataset.limit,
            per_file=per_file or dataset.per_file,
            strict=strict or dataset.strict,
        )
        for dataset in experiment.datasets
    )
    sizes: tuple[int | str, ...] = experiment.chunk_sizes
    if chunk_sizes:
        try:
            sizes = tuple(size if size == "whole" else parse_size(size) for size in chunk_sizes)
        except ValueError as error:
            raise usage(f"--chunk-size: {error}, or whole") from None
    return replace(
        experiment, datasets=datasets, models=tuple(models) if models else experiment.models, chunk_sizes=sizes
    )


def _run(experiment: "Experiment", folder: Path, jobs: int, cluster: str | None, quiet: bool) -> "list[Row]":
    """Run the experiment, with a bar on stderr if that is a terminal."""
    from contextlib import ExitStack

    from gencomp.evaluation.run import Reports, run
    from gencomp.executors import open_pool

    with ExitStack() as stack:
        advance = [lambda count: None]

        def begin(total: int, known: int) -> None:
            if known and not quiet:
                note(f"{folder}: {known:,} of {total:,} bytes have been measured already")
            advance[0] = stack.enter_context(progress_bar(experiment.name, total, quiet=quiet))
            advance[0](known)

        pool = stack.enter_context(open_pool(jobs, cluster))
        tell = Reports(begin, lambda count: advance[0](count), (lambda line: None) if quiet else note)
        return run(experiment, folder, pool, tell)


def _write(experiment: "Experiment", folder: Path, rows: "list[Row]", format_: str, quiet: bool) -> None:
    """Write the rows and the curves into the folder, then print the rows."""
    from gencomp.errors import MissingExtraError
    from gencomp.evaluation.tables import to_csv, to_json, to_latex, to_markdown
    from gencomp.files import new_file, write_fully
    from gencomp.report.curves import draw

    writers = {"markdown": to_markdown, "csv": to_csv, "json": to_json, "latex": to_latex}
    texts = {name: writer(rows, paper=experiment.paper_figures) for name, writer in writers.items()}
    for name, file in _FILES.items():
        with new_file(folder / file, overwrite=True) as sink:
            write_fully(sink, texts[name].encode("utf-8", "backslashreplace"))
    try:
        draw(rows, folder)
    except MissingExtraError as error:
        if not quiet:
            note(in_flags(str(error)))
    finally:  # last, since nobody may be reading
        show_text(texts[format_], as_data=format_ != "markdown")
