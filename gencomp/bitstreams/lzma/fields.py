"""The fields of a node of the optimal parse, liblzma's lzma_optimal: the cheapest way found to it."""

PRICE = 0
POS_PREV = 1  # the node before
BACK_PREV = 2  # the symbol between them: distance + REPS, or which of the four last distances, or LITERAL
PREV_1_IS_LITERAL = 3  # 1 if the edge begins with a literal, or a match and a literal, that lead to POS_PREV
PREV_2 = 4  # 1 if a match comes before that literal
POS_PREV_2 = 5  # the node where the edge begins
BACK_PREV_2 = 6  # that match, as in BACK_PREV
STATE = 7
BACKS = 8  # the four last distances, less one
FIELDS = 12
