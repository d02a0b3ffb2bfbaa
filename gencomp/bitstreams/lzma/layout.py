"""The layout of an encoder's model: price tables of distances, probabilities, price tables of lengths.

The last begin where the register LENGTHS says, since the number of literal coders before them depends on lc and lp.
"""

from gencomp.bitstreams.lzma import constants as lzma
from gencomp.bitstreams.lzma import probabilities as prob

MATCH_PRICE_COUNT = 0  # matches coded since the prices of distances were made (match_price_count)
ALIGN_PRICE_COUNT = 1  # distances coded since the prices of their low bits were made (align_price_count)
ALIGN_PRICES = 2
DIST_PRICES = ALIGN_PRICES + lzma.ALIGN_SIZE  # by length
DIST_SLOT_PRICES = DIST_PRICES + lzma.DIST_STATES * lzma.FULL_DISTANCES  # by length
# lengths left before their prices are renewed, by position; of matches, then of repeated ones
LEN_COUNTERS = DIST_SLOT_PRICES + lzma.DIST_STATES * lzma.DIST_SLOTS
PROBABILITIES = LEN_COUNTERS + 2 * lzma.POS_STATES_MAX

IS_MATCH = PROBABILITIES + prob.IS_MATCH
IS_REP = PROBABILITIES + prob.IS_REP
IS_REP0 = PROBABILITIES + prob.IS_REP0
IS_REP1 = PROBABILITIES + prob.IS_REP1
IS_REP2 = PROBABILITIES + prob.IS_REP2
IS_REP0_LONG = PROBABILITIES + prob.IS_REP0_LONG
DIST_SLOT = PROBABILITIES + prob.DIST_SLOT
DIST_SPECIAL = PROBABILITIES + prob.DIST_SPECIAL
DIST_ALIGN = PROBABILITIES + prob.DIST_ALIGN
MATCH_LEN = PROBABILITIES + prob.MATCH_LEN
REP_LEN = PROBABILITIES + prob.REP_LEN
LITERAL = PROBABILITIES + prob.LITERAL
