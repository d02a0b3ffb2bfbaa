import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gencomp.coding.lanes import LaneDecoder, LaneEncoder
from gencomp.coding.range_coder import RangeEncoder
from gencomp.errors import CorruptDataError

SIZE = 7


def rows(seed: int, steps: int, lanes: int) -> np.ndarray:
    weights = np.random.default_rng(seed).random((steps, lanes, SIZE)).astype(np.float32) ** 4 + np.float32(1e-6)
    return weights / weights.sum(-1, keepdims=True)


lengths = st.lists(st.integers(0, 40), min_size=1, max_size=5).map(lambda found: sorted(found, reverse=True))


def encoded(symbols: list[np.ndarray], pmf: np.ndarray) -> bytes:
    """Return the payload of lanes that end one after another, the shortest last."""
    encoder = LaneEncoder(len(symbols))
    for step in range(len(symbols[0])):
        active = [lane for lane in symbols if len(lane) > step]
        encoder.encode(np.array([lane[step] for lane in active]), pmf[step, : len(active)])
    return encoder.finish()


@given(lengths=lengths, seed=st.integers(0, 1000))
def test_lanes_come_back_and_are_range_coded_each(lengths: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    symbols = [rng.integers(0, SIZE, length) for length in lengths]
    pmf = rows(seed, max(lengths), len(lengths))
    payload = encoded(symbols, pmf)
    streams = []
    for lane, values in enumerate(symbols):
        encoder = RangeEncoder()
        encoder.encode_pmf(values, pmf[: len(values), lane])
        streams.append(encoder.finish())
    assert payload.endswith(b"".join(streams))
    assert [len(stream) for stream in streams[:-1]] == list(payload[: len(streams) - 1])  # varints of one byte
    decoder = LaneDecoder(payload, len(lengths))
    found: list[list[int]] = [[] for _ in lengths]
    for step in range(max(lengths)):
        active = sum(length > step for length in lengths)
        for lane, symbol in enumerate(decoder.decode(pmf[step, :active]).tolist()):
            found[lane].append(symbol)
    decoder.finish()
    assert found == [lane.tolist() for lane in symbols]


def test_a_lane_that_does_not_end_with_its_symbols_is_refused() -> None:
    pmf = rows(1, 20, 2)
    payload = encoded([np.zeros(20, np.int64), np.ones(20, np.int64)], pmf)
    for damaged in (payload[:-1], payload + b"\0", b"", b"\x7f" + payload[1:]):
        with pytest.raises(CorruptDataError):
            decoder = LaneDecoder(damaged, 2)
            for step in range(20):
                decoder.decode(pmf[step])
            decoder.finish()


@pytest.mark.parametrize("value", [np.nan, -0.5, 2.0])
def test_a_row_that_is_no_distribution_is_refused(value: float) -> None:
    pmf = rows(1, 1, 2)[0]
    pmf[1, 3] = value
    with pytest.raises(ValueError, match="probabilities must lie in"):
        LaneEncoder(2).encode(np.array([0, 1]), pmf)
    with pytest.raises(ValueError, match="probabilities must lie in"):
        LaneDecoder(b"\0", 2).decode(pmf)
