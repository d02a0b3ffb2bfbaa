"""The registers of a deflate parse by name, with zlib's name in parentheses where zlib has the same field."""

LEVEL = 0
SIZE = 1  # bytes of data in all
ORIGIN = 2  # position of the buffer's first byte
POSITION = 3  # where the parse stands (strstart)
BASE = 4  # position of the first byte of zlib's sliding buffer
BLOCK = 5  # position of the open block's first byte (block_start)
SYMBOLS = 6  # literals and matches in the open block (last_lit)
BITS = 7  # bits of the closed blocks
CLOSED = 8  # blocks closed
PREV_LENGTH = 9  # length of the match found one byte earlier, 2 if none (prev_length)
PREV_MATCH = 10  # where that copies from (prev_match)
MATCH_AVAILABLE = 11  # 1 if the byte before the position is not coded yet (match_available)
FINAL = 12  # 1 if no data follows
ENTERED = 13  # entries of the undo log
# what tells blocks apart (similar_blocks.py)
KEY = 14  # sum of the KEYS of the open block's symbols
CHECK = 15  # sum of their CHECKS
LITERAL = 16  # the last symbol if it is a literal, else -1
# a suffix of one byte (match_search.one_byte_match)
KNOWN = 17  # bytes before the suffix; 0 for suffixes of other lengths
ALIKE = 18  # 1 if nothing in the parse so far has depended on which byte it is
LOOKED_UP = 19  # 1 if the hash that ends with it was looked up: another byte is parsed alike if its hash finds nothing
# copies of one state (deflate_state.with_lineage)
LINEAGE = 20  # a number for the state that they come from, 0 if there is none
ROOT = 21  # POSITION of that state, or NO_ROOT
LOGGED = 22  # entries made in the chains since
REGISTERS = 23

NO_ROOT = 1 << 62
