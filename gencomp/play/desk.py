"""What the page asks for: models that are opened once, and their answers as records that JSON takes.

Everything that a request may make the process do is compared with a budget first.
"""

import base64
import binascii
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gencomp.budget import Budget, Cost
from gencomp.equivalence.adapt import as_compressor, as_predictor, native, predictor_spec
from gencomp.equivalence.candidates import candidates_of
from gencomp.equivalence.capabilities import (
    charge,
    charges_at_once,
    is_causal,
    parse_of,
    parses,
    resolution_of,
    state_cost,
)
from gencomp.equivalence.checkpoints import SPACING, Checkpoints
from gencomp.equivalence.costs import costs_cost, stream_costs
from gencomp.equivalence.explain import coder_record, explain, explain_paper
from gencomp.equivalence.predictor import CodeLengthPredictor
from gencomp.errors import BudgetError, GencompError
from gencomp.protocols import FloatArray, Predictor
from gencomp.registry import entries
from gencomp.sampling.bits import stream_bits
from gencomp.sampling.copies import find_copies
from gencomp.sampling.draw import Draw
from gencomp.sampling.generate import Search, StrategyName, seen_alphabet

MAX_TEXT = 1 << 16  # bytes
MAX_LENGTH = 4096  # bytes drawn at once
MAX_SPEC = 400  # characters
MAX_WORK = 300.0  # seconds of one core, by cautious estimates
MAX_MEMORY = 2 << 30
WHOLE_MESSAGE = 64  # bytes up to which the coder is shown from the text's beginning on,
LAST_BYTES = 16  # else from so many bytes before the caret
SHOWN = 32  # candidates
_MODELS = 12  # kept open
_TEXTS = 4  # whose costs are remembered, for each model
_PIECES = {False: 64, True: 8}  # bytes of costs at a time; normalised ones take 256 times as long

Event = dict[str, Any]


class RequestError(GencompError):
    """A request that the page would not make."""


@dataclass
class Opened:
    """A model with what is known of it so far."""

    spec: str
    predictor: Predictor
    points: Checkpoints
    known: dict[bool, deque[tuple[bytes, FloatArray]]] = field(
        default_factory=lambda: {way: deque(maxlen=_TEXTS) for way in (False, True)}
    )

    @property
    def is_codec(self) -> bool:
        return isinstance(self.predictor, CodeLengthPredictor)

    def known_costs(self, text: bytes, normalized: bool) -> FloatArray:
        """Return the costs of the longest beginning of ``text`` that has been priced, float64 (n,)."""
        best = np.empty(0, np.float64)
        for other, found in list(self.known[normalized]):
            shared = min(common(text, other), len(found))
            if shared > len(best):
                best = found[:shared]
        return best


class Desk:
    """Opens models by their specs and answers the page's questions about texts."""

    def __init__(self, budget: Budget | None = None) -> None:
        self.budget = budget or Budget(MAX_MEMORY, MAX_WORK)
        self._opened: OrderedDict[str, Opened] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, spec: str) -> Opened:
        """Return the model of ``spec``; raise :class:`~gencomp.errors.GencompError` where there is none."""
        if not isinstance(spec, str) or not 0 < len(spec) <= MAX_SPEC:
            raise RequestError(f"a spec is text of 1 to {MAX_SPEC} characters")
        with self._lock:
            if spec in self._opened:
                self._opened.move_to_end(spec)
                return self._opened[spec]
        predictor = as_predictor(spec)
        if predictor.alphabet_size != 256:
            raise RequestError(f"the page shows models of bytes; {spec} has {predictor.alphabet_size} symbols")
        opened = Opened(predictor_spec(predictor), predictor, Checkpoints(predictor))
        with self._lock:
            opened = self._opened.setdefault(spec, opened)
            if len(self._opened) > _MODELS:
                self._opened.popitem(last=False)
        return opened

    def names(self) -> list[dict[str, str]]:
        """Return what a spec may begin with, each with its summary."""
        return [{"name": entry.name, "summary": entry.summary, "kind": entry.kind} for entry in entries()]

    def costs(self, spec: str, text: bytes, *, normalized: bool = False) -> Iterator[Event]:
        """Yield what the model is, then the costs piece by piece, then the sums, all in bits.

        What is known of the text's beginning comes at once.
        """
        started = time.perf_counter()
        opened = self.open(spec)
        self._check(costs_cost(opened.predictor, len(text), normalized=normalized), f"pricing {len(text):,} bytes")
        model = native(opened.predictor)
        yield {
            "event": "begin",
            "spec": opened.spec,
            "codec": opened.is_codec,
            "parses": parses(model),
            "causal": is_causal(model),
            "resolution": resolution_of(model),
            "framing": as_compressor(model).code_length(b"") if opened.is_codec else 0.0,
        }
        known = opened.known_costs(text, normalized)
        if len(known):
            yield {"event": "costs", "start": 0, "costs": _rounded(known)}
        found = [known]
        start = len(known)
        try:
            for piece in self._pieces(opened, text, start, normalized):
                found.append(piece)
                yield {"event": "costs", "start": start, "costs": _rounded(piece)}
                start += len(piece)
        finally:  # what is known is kept where nobody waits for the rest
            whole = np.concatenate(found)
            opened.known[normalized].append((text[: len(whole)], whole))
        yield {"event": "end", "bits": round(float(whole.sum()), 4), "seconds": time.perf_counter() - started}

    def _pieces(self, opened: Opened, text: bytes, start: int, normalized: bool) -> Iterator[FloatArray]:
        """Yield the costs from ``start`` on. Where states are small, they are kept on the way."""
        size = _PIECES[normalized and opened.is_codec]
        points = opened.points
        if opened.is_codec or not points.are_small or not charges_at_once(opened.predictor.begin()):
            yield from stream_costs(
                opened.predictor, text[start:], given=text[:start], normalized=normalized, piece=size
            )
            return
        state = points.at(text[:start])
        while start < len(text):
            stop = min(len(text), (start // size + 1) * size)
            yield charge(state, text[start:stop])
            start = stop
            if start % SPACING == 0:
                points.keep(text[:start], state)

    def candidates(self, spec: str, text: bytes, position: int, draw: Mapping[str, Any]) -> Event:
        """Return the candidates for the byte at ``position``, raw and as they would be drawn."""
        opened = self.open(spec)
        context = text[:position]
        cost = state_cost(opened.predictor, len(context))
        self._check(Cost(cost.held + cost.scratch, cost.begin + cost.step), f"a state after {len(context):,} bytes")
        found = candidates_of(opened.points.at(context))
        weights = draw_of(draw, context).weights(found.code_lengths)
        total = int(weights.sum())
        shown = found.top(SHOWN)
        actual = text[position] if position < len(text) else None
        if actual is not None and actual not in shown:
            shown.append(actual)
        return {
            "position": position,
            "kraft": found.kraft_sum,
            "entropy": found.entropy,
            "distinct": found.distinct_lengths,
            "possible": int((weights > 0).sum()),
            "actual": actual,
            "candidates": [
                {
                    "byte": symbol,
                    "bits": round(float(found.charged[symbol]), 4),
                    "p": float(found.probabilities[symbol]),
                    "drawn": int(weights[symbol]) / total,
                    "ties": found.ties(symbol),
                }
                for symbol in shown
            ],
        }

    def parse(self, spec: str, text: bytes) -> Event:
        """Return how the codec cuts the text."""
        opened = self.open(spec)
        model = native(opened.predictor)
        if not parses(model):
            raise RequestError(f"{opened.spec} does not tell of literals and copies; gzip, zlib, zstd and lzma do")
        return parse_of(model, text).record()

    def coder(self, spec: str, text: bytes, position: int) -> Event:
        """Return what an arithmetic coder holds after the text up to ``position``, exactly.

        From the text's beginning on where it is short, else for the last bytes alone, given those before.
        """
        opened = self.open(spec)
        begin = 0 if position <= WHOLE_MESSAGE else position - LAST_BYTES
        cost = state_cost(opened.predictor, position)
        steps = position - begin
        self._check(Cost(cost.held + cost.scratch, cost.begin + steps * cost.step), f"coding {steps} bytes")
        record = coder_record(explain(opened.predictor, text[begin:position], text[:begin]))
        return {"start": begin, **record}

    def generate(self, spec: str, text: bytes, options: Mapping[str, Any]) -> Iterator[Event]:
        """Yield bytes that continue the text, each as it is drawn, and at the end the copies among them."""
        opened = self.open(spec)
        length, seed = _whole(options, "length", 1, MAX_LENGTH, 200), _whole(options, "seed", 0, 2**32, 0)
        name = options.get("strategy", "bytes")
        rng = np.random.default_rng(seed)
        yield {"event": "begin", "spec": opened.spec}
        drawn = bytearray()
        if name == "bits":
            state = state_cost(opened.predictor, len(text) + length)
            self._check(Cost(state.held + state.scratch, state.begin + length * state.step), f"drawing {length} bytes")
            source = _limited(stream_bits(opened.predictor, rng.bytes(4 * length + 64), prompt=text), length)
        else:
            source = self._searched(opened, name, text, length, options, rng)
        for symbol in source:
            drawn.append(symbol)
            yield {"event": "bytes", "bytes": [symbol]}
        copies = [
            {"start": len(text) + copy.start, "stop": len(text) + copy.stop, "source": copy.source}
            for copy in find_copies(text, bytes(drawn))
        ]
        yield {"event": "end", "copies": copies}

    def _searched(
        self,
        opened: Opened,
        name: StrategyName,
        text: bytes,
        length: int,
        options: Mapping[str, Any],
        rng: np.random.Generator,
    ) -> Iterator[int]:
        draw = draw_of(options, text)
        if name in ("beam", "particles"):  # which filter no single bytes
            draw = Draw(draw.temperature if name == "particles" else 1.0, alphabet=draw.alphabet)
        search = Search(name, None if name == "bytes" else 8, None if name == "bytes" else 16, draw)
        predictor = search.predictor(opened.predictor)
        return search.generate(predictor, text, length, rng, budget=self.budget)

    def _check(self, cost: Cost, what: str) -> None:
        self.budget.check(cost, what)


def common(one: bytes, other: bytes) -> int:
    """Return how many bytes two texts have alike from their beginnings on."""
    size = min(len(one), len(other))
    if one[:size] == other[:size]:
        return size
    differ = np.frombuffer(one, np.uint8, size) != np.frombuffer(other, np.uint8, size)
    return int(differ.argmax())


def text_of(request: Mapping[str, Any]) -> bytes:
    """Return the text of a request; raise :class:`RequestError` where it is none, or too long."""
    try:
        text = base64.b64decode(request.get("text", ""), validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise RequestError("the text is not base64") from None
    if len(text) > MAX_TEXT:
        raise BudgetError(f"the page takes texts of up to {MAX_TEXT:,} bytes, this one has {len(text):,}")
    return text


def position_of(request: Mapping[str, Any], text: bytes) -> int:
    """Return the position of a request, between 0 and the text's size."""
    return _whole(request, "position", 0, len(text), len(text))


def draw_of(options: Mapping[str, Any], context: bytes) -> Draw:
    """Return how bytes are drawn: ``temperature``, ``top_k``, ``top_p`` and ``seen``, only bytes of the context."""
    temperature, top_p = options.get("temperature", 1.0), options.get("top_p")
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in (temperature, top_p or 1.0)):
        raise RequestError("temperature and top_p are numbers")
    top_k = None if options.get("top_k") is None else _whole(options, "top_k", 1, 256, 256)
    alphabet = seen_alphabet(context) if options.get("seen") and context else None
    return Draw(temperature, top_k, top_p, alphabet)


def _whole(options: Mapping[str, Any], name: str, low: int, high: int, default: int) -> int:
    value = options.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise RequestError(f"{name} is a whole number from {low} to {high}")
    return value


def _limited(source: Iterator[int], length: int) -> Iterator[int]:
    for _, symbol in zip(range(length), source, strict=False):
        yield symbol


def _rounded(values: FloatArray) -> list[float]:
    return [round(value, 3) for value in values.tolist()]


def paper_record() -> Event:
    """Return the paper's example, AIXI, with its cdfs in full."""
    explanation = explain_paper()
    record = coder_record(explanation)
    record["cdfs"] = [[int(bound) for bound in step.cdf] for step in explanation.steps]
    record["alphabet"] = list(explanation.labels)
    return record
