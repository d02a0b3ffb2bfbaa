"""Models made of models: the predictors that an option names, and their canonical notation.

The notation is that of :mod:`gencomp.specs`; the registry declares which options are written in it.
"""

from gencomp.equivalence.adapt import as_predictor, predictor_spec
from gencomp.errors import SpecError
from gencomp.protocols import Predictor
from gencomp.specs import alone, brief, joined, separated

__all__ = ["canonical", "canonical_one", "joined", "separated"]


def canonical(argument: str) -> tuple[str, tuple[Predictor, ...]]:
    """Return the argument with every option of its members written out, and the members, loaded as predictors.

    Raises :class:`SpecError` on a member that does not predict bytes.
    """
    members = tuple(as_predictor(spec) for spec in separated(argument))
    return joined(_full(member) for member in members), members


def canonical_one(argument: str) -> tuple[str, Predictor]:
    """Do as :func:`canonical` for an option that names one model."""
    member = as_predictor(alone(argument))
    return joined([_full(member)]), member


def _full(member: Predictor) -> str:
    spec = predictor_spec(member, full=True)
    if member.alphabet_size != 256:
        raise SpecError(
            f"the members must be models of bytes; {brief(spec)} has {member.alphabet_size} symbols, not 256"
        )
    return spec
