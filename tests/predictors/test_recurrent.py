"""The laws of ``Recurrent``: round trips, states, and archives that tell what is missing."""

import hashlib
import io
import json
import random
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from safetensors.numpy import save

import gencomp
from gencomp.archive.models import describe
from gencomp.archive.reader import list_members
from gencomp.coding.range_coder import RangeEncoder
from gencomp.equivalence.adapt import as_predictor
from gencomp.errors import CorruptDataError, ModelMismatchError
from gencomp.inference.recurrent import Shape
from gencomp.inference.weights import WeightsError, quantise, read_tensors, save_weights
from gencomp.predictors.recurrent import Recurrent
from gencomp.predictors.recurrent import predictor as predictor_module
from gencomp.progress import listening
from gencomp.registry import load, spec_of
from tests.networks import SMALL_SHAPE, random_parameters, small_network
from tests.strategies import data

TEXT = b"It was the best of times, it was the worst of times; it was the age of wisdom. "


@pytest.fixture
def rnn() -> Recurrent:
    return Recurrent(str(small_network()))


def network_at(path: Path, seed: int, shape: Shape = SMALL_SHAPE) -> Recurrent:
    save_weights(path, shape, quantise(random_parameters(shape, seed, spread=2.0), shape), overwrite=True)
    return Recurrent(str(path))


@given(data=data)
def test_any_bytes_round_trip(data: bytes) -> None:
    rnn = Recurrent(str(small_network()))
    assert rnn.decode_block(rnn.encode_block(data), len(data)) == data


@pytest.mark.parametrize("seed", range(4))
def test_any_network_round_trips(tmp_path: Path, seed: int) -> None:
    """Predictions that are sure of the wrong byte cost up to 16 bytes each, more than the first buffer has."""
    rnn = network_at(tmp_path / "wild.safetensors", seed)
    content = bytes(2000) + b"\xff" * 2000 + random.Random(seed).randbytes(3000)
    payload = rnn.encode_block(content)
    assert len(payload) > len(content)
    assert rnn.decode_block(payload, len(content)) == content


def test_blocks_are_coded_in_pieces(rnn: Recurrent, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = rnn.encode_block(TEXT * 3)
    monkeypatch.setattr(predictor_module, "PIECE", 50)
    done: list[float] = []
    with listening(done.append):
        assert rnn.encode_block(TEXT * 3) == whole
        assert rnn.decode_block(whole, 3 * len(TEXT)) == TEXT * 3
    assert len(done) == 2 * 5
    assert sum(done) == pytest.approx(2.0)


def test_the_block_is_the_state_s_decisions(rnn: Recurrent) -> None:
    """Eight binary decisions with the probabilities that the network gives: what the state says, to 2^-16 a bit."""
    (lengths,) = rnn.sequence_code_lengths([TEXT])
    assert lengths.dtype == np.float64
    assert lengths.tolist() == rnn.begin().charge(TEXT).tolist()
    state, by_state = rnn.begin(), []
    for byte in TEXT:
        by_state.append(state.code_lengths()[byte])
        state.update(byte)
    assert lengths == pytest.approx(by_state, abs=0.05)
    assert lengths.sum() <= 8 * len(rnn.encode_block(TEXT)) <= lengths.sum() + 2 + 8
    assert lengths.sum() < 6 * len(TEXT)


def test_copies_and_threads_do_not_meet(rnn: Recurrent) -> None:
    expected = rnn.encode_block(TEXT)
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(rnn.encode_block(TEXT))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4


def test_symbols_are_bytes(rnn: Recurrent) -> None:
    for symbol in (-1, 256):
        with pytest.raises(ValueError, match="must lie in"):
            rnn.begin().update(symbol)


def test_a_state_is_saved_and_goes_on(rnn: Recurrent, tmp_path: Path) -> None:
    state = rnn.begin(TEXT[:33])
    state.save(tmp_path / "state")
    for restored in (rnn.load_state(tmp_path / "state"), Recurrent(rnn.weights, str(tmp_path / "state")).begin()):
        assert (restored.cdf() == state.cdf()).all()
        for symbol in TEXT[33:60]:
            restored.update(symbol)
        assert (restored.cdf() == rnn.begin(TEXT[:60]).cdf()).all()


def test_a_state_is_what_blocks_start_from(rnn: Recurrent, tmp_path: Path) -> None:
    rnn.begin(TEXT * 20).save(tmp_path / "state")
    primed = Recurrent(rnn.weights, str(tmp_path / "state"))
    assert primed.decode_block(primed.encode_block(TEXT), len(TEXT)) == TEXT
    assert (primed.begin(b"It").cdf() == rnn.begin(TEXT * 20 + b"It").cdf()).all()
    assert describe(primed)["environment"].keys() == {"weights", "state"}


def changed_state(path: Path, **changes: np.ndarray | str) -> bytes:
    """Return a saved state's file with other tensors, its checksum right."""
    tensors, metadata = read_tensors(path.read_bytes()[32:])
    about = changes.pop("about", metadata["gencomp state"])
    body = save(tensors | changes, {"gencomp state": about})
    return hashlib.sha256(body).digest() + body


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"hidden": np.full(64, 1 << 30, np.int32)}, "hidden has numbers beyond"),
        ({"before": np.full(128, -32768, np.int16)}, "before has numbers beyond 32767"),
        ({"normed": np.zeros(31, np.int16)}, r"normed is int16\[31\], expected int16\[32\]"),
        ({"context": np.array([0, 1 << 32, 0, 0], np.uint64)}, "its context is out of bounds"),
        ({"context": np.array([0, 0, 0, 2], np.uint64)}, "its context is out of bounds"),
        ({"context": np.array([0, 0, 0, 0], np.int32)}, "context is int32"),
        ({"more": np.zeros(1, np.int32)}, "it has the tensors"),
        ({"about": "[]"}, "its format is not 1"),
        ({"about": "{"}, "not a saved rnn state"),
        ({"x\n" * 9999: np.zeros(1, np.int32)}, "it has the tensors"),
    ],
)
def test_forged_states_are_refused(
    rnn: Recurrent, tmp_path: Path, changes: dict[str, np.ndarray | str], complaint: str
) -> None:
    path = tmp_path / "state"
    rnn.begin(TEXT).save(path)
    path.write_bytes(changed_state(path, **changes))
    with pytest.raises(CorruptDataError, match=complaint) as caught:
        rnn.load_state(path)
    assert str(caught.value).isprintable()
    assert len(str(caught.value).removeprefix(str(path))) < 700


def test_what_a_state_says_of_itself_is_one_short_line(rnn: Recurrent, tmp_path: Path) -> None:
    path = tmp_path / "state"
    rnn.begin(TEXT).save(path)
    path.write_bytes(changed_state(path, about=json.dumps({"format": 1, "revision": 1, "weights": "x\n" * 9999})))
    with pytest.raises(ModelMismatchError, match="prime the model again") as caught:
        rnn.load_state(path)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 700


def test_damaged_and_other_states_are_refused(rnn: Recurrent, tmp_path: Path) -> None:
    path = tmp_path / "state"
    rnn.begin(TEXT).save(path)
    blob = path.read_bytes()
    other = network_at(tmp_path / "other.safetensors", 1)
    with pytest.raises(
        ModelMismatchError, match=f"the weights {rnn.loaded.digest}; here are revision 1 and {other.loaded.digest}"
    ):
        other.load_state(path)
    with pytest.raises(ModelMismatchError, match="prime the model again"):
        gencomp.compress(TEXT, f"{spec_of(other)}?state={path}")
    for damaged in (blob[:-1], blob[:40], b"", blob[:100] + b"x" + blob[101:], bytes(1 << 20)):
        path.write_bytes(damaged)
        with pytest.raises(CorruptDataError, match="not a saved rnn state"):
            rnn.load_state(path)
        with pytest.raises(CorruptDataError, match="not a saved rnn state"):
            gencomp.compress(TEXT, f"{spec_of(rnn)}?state={path}")
    path.write_bytes(bytes(2 << 20))
    with pytest.raises(CorruptDataError, match="has 2,097,152 bytes, a saved rnn state has at most 1,048,576"):
        rnn.load_state(path)
    with pytest.raises(CorruptDataError, match="/dev/zero is a device, expected a saved rnn state: a regular file"):
        rnn.load_state("/dev/zero")


def test_specs(rnn: Recurrent) -> None:
    assert load(spec_of(rnn)) == rnn
    assert spec_of(rnn, full=True) == f"rnn:{small_network()}"
    assert rnn.parameter_count > SMALL_SHAPE.rows * SMALL_SHAPE.embedding
    with pytest.raises(WeightsError, match="nowhere.safetensors cannot be read: No such file"):
        load("rnn:nowhere.safetensors")


def test_an_install_without_weights_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictor_module, "_SHIPPED", tmp_path)
    with pytest.raises(WeightsError, match=r"has 0 files with weights for rnn, expected one: reinstall gencomp"):
        load("rnn")


@pytest.mark.parametrize("model", ["rnn", "best"])
def test_an_install_with_damaged_or_other_weights_makes_no_archive(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it would write, nobody else could read."""
    (shipped,) = predictor_module._SHIPPED.glob("*.safetensors")
    changed = bytearray(shipped.read_bytes())
    changed[-1] ^= 1
    monkeypatch.setattr(predictor_module, "_SHIPPED", tmp_path)
    digest = predictor_module.SHIPPED_DIGEST
    for blob, why in (
        (bytes(changed), rf"has the digest \w+, expected {digest}: it is not what was shipped"),
        (bytes(changed[:-1]), "is not a file of a recurrent network's weights"),
        (b"", "is not a file of a recurrent network's weights"),
    ):
        (tmp_path / "rnn.safetensors").write_bytes(blob)
        with pytest.raises(WeightsError, match=f"{why}.*: reinstall gencomp, or name a file: rnn:FILE.safetensors"):
            load(model)


def test_a_larger_network_is_told_to_take_longer(tmp_path: Path) -> None:
    shape = Shape(width=224, hidden=512, feed_forward=512, layers=6, tables=(("order1", 256),))
    path = tmp_path / "large.safetensors"
    save_weights(path, shape, quantise(random_parameters(shape), shape))
    for model in ("rnn", "best"):
        usual, larger = (load(f"{model}?weights={path}" if given else model) for given in (False, True))
        assert larger.block_cost(1000, 0).work > 2 * usual.block_cost(1000, 0).work
        assert larger.state_cost(1000).begin > 2 * usual.state_cost(1000).begin


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    first = network_at(path, 1).loaded.digest
    assert Recurrent(str(path)).loaded.digest == first
    assert network_at(path, 2).loaded.digest != first


class TestArchives:
    """The weights' digest decides, wherever the file lies; an archive opens none by itself."""

    def test_round_trip(self, rnn: Recurrent) -> None:
        content = TEXT * 40
        archive = gencomp.compress(content, spec_of(rnn), block_size=1024)
        (member,) = list_members(io.BytesIO(archive))
        assert len(member.blocks) == 4
        assert gencomp.decompress(archive, model=spec_of(rnn)) == content

    @pytest.fixture
    def archive(self, rnn: Recurrent) -> bytes:
        """One block that the network codes shorter than deflate does."""
        archive = gencomp.compress(b"Those who were there heard it, and sat to see.", spec_of(rnn))
        (member,) = list_members(io.BytesIO(archive))
        assert member.header.metadata["model"] == {
            "spec": f"rnn:digest-{rnn.loaded.digest}",
            "numeric": "integer",
            "revision": 1,
            "environment": {"weights": rnn.loaded.digest},
        }
        return archive

    def test_an_archive_opens_no_file(self, archive: bytes) -> None:
        with pytest.raises(
            ModelMismatchError,
            match="made with the file of the digest .*, and it opens nothing on disk by itself; name it, .*=.rnn:FILE.",
        ):
            gencomp.decompress(archive)

    def test_a_file_that_has_moved(self, archive: bytes, tmp_path: Path) -> None:
        moved = tmp_path / "moved.safetensors"
        moved.write_bytes(small_network().read_bytes())
        assert gencomp.decompress(archive, model=f"rnn:{moved}").startswith(b"Those who")

    def test_other_weights(self, archive: bytes, tmp_path: Path) -> None:
        other = network_at(tmp_path / "other.safetensors", 3)
        with pytest.raises(ModelMismatchError, match=f"made with weights .* found weights {other.loaded.digest}"):
            gencomp.decompress(archive, model=spec_of(other))

    def test_another_revision(self, archive: bytes, rnn: Recurrent, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Recurrent, "REVISION", 2)
        with pytest.raises(ModelMismatchError, match="made with revision 1 of .* this gencomp has revision 2"):
            gencomp.decompress(archive, model=spec_of(rnn))

    def test_another_model(self, archive: bytes) -> None:
        with pytest.raises(ModelMismatchError, match="made with model='rnn:"):
            gencomp.decompress(archive, model="counts")

    def test_missing_weights(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(predictor_module, "_SHIPPED", small_network().parent)
        monkeypatch.setattr(predictor_module, "SHIPPED_DIGEST", Recurrent(str(small_network())).loaded.digest)
        archive = gencomp.compress(b"Those who were there heard it, and sat to see.", "rnn")
        assert gencomp.decompress(archive).startswith(b"Those who")
        monkeypatch.setattr(predictor_module, "_SHIPPED", tmp_path)
        with pytest.raises(ModelMismatchError, match="the model 'rnn', which is not here: .* has 0 files with weights"):
            gencomp.decompress(archive)
        assert gencomp.decompress(archive, model=f"rnn:{small_network()}").startswith(b"Those who")


@pytest.mark.parametrize("spec", ["ensemble:rnn:{},counts:2", "mix:1?expert=rnn:{}"])
def test_models_made_of_it_depend_on_its_weights(spec: str) -> None:
    description = describe(as_predictor(spec.format(small_network())))
    assert description["numeric"] == "integer"
    assert Recurrent(str(small_network())).loaded.digest in json.dumps(description["environment"])


def test_a_stream_that_no_encoder_wrote(rnn: Recurrent) -> None:
    payload = rnn.encode_block(TEXT)
    for damaged in (payload[:-1], payload + b"\0", b"", payload[: len(payload) // 2]):
        with pytest.raises(CorruptDataError):
            rnn.decode_block(damaged, len(TEXT))


def test_the_state_s_cdf_codes_as_well(rnn: Recurrent) -> None:
    encoder, state = RangeEncoder(), rnn.begin()
    for symbol in TEXT:
        encoder.encode(symbol, state.cdf())
        state.update(symbol)
    assert len(encoder.finish()) == pytest.approx(len(rnn.encode_block(TEXT)), abs=2)
