"""Names to models and codecs: the spec strings ``name[:argument][?key=value&key=value]``.

A name stands for a ``"module:Class"`` target, imported when it is first loaded. Its options are the arguments of the
class: the fields of a dataclass, else the parameters of ``__init__``. The object keeps them as attributes of the same
names, so that a spec gives the object and the object the spec. The class attribute ``spec_argument`` names the option
that ``:argument`` sets. Other packages add names through the entry-point groups ``gencomp.compressors`` and
``gencomp.predictors``; a name that is taken is refused, never replaced.

An entry declares which options hold other specs, and which name files or folders. So :func:`tree_of`, the one gate for
models made of models, can walk all of a spec before anything in it is imported.
"""

import dataclasses
import difflib
import functools
import importlib
import inspect
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from gencomp.errors import GencompError, MissingExtraError, SpecError
from gencomp.specs import Spec, alone, brief, parse_spec, separated

if TYPE_CHECKING:  # else `gencomp --help`, which needs names only, would spend half of its time importing numpy
    from gencomp.protocols import Compressor, Predictor

__all__ = [
    "DEFAULT_MODEL",
    "SMALL_INPUT",
    "SMALL_INPUT_MODEL",
    "Entry",
    "Kind",
    "Spec",
    "Tree",
    "alike",
    "entries",
    "find_entry",
    "load",
    "model_of_level",
    "models_for_size",
    "parse_spec",
    "refused_plugins",
    "register",
    "resolve",
    "spec_of",
    "tree_of",
]

Kind = Literal["compressor", "predictor"]

MAX_DEPTH = 8  # of specs within specs: nobody means more
MAX_MODELS = 512  # in one spec: an ensemble of ensembles


@dataclasses.dataclass(frozen=True)
class Entry:
    """One name of the registry. ``extra`` is the pip extra that installs what the target imports.

    ``argument`` is the option that ``name:argument`` sets. ``lists`` are the options that name several models in the
    notation of :mod:`gencomp.specs`, ``partners`` those that name one. ``files`` and ``folders`` are the options whose
    values are places on disk, except ``shipped`` values, which name what is in the package. ``is_large`` says that the
    model on disk is a language model, which may take hours whatever the archive's size.
    """

    name: str
    kind: Kind
    target: str
    summary: str
    extra: str | None = None
    distribution: str = "gencomp"
    argument: str | None = None
    lists: tuple[str, ...] = ()
    partners: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    shipped: tuple[str, ...] = ()
    is_large: bool = False

    @property
    def is_own(self) -> bool:
        """Whether this is gencomp's own code, not another package's that calls itself so."""
        return self.distribution == "gencomp" and self.target.startswith("gencomp.")


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
        "counts",
        "predictor",
        "gencomp.predictors.counts:Counts",
        "adaptive order-k counts with absolute discounting",
        argument="order",
    ),
    Entry(
        "mix",
        "predictor",
        "gencomp.predictors.mix.predictor:Mix",
        "context mixing of text, records and repeats",
        argument="level",
        partners=("expert",),
        files=("state",),
    ),
    Entry(
        "lz78",
        "predictor",
        "gencomp.predictors.lz78:Lz78",
        "the counts along LZ78's parsing, byte by byte",
        argument="gamma",
    ),
    Entry(
        "ctw",
        "predictor",
        "gencomp.predictors.ctw:Ctw",
        "context tree weighting: all context trees up to a depth",
        argument="depth",
    ),
    Entry(
        "rnn",
        "predictor",
        "gencomp.predictors.recurrent.predictor:Recurrent",
        "a recurrent network in integers: the one in the package, or rnn:FILE.safetensors",
        argument="weights",
        files=("weights", "state"),
    ),
    Entry(
        "best",
        "predictor",
        "gencomp.predictors.mix.best:Best",
        "mix with the recurrent network inside: the smallest archives",
        argument="level",
        files=("weights", "state"),
    ),
    Entry(
        "transformer",
        "predictor",
        "gencomp.predictors.language.transformer:Transformer",
        "a byte-level Transformer: the one in the package, or transformer:FOLDER",
        "lm",
        argument="model",
        folders=("model",),
        shipped=("800k",),
        is_large=True,
    ),
    Entry(
        "hf",
        "predictor",
        "gencomp.predictors.language.huggingface:HuggingFace",
        "any causal language model of transformers: hf:FOLDER, or a hub id in the local cache",
        "lm",
        argument="model",
        folders=("model",),
        is_large=True,
    ),
    Entry(
        "gguf",
        "predictor",
        "gencomp.predictors.language.gguf:Gguf",
        "a language model in a GGUF file, in integers: gguf:FILE.gguf",
        "lm",
        argument="model",
        files=("model",),
        is_large=True,
    ),
    Entry(
        "ensemble",
        "predictor",
        "gencomp.equivalence.ensemble:Ensemble",
        "several models' mean: ensemble:gzip,lzma+preset=6,mix; one in several windows",
        argument="members",
        lists=("members",),
    ),
    Entry(
        "lookahead",
        "predictor",
        "gencomp.equivalence.lookahead:Lookahead",
        "a codec's sum over continuations: lookahead:gzip, lookahead:zlib+level=6",
        argument="model",
        lists=("model",),
    ),
)

DEFAULT_MODEL = "mix"  # strong on everything, and fast

# if the user names no model, up to this many bytes are also compressed with the strongest, which takes a few seconds
SMALL_INPUT = 1 << 18
SMALL_INPUT_MODEL = "best"


def models_for_size(size: int) -> tuple[str, ...]:
    """Return the specs that ``size`` bytes are compressed with by default; the smallest archive is kept.

    On data unlike what it was trained on, the strongest model's network misleads, at a cost of up to some 2 %. The
    other takes a tenth of the time.
    """
    return (SMALL_INPUT_MODEL, DEFAULT_MODEL) if size <= SMALL_INPUT else (DEFAULT_MODEL,)


def model_of_level(level: int) -> str:
    """Return the spec that ``gencomp compress -LEVEL`` stands for, 1 to 9: from 7 on with a network inside."""
    return f"{'best' if level >= 7 else 'mix'}:{level}"


_ENTRIES = {entry.name: entry for entry in _BUILTIN}


def register(entry: Entry) -> None:
    """Add a name for this process.

    Raises ``ValueError`` if the name is taken, if the target cannot be imported, and if it is not what it claims to be:
    a member that a model needs is missing, or a capability is misspelt or only half there. A target whose extra is not
    installed is checked once it is.
    """
    taken = _ENTRIES.get(entry.name)
    if taken is not None:
        raise ValueError(f"the name {entry.name!r} is taken by {taken.target} of {taken.distribution}; choose another")
    try:
        resolve(entry)
    except MissingExtraError:
        pass
    except GencompError as error:
        raise ValueError(str(error)) from error
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
    """Return every usable entry: first the built-in ones in their order, then other packages' by name."""
    return [*_ENTRIES.values(), *_plugins()[0]]


def refused_plugins() -> list[str]:
    """Return a line for each name of another package that is refused, with the reason."""
    return list(_plugins()[1])


def find_entry(name: str) -> Entry:
    """Return the entry of ``name``; if there is none, raise :class:`SpecError` with the nearest names."""
    if name in _ENTRIES:
        return _ENTRIES[name]
    for entry in _plugins()[0]:
        if entry.name == name:
            return entry
    for line in refused_plugins():
        if line.startswith(repr(name)):
            raise SpecError(f"the name is refused: {line}")
    names = [entry.name for entry in entries()]
    raise SpecError(
        f"unknown model or codec {brief(name)!r}{_did_you_mean(name, names)}; `gencomp list` shows all of them"
    )


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word[:80], list(known), n=2)
    return f"; did you mean {' or '.join(close)}?" if close else ""


@dataclasses.dataclass(frozen=True)
class Tree:
    """A spec and those inside it, found from what entries declare, without importing anything.

    ``options`` are the texts of all options given, with the argument under its option's name; ``members`` are the trees
    of those that hold specs.
    """

    entry: Entry
    options: Mapping[str, str]
    members: Mapping[str, tuple["Tree", ...]]

    def walk(self) -> Iterator["Tree"]:
        """Yield this tree and all inside it."""
        yield self
        for trees in self.members.values():
            for tree in trees:
                yield from tree.walk()

    @property
    def places(self) -> tuple[str, ...]:
        """The places on disk that this spec's own options name."""
        given = (self.options.get(name, "none") for name in (*self.entry.files, *self.entry.folders))
        return tuple(value for value in given if value not in ("none", *self.entry.shipped))

    @property
    def holds_large(self) -> bool:
        """Whether any spec in this tree names a language model on disk."""
        return any(tree.entry.is_large and tree.places for tree in self.walk())


def tree_of(text: str) -> Tree:
    """Return the tree of a spec: the one gate that every model made of models passes before it is loaded.

    Raises :class:`SpecError` on an unknown name, more than ``MAX_DEPTH`` levels, or more than ``MAX_MODELS`` models.
    """
    return _tree_of(text, 0, [MAX_MODELS])


def _tree_of(text: str, depth: int, left: list[int]) -> Tree:
    """Do as :func:`tree_of`; ``left`` holds how many more models are allowed."""
    if depth > MAX_DEPTH:
        raise SpecError(f"{brief(text)!r} is nested deeper than {MAX_DEPTH} levels; name its models more directly")
    left[0] -= 1
    if left[0] < 0:
        raise SpecError(f"the spec names more than {MAX_MODELS} models; leave some out")
    spec = parse_spec(text)
    entry = find_entry(spec.name)
    options = dict(spec.options)
    if spec.argument is not None:
        options.setdefault(entry.argument or "", spec.argument)
    inside = {name: separated(options[name]) for name in entry.lists if name in options}
    inside |= {name: (alone(options[name]),) for name in entry.partners if options.get(name, "none") != "none"}
    members = {name: tuple(_tree_of(spec, depth + 1, left) for spec in specs) for name, specs in inside.items()}
    return Tree(entry, options, members)


def alike(one: Tree, other: Tree) -> bool:
    """Return whether two trees name the same models with the same options; places on disk are not compared.

    Options that are not given count as their defaults, for which the classes of ``one`` are imported.
    """
    if one.entry != other.entry:
        return False
    entry, defaults = one.entry, _defaults(one.entry)
    apart = {*entry.files, *entry.folders, *entry.lists, *entry.partners}
    plain, other_plain = (
        {name: text for name, text in (defaults | dict(tree.options)).items() if name not in apart}
        for tree in (one, other)
    )
    kept = [tuple(tree.options.get(name) in entry.shipped for name in entry.folders) for tree in (one, other)]
    if plain != other_plain or kept[0] != kept[1]:
        return False
    for name in (*entry.lists, *entry.partners):
        pairs = [tree.members.get(name) or _default_members(entry, name, defaults) for tree in (one, other)]
        if len(pairs[0]) != len(pairs[1]) or not all(map(alike, *pairs)):
            return False
    return True


def _default_members(entry: Entry, name: str, defaults: Mapping[str, str]) -> tuple[Tree, ...]:
    if defaults[name] == "none":
        return ()
    return tree_of(str(Spec(entry.name, None, {name: defaults[name]}))).members[name]


def _defaults(entry: Entry) -> dict[str, str]:
    """Return the text of every option that has a default."""
    options = options_of(resolve(entry)).values()
    return {option.name: _text(option.default) for option in options if not option.required}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool | None) else str(value)


def resolve(entry: Entry) -> Any:
    """Import the entry's target and return the class.

    Raises :class:`MissingExtraError` with the pip command, and :class:`GencompError` on what cannot be imported, or
    what another package offers but is not what it claims to be.
    """
    factory = _imported(entry)
    if not entry.is_own:
        from gencomp.contract import complaints

        wrong = complaints(entry.kind, factory, options_of(factory))
        if wrong:
            raise GencompError(f"{entry.name} of {entry.target} is refused: {'; '.join(wrong)}")
    return factory


def _imported(entry: Entry) -> Any:
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


def load(spec: str) -> "Predictor | Compressor":
    """Return the compressor or predictor that ``spec`` names.

    Raises :class:`SpecError` on an unknown name, option or value, :class:`MissingExtraError` if an optional package is
    missing.
    """
    tree_of(spec)
    parsed = parse_spec(spec)
    if any("\0" in value for value in (parsed.argument or "", *parsed.options.values())):
        raise SpecError(f"'{brief(spec)}' contains a zero byte, which no number, name or path may")
    factory = resolve(find_entry(parsed.name))
    options = options_of(factory)
    values: dict[str, Any] = {}
    if parsed.argument is not None:
        target = getattr(factory, "spec_argument", None)
        if target is None:
            raise SpecError(f"{parsed.name} takes no argument, got {brief(parsed.argument)!r} in {brief(spec)!r}")
        values[target] = _converted(parsed.name, target, parsed.argument, options[target].hint)
    for key, text in parsed.options.items():
        if key not in options:
            known = f"its options are {', '.join(options)}" if options else "it has none"
            raise SpecError(f"{parsed.name} has no option {brief(key)!r}{_did_you_mean(key, options)}; {known}")
        if key in values:
            raise SpecError(f"the option {key!r} is given twice in {brief(spec)!r}")
        values[key] = _converted(parsed.name, key, text, options[key].hint)
    needed = [name for name, option in options.items() if name not in values and option.required]
    if needed:
        raise SpecError(f"{parsed.name} needs an argument, its {needed[0]}: expected {parsed.name}:{needed[0].upper()}")
    try:
        model: Predictor | Compressor = factory(**values)
    except ValueError as error:
        raise SpecError(f"{parsed.name}: {brief(str(error), 600)}") from error
    return model


@dataclasses.dataclass(frozen=True)
class Option:
    """An argument of a model's class: its type, and its default, :data:`NO_DEFAULT` if it must be given."""

    name: str
    hint: Any
    default: Any

    @property
    def required(self) -> bool:
        return self.default is NO_DEFAULT


NO_DEFAULT: Any = object()


def options_of(factory: Any) -> dict[str, Option]:
    """Return the options of a class by name: the fields of a dataclass, else the parameters of its ``__init__``.

    A parameter without a type has its default's, or is text.
    """
    if dataclasses.is_dataclass(factory):
        hints = typing.get_type_hints(factory)
        fields = [field for field in dataclasses.fields(factory) if field.init]
        return {field.name: Option(field.name, hints[field.name], _default(field)) for field in fields}
    hints = typing.get_type_hints(factory.__init__) if factory.__init__ is not object.__init__ else {}
    options = {}
    for name, parameter in inspect.signature(factory).parameters.items():
        if parameter.kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY):
            default = NO_DEFAULT if parameter.default is inspect.Parameter.empty else parameter.default
            untyped = str if default in (None, NO_DEFAULT) else type(default)
            options[name] = Option(name, hints.get(name, untyped), default)
    return options


def _default(field: "dataclasses.Field[Any]") -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return NO_DEFAULT if field.default is dataclasses.MISSING else field.default


def _converted(name: str, key: str, text: str, hint: Any) -> Any:
    """Return an option's text as the type of its field."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        if text == "none":
            return None
        hint = next(member for member in typing.get_args(hint) if member is not types.NoneType)
    if typing.get_origin(hint) is Literal:
        choices = typing.get_args(hint)
        if text in choices:
            return text
        raise SpecError(f"{name}: {key} must be one of {', '.join(choices)}, got {brief(text)!r}")
    if hint is bool:
        if text in ("true", "false"):
            return text == "true"
        raise SpecError(f"{name}: {key} must be true or false, got {brief(text)!r}")
    words = {int: "an integer", float: "a number", str: "text"}
    try:
        return hint(text)
    except ValueError:
        raise SpecError(f"{name}: {key} must be {words.get(hint, 'of its type')}, got {brief(text)!r}") from None


def _name_of(known: Iterable[Entry], target: str) -> str | None:
    return next((entry.name for entry in known if entry.target == target), None)


def spec_of(model: object, *, full: bool = False) -> str:
    """Return the canonical spec of a loaded object: the argument first, then the options that are not defaults.

    With ``full``, defaults are written out too, so that the spec keeps its meaning when a default changes; only an
    option that is None by default is left out. Raises ``ValueError`` for an object whose class is not in the registry.
    """
    from gencomp.protocols import Compressor, Predictor

    target = f"{type(model).__module__}:{type(model).__qualname__}"
    name = _name_of(_ENTRIES.values(), target) or _name_of(_plugins()[0], target)
    if name is None:
        raise ValueError(f"{model!r} has no spec: its class is not in the registry")
    argument = None
    options = {}
    for option in options_of(type(model)).values():
        value = getattr(model, option.name, NO_DEFAULT)
        if value is NO_DEFAULT or isinstance(value, Predictor | Compressor):
            raise ValueError(f"{model!r} has no spec: no text stands for its {option.name}")
        if value == option.default and (value is None or not full):
            continue
        text = _text(value)
        if option.name == getattr(model, "spec_argument", None):
            argument = text
        else:
            options[option.name] = text
    return str(Spec(name, argument, options))
