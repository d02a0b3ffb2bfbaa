"""The encoder's loop (lzma_lzma_encode): symbols are chosen and coded, as far as no byte to come can matter."""

import numpy as np

from gencomp.bitstreams.lzma.coder import code_symbol
from gencomp.bitstreams.lzma.match_finder import find, skip_to
from gencomp.bitstreams.lzma.parse_fast import OPEN_END, choose
from gencomp.bitstreams.lzma.parse_optimal import begin_segment, code_way, leave
from gencomp.bitstreams.lzma.prices import renew_distance_prices
from gencomp.bitstreams.lzma.state import (
    BASE,
    FAST,
    LAST,
    LITERAL,
    LONGEST,
    NICE,
    NODE,
    ONE,
    OPEN,
    POSITION,
    READ,
    SPLIT,
    STOP,
    Parse,
)
from gencomp.compiled import lean_kernel


@lean_kernel
def parse_on(parse: Parse) -> None:
    """Go on through the data: to its end if the parse is FINAL, else as far as no byte to come can matter."""
    registers = parse.registers
    while True:
        if registers[OPEN]:
            model = parse.frozen if registers[SPLIT] else parse.live
            while registers[NODE] < registers[LAST]:
                node = registers[NODE]
                if registers[READ] == registers[BASE] + node and not find(parse, ONE):
                    return
                if registers[LONGEST] >= registers[NICE]:
                    break
                if not leave(parse, model, node):
                    return
                registers[NODE] = node + 1
            code_way(parse, registers[NODE])
            registers[OPEN] = 0
        position = registers[POSITION]
        if position >= registers[STOP] or not skip_to(parse, position):
            return
        if registers[READ] == position:
            if not registers[FAST]:
                renew_distance_prices(parse)
            if not find(parse, np.int64(position > 0)):
                return
        back, length = LITERAL, ONE
        if position > 0:  # the first byte is always a literal
            back, length = choose(parse, position) if registers[FAST] else begin_segment(parse, position)
            if length == OPEN_END:
                return
        if length > 0:
            code_symbol(parse, back, length)
