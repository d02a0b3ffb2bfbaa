"""Find text that documents share, by hashes of 48-byte windows.

Every window of `WINDOW` bytes has a polynomial hash, and is *sampled* if the mixed hash falls below 1/`RATE` of its
range. Whether a window is sampled depends on its bytes alone, so a copied passage has the same sampled windows at any
offset ("0 mod p", the simplest scheme in Schleimer, Wilkerson and Aiken, "Winnowing", SIGMOD 2003). Documents that
share a passage of n bytes have about (n - 47) / `RATE` hashes of it in common.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

WINDOW = 48
RATE = 16
_BASE = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)


def _powers() -> dict[int, np.uint64]:
    """Return base**n modulo 2**64 for the step lengths 1, 2, 4, 8, 16, 32."""
    value, powers = int(_BASE), {}
    for exponent in range(6):
        powers[1 << exponent] = np.uint64(value)
        value = value * value % (1 << 64)
    return powers


_POWERS = _powers()


def window_hashes(data: bytes) -> np.ndarray:
    """Return the hash of every window of `data`: uint64, shape (max(0, len(data) - WINDOW + 1),)."""
    if len(data) < WINDOW:
        return np.zeros(0, np.uint64)
    hashes = np.frombuffer(data, np.uint8).astype(np.uint64) + np.uint64(1)
    lengths = {1: hashes}
    length = 1
    # The hash of a window of 2n bytes is h(left n) * base**n + h(right n). Doubling gives windows of 16 and 32 bytes,
    # which together make one of 48.
    while length < 32:
        hashes = hashes[: len(hashes) - length] * _POWERS[length] + hashes[length:]
        length *= 2
        lengths[length] = hashes
    count = len(data) - WINDOW + 1
    hashes = lengths[32][:count] * _POWERS[16] + lengths[16][32 : 32 + count]
    hashes ^= hashes >> np.uint64(32)
    hashes *= _MIX
    hashes ^= hashes >> np.uint64(29)
    return hashes


def sampled(data: bytes) -> np.ndarray:
    """Return the sampled hashes of `data`, sorted and without repeats: uint64, shape (n,).

    Windows of one repeated byte (rules, blank lines) are left out, since unrelated documents share them.
    """
    hashes = window_hashes(data)
    if not len(hashes):
        return hashes
    keep = hashes < np.uint64((1 << 64) // RATE)
    # the window at i repeats one byte if the first change after i is 47 or more bytes away
    same = np.frombuffer(data, np.uint8)
    changes = np.flatnonzero(same[1:] != same[:-1])
    where = np.flatnonzero(keep)
    following = np.searchsorted(changes, where)
    ends = np.append(changes, len(data) + WINDOW)[following]
    return np.unique(hashes[where[ends - where < WINDOW - 1]])


class Shingles:
    """The sampled hashes of a set of documents, to measure how much another document shares with them."""

    def __init__(self, documents: Iterable[bytes] = (), piece: int = 1 << 22) -> None:
        parts = []
        for document in documents:
            # In pieces, to save memory; they overlap by WINDOW - 1 bytes, so that no window is lost.
            parts += [sampled(document[at : at + piece + WINDOW - 1]) for at in range(0, max(1, len(document)), piece)]
        self.hashes = np.unique(np.concatenate(parts)) if parts else np.zeros(0, np.uint64)

    @classmethod
    def of(cls, parts: list[np.ndarray]) -> Shingles:
        """Return the union of arrays of hashes from `sampled`."""
        made = cls()
        made.hashes = np.unique(np.concatenate(parts)) if parts else made.hashes
        return made

    def __len__(self) -> int:
        return len(self.hashes)

    def found_in(self, document: bytes, piece: int = 1 << 22) -> np.ndarray:
        """Return which of `self.hashes` occur in `document`: bool, one for each."""
        found = np.zeros(len(self.hashes), bool)
        for at in range(0, max(1, len(document)), piece):
            hashes = sampled(document[at : at + piece + WINDOW - 1])
            if len(found) and len(hashes):
                places = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
                found[places[self.hashes[places] == hashes]] = True
        return found

    def common(self, hashes: np.ndarray) -> int:
        """Return how many of `hashes` (from `sampled`) these documents have."""
        if not len(self.hashes) or not len(hashes):
            return 0
        at = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        return int(np.count_nonzero(self.hashes[at] == hashes))


class Seen:
    """A bitmap of the hashes seen so far, to find near-copies among millions of windows in 64 MiB.

    It may report a hash that it has not seen (with 4 million hashes, fewer than one in a hundred), never the reverse.
    Use it for shares of a document, not for single windows.
    """

    BITS = 29

    def __init__(self) -> None:
        self._table = np.zeros(1 << (self.BITS - 3), np.uint8)

    def _places(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # the top bits of sampled hashes are all zero, so the low bits index the table
        low = hashes & np.uint64((1 << self.BITS) - 1)
        return (low >> np.uint64(3)).astype(np.int64), np.uint8(1) << (low & np.uint64(7)).astype(np.uint8)

    def common(self, hashes: np.ndarray) -> int:
        """Return how many of `hashes` were seen, or collide with one that was."""
        byte, bit = self._places(hashes)
        return int(np.count_nonzero(self._table[byte] & bit))

    def add(self, hashes: np.ndarray) -> None:
        """Remember `hashes`."""
        byte, bit = self._places(hashes)
        np.bitwise_or.at(self._table, byte, bit)
