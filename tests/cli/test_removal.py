"""--rm removes the file that was read, as it was read, once its archive decodes; in any doubt the file stays."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import gencomp
from gencomp.archive import writer
from gencomp.equivalence import capabilities
from tests.cli.test_cli import cli, fails  # noqa: F401

CONTENT = b"the only copy; " * 200


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


def renamed_over(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"something else")
    os.replace(other, path)


def grown(path: Path) -> None:
    with path.open("ab") as sink:
        sink.write(b"a line that came late")


def changed_in_place(path: Path) -> None:
    """Another byte, the same size, and the old time: only the time of the change itself tells."""
    times = path.stat()
    with path.open("r+b") as sink:
        sink.write(b"X")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def cut(path: Path) -> None:
    os.truncate(path, 10)


def another_link(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(CONTENT)
    path.unlink()
    path.symlink_to(other)


def gone(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    ("happens", "complaint"),
    [
        (renamed_over, "another file has its name now, so --rm keeps it"),
        (another_link, "another file has its name now, so --rm keeps it"),
        (grown, "bytes were read, so --rm keeps it"),
        (changed_in_place, "it has changed in the meantime, so --rm keeps it"),
        (cut, "it has changed in the meantime, so --rm keeps it"),
        (gone, "No such file"),
    ],
)
@pytest.mark.parametrize("command", ["compress", "decompress"])
def test_a_file_that_is_not_the_one_read_stays(
    command: str,
    happens: Callable[[Path], None],
    complaint: str,
    cli,  # type: ignore[no-untyped-def]  # noqa: F811
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if command == "decompress":
        file.write_bytes(gencomp.compress(CONTENT, "counts:1"))
    original = os.link

    def link(*names: str) -> None:
        """The output gets its name: the moment before the input is looked at again."""
        original(*names)
        happens(file)

    monkeypatch.setattr(os, "link", link)
    model = ("-m", "counts:1") if command == "compress" else ()
    fails(cli(command, "-q", "--rm", "file", "-o", "out", *model), 1, "file: ", complaint)
    assert file.exists() or happens is gone
    out = (tmp_path / "out").read_bytes()
    assert (gencomp.decompress(out) if command == "compress" else out) == CONTENT


def test_a_file_that_stays_what_it_is_goes(cli, file: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]  # noqa: F811
    file.chmod(0o640)
    assert cli("compress", "-q", "--rm", "file").code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["file.gcz"]
    assert cli("decompress", "-q", "--rm", "file.gcz").code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert file.read_bytes() == CONTENT
    assert file.stat().st_mode & 0o777 == 0o640
    (tmp_path / "link").symlink_to(file)
    assert cli("compress", "-q", "--rm", "link").code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link.gcz"]


def test_only_regular_files_are_removed(cli, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]  # noqa: F811
    os.mkfifo(tmp_path / "pipe")
    descriptor = os.open(tmp_path / "pipe", os.O_RDWR)
    fails(cli("compress", "-q", "--rm", "pipe"), 2, "--rm removes regular files only; pipe is not one")
    os.close(descriptor)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_what_does_not_decode_is_not_written_that_way(
    cli,  # type: ignore[no-untyped-def]  # noqa: F811
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A model whose decoder is wrong costs compression, not data: every block is decoded before the input goes."""
    decoded = []

    def wrong(model: object, payload: bytes, size: int) -> bytes:
        decoded.append(size)
        return bytes(size)

    monkeypatch.setattr(writer, "decode_block", wrong)
    result = cli("compress", "-q", "--rm", "file", "-m", "counts:1")
    assert result.code == 0
    assert "block 0 is deflate: the model's code does not decode to the same bytes" in result.err
    assert decoded == [len(CONTENT)]
    assert gencomp.decompress((tmp_path / "file.gcz").read_bytes()) == CONTENT
    assert not file.exists()
    file.write_bytes(CONTENT)
    assert cli("compress", "-q", "-f", "--rm", "--no-verify", "file", "-m", "counts:1").code == 0
    assert decoded == [len(CONTENT)], "who says --no-verify is heard"
    assert capabilities.decode_block is not wrong


def test_without_removal_integer_models_are_not_verified(cli, file: Path, book: bytes) -> None:  # type: ignore[no-untyped-def]  # noqa: F811
    file.write_bytes(book[:5000])
    for options, verified in (((), "0"), (("--verify",), "1"), (("--rm", "-k"), "0"), (("--rm",), "1")):
        assert cli("compress", "-q", "-f", "file", "-m", "counts:3", *options).code == 0
        assert f"verified_blocks     {verified}" in cli("info", "file.gcz").text
