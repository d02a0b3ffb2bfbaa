"""Archives one can trust: :mod:`gencomp.coding.container`'s bytes, a model in them, blocks coded on all cores."""
