"""Specs inside a spec: how the argument of one model names others.

A member is a spec with ``+`` in place of ``?`` and ``&``, and members are joined by commas:

    gzip+level=6,lzma+preset=3+lc=2,mix        gzip?level=6    lzma?preset=3&lc=2    mix

An argument or a value that has members of its own stands in square brackets: ``lookahead:[gzip+level=6]+horizon=4``;
around a whole member they change nothing.
"""

from collections.abc import Iterable, Iterator

from gencomp.equivalence.adapt import as_predictor, predictor_spec
from gencomp.errors import SpecError
from gencomp.protocols import Predictor
from gencomp.registry import Entry, find_entry, parse_spec, resolve

_SEPARATORS = "+,[]"
_DEEPEST = 8  # specs in specs that anybody means


def joined(specs: Iterable[str]) -> str:
    """Return specs as the argument that names them."""
    members = []
    for spec in specs:
        head, _, options = spec.partition("?")
        parts = [_bracketed(head, ":"), *(_bracketed(option, "=") for option in options.split("&") if option)]
        members.append("+".join(parts))
    return ",".join(members)


def separated(argument: str) -> tuple[str, ...]:
    """Return the specs that an argument names. Raises :class:`SpecError` on an empty one or unpaired brackets."""
    specs = []
    for member in _split(argument, ","):
        if member[:1] == "[" and member[-1:] == "]":
            member = member[1:-1]
        head, *options = (_without_brackets(part) for part in _split(member, "+"))
        if not head or "" in options:
            raise SpecError(
                f"{argument!r} does not name models; expected specs with + in place of ? and &, "
                "joined by commas, such as gzip+level=6,mix"
            )
        specs.append(head + ("?" + "&".join(options) if options else ""))
    return tuple(specs)


def canonical(argument: str) -> tuple[str, tuple[Predictor, ...]]:
    """Return the argument with every option of its members written out, and the members, loaded as predictors."""
    members = tuple(as_predictor(spec) for spec in separated(argument))
    return joined(predictor_spec(member, full=True) for member in members), members


def entries_of(spec: str, depth: int = 0) -> Iterator[Entry]:
    """Yield the registry's entries of ``spec`` and of all specs inside it, importing gencomp's own modules alone.

    Classes whose argument names models say so by ``argument_names_models``. Raises :class:`SpecError` on an unknown
    name, and beyond 8 levels.
    """
    if depth > _DEEPEST:
        raise SpecError(f"{spec!r} is nested deeper than {_DEEPEST} levels")
    parsed = parse_spec(spec)
    entry = find_entry(parsed.name)
    yield entry
    if entry.distribution != "gencomp":
        return
    factory = resolve(entry)
    if getattr(factory, "argument_names_models", False):
        argument = parsed.options.get(factory.spec_argument, parsed.argument)
        for member in separated(argument) if argument is not None else ():
            yield from entries_of(member, depth + 1)


def _split(text: str, separator: str) -> list[str]:
    """Return the parts of ``text`` between separators that are in no bracket."""
    parts, depth = [""], 0
    for char in text:
        depth += (char == "[") - (char == "]")
        if depth < 0:
            break
        if char == separator and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    if depth != 0:
        raise SpecError(f"the brackets in {text!r} do not pair")
    return parts


def _bracketed(part: str, mark: str) -> str:
    """Return ``name:argument`` or ``key=value`` with what follows the mark in brackets where it has separators."""
    name, found, rest = part.partition(mark)
    return f"{name}{found}[{rest}]" if any(char in rest for char in _SEPARATORS) else part


def _without_brackets(part: str) -> str:
    start = part.find("[")
    if start > 0 and part[start - 1] in ":=" and part.endswith("]"):
        return part[:start] + part[start + 1 : -1]
    return part
