"""How an archive names its model, and what must agree before a block is decoded."""

import hashlib
from collections.abc import Mapping
from typing import Any

from gencomp.budget import Cost
from gencomp.equivalence.adapt import as_predictor, predictor_spec
from gencomp.equivalence.capabilities import environment_of, fingerprint_cost, fingerprint_of, revision_of
from gencomp.errors import CorruptDataError, GencompError, ModelMismatchError, SpecError
from gencomp.protocols import Predictor
from gencomp.registry import Tree, alike, tree_of
from gencomp.specs import brief

_KINDS_OF_DIGESTS = ("weights", "state")


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
        environment = {name: value for name, value in environment_of(model).items() if value != {}}
        beside = {"environment": environment} if environment else {}
        return description | {"numeric": "integer", "revision": revision} | beside
    return description | {
        "numeric": "environment",
        "environment": dict(environment_of(model)),
        "canary": canary(model),
    }


def load_described(description: Mapping[str, Any], chosen: str | None = None) -> Predictor:
    """Return the model that an archive's header names, checked against it.

    ``chosen`` is the user's own spec, which must be the archive's, but for where its files and folders are. Without it
    an archive loads only what gencomp has in its package: it cannot make anybody import another package, or open a
    path. Raises :class:`~gencomp.errors.ModelMismatchError`.
    """
    spec = description.get("spec")
    if not isinstance(spec, str):
        raise ModelMismatchError("the archive names no model that this gencomp knows; install a newer one")
    model = _load_own(spec) if chosen is None else _load_chosen(spec, chosen)
    _check_same(description, model, spec)
    if chosen is not None or revision_of(model) is not None:
        _check_digests(description, model, spec)
    return model


def _load_chosen(spec: str, chosen: str) -> Predictor:
    """Return the user's model if it is the archive's, every option alike but where its files and folders are."""
    model = as_predictor(chosen)
    found = predictor_spec(model, full=True)
    try:
        is_alike = alike(tree_of(found), tree_of(spec))
    except SpecError as error:
        raise _not_here(spec, str(error)) from error
    if not is_alike:
        raise ModelMismatchError(f"the archive was made with -m '{brief(spec)}', not '{brief(found)}'")
    return model


def _check_digests(description: Mapping[str, Any], model: Predictor, spec: str) -> None:
    """Compare the contents of what is on disk, which decide, wherever it is."""
    try:
        here = _digests(environment_of(model))
    except (OSError, CorruptDataError) as error:
        raise _unread(spec, error) from error
    there = _digests(description.get("environment"))
    if there != here:
        raise ModelMismatchError(
            f"the archive was made with {_joined(there)}, found {_joined(here)} here; "
            "name with -m the file or folder that it was made with"
        )


def _digests(environment: object) -> list[tuple[str, str]]:
    """Return what an environment says of the contents of files and folders, wherever in it: (kind, digest), sorted."""
    found = []
    for name, value in environment.items() if isinstance(environment, Mapping) else ():
        kind = str(name).partition(" ")[0]  # an ensemble's two have longer names
        if kind in _KINDS_OF_DIGESTS:
            found.append((kind, str(value)))
        found += _digests(value)
    return sorted(found)


def _joined(digests: list[tuple[str, str]]) -> str:
    return brief(", ".join(f"{kind} {digest}" for kind, digest in digests)) or "none on disk"


def _load_own(spec: str) -> Predictor:
    try:
        tree = tree_of(spec)
        for inside in tree.walk():
            if not inside.entry.is_own:
                raise ModelMismatchError(
                    f"the archive needs '{brief(spec)}' of the package {inside.entry.distribution}; "
                    f"if you trust it, add -m '{brief(spec)}'"
                )
            if inside.places:
                raise ModelMismatchError(
                    f"the archive was made with {_joined_places(inside)}, and it opens nothing on disk by itself; "
                    f"name it, wherever it is now, with -m, as in -m '{brief(spec)}'"
                )
        return as_predictor(spec)
    except ModelMismatchError:
        raise
    except GencompError as error:
        raise _not_here(spec, str(error)) from error


def _joined_places(tree: Tree) -> str:
    kind = "the state" if tree.entry.files else "the model folder"
    return f"{kind} {', '.join(repr(brief(place)) for place in tree.places)}"


def _unread(spec: object, error: Exception) -> ModelMismatchError:
    return _not_here(spec, f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error))


def _not_here(spec: object, why: str) -> ModelMismatchError:
    return ModelMismatchError(
        f"the archive needs the model '{brief(str(spec))}', which is not here: {why}; "
        "a model folder or state that has moved is named with -m"
    )


def _check_same(description: Mapping[str, Any], model: Predictor, spec: str) -> None:
    """Compare what costs nothing to compare."""
    if model.alphabet_size != 256:
        raise ModelMismatchError(
            f"the archive's model '{brief(spec)}' has {model.alphabet_size} symbols; bytes need 256"
        )
    revision = revision_of(model)
    if description.get("numeric") == "integer" and description.get("revision") != revision:
        raise ModelMismatchError(
            f"the archive was made with revision {brief(str(description.get('revision')))} of '{brief(spec)}'; "
            f"this gencomp has revision {revision}: install the version of gencomp that made it"
        )


def canary_cost(description: Mapping[str, Any], model: Predictor) -> Cost:
    """Return what :func:`check_canary` takes at most."""
    return Cost() if description.get("numeric") == "integer" else fingerprint_cost(model)


def check_canary(description: Mapping[str, Any], model: Predictor) -> None:
    """Compare what a model that depends on its environment computes; raise ModelMismatchError where it differs."""
    if description.get("numeric") == "integer":
        return
    try:
        found = canary(model)
    except (OSError, CorruptDataError) as error:
        raise _unread(description.get("spec"), error) from error
    if description.get("canary") == found:
        return
    there, here = description.get("environment"), dict(environment_of(model))
    raise ModelMismatchError(
        f"'{brief(str(description.get('spec')))}' computes differently here: made with {_words(there)}, "
        f"found {_words(here)}; "
        "install what it was made with"
    )


def _words(environment: object) -> str:
    if not isinstance(environment, dict) or not environment:
        return "an unnamed environment"
    return brief(", ".join(f"{name} {value}" for name, value in sorted(environment.items())))
