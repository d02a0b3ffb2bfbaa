"""PPMd where pyppmd's encoder, given all at once, loses a byte."""

import random

import pytest

from gencomp.compressors.ppmd import Ppmd


@pytest.mark.parametrize("seed", [10, 40, 67])
def test_streams_that_outgrow_a_buffer_of_32_kib(seed: int) -> None:
    data = random.Random(seed).randbytes(34_000)
    ppmd = Ppmd(order=2, memory=1)
    assert ppmd.decompress(ppmd.compress(data)) == data
