import numpy as np
from gencomp.bitstreams.lzma.coder import code_end, undo_changes
from gencomp.bitstreams.lzma.match_finder import undo_entries
from gencomp.bitstreams.lzma.parse_fast import parse_fast
from gencomp.bitstreams.lzma.parse_optimal import parse_optimal, code_common
from gencomp.bitstreams.lzma.prices import begin_prices
from gencomp.bitstreams.lzma.state import *
from gencomp.bitstreams.lzma.state import FAST, FINAL, SIZE, Parse
from gencomp.compiled import lean_kernel

@lean_kernel
def oneshot(parse: Parse) -> int:
    if parse.registers[FAST]:
        parse_fast(parse)
    else:
        begin_prices(parse)
        parse_optimal(parse)
    return code_end(parse)

def bits_of(data, preset, extreme, bits, lc, lp, pb):
    effort = effort_of(preset, extreme)
    st = begin_state(effort, 1 << bits, lc, lp, pb)
    table = np.zeros(sum(table_shape(effort.finder, 1 << bits)), np.int32)
    st.registers[SIZE] = len(data)
    st.registers[FINAL] = 1
    n = len(data) + 100
    parse = Parse(np.frombuffer(data + bytes(300), np.uint8).copy(), table, *st, np.zeros((n * 80 + 5000, 3), np.int32), np.zeros((n * 60 + 100000, 2), np.int32), np.zeros((4096+300, 2), np.int32))
    return oneshot(parse) / 65536
