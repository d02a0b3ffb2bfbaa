"""The fields of a node of the optimal parse, liblzma's lzma_optimal: the cheapest way found to so many bytes."""

PRICE = 0
POS_PREV = 1  # the node before
BACK_PREV = 2  # the symbol between: distance + REPS, or which of the four last, or LITERAL
PREV_1_IS_LITERAL = 3  # 1 if POS_PREV is reached by a literal
PREV_2 = 4  # 1 if that literal follows a match of its own
POS_PREV_2 = 5  # the node that this match, or else the literal, starts from
BACK_PREV_2 = 6  # the match
STATE = 7
BACKS = 8  # the four last distances, less one
FIELDS = 12
