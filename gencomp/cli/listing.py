"""gencomp list: every model and codec that can be named, and how kernels run."""

from contextlib import suppress
from typing import Annotated

import typer

from gencomp.cli.console import note, show, show_json
from gencomp.cli.options import JsonOption
from gencomp.errors import GencompError
from gencomp.registry import (
    DEFAULT_MODEL,
    SMALL_INPUT,
    SMALL_INPUT_MODEL,
    Entry,
    entries,
    options_of,
    refused_plugins,
    resolve,
)

_RESOLUTIONS = {
    "fraction": "to a fraction of a bit",
    "bit": "to the bit",
    "byte": "to the byte",
    "unknown": "to an unknown precision",
}


def list_models(
    json_output: JsonOption = False,
    build: Annotated[
        bool,
        typer.Option("--build", help="Show instead how compiled loops run: from a library, by numba, or as Python."),
    ] = False,
) -> None:
    """List models and codecs, with their options."""
    if build:
        _print_build(json_output)
        return
    rows = [_describe(entry) for entry in entries()]
    if json_output:
        show_json(rows, indent=2)
    else:
        for kind in ("compressor", "predictor"):
            show(f"{kind}s")
            for row in rows:
                if row["kind"] == kind:
                    _print_row(row)
        show("A SPEC is name[:argument][?option=value&option=value], such as gzip?level=6 or counts:3.")
    for line in refused_plugins():
        note(f"gencomp: refused: {line}")


def _print_build(json_output: bool) -> None:
    from gencomp import __version__, compiled

    for entry in entries():  # importing its module declares its kernels
        with suppress(GencompError):
            resolve(entry)
    if json_output:
        about: dict[str, object] = compiled.library.description() if compiled.way == "library" else {}
        known = {name: about[name] for name in ("variant", "variants", "numba") if name in about}
        row: dict[str, object] = {"gencomp": __version__, "kernels": compiled.way, "why": compiled.why}
        show_json(row | known | {"stale": compiled.library.stale()}, indent=2)
    else:
        show(f"gencomp {__version__}")
        show(f"kernels: {compiled.described()}")


def _describe(entry: Entry) -> dict[str, object]:
    from gencomp.equivalence.capabilities import copies_state, is_causal, resolution_of, sharing_of, window_of

    row: dict[str, object] = {"name": entry.name, "kind": entry.kind, "summary": entry.summary}
    row["default"] = entry.name == DEFAULT_MODEL
    try:
        factory = resolve(entry)
        options = options_of(factory)
        needed = [option.name for option in options.values() if option.required]
        if needed:  # it cannot be made without these
            known = {name: option.default for name, option in options.items() if name not in needed}
            return row | {"needs": needed, "options": known}
        model = factory()
    except (GencompError, ValueError) as error:
        return row | {"missing": str(error)}
    row["options"] = {name: getattr(model, name, option.default) for name, option in options.items()}
    row |= {"code_lengths": resolution_of(model), "window": window_of(model)}
    return row | {"causal": is_causal(model), "copies_state": copies_state(model), "sharing": sharing_of(model)}


def _print_row(row: dict[str, object]) -> None:
    mark = " (the default)" if row.get("default") else ""
    if row["name"] == SMALL_INPUT_MODEL:
        mark = f" (the default for files of up to {SMALL_INPUT >> 10} KiB if it gives the smaller archive)"
    show(f"  {row['name']:<9} {row['summary']}{mark}")
    if "missing" in row:
        show(f"            {row['missing']}")
        return
    options = row["options"]
    assert isinstance(options, dict)
    facts = [
        f"{key}={str(value).lower() if value is None or isinstance(value, bool) else value}"
        for key, value in options.items()
    ]
    if "needs" in row:
        needs = row["needs"]
        assert isinstance(needs, list)
        show(f"            {'; '.join([f'needs {need}' for need in needs] + facts)}")
        return
    if row["window"] is not None:
        facts.append(f"looks back {row['window']:,} bytes")
    if row["kind"] == "compressor":
        facts.append(f"code lengths {_RESOLUTIONS[str(row['code_lengths'])]}")
        facts.append("state can be copied" if row["copies_state"] else "compresses each candidate anew")
        if row["sharing"]:
            facts.append(f"keeps a prefix's work for {row['sharing']}")
        if not row["causal"]:
            facts.append("not causal: sorts whole blocks")
    show(f"            {'; '.join(facts)}")
