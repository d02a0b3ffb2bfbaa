"""Decoding bits that code nothing: if they are random, what comes out is a sample of the model."""

from collections.abc import Iterator

from gencomp.arguments import as_bytes
from gencomp.coding.range_coder import RangeDecoder
from gencomp.equivalence.adapt import Model, as_predictor
from gencomp.equivalence.capabilities import state_cdf


def decode_bits(model: Model, bits: bytes, *, prompt: bytes = b"") -> bytes:
    """Return what ``bits`` decode to after ``prompt`` under ``model``, a spec or an object of either kind.

    An arithmetic decoder turns uniform bits into symbols with the model's probabilities: with random bits this is
    sampling, and with the bits of a code it gives what was coded. It stops where the next byte would depend on bits
    that are not there. The decoder looks 56 bits ahead, so seven bytes or fewer give nothing.
    """
    return bytes(stream_bits(model, bits, prompt=prompt))


def stream_bits(model: Model, bits: bytes, *, prompt: bytes = b"") -> Iterator[int]:
    """Yield the bytes that :func:`decode_bits` returns, each as soon as it is decoded."""
    decoder = RangeDecoder(as_bytes(bits, "the bits"))
    state = as_predictor(model).begin(as_bytes(prompt, "the prompt"))
    while not decoder.is_short:
        symbol = int(decoder.decode(1, state_cdf(state))[0])
        yield symbol
        state.update(symbol)
