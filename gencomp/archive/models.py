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

_DIGEST = "digest-"  # before what stands in a spec for a file or a folder
_COPIED = 500  # characters of a spec that the user may want to copy
_REASON = 400  # characters of why a model cannot be made, which may repeat a value that an archive gives

MAX_PROBED = 2  # numbers of lanes: those of the blocks that are at hand when the header is written


def canary(model: Predictor, lanes: Sequence[int] = ()) -> str:
    """Return 16 hexadecimal digits that change when ``model`` computes other distributions than before.

    ``lanes`` are the numbers of lanes that are probed, where the model has lanes: by default one and the most.
    """
    return hashlib.blake2b(fingerprint_of(model, lanes), digest_size=8).hexdigest()


def check_describable(model: Predictor) -> None:
    """Raise ``ValueError`` for a model of anything but bytes."""
    if model.alphabet_size != 256:
        raise ValueError(f"a model of bytes needs 256 symbols, this one has {model.alphabet_size}")


def describe(model: Predictor, lanes: Sequence[int] = ()) -> dict[str, Any]:
    """Return the header's entry for ``model``: its full spec, and its revision or its environment and canary.

    A model that no spec names is described by its class, and whoever decodes has it at hand. ``lanes`` are the numbers
    of lanes of blocks of it, which the canary then probes. Beside a revision stands an environment where the bytes
    depend on more than integers that gencomp has: on weights.
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
    """Return a spec with the digest of each file and folder that it names in place of where that is.

    ``model`` is what the spec names, where it is at hand.
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

    ``chosen`` is the user's own spec, or an object. It must be the archive's, but for where its files and folders are,
    and for options that it leaves out: those that are younger than archives, and those that the writer found. Without
    it an archive loads only what gencomp has in its package: it cannot make anybody import another package, or open a
    path. With ``try_anyway`` a model of another revision, or with other weights, is tried. Raises
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
    """Return the user's model if it is the archive's, every option alike but where its files and folders are."""
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
    """Return a spec of ``model`` as archives have it: what changes no result stands there as one value, or not at all.

    These are its ``written_options``, such as where it is computed.
    """
    written = getattr(native(model), "written_options", {})
    parsed = parse_spec(spec)
    options = {name: str(written.get(name, value)) for name, value in parsed.options.items()}
    kept = {name: value for name, value in options.items() if written.get(name) is not NO_DEFAULT}
    return str(Spec(parsed.name, parsed.argument, kept)) if written else spec


def _full_spec(model: Predictor) -> str | None:
    """Return the spec of ``model`` with every option, None where none names it."""
    try:
        return _as_written(predictor_spec(model, full=True), model)
    except ValueError:
        return None


def _load_object(description: Mapping[str, Any], chosen: Model | None, try_anyway: bool) -> Predictor:
    """Return the user's object, which its revision or canary, and its digests, tell from others."""
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
    """Return an archive's spec with the options that did not exist when it was made: what they were fixed to then.

    Members of other models need none: they are asked for one byte after another.
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
    """Compare the contents of what is on disk, which decide, wherever it is."""
    try:
        here = identity_of(model).digests
    except (OSError, CorruptDataError) as error:
        raise _unread(spec, error) from error
    there = digests_of(description.get("environment"))
    if there != here:
        raise ModelMismatchError(
            f"the archive was made with {_joined(there)}, found {_joined(here)} here; "
            "name by model= the file or folder that it was made with"
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
        for place in tree.places  # of an archive of before, the place where it was
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
    """Compare what costs nothing to compare."""
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
    """Compare what a model that depends on its environment computes; raise ModelMismatchError where it differs."""
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
    """Return what the archive calls its model: a spec, or an object's class."""
    return str(description.get("spec", description.get("object")))


def _lanes(description: Mapping[str, Any]) -> list[int]:
    """Return the numbers of lanes that the canary probed; none in older archives, where it was one and the most."""
    lanes = description.get("lanes", [])
    if not isinstance(lanes, list) or len(lanes) > MAX_PROBED or not all(map(_is_count, lanes)):
        raise ArchiveError("the archive is invalid: the lanes of its canary are no short list of integers")
    return lanes


def _is_count(value: object) -> bool:
    return type(value) is int and abs(value) < 1 << 31
