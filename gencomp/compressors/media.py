"""What the codecs of images and sound share: data of any length in a format of fixed geometry.

The code is the data's length and the length of the rest, both varints, and then the format's own files. The rest pads
the data up to whole rows or samples, which decoding cuts off again; no data is two zero bytes.
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

    Raises :class:`CorruptDataError`, whatever ``decode`` raises about the body.
    """
    size, start = read_varint(blob, 0)
    length, start = read_varint(blob, start)
    body = blob[start:]
    if len(body) != length:
        raise corrupt(codec, f"{len(body)} bytes, {length} expected")
    if bool(size) != bool(body):
        raise corrupt(codec, f"{length} bytes are said to hold {size}")
    if not size:
        return b""
    try:
        data = decode(body, size)
    except (CorruptDataError, MemoryError):
        raise
    except Exception as error:  # each format's reader has its own kinds
        raise corrupt(codec, str(error).replace(os.linesep, " ") or type(error).__name__) from error
    return data[:size]


def padded_to_rows(data: bytes, width: int) -> bytes:
    """Return ``data`` up to whole rows of ``width`` bytes: the end of the last one repeats the row above, or is 0.

    So the pixels that are not there yet say nothing new, and a pixel at the end is judged by itself.
    """
    missing = -len(data) % width
    above = data[len(data) - width :][:missing] if len(data) >= width else bytes(missing)
    return data + above
