"""Checks of every codec's options and blobs."""

from collections.abc import Callable

from gencomp.errors import BudgetError, CorruptDataError

MAX_OUTPUT = 1 << 32  # most bytes that one call decodes, since some formats hold gigabytes in a few bytes


def check_range(name: str, value: int, low: int, high: int) -> None:
    """Raise ``ValueError`` unless ``low <= value <= high``."""
    if not low <= value <= high:
        raise ValueError(f"{name} must be from {low} to {high}, got {value}")


def corrupt(codec: str, reason: object) -> CorruptDataError:
    """Return the error for bytes that are not what ``codec`` writes."""
    return CorruptDataError(f"not a complete {codec} stream: {reason}")


def check_output(codec: str, ended: bool, size: int) -> None:
    """Raise :class:`BudgetError` where a decoder was stopped at ``size`` bytes, before the end of its stream."""
    if not ended and size >= MAX_OUTPUT:
        raise BudgetError(
            f"the {codec} stream holds {MAX_OUTPUT:,} bytes or more; decode it piece by piece, with its own tool"
        )


def in_pieces(
    codec: str, decode: Callable[[bytes], bytes], is_ended: Callable[[], bool], blob: bytes, piece: int
) -> tuple[bytes, bytes]:
    """Return the data from a decoder that has no limit of its own, and the pieces after the one with the stream's end.

    ``decode`` takes ``piece`` bytes at a time; ``is_ended`` tells whether it has met the end. Raises
    :class:`BudgetError` at MAX_OUTPUT bytes.
    """
    parts, size, start = [], 0, 0
    while start < len(blob) and not is_ended():
        parts.append(decode(blob[start : start + piece]))
        start += piece
        size += len(parts[-1])
        check_output(codec, False, size)
    return b"".join(parts), blob[start:]


def check_end(codec: str, ended: bool, rest: bytes) -> None:
    """Raise :class:`CorruptDataError` unless a decoder has seen the end of its stream, and nothing after it."""
    if not ended:
        raise corrupt(codec, "it ends early")
    if rest:
        raise corrupt(codec, "bytes follow its end")
