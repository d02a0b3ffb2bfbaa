"""What `gencomp sample` says on stderr while it draws: each step's candidates, ties, how long it will take."""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from gencomp.cli.console import note
from gencomp.labels import visible
from gencomp.sampling.generate import Watcher

if TYPE_CHECKING:
    from gencomp.equivalence.candidates import Candidates
    from gencomp.protocols import IntArray, PredictorState
    from gencomp.sampling.search import Finding

SHOWN = 5  # candidates or continuations of each step
FEW_LENGTHS = 8  # distinct code lengths below which a codec can hardly tell candidates apart
ESTIMATE_AFTER = 3.0  # seconds
WORTH_A_NOTE = 20.0  # seconds still to go
# Seconds. A first step that takes less is left out of the estimate, since it may have compiled kernels for half a
# minute. As long as there is no estimate, a step that takes longer is reported as soon as it does.
LONG_STEP = 90.0


class Reporter(Watcher):
    """Prints notes on stderr while bytes are drawn, inside ``with``, and records the steps if they are explained."""

    def __init__(
        self, model: str, length: int, progress: Callable[[int], None], *, explain: bool, records: bool, quiet: bool
    ) -> None:
        self.steps: list[dict[str, Any]] = []
        self.searches: list[dict[str, Any]] = []
        self._model = model
        self._length = length
        self._progress = progress
        self._explain = explain
        self._records = records
        self._quiet = quiet
        self._begun = time.monotonic()
        self._done = 0
        self._uncounted = 0  # steps left out of the estimate
        self._estimated = False
        self._looked = False
        self._alarm: threading.Timer | None = None

    def __enter__(self) -> Self:
        self._await_step()
        return self

    def __exit__(self, *_: object) -> None:
        if self._alarm is not None:
            self._alarm.cancel()

    def choosing(self, state: "PredictorState", symbol: int, weights: "IntArray") -> None:
        first, self._looked = not self._looked, True
        if not self._explain and (self._quiet or not first):
            return
        from gencomp.equivalence.candidates import candidates_of
        from gencomp.equivalence.predictor import CodeLengthState

        candidates = candidates_of(state)
        if first and not self._quiet and isinstance(state, CodeLengthState):
            self._warn_of_ties(candidates.distinct_lengths)
        if self._explain and self._records:
            self.steps.append(step_record(candidates, symbol, weights))
        elif self._explain:
            for line in step_lines(candidates, symbol, weights, self._done + 1):
                note(line)

    def _warn_of_ties(self, distinct: int) -> None:
        if distinct == 1:
            note(f"note: {self._model} charges all 256 bytes the same: a uniform draw; see --strategy lookahead")
        elif distinct < FEW_LENGTHS:
            note(f"note: {self._model} hardly tells the 256 bytes apart: {distinct} distinct code lengths")

    def found(self, finding: "Finding") -> None:
        record: dict[str, Any] = {"code_length_bits": finding.code_length}
        if finding.log_normalizer is not None:
            record["effective_sizes"] = [round(size, 2) for size in finding.effective_sizes]
            record["log2_normalizer"] = finding.log_normalizer
        if self._explain and self._records:
            record["ranked"] = [[repr(continuation), length] for continuation, length in finding.ranked[:SHOWN]]
        self.searches.append(record)
        lengths = {length for _, length in finding.ranked}
        if not self._quiet and len(self.searches) == 1 and len(finding.ranked) > 1 and len(lengths) == 1:
            note(f"note: {self._model} charges the same for all {len(finding.ranked)} continuations that it followed")
        if not self._records and (self._explain or (finding.log_normalizer is not None and not self._quiet)):
            for line in search_lines(finding, ranked=self._explain):
                note(line)

    def stepped(self) -> None:
        self._done += 1
        self._progress(1)
        elapsed = time.monotonic() - self._begun
        if self._done == 1 and elapsed < LONG_STEP:
            self._begun, self._uncounted = time.monotonic(), 1
        elif not self._estimated and not self._quiet and elapsed >= ESTIMATE_AFTER:
            self._estimated = True
            self._estimate(elapsed / (self._done - self._uncounted))
        self._await_step()

    def _await_step(self) -> None:
        """Set an alarm for the step that begins now, in case it is a long one and there is no estimate yet."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if not self._estimated and not self._quiet:
            self._alarm = threading.Timer(LONG_STEP, self._tell_of_long_step)
            self._alarm.daemon = True
            self._alarm.start()

    def _tell_of_long_step(self) -> None:
        left = duration(LONG_STEP * (self._length - self._done))
        note(f"note: a byte takes over {LONG_STEP:.0f} s, the rest over {left}; Ctrl-C keeps what has been drawn")

    def _estimate(self, seconds_per_byte: float) -> None:
        left = seconds_per_byte * (self._length - self._done)
        if left > WORTH_A_NOTE:
            note(f"note: about {duration(left)} to go for {self._length:,} bytes; Ctrl-C keeps what has been drawn")


def duration(seconds: float) -> str:
    """Return a time as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _shown(candidates: "Candidates", symbol: int, weights: "IntArray") -> list[int]:
    """Return the bytes that are likeliest to be drawn, and the one drawn if it is not among them.

    Ties go to the byte that the model finds likelier, then to one that can be printed.
    """
    places = range(len(weights))
    lengths = candidates.code_lengths
    order = sorted(places, key=lambda place: (-weights[place], lengths[place], not 0x20 <= place < 0x7F, place))
    best = order[:SHOWN]
    return best if symbol in best else [*best, symbol]


def step_lines(candidates: "Candidates", symbol: int, weights: "IntArray", number: int) -> list[str]:
    """Return the lines that explain one draw."""
    total = int(weights.sum())
    lines = [
        f"{number}: drew {name(symbol)}; Kraft sum {candidates.kraft_sum:.4g}, entropy {candidates.entropy:.2f} bits, "
        f"{candidates.distinct_lengths} distinct code lengths, {int((weights > 0).sum())} bytes to draw from"
    ]
    for shown in _shown(candidates, symbol, weights):
        length = float(candidates.code_lengths[shown])
        ties = candidates.ties(shown) - 1
        lines.append(
            f"   {name(shown):<7}{candidates.charged[shown]:9.3f} bits charged {length:9.3f} normalised   "
            f"p {2**-length:.5f}   drawn with p {int(weights[shown]) / total:.5f}"
            f"{f'   ties with {ties} more' if ties else ''}{'   <- drawn' if shown == symbol else ''}"
        )
    return lines


def step_record(candidates: "Candidates", symbol: int, weights: "IntArray") -> dict[str, Any]:
    """Return what :func:`step_lines` says as a record for --json."""
    total = int(weights.sum())
    return {
        "drawn": symbol,
        "kraft_sum": candidates.kraft_sum,
        "entropy": candidates.entropy,
        "distinct_lengths": candidates.distinct_lengths,
        "candidates": [
            {
                "byte": shown,
                "charged_bits": float(candidates.charged[shown]),
                "code_length": float(candidates.code_lengths[shown]),
                "drawn_with": int(weights[shown]) / total,
                "ties": candidates.ties(shown),
            }
            for shown in _shown(candidates, symbol, weights)
        ],
    }


def search_lines(finding: "Finding", *, ranked: bool) -> list[str]:
    """Return the lines that explain one search."""
    lines = [f"{len(finding.continuation)} bytes for {finding.code_length:.2f} bits"]
    if finding.log_normalizer is not None:
        sizes = finding.effective_sizes
        lines[0] += (
            f"; particles: effective sample size {sizes[-1]:.1f} at the end, {min(sizes):.1f} at least; "
            f"log2 of the normaliser {finding.log_normalizer:.2f}"
        )
    if ranked:
        lines += [f"   {length:9.3f} bits  {continuation!r}" for continuation, length in finding.ranked[:SHOWN]]
    return lines


def name(symbol: int) -> str:
    """Return a byte as Python writes it."""
    return visible(repr(bytes([symbol]))[1:])
