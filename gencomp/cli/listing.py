"""gencomp list: every model and codec that can be named."""

import dataclasses

from gencomp.cli.console import note, show, show_json
from gencomp.cli.options import JsonOption
from gencomp.registry import DEFAULT_MODEL, Entry, entries, is_required, refused_plugins, resolve

_RESOLUTIONS = {"fraction": "a fraction of a bit", "bit": "the bit", "byte": "the byte", "exact": "the last digit"}


def list_models(json_output: JsonOption = False) -> None:
    """List models and codecs, with their options."""
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


def _describe(entry: Entry) -> dict[str, object]:
    from gencomp.equivalence.capabilities import copies_state, is_causal, resolution_of, window_of
    from gencomp.errors import GencompError

    row: dict[str, object] = {"name": entry.name, "kind": entry.kind, "summary": entry.summary}
    row["default"] = entry.name == DEFAULT_MODEL
    try:
        factory = resolve(entry)
        fields = [field for field in dataclasses.fields(factory) if field.init]
        needed = [field.name for field in fields if is_required(field)]
        if needed:  # there is no such model before it is told which
            known = {field.name: field.default for field in fields if field.name not in needed}
            return row | {"needs": needed, "options": known}
        model = factory()
    except (GencompError, ValueError) as error:
        return row | {"missing": str(error)}
    row["options"] = {field.name: getattr(model, field.name) for field in fields}
    row |= {"code_lengths": resolution_of(model), "window": window_of(model)}
    return row | {"causal": is_causal(model), "copies_state": copies_state(model)}


def _print_row(row: dict[str, object]) -> None:
    mark = " (the default)" if row.get("default") else ""
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
        facts.append(f"code lengths to {_RESOLUTIONS[str(row['code_lengths'])]}")
        facts.append("state can be copied" if row["copies_state"] else "compresses each candidate anew")
        if not row["causal"]:
            facts.append("not causal: sorts whole blocks")
    show(f"            {'; '.join(facts)}")
