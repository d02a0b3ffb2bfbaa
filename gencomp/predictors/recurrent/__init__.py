"""An integer recurrent network as a predictor of bytes."""

from gencomp.predictors.recurrent.predictor import Recurrent, RecurrentState

__all__ = ["Recurrent", "RecurrentState"]
