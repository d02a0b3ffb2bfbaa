"""Language models as predictors, deterministic, from folders, GGUF files or memory. Needs the extra ``lm``."""
