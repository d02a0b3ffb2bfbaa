"""The predictors, one file a model, each the one before plus one idea: uniform, adaptive counts, mix."""
