"""Context mixing: many predictions of each bit, weighed by how well they have done."""

from gencomp.predictors.mix.predictor import Mix, MixState

__all__ = ["Mix", "MixState"]
