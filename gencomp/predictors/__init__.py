"""The predictors, a file or a package for each model."""
