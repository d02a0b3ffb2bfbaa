"""Names from outside, such as files' and models', as text that can be shown."""


def visible(text: str) -> str:
    """Return ``text`` with everything that could steer a terminal, or cannot be printed, as an escape."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def plot_label(text: str) -> str:
    r"""Return ``text`` as matplotlib shows it letter by letter.

    It would take what stands between two ``$`` for mathematics, and leave a name out of the legend that begins with
    ``_``.
    """
    shown = visible(text).replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown
