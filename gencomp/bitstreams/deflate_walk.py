"""A walk over a deflate stream (RFC 1951) that tells what is in it: blocks, codes, literals and copies, bit by bit.

This is plain Python, fast enough to look at one stream: 30 KB take about a tenth of a second. Candidates are priced by
:mod:`gencomp.bitstreams.deflate`.
"""

from collections.abc import Sequence

from gencomp.bitstreams import rfc1951
from gencomp.errors import CorruptDataError
from gencomp.phrases import Block, Phrase

STORED, FIXED, DYNAMIC = range(3)
KINDS = ("stored", "fixed", "dynamic")
_FIXED_CODES = rfc1951.FIXED_LITERAL_LENGTHS, [rfc1951.FIXED_DISTANCE_LENGTH] * 32  # section 3.2.6

Code = dict[tuple[int, int], int]  # (length in bits, word) to symbol


class _Bits:
    """Bits of a stream, the lowest of each byte first."""

    def __init__(self, stream: bytes) -> None:
        self._stream = stream
        self.at = 0

    def take(self, count: int) -> int:
        end = self.at + count
        if end > 8 * len(self._stream):
            raise CorruptDataError("not a complete deflate stream: it ends early")
        value = int.from_bytes(self._stream[self.at >> 3 : (end + 7) >> 3], "little") >> (self.at & 7)
        self.at = end
        return value & ((1 << count) - 1)

    def symbol(self, code: Code) -> int:
        """Return the next symbol of a prefix code, whose words come highest bit first."""
        word = 0
        for length in range(1, rfc1951.MAX_BITS + 1):
            word = (word << 1) | self.take(1)
            if (length, word) in code:
                return code[length, word]
        raise CorruptDataError("not a deflate stream: a code word that stands for no symbol")


def code_words(lengths: Sequence[int]) -> dict[int, str]:
    """Return the canonical code of ``lengths`` (section 3.2.2): each symbol's word as a string of 0 and 1."""
    words, word = {}, 0
    for length in range(1, max(lengths, default=0) + 1):
        for symbol, its in enumerate(lengths):
            if its == length:
                words[symbol] = f"{word:0{length}b}"
                word += 1
        word <<= 1
    return words


def _code(words: dict[int, str]) -> Code:
    return {(len(word), int(word, 2)): symbol for symbol, word in words.items()}


def _told_lengths(bits: _Bits) -> tuple[list[int], list[int]]:
    """Read the code lengths of a dynamic block (section 3.2.7): literals and lengths, then distances."""
    literals = bits.take(rfc1951.HLIT_BITS) + rfc1951.FIRST_LENGTH
    distances, told = bits.take(rfc1951.HDIST_BITS) + 1, bits.take(rfc1951.HCLEN_BITS) + 4
    of_lengths = [0] * rfc1951.BL_CODES
    for symbol in rfc1951.BL_ORDER[:told].tolist():
        of_lengths[symbol] = bits.take(rfc1951.BL_BITS)
    code = _code(code_words(of_lengths))
    lengths: list[int] = []
    while len(lengths) < literals + distances:
        symbol = bits.symbol(code)
        if symbol < rfc1951.REP_3_6:
            lengths.append(symbol)
        elif symbol == rfc1951.REP_3_6:
            if not lengths:
                raise CorruptDataError("not a deflate stream: it repeats a code length before there is one")
            lengths += lengths[-1:] * (rfc1951.SHORTEST_RUN + bits.take(rfc1951.REP_BITS))
        elif symbol == rfc1951.REPZ_3_10:
            lengths += [0] * (rfc1951.SHORTEST_RUN + bits.take(rfc1951.REPZ_SHORT_BITS))
        else:
            lengths += [0] * (rfc1951.LONGEST_REPZ_SHORT + 1 + bits.take(rfc1951.REPZ_LONG_BITS))
    if len(lengths) > literals + distances:
        raise CorruptDataError("not a deflate stream: more code lengths than it announced")
    return lengths[:literals], lengths[literals:]


def _length(bits: _Bits, symbol: int) -> int:
    if symbol > rfc1951.LAST_LENGTH:
        raise CorruptDataError("not a deflate stream: an invalid length symbol")
    if symbol == rfc1951.LAST_LENGTH:
        return rfc1951.MAX_MATCH
    code = symbol - rfc1951.FIRST_LENGTH
    extra = rfc1951.length_extra_bits(code)
    return rfc1951.MIN_MATCH + (code if extra == 0 else ((4 + code % 4) << extra) + bits.take(extra))


def _distance(bits: _Bits, symbol: int) -> int:
    if symbol >= rfc1951.D_CODES:
        raise CorruptDataError("not a deflate stream: an invalid distance symbol")
    extra = rfc1951.distance_extra_bits(symbol)
    return 1 + (symbol if extra == 0 else ((2 + symbol % 2) << extra) + bits.take(extra))


def walk(stream: bytes) -> tuple[list[Phrase], list[Block], int]:
    """Return the phrases and the blocks of a raw deflate stream, and its length in bits.

    Raises :class:`~gencomp.errors.CorruptDataError` on anything else.
    """
    bits, position, last = _Bits(stream), 0, 0
    phrases: list[Phrase] = []
    blocks: list[Block] = []
    while not last:
        begin, start, first = bits.at, position, len(phrases)
        last, kind = bits.take(1), bits.take(2)
        words: dict[int, str] = {}
        distance_words: dict[int, str] = {}
        if kind == STORED:
            bits.at += -bits.at & 7
            size, check = bits.take(16), bits.take(16)
            if (size ^ check) != 0xFFFF:
                raise CorruptDataError("not a deflate stream: the size of a stored block and its check differ")
            for _ in range(size):
                bits.take(8)
                phrases.append(Phrase(position, 1, 0, 8))
                position += 1
        elif kind in (FIXED, DYNAMIC):
            lengths = _FIXED_CODES if kind == FIXED else _told_lengths(bits)
            words, distance_words = code_words(lengths[0]), code_words(lengths[1])
            code, distance_code = _code(words), _code(distance_words)
            while True:
                before = bits.at
                symbol = bits.symbol(code)
                if symbol == rfc1951.END_BLOCK:
                    break
                length, distance = 1, 0
                if symbol > rfc1951.END_BLOCK:
                    length = _length(bits, symbol)
                    distance = _distance(bits, bits.symbol(distance_code))
                    if distance > position:
                        raise CorruptDataError("not a deflate stream: a copy from before its beginning")
                phrases.append(Phrase(position, length, distance, bits.at - before))
                position += length
        else:
            raise CorruptDataError("not a deflate stream: an invalid block type")
        overhead = bits.at - begin - sum(phrase.bits for phrase in phrases[first:])
        blocks.append(Block(KINDS[kind], start, position, overhead, words, distance_words))
    return phrases, blocks, bits.at
