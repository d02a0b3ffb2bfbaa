"""The identity of a model: what must agree for a code to decode, or for a kept figure to hold.

It has three parts, in any combination:

- the *revision* of integer code, which changes whenever the same bytes would be coded differently;
- *digests* of what was trained or read before: weights, a saved state;
- the *environment* of what is computed by libraries or in floats: their versions, the processor, settings.

A model made of models has all of theirs. Where a file or folder lies is not part of it.
"""

import json
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gencomp import __version__
from gencomp.equivalence.adapt import predictor_spec
from gencomp.equivalence.capabilities import environment_of, packed_revision_of, revision_of
from gencomp.protocols import Predictor, Revision

# first words of the environment's entries that are digests; an ensemble's may go on "of member 2"
_KINDS_OF_DIGESTS = ("weights", "state")


@dataclass(frozen=True)
class Identity:
    """The identity of a model; ``revision`` is None where some part of it is not gencomp's own integer code.

    ``environment`` holds the digests too, under the names ``weights`` and ``state``, as archives write them down.
    """

    revision: Revision | None
    environment: Mapping[str, Any]

    @property
    def is_portable(self) -> bool:
        """Whether revision and digests are all that must agree: then archives decode on any machine."""
        return self.revision is not None

    @property
    def digests(self) -> list[tuple[str, str]]:
        """The digests of files and folders, anywhere in the model: (kind, digest), sorted."""
        return digests_of(self.environment)

    def record(self) -> dict[str, Any]:
        """Return the entries of an archive's header: plain data, tuples as lists, nothing empty."""
        if self.revision is None:
            return {"numeric": "environment", "environment": dict(self.environment)}
        environment = {name: value for name, value in self.environment.items() if value != {}}
        found: dict[str, Any] = {"numeric": "integer", "revision": as_json(self.revision)}
        return found | ({"environment": environment} if environment else {})


def identity_of(model: object) -> Identity:
    """Return the identity of a predictor or compressor. Weights on disk are read for it."""
    return Identity(revision_of(model), environment_of(model))


def versions_of(model: Predictor) -> dict[str, Any]:
    """Return the versions reported with figures of ``model``: those of gencomp and Python, and its environment.

    Python's version stands for its bz2 and lzma modules, which do not tell their own.
    """
    return {"gencomp": __version__, "python": platform.python_version(), **environment_of(model)}


def kept_under(model: Predictor) -> str:
    """Return a key to keep figures of ``model`` under, made of all that they depend on: spec, versions, revision."""
    spec = predictor_spec(model, full=True)
    return json.dumps([spec, versions_of(model), as_json(revision_of(model))], sort_keys=True, default=str)


def composed(own: int, members: Iterable[object]) -> Revision | None:
    """Return the revision of a model made of models: its own, then the members' in order; None if one has none."""
    found: list[Revision] = [own]
    for member in members:
        revision = revision_of(member)
        if revision is None:
            return None
        found.append(revision)
    return tuple(found)


def is_revision_of(recorded: object, model: object) -> bool:
    """Return whether ``recorded``, out of a header, is the revision of ``model``.

    Archives of gencomp 0.1 hold the revision of a model made of models as one number, its members' in base 1000.
    """
    revision = revision_of(model)
    if isinstance(revision, tuple) and type(recorded) is int:
        return recorded == packed_revision_of(model)
    return revision is None if recorded is None else recorded == as_json(revision)


def digests_of(environment: object) -> list[tuple[str, str]]:
    """Return the digests in an environment, which may be one that an archive claims: (kind, digest), sorted."""
    found = []
    for name, value in environment.items() if isinstance(environment, Mapping) else ():
        kind = str(name).partition(" ")[0]
        if kind in _KINDS_OF_DIGESTS:
            found.append((kind, str(value)))
        found += digests_of(value)
    return sorted(found)


def as_json(revision: Revision | None) -> Any:
    """Return a revision as it comes back from JSON, with lists in place of tuples."""
    return [as_json(part) for part in revision] if isinstance(revision, tuple) else revision
