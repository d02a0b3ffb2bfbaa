"""Any model in either direction: an object of the other kind gets its adapter."""

from gencomp.equivalence.compressor import ArithmeticCompressor
from gencomp.equivalence.predictor import CodeLengthPredictor
from gencomp.protocols import Compressor, Predictor
from gencomp.registry import load, spec_of

Model = str | Predictor | Compressor


def as_predictor(model: Model) -> Predictor:
    """Return ``model``, a spec or an object, as a predictor; a compressor goes into a :class:`CodeLengthPredictor`."""
    loaded = load(model) if isinstance(model, str) else model
    if isinstance(loaded, ArithmeticCompressor):
        return loaded.predictor
    if isinstance(loaded, Predictor):
        return loaded
    if isinstance(loaded, Compressor):
        return CodeLengthPredictor(loaded)
    raise TypeError(f"expected a spec, a predictor or a compressor, got {loaded!r}")


def as_compressor(model: Model) -> Compressor:
    """Return ``model``, a spec or an object, as a compressor; predictors go into an :class:`ArithmeticCompressor`."""
    loaded = load(model) if isinstance(model, str) else model
    if isinstance(loaded, CodeLengthPredictor):
        return loaded.compressor
    if isinstance(loaded, Compressor):
        return loaded
    if isinstance(loaded, Predictor):
        return ArithmeticCompressor(loaded)
    raise TypeError(f"expected a spec, a predictor or a compressor, got {loaded!r}")


def native(predictor: Predictor) -> Predictor | Compressor:
    """Return what the registry knows of ``predictor``: itself, or the compressor inside its adapter."""
    return predictor.compressor if isinstance(predictor, CodeLengthPredictor) else predictor


def predictor_spec(predictor: Predictor, *, full: bool = False) -> str:
    """Return the spec that loads ``predictor``, through its adapter where it has one."""
    return spec_of(native(predictor), full=full)


def label_of(model: Predictor | Compressor) -> str:
    """Return what to call ``model``: its spec, or the name of its class where no spec names it."""
    inner = native(model) if isinstance(model, Predictor) else model
    try:
        return spec_of(inner)
    except ValueError:
        return f"{type(inner).__module__}.{type(inner).__qualname__}"
