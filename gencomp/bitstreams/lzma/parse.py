"""The encoder's loop (lzma_lzma_encode): it chooses and codes symbols, as far as no byte to come can matter."""

import numpy as np

from gencomp.bitstreams.lzma import registers as reg
from gencomp.bitstreams.lzma.coder import code_symbol
from gencomp.bitstreams.lzma.match_finder import find, skip_to
from gencomp.bitstreams.lzma.parse_fast import OPEN_END, choose
from gencomp.bitstreams.lzma.parse_optimal import begin_segment, code_way, leave
from gencomp.bitstreams.lzma.prices import renew_distance_prices
from gencomp.bitstreams.lzma.state import LITERAL, ONE, Parse
from gencomp.compiled import lean_kernel


@lean_kernel
def parse_on(parse: Parse) -> None:
    """Parse on: to the end of the data if the parse is FINAL, else as far as no byte to come can matter."""
    registers = parse.registers
    while True:
        if registers[reg.OPEN]:
            model = parse.frozen if registers[reg.SPLIT] else parse.live
            while registers[reg.CUR] < registers[reg.LEN_END]:
                node = registers[reg.CUR]
                if registers[reg.READ_POS] == registers[reg.BASE] + node and not find(parse, ONE):
                    return
                if registers[reg.LONGEST] >= registers[reg.NICE_LEN]:
                    break
                if not leave(parse, model, node):
                    return
                registers[reg.CUR] = node + 1
            code_way(parse, registers[reg.CUR])
            registers[reg.OPEN] = 0
        position = registers[reg.POSITION]
        if position >= registers[reg.STOP] or not skip_to(parse, position):
            return
        if registers[reg.READ_POS] == position:
            if not registers[reg.FAST]:
                renew_distance_prices(parse)
            if not find(parse, np.int64(position > 0)):
                return
        back, length = LITERAL, ONE
        if position > 0:  # the first byte is always a literal
            back, length = choose(parse, position) if registers[reg.FAST] else begin_segment(parse, position)
            if length == OPEN_END:
                return
        if length > 0:
            code_symbol(parse, back, length)
