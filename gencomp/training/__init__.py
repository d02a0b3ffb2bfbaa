"""Training of language models: the only code that writes weights. Everything here needs the extra ``lm``."""
