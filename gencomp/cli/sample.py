"""gencomp sample: what a compressor or predictor thinks comes next."""

import base64
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from gencomp.cli.console import note, printable, progress_bar, show, show_json
from gencomp.cli.groups import grouped
from gencomp.cli.options import (
    DEFAULT_SPEC,
    ForceOption,
    JsonOption,
    MaxMemoryOption,
    MaxWorkOption,
    OutputOption,
    QuietOption,
    at_least,
    complete_spec,
    read_input,
    usage,
)

# continued if no prompt is given: this by rnn, which was trained on texts, and a book's start by untrained models
_OPENING = b"The history of the city begins in the "
_OPENING_BYTES = 8192


@dataclass(frozen=True)
class Given:
    """What to continue."""

    prompt: Annotated[str | None, typer.Option(metavar="TEXT", help="What to continue, as UTF-8.")] = None
    prompt_file: Annotated[str | None, typer.Option(metavar="FILE", help="What to continue; - is stdin.")] = None
    prime: Annotated[str | None, typer.Option(metavar="FILE", help="A corpus that the model reads first.")] = None


@dataclass(frozen=True)
class How:
    """How a continuation is found and drawn."""

    strategy: Annotated[
        Literal["bytes", "lookahead", "beam", "particles"],
        typer.Option(
            help="Byte by byte; by a codec's sum over continuations; the shortest code found; from the joint "
            "distribution of whole continuations."
        ),
    ] = "bytes"
    horizon: Annotated[
        int | None,
        typer.Option(callback=at_least("--horizon", 1), help="Bytes to look ahead. [default: 8, 24, 32]"),
    ] = None
    width: Annotated[
        int | None,
        typer.Option(callback=at_least("--width", 1), help="Bytes, beams or particles to follow. [default: 32]"),
    ] = None
    temperature: Annotated[
        float | None,
        typer.Option(help="Below 1 sharpens, above 1 flattens. [default: 1; with no prompt, 0.7]"),
    ] = None
    top_k: Annotated[int | None, typer.Option(help="Draw from the k likeliest bytes.")] = None
    top_p: Annotated[float | None, typer.Option(help="Draw from the likeliest bytes with this mass.")] = None
    alphabet: Annotated[
        Literal["all", "seen"] | None,
        typer.Option(help="All 256 bytes, or those in the prompt and the corpus. [default: all; with neither, seen]"),
    ] = None
    max_copy: Annotated[
        int | None,
        typer.Option(
            callback=at_least("--max-copy", 1), help="Exclude bytes that make a copy from the context longer than this."
        ),
    ] = None
    own_window: Annotated[
        int | None,
        typer.Option(
            callback=at_least("--own-window", 0), help="Bytes of its own output that the model sees. [default: all]"
        ),
    ] = None


@grouped
def sample(
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "--compressor",
            "-m",
            metavar="SPEC",
            autocompletion=complete_spec,
            help=f"Model or codec; `gencomp list` shows them. [default: {DEFAULT_SPEC}; with no prompt, rnn]",
        ),
    ] = None,
    given: Given = Given(),
    save_to: Annotated[
        str | None,
        typer.Option(
            "--save-state",
            metavar="FILE",
            help="Save the primed model, for -m 'mix?state=FILE', 'best?state=FILE' or 'rnn?state=FILE'.",
        ),
    ] = None,
    length: Annotated[
        int, typer.Option("--length", "-n", callback=at_least("--length", 0), help="Bytes to draw.")
    ] = 200,
    how: How = How(),
    seed: Annotated[int, typer.Option(callback=at_least("--seed", 0), help="The same seed gives the same bytes.")] = 0,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show the candidates and their code lengths at each step, on stderr.")
    ] = False,
    max_memory: MaxMemoryOption = None,
    max_work: MaxWorkOption = None,
    output: OutputOption = None,
    force: ForceOption = False,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Continue a prompt with a codec or a predictor.

    Each byte is drawn from the distribution that the codec's code lengths, or the predictor's probabilities, give.
    Only the continuation is printed, as it is drawn. --strategy looks further than one byte, --horizon bytes ahead.
    Ctrl-C keeps what has been drawn. Without a prompt, rnn continues half a sentence, and a model named by -m the
    beginning of a book; --prompt "" starts from nothing.
    """
    import numpy as np

    from gencomp.budget import DEFAULT_MEMORY, Budget
    from gencomp.cli.sample_notes import Reporter
    from gencomp.equivalence.adapt import native
    from gencomp.equivalence.capabilities import save_state, window_of
    from gencomp.files import check_new, new_name
    from gencomp.sampling.copies import measure_copies
    from gencomp.sampling.draw import Draw
    from gencomp.sampling.generate import Search, seen_alphabet

    if given.prompt is not None and given.prompt_file is not None:
        raise usage("--prompt and --prompt-file exclude each other")
    if output is not None and json_output:
        raise usage("-o and --json exclude each other")
    if save_to is not None and save_to == output:
        raise usage("--save-state and -o name the same file")
    for path in (save_to, output):
        if path is not None and path != "-":
            check_new(Path(path), overwrite=force)  # before reading a corpus, which may take minutes
    start = given.prompt.encode("utf-8", "surrogateescape") if given.prompt is not None else b""
    if given.prompt_file is not None:
        start = read_input(given.prompt_file)
    nothing_given = (given.prompt, given.prompt_file, given.prime, save_to) == (None, None, None, None)
    greets = nothing_given and not _has_read(model)
    if greets:
        start = _OPENING if model is None else _opening()
        # a beam search takes the shortest code and has no temperature
        if how.temperature is None and how.strategy != "beam":
            how = replace(how, temperature=0.7)
        how = replace(how, alphabet=how.alphabet or ("all" if model is None else "seen"))
    model = model or ("rnn" if greets else DEFAULT_SPEC)
    context = (read_input(given.prime) if given.prime is not None else b"") + start
    symbols = seen_alphabet(context) if how.alphabet == "seen" else None
    draw = Draw(1.0 if how.temperature is None else how.temperature, how.top_k, how.top_p, symbols)
    search = Search(how.strategy, how.horizon, how.width, draw, how.max_copy, how.own_window)
    predictor = search.predictor(model)
    budget = Budget(DEFAULT_MEMORY if max_memory is None else max_memory, max_work)
    search.check(predictor, len(context), length, budget)
    window = window_of(native(predictor))
    if window is not None and len(context) > window and not quiet:
        note(f"note: {model} looks back {window:,} bytes; the context has {len(context):,}, of which it uses the last")
    if greets and not quiet:
        opening = repr(start.decode()) if start == _OPENING else f"a book's first {len(start):,} bytes"
        note(
            f"note: no prompt is given; {model} continues {opening}, at temperature {draw.temperature:g}"
            f"{'' if symbols is None else ', with the bytes that occur in it'}; --prompt '' starts from nothing"
        )
    if symbols is not None and len(symbols) == 1 and not quiet:
        note("note: only one byte value occurs in the context, so no other can be drawn; see --alphabet all")
    if save_to is not None:
        with new_name(Path(save_to), overwrite=force) as temporary:
            save_state(predictor.begin(context), temporary)
    drawn = bytearray()
    interrupted = False
    on_terminal = output is None and not json_output and sys.stdout.isatty()
    with _sink(output, force=force, json_output=json_output) as write:
        with progress_bar(model, length, quiet=quiet or on_terminal) as progress:
            reporter = Reporter(model, length, progress, explain=explain, records=json_output, quiet=quiet)
            try:
                with reporter:
                    rng = np.random.default_rng(seed)
                    for symbol in search.generate(predictor, context, length, rng, reporter, budget):
                        drawn.append(symbol)
                        write(bytes([symbol]))
            except KeyboardInterrupt:
                interrupted = True
        if on_terminal:
            show()
    copies = measure_copies(context, bytes(drawn))
    if json_output:
        record: dict[str, object] = {
            "model": model,
            "seed": seed,
            "strategy": how.strategy,
            "context_bytes": len(context),
            "length": length,
            "text": drawn.decode("utf-8", "replace"),
            "base64": base64.b64encode(drawn).decode("ascii"),
            "copies": {"at_least": copies.at_least, "rate": round(copies.rate, 6), "longest": copies.longest},
        }
        if how.strategy != "bytes":
            record["horizon"], record["width"] = search.sizes()
        if reporter.searches:
            record["searches"] = reporter.searches
        if explain:
            record["steps"] = reporter.steps
        if interrupted:
            record["interrupted"] = True
        show_json(record)
    elif context and drawn and not quiet:
        note(
            f"copied: {100 * copies.rate:.0f} % of the {len(drawn):,} bytes lie in copies of {copies.at_least} bytes "
            f"or more from the context; the longest copy has {copies.longest:,}"
        )
    if interrupted:
        raise KeyboardInterrupt


def _has_read(model: str | None) -> bool:
    """Return whether a spec's options give the model something it has read, such as a saved state."""
    from gencomp.registry import tree_of

    return model is not None and any({"state", "prime"} & tree.options.keys() for tree in tree_of(model).walk())


def _opening() -> bytes:
    """Return the beginning of a book, up to the end of a paragraph, to continue if no prompt is given."""
    from gencomp.data import alice

    book = alice().replace(b"\r", b"")[:_OPENING_BYTES]
    return book[: book.rindex(b"\n\n") + 2]


@contextmanager
def _sink(output: str | None, *, force: bool, json_output: bool) -> Iterator[Callable[[bytes], object]]:
    """Yield what writes drawn bytes: to a file, as text to a terminal, unchanged to stdout; with --json, nowhere."""
    from gencomp.files import flush_fully, new_file, write_fully

    if output is not None and output != "-":
        with new_file(Path(output), overwrite=force) as file:
            yield lambda piece: write_fully(file, piece)
    elif json_output:
        yield lambda piece: None
    elif output is None and sys.stdout.isatty() and not force:
        yield _show
    else:
        yield lambda piece: write_fully(sys.stdout.buffer, piece)
        flush_fully(sys.stdout.buffer)


def _show(piece: bytes) -> None:
    """Print what a terminal can show, at once."""
    sys.stdout.write(printable(piece))
    sys.stdout.flush()
