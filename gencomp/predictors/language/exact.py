"""A language model in integers: the same distributions on every machine, in one pass over a window or step by step.

As :mod:`~gencomp.predictors.language.causal` has float models with their options, this module has those that
:mod:`gencomp.inference.transformer` computes.
"""

import functools
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gencomp.budget import Cost, StateCost
from gencomp.inference.products import Int32Array
from gencomp.inference.rows import fill_exponentials
from gencomp.inference.transformer import Network, capacity_of, new_cache
from gencomp.inference.transformer_weights import Form
from gencomp.places import open_regular
from gencomp.predictors.language.coding import lanes_for
from gencomp.predictors.language.exact_costs import ROWS, Passes, passes_of, reading_of, step_seconds
from gencomp.predictors.language.exact_lanes import (
    LEAST_ROOM,
    LOAD_BYTES,
    Costs,
    Keyed,
    Loaded,
    Lockstep,
    Symbols,
    loaded,
    text_windows,
)
from gencomp.predictors.language.families import Model
from gencomp.predictors.language.hazards import ModelFolderError

if TYPE_CHECKING:
    from gencomp.inference.transformer_torch import TorchNetwork


DEFAULT_CONTEXT = 4096  # positions, if the model takes so many
DEFAULT_LANE = 8192  # tokens: single lanes are fast, so lanes can be long, which compresses better
MAX_LANES = 4096
_TOKENIZER_BYTES = 640  # of a token: its text, its merges, its place
_SYMBOL_BYTES = 40  # of a block: as lists and arrays
_PIECE = 1 << 20
_MAX_FILE = 1 << 50


@dataclass(frozen=True)
class ExactModel:
    """A model of a known family with its options; its network is made when it is first used.

    ``start`` is the symbol that is read before the first. Up to ``batch`` lanes of a block are coded side by side. A
    prediction sees at most ``context`` positions; when these are full, the oldest ``stride`` of them are given up. On a
    ``torch_device``, torch computes the same integers (:mod:`~gencomp.inference.transformer_torch`).
    """

    source: Model
    digest: str
    start: int
    batch: int
    context: int
    stride: int
    torch_device: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.batch <= MAX_LANES:  # an archive's header may ask for anything
            raise ValueError(f"batch must be from 1 to {MAX_LANES}, got {self.batch}")
        limit = self.source.limit
        if self.context < 2 or (limit is not None and self.context > limit):
            raise ValueError(f"context must be from 2 to the model's {limit} positions, got {self.context}")
        if not 1 <= self.stride < self.context:
            raise ValueError(f"stride must be from 1 to context - 1, which is {self.context - 1}, got {self.stride}")
        if self.torch_device is not None:
            from gencomp.predictors.language.exact_torch import found_device

            found_device(self.torch_device)

    @property
    def form(self) -> Form:
        return self.source.form

    @cached_property
    def loaded(self) -> Loaded:
        """The network, made when it is first used, and the rows of its embedding."""
        return loaded(self._keyed)

    @property
    def network(self) -> Network:
        return self.loaded.network

    @property
    def _keyed(self) -> "Keyed":
        return Keyed(self.digest, self.context, self.source)

    @property
    def torch_network(self) -> "TorchNetwork":
        """The network on its device; only where there is one."""
        from gencomp.predictors.language.exact_torch import network_on

        assert self.torch_device is not None
        return network_on(self.torch_device, self._keyed)

    @property
    def vocabulary_size(self) -> int:
        return self.form.vocabulary

    @property
    def parameter_count(self) -> int:
        shapes = self.form.expected().values()
        return sum(int(np.prod(shape)) for shape in shapes)

    @property
    def settings(self) -> "ExactModel":
        """What has :meth:`applied`, as in a float model."""
        return self

    def applied(self) -> AbstractContextManager[None]:
        """Return an empty context: integers need no settings."""
        return nullcontext()

    def begin(self, lanes: int, length: int | None = None) -> "Lockstep":
        """Return ``lanes`` empty texts, of ``length`` symbols where that is known."""
        if self.torch_device is None:
            return Lockstep(self, lanes, length)
        from gencomp.predictors.language.exact_torch import TorchLockstep

        return TorchLockstep(self, lanes, length)

    def environment(self) -> Mapping[str, Any]:
        """Return what the bytes depend on beside the revision."""
        return {"weights": self.digest}

    def windows(self, text: Symbols, visit: Callable[[int, Int32Array], None]) -> None:
        """Call ``visit(first, logits)`` for all symbols of ``text`` (n,), k at a time from ``first`` on.

        ``logits`` (k, V) are those that predict the symbols, the same as in :class:`Lockstep`.
        """
        cache = new_cache(self.network, 1, min(self.context, len(text)))
        runner = self.loaded.runner(capacity_of(cache))
        logits = np.empty((ROWS, self.vocabulary_size), dtype=np.int32)
        lanes = np.zeros(ROWS, dtype=np.int64)
        for begin, first, last in text_windows(len(text), self.context, self.stride):
            inputs = np.concatenate([[self.start], text[begin : last - 1]])
            for at in range(0, len(inputs), ROWS):
                rows = inputs[at : at + ROWS]
                wanted = min(len(rows), max(0, first - begin - at))
                places = np.arange(at, at + len(rows))
                found = logits[: len(rows) - wanted]
                runner.run(cache, rows, lanes[: len(rows)], places, wanted, found)
                if len(found):
                    visit(begin + at + wanted, found)

    def sequence_costs(self, texts: Sequence[Symbols]) -> list[Costs]:
        """Return the costs of every text (n,)."""
        if self.torch_device is not None:
            from gencomp.predictors.language import exact_torch

            return exact_torch.sequence_costs(self, texts)
        return [self._costs(text) for text in texts]

    def _costs(self, text: Symbols) -> Costs:
        bits, likeliest = np.empty(len(text), dtype=np.float64), np.empty(len(text), dtype=np.bool_)
        powers = np.empty(self.vocabulary_size, dtype=np.int32)

        def visit(first: int, logits: Int32Array) -> None:
            for index, row in enumerate(logits, first):
                total = int(fill_exponentials(row, powers))
                below = (int(row.max()) - int(row[text[index]])) / 65536
                bits[index] = below + np.log2(total) - 30
                likeliest[index] = row.argmax() == text[index]

        if len(text):
            self.windows(text, visit)
        return Costs(bits, likeliest)

    def lane_bytes(self, positions: int) -> int:
        """Return how many bytes a lane of ``positions`` positions takes."""
        kept = max(LEAST_ROOM, min(positions, self.context))
        return kept * (self.form.position_bytes() + 8) + 4 * self.vocabulary_size

    def passes(self, symbols: int, shortest: int) -> Passes:
        """Return what decoding a block of ``symbols`` symbols reads, cut into lanes of at least ``shortest``."""
        lanes = lanes_for(symbols, self.batch, shortest)
        return passes_of(lanes, -(-symbols // lanes), self.context, self.stride)

    def block_cost(self, symbols: int, shortest: int) -> Cost:
        """Return the cost of a block of ``symbols`` symbols, cut into lanes of at least ``shortest``."""
        lanes = lanes_for(symbols, self.batch, shortest)
        held = lanes * self.lane_bytes(-(-symbols // lanes)) + self._pass_bytes
        memory = self._loaded_bytes + max(LOAD_BYTES, held) + _SYMBOL_BYTES * symbols
        return Cost(memory, self.passes(symbols, shortest).seconds(self.form))

    @property
    def _loaded_bytes(self) -> int:
        """What the network and its tokenizer take."""
        return self.form.network_bytes(self.context) + _TOKENIZER_BYTES * self.vocabulary_size

    @property
    def _pass_bytes(self) -> int:
        """What a pass takes: its logits and weights, and numbers of each row."""
        form = self.form
        widest = max(outputs for name, (_, outputs, _) in form.matrices().items() if name != "head")
        return 8 * self.vocabulary_size + ROWS * (
            4 * self.vocabulary_size + 10 * form.width + 8 * widest + 2 * form.feed_forward
        )

    def state_cost(self, size: int, lanes: int) -> StateCost:
        """Return the cost of a state after ``size`` bytes that holds up to ``lanes`` hypotheses, one lane each."""
        room = self._loaded_bytes + max(LOAD_BYTES, self._pass_bytes)
        begin = reading_of(size, self.context).seconds(self.form)
        step = step_seconds(self.form, size + 1, self.context, self.stride)
        return StateCost(2 * lanes * self.lane_bytes(size + 1) + 9 * size, room, begin, lanes * step)


def exact_model(
    source: Model,
    digest: str,
    start: int,
    *,
    batch: int,
    context: int | None,
    stride: int | None,
    torch_device: str | None = None,
) -> ExactModel:
    """Return a model with its options; by default with up to DEFAULT_CONTEXT positions, and half of them as stride."""
    positions = min(DEFAULT_CONTEXT, source.limit or DEFAULT_CONTEXT) if context is None else context
    stride = max(1, positions // 2) if stride is None else stride
    return ExactModel(source, digest, start, batch, positions, stride, torch_device)


def file_digest(path: Path) -> str:
    """Return 16 hexadecimal digits of a file: BLAKE2b-64 of its size and its bytes."""
    status = path.stat()
    return _file_digest(path, status.st_ino, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=8)
def _file_digest(path: Path, inode: int, size: int, changed: int) -> str:
    hasher = hashlib.blake2b(digest_size=8)
    with open_regular(path, _MAX_FILE, ModelFolderError, "a file of a model") as file:
        hasher.update(os.fstat(file.fileno()).st_size.to_bytes(8, "little"))
        while piece := file.read(_PIECE):
            hasher.update(piece)
    return hasher.hexdigest()
