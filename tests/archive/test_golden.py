"""Archives of yesterday decode today, and bad ones are refused as their names say."""

from pathlib import Path

import pytest

import gencomp
from gencomp.errors import GencompError
from tests.golden import make

FILES = sorted(make.FOLDER.glob("*.gcz"))


def test_the_list_is_complete() -> None:
    assert {path.name for path in FILES} == set(make.GOOD) | set(make.FORMER) | set(make.bad())


@pytest.mark.parametrize("name", make.GOOD)
def test_good_archives_decode_and_are_made_again(name: str) -> None:
    content, model, block_size = make.GOOD[name]
    archive = (make.FOLDER / name).read_bytes()
    assert gencomp.decompress(archive) == content
    assert gencomp.compress(content, model, block_size=block_size) == archive


@pytest.mark.parametrize("name", make.FORMER)
def test_archives_that_are_made_otherwise_now_decode(name: str) -> None:
    archive = (make.FOLDER / name).read_bytes()
    assert b'"revision":1' in archive
    assert gencomp.decompress(archive) == make.FORMER[name][0]


@pytest.mark.parametrize(
    "path", [path for path in FILES if not path.name.startswith("good-")], ids=lambda path: path.name
)
def test_bad_archives_are_refused(path: Path) -> None:
    with pytest.raises(GencompError) as caught:
        gencomp.decompress(path.read_bytes())
    assert caught.value.exit_code == (4 if path.name.startswith("model-") else 3)
