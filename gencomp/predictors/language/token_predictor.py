"""Models of tokens as predictors of bytes: what float models and integer models share."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from gencomp.arguments import as_bytes, as_context, as_pieces
from gencomp.budget import Cost, StateCost
from gencomp.coding.quantize import MAX_ALPHABET_SIZE
from gencomp.coding.varint import read_varint, varint
from gencomp.errors import CorruptDataError
from gencomp.predictors.language.causal import CausalModel
from gencomp.predictors.language.coding import decode_symbols, encode_symbols, lanes_for
from gencomp.predictors.language.estimates import Estimate
from gencomp.predictors.language.exact import ExactModel
from gencomp.predictors.language.exact_lanes import Costs
from gencomp.predictors.language.hazards import ModelFolderError
from gencomp.predictors.language.tokens import ESCAPES, TokenCode
from gencomp.protocols import FloatArray, SymbolCosts

if TYPE_CHECKING:
    from gencomp.predictors.language.bridge import ByteState, TokenTable
    from gencomp.predictors.language.lockstep import Lockstep

# the probability of escapes: it costs 0.0004 bits a token; after an escape, another one is as likely as not
ESCAPE_SHARE = np.float32(2.0**-12)
_ESCAPE_SHARE_AFTER_ONE = np.float32(0.5)


class TokenBatch:
    """Lanes of token symbols: the model's ids, and escapes, which get a share of each distribution."""

    def __init__(self, lockstep: "Lockstep", code: TokenCode, start: int) -> None:
        self._lockstep = lockstep
        self._code = code
        self._start = start
        self._share: npt.NDArray[np.float32] | None = None

    def probabilities(self) -> npt.NDArray[np.float32]:
        ids = self._lockstep.probabilities()
        if self._share is None:
            self._share = np.full((len(ids), 1), ESCAPE_SHARE)
        extended = np.empty((len(ids), self._code.alphabet_size), dtype=np.float32)
        extended[:, : ids.shape[1]] = ids * (np.float32(1.0) - self._share)
        extended[:, ids.shape[1] :] = self._share / np.float32(ESCAPES + 1)
        return extended

    def feed(self, symbols: npt.NDArray[np.int64]) -> None:
        """Append one symbol to each lane, int64 (lanes,); in place of an escape, the model reads its start symbol."""
        escaped = symbols >= self._code.vocabulary_size
        self._share = np.where(escaped, _ESCAPE_SHARE_AFTER_ONE, ESCAPE_SHARE).astype(np.float32)[:, None]
        self._lockstep.feed(np.where(escaped, self._start, symbols))


def _most_tokens(size: int) -> int:
    """Return how many symbols ``size`` bytes are at most: one for each, a separator before it, and one at the end."""
    return 2 * size + 1


def checked_code(code: TokenCode, place: Path) -> TokenCode:
    """Return a tokenizer's code; raise :class:`ModelFolderError` if it has more symbols than the coder takes."""
    if code.alphabet_size > MAX_ALPHABET_SIZE:
        raise ModelFolderError(
            f"{place} has {code.vocabulary_size:,} tokens; the coder takes at most {MAX_ALPHABET_SIZE:,} "
            f"symbols, {ESCAPES + 1} of them for escapes"
        )
    return code


class TokenPredictor:
    """A model of tokens with its tokenizer: blocks are coded as tokens, and bytes are predicted by sums over tokens."""

    # defined by subclasses
    network: CausalModel | ExactModel
    code: TokenCode
    batch: int
    lane: int | None
    threads: int

    # of kernels and coder: with another, the same weights give other bytes
    REVISION: ClassVar[int] = 1

    @property
    def revision(self) -> int | None:
        """The revision of an integer model, whose archives decode on any machine; None for a float model."""
        return self.REVISION if isinstance(self.network, ExactModel) else None

    @property
    def _shortest(self) -> int:
        assert self.lane is not None
        return self.lane

    @property
    def alphabet_size(self) -> int:
        return 256

    @property
    def parameter_count(self) -> int:
        return self.network.parameter_count

    def begin(self, context: Sequence[int] = ()) -> "ByteState":
        from gencomp.predictors.language.bridge import ByteState, ExactByteState

        kind = ExactByteState if isinstance(self.network, ExactModel) else ByteState
        return kind.begin(self.network, self.code, bytes(as_context(context)), self._table)

    @cached_property
    def _table(self) -> "TokenTable":
        from gencomp.predictors.language.bridge import TokenTable

        return TokenTable(self.code)

    def encode_block(self, data: bytes) -> bytes:
        data = as_bytes(data)
        symbols = self.code.encode(data)
        if isinstance(self.network, ExactModel):
            from gencomp.predictors.language.exact_coding import encode_tokens

            return varint(len(symbols)) + encode_tokens(self.network, symbols, self._shortest, self.threads)
        with self.network.settings.applied():
            return varint(len(symbols)) + encode_symbols(self._begin, symbols, self.batch, self._shortest)

    def decode_block(self, payload: bytes, size: int) -> bytes:
        payload = as_bytes(payload, "the code")
        count, position = read_varint(payload, 0)
        if count > _most_tokens(size):
            raise CorruptDataError(f"{size} bytes claim to be {count} tokens")
        if isinstance(self.network, ExactModel):
            from gencomp.predictors.language.exact_coding import decode_tokens

            symbols = decode_tokens(self.network, payload[position:], count, self._shortest)
        else:
            with self.network.settings.applied():
                symbols = decode_symbols(self._begin, payload[position:], count, self.batch, self._shortest)
        data = self.code.decode(symbols)
        if len(data) != size:
            raise CorruptDataError(f"the tokens hold {len(data)} bytes, not {size}")
        return data

    def chunk_code_lengths(self, chunks: Sequence[bytes]) -> FloatArray:
        """Return each chunk's cost in tokens, float64 (n,) in bits, by calls over whole windows: only to measure."""
        return np.array(
            [costs.code_lengths.sum() for costs in self.token_costs(as_pieces(chunks, "a chunk"))], dtype=np.float64
        )

    def token_count(self, text: bytes) -> int:
        """Return how many symbols ``text`` is coded as."""
        return len(self.code.encode(text))

    def token_costs(self, texts: Sequence[bytes]) -> list[Costs]:
        """Return the costs of each text's tokens, by calls over whole windows: only to measure.

        As is usual in figures for language models, they are of one tokenisation, the tokenizer's own, and not of the
        sum over all.
        """
        symbols = [self.code.encode(text) for text in texts]
        escaped = [row >= self.code.vocabulary_size for row in symbols]
        read = [np.where(mask, self.network.start, row) for row, mask in zip(symbols, escaped, strict=True)]
        found = []
        measured: Sequence[SymbolCosts] = self.network.sequence_costs(read)
        for costs, mask in zip(measured, escaped, strict=True):
            share = np.where(np.append(False, mask[:-1]), _ESCAPE_SHARE_AFTER_ONE, ESCAPE_SHARE)[: len(mask)]
            charged = np.where(mask, np.log2((ESCAPES + 1) / share), costs.code_lengths - np.log2(1.0 - share))
            found.append(Costs(charged, costs.likeliest & ~mask))
        return found

    def token_counts(self, texts: Sequence[bytes]) -> list[int]:
        """Return how many tokens each text has."""
        return [len(self.code.encode(text)) for text in texts]

    def context_and_stride(self) -> tuple[int, int]:
        """Return the most positions that a prediction sees, and how many are given up when they are full."""
        return self.network.context, self.network.stride

    def _begin(self, lanes: int) -> TokenBatch:
        assert isinstance(self.network, CausalModel)
        return TokenBatch(self.network.begin(lanes), self.code, self.network.start)

    def state_cost(self, size: int) -> StateCost:
        from gencomp.predictors.language.bridge import BEAM

        if isinstance(self.network, ExactModel):
            return self.network.state_cost(size, 2 * BEAM)
        return Estimate(self.network).state(size, 2 * BEAM)

    def block_cost(self, size: int, coded: int) -> Cost:
        return self._cost_of_tokens(_most_tokens(size))

    def content_cost(self, content: bytes) -> Cost:
        """Return what coding a block takes, by its tokens."""
        return self._cost_of_tokens(len(self.code.encode(content)))

    def payload_cost(self, payload: bytes, size: int) -> Cost:
        """Return what decoding a block takes, by the number of tokens that its code claims."""
        try:
            count, _ = read_varint(payload, 0)
        except CorruptDataError:
            return Cost()
        return self._cost_of_tokens(count) if count <= _most_tokens(size) else Cost()  # else it is refused at once

    def _cost_of_tokens(self, count: int) -> Cost:
        if isinstance(self.network, ExactModel):
            return self.network.block_cost(count, self._shortest)
        return Estimate(self.network).block(count, self._shortest)

    def fingerprint_cost(self) -> Cost:
        return Cost() if isinstance(self.network, ExactModel) else Estimate(self.network).fingerprint()

    def environment(self) -> Mapping[str, Any]:
        """Return what the bytes depend on beside the revision: for an integer model, the weights alone."""
        if isinstance(self.network, ExactModel):
            return self.network.environment()
        import tokenizers

        return {**self.network.environment(), "tokenizers": tokenizers.__version__}

    def fingerprint(self) -> bytes:
        return self._of_floats.fingerprint()

    def lanes_of(self, payload: bytes, size: int) -> int | None:
        """Return how many lanes the block with this payload has; None if no float depends on that."""
        if isinstance(self.network, ExactModel):
            return None
        count, _ = read_varint(payload, 0)
        return lanes_for(count, self.batch, self._shortest)

    def lane_fingerprint(self, lanes: Sequence[int]) -> bytes:
        return self._of_floats.fingerprint(lanes)

    @property
    def _of_floats(self) -> CausalModel:
        if isinstance(self.network, ExactModel):
            raise ValueError("an integer model has a revision and no fingerprint")
        return self.network
