"""Names from outside, such as those of files and models, as text that can be shown."""


def visible(text: str) -> str:
    """Return ``text`` with everything that could steer a terminal, or cannot be printed, as an escape."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def plot_label(text: str) -> str:
    r"""Return ``text`` in a form that matplotlib shows literally.

    It would take text between two ``$`` for mathematics, and leave names that begin with ``_`` out of the legend.
    """
    shown = visible(text).replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def byte_label(symbol: int) -> str:
    """Return a byte as people read it: its character, or its value in hexadecimal."""
    if symbol == 0x20:
        return "SP"
    return chr(symbol) if 0x20 < symbol < 0x7F else f"{symbol:02X}"
