"""The pieces of a comparison's work: plain data in, plain JSON out, in any process.

A task's result depends on its fields alone, so it can be kept under :meth:`Task.key` and need not be computed again.
"""

import base64
import dataclasses
import functools
import hashlib
import json
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from gencomp.comparison import judges, judges_media
from gencomp.comparison.prompts import Prompt
from gencomp.comparison.strategies import parse_strategy, search_of
from gencomp.equivalence.adapt import as_predictor
from gencomp.equivalence.candidates import entropy
from gencomp.equivalence.conditional import code_lengths
from gencomp.equivalence.explain import explain, step_records
from gencomp.equivalence.identity import kept_under
from gencomp.protocols import Predictor
from gencomp.sampling.copies import measure_copies

LOSS_BYTES = 512  # bytes that a model's log-loss is measured on, in evenly spread pieces
REVISION = 1  # of what the tasks compute

Result = dict[str, Any]


@functools.lru_cache(maxsize=4)
def predictor_of(spec: str) -> Predictor:
    """Return the model, loaded once per process."""
    predictor = as_predictor(spec)
    if predictor.alphabet_size != 256:
        raise ValueError(f"bytes need a model of 256 symbols, {spec} has {predictor.alphabet_size}")
    return predictor


@functools.lru_cache(maxsize=64)
def _identity(spec: str) -> str:
    """Return what the model's figures depend on; for a class without a name, the spec alone."""
    try:
        return kept_under(predictor_of(spec))
    except ValueError:
        return spec


@functools.lru_cache(maxsize=4)
def sampled(spec: str, strategy: str) -> Predictor:
    """Return the predictor that a strategy asks for the next byte: the model's, or its lookahead."""
    return search_of(parse_strategy(strategy), b"x").predictor(predictor_of(spec))


@dataclass(frozen=True)
class Task:
    """Base of all tasks. ``prompt`` has the pieces that the task is about."""

    prompt: Prompt
    model: str

    def key(self) -> str:
        """Return the result's key: a hash of everything that it depends on, including the models' identities."""
        fields = {name: repr(getattr(self, name)) for name in sorted(f.name for f in dataclasses.fields(self))}
        models = [_identity(model) for model in self.models()]
        text = json.dumps([type(self).__name__, REVISION, fields, models])
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def models(self) -> list[str]:
        """Return the specs of the models that the task asks."""
        return [self.model]

    def run(self) -> Result:
        raise NotImplementedError


def run_task(task: Task) -> Result:
    """Return the result; a module's function, so that other processes can run it."""
    return task.run()


@dataclass(frozen=True)
class Continue(Task):
    """Continue the pieces from ``first`` on, in order.

    Piece n draws with a generator of its own, seeded with (seed, n), so that rows can be shared out among processes.
    """

    strategy: str
    seed: int
    first: int = 0

    def run(self) -> Result:
        start = time.perf_counter()
        spec = parse_strategy(self.strategy)
        predictor = sampled(self.model, self.strategy)
        parts: list[bytes] = []
        context = b""
        for number, (given, truth) in enumerate(self.prompt.pieces):
            context = context + given if self.prompt.joined else given
            rng = np.random.default_rng([self.seed, self.first + number])
            search = search_of(spec, context)
            part = bytes(search.generate(predictor, context, len(truth), rng))
            parts.append(part)
            context += part
        return {"parts": encoded(parts), "seconds": time.perf_counter() - start}


@dataclass(frozen=True)
class Measure(Task):
    """Ask a model what it charges for ``parts``, and how sure it is, over about LOSS_BYTES bytes.

    A longer piece is cut; of many pieces, evenly spread ones are taken.
    """

    parts: tuple[bytes, ...]

    def run(self) -> Result:
        predictor = predictor_of(self.model)
        costs: list[float] = []
        entropies: list[float] = []
        for given, part in self._chosen():
            state = predictor.begin(given)
            for symbol in part[:LOSS_BYTES]:
                lengths = state.code_lengths()
                entropies.append(entropy(lengths))
                costs.append(float(lengths[symbol]))
                state.update(symbol)
        return {"entropy": float(np.mean(entropies)), "log_loss": float(np.mean(costs)), "bytes": len(costs)}

    def _chosen(self) -> list[tuple[bytes, bytes]]:
        """Return (context, part) pairs with about LOSS_BYTES bytes of parts in all."""
        pairs = self.prompt.contexts(self.parts)
        longest = max(len(part) for part in self.parts)
        count = max(1, min(len(pairs), LOSS_BYTES // max(1, longest)))
        return [pairs[number * len(pairs) // count] for number in range(count)]


@dataclass(frozen=True)
class Judge(Task):
    """Judge ``parts``, a continuation of the prompt, under ``model``; ``own`` is the model that made it, if any."""

    parts: tuple[bytes, ...]
    own: str = ""

    def models(self) -> list[str]:
        return [self.model, self.own] if self.own else [self.model]

    def run(self) -> Result:
        data = b"".join(self.parts)
        predictor = predictor_of(self.model)
        costs = judges.code_lengths_after(predictor, self.prompt.with_parts(self.parts))
        copies = measure_copies(self.prompt.given, data)
        result: Result = {
            "bits_per_byte": judges.mean(costs),
            "costs": [round(cost, 3) for cost in costs.tolist()] if self.prompt.modality == "text" else [],
            "self_bits_per_byte": judges.self_compressibility(predictor, data),
            "distinct_2": judges.distinct(data, 2),
            "distinct_4": judges.distinct(data, 4),
            "repetition": judges.repetition(data),
            "copy_rate": copies.rate,
            "longest_copy": copies.longest,
        }
        if self.own:
            result["own_bits_per_byte"] = self._own_code_length() / len(data)
        return result | self._against_truth()

    def _own_code_length(self) -> float:
        """Return the bits that the parts add to the code of the model that made them, over all pieces."""
        return float(code_lengths(predictor_of(self.own), self.prompt.contexts(self.parts)).sum())

    def _against_truth(self) -> Result:
        data, truth = b"".join(self.parts), b"".join(self.prompt.truth)
        if self.prompt.modality == "audio":
            signals = (judges_media.waveform(piece) for piece in (data, truth))
            return {"log_spectral_distance": judges_media.log_spectral_distance(*signals)}
        if self.prompt.modality == "text":
            return {}
        rows = len(self.parts)
        image, reference = (np.frombuffer(piece, dtype=np.uint8).reshape(rows, -1) for piece in (data, truth))
        noise = judges_media.psnr(image, reference)
        fits = min(image.shape) >= judges_media.SSIM_WINDOW
        return {
            "mean_absolute_error": judges_media.mean_absolute_error(image, reference),
            "psnr": noise if np.isfinite(noise) else None,
            "ssim": judges_media.ssim(image, reference) if fits else None,
        }


@dataclass(frozen=True)
class Walk(Task):
    """Record the arithmetic coder's steps over the first ``length`` bytes of the truth, after the prompt."""

    length: int

    def run(self) -> Result:
        given, truth = self.prompt.pieces[0]
        explanation = explain(predictor_of(self.model), truth[: self.length], given)
        return {"steps": step_records(explanation), "code": explanation.code}


def encoded(parts: list[bytes]) -> list[str]:
    """Return bytes as JSON can hold them."""
    return [base64.b64encode(part).decode("ascii") for part in parts]


def decoded(parts: list[str]) -> tuple[bytes, ...]:
    """Undo :func:`encoded`."""
    return tuple(base64.b64decode(part) for part in parts)
