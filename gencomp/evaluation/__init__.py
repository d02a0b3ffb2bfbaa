"""Experiments: how models compress data, as rows, with a journal of what has been measured."""
