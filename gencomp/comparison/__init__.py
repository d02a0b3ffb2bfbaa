"""The same prompts continued by several models and judged: plain tasks in, rows out."""
