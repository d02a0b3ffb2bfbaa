"""The constants of LZMA's format and liblzma's encoder, named as in liblzma's sources."""

# the range coder (rangecoder/range_common.h): probabilities that a bit is 0, in 2048ths
RC_SHIFT_BITS = 8  # a byte is shifted out when the range is below RC_TOP_VALUE
RC_TOP_VALUE = 1 << 24
RC_BIT_MODEL_TOTAL_BITS = 11
RC_BIT_MODEL_TOTAL = 1 << RC_BIT_MODEL_TOTAL_BITS
RC_MOVE_BITS = 5  # a probability moves by 1/32 of the way to 0 or 1
PROB_INIT = RC_BIT_MODEL_TOTAL // 2
# and its prices (rangecoder/price.h), in 1/16 bit
RC_MOVE_REDUCING_BITS = 4  # probabilities that differ only in these lowest bits have one price
RC_BIT_PRICE_SHIFT_BITS = 4
RC_INFINITY_PRICE = 1 << 30

# literals, matches, and what the last symbols were (lzma/lzma_common.h)
STATES = 12
LIT_STATES = 7  # states below this follow a literal
STATE_LIT_LIT, STATE_SHORTREP_LIT_LIT = 0, 3
STATE_LIT_MATCH, STATE_LIT_LONGREP, STATE_LIT_SHORTREP, STATE_NONLIT_MATCH, STATE_NONLIT_REP = range(7, 12)
LITERAL_CODER_SIZE = 0x300  # 256 for plain literals, 512 for those after a match
POS_STATES_MAX = 16
REPS = 4
MATCH_LEN_MIN, MATCH_LEN_MAX = 2, 273
LEN_LOW_BITS, LEN_MID_BITS, LEN_HIGH_BITS = 3, 3, 8
LEN_LOW_SYMBOLS, LEN_MID_SYMBOLS, LEN_HIGH_SYMBOLS = 8, 8, 256
LEN_SYMBOLS = LEN_LOW_SYMBOLS + LEN_MID_SYMBOLS + LEN_HIGH_SYMBOLS
DIST_STATES = 4  # lengths of 2, 3, 4, and all longer ones
DIST_SLOT_BITS, DIST_SLOTS = 6, 64
DIST_MODEL_START, DIST_MODEL_END = 4, 14  # slots with bits of their own, and the first whose high bits are direct
FULL_DISTANCES = 128  # those below the slot DIST_MODEL_END, less one
ALIGN_BITS, ALIGN_SIZE, ALIGN_MASK = 4, 16, 15  # the lowest bits of the others

# match finders (lz/lz_encoder.h) and their hashes (lz/lz_encoder_hash.h)
MF_HC3, MF_HC4, MF_BT4 = 0x03, 0x04, 0x14
MF_TREE, MF_HASH_BYTES = 0x10, 0x0F  # their parts: trees, not chains; bytes that are hashed
HASH_2_SIZE, HASH_3_SIZE = 1 << 10, 1 << 16
# where the hashes of three bytes begin in the table, and those of four if there are any
FIX_3_HASH_SIZE, FIX_4_HASH_SIZE = HASH_2_SIZE, HASH_2_SIZE + HASH_3_SIZE
OPTS = 1 << 12  # nodes of a segment (lzma/lzma_encoder_private.h)
