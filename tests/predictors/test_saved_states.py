"""Saved states from anybody: what is read is what it is expected to be, or it is refused before it is worked on."""

import hashlib
import io
import os
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

import gencomp
from gencomp import registry
from gencomp.coding.range_coder import TOP
from gencomp.errors import CorruptDataError, GencompError, ModelMismatchError
from gencomp.predictors.mix import contexts
from gencomp.predictors.mix.levels import LEVELS, new_model, table_bytes, table_shapes
from gencomp.predictors.mix.predictor import Mix
from gencomp.predictors.mix.saved import MAX_FILE, TABLES, Family, read_header
from gencomp.registry import Entry

TEXT = b"the cat sat on the mat; the dog sat on the log\n" * 12


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return a state as it is saved."""
    path = tmp_path_factory.mktemp("saved") / "state"
    Mix(1).begin(TEXT).save(path)
    return path.read_bytes()


@pytest.fixture
def path(saved: bytes, tmp_path: Path) -> Path:
    (tmp_path / "state").write_bytes(saved)
    return tmp_path / "state"


def arrays_of(path: Path) -> dict[str, np.ndarray]:
    return {name: array.copy() for name, array in unpacked(path.read_bytes()).items()}


@lru_cache
def unpacked(state: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(state[32:])) as file:
        return dict(file)


def write(path: Path, body: bytes) -> None:
    """Give a changed state the checksum of what it has become."""
    path.write_bytes(hashlib.sha256(body).digest() + body)


def rewrite(path: Path, **changes: np.ndarray) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for name, array in (arrays_of(path) | changes).items():
            with file.open(f"{name}.npy", "w") as entry:
                np.lib.format.write_array(entry, np.asanyarray(array), allow_pickle=False)
    write(path, buffer.getvalue())


@pytest.mark.parametrize("name", ["mix:1", "mix:1?freeze=true", "best:1", "rnn"])
def test_a_state_that_has_charged_is_saved_whole(name: str, tmp_path: Path) -> None:
    """Charging runs the coder, and what it leaves is no part of a state."""
    path = tmp_path / "state"
    state = registry.load(name).begin(TEXT[:50])
    state.charge(TEXT[50:120])
    state.save(path)
    again = registry.load(f"{name.partition(':')[0]}?state={path}").begin()
    assert (again.cdf() == state.cdf()).all()
    assert (again.charge(TEXT[120:]) == state.charge(TEXT[120:])).all()


def refused(path: Path, match: str, uses: int = 3) -> None:
    """Expect this complaint of the first ``uses`` ways to read a state."""
    for use in (Mix.load_state, lambda path: Mix(state=str(path)).encode_block(b"abc"), read_all)[:uses]:
        with pytest.raises(CorruptDataError, match=match) as caught:
            use(path)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 600


def read_all(path: Path) -> None:
    gencomp.sample(f"mix?state={path}", length=1)


def test_the_shapes_are_those_of_the_tables() -> None:
    for level in LEVELS:
        for slot_bits, size in ((12, 10), (16, 5000), (20, 1 << 17)):
            model = new_model(level, slot_bits, size)
            shapes = table_shapes(level, slot_bits, size)
            assert tuple(shapes) == TABLES
            for name, (kind, shape) in shapes.items():
                assert (getattr(model, name).dtype, getattr(model, name).shape) == (kind, shape), name
            assert sum(getattr(model, name).nbytes for name in shapes) <= table_bytes(level, slot_bits, size)


POINTERS = {
    "MATCH": [-1, 1 << 20, len(TEXT), -(1 << 63)],
    "MATCH_LENGTH": [-1, 801, 1 << 40],
    "LINE": [-1, len(TEXT) + 1],
    "LINE_ABOVE": [-1, len(TEXT) + 1],
    "LENGTH": [-1, 0, len(TEXT) - 1, len(TEXT) + 1, 1 << 62],
    "PERIOD": [0, -3, 513],
    "MODE": [-1, 2, 3, 5],
    "FRAME": [0, 2],
    "CHANNELS": [0, 9],
    "FIXED_MODE": [1],
    "NOTE": [-2, 1 << 30],
    # the coder's own: where its next byte goes, and what it holds
    "POSITION": [1, -1, 1 << 40, (1 << 63) - 1],
    "LOW": [1, TOP],
    "WIDTH": [0, 1, TOP - 1, -1],
    "OFFSET": [1, -1],
    "RECENT": [-1, 1 << 32],
    "WORD": [-1, 1 << 30],
    "BASES": [-1, 1 << 48],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in POINTERS.items() for value in values])
@pytest.mark.every(2)
def test_every_register_is_bounded(path: Path, name: str, value: int) -> None:
    registers = arrays_of(path)["registers"]
    registers[getattr(contexts, name)] = value
    rewrite(path, registers=registers)
    refused(path, "out of bounds", 3 if value == POINTERS[name][0] else 1)


@pytest.mark.thorough
def test_all_registers_have_bounds(path: Path) -> None:
    """None may have the least of all numbers."""
    honest = arrays_of(path)["registers"]
    for place in range(contexts.NUM_REGISTERS):
        registers = honest.copy()
        registers[place] = -(1 << 63)
        rewrite(path, registers=registers)
        with pytest.raises(CorruptDataError, match="out of bounds"):
            Mix.load_state(path)


def test_a_match_is_of_bytes_that_were_read(path: Path) -> None:
    """At the end of the history stands the byte that is being coded, which a decoder has not got."""
    registers = arrays_of(path)["registers"]
    registers[contexts.MATCH], registers[contexts.MATCH_LENGTH] = len(TEXT), 20
    rewrite(path, registers=registers)
    refused(path, "out of bounds")


@pytest.mark.parametrize("value", [-1, len(TEXT) + 1, (1 << 31) - 1, -(1 << 31)])
def test_positions_are_bounded(path: Path, value: int) -> None:
    positions = arrays_of(path)["positions"]
    positions[77] = value
    rewrite(path, positions=positions)
    refused(path, "of matches are out of bounds")


def test_what_was_never_seen_has_no_history(path: Path) -> None:
    slots = arrays_of(path)["slots"]
    slots[-1] = 9
    rewrite(path, slots=slots)
    refused(path, "never seen")


@pytest.mark.parametrize("fill", [0, 1, 0x7F, 0x80, 0xFF])
def test_counters_and_weights_may_be_anything(path: Path, fill: int) -> None:
    """Whatever they are, what is coded with them comes back."""
    arrays = arrays_of(path)
    for name in ("counters", "direct", "weights", "final", "trust"):
        arrays[name].view(np.uint8)[...] = fill
    arrays["slots"][:-64] = fill
    rewrite(path, **arrays)
    mix = Mix(state=str(path))
    data = TEXT[:200] + bytes(range(256))
    assert mix.decode_block(mix.encode_block(data), len(data)) == data
    state = mix.begin(data)
    assert int(state.cdf()[-1]) == 1 << 20
    with pytest.raises(CorruptDataError):
        mix.decode_block(b"\x17" * 20, 300)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settings": np.array([1 << 40, 0])}, "its tables are for 1,099,511,627,776 bytes"),
        ({"settings": np.array([0, 0])}, "its tables are for 0 bytes"),
        ({"settings": np.array([1 << 15, 7])}, "is 7, expected 0 or 1"),
        ({"settings": np.array([1 << 15])}, "settings is"),
        ({"settings": np.array([1.0, 0.0])}, "not two integers"),
        ({"version": np.array("2")}, "not two integers"),
        ({"spec": np.array("x" * 9000)}, "not a text"),
        ({"spec": np.array(["mix", "mix"])}, "spec is"),
        ({"spec": np.array(b"mix")}, "not a text"),
        ({"history": np.zeros((2, 3), np.uint8)}, "out of bounds"),
        ({"history": np.zeros(len(TEXT), np.int8)}, "history is int8"),
        ({"weights": np.zeros((1, 1), np.int32)}, "weights is"),
        ({"slots": np.zeros(1 << 12, np.uint8)}, "slots is"),
        ({"registers": np.zeros(28, np.int64)}, "registers is"),
        ({"more": np.zeros(1)}, "its arrays are not the 15"),
    ],
)
def test_arrays_of_another_kind(path: Path, change: dict[str, np.ndarray], message: str) -> None:
    rewrite(path, **change)
    refused(path, message)


def with_entry(path: Path, name: str, make: Callable[[bytes], bytes]) -> None:
    """Change the bytes of one array in the .zip, and its sizes and CRC with them."""
    again = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(path.read_bytes()[32:])) as old, zipfile.ZipFile(again, "w") as new:
        for info in old.infolist():
            piece = old.read(info)
            new.writestr(info.filename, make(piece) if info.filename == name else piece, zipfile.ZIP_DEFLATED)
    write(path, again.getvalue())


def test_pickles_are_not_read(path: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "made"),)

    buffer = io.BytesIO()
    np.save(buffer, np.array([Evil()], dtype=object), allow_pickle=True)
    for name in ("spec.npy", "version.npy", "history.npy", "weights.npy"):
        Mix(1).begin(TEXT).save(path)
        with_entry(path, name, lambda piece: buffer.getvalue())
        refused(path, "is not a saved Mix state")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("name", ["slots.npy", "history.npy", "weights.npy"])
@pytest.mark.every(3)
def test_claims_are_checked_before_anything_is_inflated(path: Path, name: str) -> None:
    """Headers that say 10 GB, and streams that hold more than their headers say."""

    def claiming(piece: bytes) -> bytes:
        header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (10000000000,), }".ljust(117) + b"\n"
        return b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header + piece

    for make in (claiming, lambda piece: piece + bytes(20 << 20)):
        Mix(1).begin(TEXT).save(path)
        with_entry(path, name, make)
        tracemalloc.start()
        refused(path, "is not a saved Mix state")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8 << 20, f"{peak:,} bytes"


def test_sizes_that_the_list_of_arrays_says(path: Path) -> None:
    """The sizes in the .zip's own list: forged ones, and those of an array that deflate could not make."""
    body = bytearray(path.read_bytes()[32:])
    with zipfile.ZipFile(io.BytesIO(bytes(body))) as file:
        places = [at for at in range(len(body)) if body[at : at + 4] == b"PK\x01\x02"]
        assert len(places) == len(file.infolist())
    for at in places:
        for field in (20, 24):  # compressed and plain size
            for value in (0, 1, 0x7FFFFFFF):
                forged = body.copy()
                forged[at + field : at + field + 4] = struct.pack("<I", value)
                write(path, bytes(forged))
                with pytest.raises(CorruptDataError):
                    Mix.load_state(path)


@pytest.mark.parametrize(
    "tail",
    [b"PK\x06\x07" + bytes(16), b"PK\x05\x06" + bytes(18), b"a comment", bytes(22), b"PK\x05\x06" + b"\xff" * 18],
)
def test_a_zip_that_ends_otherwise(path: Path, tail: bytes) -> None:
    body = path.read_bytes()[32:]
    write(path, body + tail)
    refused(path, "is not a saved Mix state")
    write(path, body[:-22] + tail[:20].ljust(20, b"\0") + body[-22:])
    with pytest.raises(CorruptDataError):
        Mix.load_state(path)


@pytest.mark.parametrize("shift", [100, 10**6, 1 << 31])
def test_arrays_before_the_first_byte(path: Path, shift: int) -> None:
    body = bytearray(path.read_bytes()[32:])
    (offset,) = struct.unpack_from("<L", body, len(body) - 6)  # of the directory, at the end of the archive's end
    struct.pack_into("<L", body, len(body) - 6, offset + shift)
    write(path, bytes(body))
    refused(path, "is not a saved Mix state: ")


def test_a_long_list_of_arrays_is_not_read(path: Path) -> None:
    again = io.BytesIO()
    with zipfile.ZipFile(again, "w") as file:
        for number in range(5000):
            file.writestr(f"{number}.npy", b"")
    write(path, again.getvalue())
    tracemalloc.start()
    with pytest.raises(CorruptDataError, match="list of arrays"):
        Mix.load_state(path)
    assert tracemalloc.get_traced_memory()[1] < 5 << 19
    tracemalloc.stop()


@pytest.mark.parametrize("flag", [1, 1 << 5])
def test_encrypted_and_patched_entries(path: Path, flag: int) -> None:
    body = bytearray(path.read_bytes()[32:])
    for start, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        for at in range(len(body)):
            if body[at : at + 4] == start:
                body[at + offset : at + offset + 2] = struct.pack("<H", flag)
    write(path, bytes(body))
    refused(path, "is not a saved Mix state")


# the file itself


@pytest.mark.parametrize(("kind", "words"), [("/dev/zero", "a device"), ("pipe", "a pipe"), ("folder", "a folder")])
def test_only_regular_files_are_read(tmp_path: Path, kind: str, words: str) -> None:
    os.mkfifo(tmp_path / "pipe")  # opened for reading, it would wait for a writer for ever
    (tmp_path / "folder").mkdir()
    refused(
        Path(kind) if kind.startswith("/") else tmp_path / kind, f"is {words}, expected a saved Mix state: a regular"
    )


def test_a_link_is_followed_and_a_huge_file_is_not_read(path: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(path)
    assert (Mix.load_state(tmp_path / "link").cdf() == Mix.load_state(path).cdf()).all()
    (tmp_path / "zero").symlink_to("/dev/zero")
    refused(tmp_path / "zero", "is a device")
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(MAX_FILE + 1)
    refused(tmp_path / "huge", "has 4,294,967,297 bytes")


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 53, 54, 60, 100])
def test_short_files(tmp_path: Path, size: int) -> None:
    (tmp_path / "state").write_bytes(bytes(size))
    with pytest.raises(CorruptDataError):
        Mix.load_state(tmp_path / "state")
    write(tmp_path / "state", bytes(size))
    with pytest.raises(CorruptDataError, match="list of arrays"):
        Mix.load_state(tmp_path / "state")


def test_no_truncation_is_taken(path: Path) -> None:
    body = path.read_bytes()[32:]
    for size in range(0, len(body), max(1, len(body) // 150)):
        write(path, body[:size])
        with pytest.raises(CorruptDataError):
            Mix.load_state(path)


# what a state names


@pytest.mark.parametrize("expert", ["stranger", "ensemble:[stranger]", "mix+expert=stranger"])
def test_a_state_imports_no_other_package(path: Path, expert: str, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = Entry("stranger", "predictor", "evil_module:Evil", "from evil", None, "evil")
    monkeypatch.setitem(registry._ENTRIES, "stranger", entry)
    rewrite(path, spec=np.array(f"mix:1?freeze=false&prime=none&expert={expert}"))
    for use in (Mix.load_state, lambda path: Mix(state=str(path)).environment()):
        with pytest.raises(ModelMismatchError, match="and no other package by itself"):
            use(path)


@pytest.mark.parametrize("expert", ["mix+state={}", "transformer:{}", "hf:{}", "ensemble:[counts:1,hf:{}]"])
def test_a_state_opens_no_other_place(path: Path, expert: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    rewrite(path, spec=np.array(f"mix:1?freeze=false&prime=none&expert={expert.format(tmp_path / 'pipe')}"))
    with pytest.raises(ModelMismatchError, match="a state opens no folder"):
        Mix.load_state(path)


def test_the_user_names_what_a_state_was_made_with(path: Path, tmp_path: Path) -> None:
    inner, outer, moved = (tmp_path / name for name in ("inner", "outer", "moved"))
    path.rename(inner)
    whole = Mix(1, expert=f"mix+state={inner}").begin(TEXT)
    whole.save(outer)
    inner.rename(moved)
    loaded = Mix.load_state(outer, expert=f"mix+state={moved}")
    for symbol in b"the ":
        assert (loaded.cdf() == whole.cdf()).all()
        loaded.update(symbol)
        whole.update(symbol)
    mix = Mix(state=str(outer), expert=f"mix+state={moved}")
    archive = gencomp.compress(TEXT, gencomp.spec_of(mix))
    assert gencomp.decompress(archive, model=gencomp.spec_of(mix)) == TEXT
    assert set(mix.environment()) == {"state", "expert"}
    for other in ("counts:1", f"mix+state={moved}+freeze=true"):
        with pytest.raises(ModelMismatchError, match="was made with the expert"):
            Mix.load_state(outer, expert=other)


def test_a_state_of_an_expert_by_its_short_name(path: Path) -> None:
    """States that were saved when experts were not written out are read as before."""
    state = Mix(1, expert="counts:2").begin(TEXT)
    state.save(path)
    before = state.cdf()
    assert "expert=counts:2" in str(arrays_of(path)["spec"])
    Mix(1, expert="mix").begin(TEXT).save(path)
    rewrite(path, spec=np.array("mix:1?freeze=false&prime=none&expert=mix"))
    assert (Mix.load_state(path).cdf() == Mix(1, expert="mix").begin(TEXT).cdf()).all()
    assert before.shape == (257,)


def test_a_header_is_read_without_the_tables(path: Path) -> None:
    header = read_header(path, Family("Mix", Mix.REVISION))
    assert (header.length, header.size, header.frozen) == (len(TEXT), 1 << 15, False)
    with pytest.raises(ModelMismatchError, match="prime the model again"):
        read_header(path, Family("Mix", Mix.REVISION + 1))


def test_limits_count_a_state(path: Path) -> None:
    archive = gencomp.compress(TEXT, f"mix?state={path}")
    assert gencomp.decompress(archive, model=f"mix?state={path}", max_memory=60 << 20) == TEXT
    with pytest.raises(GencompError, match="of memory, the limit is"):
        gencomp.decompress(archive, model=f"mix?state={path}", max_memory=1 << 20)
