"""Bits per byte as lm-evaluation-harness's own model has them, and ours: same weights, window and stride."""

import math
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from gencomp.measure.documents import Setting, measure, windows
from gencomp.modalities.documents import Document
from gencomp.predictors.language.transformer import Transformer

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.thorough]  # it takes long to import
WINDOW, STRIDE = 128, 48


@pytest.fixture(scope="module")
def theirs():  # type: ignore[no-untyped-def]
    pytest.importorskip("accelerate")  # which lm-eval's model needs
    with warnings.catch_warnings():  # of other packages, while they are imported
        warnings.simplefilter("ignore")
        models = pytest.importorskip("lm_eval.models.huggingface")

    from gencomp.hf import byte_tokenizer

    folder = Transformer().network.folder
    return models.HFLM(
        pretrained=str(folder),
        tokenizer=byte_tokenizer(),
        max_length=WINDOW + 1,
        batch_size=1,
        device="cpu",
        dtype="float32",
        prefix_token_id=Transformer().network.start,
    )


def test_a_document_that_fits_the_window(theirs, book: bytes) -> None:  # type: ignore[no-untyped-def]
    text = book[3000:3120].replace(b"\r\n", b"\n")
    (nats,) = theirs.loglikelihood_rolling([SimpleNamespace(args=(text.decode(),))], disable_tqdm=True)
    ours = measure("book", ["transformer"], [Document("a", text)], Setting(WINDOW, STRIDE))[0]
    assert ours.bits / len(text) == pytest.approx(-nats / math.log(2) / len(text), abs=1e-4)


def test_the_same_windows_and_stride(theirs, book: bytes) -> None:  # type: ignore[no-untyped-def]
    """Each window begins with the start symbol. lm-eval's rolling mode has it in the first alone: it is given here."""
    text = book[3000:4000].replace(b"\r\n", b"\n")
    start = Transformer().network.start
    requests = [
        (None, [start, *text[begin:first]], list(text[first:last]))
        for begin, first, last in windows(len(text), Setting(WINDOW, STRIDE))
    ]
    nats = sum(value for value, _ in theirs._loglikelihood_tokens(requests, disable_tqdm=True))
    ours = measure("book", ["transformer"], [Document("a", text)], Setting(WINDOW, STRIDE))[0]
    assert (ours.window, ours.stride) == (WINDOW, STRIDE)
    assert ours.bits / len(text) == pytest.approx(-nats / math.log(2) / len(text), abs=1e-4)
    assert np.isfinite(nats)
