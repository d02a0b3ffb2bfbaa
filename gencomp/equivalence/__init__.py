"""A predictor is a compressor read backwards: the two adapters, and what they stand on."""
