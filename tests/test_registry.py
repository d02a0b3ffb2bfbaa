import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gencomp import registry
from gencomp.contract import CAPABILITIES, complaints
from gencomp.errors import GencompError, MissingExtraError, SpecError
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
    alphabet_size: ClassVar[int] = 256

    def begin(self, context: Sequence[int] = ()) -> "ExampleState":
        return ExampleState()


class ExampleState:
    def code_lengths(self) -> np.ndarray:
        return np.full(256, 8.0)

    def update(self, symbol: int) -> None:
        pass

    def copy(self) -> Self:
        return self


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
        ("mix?state=a%00b", "contains a zero byte"),
        ("counts:%00", "contains a zero byte"),
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
    with pytest.raises(ModelMismatchError, match="of the package good-package; if you trust it, say model="):
        load_described(description)


class Codec:
    """Has what a codec needs, and nothing more."""

    def compress(self, data: bytes) -> bytes:
        return data

    def decompress(self, blob: bytes) -> bytes:
        return blob

    def code_length(self, data: bytes) -> float:
        return 8.0 * len(data)

    def code_length_in_nats(self, data: bytes) -> float:  # a name of its own
        return 0.69 * self.code_length(data)


class Misspelt(Codec):
    def begin_scorring(self, prefix: bytes = b"") -> None: ...


class Underscored(Codec):
    def _begin_scorring(self, prefix: bytes = b"") -> None: ...


class Half(Example):
    def encode_block(self, data: bytes) -> bytes:
        return data


class Empty:
    pass


class ChargesMore(ExampleState):
    def charges(self, data: bytes) -> None: ...


class WithState(Example):
    def begin(self, context: Sequence[int] = ()) -> ChargesMore:
        return ChargesMore()


class NoCopy:
    def code_lengths(self) -> np.ndarray:
        return np.full(256, 8.0)

    def update(self, symbol: int) -> None: ...


class WithHalfState(Example):
    def begin(self, context: Sequence[int] = ()) -> NoCopy:
        return NoCopy()


def made(level: int = 1) -> Misspelt:
    return Misspelt()


CLAIMS = {
    "Misspelt": ("compressor", r"Misspelt.begin_scorring is not a capability; did you mean begin_scoring\?"),
    "made": ("compressor", "Misspelt.begin_scorring is not a capability"),
    "Half": ("predictor", "Half has encode_block but no decode_block: FusedCoding is both"),
    "Empty": ("compressor", "Empty has no compress, which a compressor needs; Empty has no decompress"),
    "Codec": ("predictor", "Codec has no begin, which a predictor needs"),
    "WithState": ("predictor", r"ChargesMore.charges is not a capability; did you mean charge\?"),
    "WithHalfState": ("predictor", "NoCopy has no copy, which a PredictorState needs"),
    "Missing": ("predictor", "cannot be loaded from .*Missing"),
}


@pytest.mark.parametrize(("name", "told"), CLAIMS.items())
def test_what_a_class_falls_short_of_is_told_at_registration(
    name: str, told: tuple[registry.Kind, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_ENTRIES", dict(registry._ENTRIES))
    kind, complaint = told
    with pytest.raises(ValueError, match=complaint):
        register(Entry("mine", kind, f"{__name__}:{name}", ""))
    with pytest.raises(SpecError, match="unknown model or codec 'mine'"):
        load("mine")


@pytest.mark.parametrize("name", ["Codec", "Underscored"])
def test_names_of_ones_own_are_no_claims(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_ENTRIES", dict(registry._ENTRIES))
    register(Entry("mine", "compressor", f"{__name__}:{name}", ""))
    assert isinstance(load("mine"), Codec)


def test_another_packages_class_is_looked_at_when_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [_Point("mine", f"{__name__}:Misspelt", "other-package")]
    monkeypatch.setattr(
        "importlib.metadata.entry_points", lambda group: points if group == "gencomp.compressors" else []
    )
    registry._plugins.cache_clear()
    try:
        with pytest.raises(GencompError, match=r"mine of .*:Misspelt is refused: .* did you mean begin_scoring"):
            load("mine")
    finally:
        monkeypatch.undo()
        registry._plugins.cache_clear()


def test_own_classes_claim_what_they_have() -> None:
    for entry in entries():
        try:
            factory = registry._imported(entry)
        except MissingExtraError:
            continue
        assert complaints(entry.kind, factory, registry.options_of(factory)) == [], entry.name
    assert CAPABILITIES["FusedCoding"] == ["decode_block", "encode_block"]
    assert "SymbolCosts" not in CAPABILITIES
