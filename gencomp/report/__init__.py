"""Results in, pictures and tables out; nothing is computed here."""
