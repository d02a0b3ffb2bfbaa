"""From a distribution to one symbol: temperature, top-k, top-p, a restricted alphabet, and the draw."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gencomp.arguments import as_symbol
from gencomp.coding.quantize import MAX_ALPHABET_SIZE, weights_of_code_lengths
from gencomp.protocols import FloatArray, IntArray


@dataclass(frozen=True)
class Draw:
    """How one symbol is drawn: the filters and the temperature.

    The filters apply in this order: ``alphabet`` (only these symbols), ``temperature`` (p^(1/temperature); below 1
    sharpens), ``top_k`` (the k likeliest), ``top_p`` (the fewest likeliest with at least that mass: nucleus
    sampling, Holtzman et al. 2020). Between equally likely symbols the lower one comes first. How a continuation is
    found is a *strategy*: :class:`gencomp.sampling.generate.Search`.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    alphabet: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.temperature < float("inf"):
            raise ValueError(
                f"temperature must be above 0, got {self.temperature}; to take the likeliest symbol, use top-k 1"
            )
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {self.top_k}")
        if self.top_p is not None and not 0.0 < self.top_p <= 1.0:
            raise ValueError(f"top_p must be above 0 and at most 1, got {self.top_p}")
        if self.alphabet is None:
            return
        if isinstance(self.alphabet, str):
            raise TypeError(f"the alphabet must be whole numbers, got text: {self.alphabet!r}; encode it first")
        symbols = tuple(as_symbol(symbol, MAX_ALPHABET_SIZE) for symbol in self.alphabet)
        if not symbols:
            raise ValueError("the alphabet is empty: there is no byte in the prompt or the corpus to take it from")
        object.__setattr__(self, "alphabet", symbols)

    def weights(self, code_lengths: FloatArray) -> IntArray:
        """Return the integer weights to draw from, int64 (n,), 0 for what is filtered out.

        ``code_lengths`` are bits, (n,). The weights have no floating-point sum in them, so equal lengths tie exactly.
        """
        lengths = code_lengths
        if self.alphabet is not None and max(self.alphabet) >= len(code_lengths):
            raise ValueError(f"the alphabet's symbols must be below {len(code_lengths)}, got {max(self.alphabet)}")
        if self.alphabet is not None:
            lengths = np.full_like(code_lengths, np.inf)
            lengths[list(self.alphabet)] = code_lengths[list(self.alphabet)]
        lengths = lengths - lengths.min()
        if self.temperature != 1.0:
            with np.errstate(over="ignore"):  # to infinity, a weight of 0
                lengths /= self.temperature
        weights = weights_of_code_lengths(lengths)
        if self.top_k is None and self.top_p is None:
            return weights
        order = np.argsort(-weights, kind="stable")
        kept = len(order) if self.top_k is None else self.top_k
        if self.top_p is not None:
            mass = np.cumsum(weights[order[:kept]])
            kept = int(np.searchsorted(mass, self.top_p * float(mass[-1]))) + 1
        weights[order[kept:]] = 0
        return weights

    def symbol(self, code_lengths: FloatArray, rng: np.random.Generator) -> int:
        """Return a symbol drawn from normalised ``code_lengths`` (n,) in bits."""
        return draw_weighted(self.weights(code_lengths), rng)


def draw_weighted(weights: npt.NDArray[np.int64], rng: np.random.Generator) -> int:
    """Return an index, drawn with probability proportional to its integer weight."""
    cumulative = weights.cumsum()
    return int(cumulative.searchsorted(rng.integers(cumulative[-1]), side="right"))
