"""Audits of language models, of bytes and of tokens, and documents in tokens."""

from pathlib import Path

import pytest

from gencomp.equivalence.adapt import as_predictor
from gencomp.measure.audit import audit
from gencomp.measure.documents import Setting, measure
from gencomp.modalities.documents import Document


@pytest.mark.parametrize(
    "spec", [pytest.param("transformer:{bytes}?context=64", marks=pytest.mark.thorough), "hf:{tokens}?context=64"]
)
def test_language_models_are_accepted(spec: str, byte_model: Path, token_model: Path, wiki: bytes) -> None:
    verdict = audit(as_predictor(spec.format(bytes=byte_model, tokens=token_model)), wiki[1000:1040])
    assert [found for found in verdict.findings if found.passed is False] == []
    assert verdict.accepted


def test_documents_are_counted_in_tokens(token_model: Path, wiki: bytes) -> None:
    documents = [Document("a", wiki[:300]), Document("b", wiki[1000:1500])]
    rows = measure("wiki", [f"hf:{token_model}"], documents, Setting(48, 16))
    model = as_predictor(f"hf:{token_model}?context=48&stride=16")
    assert [(row.window, row.stride, row.unit) for row in rows] == [(48, 16, "tokens")] * 3
    assert [row.tokens for row in rows[:2]] == model.token_counts([document.data for document in documents])  # type: ignore[attr-defined]
    expected = model.chunk_code_lengths([document.data for document in documents])  # type: ignore[attr-defined]
    assert [row.bits for row in rows[:2]] == pytest.approx(expected.tolist())
    assert rows[2].per(rows[2].tokens) == pytest.approx(expected.sum() / sum(row.tokens or 0 for row in rows[:2]))
