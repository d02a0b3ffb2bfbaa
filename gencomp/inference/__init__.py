"""Networks in integers, which give the same bits on any machine."""
