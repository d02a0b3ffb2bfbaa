import errno
import io
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

import gencomp
from gencomp.archive.reader import list_members, read_archive
from gencomp.archive.writer import write_archive
from gencomp.equivalence.adapt import as_predictor
from gencomp.files import (
    WholeWriter,
    check_new,
    discard_unfinished,
    expanded,
    flush_fully,
    in_full,
    new_file,
    new_name,
    read_fully,
    write_fully,
)

as_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")


class Hesitant(io.RawIOBase):
    """A raw stream that is not ready every other time, and else moves a few bytes, as a pipe may."""

    def __init__(self, content: bytes = b"", step: int = 3) -> None:
        self.rest, self.step, self.ready = content, step, False
        self.taken = bytearray()

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def _turn(self) -> bool:
        self.ready = not self.ready
        return self.ready

    def read(self, size: int = -1) -> bytes | None:
        if self._turn():
            return None
        count = min(self.step, len(self.rest) if size < 0 else size)
        part, self.rest = self.rest[:count], self.rest[count:]
        return part

    def write(self, data: object) -> int | None:
        if self._turn():
            return None
        part = bytes(memoryview(data)[: self.step])  # type: ignore[arg-type]
        self.taken += part
        return len(part)


class Full(io.BufferedIOBase):
    """A buffered stream that takes four bytes, and then must wait."""

    def __init__(self) -> None:
        self.taken = bytearray()
        self.flushes = 0

    def write(self, data: object) -> int:
        part = bytes(memoryview(data)[:4])  # type: ignore[arg-type]
        self.taken += part
        if len(part) < len(memoryview(data)):  # type: ignore[arg-type]
            raise BlockingIOError(errno.EAGAIN, "full", len(part))
        return len(part)

    def flush(self) -> None:
        self.flushes += 1
        if self.flushes < 3:
            raise BlockingIOError(errno.EAGAIN, "not yet", 0)


def test_reads_go_on_until_there_is_all_or_an_end() -> None:
    assert read_fully(Hesitant(b"0123456789"), 7) == b"0123456"
    assert read_fully(Hesitant(b"0123456789"), 70) == b"0123456789"
    assert read_fully(Hesitant(b"0123456789")) == b"0123456789"
    source = Hesitant(b"0123456789")
    assert [read_fully(source, 4) for _ in range(4)] == [b"0123", b"4567", b"89", b""]
    assert read_fully(io.BytesIO(b"abc"), 0) == b""


def test_writes_go_on_until_all_is_taken() -> None:
    sink = Hesitant()
    assert write_fully(sink, b"0123456789") == 10
    assert sink.taken == b"0123456789"
    full = Full()
    assert write_fully(full, b"0123456789") == 10
    assert full.taken == b"0123456789"
    flush_fully(full)
    assert full.flushes == 3
    lines = io.TextIOWrapper(WholeWriter(io.TextIOWrapper(raw := Hesitant(), write_through=True)), write_through=True)
    print("a line that does not fit at once", file=lines, flush=True)
    assert raw.taken == b"a line that does not fit at once\n"


def test_a_sink_that_takes_nothing_is_an_error() -> None:
    class Broken(io.RawIOBase):
        def write(self, data: object) -> int:
            return 0

    with pytest.raises(OSError, match="takes no more bytes"):
        write_fully(Broken(), b"abc")

    class Uncounted:
        def write(self, data: bytes) -> None:
            self.data = data

    sink = Uncounted()
    assert write_fully(sink, b"abc") == 3  # type: ignore[arg-type]
    assert sink.data == b"abc"


def test_archives_from_and_to_streams_that_hesitate(book: bytes) -> None:
    model, content = as_predictor("counts:1"), book[:5000]
    sink = Hesitant(step=700)
    summary = write_archive(Hesitant(content, 700), sink, model, block_size=1024)
    assert (summary.raw_total, summary.archive_size) == (5000, len(sink.taken))
    back = Hesitant(step=700)
    assert read_archive(Hesitant(bytes(sink.taken), 300), back.write) == 5000
    assert back.taken == content
    (member,) = list_members(Hesitant(bytes(sink.taken), 300))
    assert member.trailer.raw_total == 5000
    got = []
    assert in_full(got.append) == got.append  # a function of somebody's own is called as it is


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for descriptor in (reading, writing):
        try:
            os.close(descriptor)
        except OSError:
            continue


def test_descriptors_that_do_not_block(pipe: tuple[int, int]) -> None:
    import threading

    reading, writing = pipe
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    content = bytes(range(256)) * 1024  # four times what a pipe holds
    found = []
    with (
        os.fdopen(os.dup(reading), "rb") as source,
        os.fdopen(os.dup(writing), "wb", buffering=0) as raw,
        os.fdopen(os.dup(writing), "wb") as buffered,
    ):
        os.close(writing)
        thread = threading.Thread(target=lambda: found.append(read_fully(source)))
        thread.start()
        for sink in (raw, buffered):
            assert write_fully(sink, content) == len(content)
        flush_fully(buffered)
        raw.close()
        buffered.close()
        thread.join(60)
    assert found == [content * 2]


def test_a_file_appears_whole_and_synced(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with new_file(path) as file:
        file.write(b"content")
        assert not path.exists()
        (temporary,) = tmp_path.iterdir()
        assert temporary.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes() == b"content"
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_an_exception_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), new_file(path, overwrite=True) as file:
        file.write(b"new")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_a_process_that_ends_at_once_leaves_no_temporary_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), new_file(tmp_path / "a") as file:
        file.write(b"new")
        discard_unfinished()
        assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(FileExistsError, match="replace it with overwrite=True"), new_file(path):
        raise AssertionError("not reached")
    with pytest.raises(FileExistsError, match="replace it with overwrite=True"):
        check_new(path, overwrite=False)
    check_new(path, overwrite=True)
    check_new(tmp_path / "new", overwrite=False)
    assert not (tmp_path / "new").exists()
    other = tmp_path / "b"
    with pytest.raises(FileExistsError), new_file(other) as file:
        file.write(b"mine")
        other.write_bytes(b"somebody else's, meanwhile")
    assert other.read_bytes() == b"somebody else's, meanwhile"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a", "b"]


def test_files_that_others_write_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with new_name(path) as temporary:
        temporary.write_bytes(b"one")
        assert not path.exists()
    with pytest.raises(FileExistsError), new_name(path):
        raise AssertionError("not reached")
    with new_name(path, overwrite=True) as temporary, new_file(temporary, overwrite=True) as file:
        file.write(b"two")
    assert path.read_bytes() == b"two"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_a_file_that_takes_anothers_place_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(0o600)
    with new_file(path, overwrite=True) as file:
        file.write(b"new")
    assert path.stat().st_mode & 0o777 == 0o600


def liked(tmp_path: Path, model: Path) -> Path:
    """Return a new file made like another; see that nobody could read it before it was done."""
    path = tmp_path / "made"
    with model.open("rb") as source, new_file(path, overwrite=True, like=source.fileno()) as file:
        file.write(b"x")
        (temporary,) = tmp_path.glob(".*.part")
        assert temporary.stat().st_mode & 0o777 == 0o600
    return path


def test_mode_and_times_are_anothers(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.write_bytes(b"model")
    for mode in (0o600, 0o644, 0o400, 0o6755):
        model.chmod(mode)
        os.utime(model, ns=(10**18, 10**18 + 7))
        made = liked(tmp_path, model).stat()
        assert made.st_mode & 0o7777 == mode & 0o777
        assert made.st_mtime_ns == 10**18 + 7


@as_root
def test_the_owner_is_kept(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.write_bytes(b"secret")
    os.chown(model, 1234, 2345)
    model.chmod(0o600)
    made = liked(tmp_path, model).stat()
    assert (made.st_uid, made.st_gid, made.st_mode & 0o777) == (1234, 2345, 0o600)
    with new_file(model, overwrite=True) as file:
        file.write(b"another secret")
    assert (model.stat().st_uid, model.stat().st_gid, model.stat().st_mode & 0o777) == (1234, 2345, 0o600)


@as_root
@pytest.mark.parametrize(("mode", "made"), [(0o640, 0o600), (0o664, 0o644), (0o604, 0o600), (0o755, 0o755)])
def test_a_group_that_cannot_be_kept_gets_nothing_that_was_not_everybodys(
    mode: int, made: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "model"
    model.write_bytes(b"secret")
    os.chown(model, 1234, 2345)
    model.chmod(mode)

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "not root")

    monkeypatch.setattr(os, "fchown", refuse)
    assert liked(tmp_path, model).stat().st_mode & 0o777 == made


ACCESS_LIST = "system.posix_acl_access"


def access_list(*entries: tuple[int, int, int]) -> bytes:
    """Return (tag, permissions, id) entries as the kernel keeps them."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


# the owner reads and writes; user 1234 reads; the group does nothing, though its bits, the mask, say that it reads
FOR_ONE_USER = access_list(
    (0x01, 6, 0xFFFFFFFF), (0x02, 4, 1234), (0x04, 0, 0xFFFFFFFF), (0x10, 4, 0xFFFFFFFF), (0x20, 0, 0xFFFFFFFF)
)


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    model = tmp_path / "model"
    model.write_bytes(b"secret")
    try:
        os.setxattr(model, ACCESS_LIST, FOR_ONE_USER)
    except (AttributeError, OSError):
        pytest.skip("no access control lists here")
    assert model.stat().st_mode & 0o777 == 0o640
    return model


def test_access_lists_go_over(listed: Path, tmp_path: Path) -> None:
    assert os.getxattr(liked(tmp_path, listed), ACCESS_LIST) == FOR_ONE_USER


def test_an_access_list_that_cannot_be_kept(listed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOTSUP, "no lists there")

    monkeypatch.setattr(os, "setxattr", refuse)
    assert liked(tmp_path, listed).stat().st_mode & 0o777 == 0o600


def test_a_folders_default_list_does_not_widen(listed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    os.setxattr(folder, "system.posix_acl_default", FOR_ONE_USER)
    plain = tmp_path / "plain"
    plain.write_bytes(b"x")
    plain.chmod(0o640)
    made = liked(folder, plain)
    assert made.stat().st_mode & 0o777 == 0o640
    with pytest.raises(OSError, match="No data available"):
        os.getxattr(made, ACCESS_LIST)


def test_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    with new_file(tmp_path / "a") as file:
        file.write(b"x")
    assert (tmp_path / "a").read_bytes() == b"x"
    with pytest.raises(FileExistsError), new_file(tmp_path / "b"):
        (tmp_path / "b").write_bytes(b"meanwhile")
    assert (tmp_path / "b").read_bytes() == b"meanwhile"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder" / "target")
    for content in (b"first", b"second"):
        with new_file(tmp_path / "link", overwrite=content == b"second") as file:
            file.write(content)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "folder" / "target").read_bytes() == content


def test_links_that_form_a_loop_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(OSError, match="loop"), new_file(tmp_path / "loop"):
        raise AssertionError("not reached")


def test_a_device_is_written_directly() -> None:
    with new_file(Path("/dev/null")) as file:
        file.write(b"x")
    with new_name(Path("/dev/null")) as name:
        assert name == Path("/dev/null")
    check_new(Path("/dev/null"), overwrite=False)
    assert Path("/dev/null").is_char_device()


def test_a_full_disk_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left"), new_file(Path("/dev/full")) as file:
        write_fully(file, b"x" * 100_000)
    with io.FileIO("/dev/full", "w") as raw, pytest.raises(OSError, match="No space left"):
        write_fully(raw, b"x")


def test_homes() -> None:
    assert expanded("~") == Path.home()
    assert expanded("a/~") == Path("a/~")
    with pytest.raises(FileNotFoundError, match="no such user"):
        expanded("~nosuchuser/data")
    with pytest.raises(OSError, match="zero byte"):
        expanded("a\0b")
    for path in Path(gencomp.__file__).parent.rglob("*.py"):  # which raises RuntimeError where there is no such user
        assert path.name == "files.py" or ".expanduser(" not in path.read_text(encoding="utf-8"), path
