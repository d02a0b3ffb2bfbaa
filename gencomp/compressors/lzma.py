"""LZMA1 as a raw stream, by the standard library's liblzma."""

import lzma
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Self

import numpy as np

from gencomp.arguments import as_bytes, as_pieces
from gencomp.bitstreams.lzma.estimate import sizer_memory
from gencomp.bitstreams.lzma.sizer import LzmaSizer
from gencomp.bitstreams.lzma.state import effort_of
from gencomp.bitstreams.lzma_state import LzmaEncoder, LzmaSnapshot, is_available, version
from gencomp.bitstreams.lzma_walk import FRACTION_BITS, REPEAT_KIND, LzmaWalker
from gencomp.budget import Cost, StateCost
from gencomp.compressors import checks
from gencomp.compressors.checks import check_end, check_output, check_range, corrupt
from gencomp.cores import candidate_pool, candidate_threads
from gencomp.phrases import Block, Parse, Phrase
from gencomp.protocols import FloatArray

MIN_DICTIONARY_BITS = 12
MAX_DICTIONARY_BITS = 30
HEADER_BITS = 8  # the dictionary's size
CHECKED_VERSION = "5.4.1"  # of liblzma, which benchmarks/fuzz_lzma.py compares the sizer with

LONGEST_PREFIX = 1 << 29  # that the sizer takes, since its positions have 32 bits

# liblzma holds back the last 4,369 bytes, so keeping its state gains nothing for short prefixes; with dictionaries of
# more than 2^22 bytes, the state is as slow to copy as the prefix to compress
KEPT_PREFIX = 8192
KEPT_DICTIONARY_BITS = 22


_RESTORE_SECONDS = 2e-10  # for each byte of an encoder's memory
_SIZER_SECONDS = 4e-6, 8e-6  # for each byte of a prefix that a sizer parses; with an extreme preset
_STEP_SECONDS = 1e-2, 0.2  # for the 256 candidates; with an extreme preset, in long runs, which are rare


def encoder_cost(dictionary_bits: int, size: int, *, extreme: bool) -> Cost:
    """Return what liblzma's encoder takes for ``size`` bytes: 11.5 times the dictionary, and some more (xz(1))."""
    return Cost((12 << dictionary_bits) + (4 << 20), 4e-4 + (4e-6 if extreme else 2e-6) * size)


@dataclass(frozen=True)
class Lzma:
    """LZMA1 without the .xz container, which pads to four bytes and adds its own checks.

    ``preset`` 0 to 9 is liblzma's search effort, ``extreme`` its slower variant; ``lc``, ``lp`` and ``pb`` are the
    numbers of literal context, literal position and position bits (lc + lp <= 4). ``dictionary_bits`` is log2 of
    the dictionary's size; by default it is the smallest that holds the data, but at most the preset's own, which may
    allocate 64 MiB.

    The code is one byte, the dictionary's bits, and the stream with its end marker. Its length is that of the range
    coder's interval, to a fraction of a bit (:mod:`gencomp.bitstreams.lzma_walk`).
    """

    preset: int = 9
    extreme: bool = False
    lc: int = 3
    lp: int = 0
    pb: int = 2
    dictionary_bits: int | None = None

    resolution: ClassVar[str] = "fraction"
    causal: ClassVar[bool] = True
    sharing: ClassVar[str] = "every preset, up to 512 MiB"

    def __post_init__(self) -> None:
        check_range("preset", self.preset, 0, 9)
        for name in ("lc", "lp", "pb"):
            check_range(name, getattr(self, name), 0, 4)
        if self.lc + self.lp > 4:
            raise ValueError(f"lc + lp must be at most 4, got {self.lc} + {self.lp}")
        if self.dictionary_bits is not None:
            check_range("dictionary_bits", self.dictionary_bits, MIN_DICTIONARY_BITS, MAX_DICTIONARY_BITS)

    @property
    def window(self) -> int:
        """The farthest that a match can reach back, in bytes."""
        if self.dictionary_bits is not None:
            return 1 << self.dictionary_bits
        return 1 << (18, 20, 21, 22, 22, 23, 23, 24, 25, 26)[self.preset]  # the presets' own (lzma(7))

    def _filters(self, dictionary_bits: int) -> list[dict[str, Any]]:
        preset = self.preset | (lzma.PRESET_EXTREME if self.extreme else 0)
        return [
            {
                "id": lzma.FILTER_LZMA1,
                "preset": preset,
                "dict_size": 1 << dictionary_bits,
                "lc": self.lc,
                "lp": self.lp,
                "pb": self.pb,
            }
        ]

    def bits_for(self, size: int) -> int:
        """Return log2 of the dictionary's size for ``size`` bytes of data."""
        return min(max(MIN_DICTIONARY_BITS, (size - 1).bit_length()), self.window.bit_length() - 1)

    def sizer_bits(self, size: int) -> int:
        """Return the dictionary's bits for a sizer; up to 17, more than the data needs change no length."""
        return max(self.bits_for(size), min(17, self.window.bit_length() - 1))

    def stream(self, data: bytes) -> bytes:
        """Return the raw LZMA1 stream of ``data``."""
        return lzma.compress(data, lzma.FORMAT_RAW, filters=self._filters(self.bits_for(len(data))))

    def compress(self, data: bytes) -> bytes:
        data = as_bytes(data)
        return bytes([self.bits_for(len(data))]) + self.stream(data)

    def decompress(self, blob: bytes) -> bytes:
        blob = as_bytes(blob, "the code")
        if not blob or not MIN_DICTIONARY_BITS <= blob[0] <= MAX_DICTIONARY_BITS:
            raise corrupt("LZMA", "it does not begin with a dictionary's size")
        stream = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=self._filters(blob[0]))
        try:
            data = stream.decompress(blob[1:], checks.MAX_OUTPUT)
        except (lzma.LZMAError, EOFError) as error:
            raise corrupt("LZMA", error) from error
        check_output("LZMA", stream.eof, len(data))
        check_end("LZMA", stream.eof, stream.unused_data)
        return data

    def code_length(self, data: bytes) -> float:
        data = as_bytes(data)
        return float(HEADER_BITS + self.walker().bits([self.stream(data)], [len(data)])[0])

    def parse(self, data: bytes) -> Parse:
        """Return the literals and matches of this codec's stream of ``data``, each to 1/65536 bit."""
        data = as_bytes(data)
        rows = self.walker().trace(self.stream(data), len(data))
        ends = rows[:, 4] / (1 << FRACTION_BITS)
        bits = np.diff(ends, prepend=0.0).tolist()
        kinds = [kind == REPEAT_KIND for kind in rows[:, 3].tolist()]
        columns = zip(*rows[:, :3].T.tolist(), bits, kinds, strict=True)
        phrases = [Phrase(*row) for row in columns]
        rest = self.code_length(data) - HEADER_BITS - (float(ends[-1]) if len(ends) else 0.0)
        return Parse(phrases, [Block("stream", 0, len(data), rest)], HEADER_BITS)

    def state_cost(self, size: int) -> StateCost:
        """Return what a scorer takes.

        If liblzma is not reproduced, or the prefix is too long for a sizer, liblzma itself codes the candidates. Then
        each thread keeps its encoder's memory after a long prefix, and restores it for each.
        """
        if size <= LONGEST_PREFIX and self.shares_work():
            held, scratch = sizer_memory(effort_of(self.preset, self.extreme), 1 << self.sizer_bits(size + 1), size)
            seconds = _SIZER_SECONDS[self.extreme]
            return StateCost(held, scratch, 5e-3 + seconds * size, _STEP_SECONDS[self.extreme])
        bits = self.bits_for(size + 1)
        encoder = encoder_cost(bits, 0, extreme=self.extreme)
        is_kept = size >= KEPT_PREFIX and bits <= KEPT_DICTIONARY_BITS
        read = min(size, KEPT_PREFIX) if bits <= KEPT_DICTIONARY_BITS else size
        each = encoder_cost(bits, read, extreme=self.extreme).work + is_kept * encoder.memory * _RESTORE_SECONDS
        begin = candidate_threads() * encoder_cost(bits, size, extreme=self.extreme).work
        memory = candidate_threads() * encoder.memory
        return StateCost(size + is_kept * memory, memory, begin + 256 * each, 256 * each)

    def walker(self) -> LzmaWalker:
        """Return a walker for this compressor's streams."""
        return LzmaWalker(self.lc, self.lp, self.pb)

    def encoder(self, dictionary_bits: int) -> LzmaEncoder:
        """Return a new encoder whose state can be kept, for one thread at a time."""
        preset = self.preset | (lzma.PRESET_EXTREME if self.extreme else 0)
        return LzmaEncoder(preset, dictionary_bits, self.lc, self.lp, self.pb)

    def sizer(self, dictionary_bits: int, prefix: bytes = b"") -> LzmaSizer:
        """Return a sizer for suffixes after ``prefix`` that fit, with it, into a dictionary of that size."""
        effort = effort_of(self.preset, self.extreme)
        return LzmaSizer(effort, 1 << dictionary_bits, self.lc, self.lp, self.pb, prefix)

    def begin_scoring(self, prefix: bytes = b"") -> "LzmaScorer | ExactLzmaScorer":
        """Return the state after ``prefix``; code lengths are exact to 1/65536 bit."""
        prefix = as_bytes(prefix, "the prefix")
        fits = len(prefix) <= LONGEST_PREFIX
        return LzmaScorer(self, prefix) if fits and is_reproduced(self) else ExactLzmaScorer(self, prefix)

    def shares_work(self) -> bool:
        """Return whether suffixes are priced from the prefix's parse; another liblzma may decide otherwise.

        CHECKED_VERSION is taken at its word until the first use makes sure.
        """
        return _reproduced.get(self, version() == CHECKED_VERSION) or is_reproduced(self)


class _SharedEncoder:
    """One thread's encoder, which several states may share: each begins it anew or restores its snapshot."""

    def __init__(self, encoder: LzmaEncoder) -> None:
        self.encoder = encoder
        self.lock = threading.Lock()

    def feed(self, snapshot: LzmaSnapshot | None, data: bytes) -> LzmaSnapshot:
        with self.lock:
            self._begin(snapshot)
            self.encoder.feed(data)
            return self.encoder.save()

    def streams(self, snapshot: LzmaSnapshot | None, ends: Sequence[bytes]) -> list[bytes]:
        found = []
        with self.lock:
            for end in ends:
                self._begin(snapshot)
                found.append(self.encoder.finish(end))
        return found

    def _begin(self, snapshot: LzmaSnapshot | None) -> None:
        if snapshot is None:
            self.encoder.restart()
        else:
            self.encoder.restore(snapshot)


class _Encoders:
    """Encoders of one dictionary size, one a thread, and what each keeps of a prefix: a snapshot, or nothing."""

    def __init__(self, encoders: Sequence[_SharedEncoder], snapshots: Sequence[LzmaSnapshot | None]) -> None:
        self._encoders = encoders
        self._snapshots = snapshots

    @property
    def has_prefix(self) -> bool:
        return self._snapshots[0] is not None

    def feed(self, data: bytes) -> None:
        """Append ``data``; the snapshots are replaced, never changed, since copies share them."""
        self._snapshots = list(
            candidate_pool().map(_SharedEncoder.feed, self._encoders, self._snapshots, [data] * len(self._encoders))
        )

    def streams(self, ends: Sequence[bytes]) -> list[bytes]:
        """Return the stream of the kept prefix and the end, for each of ``ends``."""
        number = len(self._encoders)
        shares = [ends[place::number] for place in range(number)]
        found: list[bytes] = [b""] * len(ends)
        parts = candidate_pool().map(_SharedEncoder.streams, self._encoders, self._snapshots, shares)
        for place, part in enumerate(parts):
            found[place::number] = part
        return found

    def copy(self) -> Self:
        return type(self)(self._encoders, self._snapshots)


_reproduced: dict[Lzma, bool] = {}


def is_reproduced(compressor: Lzma) -> bool:
    """Return whether the sizer gives the lengths of the installed liblzma, tried on a few cases at the first call.

    Another version may decide otherwise.
    """
    if compressor not in _reproduced:
        _reproduced[compressor] = _agrees(compressor)
    return _reproduced[compressor]


def _agrees(compressor: Lzma) -> bool:
    words = b"the cat sat on the mat, the dog sat on the log; "
    probe = words * 3 + bytes(number * number % 251 for number in range(700)) + words * 2 + bytes(300)
    few = _few_symbols()  # a search that gives up sooner, or is content with a shorter match, finds another one in it
    probe += few + b"".join(few[at * 3 % 1100 :][:at] for at in (5, 9, 17, 33, 65, 100, 280))
    suffixes = [b"", words, b"d" * 19, *(bytes([byte]) for byte in range(0, 256, 32)), b" "]
    for size in (0, 1, 150, 1000, len(probe)):
        prefix = probe[:size]
        streams = [compressor.stream(prefix + suffix) for suffix in suffixes]
        expected = compressor.walker().bits(streams, [size + len(suffix) for suffix in suffixes])
        sizer = compressor.sizer(compressor.sizer_bits(size + len(words)), prefix)
        if (sizer.bits(suffixes) != expected * (1 << FRACTION_BITS)).any():
            return False
    return True


def _few_symbols() -> bytes:
    """Return noise of four letters, then of two, that has matches of every short length at many distances."""
    number, letters = 1, bytearray()
    for index in range(1400):
        number = (number * 1103515245 + 12345) & 0x7FFFFFFF
        letters.append(97 + (number >> 16) % (4 if index < 500 else 2))
    return bytes(letters)


@lru_cache(maxsize=1)  # predictors ask for the same 256 bytes each time
def _extremes(suffixes: tuple[bytes, ...]) -> tuple[int, int]:
    """Return the lengths of the shortest and the longest suffix."""
    sizes = [len(suffix) for suffix in suffixes]
    return min(sizes, default=0), max(sizes, default=0)


class LzmaScorer:
    """LZMA after a prefix, which is parsed once for all its suffixes."""

    def __init__(self, compressor: Lzma, prefix: bytes) -> None:
        self._compressor = compressor
        self._prefix = prefix
        self._sizers: dict[int, LzmaSizer] = {}  # by the bits of their dictionary, made on demand

    def code_lengths(self, suffixes: Sequence[bytes]) -> FloatArray:
        suffixes = as_pieces(suffixes, "a suffix")
        size = len(self._prefix)
        least, most = (self._compressor.sizer_bits(size + length) for length in _extremes(tuple(suffixes)))
        if least == most:
            found = self._sizer(most).bits(suffixes)
        else:
            found = np.empty(len(suffixes), np.int64)
            bits = np.array([self._compressor.sizer_bits(size + len(suffix)) for suffix in suffixes])
            for one in range(least, most + 1):
                places = np.flatnonzero(bits == one).tolist()
                found[places] = self._sizer(one).bits([suffixes[place] for place in places])
        return np.asarray(HEADER_BITS + found / (1 << FRACTION_BITS))

    def _sizer(self, bits: int) -> LzmaSizer:
        if bits not in self._sizers:
            self._sizers[bits] = self._compressor.sizer(bits, self._prefix)
        return self._sizers[bits]

    def feed(self, data: bytes) -> None:
        data = as_bytes(data)
        self._prefix += data
        needed = self._compressor.sizer_bits(len(self._prefix))
        self._sizers = {bits: sizer for bits, sizer in self._sizers.items() if bits >= needed}
        for sizer in self._sizers.values():
            sizer.feed(data)

    def copy(self) -> Self:
        # at least one sizer, so that copies share it and do not each parse the prefix
        if not self._sizers:
            self._sizer(self._compressor.sizer_bits(len(self._prefix) + 1))
        twin = type(self)(self._compressor, self._prefix)
        twin._sizers = {bits: sizer.copy() for bits, sizer in self._sizers.items()}
        return twin


class ExactLzmaScorer:
    """LZMA after a prefix, by liblzma itself, for a liblzma that the sizer does not reproduce.

    A short prefix is compressed anew with each suffix; after a long one, the state is kept.
    """

    def __init__(self, compressor: Lzma, prefix: bytes) -> None:
        self._compressor = compressor
        self._prefix = prefix
        self._walker = compressor.walker()
        self._encoders: dict[int, _Encoders] = {}

    def code_lengths(self, suffixes: Sequence[bytes]) -> FloatArray:
        suffixes = as_pieces(suffixes, "a suffix")
        sizes = [len(self._prefix) + len(suffix) for suffix in suffixes]
        streams: list[bytes] = [b""] * len(suffixes)
        for bits in sorted({self._compressor.bits_for(size) for size in sizes}):
            places = [place for place, size in enumerate(sizes) if self._compressor.bits_for(size) == bits]
            found = self._streams(bits, [suffixes[place] for place in places])
            for place, stream in zip(places, found, strict=True):
                streams[place] = stream
        return HEADER_BITS + self._walker.bits(streams, sizes)

    def _streams(self, bits: int, suffixes: Sequence[bytes]) -> list[bytes]:
        """Return the streams for suffixes that take a dictionary of ``bits``."""
        if bits > KEPT_DICTIONARY_BITS or len(suffixes) == 1 or not is_available():
            return list(candidate_pool().map(lambda suffix: self._compressor.stream(self._prefix + suffix), suffixes))
        if bits not in self._encoders:
            made = [_SharedEncoder(self._compressor.encoder(bits)) for _ in range(candidate_threads())]
            self._encoders[bits] = _Encoders(made, [None] * len(made))
        encoders = self._encoders[bits]
        if len(self._prefix) < KEPT_PREFIX:
            return encoders.streams([self._prefix + suffix for suffix in suffixes])
        if not encoders.has_prefix:
            encoders.feed(self._prefix)
        return encoders.streams(suffixes)

    def feed(self, data: bytes) -> None:
        data = as_bytes(data)
        self._prefix += data
        needed = self._compressor.bits_for(len(self._prefix))
        self._encoders = {bits: encoders for bits, encoders in self._encoders.items() if bits >= needed}
        for encoders in self._encoders.values():
            if encoders.has_prefix:
                encoders.feed(data)

    def copy(self) -> Self:
        twin = type(self)(self._compressor, self._prefix)
        twin._walker = self._walker.copy()
        twin._encoders = {bits: encoders.copy() for bits, encoders in self._encoders.items()}
        return twin
