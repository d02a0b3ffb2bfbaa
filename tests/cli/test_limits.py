"""Limits of memory, work and output on the command line: one line, an exit code, and what to do about it."""

import json
import os
from pathlib import Path

import pytest

import gencomp
from gencomp.archive.models import describe
from gencomp.cli import info
from gencomp.coding.container import BlockType
from gencomp.equivalence.adapt import as_predictor
from gencomp.equivalence.capabilities import encode_block
from gencomp.predictors.mix.predictor import Mix
from tests.archive.test_archive import forged
from tests.archive.test_hostile import claiming, many_blocks, nested
from tests.cli.test_cli import cli as cli  # a fixture
from tests.cli.test_cli import fails


@pytest.mark.parametrize("command", ["decompress", "test"])
@pytest.mark.parametrize(
    ("spec", "size", "option"),
    [
        ("counts:16", 1 << 24, "--max-memory "),
        ("ensemble:[ensemble:counts:6+windows=[4000,4001]]?windows=4000,4001", 4000, "--max-work "),
    ],
)
def test_what_an_archive_may_take(cli, tmp_path: Path, command: str, spec: str, size: int, option: str) -> None:
    (tmp_path / "a.gcz").write_bytes(claiming(spec, size))
    fails(
        cli(command, "a.gcz"),
        1,
        "a.gcz: block 0 of",
        f"by '{spec.partition('?')[0]}",
        "the limit is",
        f"allow it with {option}",
    )
    asked = cli(command, "a.gcz").err.partition(option)[2].split()[0]
    # what it asks for is enough to come to the model's probe, which is another one's
    fails(
        cli(command, "a.gcz", "--max-memory", "1TB", "--max-work", "1e12", option.strip(), asked),
        4,
        "computes differently",
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.gcz"]


def test_limits_are_options(cli, tmp_path: Path, book: bytes) -> None:
    archive = gencomp.compress(book[:3000], "counts:3")
    (tmp_path / "a.gcz").write_bytes(archive)
    for command in ("decompress", "test"):
        fails(
            cli(command, "a.gcz", "--max-memory", "64KiB"),
            1,
            "of memory, the limit is 66 KB; allow it with --max-memory",
        )
        fails(cli(command, "a.gcz", "--max-work", "0.001"), 1, "of one core, the limit is 0.001 seconds; allow it with")
        for value in ("-1", "nan", "soon"):
            fails(cli(command, "a.gcz", "--max-work", value), 2, "--max-work must be a number of seconds, at least 0")
        fails(cli(command, "a.gcz", "--max-memory", "much"), 2, "--max-memory: expected a size")
        assert cli(command, "a.gcz", "-q", "--max-memory", "1MiB", "--max-work", "inf").code == 0
    assert (tmp_path / "a").read_bytes() == book[:3000]


def test_ten_gigabytes_leave_no_file(cli, tmp_path: Path) -> None:
    (tmp_path / "a.gcz").write_bytes(claiming("counts:0", 1 << 24, blocks=640))
    for arguments in (["decompress"], ["test"]):
        fails(cli(*arguments, "a.gcz"), 1, "10,737,418,240 bytes by its trailers, where 8,589,934,592 are allowed")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.gcz"]
    assert cli("info", "a.gcz").code == 0  # which decodes nothing


def test_compress_keeps_to_the_limit_of_memory(cli, tmp_path: Path, book: bytes) -> None:
    (tmp_path / "file").write_bytes(bytes(1 << 24))
    fails(cli("compress", "file", "-m", "counts:16", "--block-size", "16MiB"), 1, "allow it with --max-memory")
    fails(cli("compress", "file", "--max-work", "1"), 1, "file: block 0 of 4,194,304 bytes may take", "--max-work")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_compress_says_what_reading_back_will_ask_for(
    cli, tmp_path: Path, book: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(book[:3000])
    assert "--max-work" not in cli("compress", "file", "-m", "counts:3", "-f").err
    monkeypatch.setattr("gencomp.budget.DEFAULT_WORK", 0.0)
    monkeypatch.setattr("gencomp.budget.WORK_PER_BYTE", 0.0)
    result = cli("compress", "file", "-m", "counts:3", "-f")
    assert "note: reading file.gcz back may take" in result.err
    asked = result.err.partition("--max-work ")[2].split()[0]
    (tmp_path / "file").unlink()
    fails(cli("decompress", "file.gcz"), 1, "--max-work")
    assert cli("decompress", "file.gcz", "-q", "--max-work", asked).code == 0
    assert (tmp_path / "file").read_bytes() == book[:3000]


@pytest.mark.parametrize("strategy", ["beam", "particles"])
def test_wide_searches(cli, strategy: str, tmp_path: Path) -> None:
    wide = ["sample", "--prompt", "the cat", "-n", "2", "--strategy", strategy, "--width", "100000000"]
    fails(
        cli(*wide, "--save-state", "state"), 1, f"drawing 2 bytes after 7 by {strategy} of width 100,000,000 may take"
    )
    assert not (tmp_path / "state").exists()
    fails(cli("sample", "-m", "lookahead:gzip", "-n", "9", "--max-work", "0.1"), 1, "allow it with --max-work")
    narrow = [
        "sample",
        "--prompt",
        "",
        "-m",
        "counts:1",
        "-n",
        "2",
        "--strategy",
        strategy,
        "--width",
        "3",
        "--max-memory",
        "1MiB",
    ]
    assert len(cli(*narrow).out) == 2


@pytest.mark.parametrize("form", ["mix?expert=[{}]", "ensemble:[{}]", "lookahead:[{}]"])
def test_two_hundred_levels(cli, tmp_path: Path, form: str) -> None:
    (tmp_path / "file").write_bytes(b"x")
    spec = nested(200, form)
    for command in (["compress", "file"], ["sample", "-n", "1"], ["score", "file"]):
        fails(cli(*command, "-m", spec), 2, "is nested deeper than 8 levels")


def test_states_are_named_by_the_user(cli, tmp_path: Path) -> None:
    data = b"the cat sat on the mat"
    Mix(1).begin(data).save(tmp_path / "state")
    model = as_predictor("mix?state=state")
    archive = forged({"model": describe(model)}, [(BlockType.MODEL, encode_block(model, data), data)])
    (tmp_path / "a.gcz").write_bytes(archive)
    fails(
        cli("decompress", "a.gcz"),
        4,
        "made with the state of the digest ",
        ", and it opens nothing on disk by itself",
        "-m 'mix:5?",
    )
    os.mkfifo(tmp_path / "pipe")
    for place, words in (("/dev/zero", "is a device"), ("pipe", "is a pipe"), (".", "is a folder")):
        fails(cli("test", "a.gcz", "-m", f"mix?state={place}"), 4, words, "expected a saved Mix state")
        fails(cli("sample", "-n", "1", "-m", f"mix?state={place}"), 3, words)
    assert cli("decompress", "a.gcz", "-q", "-m", "mix?state=state").code == 0
    assert (tmp_path / "a").read_bytes() == data


def test_info_counts_blocks_and_bounds_members(
    cli, tmp_path: Path, book: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.gcz").write_bytes(b"".join(many_blocks(3000)))
    (record,) = json.loads(cli("info", "--json", "a.gcz").text)["members"]
    assert (record["blocks"], record["raw_bytes"], record["verified_blocks"]) == ({"stored": 3000}, 3000, 0)
    monkeypatch.setattr(info, "MAX_MEMBERS", 3)
    (tmp_path / "a.gcz").write_bytes(gencomp.compress(book[:20]) * 4)
    fails(cli("info", "a.gcz"), 1, "a.gcz: it has more than 3 members")
