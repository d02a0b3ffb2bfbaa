"""Spec strings as text: ``name[:argument][?key=value&key=value]``, and specs inside a spec.

An argument or a value that names other models is a list of *members*: specs with ``+`` in place of ``?`` and ``&``,
joined by commas:

    gzip+level=6,lzma+preset=3+lc=2,mix        gzip?level=6    lzma?preset=3&lc=2    mix

Inside a member, an argument or value that has members of its own is put in square brackets:
``lookahead:[gzip+level=6]+horizon=4``. Brackets around a whole member change nothing. Which options hold specs is
declared in :mod:`gencomp.registry`.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from urllib.parse import quote, unquote

from gencomp.errors import SpecError

_SEPARATORS = "+,[]"


@dataclasses.dataclass(frozen=True)
class Spec:
    """A parsed spec string: ``lzma?preset=6`` is ``Spec("lzma", None, {"preset": "6"})``."""

    name: str
    argument: str | None
    options: Mapping[str, str]

    def __str__(self) -> str:
        text = self.name
        if self.argument is not None:
            text += ":" + quote(self.argument, safe="/:._-+~,@=[] ")
        if self.options:
            text += "?" + "&".join(f"{key}={quote(value, safe='/:._-+~,@=[] ')}" for key, value in self.options.items())
        return text


def parse_spec(text: str) -> Spec:
    """Parse ``name[:argument][?key=value&...]``; %-escapes stand for characters of that syntax.

    Raises :class:`SpecError` on an empty name, an option without ``=``, or a repeated key.
    """
    head, question, query = text.partition("?")
    name, colon, argument = head.partition(":")
    if not name:
        raise SpecError(
            f"the spec {brief(text)!r} has no name; expected name[:argument][?key=value&...], such as gzip?level=6"
        )
    options: dict[str, str] = {}
    for item in query.split("&") if question else ():
        key, equals, value = item.partition("=")
        if not key or not equals:
            raise SpecError(f"the option {brief(item)!r} in {brief(text)!r} is not of the form key=value")
        if key in options:
            raise SpecError(f"the option {brief(key)!r} is given twice in {brief(text)!r}")
        options[key] = unquote(value)
    return Spec(name, unquote(argument) if colon else None, options)


def joined(specs: Iterable[str]) -> str:
    """Return the argument that names these specs."""
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
                f"{brief(argument)!r} does not name models; expected specs with + in place of ? and &, "
                "joined by commas, such as gzip+level=6,mix"
            )
        specs.append(head + ("?" + "&".join(options) if options else ""))
    return tuple(specs)


def alone(argument: str) -> str:
    """Return the one spec that an argument names: a comma outside brackets belongs to that spec.

    Plain specs, with ``?`` and ``&``, are understood, too: archives of gencomp 0.1 have them. Raises :class:`SpecError`
    as :func:`separated` does.
    """
    if "?" in argument:
        return argument
    inside = argument[1:-1] if argument[:1] == "[" and argument[-1:] == "]" else argument
    if len(_split(inside, ",")) == 1:
        return separated(argument)[0]
    return separated(f"{inside.partition(':')[0]}:[{inside.partition(':')[2]}]")[0] if ":" in inside else argument


def brief(text: str, most: int = 160) -> str:
    """Return ``text`` for a one-line message: unprintable characters escaped, a long text cut after its start."""
    start = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text[:most])
    return start if len(text) <= most else f"{start}... ({len(text):,} characters)"


def _split(text: str, separator: str) -> list[str]:
    """Return the parts of ``text`` between the separators outside brackets."""
    parts, depth, start = [], 0, 0
    for place, char in enumerate(text):
        depth += (char == "[") - (char == "]")
        if depth < 0:
            break
        if char == separator and depth == 0:
            parts.append(text[start:place])
            start = place + 1
    if depth != 0:
        raise SpecError(f"the brackets in {brief(text)!r} do not pair")
    return [*parts, text[start:]]


def _bracketed(part: str, mark: str) -> str:
    """Return ``name:argument`` or ``key=value``, with what follows the mark in brackets if it contains separators."""
    name, found, rest = part.partition(mark)
    return f"{name}{found}[{rest}]" if any(char in rest for char in _SEPARATORS) else part


def _without_brackets(part: str) -> str:
    start = part.find("[")
    if start > 0 and part[start - 1] in ":=" and part.endswith("]"):
        return part[:start] + part[start + 1 : -1]
    return part
