"""Networks in integers: products, norms, gates and contexts that give the same bits on any machine."""
