"""The laws of ``Mix``: round trips, one model in all its uses, and clear errors."""

import hashlib
import io
import os
import random
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gencomp
from gencomp.archive.models import describe
from gencomp.coding.logistic import SQUASH, SQUASH_LIMIT, STRETCH
from gencomp.errors import CorruptDataError, GencompError, ModelMismatchError, SpecError
from gencomp.predictors.mix import Mix
from gencomp.predictors.mix import predictor as mix_module
from gencomp.predictors.mix.expert import fill_external
from gencomp.predictors.mix.levels import LEVELS
from gencomp.predictors.mix.tables import COUNT_LIMITS, NEXT
from gencomp.registry import load, spec_of

WORDS = ["the", "a", "predictor", "is", "compressor", "read", "backwards", "and", "every", "symbol", "code", "length"]


def text(size: int, seed: int = 1) -> bytes:
    choose = random.Random(seed).choices
    return " ".join(choose(WORDS, k=size // 3)).encode()[:size]


def ideal_bits(mix: Mix, data: bytes) -> float:
    state, total = mix.begin(), 0.0
    for symbol in data:
        total += float(state.code_lengths()[symbol])
        state.update(symbol)
    return total


def assert_round_trip(mix: Mix, data: bytes) -> bytes:
    payload = mix.encode_block(data)
    assert mix.decode_block(payload, len(data)) == data
    return payload


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_round_trip(data: bytes) -> None:
    assert_round_trip(Mix(), data)


@pytest.mark.parametrize("level", range(1, 10))
def test_every_level_round_trips(level: int) -> None:
    data = text(3000) + random.Random(level).randbytes(1500) + bytes(range(256)) * 6
    assert_round_trip(Mix(level), data)


@pytest.mark.parametrize("level", [level for level in range(1, 10) if LEVELS[level - 1].apart])
def test_kernels_compiled_for_a_level_are_the_same_model(level: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = text(3000) + random.Random(level).randbytes(500) + text(500)
    payload, cdf = Mix(level).encode_block(data), Mix(level).begin(data).cdf()
    levels = [replace(one, apart=False) for one in LEVELS]
    monkeypatch.setattr(mix_module, "LEVELS", levels)
    assert Mix(level).encode_block(data) == payload
    assert (Mix(level).begin(data).cdf() == cdf).all()


def test_special_blocks() -> None:
    assert_round_trip(Mix(), b"")
    assert len(assert_round_trip(Mix(), bytes(20000))) < 100
    noise = random.Random(2).randbytes(20000)
    assert len(assert_round_trip(Mix(), noise)) < 20000 * 1.03
    assert len(assert_round_trip(Mix(), noise * 2)) < 20000 * 1.1


def test_long_text() -> None:
    data = text(100_000)
    assert len(assert_round_trip(Mix(), data)) < 100_000 / 4


def test_records_are_found() -> None:
    noise = random.Random(3)
    rows = b"".join(
        bytes([noise.randrange(4), 200, row & 255, row >> 8, noise.randrange(256), 7, 0]) for row in range(3000)
    )
    assert len(assert_round_trip(Mix(), rows)) < len(rows) * 10.6 / 56 * 1.25


def test_image_width_helps() -> None:
    y, x = np.mgrid[:96, :123]
    noise = np.random.default_rng(4).integers(0, 6, (96, 123))
    data = (100 + 60 * np.sin(x / 17) + 50 * np.cos(y / 11) + noise).astype(np.uint8).tobytes()
    assert len(assert_round_trip(Mix(width=123), data)) < len(Mix().encode_block(data))


@pytest.mark.parametrize("sample", ["s16le:2", "s16be:2"])
def test_sample_format_helps(sample: str) -> None:
    t = np.arange(4000)
    noise = np.random.default_rng(5).normal(0, 30, (4000, 2))
    wave = 8000 * np.sin(t / 20)[:, None] * np.array([1.0, 0.7]) + noise
    data = wave.astype("<i2" if sample.startswith("s16le") else ">i2").tobytes()
    assert len(assert_round_trip(Mix(sample=sample), data)) < len(Mix().encode_block(data))


def test_payload_must_be_whole() -> None:
    data = text(2000)
    payload = Mix().encode_block(data)
    for damaged in (payload[:-1], payload[: len(payload) // 2], b"", payload + b"\0"):
        with pytest.raises(CorruptDataError):
            Mix().decode_block(damaged, len(data))


def test_code_length_is_the_state_s() -> None:
    data = text(700)
    mix = Mix(3, memory=1)
    assert 8 * len(mix.encode_block(data)) == pytest.approx(ideal_bits(mix, data), rel=0.02, abs=16)


def test_state_is_a_distribution() -> None:
    state = Mix().begin(text(500))
    cdf = state.cdf()
    assert cdf.dtype == np.int64
    assert (cdf[0], cdf[-1], len(cdf)) == (0, 1 << 20, 257)
    assert (np.diff(cdf) > 0).all()
    assert np.exp2(-state.code_lengths()).sum() == pytest.approx(1)
    assert (state.cdf() == cdf).all()  # looking changes nothing


def test_context_equals_updates() -> None:
    data = text(600)
    primed, fed = Mix().begin(data), Mix().begin()
    for symbol in data:
        fed.update(symbol)
    assert (primed.cdf() == fed.cdf()).all()
    with pytest.raises(ValueError, match="symbol"):
        fed.update(256)


def test_copies_go_on_alone() -> None:
    state = Mix().begin(text(400))
    before = state.cdf()
    twin = state.copy()
    for symbol in b"xyzzy":
        twin.update(symbol)
    assert (state.cdf() == before).all()
    state.update(ord("q"))
    other = Mix().begin(text(400))
    for symbol in b"xyzzy":
        other.update(symbol)
    assert (twin.cdf() == other.cdf()).all()


def test_frozen_states_do_not_learn() -> None:
    frozen, learning = Mix(freeze=True).begin(text(400)), Mix().begin(text(400))
    tables = [part.copy() for part in (frozen._model.slots, frozen._model.weights, frozen._model.counters)]
    for symbol in b"the zzz the zzz ":
        frozen.update(symbol)
        learning.update(symbol)
    assert all(
        (now == then).all()
        for now, then in zip((frozen._model.slots, frozen._model.weights, frozen._model.counters), tables, strict=True)
    )
    assert (frozen.cdf() != learning.cdf()).any()
    stopped = learning.freeze()
    before = learning.cdf()
    stopped.update(ord("a"))
    assert (learning.cdf() == before).all()


def test_states_are_saved(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "primed.mix"
    state = Mix(2, memory=2).begin(text(3000))
    state.save(path)
    loaded = Mix.load_state(path)
    for symbol in b"and every":
        assert (loaded.cdf() == state.cdf()).all()
        state.update(symbol)
        loaded.update(symbol)
    blob = bytearray(path.read_bytes())
    blob[len(blob) // 2] ^= 1
    path.write_bytes(blob)
    with pytest.raises(CorruptDataError, match="damaged"):
        Mix.load_state(path)


def test_threads_share_nothing() -> None:
    blocks = [text(20_000, seed) for seed in range(4)]
    expected = [Mix().encode_block(block) for block in blocks]
    found: list[bytes] = [b""] * 4

    def work(index: int) -> None:
        found[index] = Mix().encode_block(blocks[index])

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected


SCRIPT = """
import sys
from gencomp.predictors.mix import Mix
from gencomp.predictors.mix import predictor as mix_module
from gencomp.predictors.mix.expert import fill_external
from gencomp.predictors.mix.levels import LEVELS
data = bytes.fromhex(sys.argv[1])
for mix in (Mix(9), Mix(width=16), Mix(sample="s16le"), Mix(1, expert="counts:2")):
    payload = mix.encode_block(data)
    assert mix.decode_block(payload, len(data)) == data
    print(payload.hex())
print(Mix().begin(data[:30]).cdf().tolist())
"""


@pytest.mark.thorough
def test_plain_python_computes_the_same() -> None:
    data = text(16) + bytes(range(0, 250, 20)) + b"\xff\x00" * 4
    outputs = []
    for plain in ("0", "1"):
        environment = {**os.environ, "NUMBA_DISABLE_JIT": plain, "PYTHONPATH": os.pathsep.join(sys.path)}
        result = subprocess.run(
            [sys.executable, "-W", "error", "-c", SCRIPT, data.hex()],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        outputs.append(result.stdout)
    assert outputs[0] == outputs[1]


def test_arguments_are_checked() -> None:
    for wrong in (
        {"level": 0},
        {"level": 10},
        {"memory": 0},
        {"memory": 5000},
        {"width": 0},
        {"sample": "f32"},
        {"sample": "u8:9"},
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Mix(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one of them"):
        Mix(width=3, sample="u8")


def test_a_width_that_does_not_fit_is_refused() -> None:
    data = bytes(range(200)) * 6
    with pytest.raises(ValueError, match=r"width=128 does not fit 1,200 bytes, which are 9 rows and 48 bytes"):
        gencomp.compress(data, Mix(width=128))
    assert_round_trip(Mix(width=200), data)
    assert gencomp.decompress(gencomp.compress(data, Mix(width=200))) == data
    assert gencomp.decompress(gencomp.compress(b"", Mix(width=200))) == b""


def test_tables() -> None:
    assert NEXT.max() < 256
    assert (np.diff(SQUASH.astype(np.int64)) >= 0).all()
    assert SQUASH[SQUASH_LIMIT] == 32768
    assert (np.diff(STRETCH.astype(np.int64)) >= 0).all()
    state = 0
    for _ in range(100):
        state = int(NEXT[2 * state])
    assert NEXT[2 * state] == state  # a bounded run of zeros
    assert COUNT_LIMITS[0] > COUNT_LIMITS[1]


def test_priming_helps_small_english_files() -> None:
    note = b"She was beginning to get very tired of sitting by her sister on the bank, and said so."
    plain, primed = Mix(), Mix(prime="english")
    assert len(assert_round_trip(primed, note)) < 0.8 * len(assert_round_trip(plain, note))
    assert_round_trip(primed, b"")
    assert primed.begin(note).cdf().tolist() != plain.begin(note).cdf().tolist()
    with pytest.raises(ValueError, match="prime must be one of none, english, got 'dutch'"):
        Mix(prime="dutch")  # type: ignore[arg-type]


@pytest.mark.thorough
def test_a_saved_state_keeps_its_priming(tmp_path: Path) -> None:
    state = Mix(prime="english").begin(b"Alice ")
    state.save(tmp_path / "state")
    loaded = Mix.load_state(tmp_path / "state")
    assert loaded.cdf().tolist() == state.cdf().tolist()
    assert loaded._mix == state._mix


def nucleotides(size: int) -> bytes:
    choose = random.Random(6)
    lines = ("".join(choose.choices("ACGT", k=80)) for _ in range(size // 81 + 1))
    return "\n".join(lines).encode()[:size]


def test_nucleotides_cost_about_two_bits() -> None:
    data = nucleotides(60_000)
    assert len(assert_round_trip(Mix(), data)) * 8 < 2.1 * len(data)
    half = len(data) // 2
    assert len(Mix().encode_block(data[:half] * 2)) < 0.6 * len(Mix().encode_block(data))


@pytest.mark.parametrize("expert", ["mix:1", "counts:3", "uniform"])
@pytest.mark.every(3)
def test_an_expert_is_one_more_input(expert: str) -> None:
    data = text(3000)
    mix = Mix(2, expert=expert)
    payload = assert_round_trip(mix, data)
    assert 8 * len(mix.encode_block(data[:900])) == pytest.approx(ideal_bits(mix, data[:900]), rel=0.02, abs=16)
    assert len(payload) < 1.02 * len(Mix(2).encode_block(data))
    assert payload != Mix(2).encode_block(data), "the expert is heard"
    with pytest.raises(CorruptDataError):
        mix.decode_block(payload[: len(payload) // 2], len(data))


def test_an_expert_that_knows_the_data_helps() -> None:
    data = random.Random(7).randbytes(400)
    payload = Mix(1, expert="counts:2").encode_block(data * 3)
    assert len(payload) < len(data) * 1.4
    assert len(Mix(1, expert="mix?prime=english").encode_block(b"said the White Rabbit, as she ran")) < 33


def test_states_with_an_expert_go_on_and_are_saved(tmp_path: Path) -> None:
    mix, data = Mix(2, expert="counts:3"), text(900)
    state = mix.begin(data)
    assert 8 * len(mix.encode_block(data)) == pytest.approx(ideal_bits(mix, data), rel=0.02, abs=16)
    twin, frozen = state.copy(), state.freeze()
    state.save(tmp_path / "state")
    loaded = Mix.load_state(tmp_path / "state")
    for symbol in b"xyz":
        assert (twin.cdf() == state.cdf()).all()
        assert (loaded.cdf() == state.cdf()).all()
        for other in (state, twin, loaded, frozen):
            other.update(symbol)
    assert (frozen.cdf() != state.cdf()).any()
    assert (mix.begin(data + b"xyz").cdf() == state.cdf()).all()


def test_an_expert_s_tree_of_bits() -> None:
    weights = np.full(256, 16, dtype=np.int64)
    weights[255] = 16 * 257
    external = np.zeros(256, dtype=np.int32)
    fill_external(np.concatenate([[0], np.cumsum(weights)]), external)
    assert external[1] == STRETCH[(128 + 256) * 4096 // 512]
    assert external[2] == STRETCH[2048]
    assert external[255] > external[127] > external[1]


def test_experts_and_portability() -> None:
    assert Mix(expert="counts:3").revision != Mix().revision
    description = describe(Mix(expert="counts:3"))
    assert description["numeric"] == "integer"
    mix = Mix(expert="mix:2+memory=4")
    assert spec_of(mix) == "mix?expert=mix:2+memory=4+freeze=false+prime=none"
    assert load(spec_of(mix)) == mix == Mix(expert="mix:2?memory=4")
    with pytest.raises(SpecError, match="unknown model"):
        Mix(expert="contes")


@pytest.mark.parametrize("expert", ["gzip", "ensemble:[counts:1,zlib]", "ensemble:counts:1,zlib"])
def test_any_model_is_an_expert(expert: str) -> None:
    mix, data = Mix(1, expert=expert), text(120)
    assert_round_trip(mix, data)
    assert mix.revision is None
    assert "zlib" in mix.environment()["expert"]
    assert load(spec_of(mix, full=True)) == mix


def test_models_start_from_a_state(tmp_path: Path) -> None:
    path, data = tmp_path / "state", text(3000)
    Mix(3).begin(data[:2000]).save(path)
    mix = Mix(state=str(path))
    payload = assert_round_trip(mix, data[2000:])
    assert len(payload) < 0.8 * len(Mix(3).encode_block(data[2000:]))
    assert (mix.begin(b"and").cdf() == Mix(3).begin(data[:2000] + b"and").cdf()).all()
    description = describe(mix)
    assert description["numeric"] == "environment"
    assert len(description["environment"]["state"]) == 16
    assert mix.begin().freeze()._frozen
    assert Mix(state=str(path), freeze=True).begin()._frozen
    with pytest.raises(ValueError, match="brings its own settings"):
        Mix(4, state=str(path))
    with pytest.raises(ModelMismatchError, match="was made with the expert 'none', not 'counts:1'"):
        Mix(state=str(path), expert="counts:1").begin()
    with pytest.raises(FileNotFoundError):
        Mix(state=str(tmp_path / "none")).begin()


def test_archives_find_a_state_that_has_moved(tmp_path: Path) -> None:
    path, moved, data = tmp_path / "state", tmp_path / "moved", text(1000)
    Mix(1).begin(data).save(path)
    archive = gencomp.compress(data, f"mix?state={path}")
    with pytest.raises(ModelMismatchError, match=r"made with the state of the digest .*, and it opens nothing"):
        gencomp.decompress(archive)
    assert gencomp.decompress(archive, model=f"mix?state={path}") == data
    path.rename(moved)
    with pytest.raises(ModelMismatchError, match=r"state: No such file.*moved is named by model="):
        gencomp.decompress(archive, model=f"mix?state={path}")
    assert gencomp.decompress(archive, model=f"mix?state={moved}") == data
    with pytest.raises(ModelMismatchError, match="was made with"):
        gencomp.decompress(archive, model=f"mix?state={moved}&freeze=true")
    moved.write_bytes(moved.read_bytes()[:-1])
    with pytest.raises(ModelMismatchError, match="its checksum does not match"):
        gencomp.decompress(archive, model=f"mix?state={moved}")


def rewritten(path: Path, **changes: object) -> None:
    """Change arrays of a saved state and give it the checksum of what it has become."""
    with np.load(io.BytesIO(path.read_bytes()[32:])) as arrays:
        parts = {**arrays, **changes}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **parts)  # type: ignore[arg-type]
    path.write_bytes(hashlib.sha256(buffer.getvalue()).digest() + buffer.getvalue())


def test_states_are_not_trusted(tmp_path: Path) -> None:
    path = tmp_path / "state"
    state = Mix(1).begin(text(500))
    registers, positions = state._model.registers, state._model.positions
    outside = registers.copy()
    outside[mix_module.LENGTH] = 1 << 20
    far = positions.copy()
    far[0] = 1 << 20
    for changes, message in (
        ({"version": np.array([1, 2])}, "prime the model again"),
        ({"version": np.array([2, 999])}, "prime the model again"),
        ({"registers": outside}, "out of bounds"),
        ({"positions": far}, "out of bounds"),
        ({"slots": np.zeros(64, dtype=np.uint8)}, "slots is"),
        ({"weights": np.zeros(8)}, "weights is"),
        ({"settings": np.array([-1, 0])}, "its tables are for"),
        ({"spec": np.array("counts:3")}, "expected mix"),
        ({"spec": np.array("mix:1")}, "expected 'mix:1"),
        ({"spec": np.array("mix:12")}, "level"),
        ({"spec": np.array("mix:1?state=elsewhere")}, "another state"),
    ):
        state.save(path)
        rewritten(path, **changes)
        with pytest.raises(GencompError, match=message) as caught:
            Mix.load_state(path)
        assert isinstance(caught.value, ModelMismatchError if "version" in changes else CorruptDataError)
    for damaged in (b"", b"short", path.read_bytes()[:-1]):
        path.write_bytes(damaged)
        with pytest.raises(CorruptDataError):
            Mix.load_state(path)


def test_memory_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mix_module, "_machine_memory", lambda: 256 << 20)
    assert Mix(memory=256).memory == 256
    with pytest.raises(ValueError, match="more than this machine's 256 MiB"):
        Mix(memory=512)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(20))
def test_many_small_inputs(part: int) -> None:
    """A million round trips: noise, few symbols, repeats and text, from 0 to 240 bytes; a minute or more a part."""
    choose = random.Random(part)
    words = text(20_000)
    mixes = [Mix(1), Mix(1), Mix(1), Mix(5), Mix(9)]
    for number in range(50_000):
        size = choose.randrange(25)
        if number % 4 == 0:
            data = choose.randbytes(size)
        elif number % 4 == 1:
            data = bytes(choose.choices(b"\x00\xffab", k=size))
        elif number % 4 == 2:
            data = choose.randbytes(size) * choose.randrange(11)
        else:
            start = choose.randrange(len(words) - size)
            data = words[start : start + size]
        assert_round_trip(mixes[number % 5], data)
