"""The characters that stand for bytes in byte-level BPE vocabularies (Radford et al. 2019)."""

from functools import cache


@cache
def byte_characters() -> tuple[str, ...]:
    """Return the character of each byte, by its value.

    Printable Latin-1 characters stand for themselves; the other bytes get characters from U+0100 on, in order.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return tuple(chr(byte) if byte in printable else chr(next(others)) for byte in range(256))


@cache
def _bytes_of_characters() -> dict[str, int]:
    return {character: byte for byte, character in enumerate(byte_characters())}


def bytes_of_token(token: str) -> bytes:
    """Return the bytes of a token; if it has other characters, as added tokens may, its UTF-8."""
    table = _bytes_of_characters()
    if all(character in table for character in token):
        return bytes(table[character] for character in token)
    return token.encode("utf-8")
