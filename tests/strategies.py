"""Arbitrary inputs: bytes as they come, and bytes with the structure that codecs look for."""

from hypothesis import settings
from hypothesis import strategies as st

runs = st.builds(lambda unit, count: unit * count, st.binary(min_size=1, max_size=8), st.integers(1, 200))
few_symbols = st.text(alphabet="ab\n", max_size=300).map(str.encode)
data = st.one_of(st.binary(max_size=300), runs, few_symbols, st.text(max_size=100).map(str.encode))


def fewer(divisor: int) -> settings:
    """The profile's number of examples, divided: for laws that cost a codec call for every candidate byte."""
    return settings(max_examples=max(5, settings.default.max_examples // divisor))
