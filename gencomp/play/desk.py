"""The page's questions: models are opened once, and their answers are records that JSON takes.

Whatever a request may make the process do is compared with a budget first.
"""

import base64
import binascii
import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gencomp.budget import Budget, Cost, too_much_work
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
WHOLE_MESSAGE = 64  # bytes up to which the coder is shown from the beginning of the text
LAST_BYTES = 16  # bytes before the caret from which it is shown in a longer text
SHOWN = 32  # candidates
_MODELS = 12  # kept open
_TEXTS = 4  # whose costs are remembered, for each model
_PIECES = {False: 64, True: 8}  # bytes priced at a time; normalised costs take 256 times as long
_SLOW = 0.25  # seconds after which the bytes around the caret come first
_AROUND = 24  # how many bytes before the caret come first, and how many after it
_TOLD = 1.0  # seconds between two estimates of what is left

Event = dict[str, Any]


class RequestError(GencompError):
    """A request that the page would not make."""


@dataclass
class Priced:
    """What the bytes of a text cost, as far as known from its beginning."""

    text: bytes
    pieces: list[FloatArray] = field(default_factory=list)
    size: int = 0

    def add(self, piece: FloatArray) -> None:
        self.pieces.append(piece)
        self.size += len(piece)

    def up_to(self, size: int) -> FloatArray:
        return np.concatenate([np.empty(0, np.float64), *list(self.pieces)])[:size]


class Pace:
    """Estimates from the pieces so far how long the rest of ``size`` bytes takes.

    A codec that compresses everything before each byte takes longer for later ones (``grows``). If a byte further on
    has been tried, the time for a byte is assumed to be linear in its place up to there; else to be proportional to its
    place, or to grow more slowly if the pieces so far say so.
    """

    def __init__(self, start: int, size: int, *, grows: bool) -> None:
        self._start, self._size, self._grows = start, size, grows
        self._points = [(start, 0.0)]
        self._tried: tuple[int, float] | None = None

    def add(self, place: int, seconds: float) -> None:
        """Note that everything before ``place`` is known after ``seconds`` of work."""
        self._points.append((place, seconds))

    def tried(self, place: int, seconds: float) -> None:
        """Note that a byte at ``place`` takes ``seconds``."""
        self._tried = (place, seconds)

    @property
    def left(self) -> float:
        """The seconds that the rest takes; infinity before anything is known."""
        place, seconds = self._points[-1]
        before, then = next((point for point in reversed(self._points) if seconds - point[1] >= _TOLD), self._points[0])
        if place <= before:
            return math.inf
        rate, rest = (seconds - then) / (place - before), self._size - place
        if self._tried is not None and self._tried[0] - place >= self._size / 4:
            slope = max(0.0, (self._tried[1] - rate) / (self._tried[0] - place))
            return rate * rest + slope * rest**2 / 2
        power = 1.0 + self._growth()
        middle = (place + before) / 2  # where a byte took the average time between the two
        return float(rate * middle / power * ((self._size / middle) ** power - (place / middle) ** power))

    def _growth(self) -> float:
        """The time for a byte grows with this power of its place, between 0 and 1."""
        place, seconds = self._points[-1]
        if not self._grows:
            return 0.0
        half = next((point for point in reversed(self._points) if point[0] <= place / 2 and point[1] > 0.0), None)
        if self._start or half is None:
            return 1.0
        return min(1.0, max(0.0, math.log(seconds / half[1]) / math.log(place / half[0]) - 1.0))


@dataclass
class Opened:
    """A model, and what is known of its costs so far."""

    spec: str
    predictor: Predictor
    points: Checkpoints
    known: dict[bool, deque[Priced]] = field(
        default_factory=lambda: {way: deque(maxlen=_TEXTS) for way in (False, True)}
    )

    @property
    def is_codec(self) -> bool:
        return isinstance(self.predictor, CodeLengthPredictor)

    def known_costs(self, text: bytes, normalized: bool) -> FloatArray:
        """Return the costs of the longest prefix of ``text`` that has been priced, float64 (n,)."""
        best = np.empty(0, np.float64)
        for other in list(self.known[normalized]):
            shared = min(common(text, other.text), other.size)
            if shared > len(best):
                best = other.up_to(shared)
        return best


class Desk:
    """Opens models by their specs and answers the page's questions about texts."""

    def __init__(self, budget: Budget | None = None) -> None:
        self.budget = budget or Budget(MAX_MEMORY, MAX_WORK)
        self._opened: OrderedDict[str, Opened] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, spec: str) -> Opened:
        """Return the model of ``spec``; raise :class:`~gencomp.errors.GencompError` if there is none."""
        if not isinstance(spec, str) or not 0 < len(spec) <= MAX_SPEC:
            raise RequestError(f"a spec is text of 1 to {MAX_SPEC} characters")
        with self._lock:
            if spec in self._opened:
                self._opened.move_to_end(spec)
                return self._opened[spec]
        predictor = as_predictor(spec)
        if predictor.alphabet_size != 256:
            raise RequestError(f"the page shows models over bytes; {spec} has {predictor.alphabet_size} symbols")
        opened = Opened(predictor_spec(predictor), predictor, Checkpoints(predictor))
        with self._lock:
            opened = self._opened.setdefault(spec, opened)
            if len(self._opened) > _MODELS:
                self._opened.popitem(last=False)
        return opened

    def names(self) -> list[dict[str, str]]:
        """Return the names that a spec may begin with, and their summaries."""
        return [{"name": entry.name, "summary": entry.summary, "kind": entry.kind} for entry in entries()]

    def costs(self, spec: str, text: bytes, *, normalized: bool = False, caret: int | None = None) -> Iterator[Event]:
        """Yield what the model is, then the costs piece by piece, then their sum, all in bits.

        What is known of the text's beginning comes at once. If the rest takes time, the bytes around ``caret`` come
        next, and an estimate of the time left from time to time. If that is more than the budget allows, the last event
        says so.
        """
        started = time.perf_counter()
        opened = self.open(spec)
        cost = costs_cost(opened.predictor, len(text), normalized=normalized)
        self.budget.check_memory(cost.memory, f"pricing {len(text):,} bytes")
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
        found = Priced(text)
        found.add(known)
        opened.known[normalized].append(found)  # keeps what has come even if nobody waits for the rest
        try:
            yield from self._rest(opened, found, normalized, cost, caret)
        except BudgetError as error:
            yield {"event": "limit", "message": str(error)}
            return
        bits = round(float(found.up_to(len(text)).sum()), 4)
        yield {"event": "end", "bits": bits, "seconds": time.perf_counter() - started}

    def _rest(self, opened: Opened, found: Priced, normalized: bool, cost: Cost, caret: int | None) -> Iterator[Event]:
        """Yield what is not known yet, and add it to ``found``. Raise :class:`BudgetError` if that takes too long.

        Estimates made beforehand are on the slow side. If they are over the budget, one piece must be within it; from
        then on the pace decides.
        """
        text = found.text
        missing, limit = len(text) - found.size, self.budget.work
        if not missing:
            return
        doubtful = limit is not None and cost.work > limit
        if doubtful:
            share = min(1.0, self._piece_size(opened, normalized) / len(text))
            self._check(Cost(0, cost.work * share), f"pricing {len(text):,} bytes")
        pace = Pace(found.size, len(text), grows=opened.is_codec)
        started, spent, told, around = time.perf_counter(), 0.0, 0.0, caret is None
        for piece in self._pieces(opened, text, found.size, normalized):
            spent += time.perf_counter() - started
            yield {"event": "costs", "start": found.size, "costs": _rounded(piece)}
            found.add(piece)
            pace.add(found.size, spent)
            if not around and spent > _SLOW and found.size < len(text):
                around = True
                yield from self._around(opened, text, caret or 0, found.size, normalized, pace)
            if spent - told > _TOLD and found.size < len(text):
                told = spent
                if doubtful and limit is not None and spent + pace.left > limit:
                    raise too_much_work(f"pricing the other {len(text) - found.size:,} bytes", pace.left, limit)
                yield {"event": "left", "seconds": pace.left}
            started = time.perf_counter()

    def _around(
        self, opened: Opened, text: bytes, caret: int, known: int, normalized: bool, pace: Pace
    ) -> Iterator[Event]:
        """Yield the costs of the bytes around ``caret`` that come after the first ``known``."""
        start = first = max(known, min(caret, len(text)) - _AROUND)
        started = time.perf_counter()
        for piece in self._pieces(opened, text[: caret + _AROUND], start, normalized):
            yield {"event": "costs", "start": start, "costs": _rounded(piece)}
            start += len(piece)
        if start > first:
            pace.tried(start, (time.perf_counter() - started) / (start - first))

    def _piece_size(self, opened: Opened, normalized: bool) -> int:
        return _PIECES[normalized and opened.is_codec]

    def _pieces(self, opened: Opened, text: bytes, start: int, normalized: bool) -> Iterator[FloatArray]:
        """Yield the costs from ``start`` on. States are kept on the way if they are small."""
        size = self._piece_size(opened, normalized)
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
        """Return how the codec parses the text."""
        opened = self.open(spec)
        model = native(opened.predictor)
        if not parses(model):
            raise RequestError(f"{opened.spec} does not show literals and copies; gzip, zlib, zstd and lzma do")
        return parse_of(model, text).record()

    def coder(self, spec: str, text: bytes, position: int) -> Event:
        """Return the exact state of an arithmetic coder after the text up to ``position``.

        It codes a short text from its beginning, and of a longer one the last bytes only, given those before.
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
        if name in ("beam", "particles"):  # they do not filter single bytes
            draw = Draw(draw.temperature if name == "particles" else 1.0, alphabet=draw.alphabet)
        search = Search(name, None if name == "bytes" else 8, None if name == "bytes" else 16, draw)
        predictor = search.predictor(opened.predictor)
        return search.generate(predictor, text, length, rng, budget=self.budget)

    def _check(self, cost: Cost, what: str) -> None:
        self.budget.check(cost, what)


def common(one: bytes, other: bytes) -> int:
    """Return the length of the prefix that two texts share."""
    size = min(len(one), len(other))
    if one[:size] == other[:size]:
        return size
    differ = np.frombuffer(one, np.uint8, size) != np.frombuffer(other, np.uint8, size)
    return int(differ.argmax())


def text_of(request: Mapping[str, Any]) -> bytes:
    """Return the text of a request; raise :class:`RequestError` if it is not one, or too long."""
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
    """Return how bytes are drawn: ``temperature``, ``top_k``, ``top_p``, and ``seen`` for bytes of the context only."""
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
