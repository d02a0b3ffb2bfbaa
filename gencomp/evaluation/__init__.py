"""Experiments: how models compress data, as rows that a journal keeps."""
