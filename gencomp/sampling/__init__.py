"""Reading a model backwards, from code lengths to bytes: the choice of one symbol, then the loop."""
