"""Language models take the bytes and symbols that all predictors take, and refuse what they refuse."""

from array import array
from pathlib import Path

import numpy as np
import pytest

from gencomp.equivalence.adapt import as_predictor
from gencomp.equivalence.capabilities import encode_block


@pytest.mark.parametrize("kind", ["transformer", "hf"])
def test_bytes_and_symbols(kind: str, byte_model: Path, token_model: Path) -> None:
    predictor = as_predictor(f"{kind}:{byte_model if kind == 'transformer' else token_model}")
    expected = predictor.begin(b"the").code_lengths()
    for same in (bytearray(b"the"), [*b"the"], np.frombuffer(b"the", dtype=np.uint8)):
        assert (predictor.begin(same).code_lengths() == expected).all()
    for other in (None, "the", 5, [1.5], array("I", b"them")):
        with pytest.raises(TypeError):
            predictor.begin(other)
    with pytest.raises(ValueError, match="must lie in"):
        predictor.begin([256])
    state = predictor.begin(b"th")
    for other in (1.5, "e", None, True):
        with pytest.raises(TypeError):
            state.update(other)
    for outside in (-1, 256):
        with pytest.raises(ValueError, match="must lie in"):
            state.update(outside)
    state.update(np.int64(ord("e")))
    assert state.code_lengths() == pytest.approx(expected)
    assert encode_block(predictor, bytearray(b"the text")) == encode_block(predictor, b"the text")
    with pytest.raises(TypeError):
        predictor.encode_block(array("I", b"the text"))  # type: ignore[attr-defined]
