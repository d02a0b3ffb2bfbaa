"""Where each kind of probability begins in a coder, under liblzma's names, and what it is indexed by."""

from gencomp.bitstreams.lzma import constants as lzma

IS_MATCH = 0  # by state and position
IS_REP = IS_MATCH + lzma.STATES * lzma.POS_STATES_MAX  # by state, as the next three
IS_REP0 = IS_REP + lzma.STATES
IS_REP1 = IS_REP0 + lzma.STATES
IS_REP2 = IS_REP1 + lzma.STATES
IS_REP0_LONG = IS_REP2 + lzma.STATES  # by state and position
DIST_SLOT = IS_REP0_LONG + lzma.STATES * lzma.POS_STATES_MAX  # trees, by length
DIST_SPECIAL = DIST_SLOT + lzma.DIST_STATES * lzma.DIST_SLOTS  # reverse trees of the slots that have one
DIST_ALIGN = DIST_SPECIAL + lzma.FULL_DISTANCES - lzma.DIST_MODEL_END + 1
MATCH_LEN = DIST_ALIGN + lzma.ALIGN_SIZE
# a length's coder: two choices, then trees; LEN_LOW and LEN_MID by position
LEN_CHOICE, LEN_CHOICE2, LEN_LOW = 0, 1, 2
LEN_MID = LEN_LOW + lzma.POS_STATES_MAX * lzma.LEN_LOW_SYMBOLS
LEN_HIGH = LEN_MID + lzma.POS_STATES_MAX * lzma.LEN_MID_SYMBOLS
REP_LEN = MATCH_LEN + LEN_HIGH + lzma.LEN_HIGH_SYMBOLS
LITERAL = REP_LEN + LEN_HIGH + lzma.LEN_HIGH_SYMBOLS  # LITERAL_CODER_SIZE for each of 2^(lc + lp) coders, to the end
