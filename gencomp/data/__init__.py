"""The text that comes with the package: Lewis Carroll, "Alice's Adventures in Wonderland" (1865), public domain.

It is the file ``alice29.txt`` of the Canterbury corpus, Project Gutenberg's edition 2.9, 152,089 bytes.
"""

from pathlib import Path


def alice() -> bytes:
    """Return the book, 152,089 bytes of ASCII."""
    return Path(__file__).with_name("alice.txt").read_bytes()
