"""The contract of language models as predictors, and archives made with them."""

import io
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gencomp.archive.memory import compress, decompress
from gencomp.archive.models import check_canary, describe
from gencomp.archive.reader import list_members
from gencomp.cli.main import run
from gencomp.coding.container import BlockType
from gencomp.equivalence.adapt import as_predictor
from gencomp.equivalence.capabilities import chunk_code_lengths, decode_block, encode_block, revision_of
from gencomp.errors import ArchiveError, CorruptDataError, ModelMismatchError
from gencomp.predictors.language.causal import CausalModel
from gencomp.predictors.language.huggingface import HuggingFace
from gencomp.predictors.language.loading import ModelFolderError
from gencomp.predictors.language.transformer import Transformer
from tests.archive.test_archive import forged
from tests.heavy import safetensors
from tests.predictors.language.conftest import tensors_of
from tests.strategies import fewer

INPUTS = {
    "empty": b"",
    "one byte": b"\xff",
    "all bytes": bytes(range(256)),
    "noise": np.random.default_rng(0).bytes(100),
    "special tokens": b"<|start|>text<|start|><|endoftext|></s>",
    "invalid UTF-8": b"ab\xed\xa0\x80cd\xff\xfe\x00ef\xc3",
    "other scripts": "日本語 и русский, e\u0301 and é, \u2581 ﬁ".encode(),
    "spaces": b"  leading,  double \t\r\n trailing  ",
}


@pytest.fixture(scope="session", params=["transformer", "float", "exact"])
def spec(request: pytest.FixtureRequest, byte_model: Path, token_model: Path) -> str:
    if request.param == "transformer":
        return f"transformer:{byte_model}?context=32&batch=4"
    return f"hf:{token_model}?context=32&batch=4&lane=64&arithmetic={request.param}"


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.every(3)
def test_round_trip(spec: str, name: str) -> None:
    model, data = as_predictor(spec), INPUTS[name]
    assert decode_block(model, encode_block(model, data), len(data)) == data


@pytest.mark.every(2)
def test_text_is_compressed_in_an_archive(spec: str, wiki: bytes) -> None:
    archive = compress(wiki[2000:2700], model=spec)
    assert len(archive) < 700
    with pytest.raises(ModelMismatchError, match="made with the model folder of the digest .*, and it opens nothing"):
        decompress(archive)
    assert decompress(archive, model=spec) == wiki[2000:2700]
    block = list_members(io.BytesIO(archive))[0].blocks[0]
    assert block.type is BlockType.MODEL
    assert block.verified == (revision_of(as_predictor(spec)) is None)  # integers need no proof


@given(context=st.binary(max_size=30))
@fewer(8)
@pytest.mark.every(2)
def test_code_lengths_are_a_distribution(spec: str, context: bytes) -> None:
    code_lengths = as_predictor(spec).begin(context).code_lengths()
    assert code_lengths.shape == (256,)
    assert np.exp2(-code_lengths).sum() == pytest.approx(1.0, abs=1e-9)
    assert (code_lengths >= 0).all()


@given(context=st.binary(max_size=20), first=st.integers(0, 255), second=st.integers(0, 255))
@fewer(5)
def test_copies_are_independent(spec: str, context: bytes, first: int, second: int) -> None:
    state = as_predictor(spec).begin(context)
    before = state.code_lengths()
    fork = state.copy()
    fork.update(first)
    np.testing.assert_array_equal(state.code_lengths(), before)
    again = state.copy()
    again.update(first)
    np.testing.assert_array_equal(again.code_lengths(), fork.code_lengths())
    state.update(second)
    np.testing.assert_array_equal(again.code_lengths(), fork.code_lengths())


@pytest.mark.parametrize(
    "damage",
    [
        lambda payload: payload[:-1],
        pytest.param(lambda payload: payload + b"\0", marks=pytest.mark.thorough),
        pytest.param(lambda payload: b"", marks=pytest.mark.thorough),
    ],
)
def test_a_damaged_payload_is_refused(spec: str, wiki: bytes, damage) -> None:
    model = as_predictor(spec)
    payload = encode_block(model, wiki[:60])
    with pytest.raises(CorruptDataError):
        decode_block(model, damage(payload), 60)


@pytest.mark.every(3)
def test_chunks_cost_what_their_code_takes(spec: str, wiki: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gencomp.predictors.language.coding.MIN_LANE_SYMBOLS", 4096)  # one lane: one beginning
    model = as_predictor(spec)
    chunks = [wiki[2000:2200], b"", b"ab\xff\xfe\x00\x01cdefghijkl", wiki[2200:2230]]
    for chunk, bits in zip(chunks, chunk_code_lengths(model, chunks), strict=True):
        assert 8 * len(encode_block(model, chunk)) == pytest.approx(bits, rel=0.01, abs=60)


@pytest.mark.thorough
def test_the_number_of_blocks_at_a_time_changes_nothing(token_model: Path, wiki: bytes) -> None:
    spec = f"hf:{token_model}?context=32&arithmetic=float"
    one, two = (compress(wiki[2000:3100], model=spec, block_size=1024, threads=threads) for threads in (1, 2))
    assert one == two
    assert decompress(one, model=spec, threads=2) == decompress(one, model=spec, threads=1) == wiki[2000:3100]


def test_an_archive_knows_its_weights(byte_model: Path, wiki: bytes, tmp_path: Path) -> None:
    moved = shutil.copytree(byte_model, tmp_path / "moved")
    archive = compress(wiki[:200], model=f"transformer:{moved}?context=32")
    elsewhere = f"transformer:{byte_model}?context=32"
    assert decompress(archive, model=elsewhere) == wiki[:200]
    with pytest.raises(ModelMismatchError, match="was made with"):
        decompress(archive, model=f"transformer:{byte_model}?context=31")
    shutil.rmtree(moved)
    with pytest.raises(ModelFolderError, match="there is no folder"):
        decompress(archive, model=f"transformer:{moved}?context=32")
    changed = shutil.copytree(byte_model, tmp_path / "moved")
    tensors = tensors_of(changed / "model.safetensors")
    tensors["model.norm.weight"] *= 1.25
    safetensors.save_file(tensors, changed / "model.safetensors", {"format": "pt"})
    from gencomp.predictors.language import loading

    loading.digest.cache_clear()
    loading.load_model.cache_clear()
    spec = f"transformer:{changed}?context=32"
    with pytest.raises(
        ModelMismatchError, match=r"was made with weights \w+, found weights \w+ here; name the file or"
    ):
        decompress(archive, model=spec)
    with pytest.raises(ModelMismatchError, match="block 0 is undamaged but decodes to other bytes"):
        decompress(archive, model=spec, try_anyway=True)


@pytest.mark.parametrize(
    "form",
    [
        "ensemble:[transformer:{}+context=32],counts:1",
        "mix:1?expert=transformer:{}+context=32",
    ],
)
@pytest.mark.thorough
def test_a_folder_inside_another_model_is_named_wherever_it_is(
    form: str, byte_model: Path, wiki: bytes, tmp_path: Path
) -> None:
    model = as_predictor(form.format(shutil.copytree(byte_model, tmp_path / "moved")))
    payload, data = encode_block(model, wiki[:60]), wiki[:60]
    archive = forged({"model": describe(model)}, [(BlockType.MODEL, payload, data)])
    shutil.rmtree(tmp_path / "moved")
    assert decompress(archive, model=form.format(byte_model)) == data
    with pytest.raises(ModelMismatchError, match="it opens nothing on disk by itself"):
        decompress(archive)
    with pytest.raises(ModelMismatchError, match="was made with model="):  # the one in the package is another model
        decompress(archive, model=form.replace("{}", "800k"))


def test_other_arithmetic_is_noticed_before_a_block_is_decoded(
    byte_model: Path, wiki: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = f"transformer:{byte_model}?context=32"
    archive = compress(wiki[:400], model=spec)
    from gencomp.predictors.language.lockstep import Lockstep

    exact = Lockstep.probabilities
    monkeypatch.setattr(Lockstep, "probabilities", lambda self: np.nextafter(exact(self), np.float32(1)))
    with pytest.raises(ModelMismatchError, match="computes differently here: made with what is found here, as far as"):
        decompress(archive, model=spec)
    assert (
        decompress(archive, model=spec, try_anyway=True) == wiki[:400]
    )  # the last bits change no integer weight of these
    monkeypatch.setattr(Lockstep, "probabilities", lambda self: exact(self)[:, ::-1])
    with pytest.raises(ModelMismatchError, match="block 0 is undamaged but decodes to other bytes"):
        decompress(archive, model=spec, try_anyway=True)


def test_a_model_that_computes_no_number_costs_no_data(
    byte_model: Path, wiki: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gencomp.predictors.language.lockstep import Lockstep

    monkeypatch.setattr(Lockstep, "probabilities", lambda self: np.full((len(self._history), 256), np.nan, np.float32))
    archive = compress(wiki[:300], model=f"transformer:{byte_model}?context=32")
    assert decompress(archive) == wiki[:300]
    assert list_members(io.BytesIO(archive))[0].blocks[0].type is BlockType.DEFLATE


def test_a_model_that_decodes_otherwise_costs_no_data(
    byte_model: Path, wiki: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Transformer, "decode_block", lambda self, payload, size: bytes(size))
    archive = compress(wiki[:300], model=f"transformer:{byte_model}?context=32")
    monkeypatch.undo()
    assert decompress(archive) == wiki[:300]
    assert list_members(io.BytesIO(archive))[0].blocks[0].type is BlockType.DEFLATE


def test_a_count_of_tokens_that_cannot_be_is_refused(token_model: Path) -> None:
    with pytest.raises(CorruptDataError, match="3 bytes claim to be 2097151 tokens"):
        HuggingFace(str(token_model)).decode_block(b"\xff\xff\x7f" + bytes(9), 3)
    with pytest.raises(CorruptDataError):
        HuggingFace(str(token_model)).decode_block(HuggingFace(str(token_model)).encode_block(b"abc"), 4)


def test_a_truncated_archive_is_refused(byte_model: Path, wiki: bytes) -> None:
    archive = compress(wiki[:200], model=f"transformer:{byte_model}?context=32")
    with pytest.raises(ArchiveError):
        decompress(archive[:-20], model=f"transformer:{byte_model}?context=32")


def test_other_arithmetic_of_the_probe_alone_is_tried(
    byte_model: Path, wiki: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The content's checks are the judge: what the blocks need may be the same, though the probe is not."""
    spec = f"transformer:{byte_model}?context=32"
    archive = tmp_path / "a.gcz"
    archive.write_bytes(compress(wiki[:200], model=spec))
    monkeypatch.setattr(CausalModel, "fingerprint", lambda self, lanes=None: b"another")
    with pytest.raises(
        ModelMismatchError, match="let try_anyway=True decode, with the check of every block as the judge"
    ):
        decompress(archive.read_bytes(), model=spec)
    assert decompress(archive.read_bytes(), model=spec, try_anyway=True) == wiki[:200]
    for command in (["test"], ["decompress", "-c"]):
        assert run([*command, "-m", spec, str(archive)]) == 4
        assert run([*command, "-m", spec, "--try-anyway", str(archive)]) == 0


@pytest.mark.parametrize(
    ("size", "lanes"),
    [(120, [1]), (180, [2]), (400, [4])],
)
@pytest.mark.thorough
def test_only_lanes_that_are_used_are_probed(
    byte_model: Path, wiki: bytes, monkeypatch: pytest.MonkeyPatch, size: int, lanes: list[int]
) -> None:
    probed: list[list[int]] = []
    whole = CausalModel.fingerprint

    def noted(self: CausalModel, lanes: Sequence[int] | None = None) -> bytes:
        probed.append([] if lanes is None else [*lanes])
        return whole(self, lanes)

    monkeypatch.setattr(CausalModel, "fingerprint", noted)
    spec = f"transformer:{byte_model}?context=32&batch=4"
    archive = compress(wiki[2000 : 2000 + size], model=spec)
    model = list_members(io.BytesIO(archive))[0].header.metadata["model"]
    assert model["lanes"] == lanes
    assert decompress(archive, model=spec) == wiki[2000 : 2000 + size]
    assert probed == [lanes, lanes]
    damaged = describe(as_predictor(spec), lanes) | {"lanes": [5]}
    with pytest.raises(ModelMismatchError, match=r"the blocks claim \[5\] lanes, expected 1 to batch=4"):
        check_canary(damaged, as_predictor(spec))


def test_an_empty_file_needs_no_weights(byte_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("loaded")

    monkeypatch.setattr("gencomp.predictors.language.causal.load_model", refuse)
    archive = compress(b"", model=f"transformer:{byte_model}")
    assert decompress(archive) == b""
    with pytest.raises(AssertionError, match="loaded"):  # and weights that are not there are no block's matter
        compress(b"text", model=f"transformer:{byte_model}")


@pytest.mark.thorough
def test_archives_from_before_lanes_had_an_option_decode(
    token_model: Path, wiki: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then lanes had 4,096 tokens, the canary probed one lane and the most, and the header said neither."""
    text = wiki[:150]
    model = as_predictor(f"hf:{token_model}?context=32&lane=4096&arithmetic=float")
    old = describe(model)
    old["spec"] = old["spec"].replace("&lane=4096", "").replace("&arithmetic=float", "")
    assert "lane" not in str(old)
    assert "arithmetic" not in str(old)
    monkeypatch.setattr("gencomp.archive.writer._described", lambda *_: old)
    archive = compress(text, model=model)
    monkeypatch.undo()
    assert list_members(io.BytesIO(archive))[0].header.metadata["model"]["spec"] == old["spec"]
    assert decompress(archive, model=f"hf:{token_model}?context=32") == text
    with pytest.raises(ModelMismatchError, match="was made with model=.*lane=4096.*not .*lane=100"):
        decompress(archive, model=f"hf:{token_model}?context=32&lane=100")
    other = compress(text, model=f"hf:{token_model}?context=32&lane=100")
    assert decompress(other, model=f"hf:{token_model}?context=32") == text


@pytest.mark.thorough
def test_lanes_have_as_many_tokens_as_they_are_told(token_model: Path, wiki: bytes) -> None:
    text = wiki[2000:3000]
    payloads = {
        lane: HuggingFace(str(token_model), lane=lane, arithmetic="float").encode_block(text)
        for lane in (64, 160, 1 << 20)
    }
    assert len(payloads[64]) > len(payloads[160]) > len(payloads[1 << 20])
    for lane, payload in payloads.items():
        model = HuggingFace(str(token_model), lane=lane, arithmetic="float")
        assert model.lanes_of(payload, len(text)) == max(1, len(model.code.encode(text)) // lane)
    default = HuggingFace(str(token_model), arithmetic="float")
    assert default.lane == 1024
    assert default.lanes_of(default.encode_block(text), len(text)) == max(1, len(default.code.encode(text)) // 1024)
    with pytest.raises(ValueError, match="lane must be from 1 to"):
        HuggingFace(str(token_model), lane=0)
