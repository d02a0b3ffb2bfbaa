"""How an archive names its model, and what must agree before a block is decoded."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from gencomp.archive.environment import TRY_ANYWAY, advice, difference
from gencomp.budget import Cost
from gencomp.equivalence.adapt import Model, as_predictor, label_of, native, predictor_spec
from gencomp.equivalence.capabilities import environment_of, fingerprint_cost, fingerprint_of, revision_of
from gencomp.equivalence.identity import as_json, digests_of, identity_of, is_revision_of
from gencomp.errors import ArchiveError, CorruptDataError, GencompError, ModelMismatchError, SpecError
from gencomp.protocols import Predictor
from gencomp.registry import NO_DEFAULT, Tree, alike, find_entry, load, resolve, tree_of
from gencomp.specs import Spec, alone, brief, joined, parse_spec, separated

_DIGEST = "digest-"  # before the digest that stands in a spec for a file or folder
_COPIED = 500  # characters shown of a spec that the user may want to copy
_REASON = 400  # characters shown of why a model cannot be made, which may repeat a value from an archive

MAX_PROBED = 2  # numbers of lanes, those of the blocks at hand when the header is written


def canary(model: Predictor, lanes: Sequence[int] = ()) -> str:
    """Return 16 hexadecimal digits that change if ``model`` computes other distributions than before.

    ``lanes`` are the numbers of lanes to probe, if the model has lanes: by default one and the most.
    """
    return hashlib.blake2b(fingerprint_of(model, lanes), digest_size=8).hexdigest()


def check_describable(model: Predictor) -> None:
    """Raise ``ValueError`` for a model of anything but bytes."""
    if model.alphabet_size != 256:
        raise ValueError(f"a model of bytes needs 256 symbols, this one has {model.alphabet_size}")


def describe(model: Predictor, lanes: Sequence[int] = ()) -> dict[str, Any]:
    """Return the header's entry for ``model``: its full spec, and its revision or its environment and canary.

    A model that no spec names is described by its class, and decoding needs the object itself. ``lanes`` are the
    numbers of lanes of its blocks, for the canary to probe. An environment is given beside a revision if the bytes
    depend on more than gencomp's own integers: on weights.
    """
    check_describable(model)
    try:
        description: dict[str, Any] = {
            "spec": without_places(_as_written(predictor_spec(model, full=True), model), model)
        }
    except ValueError:
        description = {"object": label_of(model)}
    identity = identity_of(model)
    description |= identity.record()
    if not identity.is_portable:
        description["canary"] = canary(model, lanes)
        if lanes:
            description["lanes"] = list(lanes)
    return description


def without_places(spec: str, model: object | None = None) -> str:
    """Return a spec with digests in place of the paths of the files and folders that it names.

    ``model`` is what the spec names, if it is loaded already.
    """
    tree = tree_of(spec)
    if not any(inside.places for inside in tree.walk()):
        return spec
    options = dict(parse_spec(spec).options)
    argument = tree.entry.argument
    if argument is not None and argument in tree.options:
        options[argument] = tree.options[argument]
    for name in tree.members:
        inside = separated(options[name]) if name in tree.entry.lists else (alone(options[name]),)
        options[name] = joined(map(without_places, inside))
    if tree.places:
        digests = environment_of(load(spec) if model is None else model)
        for name in (*tree.entry.files, *tree.entry.folders):
            if options.get(name) in tree.places:
                options[name] = _DIGEST + str(digests["state" if name == "state" else "weights"])
    first = None if argument is None else options.pop(argument, None)
    return str(Spec(tree.entry.name, first, options))


def load_described(
    description: Mapping[str, Any], chosen: Model | None = None, *, try_anyway: bool = False
) -> Predictor:
    """Return the model that an archive's header names, checked against it.

    ``chosen`` is an object or the user's own spec. That must be the archive's, except for the paths of files and
    folders, and for options that it may leave out: those that archives did not have at first, and those that the writer
    found. Without it, only what the package holds is loaded: an archive cannot make anybody import another package or
    open a path. With ``try_anyway``, a model of another revision or with other weights is tried. Raises
    :class:`~gencomp.errors.ModelMismatchError`.
    """
    if isinstance(description.get("object"), str):
        return _load_object(description, chosen, try_anyway)
    spec = description.get("spec")
    if not isinstance(spec, str):
        raise ModelMismatchError("the archive names no model that this gencomp knows; install a newer one")
    model = _load_own(spec) if chosen is None else _load_chosen(spec, chosen)
    _check_same(description, model, spec, try_anyway)
    if not try_anyway and (chosen is not None or revision_of(model) is not None):
        _check_digests(description, model, spec)
    return model


def _load_chosen(spec: str, chosen: Model) -> Predictor:
    """Return the user's model if it is the archive's, with every option alike except the paths of files and folders."""
    spec = _as_it_was(spec)
    named = chosen if isinstance(chosen, str) else _full_spec(as_predictor(chosen))
    with_options = None if named is None else _with_options_of(spec, named)
    # an object stays the one that it is, unless the writer found options for one like it
    model = as_predictor(chosen if with_options is None or with_options == named else with_options)
    spec, found = _as_written(spec, model), _full_spec(model)
    try:
        is_alike = found is not None and alike(tree_of(found), tree_of(spec))
    except SpecError as error:
        raise _not_here(spec, str(error)) from error
    if not is_alike:
        raise ModelMismatchError(
            f"the archive was made with model='{brief(spec)}', not '{brief(found or label_of(model))}'"
        )
    return model


def _as_written(spec: str, model: Predictor) -> str:
    """Return a spec of ``model`` as archives have it: options that change no result have a fixed value or none.

    These are its ``written_options``, such as the device that it computes on.
    """
    written = getattr(native(model), "written_options", {})
    parsed = parse_spec(spec)
    options = {name: str(written.get(name, value)) for name, value in parsed.options.items()}
    kept = {name: value for name, value in options.items() if written.get(name) is not NO_DEFAULT}
    return str(Spec(parsed.name, parsed.argument, kept)) if written else spec


def _full_spec(model: Predictor) -> str | None:
    """Return the spec of ``model`` with every option, or None if no spec names it."""
    try:
        return _as_written(predictor_spec(model, full=True), model)
    except ValueError:
        return None


def _load_object(description: Mapping[str, Any], chosen: Model | None, try_anyway: bool) -> Predictor:
    """Return the user's object, once its revision and digests agree with the archive's; its canary is checked later."""
    name = description["object"]
    if chosen is None or isinstance(chosen, str):
        raise ModelMismatchError(
            f"the archive was made with an object of the class {brief(name)}, which no spec names; "
            "decode it in Python, by gencomp.decompress(archive, model=the object)"
        )
    model = as_predictor(chosen)
    _check_same(description, model, name, try_anyway)
    if not try_anyway:
        _check_digests(description, model, name)
    return model


def _as_it_was(spec: str) -> str:
    """Return an archive's spec with the options that did not exist when it was made, at what was fixed then.

    Members of other models need none, since they are asked for one byte after another.
    """
    try:
        parsed = parse_spec(spec)
        entry = find_entry(parsed.name)
        fixed = getattr(resolve(entry), "once_fixed", {}) if entry.is_own else {}
    except GencompError:  # said where it is loaded
        return spec
    options = {name: str(value) for name, value in fixed.items() if name not in parsed.options}
    return str(Spec(parsed.name, parsed.argument, {**parsed.options, **options})) if options else spec


def _with_options_of(spec: str, chosen: str) -> str:
    """Return the user's spec with the archive's options that it leaves out: how blocks are coded, what was found."""
    try:
        there, here = parse_spec(spec), parse_spec(chosen)
        kind = resolve(find_entry(here.name))
        names = [*getattr(kind, "once_fixed", {}), *getattr(kind, "found_options", ())]
    except GencompError:  # said where it is loaded
        return chosen
    added = {name: there.options[name] for name in names if name in there.options and name not in here.options}
    if there.name != here.name or not added:
        return chosen
    return str(Spec(here.name, here.argument, {**here.options, **added}))


def _check_digests(description: Mapping[str, Any], model: Predictor, spec: str) -> None:
    """Compare the digests of what is on disk: its contents decide, not its path."""
    try:
        here = identity_of(model).digests
    except (OSError, CorruptDataError) as error:
        raise _unread(spec, error) from error
    there = digests_of(description.get("environment"))
    if there != here:
        raise ModelMismatchError(
            f"the archive was made with {_joined(there)}, found {_joined(here)} here; "
            "name the file or folder that it was made with by model="
        )


def _joined(digests: list[tuple[str, str]]) -> str:
    return brief(", ".join(f"{kind} {digest}" for kind, digest in digests)) or "none on disk"


def _load_own(spec: str) -> Predictor:
    try:
        tree = tree_of(spec)
        for inside in tree.walk():
            if not inside.entry.is_own:
                raise ModelMismatchError(
                    f"the archive needs '{brief(spec)}' of the package {inside.entry.distribution}; "
                    f"if you trust it, say model='{brief(spec, _COPIED)}'"
                )
            if inside.places:
                to_copy = re.sub(_DIGEST + "[0-9a-f]+", "FOLDER" if inside.entry.folders else "FILE", spec)
                raise ModelMismatchError(
                    f"the archive was made with {_joined_places(inside)}, and it opens nothing on disk by itself; "
                    f"name it, wherever it is now, as in model='{brief(to_copy, _COPIED)}'"
                )
        return as_predictor(_as_it_was(spec))
    except ModelMismatchError:
        raise
    except GencompError as error:
        raise _not_here(spec, str(error)) from error


def _joined_places(tree: Tree) -> str:
    kind = "the model folder" if not tree.entry.files else "the state" if "state" in tree.options else "the file"
    named = (
        f"of the digest {brief(place.removeprefix(_DIGEST))}" if place.startswith(_DIGEST) else repr(brief(place))
        for place in tree.places  # archives of gencomp 0.1 have a path here
    )
    return f"{kind} {', '.join(named)}"


def _unread(spec: object, error: Exception) -> ModelMismatchError:
    return _not_here(spec, f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error))


def _not_here(spec: object, why: str) -> ModelMismatchError:
    return ModelMismatchError(
        f"the archive needs the model '{brief(str(spec))}', which is not here: {brief(why, _REASON)}; "
        "a model folder or state that has moved is named by model="
    )


def _check_same(description: Mapping[str, Any], model: Predictor, spec: str, try_anyway: bool) -> None:
    """Compare what is quickly compared: the alphabet and the revision."""
    if model.alphabet_size != 256:
        raise ModelMismatchError(
            f"the archive's model '{brief(spec)}' has {model.alphabet_size} symbols; bytes need 256"
        )
    made_with = description.get("revision")
    if description.get("numeric") == "integer" and not try_anyway and not is_revision_of(made_with, model):
        raise ModelMismatchError(
            f"the archive was made with revision {brief(str(made_with))} of '{brief(spec)}'; this gencomp has revision "
            f"{brief(str(as_json(revision_of(model))))}: install the version of gencomp that made it; or let "
            f"{TRY_ANYWAY} decode, with the check of every block as the judge"
        )


def canary_cost(description: Mapping[str, Any], model: Predictor) -> Cost:
    """Return what :func:`check_canary` takes at most."""
    return Cost() if description.get("numeric") == "integer" else fingerprint_cost(model)


def check_canary(description: Mapping[str, Any], model: Predictor) -> None:
    """Check that a model that depends on its environment computes what it did; else raise ModelMismatchError."""
    if description.get("numeric") == "integer":
        return
    try:
        found = canary(model, _lanes(description))
    except (OSError, CorruptDataError) as error:
        raise _unread(name_of(description), error) from error
    if description.get("canary") == found:
        return
    there, here = description.get("environment"), dict(environment_of(model))
    raise ModelMismatchError(
        f"'{brief(name_of(description))}' computes differently here: {difference(there, here)}; {advice(there, here)}"
    )


def name_of(description: Mapping[str, Any]) -> str:
    """Return the archive's name for its model: a spec, or an object's class."""
    return str(description.get("spec", description.get("object")))


def _lanes(description: Mapping[str, Any]) -> list[int]:
    """Return the numbers of lanes that the canary probed; older archives name none, and probed one and the most."""
    lanes = description.get("lanes", [])
    if not isinstance(lanes, list) or len(lanes) > MAX_PROBED or not all(map(_is_count, lanes)):
        raise ArchiveError("the archive is invalid: the lanes of its canary are not a short list of integers")
    return lanes


def _is_count(value: object) -> bool:
    return type(value) is int and abs(value) < 1 << 31
