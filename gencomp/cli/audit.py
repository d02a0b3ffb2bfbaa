"""gencomp audit: whether claimed bits per byte are those of a code that can be decoded."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gencomp.cli.console import note, show, show_json
from gencomp.cli.options import JsonOption, QuietOption, read_input, size_parser, usage

if TYPE_CHECKING:
    from gencomp.measure.audit import Verdict
    from gencomp.protocols import Predictor

_WORDS = {True: "yes", False: "NO", None: "-"}


_MAX_TIMEOUT = 86400.0  # seconds


def audit(
    model: Annotated[str | None, typer.Argument(metavar="[SPEC]", help="A model or codec, such as hf:FOLDER.")] = None,
    command: Annotated[
        str | None,
        typer.Option(metavar="COMMAND", help="A program that answers `begin` and `byte N` with 256 probabilities."),
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Rows of 256 probabilities, one for each byte of the data: .npy or text."),
    ] = None,
    python: Annotated[
        str | None,
        typer.Option("--object", metavar="MODULE:NAME", help="A Python object, or a function that makes one."),
    ] = None,
    data: Annotated[
        str | None, typer.Option(metavar="FILE", help="What to audit on; - is stdin. [default: the package's book]")
    ] = None,
    limit: Annotated[
        int, typer.Option(metavar="SIZE", parser=size_parser("--limit"), help="How many bytes to use, from the start.")
    ] = 1024,
    claim: Annotated[
        float | None, typer.Option(metavar="BITS", help="The bits per byte that are claimed for these bytes.")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="How long the --command may take to answer. [default: 30]")
    ] = None,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Test on real data whether something is a predictor, so that its bits per byte count.

    Its probabilities must sum to 1 at every position, must not depend on bytes still to come, and must be the same in
    two runs, in batches and alone, at once and byte by byte. No byte that comes may have probability 0, and the archive
    must decode at the claimed size. The exit code is 0 if nothing is refuted, else 1.
    """
    from gencomp.measure.audit import CHECKS
    from gencomp.measure.audit import audit as audit_predictor

    if sum(given is not None for given in (model, command, table, python)) != 1:
        raise usage("name one subject: a SPEC, --command, --table or --object")
    if timeout is not None and not 0 < timeout <= _MAX_TIMEOUT:
        raise usage(f"--timeout must be above 0 and at most {_MAX_TIMEOUT:g} seconds, got {timeout:g}")
    if claim is not None and not 0 <= claim < float("inf"):
        raise usage(f"--claim is in bits per byte, at least 0; got {claim:g}")
    if timeout is not None and command is None:
        raise usage("--timeout goes with --command only; leave it out")
    text = _data(data, limit)
    predictor, subject = _subject(model, command, table, python, timeout or 30.0)
    report = (lambda name: None) if quiet or json_output else (lambda name: note(f"{CHECKS[name]} ..."))
    verdict = audit_predictor(predictor, text, subject=subject, claim=claim, report=report)
    if json_output:
        show_json(verdict.record())
    else:
        _print(verdict)
    if not verdict.accepted:
        raise typer.Exit(1)


def _data(name: str | None, limit: int) -> bytes:
    from gencomp.data import alice
    from gencomp.errors import DatasetError

    text = (alice() if name is None else read_input(name))[:limit]
    if not text:
        raise DatasetError(f"{name or 'the data'}: there is nothing to audit on; expected at least 1 byte")
    return text


def _subject(
    model: str | None, command: str | None, table: str | None, python: str | None, timeout: float
) -> "tuple[Predictor, str]":
    """Return what to audit, and its name."""
    from gencomp.equivalence.adapt import as_predictor
    from gencomp.measure.subjects import CommandPredictor, read_table

    if command is not None:
        return CommandPredictor(command, timeout), f"the command {command}"
    if table is not None:
        return read_table(Path(table)), f"the table {table}"
    if python is not None:
        return as_predictor(_imported(python)), python
    assert model is not None
    return as_predictor(model), model


def _imported(where: str) -> "Predictor":
    """Return the object at MODULE:NAME, which may be in the working folder; a class or function is called."""
    import importlib
    import sys

    from gencomp.errors import SpecError
    from gencomp.protocols import Compressor, Predictor

    module, colon, name = where.partition(":")
    if not colon or not module or not name:
        raise usage(f"--object takes MODULE:NAME, such as mine:model; got {where!r}")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), name)
        made = found if isinstance(found, Predictor | Compressor) and not isinstance(found, type) else found()
    except Exception as error:  # somebody else's code may raise anything
        raise SpecError(f"{where} cannot be loaded: {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)
    if not isinstance(made, Predictor | Compressor):
        raise SpecError(f"{where} is not a predictor: expected alphabet_size, and begin(context) that returns a state")
    return made  # type: ignore[return-value]


def _print(verdict: "Verdict") -> None:
    from gencomp.measure.audit import CHECKS

    for finding in verdict.findings:
        show(f"{_WORDS[finding.passed]:<4} {CHECKS[finding.check]:<52} {finding.message}")
    if verdict.bits is not None and verdict.scored_bytes:
        rate = verdict.bits / verdict.scored_bytes
        show(f"     {verdict.bits:,.1f} bits for {verdict.scored_bytes:,} bytes, {rate:.4f} bits/byte, byte by byte")
    if verdict.accepted:
        show(f"accepted: {verdict.subject} is a predictor on these {verdict.data_bytes:,} bytes")
    else:
        show(f"refused: {verdict.subject}'s bits are not those of a code")
