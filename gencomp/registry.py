"""Names to models and codecs: the spec strings ``name[:argument][?key=value&key=value]``.

A name stands for a ``"module:Class"`` target, imported when it is first loaded. The class is a frozen dataclass whose
fields are the options, so that a spec, the object's repr and its configuration rebuild one another; the class attribute
``spec_argument`` names the field that ``:argument`` sets. Other packages add names by the entry-point groups
``gencomp.compressors`` and ``gencomp.predictors``; a name that is taken is refused, never replaced.
"""

import dataclasses
import difflib
import functools
import importlib
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Literal
from urllib.parse import quote, unquote

from gencomp.errors import GencompError, MissingExtraError, SpecError

Kind = Literal["compressor", "predictor"]


@dataclasses.dataclass(frozen=True)
class Entry:
    """One name of the registry. ``extra`` is the pip extra that brings what the target imports."""

    name: str
    kind: Kind
    target: str
    summary: str
    extra: str | None = None
    distribution: str = "gencomp"


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
            text += "?" + "&".join(f"{key}={quote(value, safe='/:._-+~,@[] ')}" for key, value in self.options.items())
        return text


_BUILTIN = (
    Entry("gzip", "compressor", "gencomp.compressors.deflate:Gzip", "deflate with gzip's header and CRC-32 (RFC 1952)"),
    Entry(
        "zlib", "compressor", "gencomp.compressors.deflate:Zlib", "deflate with zlib's header and Adler-32 (RFC 1950)"
    ),
    Entry("bz2", "compressor", "gencomp.compressors.bz2:Bz2", "bzip2: Burrows-Wheeler transform and Huffman codes"),
    Entry("lzma", "compressor", "gencomp.compressors.lzma:Lzma", "LZMA1, raw stream: long matches and a range coder"),
    Entry("xz", "compressor", "gencomp.compressors.xz:Xz", "LZMA2 in the .xz container, with its checks and padding"),
    Entry(
        "zstd", "compressor", "gencomp.compressors.zstd:Zstd", "Zstandard (RFC 8878): matches, Huffman and FSE codes"
    ),
    Entry(
        "brotli",
        "compressor",
        "gencomp.compressors.brotli:Brotli",
        "Brotli (RFC 7932): a static dictionary, context models",
    ),
    Entry(
        "ppmd", "compressor", "gencomp.compressors.ppmd:Ppmd", "PPMd variant H: prediction by partial matching", "ppmd"
    ),
    Entry(
        "png", "compressor", "gencomp.compressors.png:Png", "PNG: rows of grey pixels, filtered, then deflate", "media"
    ),
    Entry("webp", "compressor", "gencomp.compressors.webp:Webp", "WebP lossless: rows of grey pixels", "media"),
    Entry("flac", "compressor", "gencomp.compressors.flac:Flac", "FLAC: sound samples, linear prediction", "media"),
    Entry("uniform", "predictor", "gencomp.predictors.uniform:Uniform", "every byte equally likely: 8 bits each"),
    Entry(
        "counts", "predictor", "gencomp.predictors.counts:Counts", "adaptive order-k counts with absolute discounting"
    ),
    Entry("mix", "predictor", "gencomp.predictors.mix.predictor:Mix", "context mixing of text, records and repeats"),
    Entry(
        "transformer",
        "predictor",
        "gencomp.predictors.language.transformer:Transformer",
        "a byte-level Transformer: the one in the package, or transformer:FOLDER",
        "lm",
    ),
    Entry(
        "hf",
        "predictor",
        "gencomp.predictors.language.huggingface:HuggingFace",
        "any causal language model of transformers: hf:FOLDER, or a hub id in the local cache",
        "lm",
    ),
    Entry(
        "ensemble",
        "predictor",
        "gencomp.equivalence.ensemble:Ensemble",
        "several models' mean: ensemble:gzip,lzma+preset=6,mix; one in several windows",
    ),
    Entry(
        "lookahead",
        "predictor",
        "gencomp.equivalence.lookahead:Lookahead",
        "a codec's sum over continuations: lookahead:gzip, lookahead:zlib+level=6",
    ),
)

# the strongest predictor here that needs no download
DEFAULT_MODEL = "mix"

_ENTRIES = {entry.name: entry for entry in _BUILTIN}


def register(entry: Entry) -> None:
    """Add a name for this process. Raises ``ValueError`` where the name is taken."""
    taken = _ENTRIES.get(entry.name)
    if taken is not None:
        raise ValueError(f"the name {entry.name!r} is taken by {taken.target} of {taken.distribution}; choose another")
    _ENTRIES[entry.name] = entry


@functools.cache
def _plugins() -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """Return other packages' entries, and one line for each that is refused."""
    from importlib.metadata import entry_points

    found: dict[str, list[Entry]] = {}
    kinds: tuple[Kind, ...] = ("compressor", "predictor")
    for kind in kinds:
        for point in entry_points(group=f"gencomp.{kind}s"):
            distribution = point.dist.name if point.dist is not None else "?"
            entry = Entry(point.name, kind, point.value, f"from {distribution}", None, distribution)
            found.setdefault(point.name, []).append(entry)
    accepted, refused = [], []
    for name, entries in sorted(found.items()):
        owners = ", ".join(sorted({entry.distribution for entry in entries}))
        if name in _ENTRIES:
            refused.append(f"{name!r} of {owners}: the name belongs to {_ENTRIES[name].distribution}")
        elif len(entries) > 1:
            refused.append(f"{name!r}: claimed by several packages ({owners}); uninstall all but one")
        else:
            accepted.append(entries[0])
    return tuple(accepted), tuple(refused)


def entries() -> list[Entry]:
    """Return every usable entry: the built-in ones in their order, then other packages' by name."""
    return [*_ENTRIES.values(), *_plugins()[0]]


def refused_plugins() -> list[str]:
    """Return a line for each name of another package that is refused, with the reason."""
    return list(_plugins()[1])


def parse_spec(text: str) -> Spec:
    """Parse ``name[:argument][?key=value&...]``; %-escapes stand for characters of that syntax.

    Raises :class:`SpecError` on an empty name, an option without ``=``, or a repeated key.
    """
    head, question, query = text.partition("?")
    name, colon, argument = head.partition(":")
    if not name:
        raise SpecError(
            f"the spec {text!r} has no name; expected name[:argument][?key=value&...], such as gzip?level=6"
        )
    options: dict[str, str] = {}
    for item in query.split("&") if question else ():
        key, equals, value = item.partition("=")
        if not key or not equals:
            raise SpecError(f"the option {item!r} in {text!r} is not of the form key=value")
        if key in options:
            raise SpecError(f"the option {key!r} stands twice in {text!r}")
        options[key] = unquote(value)
    return Spec(name, unquote(argument) if colon else None, options)


def find_entry(name: str) -> Entry:
    """Return the entry of ``name``; raise :class:`SpecError`, with the nearest names, where there is none."""
    if name in _ENTRIES:
        return _ENTRIES[name]
    for entry in _plugins()[0]:
        if entry.name == name:
            return entry
    for line in refused_plugins():
        if line.startswith(repr(name)):
            raise SpecError(f"the name is refused: {line}")
    names = [entry.name for entry in entries()]
    raise SpecError(f"unknown model or codec {name!r}{_did_you_mean(name, names)}; `gencomp list` shows all of them")


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=2)
    return f"; did you mean {' or '.join(close)}?" if close else ""


def resolve(entry: Entry) -> Any:
    """Import the entry's target and return the class; raise :class:`MissingExtraError` with the pip command."""
    module_name, _, attribute = entry.target.partition(":")
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except Exception as error:  # another package's module may raise anything
        if entry.extra is None or not isinstance(error, ImportError):
            raise GencompError(f"{entry.name} cannot be loaded from {entry.target}: {error}") from error
        missing = error.name or str(error)
        raise MissingExtraError(
            f"{entry.name} needs the package {missing}, which is not installed; "
            f"run: pip install 'gencomp[{entry.extra}]'"
        ) from error


def load(spec: str) -> Any:
    """Return the compressor or predictor that ``spec`` names.

    Raises :class:`SpecError` on an unknown name, option or value, :class:`MissingExtraError` where an optional package
    is missing.
    """
    parsed = parse_spec(spec)
    if any("\0" in value for value in (parsed.argument or "", *parsed.options.values())):
        raise SpecError(f"{spec!r} holds a zero byte, which no number, name or path does")
    factory = resolve(find_entry(parsed.name))
    fields = {field.name: field for field in dataclasses.fields(factory) if field.init}
    hints = typing.get_type_hints(factory)
    values: dict[str, Any] = {}
    if parsed.argument is not None:
        target = getattr(factory, "spec_argument", None)
        if target is None:
            raise SpecError(f"{parsed.name} takes no argument, got {parsed.argument!r} in {spec!r}")
        values[target] = _converted(parsed.name, target, parsed.argument, hints[target])
    for key, text in parsed.options.items():
        if key not in fields:
            known = f"its options are {', '.join(fields)}" if fields else "it has none"
            raise SpecError(f"{parsed.name} has no option {key!r}{_did_you_mean(key, fields)}; {known}")
        if key in values:
            raise SpecError(f"the option {key!r} stands twice in {spec!r}")
        values[key] = _converted(parsed.name, key, text, hints[key])
    needed = [name for name, field in fields.items() if name not in values and is_required(field)]
    if needed:
        raise SpecError(f"{parsed.name} needs an argument, its {needed[0]}: expected {parsed.name}:{needed[0].upper()}")
    try:
        return factory(**values)
    except ValueError as error:
        raise SpecError(f"{parsed.name}: {error}") from error


def is_required(field: "dataclasses.Field[Any]") -> bool:
    """Whether an option of a model has no default."""
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _converted(name: str, key: str, text: str, hint: Any) -> Any:
    """Return an option's text as the type of its field."""
    if isinstance(hint, types.UnionType):
        if text == "none":
            return None
        hint = next(member for member in typing.get_args(hint) if member is not types.NoneType)
    if typing.get_origin(hint) is Literal:
        choices = typing.get_args(hint)
        if text in choices:
            return text
        raise SpecError(f"{name}: {key} must be one of {', '.join(choices)}, got {text!r}")
    if hint is bool:
        if text in ("true", "false"):
            return text == "true"
        raise SpecError(f"{name}: {key} must be true or false, got {text!r}")
    words = {int: "an integer", float: "a number", str: "text"}
    try:
        return hint(text)
    except ValueError:
        raise SpecError(f"{name}: {key} must be {words[hint]}, got {text!r}") from None


def spec_of(model: object, *, full: bool = False) -> str:
    """Return the canonical spec of a loaded object: the argument first, then the options that are not defaults.

    With ``full``, defaults are written out too, so that the spec means the same when a default changes; an option that
    is none by default stays away. Raises ``ValueError`` for an object of a class that no name stands for.
    """
    target = f"{type(model).__module__}:{type(model).__qualname__}"
    name = next((entry.name for entry in entries() if entry.target == target), None)
    if name is None or not dataclasses.is_dataclass(model):
        raise ValueError(f"{model!r} has no spec: its class is not in the registry")
    argument = None
    options = {}
    for field in dataclasses.fields(model):
        value = getattr(model, field.name)
        if not field.init or (value == field.default and (value is None or not full)):
            continue
        text = str(value).lower() if isinstance(value, bool | None) else str(value)
        if field.name == getattr(model, "spec_argument", None):
            argument = text
        else:
            options[field.name] = text
    return str(Spec(name, argument, options))
