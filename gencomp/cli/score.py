"""gencomp score: what a model charges for a file, in all and byte by byte."""

from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer

from gencomp.cli.console import show, show_json, shown_as
from gencomp.cli.options import DEFAULT_SPEC, JsonOption, ModelOption, read_input, size_parser, usage

if TYPE_CHECKING:
    from gencomp.equivalence.score import Score

_RESOLUTIONS = {
    "bit": "code lengths are exact to the bit",
    "byte": "code lengths are whole bytes: most candidates tie",
    "exact": "code lengths are -log2 of probabilities",
    "fraction": "code lengths are exact to a fraction of a bit",
    "unknown": "the codec does not say how fine its code lengths are",
}

# bits up to which a byte has this background in the heat map, and the colour (xterm's 256)
_HEAT = ((1.0, 22), (2.0, 28), (3.0, 64), (4.0, 100), (5.0, 136), (6.5, 166), (8.0, 160), (float("inf"), 125))


def score(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The data; - is stdin.")],
    model: ModelOption = DEFAULT_SPEC,
    limit: Annotated[
        int,
        typer.Option(metavar="SIZE", parser=size_parser("--limit"), help="Bytes to take one by one, from the start."),
    ] = 2048,
    chunk_size: Annotated[
        int,
        typer.Option(
            metavar="SIZE", parser=size_parser("--chunk-size"), help="Bytes after which the context starts anew."
        ),
    ] = 2048,
    heat_map: Annotated[bool, typer.Option("--heat-map", help="Print those bytes, coloured by their cost.")] = False,
    json_output: JsonOption = False,
) -> None:
    """Show what a model charges for a file, byte by byte.

    A codec is asked for the code lengths of all 256 next bytes at each position, so only the first --limit bytes
    are taken one by one; the code length is that of the whole file.
    """
    from gencomp.equivalence.score import score as score_data

    if heat_map and json_output:
        raise usage("--heat-map and --json exclude each other")
    data = read_input(file)
    result = score_data(model, data, limit=limit, chunk_size=chunk_size)
    if json_output:
        show_json(result.record())
        return
    _print_table(result)
    if len(result.costs) and not result.shares_work:
        print(f"{'candidates':<18}compressed anew each, with all before it")
    if heat_map:
        _print_heat_map(result, data)


def _print_table(result: "Score") -> None:
    from gencomp.equivalence.score import TOPS

    rows = [
        ("model", result.spec),
        ("raw", f"{result.raw_bytes:,} bytes"),
        ("code length", f"{result.code_length:,.0f} bits, {result.framing_bits:,.0f} of them for an empty message"),
        ("resolution", _RESOLUTIONS.get(result.resolution, result.resolution)),
        ("rate", f"{result.bits_per_byte:.4f} bits/byte, {100 * result.bits_per_byte / 8:.2f} %"),
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
    for name, value in rows:
        show(f"{name:<18}{value}")


def _print_heat_map(result: "Score", data: bytes) -> None:
    from rich.console import Console
    from rich.text import Text

    text = Text()
    newline, other = shown_as("↵", "\\n"), shown_as("·", ".")
    for symbol, cost in zip(data, result.costs, strict=False):
        label = chr(symbol) if 0x20 <= symbol < 0x7F else f"{newline}\n" if symbol == 0x0A else other
        text.append(label, style=_heat_style(float(cost)))
    legend = Text("\nbits: ")
    for bound, _ in _HEAT:
        legend.append(f" <{bound:g} " if bound < 100 else " more ", style=_heat_style(bound - 0.001))
    console = Console(highlight=False)
    console.print(text, soft_wrap=True)
    console.print(legend)


def _heat_style(cost: float) -> str:
    color = next((color for bound, color in _HEAT if cost < bound), _HEAT[-1][1])
    return f"color(231) on color({color})"
