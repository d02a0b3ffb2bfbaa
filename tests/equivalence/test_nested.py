import pytest
from hypothesis import given
from hypothesis import strategies as st

from gencomp.equivalence.nested import joined, separated
from gencomp.errors import SpecError
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
