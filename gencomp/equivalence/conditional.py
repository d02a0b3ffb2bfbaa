"""Conditional code lengths: what data costs after other data, in bits, by one definition for codecs and predictors.

For a codec with code lengths L, as exact as its format allows, it is what the data adds to the code:

    code_length(data | given) = L(given + data) - L(given)

What every code has, such as header, checksum and end mark, is in both terms and drops out, even where ``given`` is
empty. The difference can be slightly below 0, since the data may change a codec's choices for what came before; it is
reported as it is.

For a predictor it is -log2 p(data | given), without any framing, under the quantised distributions that its archives
are coded with, where it has them. Language models are measured in calls over whole windows; their floats may differ
from the encoder's in the last bits. For a token model it is the difference between the costs of two texts' tokens.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from gencomp.arguments import as_bytes
from gencomp.cores import pair_pool, usable_cores
from gencomp.equivalence.adapt import Model, as_predictor, native
from gencomp.equivalence.capabilities import spend, window_of
from gencomp.protocols import ChunkScoring, Compressor, FloatArray, Predictor, PrefixScoring, SequenceScoring

Pair = tuple[bytes, bytes]  # (given, data)
_PART = 64  # most pairs of one task, so that progress shows


def code_length(model: Model, data: bytes, given: bytes = b"") -> float:
    """Return what ``data`` costs in bits after ``given`` under ``model``, a spec or an object of either kind."""
    return float(code_lengths(model, [(given, data)])[0])


def code_lengths(model: Model, pairs: Sequence[Pair], report: Callable[[int], object] | None = None) -> FloatArray:
    """Return the conditional code length in bits of each (given, data) pair, float64 (n,), on all cores.

    What several pairs have as ``given`` is read once. ``report`` is told how many more pairs are done.
    """
    pairs = [(as_bytes(given, "what is given"), as_bytes(data)) for given, data in pairs]
    loaded = native(as_predictor(model))
    found = np.empty(len(pairs), dtype=np.float64)
    for places, lengths in _measured(loaded, pairs):
        found[places] = lengths
        if report is not None:
            report(len(places))
    return found


def _measured(model: Predictor | Compressor, pairs: Sequence[Pair]) -> Iterator[tuple[list[int], FloatArray]]:
    """Yield (places in ``pairs``, their code lengths) as they come."""
    if isinstance(model, ChunkScoring | SequenceScoring):  # which batch by themselves, on their own threads
        for start in range(0, len(pairs), _PART):
            places = list(range(start, min(start + _PART, len(pairs))))
            yield places, _of_sequences(model, [pairs[place] for place in places])
        return
    parts = _parts(pairs)
    tasks = ((model, pairs[places[0]][0], [pairs[place][1] for place in places]) for places in parts)
    yield from zip(parts, pair_pool().map(lambda task: _after(*task), tasks), strict=True)


def _parts(pairs: Sequence[Pair]) -> list[list[int]]:
    """Return the pairs' places in parts, each of one ``given``, that keep all cores busy."""
    groups: dict[bytes, list[int]] = {}
    for place, (given, _) in enumerate(pairs):
        groups.setdefault(given, []).append(place)
    cores = usable_cores()
    shares = max(1, -(-cores // max(1, len(groups))))
    parts = []
    for places in groups.values():
        size = min(_PART, max(1, -(-len(places) // shares)))
        parts += [places[start : start + size] for start in range(0, len(places), size)]
    return parts


def _of_sequences(model: ChunkScoring | SequenceScoring, pairs: Sequence[Pair]) -> FloatArray:
    if isinstance(model, ChunkScoring):
        whole = model.chunk_code_lengths([given + data for given, data in pairs])
        return np.asarray(whole - model.chunk_code_lengths([given for given, _ in pairs]))
    costs = model.sequence_code_lengths([given + data for given, data in pairs])
    return np.array([row[len(given) :].sum() for row, (given, _) in zip(costs, pairs, strict=True)], dtype=np.float64)


def _after(model: Predictor | Compressor, given: bytes, suffixes: Sequence[bytes]) -> FloatArray:
    """Return what each of ``suffixes`` costs after ``given``, float64 (n,)."""
    if isinstance(model, Predictor):
        state = model.begin(given)
        lengths = [spend(state.copy(), data) for data in suffixes[:-1]]
        lengths += [spend(state, data) for data in suffixes[-1:]]
        return np.array(lengths, dtype=np.float64)
    if isinstance(model, PrefixScoring) and len(suffixes) > 1:  # the state after ``given`` is kept
        found = model.begin_scoring(given).code_lengths([b"", *suffixes])
        return np.asarray(found[1:] - found[0])
    before = model.code_length(given)
    lengths = [model.code_length(given + data) - before for data in suffixes]
    return np.array(lengths, dtype=np.float64)


def mixture(lengths: Sequence[FloatArray]) -> FloatArray:
    """Return the code lengths under equally likely models, -log2 of the mean of 2^-l: float64 (n,).

    They exceed the shortest by at most log2 of the number of models, which naming the best one would cost.
    """
    stacked = np.stack(lengths)
    shortest = stacked.min(axis=0)
    return np.asarray(shortest - np.log2(np.exp2(shortest - stacked).mean(axis=0)))


def beyond_window(model: Model, pairs: Sequence[Pair]) -> tuple[int, int] | None:
    """Return (window, longest pair) in bytes where some pair is longer than ``model`` can look back, else None."""
    window = window_of(native(as_predictor(model)))
    longest = max((len(given) + len(data) for given, data in pairs), default=0)
    return None if window is None or longest <= window else (window, longest)
