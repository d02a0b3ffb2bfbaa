"""Compression as an instrument: audits of claims, distances between texts, classification, documents."""
