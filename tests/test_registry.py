import sys
from dataclasses import dataclass
from typing import ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gencomp import registry
from gencomp.errors import MissingExtraError, SpecError
from gencomp.registry import Entry, Spec, entries, find_entry, load, parse_spec, register, resolve, spec_of


@dataclass(frozen=True)
class Example:
    """A predictor's options of every type."""

    path: str = "none"
    order: int = 2
    rate: float = 0.5
    fast: bool = False
    mode: Literal["a", "b"] = "a"
    limit: int | None = None

    spec_argument: ClassVar[str] = "path"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_ENTRIES", dict(registry._ENTRIES))
    register(Entry("example", "predictor", f"{__name__}:Example", "for tests"))


def test_parse() -> None:
    assert parse_spec("gzip") == Spec("gzip", None, {})
    assert parse_spec("lzma?preset=6&lc=0") == Spec("lzma", None, {"preset": "6", "lc": "0"})
    assert parse_spec("hf:path/to/folder?dtype=x") == Spec("hf", "path/to/folder", {"dtype": "x"})
    assert parse_spec("a:b%3Fc") == Spec("a", "b?c", {})


@given(st.text(min_size=1), st.text(min_size=1))
def test_any_argument_and_value_survive(argument: str, value: str) -> None:
    spec = Spec("name", argument, {"key": value})
    assert parse_spec(str(spec)) == spec


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no name"),
        ("?level=3", "no name"),
        ("gzip?", "not of the form key=value"),
        ("mix?state=a%00b", "holds a zero byte"),
        ("counts:%00", "holds a zero byte"),
        ("gzip?level", "not of the form key=value"),
        ("gzip?level=3&level=4", "twice"),
        ("gzp", "did you mean gzip"),
        ("quantum", "unknown model or codec 'quantum'; `gencomp list`"),
        ("gzip?levle=3", "did you mean level"),
        ("gzip?level=x", "level must be an integer, got 'x'"),
        ("gzip?level=0", "level must be from 1 to 9, got 0"),
        ("gzip:9", "takes no argument"),
        ("zstd?checksum=1", "must be true or false"),
        ("brotli?mode=fast", "must be one of generic, text, font"),
        ("counts:3?order=2", "twice"),
        ("lzma?lc=4&lp=1", "lc \\+ lp must be at most 4"),
    ],
)
def test_what_is_wrong_is_said(text: str, complaint: str) -> None:
    with pytest.raises(SpecError, match=complaint):
        load(text)


def test_every_type_of_option(example: None) -> None:
    spec = "example:some/where?order=3&rate=0.25&fast=true&mode=b&limit=7"
    assert load(spec) == Example("some/where", 3, 0.25, True, "b", 7)
    assert spec_of(load(spec)) == spec
    assert load("example?limit=none") == Example()
    assert spec_of(Example()) == "example"
    full = spec_of(Example(), full=True)
    assert full == "example:none?order=2&rate=0.5&fast=false&mode=a"
    assert load(full) == Example()


def test_an_object_without_a_name_has_no_spec() -> None:
    with pytest.raises(ValueError, match="has no spec"):
        spec_of(Example())


def test_names_are_never_replaced(example: None) -> None:
    with pytest.raises(ValueError, match="'gzip' is taken by gencomp.compressors.deflate:Gzip of gencomp"):
        register(Entry("gzip", "compressor", "elsewhere:Gzip", ""))
    with pytest.raises(ValueError, match="is taken"):
        register(Entry("example", "compressor", "elsewhere:X", ""))


def test_a_missing_extra_names_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyppmd", None)
    monkeypatch.delitem(sys.modules, "gencomp.compressors.ppmd", raising=False)
    with pytest.raises(MissingExtraError, match=r"pip install 'gencomp\[ppmd\]'"):
        load("ppmd")


class _Distribution:
    def __init__(self, name: str) -> None:
        self.name = name


class _Point:
    def __init__(self, name: str, value: str, owner: str) -> None:
        self.name, self.value, self.dist = name, value, _Distribution(owner)


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three other packages: one well-behaved, two that claim the same name, one that claims a built-in one."""
    points = [
        _Point("example", f"{__name__}:Example", "good-package"),
        _Point("twice", "x:Y", "one-package"),
        _Point("twice", "z:Y", "other-package"),
        _Point("gzip", "evil:Gzip", "evil-package"),
    ]
    monkeypatch.setattr(
        "importlib.metadata.entry_points", lambda group: points if group == "gencomp.predictors" else []
    )
    registry._plugins.cache_clear()
    yield
    monkeypatch.undo()
    registry._plugins.cache_clear()


def test_other_packages_add_names_and_take_none(plugins: None) -> None:
    assert load("example?order=5") == Example(order=5)
    assert [entry.name for entry in entries()][-1] == "example"
    assert find_entry("example").distribution == "good-package"
    assert find_entry("gzip").distribution == "gencomp"
    assert resolve(find_entry("gzip")).__name__ == "Gzip"
    with pytest.raises(SpecError, match=r"claimed by several packages \(one-package, other-package\)"):
        load("twice")
    refused = registry.refused_plugins()
    assert len(refused) == 2
    assert "'gzip' of evil-package: the name belongs to gencomp" in refused


def test_an_archive_cannot_load_another_packages_model(plugins: None) -> None:
    from gencomp.archive.models import load_described
    from gencomp.errors import ModelMismatchError

    description = {"spec": "example:none", "numeric": "integer", "revision": 1}
    with pytest.raises(ModelMismatchError, match="of the package good-package; if you trust it, add -m"):
        load_described(description)
