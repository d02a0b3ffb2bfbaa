import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gencomp import registry
from gencomp.archive.models import load_described
from gencomp.equivalence.nested import joined, separated
from gencomp.errors import ModelMismatchError, SpecError
from gencomp.registry import Spec, load, spec_of

EXAMPLES = {
    "gzip": ("gzip",),
    "gzip+level=6,lzma+preset=3+lc=2,mix": ("gzip?level=6", "lzma?preset=3&lc=2", "mix"),
    "counts:2,hf:some/model": ("counts:2", "hf:some/model"),
    "lookahead:[gzip+level=6]+horizon=4,mix": ("lookahead:gzip+level=6?horizon=4", "mix"),
    "ensemble:[gzip,mix]+windows=[64,128]": ("ensemble:gzip,mix?windows=64,128",),
    "a:[b:[c+x=1]+y=2]+z=3": ("a:b:[c+x=1]+y=2?z=3",),
}


@pytest.mark.parametrize(("argument", "specs"), EXAMPLES.items())
def test_examples(argument: str, specs: tuple[str, ...]) -> None:
    assert separated(argument) == specs
    assert joined(specs) == argument


values = st.text(alphabet="ab:=/%?&+,é ", max_size=6)


@given(
    st.lists(st.builds(Spec, st.just("name"), st.one_of(st.none(), values), st.dictionaries(st.just("key"), values)))
)
def test_any_specs_survive(specs: list[Spec]) -> None:
    texts = tuple(map(str, specs)) or ("x",)
    assert separated(joined(texts)) == texts


@pytest.mark.parametrize("argument", ["", "gzip,", ",gzip", "gzip+", "a:[b", "a]b", "a:]b["])
def test_arguments_that_name_nothing(argument: str) -> None:
    with pytest.raises(SpecError, match=r"does not name models|do not pair"):
        separated(argument)


def test_specs_of_specs_rebuild_the_model() -> None:
    model = load("ensemble:lookahead:[gzip+level=3]+horizon=4,ensemble:[counts:1,counts:3]?windows=64,256")
    assert load(spec_of(model)) == model
    assert load(spec_of(model, full=True)) == model
    assert "%" not in spec_of(model, full=True)


@pytest.mark.parametrize(
    "spec", ["ensemble:counts:1,stranger", "ensemble?members=stranger", "lookahead:[stranger+x=1]"]
)
def test_an_archive_cannot_name_another_package_inside_a_spec(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = registry.Entry("stranger", "predictor", "evil:Evil", "from evil", None, "evil")
    monkeypatch.setitem(registry._ENTRIES, "stranger", entry)
    with pytest.raises(ModelMismatchError, match="of the package evil; if you trust it"):
        load_described({"spec": spec})
    assert "evil" not in sys.modules


def test_specs_are_not_nested_without_end() -> None:
    with pytest.raises(ModelMismatchError, match="nested deeper than 8 levels"):
        load_described({"spec": "lookahead:" * 5000 + "gzip"})
