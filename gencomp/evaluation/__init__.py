"""Measuring models: code lengths, log-losses, and arithmetic coding taken apart."""
