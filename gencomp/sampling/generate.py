"""The loop: ask for the distribution of the next byte, draw, append."""

from collections.abc import Iterator

import numpy as np

from gencomp.equivalence.adapt import Model, as_predictor
from gencomp.protocols import PredictorState
from gencomp.sampling.strategies import Strategy


def generate(state: PredictorState, length: int, strategy: Strategy, rng: np.random.Generator) -> Iterator[int]:
    """Yield ``length`` symbols, each as soon as it is drawn; ``state`` moves on with them."""
    for _ in range(length):
        symbol = strategy.draw(state.code_lengths(), rng)
        state.update(symbol)
        yield symbol


def seen_alphabet(context: bytes) -> tuple[int, ...]:
    """Return the bytes that occur in ``context``, ascending."""
    return tuple(sorted(set(context)))


def sample(
    model: Model,
    *,
    length: int,
    prompt: bytes = b"",
    prime: bytes = b"",
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    alphabet: tuple[int, ...] | None = None,
    seed: int = 0,
) -> bytes:
    """Return ``length`` bytes that continue ``prompt`` under ``model``, a spec or an object of either kind.

    ``prime`` is a corpus that the model reads before the prompt. The same seed gives the same bytes, whatever the
    number of threads. See :class:`~gencomp.sampling.strategies.Strategy` for the other arguments and what they
    raise.
    """
    if length < 0:
        raise ValueError(f"length must be at least 0, got {length}")
    strategy = Strategy(temperature, top_k, top_p, alphabet)
    predictor = as_predictor(model)
    if predictor.alphabet_size != 256:
        raise ValueError(f"bytes need a model of 256 symbols, this one has {predictor.alphabet_size}")
    state = predictor.begin(prime + prompt)
    return bytes(generate(state, length, strategy, np.random.default_rng(seed)))
