"""Write a predictor, and it compresses, generates and is scored.

Prints: uniform mine identical
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

import gencomp
from gencomp.data import alice
from gencomp.registry import Entry


@dataclass(frozen=True)
class Recent:
    """Order-0 counts over the last ``window`` bytes, plus ``floor`` for every byte value."""

    window: int = 400
    floor: float = 0.02

    @property
    def alphabet_size(self) -> int:
        return 256

    def begin(self, context: Sequence[int] = ()) -> "RecentState":
        return RecentState(self.window, self.floor, bytes(context))


class RecentState:
    """The last bytes."""

    def __init__(self, window: int, floor: float, context: bytes) -> None:
        self.window, self.floor, self.recent = window, floor, context[-window:]

    def code_lengths(self) -> np.ndarray:
        weights = np.bincount(np.frombuffer(self.recent, np.uint8), minlength=256) + self.floor
        return np.log2(weights.sum()) - np.log2(weights)

    def update(self, symbol: int) -> None:
        self.recent = (self.recent + bytes([symbol]))[-self.window :]

    def copy(self) -> Self:
        return type(self)(self.window, self.floor, self.recent)


# Registered under a name, it can be used in specs; a package would use the entry-point group "gencomp.predictors".
gencomp.register(Entry("recent", "predictor", f"{__name__}:Recent", "a sliding window of counts"))

text = alice()[:1500]
for model in ("uniform", "recent?window=50", "recent"):
    rate = gencomp.score(model, text, limit=0).bits_per_byte
    print(f"{'mine' if 'recent' in model else '    '} {model:<18} {rate:.3f} bits/byte")
print(gencomp.sample("recent", prompt=text, length=30, seed=2))
archive = gencomp.compress(text, "recent")
print("identical" if gencomp.decompress(archive, model="recent") == text else "DIFFERENT")
