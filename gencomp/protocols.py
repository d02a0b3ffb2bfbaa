"""The two protocols, and the optional capabilities that make them fast.

A :class:`Predictor` assigns probabilities symbol by symbol; a :class:`Compressor` maps bytes to a code and back. One
unit, the bit, joins them: -log2 p is a code length, 2^(-code length) is a probability. :mod:`gencomp.equivalence` turns
each into the other.

A capability is a small protocol of its own. Callers do not ask what an object can do: each capability has one function
in :mod:`gencomp.equivalence.capabilities`, which uses it if the object has it and falls back otherwise.
"""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

from gencomp.budget import Cost, StateCost
from gencomp.phrases import Parse

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Revision = int | tuple["Revision", ...]
"""A number that changes when the coded bytes do; for a model made of models, its own and then each member's."""


class PredictorState(Protocol):
    """A predictor after some context: the distribution of the next symbol."""

    def code_lengths(self) -> FloatArray:
        """Return -log2 p(symbol | context) in bits, float64 (alphabet_size,); the Kraft sum is 1."""

    def update(self, symbol: int) -> None:
        """Append ``symbol`` to the context."""

    def copy(self) -> Self:
        """Return a state that goes on independently of this one."""


@runtime_checkable
class Predictor(Protocol):
    """A sequential probability assignment over an alphabet of ``alphabet_size`` symbols, 256 for bytes."""

    @property
    def alphabet_size(self) -> int: ...

    def begin(self, context: Sequence[int] = ()) -> PredictorState:
        """Return the state after ``context`` (bytes are a sequence of integers)."""


@runtime_checkable
class Compressor(Protocol):
    """A lossless code for byte strings."""

    def compress(self, data: bytes) -> bytes:
        """Return the code of ``data``; the same data give the same code."""

    def decompress(self, blob: bytes) -> bytes:
        """Return the data. Raises :class:`~gencomp.errors.CorruptDataError` on bytes that are not a code."""

    def code_length(self, data: bytes) -> float:
        """Return the length of the code in bits, as exact as the format's bitstream allows."""


class ScorerState(Protocol):
    """A compressor after a prefix, asked what suffixes would cost."""

    def code_lengths(self, suffixes: Sequence[bytes]) -> FloatArray:
        """Return the code length in bits of prefix + suffix for each suffix, float64 (n,)."""

    def feed(self, data: bytes) -> None:
        """Append ``data`` to the prefix."""

    def copy(self) -> Self:
        """Return a state that goes on independently of this one."""


@runtime_checkable
class PrefixScoring(Protocol):
    """Capability of a compressor: many suffixes after one long prefix, faster than compressing each anew."""

    def begin_scoring(self, prefix: bytes = b"") -> ScorerState: ...


@runtime_checkable
class Growing(Protocol):
    """Capability of a compressor's state after a prefix: it takes many more bytes, one by one, in one compiled pass."""

    def grow(self, data: bytes) -> FloatArray:
        """Append ``data``; return the code length after each of its bytes, float64 (n,) in bits."""


@runtime_checkable
class ConditionalSharing(Protocol):
    """Capability of a compressor whose prefix scoring is faster with some versions of its library only.

    ``sharing`` says for which settings it is faster then, and for how many bytes.
    """

    sharing: ClassVar[str]

    def shares_work(self) -> bool:
        """Return whether it is faster with the version at hand."""


@runtime_checkable
class IntegerState(Protocol):
    """Capability of a predictor's state: the model's own integer cdf, no floating point before the coder."""

    def cdf(self) -> IntArray:
        """Return the strictly increasing cdf, int64 (alphabet_size + 1,), from 0 to a power of two."""


@runtime_checkable
class Charging(Protocol):
    """Capability of a predictor's state: many bytes at once, in one compiled pass."""

    def charge(self, data: bytes) -> FloatArray:
        """Append ``data``; return what each byte costs after those before it, float64 (n,) in bits."""


@runtime_checkable
class Spending(Protocol):
    """Capability of a predictor's state: what many bytes cost in all, faster than byte by byte."""

    def spend(self, data: bytes) -> float:
        """Append ``data``; return what it costs in all, in bits."""


@runtime_checkable
class FusedCoding(Protocol):
    """Capability of a predictor: a compiled loop over a whole block of bytes, model and coder in one."""

    def encode_block(self, data: bytes) -> bytes:
        """Return the arithmetic code of ``data`` from an empty context; it does not hold the data's length."""

    def decode_block(self, payload: bytes, size: int) -> bytes:
        """Return the ``size`` bytes. Raises :class:`~gencomp.errors.CorruptDataError`."""


@runtime_checkable
class ChunkScoring(Protocol):
    """Capability of a predictor: what whole chunks cost, where single bytes have no cost, as with tokens."""

    def chunk_code_lengths(self, chunks: Sequence[bytes]) -> FloatArray:
        """Return -log2 p(chunk) in bits for each chunk, float64 (n,), each from an empty context."""


class SymbolCosts(Protocol):
    """A text of n symbols under a model."""

    @property
    def code_lengths(self) -> FloatArray:
        """-log2 p of each symbol after those before it, float64 (n,) in bits."""

    @property
    def likeliest(self) -> npt.NDArray[np.bool_]:
        """Whether each symbol is the likeliest one, (n,)."""


@runtime_checkable
class TokenScoring(Protocol):
    """Capability of a predictor: what texts cost as its tokenizer's tokens. To measure, never to encode."""

    def token_costs(self, texts: Sequence[bytes]) -> Sequence[SymbolCosts]:
        """Return what the tokens of each text cost, each text from an empty context."""

    def token_count(self, text: bytes) -> int:
        """Return how many tokens a text has."""


@runtime_checkable
class Tokenized(Protocol):
    """Capability of a predictor: it reads tokens, and can count those of a text."""

    def token_counts(self, texts: Sequence[bytes]) -> Sequence[int]:
        """Return how many tokens each text has."""


@runtime_checkable
class Sliding(Protocol):
    """Capability of a predictor: it sees a window of its own symbols, which moves when it is full."""

    def context_and_stride(self) -> tuple[int, int]:
        """Return how many symbols it sees at most, and by how many the window moves."""


@runtime_checkable
class Parametric(Protocol):
    """Capability of a predictor: it was trained, and decoding needs its parameters."""

    @property
    def parameter_count(self) -> int: ...


@runtime_checkable
class Portable(Protocol):
    """Capability of a predictor: integers all the way, so that its archives decode on any machine.

    ``revision`` changes whenever the same bytes would be coded differently; it is None if a part of the model depends
    on its environment after all. A model made of models returns :func:`gencomp.equivalence.identity.composed`'s result.
    """

    @property
    def revision(self) -> Revision | None: ...


@runtime_checkable
class PackedRevision(Protocol):
    """Capability of a model made of models that archives of gencomp 0.1 may name: its revision as they have it."""

    def packed_revision(self) -> int:
        """Return its own revision and the members' as one number, in base 1000."""


@runtime_checkable
class Environment(Protocol):
    """Capability of a predictor or compressor: the libraries and settings that its output depends on."""

    def environment(self) -> Mapping[str, Any]:
        """Return names and versions, for the archive's header and for experiment records."""


@runtime_checkable
class Fingerprinted(Protocol):
    """Capability of a predictor: a quick test of whether it computes what it computed elsewhere."""

    def fingerprint(self) -> bytes:
        """Return bytes that change if its weights do, or the floats that it computes from them."""


@runtime_checkable
class Laned(Protocol):
    """Capability of a predictor: it codes a block in lanes side by side, and its floats depend on their number."""

    def lanes_of(self, payload: bytes, size: int) -> int | None:
        """Return how many lanes the block of ``size`` bytes with this payload has; None if no float depends on it."""

    def lane_fingerprint(self, lanes: Sequence[int]) -> bytes:
        """Return a fingerprint, as in :class:`Fingerprinted`, for these numbers of lanes only."""


@runtime_checkable
class SequenceScoring(Protocol):
    """Capability of a predictor: whole texts at once, faster than symbol by symbol. To measure, never to encode."""

    def sequence_code_lengths(self, texts: Sequence[bytes]) -> Sequence[FloatArray]:
        """Return -log2 p of each symbol of each text, float64 (n,) in bits, each text from an empty context."""


@runtime_checkable
class SizeChecking(Protocol):
    """Capability of a predictor: its options fit data of some sizes only, such as whole rows of an image."""

    def check_size(self, size: int) -> None:
        """Raise ``ValueError`` if data of ``size`` bytes does not fit."""


@runtime_checkable
class Blocked(Protocol):
    """Capability of a predictor: larger blocks than usual serve it better, though fewer cores then share a file."""

    @property
    def block_size(self) -> int:
        """The size of an archive's blocks in bytes, unless the user sets one."""


@runtime_checkable
class Suiting(Protocol):
    """Capability of a predictor: its options can be chosen by what is to be coded, and are named in the header then.

    ``found_options`` of its class are those that may be chosen.
    """

    def suited_to(self, data: bytes) -> "Predictor":
        """Return the predictor whose options suit ``data``, the first block; the same one where they do already."""


@runtime_checkable
class Savable(Protocol):
    """Capability of a predictor's state: it can be written to a file that its predictor reads."""

    def save(self, path: str | PathLike[str]) -> None: ...


@runtime_checkable
class Parsing(Protocol):
    """Capability of a compressor: it tells how it parses data into literals and copies."""

    def parse(self, data: bytes) -> Parse:
        """Return the phrases of the code of ``data``, each with its bits."""


@runtime_checkable
class Windowed(Protocol):
    """Capability of a compressor: it says how far back it looks."""

    @property
    def window(self) -> int | None:
        """How many bytes back it can look; None if there is no such bound."""


@runtime_checkable
class Resolving(Protocol):
    """Capability of a compressor: it says how fine its code lengths are."""

    @property
    def resolution(self) -> str:
        """A ``fraction`` of a bit (a range coder's interval), a ``bit`` or a ``byte``."""


@runtime_checkable
class Ordered(Protocol):
    """Capability of a compressor: it says whether it codes data in order."""

    @property
    def causal(self) -> bool:
        """False if a byte can rearrange what comes before it, as where a transform sorts whole blocks."""


@runtime_checkable
class StateEstimating(Protocol):
    """Capability of a predictor, or of a codec that scores after a prefix: it knows what its states take."""

    def state_cost(self, size: int) -> StateCost:
        """Return what a state that has read ``size`` bytes takes at most; a codec's step is 256 suffixes."""


@runtime_checkable
class BlockEstimating(Protocol):
    """Capability of a predictor with fused coding: it knows what a whole block takes."""

    def block_cost(self, size: int, coded: int) -> Cost:
        """Return what coding a block of ``size`` bytes into ``coded`` bytes, or back, takes at most."""


@runtime_checkable
class ContentEstimating(Protocol):
    """Capability of a predictor whose blocks of one size take very different times, as where it reads tokens."""

    def content_cost(self, content: bytes) -> Cost:
        """Return what coding this block takes; nothing but what cuts it up is loaded."""

    def payload_cost(self, payload: bytes, size: int) -> Cost:
        """Return what decoding this code of ``size`` bytes takes."""


@runtime_checkable
class FingerprintEstimating(Protocol):
    """Capability of a predictor with a fingerprint of its own: it knows what computing that takes."""

    def fingerprint_cost(self) -> Cost: ...


@runtime_checkable
class CallEstimating(Protocol):
    """Capability of a codec: it knows what one call takes."""

    def call_cost(self, size: int) -> Cost:
        """Return what compressing ``size`` bytes takes at most."""
