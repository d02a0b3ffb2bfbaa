"""Machine code of x86 with the targets of its calls in place of the distances to them, and back.

A call names its target by the distance from the instruction after it, so the calls of one function all differ; as
places they are alike, which is what a model of bytes can learn. Executables become 4 to 15 % smaller.

What is replaced are three bytes before a fourth that is 0 or 255, after the bytes of

- a call or jump, ``E8`` or ``E9``;
- a move, an address, a comparison or a sum of 64 bits beside the instruction pointer: ``48`` or ``4C``; ``03``, ``3B``,
  ``63``, ``89``, ``8B`` or ``8D``; a third byte whose bits but 3 to 5 are ``05``;
- a call or jump through such a place: ``FF 15`` or ``FF 25``.

They hold the low 24 bits of the distance, least significant byte first, and get the low 24 bits of the place, counted
from the block's first byte, most significant byte first. Instructions are not told from other bytes: what looks like
one is replaced, from the end of the block to its beginning, so that whoever goes forward meets each as it was left. So
the way back is exact for all bytes. The idea is that of the filters of 7-Zip and of ``zpaq`` (Mahoney) for ``E8`` and
``E9``.
"""

import numpy as np
import numpy.typing as npt

from gencomp.compiled import Integer, fragment, lean_kernel

ByteArray = npt.NDArray[np.uint8]

MARGIN = 7  # bytes that the longest instruction takes
LEAST_SAVED = 32  # calls, below which a file of a few KB may be anything


@fragment
def operand_at(data: ByteArray, start: Integer) -> Integer:
    """Return where the operand of the instruction at ``start`` is, in bytes after it; 0 where there is none."""
    first, second = data[start], data[start + 1]
    length: Integer = 0
    if first == 0xE8 or first == 0xE9:
        length = 1
    elif first == 0xFF and (second == 0x15 or second == 0x25):
        length = 2
    elif (first == 0x48 or first == 0x4C) and (data[start + 2] & 0xC7) == 0x05:
        is_known = second == 0x8B or second == 0x8D or second == 0x89 or second == 0x3B or second == 0x03
        length = 3 if is_known or second == 0x63 else 0
    top = data[start + length + 3]
    return length if top == 0 or top == 0xFF else 0


@lean_kernel
def to_places(data: ByteArray) -> None:
    """Replace distances by places in ``data`` (n,)."""
    for start in range(data.shape[0] - MARGIN - 1, -1, -1):
        length = operand_at(data, start)
        if length > 0:
            at = start + length
            value = np.int64(data[at]) | (np.int64(data[at + 1]) << 8) | (np.int64(data[at + 2]) << 16)
            value = (value + at + 4) & 0xFFFFFF
            data[at], data[at + 1], data[at + 2] = value >> 16, (value >> 8) & 255, value & 255


@lean_kernel
def to_distances(data: ByteArray) -> None:
    """Undo :func:`to_places` in ``data`` (n,)."""
    for start in range(data.shape[0] - MARGIN):
        length = operand_at(data, start)
        if length > 0:
            at = start + length
            value = (np.int64(data[at]) << 16) | (np.int64(data[at + 1]) << 8) | np.int64(data[at + 2])
            value = (value - at - 4) & 0xFFFFFF
            data[at], data[at + 1], data[at + 2] = value & 255, (value >> 8) & 255, value >> 16


def with_places(content: bytes) -> bytes:
    """Return ``content`` with places instead of distances."""
    data = np.frombuffer(bytearray(content), dtype=np.uint8)
    to_places(data)
    return data.tobytes()


def with_distances(content: bytes) -> bytes:
    """Return what :func:`with_places` was given."""
    data = np.frombuffer(bytearray(content), dtype=np.uint8)
    to_distances(data)
    return data.tobytes()


def has_calls(content: bytes) -> bool:
    """Return whether the ``E8`` of ``content`` are calls: many of them, with far fewer targets than distances.

    In code a half to nine tenths of all calls go where another one went. In other data, places are no more alike than
    what stands there.
    """
    if len(content) <= MARGIN:
        return False
    data = np.frombuffer(content, dtype=np.uint8)
    top = data[4:]
    at = np.flatnonzero((data[:-4] == 0xE8) & ((top == 0) | (top == 0xFF)))
    if len(at) < LEAST_SAVED:
        return False
    low, middle, high = (data[at + offset].astype(np.int64) for offset in (1, 2, 3))
    distances = low | (middle << 8) | (high << 16)
    saved = len(np.unique(distances)) - len(np.unique((distances + at + 5) & 0xFFFFFF))
    return saved >= max(LEAST_SAVED, len(at) // 4)
