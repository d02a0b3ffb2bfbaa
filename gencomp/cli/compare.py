"""gencomp compare: the same prompts continued by several models, as a page to look at and listen to."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gencomp.cli.console import command_line, note
from gencomp.cli.groups import grouped
from gencomp.cli.options import QuietOption, at_least, usage
from gencomp.cores import usable_cores

if TYPE_CHECKING:
    from gencomp.comparison.compare import Contender
    from gencomp.comparison.prompts import Prompt

MODELS = ["gzip", "lzma", "zstd", "mix"]
ON_SOUND = {"zstd": "zstd?level=9"}  # if no models are named: level 19 would take an hour for 8,000 samples
STRATEGIES = ["bytes"]
ALSO = ["gzip lookahead", "lzma lookahead", "zstd?level=3 lookahead"]
SEEDS = {"text": 4, "image": 1, "audio": 1}
PAGE = "report.html"


@dataclass(frozen=True)
class Inputs:
    """Files of each kind to continue."""

    text: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="A text to continue. [default: the package's book, unless others are given]"),
    ] = None
    image: Annotated[list[str] | None, typer.Option(metavar="FILE", help="An image whose rows to complete.")] = None
    audio: Annotated[list[str] | None, typer.Option(metavar="FILE", help="A recording to continue.")] = None


@dataclass(frozen=True)
class Cuts:
    """Which parts of the files are the prompts, and how much is to follow."""

    offset: Annotated[
        int, typer.Option(callback=at_least("--offset", 0), help="Bytes of the text before the prompt.")
    ] = 0
    prompt_bytes: Annotated[
        int, typer.Option(callback=at_least("--prompt-bytes", 0), help="Bytes of text in the prompt.")
    ] = 1948
    length: Annotated[int, typer.Option("--length", "-n", callback=at_least("-n", 1), help="Bytes to generate.")] = 100
    temperature: Annotated[
        float | None,
        typer.Option(help="For strategies that draw and name none; below 1 sharpens. [default: 1]"),
    ] = None
    rows: Annotated[
        Literal["independent", "above"],
        typer.Option(help="Complete each row of an image on its own, as in the paper, or after those above."),
    ] = "independent"
    image_width: Annotated[
        int, typer.Option(callback=at_least("--image-width", 2), help="Pixels in a row; a wider image is scaled down.")
    ] = 96
    audio_offset: Annotated[
        int | None,
        typer.Option(
            callback=at_least("--audio-offset", 0),
            help="Samples before the prompt, 16,000 a second. [default: up to the loudest place]",
        ),
    ] = None
    audio_prompt: Annotated[
        int, typer.Option(callback=at_least("--audio-prompt", 0), help="Samples in the prompt.")
    ] = 8000
    audio_length: Annotated[int, typer.Option(callback=at_least("--audio-length", 1), help="Samples to generate.")] = (
        8000
    )


@grouped
def compare(
    models: Annotated[
        list[str],
        typer.Option(
            "--model",
            "--compressor",
            "-m",
            metavar="SPEC",
            help="A model or codec; may be given several times. By default, zstd continues sound at level 9.",
        ),
    ] = MODELS,
    inputs: Inputs = Inputs(),
    output: Annotated[str, typer.Option("--output", "-o", metavar="FOLDER", help="Where everything goes.")] = "compare",
    strategy: Annotated[
        list[str], typer.Option(metavar="STRATEGY", help="How each model is sampled; may be given several times.")
    ] = STRATEGIES,
    also: Annotated[
        list[str],
        typer.Option(metavar="'SPEC STRATEGY'", help="One more model and strategy, for texts only."),
    ] = ALSO,
    seeds: Annotated[
        int | None,
        typer.Option(callback=at_least("--seeds", 1), help="Continuations each. [default: 4 of texts, else 1]"),
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(metavar="SPEC", help="The judging model. [default: mix, told the image's width or the format]"),
    ] = None,
    cuts: Cuts = Cuts(),
    steps: Annotated[
        int, typer.Option(callback=at_least("--steps", 0), help="Bytes of the text that the page steps through.")
    ] = 24,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", callback=at_least("--jobs", 1), help="Processes. [default: cores]")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on in a folder; results that it holds are not computed again.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Start anew in a folder that holds a comparison.")
    ] = False,
    quiet: QuietOption = False,
) -> None:
    """Continue the same prompts with several models, and judge the continuations.

    FOLDER gets report.html, one page that works offline; rows.json, the figures; and artefacts/, each continuation as a
    text, PNG or WAV file. Results are saved as they come: an interrupted comparison goes on with --resume.
    """
    from gencomp.comparison.compare import RESULTS, WORK, Plan, Work, slow_contenders
    from gencomp.comparison.compare import compare as compare_models
    from gencomp.comparison.prompts import read_audio, read_image, read_text, text_prompt
    from gencomp.executors import open_pool
    from gencomp.files import new_file, write_fully
    from gencomp.report.artefacts import write_artefacts
    from gencomp.report.comparison import page as comparison_page
    from gencomp.report.made import made
    from gencomp.report.page import check_extra

    check_extra()
    of_text = {"offset": cuts.offset, "given": cuts.prompt_bytes, "length": cuts.length}
    of_audio: dict[str, Any] = {"given": cuts.audio_prompt, "length": cuts.audio_length, "offset": cuts.audio_offset}
    prompts: list[Prompt] = [
        *(read_text(path, **of_text) for path in inputs.text or ()),
        *(read_image(path, width=cuts.image_width, rows=cuts.rows) for path in inputs.image or ()),
        *(read_audio(path, **of_audio) for path in inputs.audio or ()),
    ]
    if not prompts:
        from gencomp.data import alice

        prompts = [text_prompt("alice.txt", alice(), **of_text)]
    for prompt in prompts:
        for line in prompt.notes:
            note(f"note: {line}")
    counts = SEEDS if seeds is None else dict.fromkeys(SEEDS, seeds)
    plan = Plan(prompts, _contenders(models, strategy, also, cuts.temperature), counts, judge, steps)
    folder = _prepared(Path(output), resume=resume, force=force)
    work = Work(folder / WORK)
    for line in slow_contenders(plan, work):
        note(f"note: {line}")
    with open_pool(jobs or usable_cores()) as pool, _progress(quiet=quiet) as progress:
        document = compare_models(plan, work, pool, progress)
    document["made"] = made(command_line())
    with new_file(folder / RESULTS, overwrite=True) as file:
        write_fully(file, json.dumps(document, indent=1).encode())
    write_artefacts(document, folder / "artefacts")
    with new_file(folder / PAGE, overwrite=True) as file:
        write_fully(file, comparison_page(document).encode())
    if not quiet:
        note(f"{len(document['rows'])} rows in {folder / RESULTS}; open {folder / PAGE}")


def _contenders(
    models: list[str], strategies: list[str], also: list[str], temperature: float | None
) -> list["Contender"]:
    from gencomp.comparison.compare import Contender

    if temperature is not None:
        strategies = [_tempered(strategy, temperature) for strategy in strategies]
        also = [_tempered_words(item.split(), temperature) for item in also]
    contenders = [
        Contender(*one)
        for model in models
        for strategy in strategies
        for one in (_default(model, strategy) if models == MODELS else [(model, strategy)])
    ]
    for words in (item.split() for item in also):
        if len(words) != 2:
            raise usage(f"--also takes a model and a strategy, such as 'gzip bytes?top_k=5'; got {' '.join(words)!r}")
        contenders.append(Contender(words[0], words[1], modalities=("text",)))
    return list(dict.fromkeys(contenders))


def _default(model: str, strategy: str) -> list[tuple[Any, ...]]:
    """Return the contenders for one of the default models."""
    if model not in ON_SOUND:
        return [(model, strategy)]
    return [(model, strategy, ("text", "image")), (ON_SOUND[model], strategy, ("audio",))]


def _tempered_words(words: list[str], temperature: float) -> str:
    return " ".join([*words[:1], *(_tempered(word, temperature) for word in words[1:])])


def _tempered(strategy: str, temperature: float) -> str:
    """Return a strategy with this temperature, unless it names one or draws nothing, as a beam does."""
    from gencomp.comparison.strategies import parse_strategy

    spec = parse_strategy(strategy)
    if spec.name == "beam" or "temperature" in spec.options:
        return strategy
    return f"{strategy}{'&' if spec.options else '?'}temperature={temperature:g}"


def _prepared(folder: Path, *, resume: bool, force: bool) -> Path:
    """Make the folder and return it; refuse one with files in it unless told what to do with them."""
    from gencomp.comparison.compare import WORK

    if resume and force:
        raise usage("--resume and --force exclude each other")
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(17, "it is a file; name a folder with -o", str(folder))
    if folder.exists() and any(folder.iterdir()) and not (resume or force):
        raise FileExistsError(17, "it exists already; go on in it with --resume, start anew with --force", str(folder))
    if resume and folder.exists() and any(folder.iterdir()) and not (folder / WORK).exists():
        raise FileExistsError(
            17, "it holds other files, but no comparison to go on with; name another folder with -o", str(folder)
        )
    folder.mkdir(parents=True, exist_ok=True)
    if force:
        (folder / WORK).unlink(missing_ok=True)
    return folder


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show a bar if stderr is a terminal; yield the function to call with (tasks done, tasks added)."""
    import sys

    if quiet or not sys.stderr.isatty():
        yield lambda done, added: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("compare", total=0)
        total = 0

        def advance(done: int, added: int) -> None:
            nonlocal total
            total += added
            bar.update(task, total=total, advance=done)

        yield advance
