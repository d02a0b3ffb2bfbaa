import pytest
from hypothesis import given
from hypothesis import strategies as st

from gencomp.coding.varint import read_varint, varint
from gencomp.errors import CorruptDataError


@given(st.integers(0, (1 << 63) - 1), st.binary(max_size=3))
def test_round_trip(value: int, rest: bytes) -> None:
    encoded = varint(value)
    assert read_varint(encoded + rest, 0) == (value, len(encoded))


def test_worked_example() -> None:
    assert varint(300) == bytes([0b10101100, 0b00000010])


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff" * 10])
def test_incomplete(data: bytes) -> None:
    with pytest.raises(CorruptDataError):
        read_varint(data, 0)
