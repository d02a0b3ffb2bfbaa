"""Results in, pictures and tables out; computes nothing."""
