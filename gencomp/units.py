"""Bits, bytes and rates. The bit is the unit of every code length and log-loss."""

BITS_PER_BYTE = 8


def bits_per_byte(code_length: float, raw_bytes: int) -> float:
    """Return code length in bits / raw bytes; 0 for no data."""
    return code_length / raw_bytes if raw_bytes else 0.0


def raw_rate(code_length: float, raw_bytes: int) -> float:
    """Return compressed bytes / raw bytes, the paper's raw compression rate; 0 for no data."""
    return bits_per_byte(code_length, raw_bytes) / BITS_PER_BYTE


def format_bytes(size: int) -> str:
    """Return ``size`` for people, as ``3,145,728 bytes``."""
    return f"{size:,} byte{'' if size == 1 else 's'}"
