"""From integers to bits: the quantiser, the range coder, the container. Knows no model."""
