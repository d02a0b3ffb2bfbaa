"""Any causal language model of the Hugging Face ecosystem, as a predictor of bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from gencomp.arguments import as_bytes, as_context, as_pieces
from gencomp.budget import Cost, StateCost
from gencomp.coding.quantize import MAX_ALPHABET_SIZE
from gencomp.coding.varint import read_varint, varint
from gencomp.errors import CorruptDataError
from gencomp.predictors.language.causal import MAX_CONTEXT, CausalModel, causal_model
from gencomp.predictors.language.coding import MIN_LANE_SYMBOLS, decode_symbols, encode_symbols, lanes_for
from gencomp.predictors.language.estimates import Estimate
from gencomp.predictors.language.loading import ModelFolderError, find_folder
from gencomp.predictors.language.settings import Device, DType
from gencomp.predictors.language.tokens import ESCAPES, TokenCode, load_code
from gencomp.protocols import FloatArray

if TYPE_CHECKING:
    from gencomp.predictors.language.bridge import ByteState, TokenTable
    from gencomp.predictors.language.lockstep import Lockstep
    from gencomp.predictors.language.windows import Costs

# what escapes have of every distribution: 0.0004 bits a token; after an escape another one is as likely as not
ESCAPE_SHARE = np.float32(2.0**-12)
_ESCAPE_SHARE_AFTER_ONE = np.float32(0.5)

# tokens: see docs/MODELS.md for what shorter lanes cost and longer ones take
DEFAULT_LANE = 1024


class TokenBatch:
    """Lanes of token symbols: the model's ids, with a share of each distribution kept for escapes."""

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
        """Append one symbol to each lane; the model reads its start symbol in place of an escape."""
        escaped = symbols >= self._code.vocabulary_size
        self._share = np.where(escaped, _ESCAPE_SHARE_AFTER_ONE, ESCAPE_SHARE).astype(np.float32)[:, None]
        self._lockstep.feed(np.where(escaped, self._start, symbols))


@dataclass(frozen=True)
class HuggingFace:
    """A causal language model of transformers with its tokenizer, in a folder or in the local hub cache.

    Blocks are coded as tokens, and come back byte for byte whatever they hold: what the tokenizer would change is
    escaped. As a predictor of the next byte it sums over tokenisations (:mod:`gencomp.predictors.language.bridge`).
    ``context`` and ``stride`` are in tokens, and ``lane`` is the least number of tokens of one of the ``batch`` lanes
    that a block is cut into: each begins from an empty context, and they are coded side by side. The other options are
    those of ``transformer``. Nothing is downloaded.
    Raises ``ModelFolderError`` on a model that is not here or would run code, ``ValueError`` on options out of range.
    """

    model: str
    device: Device = "cpu"
    dtype: DType = "auto"
    batch: int = 16
    context: int | None = None
    stride: int | None = None
    threads: int = 1
    lane: int = DEFAULT_LANE

    spec_argument: ClassVar[str] = "model"
    # what an option was before archives named it
    once_fixed: ClassVar[Mapping[str, int]] = {"lane": MIN_LANE_SYMBOLS}

    def __post_init__(self) -> None:
        if not 1 <= self.lane <= MAX_CONTEXT:
            raise ValueError(f"lane must be from 1 to {MAX_CONTEXT} tokens, got {self.lane}")
        _ = self.network

    @cached_property
    def network(self) -> CausalModel:
        """The folder with its options, checked."""
        return causal_model(
            find_folder(self.model),
            device=self.device,
            dtype=self.dtype,
            threads=self.threads,
            batch=self.batch,
            context=self.context,
            stride=self.stride,
        )

    @cached_property
    def code(self) -> TokenCode:
        """The tokenizer with its escapes."""
        code = load_code(self.network.folder, self.network.vocabulary_size)
        if code.alphabet_size > MAX_ALPHABET_SIZE:
            raise ModelFolderError(
                f"{self.network.folder} has {code.vocabulary_size:,} tokens; the coder takes {MAX_ALPHABET_SIZE:,} "
                f"symbols, {ESCAPES + 1} of them for escapes"
            )
        return code

    @property
    def alphabet_size(self) -> int:
        return 256

    @property
    def parameter_count(self) -> int:
        return self.network.parameter_count

    def begin(self, context: Sequence[int] = ()) -> "ByteState":
        from gencomp.predictors.language.bridge import ByteState

        return ByteState.begin(self.network, self.code, bytes(as_context(context)), self._table)

    @cached_property
    def _table(self) -> "TokenTable":
        from gencomp.predictors.language.bridge import TokenTable

        return TokenTable(self.code)

    def encode_block(self, data: bytes) -> bytes:
        data = as_bytes(data)
        symbols = self.code.encode(data)
        with self.network.settings.applied():
            return varint(len(symbols)) + encode_symbols(self._begin, symbols, self.batch, self.lane)

    def decode_block(self, payload: bytes, size: int) -> bytes:
        payload = as_bytes(payload, "the code")
        count, position = read_varint(payload, 0)
        if count > 2 * size + 1:  # at most a separator before each escaped or tokenised byte
            raise CorruptDataError(f"{size} bytes claim to be {count} tokens")
        with self.network.settings.applied():
            symbols = decode_symbols(self._begin, payload[position:], count, self.batch, self.lane)
        data = self.code.decode(symbols)
        if len(data) != size:
            raise CorruptDataError(f"the tokens hold {len(data)} bytes, not {size}")
        return data

    def chunk_code_lengths(self, chunks: Sequence[bytes]) -> FloatArray:
        """Return what each chunk's tokens cost in bits, (n,), by calls over whole windows: only to measure."""
        return np.array(
            [costs.code_lengths.sum() for costs in self.token_costs(as_pieces(chunks, "a chunk"))], dtype=np.float64
        )

    def token_count(self, text: bytes) -> int:
        """Return how many symbols ``text`` is coded as."""
        return len(self.code.encode(text))

    def token_costs(self, texts: Sequence[bytes]) -> "list[Costs]":
        """Return what each token of each text costs, by calls over whole windows: only to measure.

        Unlike the sum over tokenisations this is the probability of one of them, the tokenizer's own, as the usual
        figures for language models are.
        """
        from gencomp.predictors.language.windows import Costs

        symbols = [self.code.encode(text) for text in texts]
        escaped = [row >= self.code.vocabulary_size for row in symbols]
        read = [np.where(mask, self.network.start, row) for row, mask in zip(symbols, escaped, strict=True)]
        found = []
        for costs, mask in zip(self.network.sequence_costs(read), escaped, strict=True):
            share = np.where(np.append(False, mask[:-1]), _ESCAPE_SHARE_AFTER_ONE, ESCAPE_SHARE)[: len(mask)]
            charged = np.where(mask, np.log2((ESCAPES + 1) / share), costs.code_lengths - np.log2(1.0 - share))
            found.append(Costs(charged, costs.likeliest & ~mask))
        return found

    def token_counts(self, texts: Sequence[bytes]) -> list[int]:
        """Return how many tokens each text is."""
        return [len(self.code.encode(text)) for text in texts]

    def context_and_stride(self) -> tuple[int, int]:
        """Return the positions that a prediction sees at most, and how many are given up when they are full."""
        return self.network.context, self.network.stride

    def _begin(self, lanes: int) -> TokenBatch:
        return TokenBatch(self.network.begin(lanes), self.code, self.network.start)

    def state_cost(self, size: int) -> StateCost:
        from gencomp.predictors.language.bridge import BEAM

        return Estimate(self.network).state(size, 2 * BEAM)

    def block_cost(self, size: int, coded: int) -> Cost:
        # at most a separator before each escaped or tokenised byte
        return Estimate(self.network).block(2 * size + 1, self.lane)

    def fingerprint_cost(self) -> Cost:
        return Estimate(self.network).fingerprint()

    def environment(self) -> Mapping[str, Any]:
        import tokenizers

        return {**self.network.environment(), "tokenizers": tokenizers.__version__}

    def fingerprint(self) -> bytes:
        return self.network.fingerprint()

    def lanes_of(self, payload: bytes, size: int) -> int:
        """Return how many lanes the block with this payload has."""
        count, _ = read_varint(payload, 0)
        return lanes_for(count, self.batch, self.lane)

    def lane_fingerprint(self, lanes: Sequence[int]) -> bytes:
        return self.network.fingerprint(lanes)
