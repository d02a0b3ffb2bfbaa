"""Is it a predictor? Whether a claimed number of bits per byte belongs to a code that can be decoded.

A predictor's bits count if all of this holds on real data, position by position. Its distribution sums to 1. It does
not depend on what is still to come, the byte itself included. It is the same in each run, however many texts are scored
side by side, and whether they are scored at once or byte by byte. The byte that comes has a probability above 0. An
archive made with it decodes, at the size that is claimed. An audit tries to refute each of these, and says where it
first succeeded.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gencomp.coding.quantize import default_precision
from gencomp.coding.range_coder import RangeDecoder, RangeEncoder
from gencomp.equivalence.capabilities import charge, decode_block, encode_block, state_cdf
from gencomp.errors import CorruptDataError, GencompError
from gencomp.measure.subjects import CommandState, SubjectError, TablePredictor
from gencomp.protocols import (
    Charging,
    ChunkScoring,
    FloatArray,
    FusedCoding,
    Predictor,
    PredictorState,
    SequenceScoring,
)

# the coder gives each of 256 symbols at least one of 2^20 units, so a sum may be that far from 1 and still be coded
UNIT = 2.0 ** -default_precision(256)
SUM_TOLERANCE = 256 * UNIT
COST_TOLERANCE = 0.01  # bits of one byte's cost, between two ways that round differently
SIZE_TOLERANCE = 0.005  # of the whole, since eight binary decisions round differently from one among 256
SIZE_SLACK = 128  # bits, for the coder's end, the filling of the last byte, and the lanes' lengths
_AT_ONCE = "scored at once"
_CONTEXT = 4096  # most bytes that are read at once, since some models' tables grow with what they are given
SUBSTITUTED = 2  # positions at which all 256 bytes are tried

CHECKS = {
    "sums": "sums to 1 at every position",
    "zeros": "gives what comes a probability above 0",
    "runs": "is the same in two runs",
    "causal": "does not depend on what is to come",
    "itself": "does not see a byte before it scores it",
    "batches": "is the same in batches and alone",
    "parallel": "scores at once what it scores byte by byte",
    "archive": "has an archive that decodes, at the claimed size",
}


@dataclass(frozen=True)
class Finding:
    """What one check found. ``passed`` is None where it does not apply; ``position`` is the first offending byte's."""

    check: str
    passed: bool | None
    message: str
    position: int | None = None


@dataclass
class Verdict:
    """The findings so far. ``bits`` is what was charged, byte by byte, for the ``scored_bytes`` that were reached."""

    subject: str
    data_bytes: int
    findings: list[Finding] = field(default_factory=list)
    bits: float | None = None
    scored_bytes: int = 0
    archive_bytes: int | None = None

    @property
    def accepted(self) -> bool:
        """Whether nothing was refuted; a failure that cut the audit short is a finding, too."""
        return bool(self.findings) and all(finding.passed is not False for finding in self.findings)

    def record(self) -> dict[str, Any]:
        """Return the verdict as plain data."""
        refuted = [finding.position for finding in self.findings if finding.passed is False]
        places = [place for place in refuted if place is not None]
        return {
            "subject": self.subject,
            "accepted": self.accepted,
            "data_bytes": self.data_bytes,
            "scored_bytes": self.scored_bytes,
            "bits": self.bits,
            "bits_per_byte": None if self.bits is None or not self.scored_bytes else self.bits / self.scored_bytes,
            "archive_bytes": self.archive_bytes,
            "first_offending_position": min(places) if places else None,
            "findings": [
                {"check": found.check, "passed": found.passed, "position": found.position, "message": found.message}
                for found in self.findings
            ],
        }


class _RefutedError(Exception):
    """A check failed; ``position`` is where it first did."""

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position


@dataclass
class _Run:
    """One pass byte by byte: n costs in bits, n Kraft sums, and a hash of each distribution."""

    costs: list[float]
    sums: list[float]
    hashes: list[bytes]


def _opened(state: PredictorState) -> Any:
    """Return a context manager that ends the state's program, if it has one."""
    return closing(state) if isinstance(state, CommandState) else nullcontext(state)


def _stepwise(predictor: Predictor, data: bytes, run: _Run) -> None:
    """Score ``data`` as a decoder would have to, appending to ``run``, which keeps what it has where this raises."""
    with _opened(predictor.begin()) as state:
        for place, symbol in enumerate(data):
            lengths = np.asarray(state.code_lengths(), dtype=np.float64)
            if lengths.shape != (256,) or np.isnan(lengths).any():
                what = "NaN" if lengths.shape == (256,) else f"{lengths.shape} values"
                raise SubjectError(f"position {place}: {what} among the code lengths; expected 256 numbers", place)
            run.costs.append(float(lengths[symbol]))
            run.sums.append(float(np.exp2(-lengths).sum()))
            run.hashes.append(hashlib.blake2b(lengths.tobytes(), digest_size=8).digest())
            if place + 1 < len(data):
                state.update(symbol)


def audit(
    predictor: Predictor,
    data: bytes,
    *,
    subject: str = "",
    claim: float | None = None,
    report: Callable[[str], object] | None = None,
) -> Verdict:
    """Return the verdict on ``predictor`` over ``data``, each byte of which is scored several times.

    ``claim`` is what was claimed for ``data`` in bits per byte; by default it is what the predictor itself charges.
    ``report`` is told the name of each check as it begins. Raises ``ValueError`` on no data, or an alphabet other than
    the 256 bytes; errors of the predictor are findings.
    """
    if not data:
        raise ValueError("there is no data to audit on; give at least 1 byte")
    if predictor.alphabet_size != 256:
        raise ValueError(f"an audit takes predictors of bytes; this one has {predictor.alphabet_size} symbols, not 256")
    verdict = Verdict(subject or repr(predictor), len(data))
    first = _Run([], [], [])
    checks = _checks(predictor, data, claim, verdict, first)
    for name, check in checks:
        if report is not None:
            report(name)
        try:
            message = check()
        except _RefutedError as refuted:
            verdict.findings.append(Finding(name, False, str(refuted), refuted.position))
        except SubjectError as error:
            verdict.findings.append(Finding(name, False, str(error), error.position))
            _note_costs(verdict, first)
            break
        except (GencompError, ValueError, ArithmeticError, IndexError, TypeError) as error:
            verdict.findings.append(Finding(name, False, f"it failed: {type(error).__name__}: {error}"))
            _note_costs(verdict, first)
            break
        else:
            verdict.findings.append(Finding(name, message[0], message[1]))
        _note_costs(verdict, first)
    return verdict


def _note_costs(verdict: Verdict, run: _Run) -> None:
    verdict.scored_bytes = len(run.costs)
    verdict.bits = float(np.sum(run.costs)) if run.costs else None


Check = tuple[str, Callable[[], tuple[bool | None, str]]]


def _checks(predictor: Predictor, data: bytes, claim: float | None, verdict: Verdict, first: _Run) -> Iterator[Check]:
    """Yield the checks in order, without those that would only repeat a refutation."""

    def refuted(name: str) -> bool:
        return any(finding.check == name and finding.passed is False for finding in verdict.findings)

    yield "sums", lambda: _sums(predictor, data, first)
    yield "zeros", lambda: _zeros(data, first)
    yield "runs", lambda: _runs(predictor, data, first)
    if isinstance(predictor, TablePredictor):
        yield "causal", lambda: (None, "a table cannot show how its rows were made: audit the program that makes them")
    else:
        yield "causal", lambda: _causal(predictor, data, first)
        ways = _ways(predictor)
        if ways and not refuted("causal"):
            yield "itself", lambda: _itself(ways, data)
        if isinstance(predictor, SequenceScoring | ChunkScoring):
            yield "batches", lambda: _batches(predictor, data)
        yield "parallel", lambda: _parallel(predictor, ways, data, first)
    if not any(finding.passed is False for finding in verdict.findings if finding.check in ("sums", "zeros")):
        yield "archive", lambda: _archive(predictor, data, claim, verdict, first)


def _sums(predictor: Predictor, data: bytes, run: _Run) -> tuple[bool, str]:
    _stepwise(predictor, data, run)
    sums = np.array(run.sums)
    wrong = np.flatnonzero(~(np.abs(sums - 1.0) <= SUM_TOLERANCE))
    if len(wrong):
        place, count = int(wrong[0]), len(wrong)
        raise _RefutedError(
            f"position {place}: the probabilities sum to {sums[place]:.6g}, not to 1 "
            f"({count} of {len(data)} positions; normalised, the data costs {_normalised(run):.4f} bits/byte, "
            f"not {np.mean(run.costs):.4f})",
            place,
        )
    return True, f"sums from {sums.min():.8f} to {sums.max():.8f} at {len(data)} positions"


def _normalised(run: _Run) -> float:
    with np.errstate(divide="ignore"):
        return float(np.mean(np.array(run.costs) + np.log2(np.array(run.sums))))


def _zeros(data: bytes, run: _Run) -> tuple[bool, str]:
    wrong = np.flatnonzero(~np.isfinite(np.array(run.costs)))
    if len(wrong):
        place = int(wrong[0])
        message = f"position {place}: the byte {data[place]} came, and had probability 0 ({len(wrong)} such positions)"
        raise _RefutedError(message, place)
    return True, f"the least likely byte that came cost {max(run.costs):.2f} bits"


def _first_difference(before: Sequence[object], after: Sequence[object]) -> int | None:
    return next((place for place, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]), None)


def _runs(predictor: Predictor, data: bytes, first: _Run) -> tuple[bool, str]:
    again = _Run([], [], [])
    _stepwise(predictor, data, again)
    place = _first_difference(first.hashes, again.hashes)
    if place is not None:
        costs = f"{first.costs[place]:.6f} and then {again.costs[place]:.6f} bits for the byte that came"
        raise _RefutedError(f"position {place}: two runs over the same bytes differ, {costs}", place)
    return True, "two runs gave the same distributions to the last bit"


def _perturbed(data: bytes, start: int) -> bytes:
    """Return ``data`` with every byte from ``start`` on changed."""
    return data[:start] + bytes((byte + 1 + place % 255) & 0xFF for place, byte in enumerate(data[start:]))


Scoring = Callable[[bytes], FloatArray]


def _ways(predictor: Predictor) -> dict[str, Scoring]:
    """Return the ways other than byte by byte in which ``predictor`` scores each byte of a text."""
    ways: dict[str, Scoring] = {}
    if isinstance(predictor, SequenceScoring):
        ways[_AT_ONCE] = lambda text: np.asarray(predictor.sequence_code_lengths([text])[0])
    if not isinstance(predictor, SequenceScoring | ChunkScoring):
        with _opened(predictor.begin()) as state:
            if isinstance(state, Charging):
                ways["charged at once"] = lambda text: charge(predictor.begin(), text)
    return ways


def _causal(predictor: Predictor, data: bytes, first: _Run) -> tuple[bool, str]:
    places = sorted({len(data) // 4, len(data) // 2, max(0, len(data) - 1)} - {0})
    for start in places:
        changed = _perturbed(data, start)
        for name, way in _ways(predictor).items():
            before, after = way(data)[:start], way(changed)[:start]
            moved = np.flatnonzero(~(np.abs(before - after) <= COST_TOLERANCE))
            if len(moved):
                place = int(moved[0])
                raise _RefutedError(
                    f"position {place}: its cost, {name}, changes from {before[place]:.4f} to {after[place]:.4f} bits "
                    f"when bytes from {start} on change: it looks ahead",
                    place,
                )
    start = len(data) // 2
    run = _Run([], [], [])
    _stepwise(predictor, _perturbed(data, start)[: start + 1], run)
    differs = _first_difference(first.hashes[: start + 1], run.hashes)
    if differs is not None:
        message = f"position {differs}: its distribution changes when the bytes from {start} on change: it looks ahead"
        raise _RefutedError(message, differs)
    return True, f"other bytes from {', '.join(map(str, places)) or 'nowhere'} on change nothing before"


def _itself(ways: dict[str, Scoring], data: bytes) -> tuple[bool, str]:
    """Try all 256 bytes at some positions: their costs must come from one distribution."""
    places = [(2 * number + 1) * len(data) // (2 * SUBSTITUTED) for number in range(SUBSTITUTED)]
    sums = []
    for place in dict.fromkeys(places):
        for name, way in ways.items():
            costs = [float(way(data[:place] + bytes([symbol]))[place]) for symbol in range(256)]
            total = float(np.exp2(-np.array(costs)).sum())
            if not abs(total - 1.0) <= COST_TOLERANCE:
                raise _RefutedError(
                    f"position {place}: {name}, the 256 bytes that could stand there have probabilities that sum to "
                    f"{total:.4g}: it sees the byte before it scores it",
                    place,
                )
            sums.append(total)
    return True, f"all 256 bytes at {len(places)} positions: sums from {min(sums):.6f} to {max(sums):.6f}"


def _batches(predictor: SequenceScoring | ChunkScoring, data: bytes) -> tuple[bool, str]:
    third = max(1, len(data) // 3)
    texts = [data, data[:third], data[third:], data[: third // 2 + 1], data[-third:]]
    if isinstance(predictor, SequenceScoring):
        together = predictor.sequence_code_lengths(texts)
        alone = [predictor.sequence_code_lengths([text])[0] for text in texts]
    else:
        together = [np.array([bits]) for bits in predictor.chunk_code_lengths(texts)]
        alone = [predictor.chunk_code_lengths([text]) for text in texts]
    most = 0.0
    for number, (one, other) in enumerate(zip(together, alone, strict=True)):
        moved = np.flatnonzero(~(np.abs(np.asarray(one) - np.asarray(other)) <= COST_TOLERANCE))
        if len(moved):
            place = int(moved[0])
            raise _RefutedError(
                f"position {place} of text {number + 1}: {one[place]:.4f} bits in a batch of {len(texts)}, "
                f"{other[place]:.4f} alone",
                place,
            )
        most = max(most, float(np.abs(np.asarray(one) - np.asarray(other)).max(initial=0.0)))
    return True, f"a batch of {len(texts)} texts and each alone differ by at most {most:.2g} bits a byte"


def _parallel(predictor: Predictor, ways: dict[str, Scoring], data: bytes, first: _Run) -> tuple[bool | None, str]:
    """Compare scoring at once, and a context read at once, with the costs byte by byte.

    A compiled block code may learn within a byte, which a state cannot. So it is not compared here, but checked to be a
    distribution (see :func:`_itself`), and against its archive.
    """
    costs, most = np.array(first.costs), 0.0
    if isinstance(predictor, ChunkScoring):
        tokens = float(predictor.chunk_code_lengths([data])[0])
        return None, (
            f"tokens have no price a byte: {tokens:,.1f} bits as tokens, {costs.sum():,.1f} byte by byte over all "
            "tokenisations; the archive is held against the tokens'"
        )
    if isinstance(predictor, SequenceScoring):
        scored = ways[_AT_ONCE](data)
        if scored.shape != costs.shape:
            raise _RefutedError(f"{_AT_ONCE}, {len(data)} bytes have {scored.shape} costs; expected one a byte")
        alike = np.abs(scored - costs) <= COST_TOLERANCE * np.maximum(1.0, costs)
        # eight binary decisions can give a byte less than the one unit that a distribution over 256 gives it
        alike |= np.isfinite(scored) & (np.abs(np.exp2(-scored) - np.exp2(-costs)) <= 2 * UNIT)
        moved = np.flatnonzero(~alike)
        if len(moved):
            place = int(moved[0])
            message = f"position {place}: {_AT_ONCE} {scored[place]:.4f} bits, byte by byte {costs[place]:.4f}"
            raise _RefutedError(message, place)
        most = float(np.abs(scored - costs).max(initial=0.0))
    for place in sorted({len(data) // 3, min(len(data) - 1, _CONTEXT)}):
        with _opened(predictor.begin(data[:place])) as state:
            length = float(state.code_lengths()[data[place]])
        if not abs(length - costs[place]) <= COST_TOLERANCE:
            message = f"position {place}: {length:.4f} bits after a context read at once, {costs[place]:.4f} in steps"
            raise _RefutedError(message, place)
    return True, f"at once and byte by byte differ by at most {most:.2g} bits a byte"


def _archive(predictor: Predictor, data: bytes, claim: float | None, verdict: Verdict, first: _Run) -> tuple[bool, str]:
    bits = claim * len(data) if claim is not None else _claimed(predictor, data, first)
    allowed = bits * (1 + SIZE_TOLERANCE) + SIZE_SLACK
    if isinstance(predictor, FusedCoding):
        own = len(_coded(encode_block, decode_block, predictor, data))
    else:  # by the audit's own loops, which end a subject's program
        own = len(_coded(_encode_steps, _decode_steps, predictor, data))
    verdict.archive_bytes = own
    told = f"{own:,} bytes decode to the data"
    if 8 * own > allowed and isinstance(predictor, FusedCoding):
        # each lane of a block begins without context, which costs; coding step by step has the whole context
        verdict.archive_bytes = len(_coded(_encode_steps, _decode_steps, predictor, data))
        told = f"{verdict.archive_bytes:,} bytes, coded step by step, decode to the data ({own:,} as a block of lanes)"
    if 8 * verdict.archive_bytes > allowed:
        raise _RefutedError(
            f"the archive takes {8 * verdict.archive_bytes:,} bits "
            f"({8 * verdict.archive_bytes / len(data):.4f} bits/byte), "
            f"the claim is {bits:,.0f} ({bits / len(data):.4f})"
        )
    return True, f"{told}; claimed were {bits / 8:,.1f} bytes"


def _coded(
    encode: Callable[[Predictor, bytes], bytes],
    decode: Callable[[Predictor, bytes, int], bytes],
    predictor: Predictor,
    data: bytes,
) -> bytes:
    """Return the code of ``data`` after checking that it decodes to ``data``."""
    code = encode(predictor, data)
    try:
        back = decode(predictor, code, len(data))
    except CorruptDataError as error:
        raise _RefutedError(f"its own code of the data does not decode: {error}") from None
    if back != data:
        differs = _first_difference(back, data)
        place = min(len(back), len(data)) if differs is None else differs
        raise _RefutedError(f"position {place}: its code decodes to other bytes than were coded", place)
    return code


def _encode_steps(predictor: Predictor, data: bytes) -> bytes:
    encoder = RangeEncoder()
    with _opened(predictor.begin()) as state:
        for place, symbol in enumerate(data):
            encoder.encode(symbol, state_cdf(state))
            if place + 1 < len(data):
                state.update(symbol)
    return encoder.finish()


def _decode_steps(predictor: Predictor, code: bytes, size: int) -> bytes:
    decoder = RangeDecoder(code)
    data = bytearray()
    with _opened(predictor.begin()) as state:
        while len(data) < size:
            data.append(int(decoder.decode(1, state_cdf(state))[0]))
            if len(data) < size:
                state.update(data[-1])
    decoder.finish()
    return bytes(data)


def _claimed(predictor: Predictor, data: bytes, first: _Run) -> float:
    """Return the bits that the predictor charges for ``data``: at once where it can, else byte by byte."""
    if isinstance(predictor, ChunkScoring):
        return float(predictor.chunk_code_lengths([data])[0])
    ways = _ways(predictor)
    costs = next(iter(ways.values()))(data) if ways else np.array(first.costs)
    return float(costs.sum())
