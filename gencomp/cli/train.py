"""gencomp train: a Transformer of bytes or BPE tokens, or a recurrent network of bytes, from data of any kind."""

import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gencomp.cli.console import note, step_progress
from gencomp.cli.options import ForceOption, QuietOption, at_least, size_parser, usage

if TYPE_CHECKING:
    from gencomp.training.checkpoint import History


def train(
    data: Annotated[list[Path], typer.Argument(metavar="FILE...", help="What to learn from: text or any other bytes.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="The model's folder.")],
    kind: Annotated[
        Literal["transformer", "rnn"],
        typer.Option(help="rnn: a recurrent network that is saved in integers; its archives decode on any machine."),
    ] = "transformer",
    size: Annotated[
        Literal["200k", "800k", "3.2m"] | None, typer.Option(help="A Transformer's: the paper's. [default: 200k]")
    ] = None,
    width: Annotated[int | None, typer.Option(help="Instead of the size's: numbers in a position's vector.")] = None,
    layers: Annotated[int | None, typer.Option(help="Instead of the size's.")] = None,
    heads: Annotated[int | None, typer.Option(help="Instead of the size's.")] = None,
    key_value_heads: Annotated[int | None, typer.Option(help="Instead of the size's.")] = None,
    feed_forward: Annotated[int | None, typer.Option(help="Instead of the size's: inner width.")] = None,
    context: Annotated[
        int | None,
        typer.Option(
            help="Positions that a Transformer is meant for [default: 2048]; bytes of each stream that an rnn learns "
            "from at once [default: 256]."
        ),
    ] = None,
    vocabulary: Annotated[
        int | None, typer.Option(help="Learn a byte-level BPE of so many tokens first. [default: bytes]")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(metavar="SIZE", parser=size_parser("--limit"), help="Bytes to take, from the start.")
    ] = None,
    held_out: Annotated[
        int,
        typer.Option(
            metavar="SIZE",
            parser=size_parser("--held-out"),
            help="Bytes at the end to measure on; of an rnn, at the end of each FILE.",
        ),
    ] = 1 << 20,
    shares: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER,...", help="An rnn's: how often each FILE is drawn from. [default: by their sizes]"
        ),
    ] = None,
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
    learning_rate: Annotated[
        float | None, typer.Option(help="The highest, after the warm-up. [default: 4e-3, of an rnn 2.5e-3]")
    ] = None,
    table_learning_rate: Annotated[
        float | None, typer.Option(help="An rnn's: the highest of its tables. [default: 4e-3]")
    ] = None,
    warm_up: Annotated[
        int, typer.Option(callback=at_least("--warm-up", 0), help="Steps over which the learning rate rises.")
    ] = 100,
    weight_decay: Annotated[
        float | None, typer.Option(help="AdamW's, on a Transformer's matrices. [default: 0.1]")
    ] = None,
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
    save_dtype: Annotated[
        Literal["float16", "float32"] | None, typer.Option(help="Of a Transformer's saved weights. [default: float16]")
    ] = None,
    begin: Annotated[
        Path | None,
        typer.Option("--from", metavar="FOLDER", help="Begin with the weights of this model, or of its checkpoint."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the folder's checkpoint.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at a file that cannot be read.")] = False,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train a language model and save it: a Transformer as an ordinary model folder, an rnn as a file of integers.

    A Transformer's folder loads with transformers, and here as -m transformer:FOLDER (bytes) or -m hf:FOLDER (BPE);
    an rnn is -m rnn:FOLDER/model.safetensors. Progress is the held-out loss in bits per byte; training.json and
    loss.png keep the curve. A run that was interrupted goes on with --resume and the same options, to the same result.
    """
    from gencomp.extras import require

    require("lm", "torch", "transformers", "safetensors")
    require("report", "matplotlib")
    import torch

    from gencomp.predictors.language.settings import Settings
    from gencomp.training.finish import OUTPUTS

    done = "training.json"
    if (output / done).exists() and not (force or resume):
        raise usage(f"{output} holds a trained model; name another folder, or overwrite it with -f")
    if (output / "checkpoint").exists() and not (resume or force):
        raise usage(f"{output} holds an unfinished run; go on with --resume, or begin anew with -f")
    begun = (output / done).exists() or (output / "checkpoint").exists()  # here, by a run before
    taken = [name for name in OUTPUTS if (output / name).exists()]
    if taken and not (force or begun):
        raise usage(f"{output / taken[0]} is there already; name another folder, or overwrite it with -f")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    settings = Settings(device, dtype, threads=1)
    settings.check()
    if threads is not None:
        torch.set_num_threads(threads)
    run = Run(
        data=data,
        output=output,
        limit=limit,
        held_out=held_out,
        steps=steps,
        step_symbols=step_symbols,
        warm_up=warm_up,
        clip=clip,
        seed=seed,
        device=device,
        dtype=settings.resolved_dtype(),
        evaluate_every=evaluate_every,
        begin=begin,
        resume=resume,
        strict=strict,
        quiet=quiet,
    )
    of_transformers = {
        "--size": size,
        "--heads": heads,
        "--key-value-heads": key_value_heads,
        "--vocabulary": vocabulary,
        "--curriculum": curriculum,
        "--weight-decay": weight_decay,
        "--save-dtype": save_dtype,
    }
    of_networks = {"--shares": shares, "--table-learning-rate": table_learning_rate}
    for option, value in (of_transformers if kind == "rnn" else of_networks).items():
        if value is not None:
            raise usage(f"{option} is not for --kind {kind}; leave it out")
    if kind == "rnn":
        sizes = {"width": width, "hidden": width, "layers": layers, "feed_forward": feed_forward}
        train_network(
            run,
            sizes,
            length=context or 256,
            shares=shares,
            learning_rate=learning_rate or 2.5e-3,
            table_learning_rate=table_learning_rate or 4e-3,
        )
        return
    train_transformer(
        run,
        size or "200k",
        {
            "width": width,
            "layers": layers,
            "heads": heads,
            "key_value_heads": key_value_heads,
            "feed_forward": feed_forward,
            "context": context,
        },
        vocabulary=vocabulary,
        curriculum=curriculum,
        learning_rate=4e-3 if learning_rate is None else learning_rate,
        weight_decay=0.1 if weight_decay is None else weight_decay,
        save_dtype=save_dtype or "float16",
    )


@dataclass(frozen=True)
class Run:
    """What both kinds of training are told: see the command's options."""

    data: list[Path]
    output: Path
    limit: int | None
    held_out: int
    steps: int
    step_symbols: int
    warm_up: int
    clip: float
    seed: int
    device: str
    dtype: str
    evaluate_every: int
    begin: Path | None
    resume: bool
    strict: bool
    quiet: bool

    def identity(self, training: bytes, holding_out: bytes, **more: Any) -> dict[str, Any]:
        """Return what says which run this is."""
        return {
            "from": None if self.begin is None else self.begin.name,
            "data": [path.name for path in self.data],
            "digest": hashlib.blake2b(training + holding_out, digest_size=8).hexdigest(),
            "training_bytes": len(training),
            "held_out_bytes": len(holding_out),
            **more,
        }

    def announce(self, identity: dict[str, Any]) -> None:
        """Say what is about to begin, and make the folder."""
        if not self.quiet:
            note(
                f"{identity['parameters']:,} parameters; {identity['training_bytes']:,} bytes to learn from, "
                f"{identity['held_out_bytes']:,} held out; {self.steps:,} steps of {self.step_symbols:,} symbols on "
                f"{self.device} in {self.dtype}"
            )
        self.output.mkdir(parents=True, exist_ok=True)

    def conclude(self, history: "History", parameters: int) -> None:
        """Draw the curve, and say how it ended."""
        from gencomp.training.finish import LOSS_CURVE, draw_loss_curve

        draw_loss_curve(history, self.output / LOSS_CURVE, f"{parameters:,} parameters, {self.output.name}")
        if not self.quiet:
            note(f"{self.output}: {history.held_out_loss[-1]:.4f} bits/byte held out, {history.seconds[-1]:,.0f} s")


def train_network(
    run: Run,
    sizes: dict[str, Any],
    *,
    length: int,
    shares: str | None,
    learning_rate: float,
    table_learning_rate: float,
) -> None:
    """Train a recurrent network, and save its integers."""
    import numpy as np

    from gencomp.inference.recurrent import Shape
    from gencomp.training.corpus import read_sources
    from gencomp.training.recurrent.finish import WEIGHTS, cost_of_rounding, save_recurrent
    from gencomp.training.recurrent.network import Network
    from gencomp.training.recurrent.streams import Sources
    from gencomp.training.recurrent.trainer import RecurrentPlan, train_recurrent
    from gencomp.training.trainer import begin_from

    if run.step_symbols % length:
        raise usage(f"--step-symbols must be a multiple of the context's {length} bytes, got {run.step_symbols}")
    shape = replace(Shape(), **{name: size for name, size in sizes.items() if size is not None})
    plan = RecurrentPlan(
        steps=run.steps,
        batch=run.step_symbols // length,
        length=length,
        learning_rate=learning_rate,
        table_learning_rate=table_learning_rate,
        warm_up=run.warm_up,
        clip=run.clip,
        seed=run.seed,
        dtype=run.dtype,
        evaluate_every=run.evaluate_every,
    )
    skipped: list[str] = []
    training, holding_out = read_sources(
        run.data, run.held_out, run.limit, left_out=None if run.strict else skipped.append
    )
    _note_left_out(skipped)
    sources = Sources.of(training, None if shares is None else _parse_shares(shares))
    held_out = {name: np.frombuffer(part, np.uint8) for name, part in holding_out.items()}
    network = Network(shape, seed=run.seed)
    if run.begin is not None:
        begin_from(network, run.begin, finished=None)
    parameters = sum(weight.numel() for weight in network.parameters())
    identity = run.identity(
        b"".join(training),
        b"".join(holding_out.values()),
        kind="rnn",
        shares=list(sources.shares),
        architecture=asdict(shape),
        parameters=parameters,
    )
    run.announce(identity)
    with step_progress("training", run.steps, quiet=run.quiet) as report:
        history = train_recurrent(
            network,
            sources,
            held_out,
            plan,
            run.output,
            device=run.device,
            identity=identity,
            resume=run.resume,
            report=report,
        )
    digest = save_recurrent(network, run.output, plan, history, identity)
    run.conclude(history, parameters)
    name, part = next(iter(held_out.items()))
    exact, rounded = cost_of_rounding(network, run.output / WEIGHTS, part)
    if not run.quiet:
        size = (run.output / WEIGHTS).stat().st_size
        note(
            f"{run.output / WEIGHTS}: {size:,} bytes, digest {digest}; {rounded:.4f} bits/byte in integers on {name}, "
            f"{rounded - exact:+.4f} to floats"
        )


def train_transformer(
    run: Run,
    size: str,
    changes: dict[str, int | None],
    *,
    vocabulary: int | None,
    curriculum: str | None,
    learning_rate: float,
    weight_decay: float,
    save_dtype: str,
) -> None:
    """Train a Transformer, and save it as transformers does."""
    from gencomp.training.architecture import SIZES
    from gencomp.training.corpus import Corpus, read_corpus
    from gencomp.training.finish import save_model
    from gencomp.training.trainer import Plan, begin_from, train
    from gencomp.training.vocabulary import BYTE_VOCABULARY, byte_tokenizer, check_same_tokens, encode_corpus, train_bpe

    architecture = replace(SIZES[size], **{name: value for name, value in changes.items() if value is not None})
    plan = Plan(
        steps=run.steps,
        step_symbols=run.step_symbols,
        curriculum=_parse_curriculum(curriculum) if curriculum is not None else ((architecture.context, 1.0),),
        learning_rate=learning_rate,
        warm_up=run.warm_up,
        weight_decay=weight_decay,
        clip=run.clip,
        seed=run.seed,
        dtype=run.dtype,
        evaluate_every=run.evaluate_every,
    )
    skipped: list[str] = []
    training, holding_out = read_corpus(
        run.data, run.held_out, run.limit, left_out=None if run.strict else skipped.append
    )
    _note_left_out(skipped)
    tokenizer = byte_tokenizer() if vocabulary is None else train_bpe(training, vocabulary)
    corpus = Corpus(
        encode_corpus(tokenizer, training), encode_corpus(tokenizer, holding_out), len(training), len(holding_out)
    )
    size_of_vocabulary = BYTE_VOCABULARY if vocabulary is None else len(tokenizer)
    model = architecture.build(size_of_vocabulary, seed=run.seed)
    if run.begin is not None:
        begin_from(model, run.begin)
        check_same_tokens(run.begin, tokenizer)
    parameters = architecture.parameter_count(size_of_vocabulary)
    identity = run.identity(
        training,
        holding_out,
        architecture=asdict(architecture),
        vocabulary_size=size_of_vocabulary,
        parameters=parameters,
    )
    run.announce(identity)
    with step_progress("training", run.steps, quiet=run.quiet) as report:
        history = train(
            model,
            corpus,
            plan,
            run.output,
            device=run.device,
            identity=identity,
            resume=run.resume,
            report=report,
        )
    save_model(model, tokenizer, run.output, plan, history, identity, dtype=save_dtype)
    run.conclude(history, parameters)


def _note_left_out(lines: list[str]) -> None:
    for line in lines:
        note(f"left out: {line}")
    if lines:
        note(f"files that could not be read, and were left out: {len(lines)}")


def _parse_shares(text: str) -> list[float]:
    try:
        return [float(share) for share in text.split(",")]
    except ValueError:
        raise usage(f"--shares must be NUMBER,..., such as 3,1, got {text!r}") from None


def _parse_curriculum(text: str) -> tuple[tuple[int, float], ...]:
    try:
        pairs = [item.split(":") for item in text.split(",")]
        return tuple((int(length), float(share)) for length, share in pairs)
    except ValueError:
        raise usage(f"--curriculum must be LENGTH:SHARE,..., such as 256:0.8,2048:1, got {text!r}") from None
