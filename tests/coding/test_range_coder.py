from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gencomp.coding import range_coder
from gencomp.coding.quantize import cdf_from_weights
from gencomp.coding.range_coder import RangeDecoder, RangeEncoder
from gencomp.errors import CorruptDataError


@st.composite
def messages(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Symbols, and one cdf for all or one each, of any alphabet and precision."""
    alphabet_size = draw(st.sampled_from([2, 3, 17, 256, 1000]))
    precision = draw(st.integers(max(2, (alphabet_size - 1).bit_length() + 1), 30))
    count = draw(st.integers(0, 60))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    rows = 1 if draw(st.booleans()) else max(1, count)
    skew = draw(st.sampled_from([0.5, 4.0, 20.0]))
    weights = (rng.random((rows, alphabet_size)) ** skew * (1 << 30)).astype(np.int64) + 1
    cdfs = np.stack([cdf_from_weights(row, precision) for row in weights])
    return rng.integers(0, alphabet_size, count), cdfs


def encoded(symbols: np.ndarray, cdfs: np.ndarray) -> tuple[bytes, int]:
    encoder = RangeEncoder()
    encoder.encode(symbols, cdfs)
    return encoder.finish(), encoder.num_bits


@given(messages())
def test_round_trip_within_two_bits_of_the_ideal(message: tuple[np.ndarray, np.ndarray]) -> None:
    symbols, cdfs = message
    code, bits = encoded(symbols, cdfs)
    decoder = RangeDecoder(code)
    assert decoder.decode(len(symbols), cdfs).tolist() == symbols.tolist()
    decoder.finish()
    rows = np.zeros(len(symbols), int) if len(cdfs) == 1 else np.arange(len(symbols))
    frequencies = (cdfs[rows, symbols + 1] - cdfs[rows, symbols]).astype(np.float64)
    ideal = float((np.log2(cdfs[0, -1]) - np.log2(frequencies)).sum())
    assert ideal - 1e-6 <= bits <= ideal + 2
    assert len(code) == -(-bits // 8)


@given(messages())
def test_plain_python_gives_the_same_bytes(message: tuple[np.ndarray, np.ndarray]) -> None:
    symbols, cdfs = message
    precision = int(cdfs[0, -1]).bit_length() - 1
    state = np.array([0, range_coder.TOP, 0], dtype=np.int64)
    out = np.zeros(len(symbols) * 4 + 8, dtype=np.uint8)
    range_coder._encode_cdf_rows.py_func(state, out, symbols, cdfs, precision)
    size, bits = range_coder.encode_end.py_func(state[0], state[1], out, int(state[2]))
    assert (out[:size].tobytes(), bits) == encoded(symbols, cdfs)


@given(messages(), st.integers(1, 9), st.binary(min_size=1, max_size=3))
def test_a_stream_of_another_length_is_an_error(message: tuple[np.ndarray, np.ndarray], cut: int, tail: bytes) -> None:
    symbols, cdfs = message
    code, _ = encoded(symbols, cdfs)
    for damaged in {code[:-cut], code + tail} - {code}:
        with pytest.raises(CorruptDataError):
            decoder = RangeDecoder(damaged)
            decoder.decode(len(symbols), cdfs)
            decoder.finish()


@given(st.binary(max_size=30))
def test_any_bytes_decode_or_are_an_error(junk: bytes) -> None:
    cdf = cdf_from_weights(np.array([1, 1000, 3, 50_000]), 24)
    try:
        symbols = RangeDecoder(junk).decode(200, cdf)
    except CorruptDataError:
        return
    assert ((symbols >= 0) & (symbols < 4)).all()


def test_running_past_the_end_is_an_error_and_not_data() -> None:
    cdf = cdf_from_weights(np.ones(256), 16)
    code, _ = encoded(np.arange(100), cdf)
    decoder = RangeDecoder(code)
    decoder.decode(100, cdf)
    with pytest.raises(CorruptDataError):
        decoder.decode(20, cdf)


def fraction(code: bytes) -> Fraction:
    """Return a code as the binary fraction that it is."""
    return Fraction(int.from_bytes(code, "big"), 1 << 8 * len(code))


# the middle one of three symbols halves the interval around 1/2, whose lower end is then 0.0111...1 in binary
AROUND_THE_MIDDLE = np.array([0, 1 << 14, 3 << 14, 1 << 16])
MOSTLY_ABOVE_IT = np.array([0, 3 << 13, 1 << 16])


@pytest.mark.parametrize("halvings", [9, 16, 24, 40, 63, 64, 200])
def test_carries_run_back_through_bytes_of_255(halvings: int) -> None:
    half, width = Fraction(1, 2), Fraction(1, 1 << halvings)
    for cdf, last, low, high, carried in (
        (AROUND_THE_MIDDLE, 0, half - width / 2, half - width / 4, False),
        (AROUND_THE_MIDDLE, 2, half + width / 4, half + width / 2, True),  # by the symbol
        (MOSTLY_ABOVE_IT, 1, half - width / 8, half + width / 2, True),  # by the tail, after the last symbol
    ):
        encoder = RangeEncoder()
        encoder.encode([1] * halvings, AROUND_THE_MIDDLE)
        out = encoder._out[: int(encoder._state[2])].tobytes()
        assert out == (b"\x7f" + b"\xff" * halvings)[: (halvings - 1) // 8], "bytes that a carry would change"
        encoder.encode(last, cdf)
        code = encoder.finish()
        assert low <= fraction(code) < high
        assert (code[0] == 0x80) == carried
        assert (code[0] == 0x7F) == (not carried)
        assert encoder.num_bits <= halvings + 4
        decoder = RangeDecoder(code)
        assert decoder.decode(halvings, AROUND_THE_MIDDLE).tolist() == [1] * halvings
        assert decoder.decode(1, cdf).tolist() == [last]
        decoder.finish()


@pytest.mark.parametrize("carry", [range_coder.carry, range_coder.carry.py_func])
def test_a_carry_ends_at_the_first_byte_below_255(carry: Callable[[np.ndarray, int], None]) -> None:
    for before, position, after in (
        ([0x7F], 1, [0x80]),
        ([3, 0xFF], 2, [4, 0]),
        ([9, 0x7F, 0xFF, 0xFF, 0xFF, 7], 5, [9, 0x80, 0, 0, 0, 7]),
        ([0xFE, 0xFE, 0xFF], 2, [0xFE, 0xFF, 0xFF]),
    ):
        out = np.array(before, dtype=np.uint8)
        carry(out, position)
        assert out.tolist() == after


@given(st.integers(0, 1 << 32))
def test_the_final_bits_are_the_shortest_interval_inside(seed: int) -> None:
    low = seed * 977 % (range_coder.TOP - 1)
    width = range_coder.BOTTOM + seed * 7919 % (range_coder.TOP - range_coder.BOTTOM)
    value, bits = range_coder.tail_of(low, width)
    unit = 1 << 56 - bits
    assert low <= value
    assert value + unit <= low + width
    if bits:  # one bit less would not fit, wherever it starts
        assert -(-low // (2 * unit)) * 2 * unit + 2 * unit > low + width


def test_precision_costs_less_than_a_hundredth_of_a_percent() -> None:
    rng = np.random.default_rng(1)
    for alphabet_size, precision in ((2, 16), (256, 24), (256, 30), (1 << 18, 30)):
        cdf = cdf_from_weights((rng.random(alphabet_size) ** 8 * (1 << 20)).astype(np.int64) + 1, precision)
        frequencies = np.diff(cdf)
        symbols = rng.choice(alphabet_size, 20_000, p=frequencies / cdf[-1])
        _, bits = encoded(symbols, cdf)
        ideal = -np.log2(frequencies[symbols] / cdf[-1]).sum()
        assert ideal <= bits <= ideal * 1.0001 + 2


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("alphabet_size", [2, 64, 65, 256, 5000])
def test_float_rows_round_trip(dtype: type, alphabet_size: int) -> None:
    rng = np.random.default_rng(alphabet_size)
    pmf = rng.dirichlet(np.full(alphabet_size, 0.1), size=50).astype(dtype)
    symbols = rng.integers(0, alphabet_size, 50)
    encoder = RangeEncoder()
    encoder.encode_pmf(symbols, pmf)
    decoder = RangeDecoder(encoder.finish())
    assert decoder.decode_pmf(pmf).tolist() == symbols.tolist()
    decoder.finish()


def test_the_papers_example() -> None:
    """Delétang et al. 2024, Figure 1 and appendix A: AIXI takes 0101010."""
    encoder = RangeEncoder()
    low, width = Fraction(0), Fraction(1)
    for symbol, row in zip((0, 1, 2, 1), ((45, 30, 25), (20, 60, 20), (20, 45, 35), (60, 20, 20)), strict=True):
        encoder.encode(symbol, cdf_from_weights(np.array(row), 30))
        low += width * sum(row[:symbol]) / 100
        width *= Fraction(row[symbol], 100)
    assert (float(low), float(low + width)) == (0.3222, 0.3411)
    assert encoder.num_bits == 7
    assert encoder.finish() == bytes([0b01010100])
    assert encoder.num_bits == 7


def test_a_cdf_that_does_not_increase_is_refused_and_spends_the_encoder() -> None:
    encoder = RangeEncoder()
    for cdf in (np.array([0, 0, 4]), np.array([0, 4, 4]), np.array([0, 6, 3, 4])):
        with pytest.raises(ValueError, match="must increase strictly|need a precision"):
            RangeEncoder().encode(0 if cdf[1] != 4 else 1, cdf)
    with pytest.raises(ValueError, match="increase strictly"):
        encoder.encode([1, 0], np.array([0, 0, 4]))
    with pytest.raises(ValueError, match="spent"):
        encoder.finish()
    with pytest.raises(ValueError, match="sum to 1"):
        (refused := RangeEncoder()).encode_pmf([0, 0], np.array([[0.5, 0.5], [np.nan, 0.5]]))
    with pytest.raises(ValueError, match="spent"):
        refused.encode(0, np.array([0, 2, 4]))


def test_a_finished_encoder_takes_no_more() -> None:
    encoder = RangeEncoder()
    encoder.encode([0, 1], np.array([0, 2, 4]))
    assert encoder.finish() == encoder.finish()
    with pytest.raises(ValueError, match="spent"):
        encoder.encode(0, np.array([0, 2, 4]))


def test_wrong_arguments_are_refused() -> None:
    cdf = cdf_from_weights(np.ones(4), 16)
    with pytest.raises(ValueError, match=r"lie in \[0, 4\)"):
        RangeEncoder().encode(4, cdf)
    with pytest.raises(ValueError, match="must be integers"):
        RangeEncoder().encode(np.array([0.5]), cdf)
    with pytest.raises(ValueError, match="power of two"):
        RangeEncoder().encode(0, np.array([0, 5, 9]))
    with pytest.raises(ValueError, match="one row or one for each"):
        RangeEncoder().encode(np.zeros(3, int), np.stack([cdf, cdf]))
    with pytest.raises(ValueError, match="sum to 1"):
        RangeEncoder().encode_pmf([0], np.array([[0.2, 0.2]]))
    with pytest.raises(ValueError, match="sum to 1"):
        RangeDecoder(b"abc").decode_pmf(np.array([[np.nan, 0.2]]))


@given(st.lists(st.integers(0, 3), max_size=60))
def test_the_interval_holds_the_code_and_nothing_else_does(symbols: list[int]) -> None:
    """Every stream that begins with the bits decodes to the symbols; its value lies in the interval told before."""
    cdf = np.array([0, 1, 100, 200, 256], np.int64)
    encoder = RangeEncoder()
    assert encoder.interval == (0, 1 << 56, 56)
    before = (Fraction(0), Fraction(1))
    for symbol in symbols:
        encoder.encode(symbol, cdf)
        low, width, exponent = encoder.interval
        now = (Fraction(low, 1 << exponent), Fraction(low + width, 1 << exponent))
        assert before[0] <= now[0] < now[1] <= before[1]
        before = now
    code = encoder.finish()
    value = Fraction(int.from_bytes(code, "big"), 1 << 8 * len(code))
    assert before[0] <= value
    assert value + Fraction(1, 1 << encoder.num_bits) <= before[1]
