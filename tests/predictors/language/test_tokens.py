"""Bytes to symbols and back, under tokenizers of several kinds; and from tokens to bytes again."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from gencomp.errors import CorruptDataError
from gencomp.predictors.language import bridge
from gencomp.predictors.language.bridge import ByteState, TokenTable
from gencomp.predictors.language.huggingface import HuggingFace
from gencomp.predictors.language.loading import ModelFolderError
from gencomp.predictors.language.tokens import TokenCode


def lower_casing() -> TokenCode:
    """Words only, lower case, unknown ones lost: the worst that a tokenizer can do."""
    vocabulary = {"[UNK]": 0, "the": 1, "cat": 2, "sat": 3, "é": 4}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return TokenCode(tokenizer, 5)


def sentence_pieces() -> TokenCode:
    pieces = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "\u2581", "a", "b", "ab", "\u2581a"]
    tokenizer = Tokenizer(
        models.BPE(
            vocab={piece: id_ for id_, piece in enumerate(pieces)},
            merges=[("a", "b"), ("\u2581", "a")],
            byte_fallback=True,
            unk_token="<unk>",
        )
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return TokenCode(tokenizer, len(pieces))


@pytest.fixture(scope="session", params=["byte-level", "lower-casing", "sentence pieces"])
def code(request: pytest.FixtureRequest, token_model: Path) -> TokenCode:
    if request.param == "byte-level":
        return HuggingFace(str(token_model)).code
    return lower_casing() if request.param == "lower-casing" else sentence_pieces()


text = st.text(alphabet=st.sampled_from("the cat saTé\u0301\u2581\x00\n日<|start|>ab"), max_size=60).map(str.encode)


@given(data=st.binary(max_size=60) | text | st.tuples(text, st.binary(max_size=9), text).map(b"".join))
def test_any_bytes_come_back(code: TokenCode, data: bytes) -> None:
    symbols = code.encode(data)
    assert code.decode(symbols) == data
    assert len(symbols) <= 2 * len(data) + 1


def test_special_tokens_in_the_text_are_plain_text(token_model: Path) -> None:
    code = HuggingFace(str(token_model)).code
    assert code.tokenizer.token_to_id("<|start|>") == 0
    symbols = code.encode(b"a<|start|>b")
    assert 0 not in symbols
    assert code.decode(symbols) == b"a<|start|>b"


def test_what_the_tokenizer_reads_is_not_escaped(token_model: Path, wiki: bytes) -> None:
    code = HuggingFace(str(token_model)).code
    symbols = code.encode(wiki)
    assert symbols.max() < code.vocabulary_size
    assert len(symbols) < 0.8 * len(wiki)


def test_symbols_outside_the_alphabet_are_refused(code: TokenCode) -> None:
    with pytest.raises(CorruptDataError):
        code.decode(np.array([code.alphabet_size]))


def test_tokens_stand_for_bytes(token_model: Path) -> None:
    byte_level = HuggingFace(str(token_model)).code.token_bytes
    assert byte_level[0] == b""  # the start token
    assert {bytes([byte]) for byte in range(256)} <= set(byte_level)
    pieces = sentence_pieces().token_bytes
    assert (pieces[1], pieces[256], pieces[-1], pieces[-2]) == (b"\x00", b"\xff", b" a", b"ab")
    with pytest.raises(ModelFolderError, match="cannot predict byte by byte"):
        _ = lower_casing().token_bytes


class _Constant:
    """A model that gives each token the same probability after any text, so that sums over texts can be enumerated."""

    def __init__(self, probabilities: np.ndarray) -> None:
        self._probabilities = probabilities[None]

    def probabilities(self) -> np.ndarray:
        return self._probabilities

    def feed(self, symbols: np.ndarray) -> None: ...

    def copy(self) -> "_Constant":
        return self


def test_bytes_sum_over_all_tokenisations(token_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """p(text as a prefix) from the bridge equals the sum over token sequences that cover it, enumerated."""
    monkeypatch.setattr(bridge, "BEAM", 1000)
    monkeypatch.setattr(bridge, "_LEAST_SHARE", 0.0)
    monkeypatch.setattr(bridge, "_UNIFORM_SHARE", 1e-15)
    tokens = [b"a", b"b", b"ab", b"aba", b"bb"]
    probabilities = np.array([0.3, 0.25, 0.2, 0.15, 0.1])

    class Code:
        token_bytes = tokens

    table = TokenTable(Code())  # type: ignore[arg-type]
    causal = HuggingFace(str(token_model)).network

    def mass(prefix: bytes) -> float:
        """Sum of p over minimal token sequences whose text begins with ``prefix``."""
        if not prefix:
            return 1.0
        total = 0.0
        for token, probability in zip(tokens, probabilities, strict=True):
            if token.startswith(prefix):
                total += probability
            elif prefix.startswith(token):
                total += probability * mass(prefix[len(token) :])
        return total

    for letters in itertools.product(b"ab", repeat=5):
        start = bridge.Hypothesis(1.0, _Constant(probabilities), None, b"", table)  # type: ignore[arg-type]
        state = ByteState(causal, table, [start])
        bits = 0.0
        for symbol in letters:
            bits += state.code_lengths()[symbol]
            state.update(symbol)
        assert 2.0**-bits == pytest.approx(mass(bytes(letters)), rel=1e-9)


def test_a_byte_that_no_token_begins_with_remains_possible(token_model: Path) -> None:
    class Code:
        token_bytes = (b"a", b"ab")

    table = TokenTable(Code())  # type: ignore[arg-type]
    start = bridge.Hypothesis(1.0, _Constant(np.array([0.5, 0.5])), None, b"", table)  # type: ignore[arg-type]
    state = ByteState(HuggingFace(str(token_model)).network, table, [start])
    for symbol in b"xa\xffab":
        assert np.isfinite(state.code_lengths()).all()
        state.update(symbol)


def test_bytes_cost_about_what_their_tokens_cost(token_model: Path, wiki: bytes) -> None:
    model = HuggingFace(str(token_model), context=48)
    state, bits = model.begin(wiki[:40]), 0.0
    for symbol in wiki[40:100]:
        bits += state.code_lengths()[symbol]
        state.update(symbol)
    tokens = 8 * (len(model.encode_block(wiki[:100])) - len(model.encode_block(wiki[:40])))
    assert bits == pytest.approx(tokens, rel=0.15)
