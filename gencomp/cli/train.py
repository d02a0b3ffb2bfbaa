"""gencomp train: a Transformer over bytes or BPE tokens, or a recurrent network over bytes, on data of any kind."""

import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gencomp.cli.console import note, step_progress
from gencomp.cli.groups import grouped
from gencomp.cli.options import ForceOption, QuietOption, at_least, size_parser, usage

if TYPE_CHECKING:
    from gencomp.training.checkpoint import History

MAX_THREADS = 256  # many thousands crash torch


@dataclass(frozen=True)
class Sizes:
    """How large the model is; None stands for what the kind and the size imply."""

    size: Annotated[
        Literal["200k", "800k", "3.2m"] | None,
        typer.Option(help="A Transformer's size, as in the paper. [default: 200k]"),
    ] = None
    width: Annotated[int | None, typer.Option(help="Numbers in a position's vector, instead of the size's.")] = None
    layers: Annotated[int | None, typer.Option(help="Layers, instead of the size's.")] = None
    heads: Annotated[int | None, typer.Option(help="Attention heads, instead of the size's.")] = None
    key_value_heads: Annotated[int | None, typer.Option(help="Key-value heads, instead of the size's.")] = None
    feed_forward: Annotated[int | None, typer.Option(help="Inner width, instead of the size's.")] = None
    context: Annotated[
        int | None,
        typer.Option(
            help="Positions of a Transformer's context [default: 2048]; bytes of each stream that an rnn learns from "
            "at a time [default: 256]."
        ),
    ] = None
    vocabulary: Annotated[
        int | None, typer.Option(help="First learn a byte-level BPE of this many tokens. [default: bytes]")
    ] = None


@dataclass(frozen=True)
class Texts:
    """What to learn from, and what to measure on."""

    limit: Annotated[
        int | None, typer.Option(metavar="SIZE", parser=size_parser("--limit"), help="Bytes to take, from the start.")
    ] = None
    held_out: Annotated[
        int,
        typer.Option(
            metavar="SIZE",
            parser=size_parser("--held-out"),
            help="Bytes at the end to measure on; for an rnn, at the end of each FILE.",
        ),
    ] = 1 << 20
    shares: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER,...", help="For an rnn: how often each FILE is drawn from. [default: by their sizes]"
        ),
    ] = None


@dataclass(frozen=True)
class Schedule:
    """How the weights are updated."""

    steps: Annotated[int, typer.Option(callback=at_least("--steps", 1), help="Updates of the weights.")] = 2000
    step_symbols: Annotated[int, typer.Option(help="Bytes, or tokens, that each update sees.")] = 8192
    curriculum: Annotated[
        str | None,
        typer.Option(
            metavar="LENGTH:SHARE,...",
            help="Sequence lengths and the share of the steps up to which each is used, such as 256:0.8,2048:1. "
            "[default: the context, throughout]",
        ),
    ] = None
    learning_rate: Annotated[
        float | None, typer.Option(help="The highest, after the warm-up. [default: 4e-3; for an rnn 2.5e-3]")
    ] = None
    table_learning_rate: Annotated[
        float | None, typer.Option(help="For an rnn: the highest of its tables. [default: 4e-3]")
    ] = None
    warm_up: Annotated[
        int, typer.Option(callback=at_least("--warm-up", 0), help="Steps over which the learning rate rises.")
    ] = 100
    weight_decay: Annotated[float | None, typer.Option(help="AdamW's, on a Transformer's matrices. [default: 0.1]")] = (
        None
    )
    clip: Annotated[float, typer.Option(help="The largest norm of the gradient.")] = 1.0
    seed: Annotated[int, typer.Option(callback=at_least("--seed", 0), help="For the weights and the data's order.")] = 0


@dataclass(frozen=True)
class Machine:
    """Where to compute, and in which numbers."""

    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="auto: cuda if there is a GPU.")] = "auto"
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16"],
        typer.Option(help="For matrix products; auto: bfloat16 on a GPU."),
    ] = "auto"
    threads: Annotated[
        int | None,
        typer.Option("--threads", "-T", callback=at_least("--threads", 1), help="CPU threads. [default: cores]"),
    ] = None


@dataclass(frozen=True)
class Keeping:
    """What to save, and what to start from."""

    evaluate_every: Annotated[int, typer.Option(help="Steps between measurements, each with a checkpoint.")] = 250
    save_dtype: Annotated[
        Literal["float16", "float32"] | None, typer.Option(help="For a Transformer's saved weights. [default: float16]")
    ] = None
    begin: Annotated[
        Path | None,
        typer.Option("--from", metavar="FOLDER", help="Start from the weights of this model, or of its checkpoint."),
    ] = None
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the folder's checkpoint.")] = False


@grouped
def train(
    data: Annotated[list[Path], typer.Argument(metavar="FILE...", help="What to learn from: text or any other bytes.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="The model's folder.")],
    kind: Annotated[
        Literal["transformer", "rnn"],
        typer.Option(help="rnn: a recurrent network that is saved in integers; its archives decode on any machine."),
    ] = "transformer",
    sizes: Sizes = Sizes(),
    texts: Texts = Texts(),
    schedule: Schedule = Schedule(),
    machine: Machine = Machine(),
    keeping: Keeping = Keeping(),
    strict: Annotated[bool, typer.Option("--strict", help="Stop at a file that cannot be read.")] = False,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train a language model and save it: a Transformer as an ordinary model folder, an rnn as a file of integers.

    A Transformer's folder loads with transformers, and here as -m transformer:FOLDER (bytes) or -m hf:FOLDER (BPE); an
    rnn loads as -m rnn:FOLDER/model.safetensors. Progress is the held-out loss in bits per byte; training.json and
    loss.png keep the curve. With --resume and the same options, an interrupted run goes on to the same result.
    """
    from gencomp.extras import require
    from gencomp.modalities.source import find_files

    for path in data:
        find_files(path)  # a name that is wrong is told at once: torch takes seconds to load
    require("lm", "torch", "transformers", "safetensors")
    require("report", "matplotlib")
    import torch

    from gencomp.predictors.language.settings import Settings
    from gencomp.training.checkpoint import TrainingError
    from gencomp.training.finish import OUTPUTS

    done = "training.json"
    if (output / done).exists() and not (force or keeping.resume):
        raise usage(f"{output} holds a trained model; name another folder, or overwrite it with -f")
    if (output / "checkpoint").exists() and not (keeping.resume or force):
        raise usage(f"{output} holds an unfinished run; go on with --resume, or start anew with -f")
    begun = (output / done).exists() or (output / "checkpoint").exists()  # by an earlier run
    taken = [name for name in OUTPUTS if (output / name).exists()]
    if taken and not (force or begun):
        raise usage(f"{output / taken[0]} is there already; name another folder, or overwrite it with -f")
    device = machine.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    settings = Settings(device, machine.dtype, threads=1)
    settings.check()
    if machine.threads is not None:
        if machine.threads > MAX_THREADS:
            raise usage(f"--threads must be at most {MAX_THREADS}, got {machine.threads}")
        torch.set_num_threads(machine.threads)
    run = Run(data, output, texts, schedule, keeping, device, settings.resolved_dtype(), strict, quiet)
    of_transformers = {
        "--size": sizes.size,
        "--heads": sizes.heads,
        "--key-value-heads": sizes.key_value_heads,
        "--vocabulary": sizes.vocabulary,
        "--curriculum": schedule.curriculum,
        "--weight-decay": schedule.weight_decay,
        "--save-dtype": keeping.save_dtype,
    }
    of_networks = {"--shares": texts.shares, "--table-learning-rate": schedule.table_learning_rate}
    for option, value in (of_transformers if kind == "rnn" else of_networks).items():
        if value is not None:
            raise usage(f"{option} is not for --kind {kind}; leave it out")
    try:
        if kind == "rnn":
            train_network(run, sizes)
        else:
            train_transformer(run, sizes)
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        raise TrainingError(
            "out of memory; try fewer --step-symbols, a shorter --context or a smaller model"
        ) from error


@dataclass(frozen=True)
class Run:
    """What both kinds of training need; ``device`` and ``dtype`` are those in use."""

    data: list[Path]
    output: Path
    texts: Texts
    schedule: Schedule
    keeping: Keeping
    device: str
    dtype: str
    strict: bool
    quiet: bool

    def identity(self, training: bytes, holding_out: bytes, **more: Any) -> dict[str, Any]:
        """Return what identifies this run."""
        return {
            "from": None if self.keeping.begin is None else self.keeping.begin.name,
            "data": [path.name for path in self.data],
            "digest": hashlib.blake2b(training + holding_out, digest_size=8).hexdigest(),
            "training_bytes": len(training),
            "held_out_bytes": len(holding_out),
            **more,
        }

    def announce(self, identity: dict[str, Any]) -> None:
        """Say what begins, and make the folder."""
        if not self.quiet:
            note(
                f"{identity['parameters']:,} parameters; {identity['training_bytes']:,} bytes to learn from, "
                f"{identity['held_out_bytes']:,} held out; {self.schedule.steps:,} steps of "
                f"{self.schedule.step_symbols:,} symbols on {self.device} in {self.dtype}"
            )
        self.output.mkdir(parents=True, exist_ok=True)

    def conclude(self, history: "History", parameters: int) -> None:
        """Draw the curve, and say how it ended."""
        from gencomp.training.finish import LOSS_CURVE, draw_loss_curve

        draw_loss_curve(history, self.output / LOSS_CURVE, f"{parameters:,} parameters, {self.output.name}")
        if not self.quiet:
            note(f"{self.output}: {history.held_out_loss[-1]:.4f} bits/byte held out, {history.seconds[-1]:,.0f} s")


def train_network(run: Run, sizes: Sizes) -> None:
    """Train a recurrent network, and save its integers."""
    import numpy as np

    from gencomp.inference.recurrent import Shape
    from gencomp.training.corpus import read_sources
    from gencomp.training.recurrent.finish import WEIGHTS, cost_of_rounding, save_recurrent
    from gencomp.training.recurrent.network import Network
    from gencomp.training.recurrent.streams import Sources
    from gencomp.training.recurrent.trainer import RecurrentPlan, train_recurrent
    from gencomp.training.trainer import begin_from

    schedule, length = run.schedule, 256 if sizes.context is None else sizes.context
    if length < 2:
        raise usage(f"--context must be at least 2 bytes for an rnn, got {length}")
    if schedule.step_symbols % length:
        raise usage(f"--step-symbols must be a multiple of the context's {length} bytes, got {schedule.step_symbols}")
    given = {"width": sizes.width, "hidden": sizes.width, "layers": sizes.layers, "feed_forward": sizes.feed_forward}
    changes: dict[str, Any] = {name: size for name, size in given.items() if size is not None}
    shape = replace(Shape(), **changes)
    plan = RecurrentPlan(
        steps=schedule.steps,
        batch=schedule.step_symbols // length,
        length=length,
        learning_rate=2.5e-3 if schedule.learning_rate is None else schedule.learning_rate,
        table_learning_rate=4e-3 if schedule.table_learning_rate is None else schedule.table_learning_rate,
        warm_up=schedule.warm_up,
        clip=schedule.clip,
        seed=schedule.seed,
        dtype=run.dtype,
        evaluate_every=run.keeping.evaluate_every,
    )
    skipped: list[str] = []
    training, holding_out = read_sources(
        run.data, run.texts.held_out, run.texts.limit, left_out=None if run.strict else skipped.append
    )
    _note_left_out(skipped)
    sources = Sources.of(training, None if run.texts.shares is None else _parse_shares(run.texts.shares))
    held_out = {name: np.frombuffer(part, np.uint8) for name, part in holding_out.items()}
    network = Network(shape, seed=schedule.seed)
    if run.keeping.begin is not None:
        begin_from(network, run.keeping.begin, finished=None)
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
    with step_progress("training", schedule.steps, quiet=run.quiet) as report:
        history = train_recurrent(
            network,
            sources,
            held_out,
            plan,
            run.output,
            device=run.device,
            identity=identity,
            resume=run.keeping.resume,
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
            f"{rounded - exact:+.4f} against floats"
        )


def train_transformer(run: Run, sizes: Sizes) -> None:
    """Train a Transformer, and save it as transformers does."""
    from gencomp.training.architecture import SIZES
    from gencomp.training.corpus import Corpus, read_corpus
    from gencomp.training.finish import save_model
    from gencomp.training.trainer import Plan, begin_from, train
    from gencomp.training.vocabulary import BYTE_VOCABULARY, byte_tokenizer, check_same_tokens, encode_corpus, train_bpe

    schedule = run.schedule
    given = {name: value for name, value in vars(sizes).items() if name not in ("size", "vocabulary")}
    changes = {name: value for name, value in given.items() if value is not None}
    architecture = replace(SIZES[sizes.size or "200k"], **changes)
    plan = Plan(
        steps=schedule.steps,
        step_symbols=schedule.step_symbols,
        curriculum=((architecture.context, 1.0),)
        if schedule.curriculum is None
        else _parse_curriculum(schedule.curriculum),
        learning_rate=4e-3 if schedule.learning_rate is None else schedule.learning_rate,
        warm_up=schedule.warm_up,
        weight_decay=0.1 if schedule.weight_decay is None else schedule.weight_decay,
        clip=schedule.clip,
        seed=schedule.seed,
        dtype=run.dtype,
        evaluate_every=run.keeping.evaluate_every,
    )
    skipped: list[str] = []
    training, holding_out = read_corpus(
        run.data, run.texts.held_out, run.texts.limit, left_out=None if run.strict else skipped.append
    )
    _note_left_out(skipped)
    tokenizer = byte_tokenizer() if sizes.vocabulary is None else train_bpe(training, sizes.vocabulary)
    corpus = Corpus(
        encode_corpus(tokenizer, training), encode_corpus(tokenizer, holding_out), len(training), len(holding_out)
    )
    size_of_vocabulary = BYTE_VOCABULARY if sizes.vocabulary is None else len(tokenizer)
    model = architecture.build(size_of_vocabulary, seed=schedule.seed)
    if run.keeping.begin is not None:
        begin_from(model, run.keeping.begin)
        check_same_tokens(run.keeping.begin, tokenizer)
    parameters = architecture.parameter_count(size_of_vocabulary)
    identity = run.identity(
        training,
        holding_out,
        architecture=asdict(architecture),
        vocabulary_size=size_of_vocabulary,
        parameters=parameters,
    )
    run.announce(identity)
    with step_progress("training", schedule.steps, quiet=run.quiet) as report:
        history = train(
            model,
            corpus,
            plan,
            run.output,
            device=run.device,
            identity=identity,
            resume=run.keeping.resume,
            report=report,
        )
    save_model(model, tokenizer, run.output, plan, history, identity, dtype=run.keeping.save_dtype or "float16")
    run.conclude(history, parameters)


def _is_out_of_memory(error: Exception) -> bool:
    """Return whether memory ran out: torch has an error of its own for that on a GPU, and none on a CPU."""
    is_own = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return is_own or "can't allocate memory" in str(error)


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
