"""Archives as file objects: what gzip.open's users expect, and nothing half-written."""

import gc
import io
import os
import random
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import gencomp
from gencomp.cli.gcz import translated
from gencomp.errors import ArchiveError, GencompWarning
from tests.conftest import ROOT

FAST = "counts:0"
WITH_PACKAGE = {**os.environ, "PYTHONPATH": str(ROOT)}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write(path: Path, data: bytes, mode: str = "wb") -> None:
    with gencomp.open(path, mode, FAST) as file:  # type: ignore[call-overload]
        file.write(data)


def test_binary_there_and_back(tmp_path: Path, book: bytes) -> None:
    path = tmp_path / "a.gcz"
    with gencomp.open(path, "wb", FAST, block_size=4096) as file:
        assert file.writable()
        for start in range(0, 20_000, 777):
            assert file.write(book[start : min(start + 777, 20_000)]) == min(777, 20_000 - start)
        assert file.tell() == 20_000
        assert not path.exists()  # until it is whole
    assert file.closed
    assert gencomp.decompress(path.read_bytes()) == book[:20_000]
    with gencomp.open(str(path)) as reading:
        assert reading.readable()
        assert reading.read(10) == book[:10]
        assert reading.readline() == book[10 : book.index(b"\n", 10) + 1]
        place = book.index(b"\n", 10) + 1
        assert reading.tell() == place
        assert reading.read() == book[place:20_000]
        assert reading.read() == b""


def test_seeking(tmp_path: Path, book: bytes) -> None:
    path = tmp_path / "a.gcz"
    path.write_bytes(gencomp.compress(book[:9000], FAST, block_size=1024))
    numbers = random.Random(1)
    with gencomp.open(path) as file:
        for _ in range(12):
            place, size = numbers.randrange(9000), numbers.randrange(3000)
            assert file.seek(place) == place
            assert file.read(size) == book[place : min(place + size, 9000)]
        assert file.seek(0, os.SEEK_END) == 9000
        assert file.seek(-10, os.SEEK_END) == 8990
        assert file.read() == book[8990:9000]
        file.seek(5)
        assert file.seek(7, os.SEEK_CUR) == 12
        with pytest.raises((ValueError, OSError)):
            file.seek(-1)


def test_text(tmp_path: Path) -> None:
    path = tmp_path / "a.gcz"
    text = "zwölf Boxkämpfer\njagen Viktor\n你好\n"
    with gencomp.open(path, "wt", FAST) as file:
        file.write(text)
    assert gencomp.decompress(path.read_bytes()) == text.encode()
    with gencomp.open(path, "rt") as file:
        assert list(file) == text.splitlines(keepends=True)
    with gencomp.open(path, "wt", FAST, encoding="latin-1", errors="replace", newline="\r\n") as file:
        file.write("ä你\n")
    assert gencomp.decompress(path.read_bytes()) == b"\xe4?\r\n"
    with gencomp.open(path, "xt", FAST) if not path.exists() else gencomp.open(path, "rt", encoding="latin-1") as file:
        assert file.read() == "ä?\n"


def test_exclusive_creation(tmp_path: Path) -> None:
    path = tmp_path / "a.gcz"
    write(path, b"first", "xb")
    with pytest.raises(FileExistsError):
        write(path, b"second", "xb")
    with pytest.raises(FileExistsError):
        gencomp.open(path, "xt", FAST)
    assert gencomp.decompress(path.read_bytes()) == b"first"
    write(path, b"third", "w")
    assert gencomp.decompress(path.read_bytes()) == b"third"


@pytest.mark.parametrize("mode", ["wb", "wt"])
def test_an_exception_leaves_what_was_there(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "a.gcz"
    write(path, b"what was there")
    before = path.read_bytes()
    with pytest.raises(KeyError), gencomp.open(path, mode, FAST) as file:  # type: ignore[call-overload]
        file.write("half" if mode == "wt" else b"half" * 100_000)
        raise KeyError
    assert file.closed
    assert path.read_bytes() == before
    assert names(tmp_path) == ["a.gcz"]
    assert threading.active_count() < 20


@pytest.mark.parametrize("mode", ["wb", "wt"])
def test_a_file_that_is_forgotten_is_not_half_written(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "a.gcz"
    file = gencomp.open(path, mode, FAST)  # type: ignore[call-overload]
    file.write("half" if mode == "wt" else b"half")
    with pytest.warns(GencompWarning, match="was not closed: nothing is written"):  # noqa: PT031
        del file
        gc.collect(1)
    assert names(tmp_path) == []


@pytest.mark.parametrize(("mode", "ending", "status"), [("wb", "", 0), ("wt", "; raise SystemExit(3)", 3)])
@pytest.mark.every(2)
def test_a_program_that_ends_leaves_nothing_half_written(mode: str, ending: str, status: int, tmp_path: Path) -> None:
    text = "'half'" if mode == "wt" else "b'half'"
    code = f"import gencomp; file = gencomp.open('a.gcz', {mode!r}, {FAST!r}); file.write({text}){ending}"
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, env=WITH_PACKAGE)
    assert run.returncode == status
    assert b"a.gcz was not closed: nothing is written to it" in run.stderr
    assert names(tmp_path) == []


def test_what_the_coder_meets_with_is_raised(tmp_path: Path, book: bytes) -> None:
    path = tmp_path / "a.gcz"
    limits = {"max_work": 1e-6, "block_size": 1024}
    with pytest.raises(gencomp.GencompError, match="max_work"), gencomp.open(path, "wb", "mix:1", **limits) as file:  # type: ignore[call-overload]
        for _ in range(400):
            file.write(book)
    assert names(tmp_path) == []
    with pytest.raises(ValueError, match="block_size"), gencomp.open(path, "wb", FAST, block_size=1) as file:
        file.write(b"x")
    assert names(tmp_path) == []
    with pytest.raises(FileNotFoundError):
        gencomp.open(tmp_path / "nowhere" / "a.gcz", "wb", FAST)
    with pytest.raises(FileNotFoundError):
        gencomp.open(path)


def test_damage_is_an_error_each_time_it_is_asked_for(tmp_path: Path, book: bytes) -> None:
    path = tmp_path / "a.gcz"
    archive = gencomp.compress(book[:5000], FAST, block_size=1024)
    path.write_bytes(archive[:-70])
    with gencomp.open(path) as file:
        for _ in range(3):  # it is never taken for the end
            with pytest.raises(ArchiveError):
                while file.read(1024):
                    pass
    path.write_bytes(b"no archive at all")
    with gencomp.open(path, "rt") as text, pytest.raises(ArchiveError):
        text.read()


@pytest.mark.parametrize("mode", ["a", "ab", "rw", "r+", "", "rbt", "U", "wx"])
def test_other_modes(mode: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mode must be r, w or x"):
        gencomp.open(tmp_path / "a.gcz", mode)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="are of text"):
        gencomp.open(tmp_path / "a.gcz", "rb", encoding="utf-8")
    assert names(tmp_path) == []


def test_file_objects_stay_open(book: bytes) -> None:
    sink = io.BytesIO(b"before ")
    sink.seek(7)
    with gencomp.open(sink, "wb", FAST) as file:
        file.write(book[:3000])
    assert sink.getvalue().startswith(b"before ")
    sink.seek(7)
    with gencomp.open(sink, "rb") as file:
        assert file.read() == book[:3000]
        assert file.seek(5) == 5
        assert file.read(3) == book[5:8]
    assert not sink.closed
    with pytest.raises(ValueError, match="closed"):
        file.read()


def test_closed_files(tmp_path: Path) -> None:
    file = gencomp.open(tmp_path / "a.gcz", "wb", FAST)
    file.close()
    file.close()
    with pytest.raises(ValueError, match="closed"):
        file.write(b"x")
    assert gencomp.decompress((tmp_path / "a.gcz").read_bytes()) == b""


def test_gcz_words() -> None:
    assert translated([]) == ["compress", "-q"]
    assert translated(["-d"]) == ["decompress", "-q"]
    assert translated(["-1", "file"]) == ["compress", "-q", "-1", "file"]


@pytest.fixture
def gcz(tmp_path: Path) -> Path:
    """Return a program that does what the installed gcz does."""
    if shutil.which("tar") is None:
        pytest.skip("there is no tar")
    script = tmp_path / "gcz"
    script.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom gencomp.cli.gcz import main\nmain()\n"
    )
    script.chmod(0o755)
    return script


def test_tar_takes_gcz_for_its_compressor(gcz: Path, tmp_path: Path, book: bytes) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.txt").write_bytes(book[:3000])
    (folder / "b.bin").write_bytes(bytes(range(256)))
    tar = ["tar", f"--use-compress-program={gcz} -m {FAST}"]
    subprocess.run([*tar, "-cf", "a.tar.gcz", "in"], cwd=tmp_path, check=True)
    assert (tmp_path / "a.tar.gcz").stat().st_size < 4000
    (tmp_path / "out").mkdir()
    tar = ["tar", f"--use-compress-program={gcz}"]
    subprocess.run([*tar, "-xf", "../a.tar.gcz"], cwd=tmp_path / "out", check=True)
    for name in ("a.txt", "b.bin"):
        assert (tmp_path / "out/in" / name).read_bytes() == (folder / name).read_bytes()


def test_tar_is_told_of_a_damaged_archive(gcz: Path, tmp_path: Path, book: bytes) -> None:
    (tmp_path / "cut.tar.gcz").write_bytes(gencomp.compress(book[:3000], FAST)[:-10])
    tar = ["tar", f"--use-compress-program={gcz}", "-tf", "cut.tar.gcz"]
    run = subprocess.run(tar, cwd=tmp_path, capture_output=True, check=False)
    assert run.returncode != 0
    assert b"gencomp: " in run.stderr
