"""What language models in integers take: their passes are counted beforehand, and no more is held than is told."""

import os
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gencomp.archive.memory import compress, decompress
from gencomp.budget import Cost
from gencomp.compiled.aligned import HUGE_PAGE
from gencomp.equivalence.capabilities import block_cost, content_cost, payload_cost
from gencomp.errors import BudgetError
from gencomp.inference.transformer import Runner
from gencomp.inference.transformer_weights import Form, TransformerError, lean_network, new_network
from gencomp.predictors.language import exact_lanes
from gencomp.predictors.language.coding import lanes_for
from gencomp.predictors.language.exact_coding import decode_tokens, encode_tokens
from gencomp.predictors.language.exact_costs import Passes, passes_of, reading_of
from gencomp.predictors.language.exact_lanes import LOAD_BYTES, Lockstep
from gencomp.predictors.language.gguf import Gguf
from gencomp.predictors.language.huggingface import HuggingFace
from gencomp.predictors.language.loading import ModelFolderError
from tests.predictors.language.test_exact import as_gguf, exact, gguf_bytes, texts
from tests.transformers import FORMS, Tensors

SMOLLM = Form(576, 30, 9, 3, 64, 1536, 49152, "silu", True, False, 1e-5, 64, tied=True)


class Counter:
    """Counts what passes read, by watching them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.found = Passes()
        self._rereads = False
        run, begin = Runner.run, Lockstep._begin_with

        def counted(runner: Runner, cache, tokens, lanes, positions, first, logits) -> None:  # type: ignore[no-untyped-def]
            self._count(len(tokens), len(tokens) - first, int((positions + 1).sum()))
            run(runner, cache, tokens, lanes, positions, first, logits)

        def rereading(lockstep: Lockstep, text: np.ndarray) -> None:
            self._rereads = True
            begin(lockstep, text)
            self._rereads = False

        monkeypatch.setattr(Runner, "run", counted)
        monkeypatch.setattr(Lockstep, "_begin_with", rereading)

    def _count(self, rows: int, logits: int, attended: int) -> None:
        old = self.found
        kind = ("few", "few_logits") if rows < 8 else ("many", "many_logits")
        more = {kind[0]: rows, kind[1]: logits, "reread" if self._rereads else "stepped": attended}
        self.found = replace(old, **{name: getattr(old, name) + count for name, count in more.items()})


@pytest.mark.parametrize(
    ("context", "stride", "batch", "shortest", "count"),
    [
        (64, 32, 1, 1, 50),
        (16, 8, 1, 1, 60),
        (16, 5, 3, 10, 89),
        (40, 1, 1, 1, 60),
        (48, 13, 9, 8, 470),
        (20, 11, 35, 2, 1000),
        (34, 1, 2, 4, 80),
        (16, 15, 1, 1, 1),
    ],
)
def test_the_passes_that_are_told_are_those_that_are_made(
    token_model: Path, monkeypatch: pytest.MonkeyPatch, context: int, stride: int, batch: int, shortest: int, count: int
) -> None:
    model = replace(exact(HuggingFace(str(token_model))), context=context, stride=stride, batch=batch)
    (symbols,) = texts(400, count)
    payload = encode_tokens(model, symbols, shortest)
    counter = Counter(monkeypatch)
    assert (decode_tokens(model, payload, count, shortest) == symbols).all()
    assert model.passes(count, shortest) == counter.found
    lanes = lanes_for(count, batch, shortest)
    assert passes_of(lanes, -(-count // lanes), context, stride) == counter.found
    assert model.block_cost(count, shortest).work == counter.found.seconds(model.form)


@pytest.mark.parametrize("length", [5, 15, 16, 40])
def test_reading_a_context_is_told(token_model: Path, monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    model = replace(exact(HuggingFace(str(token_model))), context=16, stride=1)
    lockstep = model.begin(1)
    (symbols,) = texts(400, length)
    counter = Counter(monkeypatch)
    lockstep.feed_text(symbols[None])
    told, found = reading_of(length, 16), counter.found
    assert told.few + told.many - found.few - found.many in (0, 1)  # the start was read before
    assert told.reread >= found.stepped + found.reread


def test_the_work_of_a_real_size_is_what_was_measured() -> None:
    """20,000 bytes of English, one lane of 4,638 tokens: decoded in 112 s of two cores' time, some 100 of one's."""
    work = passes_of(1, 4638, 4096, 2048).seconds(SMOLLM)
    assert 84 < work < 126
    few, many = passes_of(1, 4638, 4096, 2048).weight_products(SMOLLM)
    assert few == 4638 * SMOLLM.weight_count  # of them the last of 2,049 rows that are read anew, alone in its pass
    assert many == 2048 * (SMOLLM.weight_count - 49152 * 576)


def test_blocks_are_charged_by_their_tokens(token_model: Path, wiki: bytes) -> None:
    model = HuggingFace(str(token_model), context=64)
    data = wiki[:3000]
    payload = model.encode_block(data)
    true = exact(model).block_cost(len(model.code.encode(data)), model._shortest)
    assert content_cost(model, data) == payload_cost(model, payload, len(data)) == true
    assert block_cost(model, len(data), len(data)).work > 1.9 * true.work
    for damaged in (b"", b"\xff" * 12, b"\xff\xff\xff\x7f"):  # no number; too large; more than there may be
        assert payload_cost(model, damaged, 100) == Cost()
    allowed = 1.5 * true.work + 0.1
    archive = compress(data, model=model, max_work=allowed)
    assert decompress(archive, model=model, max_work=allowed) == data
    with pytest.raises(BudgetError, match="max_work"):
        decompress(archive, model=model, max_work=0.5 * true.work)


@pytest.mark.parametrize("name", FORMS)
def test_arrays_are_as_large_as_is_told(name: str) -> None:
    form = FORMS[name]
    network, embedding = lean_network(form, Tensors(form), 96)
    held = sum(part.nbytes for part in network)
    held += embedding.rows(np.arange(form.vocabulary)).nbytes
    assert 0.5 * form.network_bytes(96) < held < 1.05 * form.network_bytes(96) + (1 << 15)  # tables of one size


def test_caches_are_as_large_as_is_told(token_model: Path) -> None:
    model = exact(HuggingFace(str(token_model)))
    for lanes, length in ((1, 64), (3, 50), (2, 1000)):
        lockstep = model.begin(lanes, length)
        held = sum(part.nbytes for part in lockstep._cache) + lockstep._history.nbytes + lockstep.logits.nbytes
        assert 0.95 * lanes * model.lane_bytes(length) < held <= lanes * model.lane_bytes(length)


def test_no_cache_grows_where_the_length_is_known(token_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old one and the new one are held side by side then."""
    model = exact(HuggingFace(str(token_model)))
    (symbols,) = texts(400, 200)
    payload = encode_tokens(model, symbols, 1000)
    monkeypatch.setattr(exact_lanes, "LEAST_ROOM", 1)
    monkeypatch.setattr(Lockstep, "_grow", lambda *arguments: pytest.fail("the cache grew"))
    assert (decode_tokens(model, payload, 200, 1000) == symbols).all()


class Drawn:
    """A large vocabulary's tensors, drawn when they are asked for."""

    def __init__(self, form: Form) -> None:
        self._shapes = form.expected()

    def rows(self, name: str, first: int, last: int) -> np.ndarray:
        shape = (last - first, *self._shapes[name][1:])
        return np.sin(np.arange(first, first + np.prod(shape), dtype=np.float32)).reshape(shape) + np.float32(0.01)


@pytest.mark.thorough
def test_a_large_vocabulary_is_held_once() -> None:
    """In int8, as what logits are made by; what it is read by stays in the file."""
    form = Form(512, 1, 2, 1, 32, 64, 20_000, "silu", True, False, 1e-5, 32, tied=True)
    tracemalloc.start()
    try:
        network, embedding = lean_network(form, Drawn(form), 64)
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(network.weights) == form.weight_count > 20_000 * 512
    told = form.network_bytes(64) + 2 * HUGE_PAGE  # the weights begin at one
    assert held < told < form.weight_count + embedding.table().nbytes // 2
    assert peak < told + LOAD_BYTES


@pytest.mark.parametrize("name", FORMS)
def test_rows_by_need_are_those_of_the_whole_embedding(name: str) -> None:
    form = FORMS[name]
    tensors = Tensors(form, spread=2.0)
    whole = new_network(form, tensors, 96)
    network, embedding = lean_network(form, tensors, 96)
    assert len(network.embedding) == 0
    assert (network.embedding_bits == whole.embedding_bits).all()
    tokens = np.array([3, 0, 3, form.vocabulary - 1])
    assert (embedding.rows(tokens) == whole.embedding[tokens]).all()
    assert embedding.made == 3
    tensors.arrays["embedding"][7] *= np.float32(1.5)
    embedding.rows(tokens)  # they are kept
    with pytest.raises(TransformerError, match="embedding is not what it was when it was first read"):
        embedding.rows(np.array([7]))


def test_few_rows_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gencomp.inference.transformer_weights._KEPT_ROWS", 4)
    form = FORMS["llama"]
    _, embedding = lean_network(form, Tensors(form), 96)
    tokens = np.arange(form.vocabulary)
    assert (embedding.rows(tokens) == embedding.table()).all()
    assert len(embedding._kept) <= 4


def test_a_file_that_changes_while_it_is_in_use_is_refused(token_model: Path, tmp_path: Path, wiki: bytes) -> None:
    path = tmp_path / "changing.gguf"
    metadata, tensors = as_gguf(token_model)
    path.write_bytes(gguf_bytes(metadata, tensors))
    model = Gguf(str(path), context=32)
    code = model.encode_block(wiki[:50])
    changed = dict(tensors)
    changed["token_embd.weight"] = (tensors["token_embd.weight"][0] * np.float32(1.25), "F32")
    with path.open("r+b") as file:  # in place, as a copy over it does
        file.write(gguf_bytes(metadata, changed))
    assert model.decode_block(code, 50) == wiki[:50]  # by rows that were read
    with pytest.raises(TransformerError, match="leave a model's file as it is"):
        model.encode_block(wiki[:2000])
    os.truncate(path, 5000)
    with pytest.raises(ModelFolderError, match="has become shorter while it is in use"):
        model.encode_block(wiki[2000:4000])
