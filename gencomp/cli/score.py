"""gencomp score: what a model charges for a file, in all and byte by byte."""

from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer

from gencomp.cli.console import show, show_json, shown_as
from gencomp.cli.options import DEFAULT_SPEC, ForceOption, JsonOption, ModelOption, read_input, size_parser, usage

if TYPE_CHECKING:
    from gencomp.equivalence.score import Score

_RESOLUTIONS = {
    "bit": "code lengths are exact to the bit",
    "byte": "code lengths are whole bytes: most candidates tie",
    "exact": "code lengths are -log2 of probabilities",
    "fraction": "code lengths are exact to a fraction of a bit",
    "unknown": "the codec does not say how fine its code lengths are",
}


def score(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The data; - is stdin.")],
    model: ModelOption = DEFAULT_SPEC,
    limit: Annotated[
        int,
        typer.Option(metavar="SIZE", parser=size_parser("--limit"), help="Bytes to score one by one, from the start."),
    ] = 2048,
    chunk_size: Annotated[
        int,
        typer.Option(
            metavar="SIZE", parser=size_parser("--chunk-size"), help="Bytes after which the context is emptied."
        ),
    ] = 2048,
    heat_map: Annotated[bool, typer.Option("--heat-map", help="Print those bytes, coloured by their cost.")] = False,
    html: Annotated[
        str | None, typer.Option(metavar="FILE.html", help="Write the figures and those bytes, coloured, as a page.")
    ] = None,
    force: ForceOption = False,
    json_output: JsonOption = False,
) -> None:
    """Show what a model charges for a file, byte by byte.

    At each position, a codec is asked for the code lengths of all 256 next bytes, so only the first --limit bytes are
    scored one by one. The code length is that of the whole file.
    """
    from gencomp.equivalence.score import score as score_data
    from gencomp.files import check_new, new_file, write_fully

    if heat_map and json_output:
        raise usage("--heat-map and --json exclude each other")
    if html is not None:
        check_new(Path(html), overwrite=force)
    data = read_input(file)
    result = score_data(model, data, limit=limit, chunk_size=chunk_size)
    if html is not None:
        with new_file(Path(html), overwrite=force) as sink:
            write_fully(sink, _page(file, result).encode("utf-8", "backslashreplace"))
    if json_output:
        show_json(result.record())
        return
    _print_table(result)
    if len(result.costs) and not result.shares_work:
        print(f"{'candidates':<18}each compressed anew, with everything before it")
    if heat_map:
        _print_heat_map(result, data)


def _print_table(result: "Score") -> None:
    for name, value in _rows(result):
        show(f"{name:<18}{value}")


def _rows(result: "Score") -> list[tuple[str, str]]:
    """Return the figures as (name, value)."""
    from gencomp.equivalence.score import TOPS

    rows = [
        ("model", result.spec),
        ("raw", f"{result.raw_bytes:,} bytes"),
        ("code length", f"{result.code_length:,.0f} bits, {result.framing_bits:,.0f} of them for an empty message"),
        ("resolution", _RESOLUTIONS.get(result.resolution, result.resolution)),
        ("rate", f"{_rates(result)}; {100 * result.bits_per_byte / 8:.2f} %, framing counted"),
    ]
    if len(result.costs):
        kraft, distinct = result.kraft_sums.tolist(), result.distinct_lengths
        taken = f"over the first {len(result.costs):,} bytes, in chunks of {result.chunk_size:,}"
        rows += [
            ("log-loss", f"{result.log_loss:.4f} bits/byte {taken}"),
            ("entropy", f"mean {result.entropies.mean():.4f} bits: the log-loss that the model itself expects"),
            ("true byte", ", ".join(f"{100 * result.top(k):.1f} % in the top {k}" for k in TOPS)),
            ("Kraft sums", f"median {median(kraft):.4f}, from {min(kraft):.4f} to {max(kraft):.4g}"),
            (
                "distinct lengths",
                f"mean {distinct.mean():.1f} of 256 candidates, from {distinct.min()} to {distinct.max()}",
            ),
            ("ties", f"the true byte's length is shared by {result.ties.mean() - 1:.1f} other candidates on average"),
        ]
    return rows


def _rates(result: "Score") -> str:
    """Return the bits per byte, and per character if some characters take more than a byte."""
    text = f"{result.bits_per_byte:.4f} bits/byte"
    if result.bits_per_character is not None and result.raw_characters != result.raw_bytes:
        text += f", {result.bits_per_character:.4f} bits/character"
    return text


def _print_heat_map(result: "Score", data: bytes) -> None:
    from rich.console import Console
    from rich.text import Text

    from gencomp.markup import HEAT

    text = Text()
    newline, other = shown_as("↵", "\\n"), shown_as("·", ".")
    for symbol, cost in zip(data, result.costs, strict=False):
        label = chr(symbol) if 0x20 <= symbol < 0x7F else f"{newline}\n" if symbol == 0x0A else other
        text.append(label, style=_heat_style(float(cost)))
    legend = Text("\nbits: ")
    for step in range(len(HEAT)):
        legend.append(f" {step}{'+' * (step == len(HEAT) - 1)} ", style=_heat_style(step))
    console = Console(highlight=False)
    console.print(text, soft_wrap=True)
    console.print(legend)


def _heat_style(cost: float) -> str:
    from gencomp.markup import HEAT, heat_step

    background, ink = HEAT[heat_step(cost)]
    return f"{ink} on {background}"


def _page(name: str, result: "Score") -> str:
    """Return the figures and the coloured bytes as a self-contained page."""
    from html import escape

    from gencomp import markup
    from gencomp.labels import visible

    title = escape(visible(f"{name} under {result.spec}"))
    terms = "".join(f"<dt>{escape(head)}</dt><dd>{escape(visible(value))}</dd>" for head, value in _rows(result))
    shown = markup.legend() + markup.heat(result.data, result.costs.tolist(), most=None) if len(result.costs) else ""
    style = (
        "body { font: 16px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; "
        "overflow-wrap: anywhere } dt { font-weight: 600 } dd { margin: 0 0 6px }"
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n<title>{title}</title>\n<style>{style}</style>\n</head>\n'
        f"<body>\n<h1>{title}</h1>\n<p>Each byte is coloured by its cost.</p>\n{shown}\n<dl>{terms}</dl>\n"
        "</body>\n</html>\n"
    )
