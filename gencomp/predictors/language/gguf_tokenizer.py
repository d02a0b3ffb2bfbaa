"""The tokenizer of a GGUF file, made from its metadata."""

import heapq
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gencomp.extras import require
from gencomp.predictors.language.hazards import ModelFolderError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_NORMAL, _UNKNOWN, _CONTROL, _USER, _UNUSED, _BYTE = range(1, 7)

# pre-tokenizers: how texts are cut before pairs are merged
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
    r"\s+(?!\S)|\s+"
)
_CUTS: dict[str, tuple[bool, str]] = {  # by llama.cpp's names: whether digits stand alone, and the pieces
    "default": (False, _GPT2),
    "gpt-2": (False, _GPT2),
    "olmo": (False, _GPT2),
    "smollm": (True, _GPT2),
    "starcoder": (True, _GPT2),
    "llama-bpe": (False, _LLAMA3),
    "llama3": (False, _LLAMA3),
    "qwen2": (False, _LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")),
}


def tokenizer_of(metadata: Mapping[str, Any], vocabulary_size: int) -> "Tokenizer":
    """Return the tokenizer that a GGUF file's metadata describe.

    Raises :class:`ModelFolderError` on an unknown kind of tokenizer, and on lists that do not fit each other.
    """
    require("lm", "tokenizers")
    kind = metadata.get("tokenizer.ggml.model")
    tokens = _texts(metadata, "tokenizer.ggml.tokens")
    if not 1 <= len(tokens) <= vocabulary_size:
        raise ModelFolderError(f"the file's tokenizer has {len(tokens):,} tokens, its model {vocabulary_size:,}")
    if len(set(tokens)) != len(tokens):
        raise ModelFolderError("the file's tokenizer has a token twice")
    kinds = metadata.get("tokenizer.ggml.token_type", [_NORMAL] * len(tokens))
    if not isinstance(kinds, list) or len(kinds) != len(tokens):
        raise ModelFolderError("the file's tokenizer must have a type for each token")
    if kind == "gpt2":
        tokenizer = _byte_level(metadata, tokens)
    elif kind == "llama":
        tokenizer = _sentence_pieces(metadata, tokens, kinds)
    else:
        raise ModelFolderError(f"the file's tokenizer is of the kind {kind!r}, expected gpt2 or llama")
    special = [token for token, found in zip(tokens, kinds, strict=True) if found in (_UNKNOWN, _CONTROL)]
    tokenizer.add_special_tokens(special)
    tokenizer.encode_special_tokens = True  # special tokens in the text are plain text
    return tokenizer


def _texts(metadata: Mapping[str, Any], key: str) -> list[str]:
    found = metadata.get(key)
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise ModelFolderError(f"the file's {key} is not a list of texts")
    return found


def _byte_level(metadata: Mapping[str, Any], tokens: Sequence[str]) -> "Tokenizer":
    """Return a byte-level BPE tokenizer (Sennrich et al. 2016)."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    cut = metadata.get("tokenizer.ggml.pre", "default")
    if cut not in _CUTS:
        raise ModelFolderError(f"the file's pre-tokenizer is {cut!r}; known are {', '.join(_CUTS)}")
    alone, pieces = _CUTS[cut]
    known = set(tokens)
    merges = [
        (left, right) for left, _, right in (text.partition(" ") for text in _texts(metadata, "tokenizer.ggml.merges"))
    ]
    for left, right in merges:
        if not {left, right, left + right} <= known:
            raise ModelFolderError(
                f"the file's tokenizer merges {left[:40]!r} and {right[:40]!r}; one of the two, or the result, "
                "is not a token"
            )
    vocabulary = {token: id_ for id_, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    steps: list[Any] = [pre_tokenizers.Digits(individual_digits=True)] if alone else []
    steps += [
        pre_tokenizers.Split(Regex(pieces), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _sentence_pieces(metadata: Mapping[str, Any], tokens: Sequence[str], kinds: Sequence[int]) -> "Tokenizer":
    """Return a SentencePiece BPE tokenizer (Kudo and Richardson 2018): the pair with the best score merges first.

    What no piece covers becomes bytes.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers

    scores = metadata.get("tokenizer.ggml.scores")
    if not isinstance(scores, list) or len(scores) != len(tokens) or not all(type(s) is float for s in scores):
        raise ModelFolderError("the file's tokenizer must have a score for each token")
    vocabulary = {token: id_ for id_, token in enumerate(tokens)}
    pieces = {token: scores[id_] for token, id_ in vocabulary.items() if kinds[id_] == _NORMAL}
    ranked: list[tuple[float, int, str, str]] = []
    for token, score in pieces.items():
        for place in range(1, len(token)):
            left, right = token[:place], token[place:]
            if left in pieces and right in pieces:
                heapq.heappush(ranked, (-score, vocabulary[token], left, right))
    merges = [heapq.heappop(ranked)[2:] for _ in range(len(ranked))]
    unknown = next((token for token, kind in zip(tokens, kinds, strict=True) if kind == _UNKNOWN), None)
    tokenizer = Tokenizer(
        models.BPE(vocab=vocabulary, merges=merges, unk_token=unknown, fuse_unk=True, byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    return tokenizer
