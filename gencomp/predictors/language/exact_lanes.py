"""Lanes of text under an integer language model, in lockstep, for the kernels and for torch."""

import copy
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np
import numpy.typing as npt

from gencomp.inference.products import Int16Array, Int32Array
from gencomp.inference.rows import fill_weights
from gencomp.inference.transformer import Network, Runner, capacity_of, copied_cache, grown_cache, new_cache
from gencomp.inference.transformer_weights import Embedding, lean_network
from gencomp.predictors.language.exact_costs import ROWS
from gencomp.predictors.language.families import Model
from gencomp.protocols import FloatArray

if TYPE_CHECKING:
    from gencomp.inference.transformer_torch import TorchNetwork

Symbols = npt.NDArray[np.int64]

LOAD_BYTES = 32 << 20  # held while a network is made
_HELD_BYTES = 16 << 20  # of floats: how many are read before the file's memory is given back
LEAST_ROOM = 64  # positions of a cache that has read little
_MASS = 1 << 30


class LaneModel(Protocol):
    """What lanes need of :class:`~gencomp.predictors.language.exact.ExactModel`."""

    @property
    def start(self) -> int: ...

    @property
    def context(self) -> int: ...

    @property
    def stride(self) -> int: ...

    @property
    def vocabulary_size(self) -> int: ...

    @property
    def network(self) -> Network: ...

    @property
    def loaded(self) -> "Loaded": ...

    @property
    def torch_network(self) -> "TorchNetwork": ...


@dataclass(frozen=True)
class Costs:
    """What a model says of a text: each symbol's -log2 p in bits, float64 (n,); whether it was the likeliest, (n,)."""

    code_lengths: FloatArray
    likeliest: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Keyed:
    """A model and its context, compared by the file's digest: the key of a cache."""

    digest: str
    context: int
    source: Model

    def __hash__(self) -> int:
        return hash((self.digest, self.context))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Keyed) and (self.digest, self.context) == (other.digest, other.context)


@dataclass(frozen=True)
class Loaded:
    """A model's network, and its embedding, whose rows are read from the file when tokens ask for them."""

    network: Network
    embedding: Embedding
    source: Model

    def embedded(self, tokens: Symbols) -> Int16Array:
        """Return the rows of the embedding of ``tokens`` (n,), (n, D)."""
        made = self.embedding.made
        found = self.embedding.rows(tokens)
        if self.embedding.made != made:
            self.source.release()
        return found

    def runner(self, positions: int) -> Runner:
        """Return what reads up to ROWS rows over caches of up to ``positions`` positions."""
        return Runner(self.network, ROWS, positions, embedded=self.embedded)


@functools.lru_cache(maxsize=2)
def loaded(keyed: Keyed) -> Loaded:
    """Return a model, made ready; the last two are kept."""
    network, embedding = lean_network(keyed.source.form, _Sparing(keyed.source), keyed.context)
    keyed.source.release()
    return Loaded(network, embedding, keyed.source)


class _Sparing:
    """A model's tensors; of their files, only parts are held in memory."""

    def __init__(self, source: Model) -> None:
        self._source = source
        self._read = 0

    def rows(self, name: str, first: int, last: int) -> npt.NDArray[np.float32]:
        """Do as the model's ``rows``."""
        found = self._source.rows(name, first, last)
        self._read += found.nbytes
        if self._read > _HELD_BYTES:
            self._source.release()
            self._read = 0
        return found


def text_windows(length: int, context: int, stride: int) -> Iterator[tuple[int, int, int]]:
    """Yield (begin, first, last): the start symbol, and symbols from ``begin`` on, predict symbols [first, last)."""
    yield 0, 0, min(length, context)
    for first in range(context, length, stride):
        yield first - (context - stride), first, min(length, first + stride)


class Lockstep:
    """A model over ``lanes`` independent texts, each symbol predicted from those before it.

    A text begins with the model's start symbol. A symbol that no longer fits the context makes the model read the start
    and the last ``context - stride`` symbols anew: a prediction sees at least these. Where their ``length`` is known,
    there is room for it from the start; else room doubles.
    """

    def __init__(self, model: LaneModel, lanes: int, length: int | None = None) -> None:
        self._model = model
        self._lanes = lanes
        room = LEAST_ROOM if length is None else max(1, min(length, model.context))
        self._history = np.full((lanes, room), model.start, dtype=np.int64)  # what is in the cache
        self._length = 0
        self._open(room)
        self.logits = np.empty((lanes, model.vocabulary_size), dtype=np.int32)
        self._read(self._history[:, :1])

    def _open(self, positions: int) -> None:
        """Make an empty cache for ``positions`` positions."""
        self._cache = new_cache(self._model.network, self._lanes, positions)
        self._runner: Runner | None = None

    def _grow(self, positions: int) -> None:
        """Make room for ``positions`` positions in the cache."""
        self._cache = grown_cache(self._cache, positions)
        self._runner = None

    def _fork(self, twin: Self) -> None:
        """Give ``twin`` a cache of its own."""
        twin._cache = copied_cache(self._cache)
        twin._runner = None

    def _read(self, symbols: Symbols) -> None:
        """Append ``symbols`` (lanes, n) to the history, and read them."""
        begin, end = self._length, self._length + symbols.shape[1]
        self._reserve(end)
        self._history[:, begin:end] = symbols
        self._length = end
        self._read_rows(begin, end)

    def _read_rows(self, begin: int, end: int) -> None:
        """Read positions [begin, end) of all lanes' history; set ``logits`` to those after the last."""
        if end - begin == 1:
            for first in range(0, self._lanes, ROWS):
                lanes = np.arange(first, min(self._lanes, first + ROWS))
                self._run(lanes, np.full(len(lanes), begin), 0, self.logits[first : first + ROWS])
            return
        for lane in range(self._lanes):
            for first in range(begin, end, ROWS):
                places = np.arange(first, min(end, first + ROWS))
                is_last = places[-1] == end - 1
                wanted = len(places) - 1 if is_last else len(places)
                found = self.logits[lane : lane + 1] if is_last else self.logits[:0]
                self._run(np.full(len(places), lane), places, wanted, found)

    def _run(self, lanes: Symbols, places: Symbols, wanted: int, logits: Int32Array) -> None:
        if self._runner is None:
            self._runner = self._model.loaded.runner(capacity_of(self._cache))
        tokens = self._history[lanes, places]
        self._runner.run(self._cache, tokens, lanes, places, wanted, logits)

    def _reserve(self, positions: int) -> None:
        """Make room for ``positions`` positions; room at least doubles."""
        if positions > self._history.shape[1]:
            room = min(self._model.context, max(positions, 2 * self._history.shape[1]))
            more = np.zeros((self._lanes, max(room, positions)), dtype=np.int64)
            more[:, : self._length] = self._history[:, : self._length]
            self._history = more
            self._grow(more.shape[1])

    def weights(self, lane: int) -> Int32Array:
        """Return the weights of a lane's next symbol, in units of 2^-30, int32 (V,)."""
        found = np.empty(self._model.vocabulary_size, dtype=np.int32)
        fill_weights(self.logits[lane], _MASS, found)
        return found

    def probabilities(self) -> FloatArray:
        """Return p(symbol | lane so far), float64 (lanes, V)."""
        rows = np.stack([self.weights(lane) for lane in range(self._lanes)])
        return rows.astype(np.float64) * 2.0**-30

    def feed(self, symbols: Symbols) -> None:
        """Append one symbol to each lane, int64 (lanes,)."""
        model = self._model
        if self._length < model.context:
            self._read(symbols[:, None])
            return
        kept = self._history[:, self._length - (model.context - model.stride) + 1 : self._length]
        self._begin_with(np.hstack([kept, symbols[:, None]]))

    def feed_text(self, symbols: Symbols) -> None:
        """Append ``symbols`` (lanes, n); the last sees the positions that it would see after n single steps."""
        model = self._model
        if self._length + symbols.shape[1] <= model.context:
            if symbols.shape[1]:
                self._read(symbols)
            return
        text = np.hstack([self._history[:, 1 : self._length], symbols])
        beyond = text.shape[1] - model.context  # symbols after the first one that did not fit
        length = model.context - model.stride + beyond % model.stride
        self._begin_with(text[:, text.shape[1] - length :])

    def _begin_with(self, text: Symbols) -> None:
        """Read the start symbol and ``text`` anew."""
        self._length = 0
        self._read(np.hstack([np.full((self._lanes, 1), self._model.start, dtype=np.int64), text]))

    def copy(self) -> Self:
        """Return an independent copy."""
        twin = copy.copy(self)
        twin._history = self._history.copy()
        twin.logits = self.logits.copy()
        self._fork(twin)
        return twin
