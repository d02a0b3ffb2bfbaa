"""How much memory a sizer of LZMA takes, estimated before one is made."""

from gencomp.bitstreams.lzma import constants as lzma
from gencomp.bitstreams.lzma.fields import FIELDS
from gencomp.bitstreams.lzma.sizer import LOG
from gencomp.bitstreams.lzma.state import Effort, table_shape

_LOGGED = 512  # bytes assumed to be read since the first copy, whose entries are counted
_MODELS = 80_000  # most numbers in a state's models and matches, with lc + lp = 4
_SCRATCH = 2 << 20  # bytes that each thread keeps
_LEAST_DATA = 1 << 16  # bytes of data that there is room for at least
_ENTRY = 12  # bytes of an entry in the table's log, which may have room for twice as many
_CHANGE = 40 * 8  # bytes for undoing the model's changes, for each byte coded


def sizer_memory(effort: Effort, dictionary_size: int, size: int) -> tuple[int, int]:
    """Return the bytes that a sizer holds after ``size`` bytes, and those that it takes while it prices next bytes.

    It holds the data and the match finder's table, which copies share, its state, and the log of entries since the
    first copy, counted for _LOGGED bytes. The longer the open segment is, the more is entered while pricing.
    """
    words = sum(table_shape(effort.finder, dictionary_size)) + _MODELS
    words += 0 if effort.fast else lzma.OPTS * FIELDS
    entries = effort.depth + 5
    held = 4 * words + max(_LEAST_DATA, 2 * size) + 2 * _ENTRY * min(LOG, _LOGGED * entries)
    open_ = 2 * lzma.MATCH_LEN_MAX if effort.fast else lzma.OPTS + lzma.MATCH_LEN_MAX
    return held, _SCRATCH + open_ * (_ENTRY * entries + _CHANGE)
