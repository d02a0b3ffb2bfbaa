"""Code lengths of real bitstreams, counted without writing them."""
