"""gencomp train: a Transformer of bytes, or of BPE tokens, from data of any kind."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gencomp.cli.console import note, step_progress
from gencomp.cli.options import ForceOption, QuietOption, at_least, size_parser, usage

if TYPE_CHECKING:
    from gencomp.training.architecture import Architecture


def train(
    data: Annotated[list[Path], typer.Argument(metavar="FILE...", help="What to learn from: text or any other bytes.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="The model's folder.")],
    size: Annotated[Literal["200k", "800k", "3.2m"], typer.Option(help="The paper's sizes.")] = "200k",
    width: Annotated[int | None, typer.Option(help="Instead of the size's: numbers in a position's vector.")] = None,
    layers: Annotated[int | None, typer.Option(help="Instead of the size's.")] = None,
    heads: Annotated[int | None, typer.Option(help="Instead of the size's.")] = None,
    key_value_heads: Annotated[int | None, typer.Option(help="Instead of the size's.")] = None,
    feed_forward: Annotated[int | None, typer.Option(help="Instead of the size's: inner width.")] = None,
    context: Annotated[int | None, typer.Option(help="Positions that the model is meant for. [default: 2048]")] = None,
    vocabulary: Annotated[
        int | None, typer.Option(help="Learn a byte-level BPE of so many tokens first. [default: bytes]")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(metavar="SIZE", parser=size_parser("--limit"), help="Bytes to take, from the start.")
    ] = None,
    held_out: Annotated[
        int, typer.Option(metavar="SIZE", parser=size_parser("--held-out"), help="Bytes at the end to measure on.")
    ] = 1 << 20,
    steps: Annotated[int, typer.Option(callback=at_least("--steps", 1), help="Updates of the weights.")] = 2000,
    step_symbols: Annotated[int, typer.Option(help="Bytes, or tokens, that each update sees.")] = 8192,
    curriculum: Annotated[
        str | None,
        typer.Option(
            metavar="LENGTH:SHARE,...",
            help="Sequence lengths and the share of the steps up to which each is used, such as 256:0.8,2048:1. "
            "[default: the context, throughout]",
        ),
    ] = None,
    learning_rate: Annotated[float, typer.Option(help="The highest, after the warm-up.")] = 4e-3,
    warm_up: Annotated[
        int, typer.Option(callback=at_least("--warm-up", 0), help="Steps over which the learning rate rises.")
    ] = 100,
    weight_decay: Annotated[float, typer.Option(help="AdamW's, on matrices.")] = 0.1,
    clip: Annotated[float, typer.Option(help="The largest norm of the gradient.")] = 1.0,
    seed: Annotated[int, typer.Option(callback=at_least("--seed", 0), help="Of the weights and the data's order.")] = 0,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="auto: cuda where it is there.")] = "auto",
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16"],
        typer.Option(help="Of matrix products; auto: bfloat16 on a GPU."),
    ] = "auto",
    threads: Annotated[
        int | None,
        typer.Option("--threads", "-T", callback=at_least("--threads", 1), help="CPU threads. [default: cores]"),
    ] = None,
    evaluate_every: Annotated[int, typer.Option(help="Steps between measurements, each with a checkpoint.")] = 250,
    save_dtype: Annotated[Literal["float16", "float32"], typer.Option(help="Of the saved weights.")] = "float16",
    begin: Annotated[
        Path | None,
        typer.Option("--from", metavar="FOLDER", help="Begin with the weights of this model, or of its checkpoint."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the folder's checkpoint.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at a file that cannot be read.")] = False,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train a language model and save it as an ordinary model folder.

    The folder loads with transformers, and here as -m transformer:FOLDER (bytes) or -m hf:FOLDER (BPE). Progress is
    the held-out loss in bits per byte; training.json and loss.png keep the curve. A run that was interrupted goes on
    with --resume and the same options, to the same result.
    """
    from gencomp.extras import require

    require("lm", "torch", "transformers", "safetensors")
    require("report", "matplotlib")
    import torch

    from gencomp.predictors.language.settings import Settings
    from gencomp.training.architecture import SIZES
    from gencomp.training.corpus import Corpus, read_corpus
    from gencomp.training.finish import LOSS_CURVE, OUTPUTS, draw_loss_curve, save_model
    from gencomp.training.trainer import Plan, begin_from
    from gencomp.training.trainer import train as run
    from gencomp.training.vocabulary import BYTE_VOCABULARY, byte_tokenizer, check_same_tokens, encode_corpus, train_bpe

    if (output / "config.json").exists() and not force:
        raise usage(f"{output} holds a trained model; name another folder, or overwrite it with -f")
    if (output / "checkpoint").exists() and not (resume or force):
        raise usage(f"{output} holds an unfinished run; go on with --resume, or begin anew with -f")
    taken = [name for name in OUTPUTS if (output / name).exists()]
    if taken and not force:
        raise usage(f"{output / taken[0]} is there already; name another folder, or overwrite it with -f")
    architecture = _architecture(
        SIZES[size],
        width=width,
        layers=layers,
        heads=heads,
        key_value_heads=key_value_heads,
        feed_forward=feed_forward,
        context=context,
    )
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    settings = Settings(device, dtype, threads=1)
    settings.check()
    plan = Plan(
        steps=steps,
        step_symbols=step_symbols,
        curriculum=_parse_curriculum(curriculum) if curriculum is not None else ((architecture.context, 1.0),),
        learning_rate=learning_rate,
        warm_up=warm_up,
        weight_decay=weight_decay,
        clip=clip,
        seed=seed,
        dtype=settings.resolved_dtype(),
        evaluate_every=evaluate_every,
    )
    if threads is not None:
        torch.set_num_threads(threads)
    skipped: list[str] = []
    training, holding_out = read_corpus(data, held_out, limit, left_out=None if strict else skipped.append)
    for line in skipped:
        note(f"left out: {line}")
    if skipped:
        note(f"files that could not be read, and were left out: {len(skipped)}")
    tokenizer = byte_tokenizer() if vocabulary is None else train_bpe(training, vocabulary)
    corpus = Corpus(
        encode_corpus(tokenizer, training), encode_corpus(tokenizer, holding_out), len(training), len(holding_out)
    )
    size_of_vocabulary = BYTE_VOCABULARY if vocabulary is None else len(tokenizer)
    model = architecture.build(size_of_vocabulary, seed=seed)
    if begin is not None:
        begin_from(model, begin)
        check_same_tokens(begin, tokenizer)
    identity = {
        "from": None if begin is None else begin.name,
        "data": [path.name for path in data],
        "digest": hashlib.blake2b(training + holding_out, digest_size=8).hexdigest(),
        "training_bytes": len(training),
        "held_out_bytes": len(holding_out),
        "architecture": vars(architecture),
        "vocabulary_size": size_of_vocabulary,
        "parameters": architecture.parameter_count(size_of_vocabulary),
    }
    if not quiet:
        note(
            f"{identity['parameters']:,} parameters; {len(training):,} bytes to learn from, {len(holding_out):,} held "
            f"out; {steps:,} steps of {step_symbols:,} symbols on {device} in {plan.dtype}"
        )
    output.mkdir(parents=True, exist_ok=True)
    with step_progress("training", steps, quiet=quiet) as report:
        history = run(model, corpus, plan, output, device=device, identity=identity, resume=resume, report=report)
    save_model(model, tokenizer, output, plan, history, identity, dtype=save_dtype)
    draw_loss_curve(history, output / LOSS_CURVE, f"{identity['parameters']:,} parameters, {output.name}")
    if not quiet:
        note(f"{output}: {history.held_out_loss[-1]:.4f} bits/byte held out, {history.seconds[-1]:,.0f} s")


def _architecture(base: "Architecture", **changes: int | None) -> "Architecture":
    import dataclasses

    return dataclasses.replace(base, **{name: value for name, value in changes.items() if value is not None})


def _parse_curriculum(text: str) -> tuple[tuple[int, float], ...]:
    try:
        pairs = [item.split(":") for item in text.split(",")]
        return tuple((int(length), float(share)) for length, share in pairs)
    except ValueError:
        raise usage(f"--curriculum must be LENGTH:SHARE,..., such as 256:0.8,2048:1, got {text!r}") from None
