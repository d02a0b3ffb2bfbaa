"""Training of the recurrent network that :mod:`gencomp.predictors` runs in integers. Needs the extra ``lm``."""
