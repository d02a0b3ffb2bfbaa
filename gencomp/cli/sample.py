"""gencomp sample: what a compressor, or a predictor, thinks comes next."""

import base64
import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from gencomp.cli.console import note, printable, progress_bar
from gencomp.cli.options import (
    DEFAULT_SPEC,
    ForceOption,
    JsonOption,
    ModelOption,
    OutputOption,
    QuietOption,
    at_least,
    read_input,
    usage,
)


def sample(
    model: ModelOption = DEFAULT_SPEC,
    prompt: Annotated[str | None, typer.Option(metavar="TEXT", help="What to continue, as UTF-8.")] = None,
    prompt_file: Annotated[str | None, typer.Option(metavar="FILE", help="What to continue; - is stdin.")] = None,
    prime: Annotated[str | None, typer.Option(metavar="FILE", help="A corpus that the model reads first.")] = None,
    save_to: Annotated[
        str | None,
        typer.Option("--save-state", metavar="FILE", help="Save the model as primed, for -m 'mix?state=FILE'."),
    ] = None,
    length: Annotated[
        int, typer.Option("--length", "-n", callback=at_least("--length", 0), help="Bytes to draw.")
    ] = 200,
    temperature: Annotated[float, typer.Option(help="Below 1 sharpens, above 1 flattens.")] = 1.0,
    top_k: Annotated[int | None, typer.Option(help="Draw from the k likeliest bytes.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Draw from the likeliest bytes with this mass.")] = None,
    alphabet: Annotated[
        Literal["all", "seen"], typer.Option(help="All 256 bytes, or those in the prompt and the corpus.")
    ] = "all",
    seed: Annotated[int, typer.Option(callback=at_least("--seed", 0), help="The same seed gives the same bytes.")] = 0,
    output: OutputOption = None,
    force: ForceOption = False,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Continue a prompt with a codec or a predictor.

    Each byte is drawn from the distribution that the codec's code lengths, or the predictor's probabilities, give.
    Only the continuation is printed, byte by byte as it is drawn.
    """
    import numpy as np

    from gencomp.equivalence.adapt import as_predictor, native
    from gencomp.equivalence.capabilities import save_state, window_of
    from gencomp.files import new_file
    from gencomp.sampling.generate import generate, seen_alphabet
    from gencomp.sampling.strategies import Strategy

    if prompt is not None and prompt_file is not None:
        raise usage("--prompt and --prompt-file exclude each other")
    if output is not None and json_output:
        raise usage("-o and --json exclude each other")
    start = prompt.encode("utf-8", "surrogateescape") if prompt is not None else b""
    if prompt_file is not None:
        start = read_input(prompt_file)
    context = (read_input(prime) if prime is not None else b"") + start
    strategy = Strategy(temperature, top_k, top_p, seen_alphabet(context) if alphabet == "seen" else None)
    predictor = as_predictor(model)
    window = window_of(native(predictor))
    if window is not None and len(context) > window and not quiet:
        note(f"note: {model} looks back {window:,} bytes; the context has {len(context):,}, of which it uses the last")
    drawn = bytearray()
    state = predictor.begin(context)
    if save_to is not None:
        save_state(state, save_to)
    symbols = generate(state, length, strategy, np.random.default_rng(seed))

    if output not in (None, "-"):
        with (
            new_file(Path(output or ""), overwrite=force) as file,
            progress_bar(model, length, quiet=quiet) as progress,
        ):
            for symbol in symbols:
                file.write(bytes([symbol]))
                progress(1)
    elif json_output:
        with progress_bar(model, length, quiet=quiet) as progress:
            for symbol in symbols:
                drawn.append(symbol)
                progress(1)
        record = {
            "model": model,
            "seed": seed,
            "context_bytes": len(context),
            "length": length,
            "text": drawn.decode("utf-8", "replace"),
            "base64": base64.b64encode(drawn).decode("ascii"),
        }
        print(json.dumps(record, ensure_ascii=False))
    elif sys.stdout.isatty() and not force:
        for symbol in symbols:  # what a terminal can show, as it is drawn
            sys.stdout.write(printable(bytes([symbol])))
            sys.stdout.flush()
        print()
    else:
        with progress_bar(model, length, quiet=quiet) as progress:
            for symbol in symbols:
                sys.stdout.buffer.write(bytes([symbol]))
                progress(1)
        sys.stdout.buffer.flush()
