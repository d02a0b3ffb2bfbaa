"""Language models as predictors: loaded from folders, run in lockstep, deterministic. Needs the extra ``lm``."""
