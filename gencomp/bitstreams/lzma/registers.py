"""The registers of an LZMA parse by name, with liblzma's field in parentheses."""

# options
FAST = 0  # 1 for the fast parse, 0 for the optimal one (mode)
FINDER = 1  # the match finder: MF_HC3, MF_HC4 or MF_BT4, as the presets have them (mf)
NICE_LEN = 2  # a match this long is taken at once (nice_len)
DEPTH = 3  # candidates that a search tries (depth)
CYCLIC_SIZE = 4  # bytes of the dictionary, and one more (cyclic_size)
HASH_MASK = 5  # of the hash of all bytes (hash_mask)
SON = 6  # where in the table the chains or trees begin, after the hashes (son)
LC = 7
LP_MASK = 8
PB_MASK = 9
LENGTHS = 10  # where in the model the prices of lengths begin
# the data and the match finder
SIZE = 11  # bytes of data in all
FINAL = 12  # 1 if no data follows
READ_POS = 13  # the next position to be entered in the table (read_pos)
BANK = 14  # which half of the matches holds those found at READ_POS - 1
MATCHES_COUNT = 15  # their number (matches_count)
LONGEST = 16  # the length of the longest, which may exceed NICE_LEN (longest_match_length)
ENTRIES = 17  # in the log of the table
# the coder
POSITION = 18  # bytes coded
RANGE = 19  # of the range coder (range)
SHIFTS = 20  # bytes that the range coder has shifted out
STATE = 21  # what the last symbols were, 0 to 11 (state)
REPS = 22  # the four last distances, less one (reps)
CHANGES = 26  # in the log of the model
# the optimal parse
OPEN = 27  # 1 while a segment is being parsed
BASE = 28  # the position where it begins
CUR = 29  # its next node (cur)
LEN_END = 30  # the last node that is reached (len_end)
SPLIT = 31  # 1 if part of the open segment is coded; its prices are those of the model before that
SHARED = 32  # 1 if the log has to hold all entries since the first copy
STOP = 33  # where the parse stops: the data's size, or one byte less where any last byte may follow
TAIL = 34  # READ_POS when the parse began
WATCHED = 35  # 1 if bytes are to be marked as unlike (alike.py)
REGISTERS = 36
