"""What is said, and what may be done, where an archive's model computes otherwise; archives of one's own objects."""

import io

import numpy as np
import pytest

import gencomp
from gencomp.archive.environment import advice, difference, install_line
from gencomp.archive.reader import list_members
from gencomp.errors import ArchiveError, ModelMismatchError
from gencomp.predictors.counts import Counts
from tests.equivalence.test_own_models import Recent

HERE = {"torch": "2.13.0+cpu", "transformers": "5.24.0", "processor": "znver3", "expert": {"tokenizers": "0.23.3"}}
TEXT = np.random.default_rng(0).integers(97, 101, 60, dtype=np.uint8).tobytes()


def test_only_what_differs_is_told() -> None:
    there = HERE | {"torch": "2.9.1", "processor": "sapphirerapids"}
    assert difference(there, HERE) == (
        "made with processor sapphirerapids, torch 2.9.1, found processor znver3, torch 2.13.0+cpu"
    )
    assert difference(HERE | {"expert": {"tokenizers": "0.1"}}, HERE) == (
        "made with expert tokenizers 0.1, found expert tokenizers 0.23.3"
    )


def test_what_an_archive_does_not_say_is_told() -> None:
    old = {"torch": "2.13.0+cpu", "transformers": "5.24.0"}
    assert difference(old, HERE) == (
        "made with what is found here, as far as the archive says: torch 2.13.0+cpu, transformers 5.24.0, "
        "it does not say its expert tokenizers, processor"
    )
    assert difference(None, HERE) == "made with an unnamed environment"
    assert difference({"instructions": "x" * 90}, {"instructions": "x" * 91}).startswith("made with instructions xxx")
    assert difference({"gone": "1"}, {}) == "made with gone 1, found gone none"


def test_the_install_line_has_what_differs() -> None:
    there = HERE | {"torch": "2.9.1+cu126", "expert": {"tokenizers": "0.22.0"}, "zlib": "1.2", "processor": "x"}
    assert install_line(there, HERE) == "pip install tokenizers==0.22.0 torch==2.9.1"
    assert install_line(HERE | {"processor": "x"}, HERE) is None
    assert install_line({"torch": "; rm -r /"}, HERE) is None
    assert advice(there, HERE).startswith("run: pip install tokenizers==0.22.0 torch==2.9.1; or let try_anyway=True")
    assert advice(HERE, HERE).startswith("decode it where it was made; or let try_anyway=True decode")
    assert len(difference({"torch": "9" * 10_000}, HERE)) < 300
    for made_up in (dict.fromkeys(map(str, range(5000)), 1), {"x" * 9000: {"\n": "\n" * 9000}}, {"a\x1b": "\r\n"}):
        told = f"{difference(made_up, HERE)}; {advice(made_up, HERE)}"
        assert len(told) < 700
        assert told.isprintable()
    assert " and 4," in difference(dict.fromkeys(map(str, range(5000)), 1), HERE)


def test_another_revision_is_tried_if_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    archive = gencomp.compress(TEXT, "counts:2")
    monkeypatch.setattr(Counts, "revision", 99)
    with pytest.raises(ModelMismatchError, match="made with revision .* or let try_anyway=True decode"):
        gencomp.decompress(archive)
    assert gencomp.decompress(archive, try_anyway=True) == TEXT


def test_lanes_that_are_none_are_refused() -> None:
    from gencomp.archive.models import check_canary

    model = gencomp.as_predictor("gzip")
    for lanes in ("1", [1, 2, 3], [True], [1.0], {"1": 1}):
        with pytest.raises(ArchiveError, match="the lanes of its canary are not a short list of integers"):
            check_canary({"numeric": "environment", "canary": "0", "lanes": lanes}, model)


class Letters:
    """A codec whose lengths take no time: the letters a to d in two bits each, anything else as it is."""

    def compress(self, data: bytes) -> bytes:
        if set(data) - set(b"abcd"):
            return b"\0" + data
        number = int("1" + data.translate(bytes.maketrans(b"abcd", b"0123")).decode(), 4)
        return b"\1" + number.to_bytes(len(data) // 4 + 1, "big")

    def decompress(self, blob: bytes) -> bytes:
        if blob[:1] == b"\0":
            return blob[1:]
        number, letters = int.from_bytes(blob[1:], "big"), bytearray()
        while number > 1:
            letters.append(b"abcd"[number % 4])
            number //= 4
        return bytes(letters[::-1])

    def code_length(self, data: bytes) -> float:
        return 8.0 * len(self.compress(data))


@pytest.mark.parametrize("model", [Recent(window=400), Letters()])
def test_an_archive_of_an_object_is_read_with_the_object(model: object) -> None:
    archive = gencomp.compress(TEXT, model)
    described = list_members(io.BytesIO(archive))[0].header.metadata["model"]
    assert described["object"] == f"{type(model).__module__}.{type(model).__name__}"
    assert gencomp.decompress(archive, model=model) == TEXT
    for chosen in (None, "counts"):
        with pytest.raises(
            ModelMismatchError, match=rf"an object of the class .*{type(model).__name__}.*in Python, by"
        ):
            gencomp.decompress(archive, model=chosen)
    with pytest.raises(ModelMismatchError, match="computes differently here"):
        gencomp.decompress(archive, model=Recent(window=3))
    with pytest.raises(ModelMismatchError, match="was made with model='counts:6', not 'tests.*Recent'"):
        gencomp.decompress(gencomp.compress(TEXT, "counts:6"), model=Recent())
