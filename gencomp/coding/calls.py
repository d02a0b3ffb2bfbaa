"""x86 machine code with the absolute targets of its calls in place of relative ones, and back.

A call names its target by its distance from the next instruction, so all calls of one function differ. Their absolute
addresses, *places* for short, are the same, which a model of bytes can learn. Executables become 4 to 15 % smaller.

Three bytes are replaced where the fourth is 0 or 255 and they follow

- a call or jump, ``E8`` or ``E9``;
- a 64-bit ``mov``, ``lea``, ``cmp``, ``add`` or ``movsxd`` relative to the instruction pointer: ``48`` or ``4C``; then
  ``03``, ``3B``, ``63``, ``89``, ``8B`` or ``8D``; then a ModRM byte that is ``05`` but for its bits 3 to 5;
- an indirect call or jump relative to the instruction pointer: ``FF 15`` or ``FF 25``.

They hold the low 24 bits of the distance, little-endian, and get the low 24 bits of the place, big-endian, counted from
the block's first byte. Whatever looks like an instruction is replaced, code or not. This goes from the end of the block
to its beginning, so that the way back, which goes forward, meets each instruction as it was left: it is exact for all
bytes. 7-Zip's filters and ``zpaq`` (Mahoney) do this for ``E8`` and ``E9``.
"""

import numpy as np
import numpy.typing as npt

from gencomp.compiled import Integer, fragment, lean_kernel

ByteArray = npt.NDArray[np.uint8]

MARGIN = 7  # bytes of the longest instruction
LEAST_SAVED = 32  # calls; fewer may be chance in a file of a few KB


@fragment
def operand_at(data: ByteArray, start: Integer) -> Integer:
    """Return the offset of the operand in the instruction at ``start``, in bytes; 0 where there is none to replace."""
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
    """Return whether the ``E8`` bytes of ``content`` are calls: many, with far fewer places than distances.

    In code, half to nine tenths of all calls share their target with another one. In other data, places repeat no more
    often than distances.
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
