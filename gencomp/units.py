"""Bits, bytes and rates. The bit is the unit of every code length and log-loss."""


def bits_per_byte(code_length: float, raw_bytes: int) -> float:
    """Return code length in bits / raw bytes; 0 for no data."""
    return code_length / raw_bytes if raw_bytes else 0.0


_UNITS = {
    "": 1,
    "k": 10**3,
    "m": 10**6,
    "g": 10**9,
    "t": 10**12,
    "ki": 1 << 10,
    "mi": 1 << 20,
    "gi": 1 << 30,
    "ti": 1 << 40,
}


def parse_size(text: str) -> int:
    """Return the number of bytes in ``text``, such as ``4096``, ``64KiB`` or ``1M``. Raises ``ValueError``."""
    number = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    unit = text[len(number) :].lower().removesuffix("b")
    if not number.strip().isdecimal() or unit not in _UNITS:
        raise ValueError(f"expected a size such as 4096, 64KiB or 1M, got {text!r}")
    return int(number) * _UNITS[unit]
