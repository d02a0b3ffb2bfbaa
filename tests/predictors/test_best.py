"""``best``: what archives are made with by default, and states that are saved; the rest is in the contract."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest

import gencomp
from gencomp.archive.models import describe
from gencomp.archive.reader import list_members
from gencomp.archive.writer import write_archive
from gencomp.data import alice
from gencomp.errors import CorruptDataError, ModelMismatchError
from gencomp.inference.weights import quantise, save_weights
from gencomp.predictors.mix.best import Best
from gencomp.predictors.mix.predictor import Mix
from gencomp.predictors.recurrent import Recurrent
from gencomp.registry import load, model_of_level, spec_of
from tests.networks import SMALL_SHAPE, random_parameters, small_network

TEXT = b"It was the best of times, it was the worst of times; it was the age of wisdom. "


@pytest.fixture(scope="module")
def best() -> Best:
    return Best(1, weights=str(small_network()))


@pytest.fixture(scope="module")
def saved(best: Best, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return a state as it is saved."""
    path = tmp_path_factory.mktemp("saved") / "state"
    best.begin(TEXT * 5).save(path)
    return path.read_bytes()


@pytest.fixture
def path(saved: bytes, tmp_path: Path) -> Path:
    (tmp_path / "state").write_bytes(saved)
    return tmp_path / "state"


class TestDefault:
    """Small inputs get the stronger model where that is smaller and nothing else is asked for."""

    @pytest.fixture(autouse=True)
    def _smaller(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for module in ("gencomp.registry", "gencomp.archive.writer"):
            monkeypatch.setattr(f"{module}.SMALL_INPUT", 3000)
        monkeypatch.setattr("gencomp.registry.SMALL_INPUT_MODEL", "counts:3")
        monkeypatch.setattr("gencomp.registry.DEFAULT_MODEL", "counts:2")

    @staticmethod
    def model_of(archive: bytes) -> str:
        (member,) = list_members(io.BytesIO(archive))
        assert sum(block.raw_length for block in member.blocks) > 0
        return str(member.header.metadata["model"]["spec"])

    @pytest.mark.parametrize("block_size", [1024, 1500, 3000, 4096, 1 << 22])
    def test_the_size_chooses(self, block_size: int) -> None:
        text = alice()[:3001]
        small, large = (gencomp.compress(data, block_size=block_size) for data in (text[:3000], text))
        assert (self.model_of(small), self.model_of(large)) == ("counts:3", "counts:2")
        assert gencomp.decompress(large) == text
        assert gencomp.decompress(small) == text[:3000]

    @pytest.mark.parametrize("data", [b"", b"a", bytes(range(256)) * 11, bytes(3000), b"ab" * 1000, TEXT * 20])
    @pytest.mark.parametrize("block_size", [1024, 1 << 22])
    def test_the_smaller_archive_is_kept(self, data: bytes, block_size: int) -> None:
        made = [gencomp.compress(data, spec, block_size=block_size) for spec in ("counts:3", "counts:2")]
        assert gencomp.compress(data, block_size=block_size) == min(made, key=len)

    def test_bytes_are_reported_once(self) -> None:
        seen: list[int] = []
        sink = io.BytesIO()
        summary = write_archive(io.BytesIO(TEXT * 20), sink, None, progress=seen.append)
        assert sum(seen) == len(TEXT) * 20
        assert summary.archive_size == len(sink.getvalue())

    def test_what_is_asked_for_is_used(self) -> None:
        assert self.model_of(gencomp.compress(TEXT, "counts:1")) == "counts:1"

    def test_nothing(self) -> None:
        assert gencomp.decompress(gencomp.compress(b"")) == b""


def test_nothing_is_larger_than_with_mix() -> None:
    """Quiet samples of sound, on which the network, which knows text, misleads."""
    steps = np.random.default_rng(5).normal(0, 1.2, 3000)
    quiet = (128 + np.convolve(steps, [0.3, 0.5, 0.2], "same").round()).astype(np.uint8).tobytes()
    with_best, with_mix = (gencomp.compress(quiet, spec) for spec in ("best", "mix"))
    assert len(with_mix) < len(with_best)
    assert gencomp.compress(quiet) == with_mix


def test_levels() -> None:
    levels = [model_of_level(level) for level in range(1, 10)]
    assert levels == [*(f"mix:{level}" for level in range(1, 7)), "best:7", "best:8", "best:9"]
    assert [load(spec).level for spec in levels] == list(range(1, 10))


# saved states


@pytest.mark.parametrize("freeze", [False, True])
def test_a_state_is_saved_and_goes_on(best: Best, tmp_path: Path, freeze: bool) -> None:
    state = Best(1, weights=best.weights, freeze=freeze).begin(TEXT[:33])
    state.save(tmp_path / "state")
    by_option = Best(weights=best.weights, state=str(tmp_path / "state")).begin()
    for restored in (Best.load_state(tmp_path / "state", best.weights), by_option):
        assert (restored.cdf() == state.cdf()).all()
        going_on = state.copy()
        for symbol in TEXT[33:60]:
            going_on.update(symbol)
            restored.update(symbol)
            assert (restored.cdf() == going_on.cdf()).all()


def test_a_state_is_what_blocks_start_from(best: Best, path: Path) -> None:
    primed = Best(weights=best.weights, state=str(path))
    payload = primed.encode_block(TEXT)
    assert primed.decode_block(payload, len(TEXT)) == TEXT
    assert 2 * len(payload) < len(best.encode_block(TEXT))
    assert (primed.begin(b"It").cdf() == best.begin(TEXT * 5 + b"It").cdf()).all()
    assert load(spec_of(primed)) == primed
    assert primed.state_cost(100).held > 0
    assert primed.block_cost(100, 100).work > Best(weights=best.weights).block_cost(100, 100).work


def test_archives_are_made_from_a_state_and_find_it_again(best: Best, path: Path, tmp_path: Path) -> None:
    spec = spec_of(Best(weights=best.weights, state=str(path)))
    archive = gencomp.compress(TEXT, spec)
    assert describe(load(spec))["environment"].keys() == {"weights", "state"}
    path.rename(tmp_path / "moved")
    with pytest.raises(ModelMismatchError, match="opens nothing on disk by itself"):
        gencomp.decompress(archive)
    moved = spec.replace(str(path), str(tmp_path / "moved"))
    assert gencomp.decompress(archive, model=moved) == TEXT
    best.begin(b"another").save(tmp_path / "moved")
    with pytest.raises(ModelMismatchError, match="the archive was made with state"):
        gencomp.decompress(archive, model=moved)


def test_a_state_brings_its_settings(path: Path) -> None:
    with pytest.raises(ValueError, match="a state brings its own settings"):
        Best(2, weights=str(small_network()), state=str(path))


def changed(path: Path, **changes: np.ndarray | None) -> None:
    """Write a saved state again with other arrays, its checksum right."""
    with np.load(io.BytesIO(path.read_bytes()[32:])) as file:
        arrays = dict(file) | changes
    buffer = io.BytesIO()
    kept = {name: array for name, array in arrays.items() if array is not None}
    np.savez_compressed(buffer, **kept)  # type: ignore[arg-type]
    path.write_bytes(hashlib.sha256(buffer.getvalue()).digest() + buffer.getvalue())


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"network_hidden": np.full(64, 1 << 30, np.int32)}, "its network: hidden has numbers beyond"),
        ({"network_hidden": np.full(64, -(1 << 31), np.int32)}, "its network: hidden has numbers beyond"),
        ({"network_before": np.full(128, -32768, np.int16)}, "its network: before has numbers beyond 32767"),
        ({"network_normed": np.full(32, -32768, np.int16)}, "its network: normed has numbers beyond 32767"),
        ({"network_normed": np.zeros(31, np.int16)}, r"network_normed is int16\[31\], expected int16\[32\]"),
        ({"network_context": np.array([0, 1 << 32, 0, 0], np.uint64)}, "its network: its context is out of bounds"),
        ({"network_context": np.array([0, 0, 0, 2], np.uint64)}, "its network: its context is out of bounds"),
        ({"network_context": np.array([0, 0, 0, 0], np.int64)}, "network_context is int64"),
        ({"network_trusts": np.zeros(256 * 33 - 1, np.uint16)}, "network_trusts is uint16"),
        ({"network_doubts": np.array([1, 0, 0, 0])}, "its network: its doubts are out of bounds"),
        ({"network_doubts": np.array([0, -1, 0, 0])}, "its network: its doubts are out of bounds"),
        ({"network_doubts": np.array([0, 1 << 40, 0, 0])}, "its network: its doubts are out of bounds"),
        ({"network_doubts": np.array([0, 0, -2, 0])}, "its network: its doubts are out of bounds"),
        ({"network_doubts": np.array([0, 0, 3, 2])}, "its network: its doubts are out of bounds"),
        ({"network_doubts": np.array([0, 0, 33, 0])}, "its network: its doubts are out of bounds"),
        ({"network_trusts": None}, "its arrays are not the 22 of a state"),
        ({"network_more": np.zeros(1, np.int32)}, "its arrays are not the 22 of a state"),
        ({"network": np.array("x" * 9000)}, "network is|not a text"),
        ({"network": np.array(7)}, "not a text"),
        ({"spec": np.array("mix:1?freeze=false&prime=none")}, "expected best"),
        ({"spec": np.array("best:1?freeze=false&state=other")}, "it names another state: other"),
        ({"spec": np.array("best:1?freeze=false&weights=/dev/zero")}, "it names a file of weights"),
        ({"spec": np.array("best:1")}, "its model is 'best:1', expected"),
        ({"weights": np.zeros((1, 1), np.int32)}, "weights is int32"),
        ({"registers": np.zeros(3, np.int64)}, "registers is int64"),
    ],
)
@pytest.mark.every(3)
def test_forged_states_are_refused(
    best: Best, path: Path, changes: dict[str, np.ndarray | None], complaint: str
) -> None:
    changed(path, **changes)
    for use in (Best.load_state, lambda path, weights: Best(weights=weights, state=str(path)).encode_block(b"abc")):
        with pytest.raises(CorruptDataError, match=complaint) as caught:
            use(path, best.weights)
        assert "not a saved best state" in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("fill", [0, 1, 0x7F, 0x80, 0xFF])
def test_what_is_learnt_may_be_anything(best: Best, path: Path, fill: int) -> None:
    """Whatever the numbers of trust and the mixers' weights are, what is coded with them comes back."""
    with np.load(io.BytesIO(path.read_bytes()[32:])) as file:
        arrays = {name: file[name] for name in ("network_trusts", "weights", "counters", "direct", "trust")}
    for array in arrays.values():
        array.view(np.uint8)[...] = fill
    changed(path, **arrays)
    primed = Best(weights=best.weights, state=str(path))
    data = TEXT + bytes(range(256))
    assert primed.decode_block(primed.encode_block(data), len(data)) == data
    assert int(primed.begin(data).cdf()[-1]) == 1 << 20


def test_other_weights_and_revisions_and_families(best: Best, path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    save_weights(other, SMALL_SHAPE, quantise(random_parameters(SMALL_SHAPE, 1), SMALL_SHAPE))
    for weights in (str(other), None):  # the package's have another shape too
        with pytest.raises(ModelMismatchError, match=f"was made with the weights {best.loaded.digest}, found "):
            Best.load_state(path, weights)
    moved = tmp_path / "moved.safetensors"
    moved.write_bytes(small_network().read_bytes())
    assert (Best.load_state(path, str(moved)).cdf() == best.begin(TEXT * 5).cdf()).all()
    Mix(1).begin(TEXT).save(tmp_path / "mix")
    with pytest.raises(CorruptDataError, match="not a saved best state: its arrays are not the 22"):
        Best.load_state(tmp_path / "mix", best.weights)
    with pytest.raises(CorruptDataError, match="not a saved Mix state: its arrays are not the 15"):
        Mix.load_state(path)
    changed(path, version=np.array([2, Best.REVISION + 1]))
    with pytest.raises(ModelMismatchError, match="is a best state of format 2 and revision"):
        Best.load_state(path, best.weights)


def test_damage_is_found(best: Best, path: Path) -> None:
    blob = path.read_bytes()
    for damaged in (blob[:-1], blob[:40], b"", blob[: len(blob) // 2] + b"x" + blob[len(blob) // 2 + 1 :]):
        path.write_bytes(damaged)
        with pytest.raises(CorruptDataError, match="not a saved best state"):
            Best.load_state(path, best.weights)
    with pytest.raises(CorruptDataError, match="a device"):
        Best.load_state("/dev/zero", best.weights)


# arbitrary bytes, by the network in the package


def arbitrary(rng: np.random.Generator) -> bytes:
    """Return up to a few hundred bytes: noise, runs, few symbols, a period, words, the ends of the alphabet."""
    size = int(300 ** rng.random())
    kind = rng.integers(6)
    if kind == 0:
        return rng.bytes(size)
    if kind == 1:
        return b"".join(bytes([rng.integers(256)]) * int(rng.integers(1, 40)) for _ in range(size // 20 + 1))
    if kind == 2:
        return bytes(rng.choice(rng.integers(0, 256, 3), size).tolist())
    if kind == 3:
        return (rng.bytes(int(rng.integers(1, 20))) * size)[:size]
    if kind == 4:
        start = int(rng.integers(100_000))
        return alice()[start : start + size]
    return bytes(rng.choice([0, 255], size).tolist())


@pytest.mark.parametrize("count", [300, pytest.param(100_000, marks=pytest.mark.slow)])
def test_arbitrary_bytes_come_back(count: int) -> None:
    rng = np.random.default_rng(count)
    models = [Recurrent(), Best(1)]
    for number in range(count):
        model, data = models[number % 2], arbitrary(rng)
        assert model.decode_block(model.encode_block(data), len(data)) == data, (number, data)


EXTREMES = {
    "all 255": b"\xff" * 3000,
    "all 0": bytes(3000),
    "long runs": b"".join(bytes([byte]) * 400 for byte in (0, 255, 1, 128, 127, 254, 0, 255)),
    "to and fro": b"\0\xff" * 1500,
    "every pair": bytes(byte for first in range(0, 256, 5) for second in range(256) for byte in (first, second)),
}


@pytest.mark.parametrize("name", [*EXTREMES][:-1] + [pytest.param("every pair", marks=pytest.mark.thorough)])
@pytest.mark.every(2)
def test_extremes(name: str) -> None:
    data = EXTREMES[name]
    for model, most in ((Recurrent(), 16.0), (Best(1), 1.02)):  # a network that never saw such data does not adapt
        payload = model.encode_block(data)
        assert model.decode_block(payload, len(data)) == data
        assert len(payload) < most * len(data)


def test_noise_is_stored_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(10).bytes(3_000_000)
    monkeypatch.setattr(Best, "encode_block", lambda self, data: pytest.fail("the model is asked"))
    archive = gencomp.compress(noise, "best")
    assert len(archive) < len(noise) + 500
    assert gencomp.decompress(archive) == noise


@pytest.mark.slow
def test_noise_through_the_model() -> None:
    noise = np.random.default_rng(11).bytes(10_000_000)
    payload = Best(1).encode_block(noise)
    assert len(payload) < len(noise) * 1.001
    assert Best(1).decode_block(payload, len(noise)) == noise
