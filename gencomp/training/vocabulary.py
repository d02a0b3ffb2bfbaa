"""Tokenizers of trained models: of bytes, or byte-level BPE. They are saved beside the weights, for transformers."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from gencomp.predictors.language.byte_level import byte_characters

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

BYTE_VOCABULARY = 256
_START = "<|start|>"
_PIECE = 1 << 16  # bytes that are tokenized at a time


def byte_tokenizer_backend() -> "Tokenizer":
    """Return the tokenizer of the tokenizers library whose ids are the UTF-8 bytes of the text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    vocabulary = {character: byte for byte, character in enumerate(byte_characters())}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def byte_tokenizer() -> "PreTrainedTokenizerFast":
    """Return :func:`byte_tokenizer_backend` as a tokenizer of transformers, without special tokens."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_object=byte_tokenizer_backend(), clean_up_tokenization_spaces=False)


def train_bpe(text: bytes, size: int) -> "PreTrainedTokenizerFast":
    """Return a byte-level BPE tokenizer of ``size`` tokens, learnt from ``text``: the start token, 256 bytes, merges.

    Raises ``ValueError`` on a size below 258, which leaves no room for merges.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    if size < BYTE_VOCABULARY + 2:
        raise ValueError(f"a BPE vocabulary needs at least {BYTE_VOCABULARY + 2} tokens, got {size}")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=[_START], initial_alphabet=list(byte_characters()), show_progress=False
    )
    tokenizer.train_from_iterator(_pieces(text), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=_START, eos_token=_START, clean_up_tokenization_spaces=False
    )


def encode_corpus(tokenizer: "PreTrainedTokenizerFast", data: bytes) -> npt.NDArray[np.integer]:
    """Return the ids of ``data``: its bytes under a byte tokenizer, uint8 (n,), else tokens, int32 (n,)."""
    if len(tokenizer) == BYTE_VOCABULARY:
        return np.frombuffer(data, dtype=np.uint8)
    pieces = tokenizer.backend_tokenizer.encode_batch_fast(list(_pieces(data)), add_special_tokens=False)
    return np.concatenate([np.array(piece.ids, dtype=np.int32) for piece in pieces])


def _pieces(text: bytes) -> Iterator[str]:
    for start in range(0, len(text), _PIECE):
        yield text[start : start + _PIECE].decode("utf-8", "replace")


def check_same_tokens(folder: Path, tokenizer: "PreTrainedTokenizerFast") -> None:
    """Raise ``ValueError`` if the model in ``folder`` has another vocabulary, in which its weights would be useless."""
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    if path.is_file() and Tokenizer.from_file(str(path)).get_vocab() != tokenizer.get_vocab():
        raise ValueError(f"{folder} was trained on other tokens; train it on the data that its tokens were learnt from")
