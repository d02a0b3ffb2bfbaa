"""Training data as streams: each row of a batch reads on where it stopped, and now and then begins somewhere else."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from gencomp.compiled import kernel
from gencomp.inference.contexts import ByteArray, ContextArray, fill_rows
from gencomp.protocols import IntArray


@dataclass(frozen=True)
class Sources:
    """The bytes of several sources, and how often each is drawn from.

    ``data`` is uint8 (n,); source i is ``data[bounds[i]:bounds[i + 1]]``. ``shares`` sum to 1.
    """

    data: ByteArray
    bounds: tuple[int, ...]
    shares: tuple[float, ...]

    @classmethod
    def of(cls, parts: Sequence[bytes | ByteArray], shares: Sequence[float] | None = None) -> "Sources":
        """Return the sources of ``parts``, drawn in proportion to their sizes unless ``shares`` are given.

        Raises ``ValueError`` on an empty source, and unless ``shares`` are one positive number for each.
        """
        arrays = [np.frombuffer(part, np.uint8) for part in parts]
        if not arrays or not all(map(len, arrays)):
            raise ValueError("there is nothing to learn from: a source is empty")
        weights = [float(len(array)) for array in arrays] if shares is None else list(map(float, shares))
        if len(weights) != len(arrays) or not all(0 < weight < np.inf for weight in weights):
            raise ValueError(f"shares must be {len(arrays)} positive numbers, one for each source, got {shares}")
        bounds = np.cumsum([0, *map(len, arrays)])
        total = sum(weights)
        return cls(np.concatenate(arrays), tuple(map(int, bounds)), tuple(weight / total for weight in weights))


@dataclass
class Streams:
    """Where each row of the batch reads.

    ``position`` and ``end``, of the source, are int64 (B,); ``context`` is uint64 (B, 4), ``last``, the byte before,
    uint8 (B,).
    """

    position: IntArray
    end: IntArray
    context: ContextArray
    last: ByteArray

    @classmethod
    def of(cls, rows: int) -> "Streams":
        """Return ``rows`` streams, each of which will begin somewhere at the first step."""
        zeros = np.zeros(rows, np.int64)
        return cls(zeros, zeros.copy(), np.zeros((rows, 4), np.uint64), np.zeros(rows, np.uint8))

    def restart(self, which: npt.NDArray[np.bool_], position: IntArray, end: IntArray) -> None:
        """Let some rows begin at ``position``, with an empty context."""
        self.position[which], self.end[which] = position, end
        self.context[which] = 0
        self.last[which] = 0

    def read(
        self, data: ByteArray, plan: IntArray, length: int, *, threads: int = 1
    ) -> tuple[npt.NDArray[np.int32], ByteArray]:
        """Return the table rows, int32 (T, B, K), and the bytes that they predict, uint8 (T, B); move on."""
        rows = np.empty((length, len(self.position), len(plan)), np.int32)
        targets = np.empty((length, len(self.position)), np.uint8)
        read = partial(_read, data, self.position, self.context, self.last, plan, rows, targets)
        over_rows(read, len(self.position), threads)
        self.position += length
        return rows, targets


@kernel
def _read(
    data: ByteArray,
    position: IntArray,
    context: ContextArray,
    last: ByteArray,
    plan: IntArray,
    rows: npt.NDArray[np.int32],
    targets: ByteArray,
    first: int,
    end: int,
) -> None:
    length = targets.shape[0]
    seen = np.empty(length, np.uint8)
    for b in range(first, end):
        seen[0] = last[b]
        for t in range(length):
            targets[t, b] = data[position[b] + t]
            if t:
                seen[t] = targets[t - 1, b]
        last[b] = targets[length - 1, b]
        fill_rows(seen, context[b], plan, rows[:, b])


def over_rows(work: Callable[[int, int], None], rows: int, threads: int) -> None:
    """Call ``work(first, end)``, compiled code that releases the GIL, on parts of a batch's rows in several threads."""
    threads = max(1, min(threads, rows))
    parts = list(pairwise(rows * part // threads for part in range(threads + 1)))
    if threads == 1:
        work(*parts[0])
        return
    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(work, *part) for part in parts]:
            future.result()


def advance(
    streams: Streams, sources: Sources, length: int, *, reset: float, seed: int, step: int
) -> npt.NDArray[np.bool_]:
    """Let rows whose source ends, and a share ``reset`` of the others, begin somewhere else; return which, bool (B,).

    Everything random is drawn from (seed, step). Every source must have at least ``length`` bytes.
    """
    rng = np.random.default_rng([seed, step])
    batch = len(streams.position)
    which = (rng.random(batch) < reset) | (streams.position + length > streams.end)
    source = rng.choice(len(sources.shares), size=batch, p=sources.shares)
    bounds = np.asarray(sources.bounds)
    first, end = bounds[source], bounds[source + 1]
    position = first + (rng.random(batch) * (end - first - length + 1)).astype(np.int64)
    streams.restart(which, position[which], end[which])
    return np.asarray(which)
