"""How an archive names its model, and what must agree before a block is decoded."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from gencomp import registry
from gencomp.archive.environment import TRY_ANYWAY, advice, difference
from gencomp.equivalence.adapt import Model, as_predictor, label_of, predictor_spec
from gencomp.equivalence.capabilities import environment_of, fingerprint_of, revision_of
from gencomp.equivalence.nested import entries_of
from gencomp.errors import ArchiveError, CorruptDataError, GencompError, ModelMismatchError
from gencomp.protocols import Predictor

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
    of lanes of blocks of it, which the canary then probes.
    """
    check_describable(model)
    try:
        description: dict[str, Any] = {"spec": predictor_spec(model, full=True)}
    except ValueError:
        description = {"object": label_of(model)}
    revision = revision_of(model)
    if revision is not None:
        return description | {"numeric": "integer", "revision": revision}
    return description | {
        "numeric": "environment",
        "environment": dict(environment_of(model)),
        "canary": canary(model, lanes),
        **({"lanes": list(lanes)} if lanes else {}),
    }


def load_described(
    description: Mapping[str, Any], chosen: Model | None = None, *, try_anyway: bool = False
) -> Predictor:
    """Return the model that an archive's header names, checked against it.

    ``chosen`` is the user's own spec, whose options are the archive's where it does not say them, or an object.
    Without it only gencomp's own names are loaded: an archive cannot make anybody import another package. With
    ``try_anyway`` a model of another revision is tried. Raises :class:`~gencomp.errors.ModelMismatchError`.
    """
    if isinstance(description.get("object"), str):
        return _load_object(description, chosen, try_anyway)
    spec = description.get("spec")
    if not isinstance(spec, str):
        raise ModelMismatchError("the archive names no model that this gencomp knows; install a newer one")
    description = {**description, "spec": (spec := _as_it_was(spec))}
    if chosen is not None:
        model = as_predictor(_with_options_of(spec, chosen) if isinstance(chosen, str) else chosen)
        found = _full_name(model)
        if found != spec and not _is_moved(description, model):
            raise ModelMismatchError(f"the archive was made with -m '{spec}', not '{found}'")
    else:
        model = _load_own(spec)
    _check_same(description, model, spec, try_anyway)
    return model


def _full_name(model: Predictor) -> str:
    try:
        return predictor_spec(model, full=True)
    except ValueError:
        return label_of(model)


def _load_object(description: Mapping[str, Any], chosen: Model | None, try_anyway: bool) -> Predictor:
    """Return the user's object, which its revision or canary tells from others."""
    name = description["object"]
    if chosen is None or isinstance(chosen, str):
        raise ModelMismatchError(
            f"the archive was made with an object of the class {name}, which no spec names; "
            "decode it in Python, by gencomp.decompress(archive, model=the object)"
        )
    model = as_predictor(chosen)
    _check_same(description, model, name, try_anyway)
    return model


def _as_it_was(spec: str) -> str:
    """Return an archive's spec with the options that did not exist when it was made: what they were fixed to then."""
    try:
        parsed = registry.parse_spec(spec)
        entry = registry.find_entry(parsed.name)
        fixed = getattr(registry.resolve(entry), "once_fixed", {}) if entry.distribution == "gencomp" else {}
    except GencompError:  # said where it is loaded
        return spec
    options = {name: str(value) for name, value in fixed.items() if name not in parsed.options}
    return str(registry.Spec(parsed.name, parsed.argument, {**parsed.options, **options})) if options else spec


def _with_options_of(spec: str, chosen: str) -> str:
    """Return the user's spec with the archive's number where it leaves out an option that says how blocks are coded."""
    try:
        there, here = registry.parse_spec(spec), registry.parse_spec(chosen)
        once_fixed = getattr(registry.resolve(registry.find_entry(here.name)), "once_fixed", {})
    except GencompError:  # said where it is loaded
        return chosen
    added = {name: there.options[name] for name in once_fixed if name in there.options and name not in here.options}
    if there.name != here.name or not added:
        return chosen
    return str(registry.Spec(here.name, here.argument, {**here.options, **added}))


def _is_moved(description: Mapping[str, Any], model: Predictor) -> bool:
    """Whether ``model`` is the archive's from another place: the same weights or state, and every option alike."""
    there, here = description.get("environment"), environment_of(model)
    digests = here.keys() & {"weights", "state"}
    if not isinstance(there, dict) or not digests or any(there.get(name) != here[name] for name in digests):
        return False
    specs = (registry.parse_spec(text) for text in (description["spec"], _full_name(model)))
    (name, options), (other_name, other_options) = ((spec.name, dict(spec.options)) for spec in specs)
    for places in (options, other_options):
        places.pop("state", None)
    return name == other_name and options == other_options


def _load_own(spec: str) -> Predictor:
    try:
        for entry in entries_of(spec):
            if entry.distribution != "gencomp":
                raise ModelMismatchError(
                    f"the archive needs '{spec}' of the package {entry.distribution}; if you trust it, add -m '{spec}'"
                )
        return as_predictor(spec)
    except ModelMismatchError:
        raise
    except GencompError as error:
        raise _not_here(spec, str(error)) from error


def _not_here(spec: object, why: str) -> ModelMismatchError:
    return ModelMismatchError(
        f"the archive needs the model '{spec}', which is not here: {why}; "
        "a model folder or state that has moved is named with -m"
    )


def _check_same(description: Mapping[str, Any], model: Predictor, spec: str, try_anyway: bool) -> None:
    """Compare what costs nothing to compare."""
    if model.alphabet_size != 256:
        raise ModelMismatchError(f"the archive's model '{spec}' has {model.alphabet_size} symbols; bytes need 256")
    revision = revision_of(model)
    if description.get("numeric") == "integer" and description.get("revision") != revision and not try_anyway:
        raise ModelMismatchError(
            f"the archive was made with revision {description.get('revision')} of '{spec}'; this gencomp has "
            f"revision {revision}: install the version of gencomp that made it; or let {TRY_ANYWAY} decode, with the "
            "check of every block as the judge"
        )


def check_canary(description: Mapping[str, Any], model: Predictor) -> None:
    """Compare what a model that depends on its environment computes; raise ModelMismatchError where it differs."""
    if description.get("numeric") == "integer":
        return
    try:
        found = canary(model, _lanes(description))
    except FileNotFoundError as error:
        raise _not_here(description.get("spec"), f"{error.filename}: {error.strerror}") from error
    except CorruptDataError as error:
        raise _not_here(description.get("spec"), str(error)) from error
    if description.get("canary") == found:
        return
    there, here = description.get("environment"), dict(environment_of(model))
    raise ModelMismatchError(
        f"'{description.get('spec', description.get('object'))}' computes differently here: "
        f"{difference(there, here)}; {advice(there, here)}"
    )


def _lanes(description: Mapping[str, Any]) -> list[int]:
    """Return the numbers of lanes that the canary probed; none in older archives, where it was one and the most."""
    lanes = description.get("lanes", [])
    if not isinstance(lanes, list) or len(lanes) > MAX_PROBED or any(type(count) is not int for count in lanes):
        raise ArchiveError("the archive is invalid: the lanes of its canary are no short list of integers")
    return lanes
