"""What a Transformer in integers computes for a text, counted without computing it, and about how long that takes.

Lanes in lockstep read single rows, and the end of a full context anew; nothing else is multiplied. Seconds are those of
one core (x86-64 with AVX2) for a model of 135 million weights, whose weights come from memory; a window is encoded in
less than half of what its steps take to decode.
"""

from dataclasses import dataclass

from gencomp.inference.tiles import packed_size
from gencomp.inference.transformer_weights import Form

ROWS = 32  # of a pass: weights are read once for all of them
_MANY = 8  # rows: from here on a pass waits for products, not for memory
# seconds of a multiply-add: by weights in passes of few rows and of many, of attention in steps and in windows
_FEW_SECONDS, _MANY_SECONDS = 9e-11, 3.3e-11
_STEP_SECONDS, _WINDOW_SECONDS = 1.1e-10, 6e-11
# of a row: each layer's norms and activations, each symbol's weight
_LAYER_SECONDS, _SYMBOL_SECONDS = 2e-6, 5e-9


@dataclass(frozen=True)
class Passes:
    """What passes read, of all lanes: rows of passes of few and of many rows, how many of them give logits, and
    positions that rows attend to, in single steps and where a context is read anew.
    """

    few: int = 0
    many: int = 0
    few_logits: int = 0
    many_logits: int = 0
    stepped: int = 0
    reread: int = 0

    def weight_products(self, form: Form) -> tuple[int, int]:
        """Return the multiply-adds by weights, in passes of few rows and of many."""
        head = packed_size(form.vocabulary, form.width)
        body = form.weight_count - head
        return self.few * body + self.few_logits * head, self.many * body + self.many_logits * head

    def attention_products(self, form: Form) -> tuple[int, int]:
        """Return the multiply-adds of queries and keys, and of shares and values, in steps and in windows."""
        of_position = 2 * form.heads * form.head_size * form.layers
        return self.stepped * of_position, self.reread * of_position

    def seconds(self, form: Form) -> float:
        """Return about how long one core takes."""
        few, many = self.weight_products(form)
        stepped, reread = self.attention_products(form)
        rows, logits = self.few + self.many, self.few_logits + self.many_logits
        return (
            few * _FEW_SECONDS
            + many * _MANY_SECONDS
            + stepped * _STEP_SECONDS
            + reread * _WINDOW_SECONDS
            + rows * form.layers * _LAYER_SECONDS
            + logits * form.vocabulary * _SYMBOL_SECONDS
        )


def _split(rows: int, logits: int, times: int) -> tuple[int, int, int, int]:
    """Return rows of passes of few and of many, and logits of the last ones: ``rows`` are cut by ROWS, so often."""
    rest = rows % ROWS
    last = rest or ROWS
    few = rest if rest < _MANY else 0
    if last < _MANY:
        few_logits = min(logits, last)
        return times * few, times * (rows - few), times * few_logits, times * (logits - few_logits)
    return times * few, times * (rows - few), 0, times * logits


def _attended(first: int, last: int) -> int:
    """Return how many positions rows at [first, last) attend to, their own among them."""
    return (last * (last + 1) - first * (first + 1)) // 2


def passes_of(lanes: int, length: int, context: int, stride: int) -> Passes:
    """Return what ``lanes`` lanes of ``length`` symbols read, in lockstep, one symbol after another.

    The start symbol stands before the first; when ``context`` positions are full, it and the last ``context - stride``
    symbols are read anew.
    """
    begun = min(length, context)
    cycles, rest = divmod(length - begun, stride)
    again = context - stride + 1  # rows that are read anew; the last of them predicts
    rereads = cycles + (rest > 0)
    singles = length - rereads
    attended = _attended(0, begun) + cycles * _attended(again, context)
    if rest:
        attended += _attended(again, again + rest - 1)
    few, many, few_logits, many_logits = _split(lanes, lanes, singles)
    new = _split(again, 1, rereads * lanes)
    return Passes(
        few=few + new[0],
        many=many + new[1],
        few_logits=few_logits + new[2],
        many_logits=many_logits + new[3],
        stepped=lanes * attended,
        reread=lanes * rereads * _attended(0, again),
    )


def reading_of(length: int, context: int) -> Passes:
    """Return what one text of ``length`` symbols takes that is read at once, before the symbol after it."""
    rows = min(length + 1, context)
    return Passes(*_split(rows, 1, 1), reread=_attended(0, rows))


def step_seconds(form: Form, length: int, context: int, stride: int) -> float:
    """Return about how long one more symbol takes after ``length``, its share of reading full contexts included."""
    longer, shorter = (passes_of(1, symbols, context, stride).seconds(form) for symbols in (length + stride, length))
    return (longer - shorter) / stride
