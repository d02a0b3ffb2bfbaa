"""How an archive names its model, and what must agree before a block is decoded."""

import hashlib
from collections.abc import Mapping
from typing import Any

from gencomp import registry
from gencomp.equivalence.adapt import as_predictor, predictor_spec
from gencomp.equivalence.capabilities import environment_of, fingerprint_of, revision_of
from gencomp.equivalence.nested import entries_of
from gencomp.errors import CorruptDataError, GencompError, ModelMismatchError
from gencomp.protocols import Predictor


def canary(model: Predictor) -> str:
    """Return 16 hexadecimal digits that change when ``model`` computes other distributions than before."""
    return hashlib.blake2b(fingerprint_of(model), digest_size=8).hexdigest()


def describe(model: Predictor) -> dict[str, Any]:
    """Return the header's entry for ``model``: its full spec, and its revision or its environment and canary."""
    if model.alphabet_size != 256:
        raise ValueError(f"a model of bytes needs 256 symbols, this one has {model.alphabet_size}")
    description: dict[str, Any] = {"spec": predictor_spec(model, full=True)}
    revision = revision_of(model)
    if revision is not None:
        return description | {"numeric": "integer", "revision": revision}
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
    there, here = description.get("environment"), environment_of(model)
    digests = here.keys() & {"weights", "state"}
    if not isinstance(there, dict) or not digests or any(there.get(name) != here[name] for name in digests):
        return False
    specs = (registry.parse_spec(text) for text in (description["spec"], predictor_spec(model, full=True)))
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
