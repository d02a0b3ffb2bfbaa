import pytest

from gencomp.units import bits_per_byte, parse_size


def test_rates() -> None:
    assert bits_per_byte(16, 8) == 2.0
    assert bits_per_byte(16, 0) == 0.0


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("4096", 4096), ("64KiB", 65536), ("1M", 10**6), ("2mb", 2 * 10**6), ("1GiB", 1 << 30)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5M", "1Q", "K"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a size such as"):
        parse_size(text)
