"""How an archive names its model, and what must agree before a block is decoded."""

import hashlib
from collections.abc import Mapping
from typing import Any

from gencomp import registry
from gencomp.equivalence.adapt import as_predictor, native, predictor_spec
from gencomp.equivalence.capabilities import environment_of, fingerprint_of, revision_of
from gencomp.equivalence.nested import entries_of
from gencomp.errors import CorruptDataError, GencompError, ModelMismatchError
from gencomp.protocols import Predictor


def canary(model: Predictor) -> str:
    """Return 16 hexadecimal digits that change when ``model`` computes other distributions than before."""
    return hashlib.blake2b(fingerprint_of(model), digest_size=8).hexdigest()


def describe(model: Predictor) -> dict[str, Any]:
    """Return the header's entry for ``model``: its full spec, and its revision or its environment and canary.

    Beside a revision stands an environment where the bytes depend on more than integers that gencomp has: on weights.
    """
    if model.alphabet_size != 256:
        raise ValueError(f"a model of bytes needs 256 symbols, this one has {model.alphabet_size}")
    description: dict[str, Any] = {"spec": predictor_spec(model, full=True)}
    revision = revision_of(model)
    if revision is not None:
        digests = _digests(environment_of(model))
        beside = {"environment": digests} if digests else {}
        return description | {"numeric": "integer", "revision": revision} | beside
    return description | {
        "numeric": "environment",
        "environment": dict(environment_of(model)),
        "canary": canary(model),
    }


def load_described(description: Mapping[str, Any], chosen: str | None = None) -> Predictor:
    """Return the model that an archive's header names, checked against it.

    ``chosen`` is the user's own spec. Without it only gencomp's own names are loaded: an archive cannot make anybody
    import another package. Raises :class:`~gencomp.errors.ModelMismatchError`.
    """
    spec = description.get("spec")
    if not isinstance(spec, str):
        raise ModelMismatchError("the archive names no model that this gencomp knows; install a newer one")
    if chosen is not None:
        model = as_predictor(chosen)
        if predictor_spec(model, full=True) != spec and not _is_moved(description, model):
            raise ModelMismatchError(f"the archive was made with -m '{spec}', not '{predictor_spec(model, full=True)}'")
    else:
        model = _load_own(spec)
    _check_same(description, model, spec)
    return model


def _is_moved(description: Mapping[str, Any], model: Predictor) -> bool:
    """Whether ``model`` is the archive's from another place: the same weights or state, and every option alike."""
    spec = predictor_spec(model, full=True)
    if revision_of(model) is not None:  # its digests are compared with the revision
        factory = type(native(model))
        return _without_files(description["spec"], factory) == _without_files(spec, factory)
    there, here = description.get("environment"), environment_of(model)
    digests = here.keys() & {"weights", "state"}
    if not isinstance(there, dict) or not digests or any(there.get(name) != here[name] for name in digests):
        return False
    specs = (registry.parse_spec(text) for text in (description["spec"], spec))
    (name, options), (other_name, other_options) = ((spec.name, dict(spec.options)) for spec in specs)
    for places in (options, other_options):
        places.pop("state", None)
    return name == other_name and options == other_options


def _without_files(spec: str, factory: type) -> registry.Spec:
    """Return ``spec`` less the options that name files: its class, ``factory``, says in ``names_files`` which do."""
    parsed = registry.parse_spec(spec)
    files = getattr(factory, "names_files", ())
    argument = None if getattr(factory, "spec_argument", None) in files else parsed.argument
    return registry.Spec(parsed.name, argument, {k: v for k, v in parsed.options.items() if k not in files})


def _digests(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``environment`` without the parts that are empty."""
    return {name: value for name, value in environment.items() if value != {}}


def _load_own(spec: str) -> Predictor:
    try:
        for entry in entries_of(spec):
            if entry.distribution != "gencomp":
                raise ModelMismatchError(
                    f"the archive needs '{spec}' of the package {entry.distribution}; if you trust it, add -m '{spec}'"
                )
        parsed = registry.parse_spec(spec)
        if _without_files(spec, registry.resolve(registry.find_entry(parsed.name))) != parsed:
            raise ModelMismatchError(
                f"the archive was made with a file of the model '{spec}', and does not open it by itself: "
                "if it is yours, name it by -m, wherever it lies now"
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


def _check_same(description: Mapping[str, Any], model: Predictor, spec: str) -> None:
    """Compare what costs nothing to compare."""
    if model.alphabet_size != 256:
        raise ModelMismatchError(f"the archive's model '{spec}' has {model.alphabet_size} symbols; bytes need 256")
    revision = revision_of(model)
    if description.get("numeric") == "integer" and description.get("revision") != revision:
        raise ModelMismatchError(
            f"the archive was made with revision {description.get('revision')} of '{spec}'; this gencomp has "
            f"revision {revision}: install the version of gencomp that made it"
        )
    if revision is not None:
        there, here = description.get("environment", {}), _digests(environment_of(model))
        if there != here:
            raise ModelMismatchError(
                f"the archive was made with other weights of '{spec}': with {_words(there)}, found {_words(here)}; "
                "name the file that it was made with by -m"
            )


def check_canary(description: Mapping[str, Any], model: Predictor) -> None:
    """Compare what a model that depends on its environment computes; raise ModelMismatchError where it differs."""
    if description.get("numeric") == "integer":
        return
    try:
        found = canary(model)
    except FileNotFoundError as error:
        raise _not_here(description.get("spec"), f"{error.filename}: {error.strerror}") from error
    except CorruptDataError as error:
        raise _not_here(description.get("spec"), str(error)) from error
    if description.get("canary") == found:
        return
    there, here = description.get("environment"), dict(environment_of(model))
    raise ModelMismatchError(
        f"'{description.get('spec')}' computes differently here: made with {_words(there)}, found {_words(here)}; "
        "install what it was made with"
    )


def _words(environment: object) -> str:
    if not isinstance(environment, dict) or not environment:
        return "an unnamed environment"
    return ", ".join(f"{name} {value}" for name, value in sorted(environment.items()))
