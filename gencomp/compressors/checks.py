"""What every codec's options and blobs are checked with."""

from gencomp.errors import CorruptDataError


def check_range(name: str, value: int, low: int, high: int) -> None:
    """Raise ``ValueError`` unless ``low <= value <= high``."""
    if not low <= value <= high:
        raise ValueError(f"{name} must be from {low} to {high}, got {value}")


def corrupt(codec: str, reason: object) -> CorruptDataError:
    """Return the error for bytes that are not what ``codec`` writes."""
    return CorruptDataError(f"not a complete {codec} stream: {reason}")


def check_end(codec: str, ended: bool, rest: bytes) -> None:
    """Raise unless a decoder has seen the end of its stream, and nothing after it."""
    if not ended:
        raise corrupt(codec, "it ends early")
    if rest:
        raise corrupt(codec, "bytes follow its end")
