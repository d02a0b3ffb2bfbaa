"""Text as tokens, by the package tokenizers: byte-pair encoding learnt from a text, each token's id as two bytes."""

import functools
from pathlib import Path
from typing import Any

import numpy as np

from gencomp.extras import require
from gencomp.modalities import text

MIN_VOCABULARY, MAX_VOCABULARY = 257, 1 << 16
LEARN_BYTES = 10_000_000


def learnt_from(path: str, vocabulary: int) -> Any:
    """Return a tokenizer of ``vocabulary`` tokens, the 256 bytes among them, learnt from the start of a text.

    Byte-pair encoding (Sennrich et al. 2016) inside words. Raises ``ValueError``, :class:`MissingExtraError`, and what
    :func:`gencomp.modalities.text.read` raises.
    """
    return learn(path, vocabulary, strict=True)[0]


@functools.lru_cache(maxsize=8)
def learn(path: str, vocabulary: int, *, strict: bool) -> tuple[Any, tuple[str, ...]]:
    """Return the same tokenizer and, unless ``strict``, one line for each file that cannot be read."""
    if not MIN_VOCABULARY <= vocabulary <= MAX_VOCABULARY:
        raise ValueError(f"vocabulary must be from {MIN_VOCABULARY} to {MAX_VOCABULARY} tokens, got {vocabulary}")
    require("lm", "tokenizers")
    from tokenizers import Regex, Tokenizer
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import Split
    from tokenizers.trainers import BpeTrainer

    tokenizer = Tokenizer(BPE())
    # a space goes with the word after it; digits and punctuation marks stand by themselves
    tokenizer.pre_tokenizer = Split(Regex(r" ?[A-Za-z\x80-\xff]+|\s+|[^A-Za-z\x80-\xff\s]"), "isolated")
    alphabet = [chr(byte) for byte in range(256)]
    trainer = BpeTrainer(vocab_size=vocabulary, initial_alphabet=alphabet, show_progress=False)
    data, skipped = text.read_readable(Path(path), LEARN_BYTES, strict=strict)
    tokenizer.train_from_iterator(_characters(data).splitlines(keepends=True), trainer)
    return tokenizer, tuple(skipped)


def _characters(data: bytes) -> str:
    """Return one character a byte, since a chunk may begin or end inside a UTF-8 sequence."""
    return data.decode("latin-1")


def to_tokens(data: bytes, tokenizer: Any) -> bytes:
    """Return the token ids of ``data``, two bytes each, big-endian."""
    return np.array(tokenizer.encode(_characters(data)).ids, dtype=">u2").tobytes()


def from_tokens(tokens: bytes, tokenizer: Any) -> bytes:
    """Return the data of :func:`to_tokens`."""
    names = (tokenizer.id_to_token(int(number)) for number in np.frombuffer(tokens, dtype=">u2"))
    return "".join(names).encode("latin-1")
