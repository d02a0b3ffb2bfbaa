"""Bytes to token ids and back, lossless for any bytes and any tokenizer.

Text is coded as ids only where the tokenizer decodes these to the same bytes; whatever it changes, drops or cannot read
becomes escaped bytes. So text that it would normalise, invalid UTF-8, truncated characters and the names of special
tokens, which are plain text here, all come back unchanged.
"""

import json
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gencomp.errors import CorruptDataError
from gencomp.extras import require
from gencomp.places import open_regular
from gencomp.predictors.language.hazards import MAX_JSON
from gencomp.predictors.language.loading import TOKENIZER_FILES, ModelFolderError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Symbols = npt.NDArray[np.int64]

ESCAPES = 256
_INVALID = re.compile("[\udc80-\udcff]+")  # what surrogateescape makes of bytes that are not UTF-8
_SHORTEST_TEXT = 8  # between invalid bytes; what is shorter is probably no text, and is escaped


@dataclass(frozen=True)
class TokenCode:
    """The symbols of a tokenizer with ``vocabulary_size`` ids: the ids, then 256 escaped bytes, then a separator.

    The separator stands between two adjacent runs of ids, which are to be decoded apart.
    """

    tokenizer: "Tokenizer"
    vocabulary_size: int

    @property
    def separator(self) -> int:
        return self.vocabulary_size + ESCAPES

    @property
    def alphabet_size(self) -> int:
        return self.vocabulary_size + ESCAPES + 1

    def encode(self, data: bytes) -> Symbols:
        """Return the symbols of ``data``, int64 (n,), which :meth:`decode` makes the same bytes again."""
        text = data.decode("utf-8", "surrogateescape")
        symbols: list[int] = []
        position = 0
        for invalid in _INVALID.finditer(text):
            self._encode_part(text[position : invalid.start()], symbols, _SHORTEST_TEXT)
            self._escape(invalid.group(), symbols)
            position = invalid.end()
        self._encode_part(text[position:], symbols, _SHORTEST_TEXT if position else 1)
        return np.array(symbols, dtype=np.int64)

    def _encode_part(self, text: str, symbols: list[int], shortest: int) -> None:
        """Append the symbols of valid text: its ids, or those of its halves, down to escaped characters."""
        if len(text) < shortest:
            self._escape(text, symbols)
            return
        ids = self.tokenizer.encode(text, add_special_tokens=False).ids
        if (not ids or max(ids) < self.vocabulary_size) and self._text(ids) == text:
            if symbols and symbols[-1] < self.vocabulary_size:
                symbols.append(self.separator)
            symbols.extend(ids)
        elif len(text) == 1:
            self._escape(text, symbols)
        else:
            middle = len(text) // 2
            self._encode_part(text[:middle], symbols, 1)
            self._encode_part(text[middle:], symbols, 1)

    def _escape(self, text: str, symbols: list[int]) -> None:
        symbols.extend(self.vocabulary_size + byte for byte in text.encode("utf-8", "surrogateescape"))

    def _text(self, ids: list[int]) -> str:
        return str(self.tokenizer.decode(ids, skip_special_tokens=False))

    def decode(self, symbols: Symbols) -> bytes:
        """Return the bytes of ``symbols`` (n,). Raises :class:`CorruptDataError` on a symbol outside the alphabet."""
        if len(symbols) and not 0 <= int(symbols.min()) <= int(symbols.max()) < self.alphabet_size:
            raise CorruptDataError(f"token symbols must lie in [0, {self.alphabet_size})")
        parts = []
        is_id = symbols < self.vocabulary_size
        edges = np.flatnonzero(np.diff(is_id)) + 1
        for run in np.split(symbols, edges):
            if not len(run):
                continue
            if run[0] < self.vocabulary_size:
                parts.append(self._text(run.tolist()).encode("utf-8"))
            else:
                escaped = run[run != self.separator] - self.vocabulary_size
                parts.append(escaped.astype(np.uint8).tobytes())
        return b"".join(parts)

    @cached_property
    def token_bytes(self) -> list[bytes]:
        """The bytes that each id stands for, by id; empty for special tokens and for ids without a token.

        Raises :class:`ModelFolderError` on a tokenizer whose tokens do not stand for fixed bytes.
        """
        kinds = _decoder_kinds(json.loads(self.tokenizer.to_str()).get("decoder"))
        if "ByteLevel" in kinds:
            from gencomp.predictors.language.byte_level import bytes_of_token as of_token
        elif "ByteFallback" in kinds:
            of_token = _bytes_of_piece
        else:
            raise ModelFolderError(
                f"the tokenizer decodes by {', '.join(kinds) or 'no rule'}, so its tokens stand for no fixed bytes; "
                "the model compresses, but cannot predict byte by byte"
            )
        special = {id_ for id_, token in self.tokenizer.get_added_tokens_decoder().items() if token.special}
        tokens = (self.tokenizer.id_to_token(id_) for id_ in range(self.vocabulary_size))
        return [b"" if token is None or id_ in special else of_token(token) for id_, token in enumerate(tokens)]


def _decoder_kinds(decoder: Any) -> list[str]:
    if not isinstance(decoder, dict):
        return []
    return [decoder.get("type", "")] + [kind for part in decoder.get("decoders", []) for kind in _decoder_kinds(part)]


def _bytes_of_piece(token: str) -> bytes:
    """Return the bytes of a SentencePiece token: <0xNN> is a byte, U+2581 a space."""
    if re.fullmatch(r"<0x[0-9A-F]{2}>", token):
        return bytes([int(token[3:5], 16)])
    return token.replace("\u2581", " ").encode("utf-8")


@lru_cache(maxsize=2)
def load_code(folder: Path, vocabulary_size: int) -> TokenCode:
    """Return the token code of a model folder. Raises :class:`ModelFolderError` if it has no fast tokenizer."""
    from transformers import AutoTokenizer

    if not any((folder / name).exists() for name in TOKENIZER_FILES):  # transformers would make an empty one
        raise ModelFolderError(
            f"{folder} has no tokenizer (no {', no '.join(TOKENIZER_FILES)}); put tokenizer.json there"
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False, use_fast=True)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelFolderError(f"{folder} has no tokenizer that loads ({error}); put tokenizer.json there") from error
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ModelFolderError(f"{folder} has only a slow tokenizer; put its tokenizer.json there")
    backend.encode_special_tokens = True  # special tokens in the text are plain text
    backend.no_truncation()
    backend.no_padding()
    return TokenCode(backend, vocabulary_size)


def load_own_code(folder: Path, vocabulary_size: int) -> TokenCode:
    """Return the token code of a folder's tokenizer.json; of a folder without one, what :func:`load_code` returns."""
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    try:
        with open_regular(path, MAX_JSON, ModelFolderError, "tokenizer.json of a model folder") as file:
            text = file.read()
    except FileNotFoundError:
        require("lm", "transformers")
        return load_code(folder, vocabulary_size)
    try:
        tokenizer = Tokenizer.from_str(text.decode("utf-8"))
    except Exception as error:  # tokenizers raises plain Exception
        raise ModelFolderError(f"{path} has no tokenizer that loads: {error}") from None
    tokenizer.encode_special_tokens = True  # special tokens in the text are plain text
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return TokenCode(tokenizer, vocabulary_size)
