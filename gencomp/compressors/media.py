"""What the codecs of images and sound share: data of any length in a format of fixed geometry.

The code is the data's length, the length of the rest, both as varints, and the rest: files of the format. They hold the
data padded to whole rows or samples; decoding cuts the padding off. The code of no data is two zero bytes.
"""

import os
from collections.abc import Callable

from gencomp.coding.varint import read_varint, varint
from gencomp.compressors.checks import corrupt
from gencomp.errors import CorruptDataError


def framed(data: bytes, body: bytes) -> bytes:
    """Return the code of ``data`` whose files, one after the other, are ``body``."""
    return varint(len(data)) + varint(len(body)) + body


def unframed(codec: str, blob: bytes, decode: Callable[[bytes, int], bytes]) -> bytes:
    """Return the data of a code; ``decode(body, size)`` returns it with its padding.

    Raises :class:`CorruptDataError`, also in place of any error that ``decode`` raises but ``MemoryError``.
    """
    size, start = read_varint(blob, 0)
    length, start = read_varint(blob, start)
    body = blob[start:]
    if len(body) != length:
        raise corrupt(codec, f"{len(body)} bytes, {length} expected")
    if bool(size) != bool(body):
        raise corrupt(codec, f"{length} bytes claim to hold {size}")
    if not size:
        return b""
    try:
        data = decode(body, size)
    except (CorruptDataError, MemoryError):
        raise
    except Exception as error:  # each format's reader raises errors of its own
        raise corrupt(codec, str(error).replace(os.linesep, " ") or type(error).__name__) from error
    return data[:size]


def padded_to_rows(data: bytes, width: int) -> bytes:
    """Return ``data`` padded to whole rows of ``width`` bytes with the pixels of the row above, or 0 if there is none.

    So pixels that are not there yet add little to the code, and the last pixel is judged by itself.
    """
    missing = -len(data) % width
    above = data[len(data) - width :][:missing] if len(data) >= width else bytes(missing)
    return data + above
